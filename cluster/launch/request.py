"""What is to be launched, as plain values: the sweep, its nodes, and what is known of its run before it runs."""

from dataclasses import dataclass
from typing import Literal

from cluster.config import ResourcesConfig
from cluster.launch.profile import KubernetesProfile, SlurmProfile
from cluster.ray_backend.room import fit
from lstm.messages.message import Note
from lstm.records.errors import Fault

Need = Literal["spec", "data", "code", "home", "study", "checkpoints", "records"]


@dataclass(frozen=True, slots=True)
class Size:
    """The nodes that a job asks for."""

    nodes: int
    cpus: int  # of each node
    gpus: int  # of each node
    memory_mb: int | None  # of each node, in units of 2^20 bytes; None: what the system gives
    time_s: int | None  # seconds after which the system ends a run of the job; None: the system's own limit
    warn_s: int = 0  # seconds before that limit at which the driver is stopped


@dataclass(frozen=True, slots=True)
class Shape:
    """What a sweep will be on nodes of a size: trials at once, and when it will end by the plan's estimate."""

    size: Size
    gpus_per_trial: float
    a_node: int  # trials at once on a node, at most
    at_once: int  # trials at once on all nodes, at most `max_concurrent` and all that there are; 0 if none fits
    seconds: tuple[float, float] = (0.0, 0.0)  # from the first trial to the end, by the smallest and the largest trial
    unknown: tuple[Note, ...] = ()  # what can't be known before it runs

    @classmethod
    def of(cls, size: Size, resources: ResourcesConfig, width: int) -> "Shape":
        """Return the shape without its estimate; trials are counted as `run` counts them on each node.

        Args:
            size: The nodes.
            resources: What a trial asks for.
            width: How many trials the sweep can ever run at once.
        """
        asked = resources.gpus_per_trial
        gpus = float(size.gpus >= 1) if asked == "auto" else float(asked)
        a_node = fit(size.cpus, size.gpus, resources.cpus_per_trial, gpus)
        most = width if resources.max_concurrent == "auto" else min(width, resources.max_concurrent)
        at_once = min(a_node * size.nodes, most)
        return cls(size, gpus, min(a_node, at_once), at_once)

    @property
    def busy(self) -> int:
        """How many nodes all trials at once fit on."""
        return -(-self.at_once // max(self.a_node, 1))

    @property
    def runs(self) -> tuple[int, int] | None:
        """How many runs of the job the time limit makes of the sweep, by the estimate; None without a limit."""
        if self.size.time_s is None:
            return None
        run_s = self.size.time_s - self.size.warn_s
        low, high = (max(1, -int(-each // run_s)) for each in self.seconds)
        return low, high


@dataclass(frozen=True, slots=True)
class Request:
    """A sweep that is to be launched. Paths are absolute, as on the machine that launches."""

    system: str  # "slurm" or "kubernetes"
    name: str  # the sweep's
    named: str  # what `sweep run` is to be given: the path of the SPEC, or the NAME of a sweep of the home
    spec_text: str  # the spec's file as it is, with each ${NAME} as written
    overrides: tuple[str, ...]  # what --set says, as PATH=VALUE
    code: str | None  # what --code says
    home: str
    size: Size
    profile: SlurmProfile | KubernetesProfile  # with the options of the command line
    python: str  # the Python that launches
    cwd: str = "/"  # the working folder
    needs: tuple[tuple[Need, str], ...] = ()  # files and folders here that the driver needs there
    uploads: tuple[tuple[str, str], ...] = ()  # files here that the driver reads from objects, each with its address
    faults: tuple[Fault, ...] = ()  # found before, for which it can't be launched

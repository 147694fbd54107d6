"""The interface of a system that gives out nodes, and what it says of a job."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cluster.launch.record import Launched
from cluster.launch.request import Request
from lstm.records.errors import Fault, refused

SYSTEMS = ("slurm", "kubernetes")  # each is a package beside this module with a `SYSTEM`
Phase = Literal["waiting", "running", "ended", "unknown"]


@dataclass(frozen=True, slots=True)
class State:
    """What a system says of a job."""

    phase: Phase
    word: str = ""  # the system's own word for it, such as PENDING
    reason: str = ""  # why, as the system says it; with `unknown` why it could not be asked
    code: int | None = None  # the exit code of `sweep run`, once the job has ended; None if the system does not know it
    restarts: int = 0  # how many times the system has started the job again
    asked: str = ""  # the tool that has answered, such as squeue

    @property
    def is_known(self) -> bool:
        """Whether the system has said anything of the job."""
        return bool(self.word) or self.phase != "unknown"

    @property
    def lives(self) -> bool:
        """Whether the job waits or runs, as far as is known: one that can't be asked about may live."""
        return self.phase != "ended"


class System(Protocol):
    """A system that sweeps can be launched on. Each method calls the system's own tool, and none starts anything else.

    Errors of the tool itself are `BadInput`s with its own words.
    """

    name: str

    def render(self, request: Request) -> str:
        """Return the text that is submitted; nothing is asked or written."""

    def check(self, request: Request, text: str) -> Sequence[Fault]:
        """Return what is wrong with the text, as far as can be told here."""

    def intend(self, request: Request) -> Launched:
        """Return what `find` needs to know the job that `submit` is about to make. Nothing is submitted.

        Raises:
            BadInput: the system can't be asked.
        """

    def submit(self, request: Request, text: str, intent: Launched) -> Launched:
        """Submit the text and return its job.

        Raises:
            BadInput: the system has refused the text, or has not answered: then `find` may know a job.
            Unsent: nothing was submitted, for certain, as where the tool is not on this machine.
        """

    def find(self, intent: Launched) -> Launched | None:
        """Return the job that was submitted for an intent; None if there is none.

        Raises:
            BadInput: the system can't be asked.
        """

    def state(self, launched: Launched) -> State:
        """Return what the system says of a job; `unknown` with the reason where it can't be asked."""

    def stop(self, launched: Launched) -> None:
        """Ask the system to end a job so that the sweep keeps its last epochs.

        Raises:
            BadInput: the tool is missing, or the system has refused.
        """

    def logs(self, launched: Launched) -> Iterator[str]:
        """Yield the lines that the job has written so far.

        Raises:
            BadInput: there are none, or they can't be read.
        """


def system(name: str) -> System:
    """Return a system by its name.

    Raises:
        BadInput: it is none of `SYSTEMS`, as in the record of a job that a newer version has launched.
    """
    if name not in SYSTEMS:
        raise refused("launch-system-unknown", system=name)
    found: System = importlib.import_module(f"cluster.launch.{name}").SYSTEM
    return found

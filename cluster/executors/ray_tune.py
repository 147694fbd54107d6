"""Ray Tune as an executor: many trials at once, on this machine or on a cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.config import ResourcesConfig
from cluster.ray_backend.admission import Admission
from cluster.ray_backend.connection import join
from cluster.ray_backend.demand import Waiting
from cluster.ray_backend.nodes import Joined
from cluster.ray_backend.room import count_slots
from cluster.study import storage
from lstm.data.dataset import Dataset
from lstm.messages.message import Message

if TYPE_CHECKING:
    from cluster.controller import TrialController


@dataclass(frozen=True, slots=True)
class RayTune:
    """An executor on the Ray cluster at an address; without an address, on a local Ray."""

    address: str | None = None
    ours: bool = True  # whether this is the command line's own process

    @contextmanager
    def ready(
        self,
        resources: ResourcesConfig,
        checkpoints: str,
        lost: Callable[[Message], int],
        packages: Sequence[str] = (),
        waiting: Waiting | None = None,
    ) -> Iterator["JoinedCluster"]:
        """Join the cluster, or start a local one; see `Executor`."""
        with join(
            self.address, resources, checkpoints, lost, _prepare, packages, ours=self.ours, waiting=waiting
        ) as joined:
            nodes = None
            if self.address:
                tell = waiting.tell if waiting else lambda _: None
                nodes = Admission(joined.nodes, checkpoints, packages, tell, resources, joined.gpus_per_trial)
            yield JoinedCluster(joined, resources, nodes)


@dataclass(frozen=True, slots=True)
class JoinedCluster:
    """A Ray cluster as a place that is ready for trials; see `Workplace`."""

    joined: Joined
    resources: ResourcesConfig
    nodes: Admission | None = None  # the nodes that a sweep may use; None for a local Ray, which has one

    @property
    def warnings(self) -> tuple[Message, ...]:
        """Warnings about the cluster for people."""
        return self.joined.warnings

    @property
    def gpus_per_trial(self) -> float:
        """GPUs that each trial gets."""
        return self.joined.gpus_per_trial

    @property
    def grows(self) -> bool:
        """Whether the cluster has an autoscaler."""
        return self.joined.growth is not None

    def slots(self) -> int:
        """Return how many trials fit on the hosts that live now."""
        return self.nodes.slots() if self.nodes else count_slots(self.resources.cpus_per_trial, self.gpus_per_trial)

    def run(self, controller: "TrialController", series: Dataset, name: str) -> None:
        """Run the sweep with Tune."""
        from cluster.ray_backend.tune import Place, tune

        tune(controller, series, name, Place(self.resources, self.gpus_per_trial, self.nodes, self.joined.growth))


def _prepare() -> None:
    """Import what is needed as soon as Ray runs."""
    from cluster.ray_backend import tune  # noqa: F401 # for its own imports

    storage.prepare()

"""What a driver asks of whoever runs its trials: Ray Tune (`ray_tune.py`) or this process (`in_process.py`)."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from cluster.config import ResourcesConfig
from lstm.data.dataset import Dataset
from lstm.messages.message import Message

if TYPE_CHECKING:
    from cluster.controller import TrialController


class Workplace(Protocol):
    """A place that is ready for trials."""

    @property
    def warnings(self) -> tuple[Message, ...]:
        """What a person should know of it."""
        ...

    @property
    def gpus_per_trial(self) -> float:
        """GPUs that each trial gets."""
        ...

    def slots(self) -> int:
        """Trials that fit at once now."""
        ...

    def run(self, controller: "TrialController", series: Dataset, name: str) -> None:
        """Runs trials until the controller has no more, or the end is asked for.

        A worker (`cluster/worker.py`) takes what `suggest` answers. It is told of by `born`, each of its results by
        `result`, and its end by `complete`, which alone gets the result that says `done`. `let_go` is called where
        the end is asked for, `error` before the `complete` of a worker that was lost.

        Args:
            controller: Says what to run, and when a trial or the sweep is at its end.
            series: The data.
            name: The sweep's.
        """
        ...


class Executor(Protocol):
    """Runs trials."""

    def ready(
        self, resources: ResourcesConfig, checkpoints: str, lost: Callable[[Message], int], packages: Sequence[str] = ()
    ) -> AbstractContextManager[Workplace]:
        """Makes the place ready, for as long as the context lasts.

        Args:
            resources: What a trial gets.
            checkpoints: Address that each trial must be able to write to.
            lost: Called, once and from a thread, with the reason, where the place is gone; answers the exit code.
            packages: What must be installed wherever a trial runs, besides ours.

        Raises:
            BadInput: no trial could run there.
        """
        ...

"""The interface between a driver and an executor: Ray Tune (`ray_tune.py`) or this process (`in_process.py`)."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from cluster.config import ResourcesConfig
from cluster.ray_backend.demand import Waiting
from lstm.data.dataset import Dataset
from lstm.messages.message import Message

if TYPE_CHECKING:
    from cluster.controller import TrialController

SLOTS_S = 10.0  # the count of a place's slots is at most this old
GROWING_S = 1.0  # that of a place that grows


class Workplace(Protocol):
    """A place that is ready for trials."""

    @property
    def warnings(self) -> tuple[Message, ...]:
        """Warnings for people."""
        ...

    @property
    def gpus_per_trial(self) -> float:
        """GPUs that each trial gets."""
        ...

    @property
    def grows(self) -> bool:
        """Whether there may be more room later, as more is asked for."""
        ...

    def slots(self) -> int:
        """Return how many trials fit at once now."""
        ...

    def run(self, controller: "TrialController", series: Dataset, name: str) -> None:
        """Run trials until the controller has no more, or the end is asked for.

        A worker (`cluster/worker.py`) takes what the controller's `suggest` returns. The controller gets its start with
        `born`, each of its results with `result`, and its end with `complete`. Only `complete` gets the result with
        `done` set. `let_go` is called if the end is asked for, and `error` before the `complete` of a lost worker.

        Args:
            controller: Says what to run, and when a trial or the sweep is at its end.
            series: The data.
            name: The sweep's name.
        """
        ...


class Executor(Protocol):
    """A way to run trials."""

    def ready(
        self,
        resources: ResourcesConfig,
        checkpoints: str,
        lost: Callable[[Message], int],
        packages: Sequence[str] = (),
        waiting: Waiting | None = None,
    ) -> AbstractContextManager[Workplace]:
        """Prepare a place for trials; it is ready as long as the context lasts.

        Args:
            resources: What each trial gets.
            checkpoints: Address that each trial must be able to write to.
            lost: Called once, from a thread, with the reason if the place is gone; it returns the exit code.
            packages: Packages that must be installed wherever a trial runs, in addition to ours.
            waiting: Who may wait for a place that has no room yet, and is told so; None if nobody does.

        Raises:
            BadInput: no trial could run there, or the wait was ended.
        """
        ...


def limit(resources: ResourcesConfig, workplace: Workplace) -> Callable[[], int]:
    """Return a function for the limit of live trials: one a slot and a few that wait, so that no slot is idle.

    In a place that grows no more trials are suggested than that, whatever `max_concurrent` asks for: a suggestion that
    waits for a node learns nothing from the trials that end meanwhile.
    """
    fixed = resources.max_concurrent
    if fixed != "auto" and not workplace.grows:
        return lambda: fixed
    known = [time.monotonic(), workplace.slots()]

    def now() -> int:
        if time.monotonic() - known[0] > (GROWING_S if workplace.grows else SLOTS_S):
            known[:] = [time.monotonic(), workplace.slots()]
        slots = int(known[1])
        waiting = slots + max(1, slots // 8)
        return waiting if fixed == "auto" else min(waiting, fixed)

    return now

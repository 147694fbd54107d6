"""One epoch of training: its metrics, the state to resume from, and the choice of the best epoch."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from lstm.records.objective import Direction, best

Judged = Literal["validation", "test"]
SYSTEM = "system/"  # prefix of the names of figures about the machine
Why = Literal["max_epochs", "patience", "target_loss", "diverged", "judged"]


class Place(NamedTuple):
    """The position of an epoch in a trial; places compare in the order of training."""

    window: int  # the window of the backtest, from 1; without a backtest there is one
    epoch: int  # the epoch of the training for that window, from 1; 0 before the first


@dataclass(frozen=True, slots=True)
class State:
    """All that training needs to resume exactly after an epoch."""

    epoch: int
    model: Mapping[str, Any]  # state_dict after the epoch
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    best_epoch: int  # 0 while no epoch had a finite value
    best_value: float
    best_weights: Mapping[str, Any]  # state_dict of the best epoch
    history: tuple["Epoch", ...]  # all epochs of all windows so far, in order, without their states
    window: int = 1  # the window of the epoch; also of the best epoch, unless the training before the test part goes on

    @property
    def place(self) -> Place:
        """The window and number of the epoch."""
        return Place(self.window, self.epoch)


@dataclass(frozen=True, slots=True)
class Epoch:
    """The results of one epoch."""

    number: int  # from 1 in each window
    metrics: Mapping[str, float]  # train/loss, val/..., lr, grad_norm, epoch_s
    value: float  # of the metric that the sweep optimizes
    measured_at_ms: int
    stop: Why | None = None  # why this epoch is the last of its window, if it is
    state: State | None = field(default=None, compare=False, repr=False)
    window: int = 1
    # The use of the machine, by name (`system/cpu_utilization_percentage`). No result: equal epochs may differ.
    system: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def place(self) -> Place:
        """The epoch's window and number."""
        return Place(self.window, self.number)


def at(epoch: Epoch) -> str:
    """Return in words where an epoch was: `epoch 3`, or `epoch 3 of window 2`."""
    return f"epoch {epoch.number}" + (f" of window {epoch.window}" if epoch.window > 1 else "")


def stage(last: Epoch | None, epoch: int) -> str:
    """Return in words after what a trial was pruned: a later window, or `epoch` of the first; 0 means `last`."""
    if last is not None and last.window > 1:
        return f"window {last.window}"
    return f"epoch {epoch or (last.number if last else 0)}"


def same(one: float | None, other: float | None) -> bool:
    """Return whether two values are equal, both None, or both NaN."""
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))


def best_epoch(history: Iterable[Epoch], direction: Direction) -> Epoch | None:
    """Return the epoch of a window with the best value, the first one of equals.

    None if every epoch diverged or has no value.
    """
    return best((e for e in history if e.stop != "diverged"), lambda e: e.value, direction)


def epochs_s(history: Iterable[Epoch]) -> float:
    """Return the total seconds of a history's epochs, rounded to milliseconds."""
    return round(sum(e.metrics.get("epoch_s", 0.0) for e in history), 3)

"""One epoch of training: its metrics, the state to go on from, which epoch is best."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from lstm.records.objective import Direction, best

Judged = Literal["validation", "test"]
Why = Literal["max_epochs", "patience", "target_loss", "diverged"]


class Place(NamedTuple):
    """Where an epoch stands in a trial: places compare in the order in which they are trained."""

    window: int  # of the windows that the trial is judged over, from 1; there is one today
    epoch: int  # of the training for that window, from 1; 0 before the first


@dataclass(frozen=True, slots=True)
class State:
    """All that training needs to go on exactly where it stood after an epoch."""

    epoch: int
    model: Mapping[str, Any]  # state_dict after this epoch
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    best_epoch: int  # 0 while no epoch had a finite value
    best_value: float
    best_weights: Mapping[str, Any]  # state_dict of the best epoch
    history: tuple["Epoch", ...]  # one per epoch of each window so far, in order, without their states
    window: int = 1  # the best epoch, value and weights are of this window

    @property
    def place(self) -> Place:
        """That of the epoch."""
        return Place(self.window, self.epoch)


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did."""

    number: int  # from 1, in its window
    metrics: Mapping[str, float]  # train/loss, val/..., lr, grad_norm, epoch_s
    value: float  # of the metric that is searched for
    measured_at_ms: int
    stop: Why | None = None  # why this epoch is the last, if it is
    state: State | None = field(default=None, compare=False, repr=False)
    window: int = 1

    @property
    def place(self) -> Place:
        """Its window and number."""
        return Place(self.window, self.number)


def same(one: float | None, other: float | None) -> bool:
    """Whether two values are the same to the bit, or both none, or both not a number."""
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))


def best_epoch(history: Iterable[Epoch], direction: Direction) -> Epoch | None:
    """The epoch whose value is the trial's: the first of the best among those that did not diverge."""
    return best((e for e in history if e.stop != "diverged"), lambda e: e.value, direction)


def epochs_s(history: Iterable[Epoch]) -> float:
    """Seconds of a history's epochs, to the millisecond."""
    return round(sum(e.metrics.get("epoch_s", 0.0) for e in history), 3)

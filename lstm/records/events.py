"""What happens in a sweep, told while it happens: to the terminal, MLflow and the log."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lstm.messages.message import Message
from lstm.records.epoch import Epoch
from lstm.records.goodput import Goodput
from lstm.records.objective import Direction, Scalar
from lstm.records.state import Derived, TrialState


@dataclass(frozen=True, slots=True)
class SweepStarted:
    """A driver holds the sweep and is about to run trials."""

    sweep: str
    n_trials: int
    metric: str
    direction: Direction
    at_ms: int
    spec_text: str = ""  # as written, before ${} was filled in
    spec_hash: str = ""
    data_fingerprint: str = ""
    git_commit: str | None = None
    searched: tuple[str, ...] = ()  # the dotted paths that the search draws, sorted


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """An attempt at a trial begins, on a worker; also sent again for trials of an earlier driver."""

    number: int
    attempt: int
    settings: Mapping[str, Scalar]  # what was searched, by dotted path
    config: Mapping[str, Any]  # resolved, nested: task, data, model, training (before ${} was filled in)
    at_ms: int
    checkpoint: str  # the trial's address
    worker: str = ""  # host, pid and GPU numbers, for people
    derived: Derived | None = None
    is_base: bool = False  # whether these are the spec's own settings, derived or asked for by the search


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """A trial's epoch is durable: its checkpoint is written and the study knows it."""

    number: int
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial will not run again."""

    number: int
    state: TrialState
    reason: str  # "" when it simply finished
    value: float | None  # the best epoch's; in a backtest the mean over all windows
    best_epoch: int  # of the first window
    checkpoint: str  # address of the trial, "" if there is none
    at_ms: int
    place: int = 0  # among the sweep's trials in the order in which they ended, from 1
    best_value: float | None = None  # of the trials that had completed by then, this one among them
    best_epochs: tuple[int, ...] = ()  # of each window of a backtest; () without one


@dataclass(frozen=True, slots=True)
class TrialProbed:
    """What the network of a trial's best epoch is like was measured, at its end (then told before it) or later."""

    number: int
    numbers: Mapping[str, float]  # by name, `delay/half_life`
    best_epoch: int
    at_ms: int
    html: str | None = None  # the pictures, as a page


@dataclass(frozen=True, slots=True)
class TrialLost:
    """An attempt ended without the trial's end (its process or host died); it is tried again."""

    number: int
    attempt: int
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class SweepEnded:
    """This driver is done with the sweep."""

    complete: bool  # all n_trials have ended
    reason: str  # why it ended, for people
    at_ms: int
    goodput: Goodput | None = None  # None where no trial that ended has told


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for the user, for the screen and the log."""

    message: Message

    @property
    def text(self) -> str:
        """The message in a sentence, with its place."""
        return str(self.message)


Event = SweepStarted | TrialStarted | EpochEnded | TrialEnded | TrialProbed | TrialLost | SweepEnded | Notice
Record = Callable[[Event], None]


def now_ms() -> int:
    """The time of day in milliseconds, as events tell it."""
    return time.time_ns() // 1_000_000

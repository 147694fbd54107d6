"""What happens in a sweep, told while it happens: to the terminal, MLflow and the log."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lstm.messages.message import Message
from lstm.records.epoch import Epoch
from lstm.records.goodput import Goodput
from lstm.records.objective import Direction, Scalar
from lstm.records.state import Derived, TrialState

PARTS = "data_parts"  # the study's fact with the parts of its data; studies before 2026-11-30 have none
DRIVERS = "drivers"  # the study's fact with who drove it, an entry for each change; studies before 2026-11-30 have none


@dataclass(frozen=True, slots=True)
class DataPart:
    """A part of a sweep's data, as MLflow shows it."""

    context: str  # what for, in MLflow's words: training, validation, test
    name: str  # of the file; of generated data, the task
    digest: str
    count: int
    unit: str  # what is counted: rows, sequences, characters
    columns: Mapping[str, str]  # type by name: double, string, datetime
    place: str = ""  # of the file; "" for generated data


@dataclass(frozen=True, slots=True)
class Driver:
    """Who drove a sweep, and with what."""

    at_ms: int  # since when
    user: str = ""
    source: str = ""  # the name of the spec's file
    commit: str = ""  # the git commit of the spec's folder


@dataclass(frozen=True, slots=True)
class About:
    """What the pages of MLflow say of a sweep and of each of its trials."""

    task: str = ""
    metric: str = ""
    direction: str = ""
    n_trials: int = 0
    parts: tuple[DataPart, ...] = ()
    drivers: tuple[Driver, ...] = ()  # the latest is the last

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "About":
        """Return what a study's facts say."""
        base = facts.get("base") or {}
        drivers = facts.get(DRIVERS) or [{"at_ms": 0, "commit": facts.get("git_commit") or ""}]
        return cls(
            str(base.get("task", "")),
            str(base.get("metric", "")),
            str(base.get("direction", "")),
            int(facts.get("n_trials") or 0),
            tuple(DataPart(**row) for row in facts.get(PARTS) or ()),
            tuple(Driver(**row) for row in drivers),
        )

    def parts_of(self, derived: Derived | None) -> tuple[DataPart, ...]:
        """Return the parts of a trial's data: those of its sweep, or all data as the training part of a refit."""
        if derived is None or not derived.fitted:
            return self.parts
        digest, count = str(derived.fitted["data"])[:DIGITS], int(str(derived.fitted["count"]))
        trained = (part for part in self.parts if part.context == "training")
        return tuple(replace(part, digest=digest, count=count) for part in trained)

    def driver_at(self, at_ms: int) -> Driver:
        """Return who drove the sweep at a time; the first driver before that."""
        before = [driver for driver in self.drivers if driver.at_ms <= at_ms]
        return before[-1] if before else next(iter(self.drivers), Driver(0))


DIGITS = 12  # of a digest, enough to tell data apart


def driven(facts: Mapping[str, Any], by: Driver) -> list[dict[str, Any]]:
    """Return the rows of who drove a sweep, with one more for another user, spec or commit than the last.

    `facts` are the study's. Of an earlier version's sweep only the commit is known.
    """
    rows = [dict(row) for row in facts.get(DRIVERS) or ()]
    if not rows and "git_commit" in facts:
        rows = [asdict(Driver(0, commit=facts["git_commit"] or ""))]
    last = Driver(**rows[-1]) if rows else None
    by = replace(by, source=by.source or (last.source if last else ""))  # a sweep may be named without its spec
    return rows if last and replace(last, at_ms=by.at_ms) == by else [*rows, asdict(by)]


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
    epochs: int | None = None  # that were trained for it, over all windows; None if its end has no record of it


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

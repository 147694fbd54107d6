"""The decisions about a trial, stored before they are carried out: one record, and how it may change.

docs/explanation/design.md has the table of its transitions. `Study.report` asks Optuna's pruner whether a trial is
pruned; the controller decides how the trial ends. In the study each field is a user attribute of Optuna's trial.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lstm.records.goodput import Spent
from lstm.records.state import Derived, TrialState

DERIVED, FIRST, BASE = "derived", "first", "base"
ATTEMPT, LOSSES, START, PRUNED_AFTER, END = "attempt", "losses", "start", "pruned_after", "end"
Change = dict[str, Any]  # the decisions to store, by the name of their attribute


class EndIsDecided(Exception):
    """The error of a decision about a trial that comes after its end is decided."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a trial, stored before Optuna gets it, so that any driver can finish it."""

    state: TrialState
    value: float | None = None  # as the search compares it
    best_epochs: tuple[int, ...] = (0,)  # one for each window; 0 if no epoch was finite
    reason: str = ""
    diverged: bool = False
    checkpoint: str = ""  # its address, "" if there is none
    at_ms: int | None = None
    epochs_s: float | None = None
    epochs: int | None = None  # how many were trained for it, over all windows; earlier versions did not store it
    spent: Spent | None = None  # by its workers, outside its epochs
    probed: Mapping[str, Any] | None = None  # what a probe found: numbers, best_epoch, at_ms
    lost_epochs: int = 0
    second: float | None = None  # the figure of the second objective, if there is one

    @property
    def best_epoch(self) -> int:
        """The best epoch of the first window."""
        return self.best_epochs[0]

    @property
    def is_final(self) -> bool:
        """True if another try with the same settings would end in the same way."""
        return self.state == "COMPLETE" or self.diverged

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "End":
        """Read an end from a study's row; earlier versions left some fields out."""
        known = {
            name: row[name] for name in ("value", "reason", "checkpoint", "at_ms", "epochs_s", "epochs") if name in row
        }
        return cls(
            row.get("state", "FAIL"),
            **known,
            best_epochs=tuple(row.get("best_epochs", (row.get("best_epoch", 0),))),
            diverged=bool(row.get("diverged", False)),
            spent=Spent(**row["spent"]) if "spent" in row else None,
            probed=row.get("probed"),
            lost_epochs=int(row.get("lost_epochs", 0)),
            second=row.get("second"),
        )

    def row(self, *, has_second: bool) -> dict[str, Any]:
        """Return the end as plain data; `has_second` says whether there are two objectives."""
        one_window = len(self.best_epochs) == 1
        row: dict[str, Any] = {
            "state": self.state,
            "value": self.value,
            "best_epoch": self.best_epoch,
            **({} if one_window else {"best_epochs": list(self.best_epochs)}),
            "reason": self.reason,
            "diverged": self.diverged,
            "checkpoint": self.checkpoint,
        }
        spent = self.spent.row() if self.spent is not None else None
        more = {
            "at_ms": self.at_ms,
            "epochs_s": self.epochs_s,
            "epochs": self.epochs,
            "spent": spent,
            "probed": self.probed,
        }
        row |= {name: value for name, value in more.items() if value is not None}
        row |= {"lost_epochs": self.lost_epochs} if self.lost_epochs else {}
        return {**row, "second": self.second} if has_second else row


@dataclass(frozen=True, slots=True)
class Decisions:
    """All decisions about a trial. Each method returns the change to store; the caller stores it.

    After the end is decided, every method but `asked` and `ended` raises `EndIsDecided`.
    """

    derived: Derived | None = None  # None if the search suggested it
    first: int | None = None  # its place in `search.first`
    base: bool = False  # whether it is the base because `search.first` contains the spec's own settings
    attempt: int = 0  # the number of the latest, from 1
    losses: int = 0  # attempts that were lost with their process
    worker: str = ""  # of the latest attempt that has started
    started_at_ms: int | None = None  # when the first attempt started
    pruned_after: int = 0  # the epoch after which it is pruned; its probe follows
    end: End | None = None

    @property
    def is_base(self) -> bool:
        """True for the base: the trial of the spec's own settings."""
        return self.base or (self.derived is not None and self.derived.purpose == "base")

    @property
    def is_refit(self) -> bool:
        """True for a trial that is trained on all data; only `sweep refit` drives it."""
        return self.derived is not None and bool(self.derived.fitted)

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> "Decisions":
        """Read the decisions about a trial from its user attributes."""
        start = attributes.get(START, {})
        return cls(
            derived=derived_of(attributes),
            first=attributes.get(FIRST),
            base=BASE in attributes,
            attempt=int(attributes.get(ATTEMPT, 0)),
            losses=int(attributes.get(LOSSES, 0)),
            worker=str(start.get("worker", "")),
            started_at_ms=start.get("at_ms"),
            pruned_after=int(attributes.get(PRUNED_AFTER, 0)),
            end=End.of(attributes[END]) if END in attributes else None,
        )

    def asked(self) -> Change:
        """Return the change of a new trial: what it was made from and for."""
        change: Change = {DERIVED: self.derived.row()} if self.derived else {}
        change |= {FIRST: self.first} if self.first is not None else {}
        return change | ({BASE: True} if self.base else {})

    def begun(self) -> Change:
        """Return the change of another attempt."""
        self._is_open()
        return {ATTEMPT: self.attempt + 1}

    def started(self, worker: str, at_ms: int | None) -> Change:
        """Return the change of an attempt's start on a worker. The trial keeps the time of its first start."""
        self._is_open()
        first = at_ms if self.started_at_ms is None else self.started_at_ms
        return {START: {"worker": worker, "at_ms": first}}

    def lost(self) -> Change:
        """Return the change of an attempt that was lost with its process."""
        self._is_open()
        return {LOSSES: self.losses + 1}

    def pruned(self, epoch: int) -> Change:
        """Return the change of a trial that trains no further and is yet to be probed."""
        self._is_open()
        return {PRUNED_AFTER: epoch}

    def ended(self, end: End, *, has_second: bool) -> Change:
        """Return the change of the trial's end, empty if it is stored. Until Optuna has the end, it may be replaced."""
        row = end.row(has_second=has_second)
        return {} if self.end and self.end.row(has_second=has_second) == row else {END: row}

    def _is_open(self) -> None:
        if self.end is not None:
            raise EndIsDecided(f"its end is decided: {self.end.state} {self.end.reason}")


def derived_of(attributes: Mapping[str, Any]) -> Derived | None:
    """Return what a trial was made from, by its user attributes; None if the search suggested it."""
    return Derived(**attributes[DERIVED]) if DERIVED in attributes else None


def is_base(attributes: Mapping[str, Any]) -> bool:
    """Return whether a trial is the base, by its user attributes."""
    return Decisions(derived_of(attributes), base=BASE in attributes).is_base

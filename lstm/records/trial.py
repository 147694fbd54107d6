"""One trial of a sweep as its study records it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lstm.records.events import TrialEnded, TrialProbed, TrialStarted
from lstm.records.goodput import Spent
from lstm.records.objective import Scalar
from lstm.records.state import Derived, TrialState, counts


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as its study records it."""

    number: int
    state: TrialState
    value: float | None  # the value of the best epoch; in a backtest, the mean over all windows
    settings: Mapping[str, Scalar]
    config: Mapping[str, Any]
    curve: tuple[tuple[int, float], ...]  # (epoch, value), in order; of the first window, if there are several
    attempt: int = 0
    best_epoch: int = 0  # of the first window
    reason: str = ""
    diverged: bool = False
    checkpoint: str = ""
    worker: str = ""
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    epochs_s: float | None = None  # seconds of the epochs over all attempts, without waiting
    trained: int | None = None  # epochs over all windows that were trained for it; None if its end has no record of it
    lost_epochs: int = 0  # epochs at the curve's end that were in no checkpoint any more when the trial ended
    told: tuple[float, ...] = ()  # the values that the sampler received
    second: float | None = None  # the second objective's figure
    probed: TrialProbed | None = None  # the probe at the trial's end, before the sampler received the values
    spent: Spent | None = (
        None  # the workers' time in addition to the epochs; None if the trial's end has no record of it
    )
    derived: Derived | None = None
    is_base: bool = False  # whether the settings are the spec's own; such a trial is never pruned
    best_epochs: tuple[int, ...] = (0,)  # of each window
    later: tuple[tuple[int, float], ...] = ()  # (step, mean over the windows so far) of each later window of a backtest

    @property
    def steps(self) -> tuple[tuple[int, float], ...]:
        """All steps that Optuna has of the trial, with their values: epochs, then later windows."""
        return (*self.curve, *self.later)

    @property
    def counts(self) -> bool:
        """Return whether the trial counts in the search: the search asked for it, or it is a retry."""
        return counts(self.derived)

    @property
    def is_retry(self) -> bool:
        """Return whether the trial replaces another one."""
        return self.derived is not None and self.derived.purpose == "retry"

    @property
    def extends(self) -> int | None:
        """The number of the trial that this one extends, or None."""
        return self.derived.extends if self.derived else None

    @property
    def fitted(self) -> Mapping[str, Scalar]:
        """What a refit is fitted on, see `Derived`; empty for any other trial."""
        return self.derived.fitted if self.derived else {}

    @property
    def is_refit(self) -> bool:
        """Return whether the trial is trained on all data. It is never judged, and `sweep run` leaves it alone."""
        return bool(self.fitted)

    @property
    def after(self) -> int:
        """How many of its epochs its parent has trained; 0 unless it extends a trial."""
        return self.derived.after if self.derived else 0

    @property
    def compared_value(self) -> float | None:
        """The value for comparisons with other trials; None unless the trial completed and did not diverge."""
        return self.value if self.state == "COMPLETE" and not self.diverged else None

    @property
    def ended(self) -> bool:
        """Return whether the trial has ended and will not run again."""
        return self.state not in ("WAITING", "RUNNING")

    def starting(self, checkpoint: str, at_ms: int = 0) -> TrialStarted:
        """Return the event of the trial's latest start, to send it again; `at_ms` if the study has no time for it."""
        return TrialStarted(
            self.number,
            self.attempt,
            self.settings,
            self.config,
            self.started_at_ms or at_ms,
            checkpoint=checkpoint,
            worker=self.worker,
            derived=self.derived,
            is_base=self.is_base,
        )

    def ending(self, place: int = 0, best_value: float | None = None) -> TrialEnded:
        """Return the event of the trial's end, to send it again; `Sweep.endings` knows `place` and `best_value`."""
        return TrialEnded(
            self.number,
            self.state,
            self.reason,
            self.value,
            self.best_epoch,
            self.checkpoint,
            self.ended_at_ms or 0,
            place,
            best_value,
            self.best_epochs if len(self.best_epochs) > 1 else (),
            self.trained,
        )

    @property
    def duration_s(self) -> float | None:
        """Seconds of the trial's epochs; if these are not known, the seconds from its first start to its end."""
        if self.epochs_s is not None:
            return self.epochs_s
        if self.started_at_ms is None or self.ended_at_ms is None:
            return None
        return (self.ended_at_ms - self.started_at_ms) / 1000


def epochs_named(best_epoch: int, best_epochs: Sequence[int] = ()) -> str:
    """Return the best epoch in words; in a backtest those of all windows: `epoch 3`, `epochs 3, 5, 2`."""
    return f"epochs {', '.join(map(str, best_epochs))}" if len(best_epochs) > 1 else f"epoch {best_epoch}"


def counted(number: int, what: str) -> str:
    """Return a number of things in words: `1 trial`, `2 trials`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"

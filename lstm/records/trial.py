"""One trial of a sweep as it is known from its study; derived trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lstm.records.events import TrialEnded, TrialProbed, TrialStarted
from lstm.records.goodput import Spent
from lstm.records.objective import Scalar
from lstm.records.state import Derived, TrialState, counts


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as the study knows it."""

    number: int
    state: TrialState
    value: float | None  # the best epoch's
    settings: Mapping[str, Scalar]
    config: Mapping[str, Any]
    curve: tuple[tuple[int, float], ...]  # (epoch, value), in order
    attempt: int = 0
    best_epoch: int = 0
    reason: str = ""
    diverged: bool = False
    checkpoint: str = ""
    worker: str = ""
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    epochs_s: float | None = None  # time of its epochs, over all attempts; waiting is not in it
    lost_epochs: int = 0  # at its curve's end, those that no checkpoint held any more when it ended
    told: tuple[float, ...] = ()  # the values that the sampler was told
    second: float | None = None  # the second objective's figure
    probed: TrialProbed | None = None  # at its end, before the sampler was told
    spent: Spent | None = None  # of its workers beside its epochs; None where a trial's end did not tell that yet
    derived: Derived | None = None
    is_base: bool = False  # whether its settings are the spec's own: never pruned, and what the best is held against

    @property
    def counts(self) -> bool:
        """Whether the search asked for it, or it stands in the place of such a trial."""
        return counts(self.derived)

    @property
    def is_retry(self) -> bool:
        """Whether it stands in another trial's place."""
        return self.derived is not None and self.derived.purpose == "retry"

    @property
    def compared_value(self) -> float | None:
        """The value that it is compared by with others: None unless it completed, did not diverge, and has one."""
        return self.value if self.state == "COMPLETE" and not self.diverged else None

    @property
    def ended(self) -> bool:
        """Whether it will not run again."""
        return self.state not in ("WAITING", "RUNNING")

    def starting(self, checkpoint: str, at_ms: int = 0) -> TrialStarted:
        """The event of its latest start, to be sent again; `at_ms` where the study does not know when."""
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
        """The event of its end, to be sent again; where the sweep stood then, `Sweep.endings` knows."""
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
        )

    @property
    def duration_s(self) -> float | None:
        """Seconds of its epochs; where they are not known, from its first start to its end."""
        if self.epochs_s is not None:
            return self.epochs_s
        if self.started_at_ms is None or self.ended_at_ms is None:
            return None
        return (self.ended_at_ms - self.started_at_ms) / 1000


def counted(number: int, what: str) -> str:
    """A number of things in words: 1 trial, 2 trials."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"

"""What MLflow is known to have of a sweep's trials, so that it is not asked about each of them again."""

import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from dashboards.tracking.contents import FITTED
from lstm.records.state import TrialState

WHOLE = {"sweep.recorded": "true"}


@dataclass(frozen=True, order=True)
class Ended:
    """The end of a trial whose run is complete."""

    at_ms: int
    number: int
    state: TrialState = field(compare=False)


def ended(run: Any) -> Ended:
    """Return the end of the trial of a complete run."""
    tags = run.data.tags
    return Ended(run.info.end_time or 0, int(tags["sweep.trial"]), tags.get("sweep.state", "FAIL"))


class Known:
    """The trials of a sweep that have runs: what one search has found, and what this driver has added since.

    This is enough as long as every call to the store has an answer. A call that failed may be carried out later, so
    from then on the store may have a run of any trial, and more than one.

    Args:
        search: Finds the runs of all trials.
    """

    def __init__(self, search: Callable[[], Iterable[Any]]) -> None:
        self._search = search
        self._numbers: set[int] | None = None
        self._ended: list[Ended] = []
        self._is_merged = False
        self._is_doubtful = False

    def doubt(self) -> None:
        """Remember that a call to the store has failed."""
        self._is_doubtful = True

    def may_have(self, number: int) -> bool:
        """Return whether the store may have a run of a trial, so that it must be searched."""
        return self._is_doubtful or number in self._look()

    def add(self, number: int) -> None:
        """Add a trial that has a run now."""
        self._look().add(number)

    def end(self, trial: Ended) -> list[Ended]:
        """Add a trial that has ended; return all of them, as `ended` does."""
        every = self.ended()
        if trial not in every:
            bisect.insort(every, trial)
        return every

    def ended(self) -> list[Ended]:
        """Return the trials with complete runs, this driver's and earlier drivers', without refits, in their order."""
        self._look()
        return self._ended

    def begin_merge(self) -> bool:
        """Return whether a trial may have several runs: nobody has looked yet, or a call has failed."""
        begins = self._is_doubtful or not self._is_merged
        self._is_merged = True
        return begins

    def _look(self) -> set[int]:
        if self._numbers is None:
            found = [run for run in self._search() if run.data.tags.get("sweep.trial", "").isdecimal()]
            whole = (run for run in found if WHOLE.items() <= run.data.tags.items() and FITTED not in run.data.tags)
            self._ended = sorted(map(ended, whole))
            self._numbers = {int(run.data.tags["sweep.trial"]) for run in found}
        return self._numbers

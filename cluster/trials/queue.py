"""Which trial is next: one to be tried again, one that is queued, or a new one."""

import time
from collections.abc import Set

from cluster.study.retry import Patience
from cluster.study.study import Study

BASE_S = 0.5  # until a trial that is the base once more looks again whether that has ended


class TrialQueue:
    """The trials of a sweep that wait for a worker."""

    def __init__(self, study: Study, insist: Patience) -> None:
        """Starts with the trials that a driver before left running, and those that are yet to be asked for.

        Raises:
            Unreachable: the study is away for too long.
        """
        self._study, self._insist = study, insist
        # When to try again at the earliest, what.
        self.ready = [(0.0, number) for number in insist(study.running)]
        self._due = insist(study.due)  # trials that are yet to be asked for
        self.is_exhausted = False  # nothing new was found to try
        base = insist(study.base_trial)
        self.base = base.number if base else None
        self.base_is_open = base is not None and not base.ended

    @property
    def is_waiting(self) -> bool:
        """Whether anything waits to be run."""
        return bool(self.ready) or self._due > 0

    def again(self, number: int, pause_s: float) -> None:
        """Has a trial tried again after a pause."""
        self.ready.append((time.monotonic() + pause_s, number))

    def next(self, live: Set[int], limit: int) -> int | None:
        """The trial to run next, if there is one; tried again after a storage error, from the top.

        Args:
            live: The trials that have a worker, or wait for one, and have not ended.
            limit: Trials that may be live at once.
        """
        if self._insist.doubt:  # a storage error may have left a suggested trial that nobody runs
            owned = live | {number for _, number in self.ready}
            orphans = [number for number in self._study.running() if number not in owned]
            self._due = self._study.due()
            self.ready += [(0.0, number) for number in orphans]
            self._insist.doubt = False
        if len(live) >= limit:
            return None
        first = min(self.ready, default=None)
        if first and first[0] <= time.monotonic():
            self._study.adopt(first[1])
            self.ready.remove(first)
            return self._unless_base_runs(first[1])
        if self._due <= 0:
            return None
        number = self._study.ask()
        self.is_exhausted = number is None
        self._due = 0 if number is None else self._due - 1
        return None if number is None else self._unless_base_runs(number)

    def _unless_base_runs(self, number: int) -> int | None:
        """A trial, but where it is the base once more: that is not trained twice, and its end is waited for."""
        if number == self.base or not self.base_is_open or not self._study.resolves_to_base(number):
            return number
        self.again(number, BASE_S)
        return None

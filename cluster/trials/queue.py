"""Which trial is next: one to be tried again, one that is queued, or a new one."""

import time
from collections.abc import Set

from cluster.study.retry import Patience
from cluster.study.study import Study
from lstm.records.sweep import Sweep

BASE_S = 0.5  # until a trial that is the base once more looks again whether that has ended


class TrialQueue:
    """The trials of a sweep that wait for a worker."""

    def __init__(self, study: Study, insist: Patience) -> None:
        """Prepares it; it is empty until it is opened."""
        self._study, self._insist = study, insist
        self.ready: list[tuple[float, int]] = []  # when to try again at the earliest, what
        self._due = 0  # trials that are yet to be asked for
        self.is_exhausted = False  # nothing new was found to try
        self.base: int | None = None  # the trial of the spec's own settings
        self.base_is_open = False

    def open(self, sweep: Sweep) -> None:
        """Takes up the trials that a driver before left running, and those that are yet to be asked for.

        Raises:
            Unreachable: the study is away for too long.
        """
        self.ready = [(0.0, trial.number) for trial in sweep.trials if trial.state == "RUNNING"]
        self._due = self._insist(self._study.due)
        self.base = sweep.base.number if sweep.base else None
        self.base_is_open = sweep.base is not None and not sweep.base.ended

    def ends(self, number: int) -> None:
        """A trial has ended; none waits for the base any more where it was that."""
        if number == self.base:
            self.base_is_open = False

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

"""The choice of the next trial: one to be tried again, a queued one, or a new one."""

import time
from collections.abc import Set

from cluster.study.retry import Patience
from cluster.study.study import Study
from cluster.trials.beside import ask, due
from lstm.records.sweep import Sweep

BASE_S = 0.5  # until a trial with the base's settings looks again whether the base has ended


class TrialQueue:
    """The trials of a sweep that wait for a worker."""

    def __init__(self, study: Study, insist: Patience, *, beside: bool = False) -> None:
        """Prepare the queue; it is empty until it is opened. With `beside`, it has no trials of the search."""
        self._study, self._insist, self._beside = study, insist, beside
        self.ready: list[tuple[float, int]] = []  # earliest time to try again, trial
        self._due = 0  # trials that are yet to be suggested
        self.is_exhausted = False  # whether nothing new was found to try
        self.base: int | None = None  # the trial of the spec's own settings
        self.base_is_open = False

    def open(self, sweep: Sweep) -> None:
        """Take over the trials that an earlier driver left running, and count those that are yet to be suggested.

        Raises:
            Unreachable: the study's database did not answer for too long.
        """
        open_ones = [trial.number for trial in sweep.trials if trial.state == "RUNNING" and not trial.is_refit]
        self.ready = [(0.0, number) for number in open_ones]
        self._due = self._insist(self._count_due)
        self.base = sweep.base.number if sweep.base else None
        self.base_is_open = sweep.base is not None and not sweep.base.ended

    def _count_due(self) -> int:
        return due(self._study) if self._beside else self._study.due()

    def _ask(self) -> int | None:
        return ask(self._study) if self._beside else self._study.ask()

    def ends(self, number: int) -> None:
        """Note that a trial has ended; if it is the base, no trial waits for it any more."""
        if number == self.base:
            self.base_is_open = False

    @property
    def is_waiting(self) -> bool:
        """True if anything waits to be run."""
        return bool(self.ready) or self._due > 0

    @property
    def count(self) -> int:
        """How many trials wait to be run."""
        return len(self.ready) + max(0, self._due)

    def again(self, number: int, pause_s: float) -> None:
        """Try a trial again after a pause, in seconds."""
        self.ready.append((time.monotonic() + pause_s, number))

    def next(self, live: Set[int], limit: int) -> int | None:
        """Return the trial to run next, or None. Call it again after a storage error: it then looks for lost trials.

        Args:
            live: The trials that have a worker, or wait for one, and have not ended.
            limit: Trials that may be live at once.
        """
        if self._insist.doubt:  # after a storage error there may be a suggested trial that nobody runs
            self.look_for_lost(live)
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
        number = self._ask()
        self.is_exhausted = number is None
        self._due = 0 if number is None else self._due - 1
        return None if number is None else self._unless_base_runs(number)

    def look_for_lost(self, live: Set[int]) -> None:
        """Take back the trials that run in the study and have no worker: a driver was killed between two writes."""
        owned = live | {number for _, number in self.ready}
        orphans = [number for number in self._study.running() if number not in owned]
        self._due = self._count_due()
        self.ready += [(0.0, number) for number in orphans]

    def _unless_base_runs(self, number: int) -> int | None:
        """Return the trial, or None if it must wait for the base's end: the base's settings are not trained twice."""
        if number == self.base or not self.base_is_open or not self._study.resolves_to_base(number):
            return number
        self.again(number, BASE_S)
        return None

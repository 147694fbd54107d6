"""Account of the workers' time: each worker measures its own without a gap, the driver adds it up by trial."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lstm.records.goodput import NOTHING, Spent

Part = Literal["start", "data", "waiting", "checkpoint", "report", "probe", "lost"]


class Clock:
    """The time of a worker since its process started, in laps that each belong to one part."""

    def __init__(self, age_s: float = 0.0) -> None:
        """Start the clock; the process is `age_s` seconds old."""
        self._mark = time.perf_counter()
        self.spent = Spent(start=age_s)  # since the last `take`

    def lap(self, part: Part, epoch_s: float = 0.0) -> None:
        """End a lap. Its time goes to a part, except the `epoch_s` seconds of an epoch."""
        now = time.perf_counter()
        self.spent += Spent(**{part: now - self._mark - epoch_s})
        self._mark = now

    def take(self) -> Spent:
        """Return what was spent since the last call."""
        taken, self.spent = self.spent, NOTHING
        return taken


@dataclass(slots=True)
class _Account:
    """What the workers of one trial have spent."""

    all: Spent = NOTHING  # over all attempts
    kept: Spent = NOTHING  # the share of it that is in the trial's checkpoint
    fresh: Spent = NOTHING  # what the attempt has reported since it last wrote


class Workers:
    """The time of a sweep's workers, added up by the driver."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start with no workers; `clock` returns seconds and never runs backwards."""
        self._clock = clock
        self._of: dict[int, _Account] = {}  # by trial, of trials that have not ended
        self._heard: dict[int, float] = {}  # by trial with a worker: when the worker last reported
        self._idle: dict[str, float] = {}  # by worker without a trial: since when
        self._beside = NOTHING  # what belongs to no trial; the next trial that ends takes it

    def begins(self, number: int, worker: str, spent: Spent, before: Spent) -> None:
        """Note that a worker has a trial.

        `spent` is what the worker spent since its last report, `before` what the trial's checkpoint knows.
        """
        if self._idle.pop(worker, None) is None:
            born = self._clock() - spent.total
            # It may replace a worker that Tune released before this one started. The time between is nobody else's.
            if before_it := [(since, other) for other, since in self._idle.items() if since <= born]:
                since, other = min(before_it)
                del self._idle[other]
                self._beside += Spent(waiting=born - since)
        account = self._of.get(number, _Account())
        self._of[number] = _Account(account.all.at_least(before), before)
        self.hears(number, spent, kept=False)

    def hears(self, number: int, spent: Spent, *, kept: bool) -> None:
        """Add what a trial's worker spent since its last report; `kept` says that it wrote a checkpoint."""
        account = self._of.setdefault(number, _Account())
        account.all, account.fresh = account.all + spent, account.fresh + spent
        if kept:
            account.kept, account.fresh = account.kept + account.fresh, NOTHING
        self._heard[number] = self._clock()

    def lets_go(self, number: int, worker: str, *, alive: bool) -> None:
        """Note that a worker no longer has its trial. If it is dead, its time since its last report is lost."""
        heard = self._heard.pop(number, None)
        if heard is None:
            return
        now = self._clock()
        if alive:
            self._idle[worker] = now
        else:
            self._beside += Spent(lost=now - heard)

    def ends(self, number: int, known: Spent) -> Spent:
        """Return the time for a trial's end; `known` is what its checkpoint knows."""
        ended = self._of.pop(number, _Account()).all.at_least(known) + self._beside
        self._beside = NOTHING
        return ended

    def disband(self) -> None:
        """Note that all workers are gone; their trials may go on with others."""
        now = self._clock()
        self._beside += Spent(waiting=sum(now - since for since in self._idle.values()))
        self._idle.clear()

    def rest(self) -> Spent:
        """Note that all workers are gone for good; return the time that is in no trial's end and in no checkpoint."""
        self.disband()
        self._beside = sum((account.all - account.kept for account in self._of.values()), self._beside)
        self._of.clear()
        return self._beside


def process_age_s() -> float:
    """Return the age of this process in seconds; 0 if it can't be known."""
    try:
        # The command's name may contain anything. After it the start time is the 20th field, in ticks since the boot.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return 0.0  # not Linux

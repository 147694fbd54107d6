"""Where the time of workers goes: each measures its own without a gap, the driver adds it up by trial."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lstm.records.goodput import NOTHING, Spent

Part = Literal["start", "data", "waiting", "checkpoint", "report", "probe", "lost"]


class Clock:
    """A worker's time from the birth of its process on, lap after lap, each of one part."""

    def __init__(self, age_s: float = 0.0) -> None:
        """Starts where the process has lived for so long."""
        self._mark = time.perf_counter()
        self.spent = Spent(start=age_s)  # what was not taken yet

    def lap(self, part: Part, epoch_s: float = 0.0) -> None:
        """Ends a lap: all of it but an epoch of so many seconds goes to a part."""
        now = time.perf_counter()
        self.spent += Spent(**{part: now - self._mark - epoch_s})
        self._mark = now

    def take(self) -> Spent:
        """What was spent since the last call."""
        taken, self.spent = self.spent, NOTHING
        return taken


@dataclass(slots=True)
class _Account:
    """What one trial's workers have spent."""

    all: Spent = NOTHING  # over all attempts
    kept: Spent = NOTHING  # of it what the trial's checkpoint knows
    fresh: Spent = NOTHING  # what the attempt has told since it last wrote


class Workers:
    """The time of a sweep's workers as its driver adds it up."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Prepares it; `clock` gives seconds and never runs backwards."""
        self._clock = clock
        self._of: dict[int, _Account] = {}  # by trial; those that have not ended
        self._heard: dict[int, float] = {}  # of each trial that a worker has: when it last answered
        self._idle: dict[str, float] = {}  # workers without a trial, since when
        self._beside = NOTHING  # what no trial's worker has told; the next end of a trial takes it along

    def begins(self, number: int, worker: str, spent: Spent, before: Spent) -> None:
        """A worker has a trial: what it has spent since it was last heard, and what the trial's checkpoint knows."""
        if self._idle.pop(worker, None) is None:
            born = self._clock() - spent.total
            # It may be in the place of one that Tune had let go before it was born; the time between is nobody else's.
            if before_it := [(since, other) for other, since in self._idle.items() if since <= born]:
                since, other = min(before_it)
                del self._idle[other]
                self._beside += Spent(waiting=born - since)
        account = self._of.get(number, _Account())
        self._of[number] = _Account(account.all.at_least(before), before)
        self.hears(number, spent, kept=False)

    def hears(self, number: int, spent: Spent, *, kept: bool) -> None:
        """A trial's worker tells what it has spent since it was last heard; `kept` says that it wrote a checkpoint."""
        account = self._of.setdefault(number, _Account())
        account.all, account.fresh = account.all + spent, account.fresh + spent
        if kept:
            account.kept, account.fresh = account.kept + account.fresh, NOTHING
        self._heard[number] = self._clock()

    def lets_go(self, number: int, worker: str, *, alive: bool) -> None:
        """A worker has its trial no longer; where it is dead, what it did since it was last heard is lost."""
        heard = self._heard.pop(number, None)
        if heard is None:
            return
        now = self._clock()
        if alive:
            self._idle[worker] = now
        else:
            self._beside += Spent(lost=now - heard)

    def ends(self, number: int, known: Spent) -> Spent:
        """What a trial's end shall say; `known` is what its checkpoint knows."""
        ended = self._of.pop(number, _Account()).all.at_least(known) + self._beside
        self._beside = NOTHING
        return ended

    def disband(self) -> None:
        """All workers are gone; their trials may go on with others."""
        now = self._clock()
        self._beside += Spent(waiting=sum(now - since for since in self._idle.values()))
        self._idle.clear()

    def rest(self) -> Spent:
        """All workers are gone for good: what neither a trial's end nor the checkpoint of one that goes on knows."""
        self.disband()
        self._beside = sum((account.all - account.kept for account in self._of.values()), self._beside)
        self._of.clear()
        return self._beside


def process_age_s() -> float:
    """How long this process has lived; 0 where that can't be known."""
    try:
        # After the command's name, which may hold anything, the start time is the 20th, in ticks since the boot.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return 0.0  # not Linux

"""Open hours: the times of a week at which rows are measured, as at an exchange; closed times are no steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lstm.config.forecast import OPEN_HOURS
from lstm.data.tables.timing import steps

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FULL = 0.85  # smallest share of the open steps that must have a row
SPARSE = 0.8  # largest share of all steps that may have a row where hours are closed
FEWEST = 40  # rows that show a pattern
SURE = 8  # days of one weekday that show that another weekday is closed
MOST_TEXTS = 21  # lines of open hours that a spec may have
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class OpenHours:
    """The open times of a week."""

    texts: tuple[str, ...]  # as a spec has them: Mon-Fri 09:30-16:00, the first and the last step
    slots: np.ndarray  # (weekday, time of day) bool: whether an open step begins then
    step_s: int  # seconds between two times of day

    def are_open(self, times: pd.DatetimeIndex) -> np.ndarray:
        """Return which times are open: (time,) bool."""
        second = (times - times.normalize()).total_seconds().to_numpy()
        place = np.floor_divide(second, self.step_s).astype(np.int64)
        found: np.ndarray = self.slots[times.day_of_week, place] & (second % self.step_s == 0)
        return found

    def grid(self, times: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """Return the open times between the first and the last row, on the days that have a row."""
        every = pd.date_range(times[0], times[-1], freq=pd.Timedelta(seconds=self.step_s)).as_unit(times.unit)
        days = times.normalize().unique()
        return every[self.are_open(every) & every.normalize().isin(days)]

    def following(self, last: pd.Timestamp, count: int) -> pd.DatetimeIndex:
        """Return the open times that follow a time: (count,)."""
        a_week = int(self.slots.sum())
        weeks = count // max(a_week, 1) + 2
        ahead = pd.date_range(last, last + pd.Timedelta(weeks=weeks), freq=pd.Timedelta(seconds=self.step_s))[1:]
        return ahead[self.are_open(ahead)][:count]

    @property
    def per_day(self) -> int:
        """The usual number of open steps of an open day."""
        counts = self.slots.sum(axis=1)
        return int(np.bincount(counts[counts > 0]).argmax())

    @property
    def per_week(self) -> int:
        """The open steps of a week."""
        return int(self.slots.sum())


def of(texts: Sequence[str], step: str) -> OpenHours | None:
    """Return the open hours that texts say, for a step; None if the step does not divide a day."""
    try:
        step_s = steps.length_of(step).total_seconds()
    except ValueError:
        return None
    if not 1 <= step_s <= DAY_S or step_s % 1 or DAY_S % step_s:
        return None
    written = [OPEN_HOURS.fullmatch(text) for text in texts]
    width = math.gcd(int(step_s), *(_seconds(each[3]) for each in written if each))
    slots = np.zeros((7, DAY_S // width), dtype=bool)
    for found in written:
        if found is None:
            return None
        first, last = DAYS.index(found[1]), DAYS.index(found[2] or found[1])
        days = [day % 7 for day in range(first, (last if last >= first else last + 7) + 1)]
        opens, closes = _seconds(found[3]) // width, _seconds(found[4]) // width
        slots[days, opens : closes + 1 : int(step_s) // width] = True
    return OpenHours(tuple(texts), slots, width)


def find(times: pd.DatetimeIndex, step: str) -> OpenHours | None:
    """Return the open hours of sorted times; None if the rows go through day and night, or have no pattern."""
    whole = of((), step)
    if whole is None or len(times) < FEWEST:
        return None
    second = (times - times.normalize()).total_seconds().to_numpy()
    if (second % 1 != 0).any() or len(phases := np.unique(second % whole.step_s)) > 1:
        return None
    base = math.gcd(whole.step_s, int(phases[0]))
    days, every = times.normalize(), (times[-1] - times[0]).total_seconds() / whole.step_s + 1
    count = np.bincount(days.unique().day_of_week, minlength=7)
    if len(times) > SPARSE * every and (count.all() or count.max() < SURE):
        return None
    seen = np.zeros((7, DAY_S // base))
    np.add.at(seen, (times.day_of_week, second.astype(np.int64) // base), 1)
    slots = seen > 0
    if len(times) < FULL * float((slots * count[:, None]).sum()):
        # Seldom times, such as a longer evening, are no open hours, but their rows would be lost.
        return None
    if slots[:, :: max(whole.step_s // base, 1)].all():
        return None
    texts = _texts(slots, base, whole.step_s // base)
    found = of(texts, step) if len(texts) <= MOST_TEXTS else None
    return found if found is not None and bool(found.are_open(times).all()) else None


def _texts(slots: np.ndarray, base_s: int, width: int) -> tuple[str, ...]:
    """Return the open times as a spec has them: neighbouring weekdays with the same times together."""
    found, day = list[str](), 0
    while day < 7:
        last = day
        while last + 1 < 7 and bool((slots[last + 1] == slots[day]).all()):
            last += 1
        name = DAYS[day] if last == day else f"{DAYS[day]}-{DAYS[last]}"
        open_at = np.flatnonzero(slots[day])
        for run in np.split(open_at, np.flatnonzero(np.diff(open_at) != width) + 1):
            if len(run):
                found.append(f"{name} {_clock(int(run[0]) * base_s)}-{_clock(int(run[-1]) * base_s)}")
        day = last + 1
    return tuple(found)


def _clock(second: int) -> str:
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    return text if second % 60 == 0 else f"{text}:{second % 60:02d}"


def _seconds(text: str) -> int:
    parts = [int(each) for each in text.split(":")] + [0]
    return parts[0] * 3600 + parts[1] * 60 + parts[2]

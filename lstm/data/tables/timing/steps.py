"""The step between the rows of a table: found from the times, and as an offset that counts on from a time."""

import re
from typing import Any

import numpy as np
import pandas as pd

from lstm.data.tables import reader

STEADY = 1000  # rows that suffice to infer the step of evenly spaced times; months are not even over so many
SEASONS_S = (86_400, 7 * 86_400, 365.25 * 86_400)  # a day, a week, a year
MIDDLE = "MS+{}D"  # months that begin so many days after the first: labels on the 15th are MS+14D
DAYS = re.compile(r"MS((?:\+\d+D){2,})")  # several days of each month: dekads are MS+0D+10D+20D
MOST_DAYS = 6  # of a month: five days each
JITTER = 0.25  # of a step: the usual distance from the even step up to which rows belong to the nearest step
ALONE = 0.98  # share of rows that must be alone at their nearest step


def infer(times: pd.Index) -> str | None:
    """Return the step of sorted times as a pandas offset (or distance of whole numbers), None if it is irregular."""
    if len(times) < 2:
        return None
    if is_steady(times):
        times = times[:STEADY]
    gaps = pd.Series(times[1:] - times[:-1])
    usual = gaps.mode().iloc[0]
    if not isinstance(times, pd.DatetimeIndex):
        return str(int(usual)) if bool((gaps > 0).all()) and bool(((gaps % usual) == 0).all()) else None
    if not times.is_unique:
        return None
    return (
        _months(times)
        or _days(times)
        or (offset_text(usual) if bool(((gaps % usual) == pd.Timedelta(0)).all()) else None)
    )


def is_steady(times: pd.Index) -> bool:
    """Return whether all times are evenly spaced."""
    numbers = times.to_numpy().view(np.int64)
    return all(
        bool((np.diff(numbers[max(rows.start - 1, 0) : rows.stop]) == np.diff(numbers[:2])).all())
        for rows in reader.spans(len(numbers))
    )


def _months(times: pd.DatetimeIndex) -> str | None:
    """Return the step of times at one place in a month: its start or end, a working day, one day; else None."""
    distances = np.diff(times.year.to_numpy() * 12 + times.month.to_numpy())
    usual = int(pd.Series(distances).mode().iloc[0])
    if usual < 1 or (distances % usual).any() or (times - times.normalize()).nunique() > 1:
        return None
    times = pd.DatetimeIndex(times.to_numpy())  # or is_month_end would mean the end of the freq's months
    at = {"S": times.day == 1, "E": times.is_month_end}
    side = next((side for side, there in at.items() if bool(there.all())), None)
    if side is None:
        return _within_months(times, usual)
    # pandas' quarters and years start in January. Other ones are counted in months.
    whole = (times.month[0] - (side == "S")) % usual == 0
    unit = {1: "M", 3: "Q", 12: "Y"}.get(usual) if whole else None
    return f"{unit}{side}" if unit else f"{usual}M{side}"


def _within_months(times: pd.DatetimeIndex, usual: int) -> str | None:
    """Return the step of times on the last or first working day of months, or on one day of each month."""
    if len(times) < 4:
        return None
    count = "" if usual == 1 else str(usual)
    for side in ("BME", "BMS"):
        if bool(times.normalize().isin(pd.date_range(times[0].normalize(), times[-1], freq=side)).all()):
            return f"{count}{side}"
    days = np.unique(times.day)
    return f"{count}{MIDDLE.format(days[0] - 1)}" if len(days) == 1 and days[0] <= 28 else None


def _days(times: pd.DatetimeIndex) -> str | None:
    """Return the step of times on the same few days of all months, such as the 1st, 11th and 21st; else None."""
    some = np.unique(times[:STEADY].day)
    if not 2 <= len(some) <= MOST_DAYS or some[-1] > 28 or len(times) < 3 * len(some):
        return None
    if (times != times.normalize()).any() or not times.day.isin(some).all():
        return None
    rows = pd.Series(times.day).value_counts()  # a day that is rare is no day of each month
    months = times.to_period("M").nunique()
    return f"MS{''.join(f'+{day - 1}D' for day in some)}" if rows.min() > months / 2 else None


def days_of(step: str) -> list[int]:
    """Return the days of each month at which a step begins, counted from 0; [] for other steps."""
    found = DAYS.fullmatch(step)
    return [int(day) for day in re.findall(r"\d+", found[1])] if found else []


def _in_months(first: pd.Timestamp, months: int, days: list[int]) -> pd.DatetimeIndex:
    """Return the given days of so many months, from that of a time on."""
    starts = pd.date_range(first.normalize().replace(day=1), periods=months, freq="MS")
    every = np.sort(np.concatenate([(starts + pd.Timedelta(days=day)).to_numpy() for day in days]))
    return pd.DatetimeIndex(every)


def offset_text(gap: pd.Timedelta) -> str:
    """Return a length of time as a step is written: 15min."""
    for unit in ("D", "h", "min", "s", "ms", "us"):
        one = pd.Timedelta(1, unit)
        if gap % one == pd.Timedelta(0):
            return f"{gap // one}{unit}"
    return f"{gap.as_unit('ns').value}ns"


def split(step: str) -> tuple[str, pd.Timedelta]:
    """Return a step's offset as pandas writes it, and by how much each label is later."""
    text, plus, days = step.partition("+")
    if not plus:
        return step, pd.Timedelta(0)
    return text, pd.Timedelta(days)


def offset_of(step: str) -> pd.offsets.BaseOffset:
    """Return a step as pandas' offset.

    Raises:
        ValueError: it is no step.
    """
    if days := days_of(step):
        return pd.offsets.Day(30 // len(days))
    return pd.tseries.frequencies.to_offset(split(step)[0])


def length_of(step: str) -> pd.Timedelta:
    """Return the length of a step.

    Raises:
        ValueError: it is no step, or has no fixed length, as months have none.
    """
    offset: Any = offset_of(step if not days_of(step) else "MS")
    return pd.Timedelta(offset)


def following(first: pd.Timestamp, step: str, count: int) -> pd.DatetimeIndex:
    """Return times from the first one on, a step apart: (count,)."""
    if days := days_of(step):
        every = _in_months(first, count // len(days) + 2, days)
        return every[every >= first][:count]
    text, later = split(step)
    return pd.date_range(first - later, periods=count, freq=text) + later


def between(first: pd.Timestamp, last: pd.Timestamp, step: str) -> pd.DatetimeIndex:
    """Return the times from the first to the last one, a step apart."""
    if days := days_of(step):
        every = _in_months(first, (last.year - first.year) * 12 + last.month - first.month + 1, days)
        return every[(every >= first) & (every <= last)]
    text, later = split(step)
    grid = pd.date_range(first - later, last - later, freq=text)
    return grid + later if later else grid


def seconds(times: pd.DatetimeIndex, step: str) -> float:
    """Return the length of a step in seconds. A working day counts as 7/5 of a day, so that a week has five."""
    if days := days_of(step):
        return SEASONS_S[-1] / 12 / len(days)
    offset = offset_of(step)
    if isinstance(offset, pd.offsets.BusinessDay):
        return offset.n * 7 / 5 * 86_400
    some = times[: reader.BLOCK]  # enough: only months differ in length, and no series has so many of them
    return float(pd.Series(some[1:] - some[:-1]).median().total_seconds())


def nearest(times: pd.DatetimeIndex, step: str) -> pd.DatetimeIndex | None:
    """Return the nearest even time of each row if the rows are near even times, one row a step; else None.

    Even times are a step apart, counted from midnight or from another whole minute or second of the day.
    """
    try:
        width = length_of(step).as_unit("ns").value
        numbers = times.as_unit("ns").asi8
    except (ValueError, OverflowError):  # no fixed length, or a year that nanoseconds can't count to
        return None
    if len(numbers) < 3 or width <= 0:
        return None
    angles = (numbers % width) / width * 2 * np.pi
    phase = float(np.angle(np.exp(1j * angles).mean())) / (2 * np.pi) * width
    start = _round(phase, width, float(np.abs(np.angle(np.exp(1j * (angles - phase / width * 2 * np.pi)))).mean()))
    even = ((numbers - start + width // 2) // width) * width + start
    off = np.abs(numbers - even)
    alone = len(np.unique(even)) / len(even)
    if np.median(off) > JITTER * width or alone < ALONE or not off.any():
        return None
    return pd.DatetimeIndex(even.view("datetime64[ns]")).as_unit(times.unit)


def _round(phase: float, width: int, spread: float) -> int:
    """Return a phase rounded to the largest whole unit that is as near as the rows are spread."""
    near = max(2 * spread / (2 * np.pi) * width, 1)
    units = [width, *(n * 10**9 for n in (3600, 1800, 900, 600, 300, 60, 30, 15, 10, 5, 1)), 10**6, 1]
    for unit in units:
        whole = round(phase / unit) * unit
        if unit <= width and abs(phase - whole) <= near:
            return int(whole)
    return round(phase)


def places(grid: pd.Index, times: pd.Index) -> np.ndarray | None:
    """Return the row of each time in the grid: (row,) int32; None if a time is not in the grid. Both are sorted.

    pandas would build a hash table of the grid, which is larger than a large file's values.
    """
    wanted, found = grid.to_numpy(), np.empty(len(times), dtype=np.int32)
    for rows in reader.spans(len(times)):
        some = times[rows].to_numpy()
        found[rows] = np.minimum(np.searchsorted(wanted, some.astype(wanted.dtype)), len(wanted) - 1)
        if (wanted[found[rows]] != some).any():
            return None
    return found

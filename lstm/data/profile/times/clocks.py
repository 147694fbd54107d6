"""Times of day in a column beside a date: as texts, as numbers, or counted from the start of each day."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.config.shared.table import DAY_FRACTION, HOUR_ENDING
from lstm.data.profile.form.reading import is_text
from lstm.data.profile.times.found import apart
from lstm.data.tables import reader
from lstm.data.tables.timing import formats, numbered

HOURS = ("hour", "hr", "he", "hour ending", "hour_ending", "hourending", "hh", "h", "time", "stunde", "interval")
# An hour is named by its end.
ENDING = re.compile(
    r"(^|[^a-z])(he|end(ing|ed|s|e|zeit|datum)?|to|until|till|bis|fin|fine|hasta|stop|slut|koniec)($|[^a-z])", re.I
)
BEGINNING = re.compile(
    r"(^|[^a-z])((start|begin)(s|ing|ed|zeit|datum)?|beginn|from|since|von|d[eé]but|inicio|inizio|desde|od|fra)($|[^a-z])",
    re.I,
)
COUNTED = re.compile(
    r"(^|[^a-z])(period|interval|ptu|mtu|sp|slot|block|hour|hr|he|time|stunde|heure|hora|ora|hodina|godzina)s?($|[^a-z])"
    r"|(^|[^a-z])(hh|qh)($|[^a-z])|half.?hour|quarter.?hour|viertelstunde"
)
LAST = 240_000  # of the numbers that are times of day
COUNTS = {24: "periods_1h", 48: "periods_30min", 96: "periods_15min"}  # in a day


def is_end(name: str) -> bool:
    """Return whether a column has the ends of periods, by its name."""
    return ENDING.search(apart(name)) is not None


def are_both_ends(name: str, other: str) -> bool:
    """Return whether one of two columns has starts and the other one ends, so that they are no date and its time."""
    starts = [BEGINNING.search(apart(each)) is not None for each in (name, other)]
    return starts != starts[::-1] and is_end(name) != is_end(other)


def counted_clock(values: pa.ChunkedArray, name: str, days: pd.DatetimeIndex) -> str | None:
    """Return the format of whole numbers that count hours, half-hours or quarter-hours from 1 within each day."""
    if values.null_count or not pa.types.is_integer(values.type) or not COUNTED.search(apart(name)):
        return None  # 48 shops have numbers, too
    numbers = pd.Series(values.to_numpy())
    if not 0 <= numbers.min() <= numbers.max() <= 100 or numbers.max() < 24:
        return None
    from_0 = int(numbers.min() == 0)  # half-hours from 0 to 47; hours from 0 are no counted ones
    numbers = numbers + from_0
    grouped = numbers.groupby(np.asarray(days))
    most, counts = grouped.max(), grouped.size()
    if bool(grouped.nunique().ne(counts).any()) or bool((most - grouped.min() + 1).ne(counts).any()):
        return None
    usual = next((each for each in COUNTS if (most == each).any()), 0)
    changed = most.iloc[:-1].sub(usual).abs()
    if usual <= 24 * from_0 or not changed.iloc[1:].isin((0, usual // 24)).all():
        return None
    if from_0:
        return f"{COUNTS[usual]}_from_0"
    return HOUR_ENDING if usual == 24 and not changed.any() and most.iloc[-1] <= usual else COUNTS[usual]


def clock(values: pa.ChunkedArray, name: str) -> str | None:
    """Return the format of a column of times of day; None if it has none."""
    if values.null_count or not len(values):
        return None
    if is_text(values.type):
        return _written_clock(values.to_pandas(), name)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        return None
    numbers = reader.float64(values)
    if bool((numbers % 1 != 0).any()) and 0 <= numbers.min() <= numbers.max() < 1:
        return DAY_FRACTION if numbered.CLOCKED.search(name) or name.lower() in HOURS else None
    able = bool((numbers % 1 == 0).all()) and bool(numbers.min() >= 0) and numbers.max() <= LAST
    return _numbered_clock(numbers.astype(np.int64), name) if able else None


def _written_clock(texts: pd.Series, name: str) -> str | None:
    able, _ = formats.fitting(texts)
    if is_end(name) and not formats.clock(texts, HOUR_ENDING).isna().any():
        return HOUR_ENDING
    if clocks := [each for each in able if not formats.has_date(each)]:
        return clocks[0]
    hours = formats.clock(texts, HOUR_ENDING)
    named = bool(texts.str.strip().str.fullmatch(rf"\D{{0,4}}\d{{1,2}}([:.]?00)?({formats.HOUR_WORD})?").all())
    return HOUR_ENDING if named and not hours.isna().any() and hours.nunique() == 24 else None


def _numbered_clock(numbers: np.ndarray, name: str) -> str | None:
    low, high = int(numbers.min()), int(numbers.max())
    if name.lower().strip("<> ") in HOURS and low >= 0 and 2 < high <= 24:
        if high == 24:
            return HOUR_ENDING if low == 1 else None
        return "%H"
    if high == 2400:  # 100 to 2400 are named by their end
        named = numbered.CLOCKED.search(name) or name.lower() in HOURS
        return HOUR_ENDING if named and low == 100 and bool((numbers % 100 == 0).all()) else None
    if numbered.CLOCKED.search(name) and low >= 0 and 24 < high <= 235_959:
        form = "%H%M%S" if high > 2359 else "%H%M"
        return form if not formats.clock(pd.Series(numbers), form).isna().any() else None
    return None

"""Checks for tables with several series: one under another, or one in each row. They are refused, with the way out."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.data.profile.columns import shown
from lstm.data.profile.form.reading import is_text
from lstm.data.profile.groups import sequences
from lstm.data.tables import reader
from lstm.data.tables.content import PLAIN, Form
from lstm.data.tables.timing import formats, months, numbered
from lstm.records.errors import BadInput, refused

MOST_ALONE = 0.75  # largest share of different times in a panel
FULL = 0.9  # smallest share of all pairs of a series and a time that a panel must have
LENGTHS = {4, 7, 12, 24, 28, 29, 30, 31, 52, 53, 60, 365, 366}  # numbers of parts into which a calendar is divided
MOST_TOGETHER = 3  # columns that only together tell series apart
LEAST = 8  # columns whose names count on, in a table with a series in each row
MOST_OTHERS = 0.5  # share of other columns in such a table
COUNTED = re.compile(r"(.*?)(\d+)$")
HOUR = re.compile(r"(?:(?:h|he|hr|hour|stunde)[ _-]?)?(\d{1,2})(?::00)?", re.IGNORECASE)
CLOCK = re.compile(
    r"\D{0,3}(?:[01]?\d|2[0-4])\s?[-.,:;h ]\s?[0-5]\d\D{0,5}|(?:\d|1\d|2[0-4])\.\d+|[0-2]?\d[a-d]?", re.IGNORECASE
)
YEAR = re.compile(r"(?:1[5-9]|2[01])\d\d")
MOST_BESIDE_YEARS = 2  # columns, as the month and the day; with more, each row may be a series
MOST_TRIED = 5  # columns whose combinations are tried


@dataclass(frozen=True, slots=True)
class Apart:
    """The columns that tell the series of a table apart."""

    columns: tuple[str, ...]
    codes: np.ndarray  # (row,) the number of each row's series
    count: int  # series

    @property
    def in_blocks(self) -> bool:
        """True if the rows of each series are next to each other."""
        return int(np.count_nonzero(np.diff(self.codes))) + 1 == self.count


def _refusal(path: Path, apart: Apart, **shown_by: str) -> BadInput:
    """Return the refusal of a panel. It says what shows the series: a `time`, a `column`, or one that begins `anew`."""
    told = {"series": apart.count, "columns": list(apart.columns)}
    return refused("several-series", at=path, **told, **dict.fromkeys(("time", "column", "anew")) | shown_by)


def refuse_several(path: Path, raw: pa.Table, index: pd.Index, time: Sequence[str], form: Form = PLAIN) -> None:
    """Check that no time occurs twice.

    Raises:
        BadInput: a time occurs twice; the message names the columns that tell the series apart, if there are any.
    """
    if not index.has_duplicates:
        return
    first = index[index.duplicated()][0]
    often = {"time": shown(first), "count": int((index == first).sum())}
    others = raw.drop_columns(list(time))
    # A few times that occur twice are no panel: each series would have almost all times.
    able = index.nunique() <= MOST_ALONE * len(index)
    if able and isinstance(index, pd.DatetimeIndex) and (index == index.normalize()).all():
        _refuse_clocks(path, others)
    if able and (apart := _single(others, index, "", texts_only=False) or _together(others, index, "")):
        raise _refusal(path, apart, time=shown(first))
    row = int(np.argmax(index.duplicated()))
    at = reader.place(path, row, form)
    raise refused("time-occurs-repeatedly", at=at, column=" ".join(time), **often)


def _refuse_clocks(path: Path, others: pa.Table) -> None:
    """Check that no column beside days seems to have times of day that were not read.

    Raises:
        BadInput: a column does, by its name and its values.
    """
    for name in others.column_names:
        values = others.column(name)
        some = [str(each).strip() for each in values.slice(0, 200).drop_null().to_pylist()]
        written = all(map(CLOCK.fullmatch, some)) and not all(map(str.isdigit, some))
        if numbered.CLOCKED.search(name) and len({*some}) > 1 and written:
            raise refused("no-time-format", at=path, column=name, value=some[0])


def refuse_repeated(path: Path, raw: pa.Table, time: str) -> None:
    """Check that whole numbers in the time column do not repeat because of several series.

    Repeated numbers alone are no error: years may be one half of (year, month).

    Raises:
        BadInput: other columns tell several series apart.
    """
    index = pd.Index(raw.column(time).to_pandas())
    found = _single(raw, index, time, texts_only=True) or _numbered(raw, index, time) or _together(raw, index, time)
    if found:
        raise _refusal(path, found, column=time)


def refuse_anew(path: Path, raw: pa.Table) -> None:
    """Check that no column of numbers begins again with each value of other columns, as in one series after another.

    Raises:
        BadInput: a column does so; the message names the columns that tell the series apart.
    """
    whole = [name for name in raw.column_names if pa.types.is_integer(raw.column(name).type)]
    floats = [name for name in raw.column_names if pa.types.is_floating(raw.column(name).type)]
    counters = [n for n in (*whole, *floats) if not raw.column(n).null_count and not sequences.is_part_of_time(n)]
    for apart in itertools.chain(_ids(raw, ""), _pairs(raw, "")):
        if not apart.in_blocks and not any(map(sequences.is_id, apart.columns)):
            continue
        if len(apart.columns) == 1 and _is_calendar(apart, raw) and set(np.bincount(apart.codes).tolist()) <= LENGTHS:
            continue  # a column whose name is not English may contain months, and the numbers may be their days
        for each in counters:
            if each not in apart.columns and sequences.begin_anew(raw.column(each), apart.codes):
                raise _refusal(path, apart, anew=each)


def _single(raw: pa.Table, index: pd.Index, time: str, *, texts_only: bool) -> Apart | None:
    """Return a column with values for which no time occurs twice."""
    for name in raw.column_names:
        values = raw.column(name)
        able = is_text(values.type) or pa.types.is_dictionary(values.type) or pa.types.is_boolean(values.type)
        if name == time or not (able or (not texts_only and pa.types.is_integer(values.type))):
            continue
        codes = pd.factorize(values.to_pandas())[0]
        count = int(codes.max()) + 1
        if 1 < count <= len(index) // 2 and index.has_duplicates and _each_once(codes, index):
            return Apart((name,), codes, count)
    return None


def _numbered(raw: pa.Table, index: pd.Index, time: str) -> Apart | None:
    """Return a column of whole numbers that tells series apart: each series has almost all times, each time once."""
    for apart in _ids(raw, time):
        able = pa.types.is_integer(raw.column(apart.columns[0]).type) and _is_full(apart, index)
        # Numbers that alternate may be the months of a year in a column whose name is not English.
        if able and (apart.in_blocks or not _is_calendar(apart, raw)) and _each_once(apart.codes, index):
            return apart
    return None


def _together(raw: pa.Table, index: pd.Index, time: str) -> Apart | None:
    """Return columns that only together tell series apart: each series has almost all times, each time once."""
    found = (apart for apart in _pairs(raw, time) if _is_full(apart, index) and _each_once(apart.codes, index))
    return next(found, None)


def _is_full(apart: Apart, index: pd.Index) -> bool:
    return len(index) >= FULL * apart.count * index.nunique()


def _each_once(codes: np.ndarray, index: pd.Index) -> bool:
    return not pd.DataFrame({"time": index, "series": codes}).duplicated().any()


def _ids(raw: pa.Table, time: str) -> Iterator[Apart]:
    """Yield the columns that may tell series apart."""
    for name in raw.column_names:
        values = raw.column(name)
        able = is_text(values.type) or pa.types.is_dictionary(values.type) or pa.types.is_integer(values.type)
        if able and name != time and not values.null_count and not sequences.may_be_time(name, values):
            codes, count = sequences.codes_of(values)
            if 1 < count <= len(codes) // 2:
                yield Apart((name,), codes, count)


def _pairs(raw: pa.Table, time: str) -> Iterator[Apart]:
    """Yield two or more columns that may tell series apart together: texts, and whole numbers named like ids."""
    able = [a for a in _ids(raw, time) if sequences.is_id(a.columns[0]) or not _is_whole(raw, a.columns)]
    for size in range(2, MOST_TOGETHER + 1):
        for some in itertools.combinations(able[:MOST_TRIED], size):
            codes = pd.MultiIndex.from_arrays([each.codes for each in some]).factorize()[0]
            count = int(codes.max()) + 1
            if max(each.count for each in some) < count <= len(codes) // 2:
                yield Apart(tuple(each.columns[0] for each in some), codes, count)


def _is_calendar(apart: Apart, raw: pa.Table) -> bool:
    """Return whether a column has whole numbers that may be the months, days or hours of a time."""
    [name] = apart.columns
    if sequences.is_id(name) or not _is_whole(raw, [name]):
        return False
    numbers = np.unique(raw.column(name).to_numpy())
    return bool((np.diff(numbers) == 1).all() and numbers[0] <= 1 and numbers[-1] <= 366)


def _is_whole(raw: pa.Table, names: Sequence[str]) -> bool:
    return all(pa.types.is_integer(raw.column(name).type) for name in names)


# --- Series in rows -----------------------------------------------------------------------------------------


def refuse_wide(path: Path, raw: pa.Table) -> None:
    """Check that the columns are not the steps of series.

    Raises:
        BadInput: the columns' names count on (V1, V2 …; d_1, d_2 …) or are dates, and each row has a name of its own
            or there are more columns than rows.
    """
    names = raw.column_names
    if steps := _of_calendar(names):
        others = [name for name in names if name not in steps]
        told = {"first": steps[0], "last": steps[-1], "count": len(steps)}
        raise refused("steps-in-columns", at=path, index=others[0] if others else "", **told)
    numbers = [name for name in names if not is_text(raw.column(name).type) and not _is_time(raw.column(name).type)]
    _refuse_years(path, raw, numbers)
    steps = max((_counting(numbers), _dated(numbers)), key=len)
    if len(steps) < LEAST or len(steps) < len(numbers) * (1 - MOST_OTHERS):
        return
    others = [name for name in names if name not in steps]
    if any(_is_time(raw.column(name).type) for name in others):
        return
    named = [name for name in others if is_text(raw.column(name).type)]
    if any(_written_times(raw.column(name)) for name in named):
        return
    ids = [name for name in named if len(set(raw.column(name).to_pylist())) == raw.num_rows]
    if _dated(numbers) == steps or ids or len(steps) > raw.num_rows:
        told = {"rows": raw.num_rows, "first": steps[0], "last": steps[-1], "count": len(steps)}
        raise refused("series-in-rows", at=path, id=ids[0] if ids else others[0] if others else None, **told)


def _refuse_years(path: Path, raw: pa.Table, numbers: Sequence[str]) -> None:
    """Check that the columns of numbers are not a few years beside a week or a month.

    Raises:
        BadInput: they are, and no other column has dates.
    """
    years = [name for name in numbers if YEAR.fullmatch(name.strip())]
    others = [name for name in raw.column_names if name not in years]
    if not (1 < len(years) < LEAST and len(years) >= len(numbers) - 1 and 0 < len(others) <= MOST_BESIDE_YEARS):
        return
    beside = [raw.column(name) for name in others]
    dated = any(_is_time(each.type) or (is_text(each.type) and _written_times(each)) for each in beside)
    if not dated and {int(b) - int(a) for a, b in itertools.pairwise(years)} in ({1}, {-1}):
        told = {"first": years[0], "last": years[-1], "count": len(years)}
        raise refused("steps-in-columns", at=path, index=others[0], **told)


def _of_calendar(names: Sequence[str]) -> list[str]:
    """Return the columns that are the months of a year or the hours of a day, in order; none if some are absent."""
    named = [name for name in names if months.number_of(name)]
    if [months.number_of(name) for name in named] == [*range(1, 13)]:
        return named
    hours = [(int(found[1]), name) for name in names if (found := HOUR.fullmatch(name.strip()))]
    numbers = [number for number, _ in hours]
    return [name for _, name in hours] if numbers in ([*range(24)], [*range(1, 25)]) else []


def _counting(names: list[str]) -> list[str]:
    """Return the columns whose names have one word and numbers that count on."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if found := COUNTED.fullmatch(name.strip()):
            groups.setdefault(found[1], []).append((int(found[2]), name))
    best = max(groups.values(), key=len, default=[])
    numbers = [number for number, _ in best]
    gaps = {b - a for a, b in itertools.pairwise(numbers)}
    return [name for _, name in best] if len(gaps) == 1 and gaps != {0} else []


def _dated(names: list[str]) -> list[str]:
    """Return the columns whose names are dates, months, quarters or years."""
    found = []
    for name in names:
        forms = [each for each in formats.candidates(name.strip()) if formats.is_whole_date(each)]
        year = name.strip().isdigit() and not 1500 <= int(name) <= 2200 and len(name.strip()) == 4
        if forms and not year and (len(name.strip()) != 6 or not name.isdigit() or 150_000 < int(name) < 220_013):
            found.append(name)
    return found


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _written_times(values: pa.ChunkedArray) -> bool:
    able, _ = formats.fitting(values.slice(0, 200).drop_null().to_pandas().astype(str))
    return any(formats.is_whole_date(each) for each in able)

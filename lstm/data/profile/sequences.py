"""Which columns tell labelled sequences apart: an id that comes back row after row, and a label that stays with it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lstm.data.classify import FEWEST, MOST_CLASSES
from lstm.data.profile.columns import Column, is_text
from lstm.data.tables import reader, regular
from lstm.records.errors import BadInput

# Parts of a time: rows that share one are no sequence of their own.
UNITS = {"year", "quarter", "season", "month", "week", "weekday", "day", "hour", "minute", "date", "decade"}
UNITS |= {"yr", "qtr", "mnth", "mth", "mon", "mo", "wk", "dow", "doy", "dayofweek", "dayofyear", "hr", "min", "sec"}
YEARS = (1500, 2200)
PAUSE = 30  # steps between two parts of one series at most
IDS = {"id", "key", "code", "name", "series", "sequence", "seq", "run", "trial", "episode", "session", "sample"}
IDS |= {"group", "subject", "patient", "user", "person", "unit", "item", "store", "shop", "station", "sensor"}
IDS |= {"device", "machine"}
DATES = {"year", "quarter", "month", "week", "day", "date"}  # of these, what may be the whole time of a panel's rows
PERIODS = ("h", "D", "M", "Q", "Y", *(f"W-{day}" for day in ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")))

MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
# 10-Aug-2020, 1/5/2021 12:00 AM, Aug 10, 2020, Jan 2005, 1990Q1, 2005-01; as a whole number 20200810, 202008.
DAY = rf"\d{{1,4}}[-/. ](?:\d{{1,2}}|{MONTH})[-/. ,]+\d{{2,4}}\b.*"
WRITTEN = re.compile(rf"{DAY}|{MONTH}[-/. ,].*\d.*|\d{{4}}\W?q[1-4]|\d{{4}}-\d{{1,2}}", re.IGNORECASE)
NUMBERED = re.compile(r"(?:1[5-9]|2[01])\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])?")


@dataclass(frozen=True, slots=True)
class Grouping:
    """A way to read a table as labelled sequences."""

    id: str
    labels: tuple[str, ...]  # each can be the label
    count: int  # sequences
    in_blocks: bool  # whether the rows of each stand one after another
    times: tuple[str, ...]  # columns of times, or of years, months … in whole numbers, that no sequence has twice


def find(path: Path, raw: pa.Table, columns: Sequence[Column]) -> Iterator[Grouping]:
    """The ways to read a table as labelled sequences, one for each way to part its rows."""
    dated = [column.name for column in columns if column.kind == "time" and not column.missing]
    named = [column.name for column in columns if column.kind != "time" and _is_named(raw.column(column.name))]
    dates = [name for name in named if name.lower() in DATES and pa.types.is_integer(raw.column(name).type)]
    whole = [
        column.name for column in columns if not column.missing and pa.types.is_integer(raw.column(column.name).type)
    ]
    coded = {name: codes_of(raw.column(name)) for name in named}
    seen: list[np.ndarray] = []
    for name, (codes, count) in coded.items():
        kind = raw.column(name).type
        if pa.types.is_boolean(kind) or pa.types.is_floating(kind) or may_be_time(name, raw.column(name)):
            continue
        if not 2 * FEWEST <= count <= len(codes) // 2 or any(np.array_equal(codes, other) for other in seen):
            continue
        in_blocks = int(np.count_nonzero(np.diff(codes))) + 1 == count
        times = tuple(each for each in (*dated, *dates) if each != name and not repeats(codes, raw.column(each)))
        apart = (
            in_blocks or times or (is_id(name) and any(begin_anew(raw.column(n), codes) for n in whole if n != name))
        )
        if not apart or _is_period(path, raw, dated, codes):
            continue
        labels = tuple(each for each, found in coded.items() if each != name and _is_label(each, found, codes, count))
        if labels:
            seen.append(codes)
            yield Grouping(name, labels, count, in_blocks, times)


def codes_of(values: pa.ChunkedArray) -> tuple[np.ndarray, int]:
    """The number of each row's value, in the order in which they first stand there, and how many there are.

    Missing ones count as one value more: what lacks a label is told, and not taken for something else.
    """
    codes = pd.factorize(values.to_pandas(), use_na_sentinel=False)[0]
    return codes, int(codes.max(initial=-1)) + 1


def firsts(codes: np.ndarray) -> np.ndarray:
    """The first row of each sequence: (sequence,)."""
    rows: np.ndarray = np.unique(codes, return_index=True)[1]
    return rows


def stays(codes: np.ndarray, values: np.ndarray) -> bool:
    """Whether a column has one value in all rows of a sequence."""
    return bool((values == values[firsts(codes)][codes]).all())


def repeats(codes: np.ndarray, values: pa.ChunkedArray) -> bool:
    """Whether a column has a value twice in a sequence."""
    return bool(pd.DataFrame({"sequence": codes, "value": codes_of(values)[0]}).duplicated().any())


def begin_anew(values: pa.ChunkedArray, codes: np.ndarray) -> bool:
    """Whether numbers begin alike in each sequence and rise by one step there.

    Whole numbers in any order of the rows, since a spec can name them as the time; others in that which is there.
    """
    numbers = reader.float64(values)
    if pa.types.is_integer(values.type):
        order = np.lexsort((numbers, codes))
        numbers, codes = numbers[order], codes[order]
    first = numbers[firsts(codes)]
    with np.errstate(invalid="ignore"):
        gaps = np.diff(numbers)[codes[1:] == codes[:-1]]
        return bool(len(gaps) and (first == first[0]).all() and gaps.min() > 0 and np.ptp(gaps) < 1e-6 * gaps.max())


def is_part_of_time(name: str) -> bool:
    """Whether a column is a part of a time, by its name."""
    return any(word in UNITS for word in _words(name))


def _runs_on(times: pd.DatetimeIndex, codes: np.ndarray) -> bool:
    """Whether the times go on from one sequence to the next, but for nights and weekends."""
    gaps, within = np.abs(np.diff(times.asi8)), codes[1:] == codes[:-1]
    return bool(np.median(gaps[~within]) <= PAUSE * np.median(gaps[within]))


def is_id(name: str) -> bool:
    """Whether a column tells one thing from another, by its name."""
    return any(word in IDS for word in _words(name))


def may_be_time(name: str, values: pa.ChunkedArray) -> bool:
    """Whether a column may say when, though it could not be read as times: by its name, or as dates are written."""
    if is_part_of_time(name):
        return True
    if pa.types.is_integer(values.type) and not is_id(name) and len(values):  # years, under a name in any language
        ends = pc.min_max(values).as_py()
        if ends["min"] is not None and YEARS[0] <= ends["min"] <= ends["max"] <= YEARS[1]:
            return True
    first = values.slice(0, 20).drop_null().to_pylist()
    pattern = NUMBERED if pa.types.is_integer(values.type) else WRITTEN
    return bool(first) and all(pattern.fullmatch(str(each).strip()) for each in first)


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def _is_named(values: pa.ChunkedArray) -> bool:
    """Whether a column holds names: texts, whole numbers, yes and no."""
    kind = values.type
    if pa.types.is_floating(kind):  # whole numbers, as a table writes them that had gaps
        numbers = reader.float64(values.drop_null())
        return bool(len(numbers) and (numbers == np.floor(numbers)).all())
    named = (pa.types.is_dictionary, pa.types.is_boolean, pa.types.is_integer)
    return is_text(kind) or any(is_kind(kind) for is_kind in named)


def _is_label(name: str, found: tuple[np.ndarray, int], codes: np.ndarray, count: int) -> bool:
    """Whether a column takes a few values, each in some sequences, and one in all rows of a sequence."""
    labels, classes = found
    few = 2 <= classes <= min(count // FEWEST, MOST_CLASSES)
    return few and not is_part_of_time(name) and stays(codes, labels)


def _is_period(path: Path, raw: pa.Table, dated: Sequence[str], codes: np.ndarray) -> bool:
    """Whether the sequences are the days, weeks, months … of a time column: one series, cut by its calendar."""
    for name in dated:
        try:
            index = regular.times_of(path, raw.column(name), name)
        except BadInput:
            continue
        if isinstance(index, pd.DatetimeIndex):
            plain = index.tz_localize(None)
            cut = any(np.array_equal(codes, pd.factorize(plain.to_period(each))[0]) for each in PERIODS)
            if cut and _runs_on(plain, codes):
                return True
    return False

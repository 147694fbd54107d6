"""Search for the columns of labelled sequences: an id that repeats row after row, and a label that is fixed per id."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lstm.data.classify import FEWEST, MOST_CLASSES
from lstm.data.profile.columns import Column
from lstm.data.profile.form.reading import is_text
from lstm.data.tables import reader
from lstm.data.tables.timing import months, steps, times
from lstm.records.errors import BadInput

# Names for parts of a time. Rows with the same part are not a sequence.
UNITS = {"year", "quarter", "season", "month", "week", "weekday", "day", "hour", "minute", "date", "decade"}
UNITS |= {"yr", "qtr", "mnth", "mth", "mon", "mo", "wk", "dow", "doy", "dayofweek", "dayofyear", "hr", "min", "sec"}
UNITS |= {"yyyy", "yy", "mm", "dd", "dy", "hh", "jahr", "monat", "woche", "kw", "tag", "stunde", "annee", "mois"}
UNITS |= {"jour", "semaine", "heure", "ano", "mes", "semana", "dia", "hora"}
YEARS = (1500, 2200)
MOSTLY = 0.7  # of the rows of one series follow the one before by its step; a week of working days has four of five
PAUSE = 30  # most steps between two parts of one series
IDS = {"id", "key", "code", "name", "series", "sequence", "seq", "run", "trial", "episode", "session", "sample"}
IDS |= {"group", "subject", "patient", "user", "person", "unit", "item", "store", "shop", "station", "sensor"}
IDS |= {"device", "machine"}
DATES = {"year", "quarter", "month", "week", "day", "date"}  # names that may be the whole time of a panel's rows
PERIODS = ("h", "D", "M", "Q", "Y", *(f"W-{day}" for day in ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")))

MONTH = rf"(?:{'|'.join(months.ENGLISH)})[a-z]*"  # in other languages set 3 may be a month, and is more often a name
# 10-Aug-2020, 1/5/2021 12:00 AM, Aug 10, 2020, Jan 2005, 1990Q1, 2005-01; as whole numbers 20200810, 202008.
DAY = rf"\d{{1,4}}[-/. ](?:\d{{1,2}}|{MONTH})[-/. ,]+\d{{2,4}}\b.*"
WRITTEN = re.compile(rf"{DAY}|{MONTH}[-/. ,].*\d.*|\d{{4}}\W?q[1-4]|\d{{4}}-\d{{1,2}}", re.IGNORECASE)
NUMBERED = re.compile(r"(?:1[5-9]|2[01])\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])?")


@dataclass(frozen=True, slots=True)
class Grouping:
    """A way to read a table as labelled sequences."""

    id: str
    labels: tuple[str, ...]  # columns that can be the label
    count: int  # sequences
    in_blocks: bool  # whether the rows of each sequence are next to each other
    times: tuple[str, ...]  # columns of times, or years, months … as whole numbers, without repeats in a sequence


def find(path: Path, raw: pa.Table, columns: Sequence[Column]) -> Iterator[Grouping]:
    """Yield the ways to read a table as labelled sequences, one for each way to divide its rows."""
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
        if labels and not in_blocks and not is_id(name) and _is_one_series(path, raw, dated):
            continue  # a measured number, and another one that follows from it
        if labels:
            seen.append(codes)
            yield Grouping(name, labels, count, in_blocks, times)


def codes_of(values: pa.ChunkedArray) -> tuple[np.ndarray, int]:
    """Number the different values by their first row. Returns the number in each row (row,) and how many there are.

    A missing value counts as one more value, so that a missing label is reported and not taken for something else.
    """
    codes = pd.factorize(values.to_pandas(), use_na_sentinel=False)[0]
    return codes, int(codes.max(initial=-1)) + 1


def firsts(codes: np.ndarray) -> np.ndarray:
    """Return the first row of each sequence: (sequence,)."""
    rows: np.ndarray = np.unique(codes, return_index=True)[1]
    return rows


def stays(codes: np.ndarray, values: np.ndarray) -> bool:
    """Return whether a column has the same value in all rows of each sequence."""
    return bool((values == values[firsts(codes)][codes]).all())


def repeats(codes: np.ndarray, values: pa.ChunkedArray) -> bool:
    """Return whether a column has a value twice in a sequence."""
    return bool(pd.DataFrame({"sequence": codes, "value": codes_of(values)[0]}).duplicated().any())


def begin_anew(values: pa.ChunkedArray, codes: np.ndarray) -> bool:
    """Return whether numbers have the same first value in each sequence and rise there by a constant step.

    The rows may have any order for whole numbers, because a spec can name such a column as the time. Other numbers
    must rise in the order of the rows.
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
    """Return whether a column is a part of a time, by its name."""
    return any(word in UNITS for word in _words(name))


def _runs_on(times: pd.DatetimeIndex, codes: np.ndarray) -> bool:
    """Return whether the times continue from one sequence to the next, apart from nights and weekends."""
    gaps, within = np.abs(np.diff(times.asi8)), codes[1:] == codes[:-1]
    return bool(np.median(gaps[~within]) <= PAUSE * np.median(gaps[within]))


def is_id(name: str) -> bool:
    """Return whether a column is an id, by its name."""
    return any(word in IDS for word in _words(name))


def may_be_time(name: str, values: pa.ChunkedArray) -> bool:
    """Return whether a column that was not read as times may contain times: by its name, or by values like dates."""
    if is_part_of_time(name):
        return True
    if pa.types.is_integer(values.type) and not is_id(name) and len(values):  # years in a column with any name
        ends = pc.min_max(values).as_py()
        if ends["min"] is not None and YEARS[0] <= ends["min"] <= ends["max"] <= YEARS[1]:
            return True
    first = values.slice(0, 20).drop_null().to_pylist()
    pattern = NUMBERED if pa.types.is_integer(values.type) else WRITTEN
    return bool(first) and all(pattern.fullmatch(str(each).strip()) for each in first)


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def _is_named(values: pa.ChunkedArray) -> bool:
    """Return whether a column may contain names: texts, whole numbers, true and false."""
    kind = values.type
    if pa.types.is_floating(kind):  # a table with gaps writes whole numbers as floats
        numbers = reader.float64(values.drop_null())
        return bool(len(numbers) and (numbers == np.floor(numbers)).all())
    named = (pa.types.is_dictionary, pa.types.is_boolean, pa.types.is_integer)
    return is_text(kind) or any(is_kind(kind) for is_kind in named)


def _is_label(name: str, found: tuple[np.ndarray, int], codes: np.ndarray, count: int) -> bool:
    """Return whether a column has few values, enough sequences for each, and one value in all rows of a sequence."""
    labels, classes = found
    few = 2 <= classes <= min(count // FEWEST, MOST_CLASSES)
    return few and not is_part_of_time(name) and stays(codes, labels)


def _is_one_series(path: Path, raw: pa.Table, dated: Sequence[str]) -> bool:
    """Return whether a column has a time for each row, and the times are a step apart."""
    for name in dated:
        try:
            index = times.of(path, raw.column(name), name).index
        except BadInput:
            continue
        ordered = index.sort_values()
        gaps = pd.Series(ordered).diff().dropna()
        if index.is_unique and len(gaps) and ((gaps == gaps.mode().iloc[0]).mean() > MOSTLY or steps.infer(ordered)):
            return True
    return False


def _is_period(path: Path, raw: pa.Table, dated: Sequence[str], codes: np.ndarray) -> bool:
    """Return whether the sequences are the days, weeks, months … of a time column: one series, cut by the calendar."""
    for name in dated:
        try:
            index = times.of(path, raw.column(name), name).index
        except BadInput:
            continue
        if isinstance(index, pd.DatetimeIndex):
            plain = index.tz_localize(None)
            cut = any(np.array_equal(codes, pd.factorize(plain.to_period(each))[0]) for each in PERIODS)
            if cut and _runs_on(plain, codes):
                return True
    return False

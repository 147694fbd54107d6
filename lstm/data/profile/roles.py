"""Roles of a table's columns: the time, the target, the inputs, and columns that are not used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.data.profile import panels
from lstm.data.profile.columns import Column, is_number, is_text
from lstm.data.tables import reader, regular
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault, fault

LATEST = 0.1  # of the rows: a covariate that begins later would cost too many steps
UNIX_TIME = 100_000_000  # whole numbers from here on may be seconds since 1970
MAX_TIME_GAPS = 2.0  # if there are more steps per row, the file was not measured in this step
TIMES = ("time", "date", "datetime", "timestamp", "ds", "day", "week", "month", "quarter", "year", "hour", "t")
TARGETS = ("y", "target", "value", "demand", "sales", "price", "load", "ot", "consumption", "close")
AHEAD = ("holiday", "weekend", "workday", "workingday", "promo", "promotion")  # future values are known
CLOCK = ("year", "quarter", "month", "week", "day", "weekday", "dayofweek", "dayofyear", "hour", "minute")
COUNTERS = ("id", "index", "no", "nr", "row", "unnamed: 0")


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of the columns of numbers."""

    target: str
    target_why: str
    covariates: tuple[str, ...]  # further number columns
    known_ahead: tuple[str, ...]  # the covariates with known future values, judged by their names
    left_out: Mapping[str, str]  # number columns that are not used, each with the reason


# --- Time -------------------------------------------------------------------------------------------------


def find_time(path: Path, raw: pa.Table, columns: Sequence[Column], notes: list[Note]) -> str | None:
    """Return the time column, or None if there is none. Notes for people are added to `notes`.

    Type and content decide first, then the name if several columns are possible.

    Raises:
        BadInput: a column that is named like a time has no times, or the table has several series.
    """
    dated = [c.name for c in columns if c.kind == "time"]
    if dated:
        return min(dated, key=lambda name: _rank(name, TIMES))
    for name in (c.name for c in columns if c.kind == "other" and c.name.lower() in TIMES[:5]):
        if is_text(raw.column(name).type):
            regular.times_of(path, raw.column(name), name)  # raises an error with the place
    numbers = [c.name for c in columns if c.kind == "number"]
    named = sorted((n for n in numbers if _rank(n, TIMES) < len(TIMES)), key=lambda name: _rank(name, TIMES))
    for name in named:
        if _rises(raw.column(name)):
            if int(raw.column(name)[0].as_py()) >= UNIX_TIME:
                notes.append(note("whole-numbers-as-times", "data.time", column=name))
            return name
        panels.refuse_repeated(path, raw, name)
        notes.append(note("not-used-as-time", "data.time", column=name))
    # A first column that rises evenly counts the rows, whatever its name is. Another column may be a measurement.
    first = columns[0].name
    if len(numbers) > 1 and first == numbers[0] and _rises(raw.column(first)):
        return first
    panels.refuse_anew(path, raw)
    return None


def counts_through(raw: pa.Table, columns: Sequence[Column]) -> str | None:
    """Return a column of whole numbers that rises evenly through the file and is not named like a row number."""
    numbers = [c.name for c in columns if c.kind == "number" and c.name.lower() not in COUNTERS]
    able = [n for n in numbers if n == columns[0].name or _rank(n, TIMES) < len(TIMES)]
    return next((name for name in able if _rises(raw.column(name))), None)


def _rank(name: str, names: Sequence[str]) -> int:
    return names.index(name.lower()) if name.lower() in names else len(names)


def _rises(values: pa.ChunkedArray) -> bool:
    """Return whether values are whole numbers that, once sorted, rise in equal steps. Some may be missing."""
    if not pa.types.is_integer(values.type) or values.null_count or len(values) < 3:
        return False
    numbers = np.sort(values.to_numpy().astype(np.int64))
    gaps = np.diff(numbers)
    if not gaps.all() or regular.infer_step(pd.Index(numbers)) is None:
        return False
    return int(gaps.sum()) <= MAX_TIME_GAPS * len(gaps) * int(np.median(gaps))


# --- Roles ------------------------------------------------------------------------------------------------


def assign(path: Path, raw: pa.Table, numbers: Sequence[str]) -> Roles:
    """Assign roles to the columns of numbers (without the time column).

    Raises:
        BadInput: no column can be forecast.
    """
    left_out = {name: why for name in numbers if (why := _unfit(raw.column(name), name))}
    able = [name for name in numbers if name not in left_out]
    if not able:
        raise BadInput(no_number(path, raw, numbers, left_out))
    named = [name for name in able if _rank(name, TARGETS) < len(TARGETS)]
    target = (
        min(named, key=lambda name: _rank(name, TARGETS)) if named else ([n for n in able if not _ahead(n)] or able)[-1]
    )
    why = "by its name" if named else "the last column of numbers" if len(able) > 1 else "the only column of numbers"
    others = [name for name in able if name != target]
    late = {name: row for name in others if (row := _first_known(raw.column(name))) > LATEST * raw.num_rows}
    left_out |= {name: f"its values begin only in row {row + 1}" for name, row in late.items()}
    covariates = tuple(name for name in others if name not in late)
    return Roles(target, why, covariates, tuple(name for name in covariates if _ahead(name)), left_out)


def _ahead(name: str) -> bool:
    return name.lower().removeprefix("is_") in AHEAD


def _first_known(values: pa.ChunkedArray) -> int:
    return int(np.argmin(values.is_null().to_numpy()))


def _unfit(values: pa.ChunkedArray, name: str) -> str:
    """Return the reason why a column of numbers can be neither target nor input, "" if it can."""
    if values.null_count > len(values) / 2:
        return f"{values.null_count} of {len(values)} values are missing"
    known = reader.float64(values.drop_null())
    if not len(known) or known.min() == known.max():
        return "always the same value"
    if name.lower() in COUNTERS or (pa.types.is_integer(values.type) and len(set(np.diff(known))) == 1):
        return "only counts rows"
    if name.lower() in CLOCK and pa.types.is_integer(values.type):
        return "a part of the time: data.calendar makes better inputs"
    return ""


def no_number(path: Path, raw: pa.Table, numbers: Sequence[str], left_out: Mapping[str, str]) -> Fault:
    """Return the fault that no column can be forecast, with the reason for the most likely column."""
    if numbers:
        name = numbers[-1]
        return fault("no-column-to-forecast", at=path, column=name, why=left_out[name])
    for name in raw.column_names:
        values = raw.column(name)
        if not is_text(values.type):
            continue
        texts = values.to_pylist()
        wrong = [i for i, text in enumerate(texts) if text is not None and not is_number(text)]
        alike = sum(text is not None and is_number(text.replace(",", ".", 1)) for text in texts)
        if wrong and alike > len(texts) / 2:
            where, first = reader.place(path, wrong[0]), texts[wrong[0]]
            return fault("texts-among-numbers", at=where, column=name, value=first, count=len(wrong))
    return fault("no-column-of-numbers", at=path, **reader.listed(raw.column_names))

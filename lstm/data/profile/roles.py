"""Roles of a table's columns: the time, the target, the inputs, and columns that are not used."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.data.profile.columns import Column, is_number
from lstm.data.profile.files import GivenFile
from lstm.data.profile.form.reading import is_text
from lstm.data.profile.groups import panels
from lstm.data.profile.times import time_columns, unread
from lstm.data.profile.times.found import Found, apart
from lstm.data.tables import reader
from lstm.data.tables.timing import numbered, steps, times
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault, fault, nearest

PART = "a part of the time"
LATEST = 0.1  # of the rows: a covariate that begins later would cost too many steps
MAX_TIME_GAPS = 2.0  # if there are more steps per row, the file was not measured in this step
TIMES = ("time", "date", "datetime", "timestamp", "ds", "day", "week", "month", "quarter", "year", "hour", "t")
TARGETS = ("y", "target", "value", "demand", "sales", "price", "load", "ot", "consumption", "close")
# Words of a name, in order, that a target without one of these names may have.
TARGET_WORDS: Sequence[str] = (
    *("energy", "kwh", "mwh", "mw", "power", "pm2.5", "pm25", "pm10", "amount", "revenue", "turnover", "sales"),
    *("demand", "load", "consumption", "price", "adj", "value", "qty", "quantity", "cnt", "deaths", "cases"),
    *("passengers", "traffic", "flow"),
)
# Words of columns that are measured to explain another one.
BESIDE_WORDS = {"temp", "temperature", "humidity", "pressure", "wind", "rain", "precipitation", "dewp", "dewpoint"}
BESIDE_WORDS |= {"volume", "vol", "weather", "radiation", "cloud", "clouds"}
AHEAD = ("holiday", "weekend", "workday", "workingday", "promo", "promotion")  # future values are known
TIME_PARTS = ("year", "quarter", "month", "week", "day", "weekday", "dayofweek", "dayofyear", "hour", "minute")
OFFSET = re.compile(r"(^|[^a-z])(tz|time.?zone|(utc|gmt|tz|zone).?off(set)?)($|[^a-z])")  # of each time from UTC
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


def find_time(file: GivenFile, notes: list[Note]) -> Found | None:
    """Return the time of the rows, or None if there is none. Notes for people are added to `notes`.

    Type and content decide first, then the name if several columns are possible.

    Raises:
        BadInput: a column that is named like a time has no times, or the table has several series.
    """
    path, raw, form = file.path, file.raw, file.reading.form
    dated = [c.name for c in file.columns if c.kind == "time"]
    found = time_columns.find(path, raw, dated, form)
    if found is None or not found.times.index.is_unique:
        unread.refuse_dekads(path, raw)
    if found:
        unread.refuse_short_years(path, raw, found)
        return found
    for name in (c.name for c in file.columns if c.kind == "other" and c.name.lower() in TIMES[:5]):
        if is_text(raw.column(name).type):
            times.of(path, raw.column(name), name, form)  # raises an error with the place
    numbers = [c.name for c in file.columns if c.kind == "number"]
    named = sorted((n for n in numbers if _rank(n, TIMES) < len(TIMES)), key=lambda name: _rank(name, TIMES))
    for name in named:
        if _rises(raw.column(name)):
            return Found((name,), (), times.of(path, raw.column(name), name, form))
        panels.refuse_repeated(path, raw, name)
        notes.append(note("not-used-as-time", "data.time", column=name))
    # A first column that rises evenly counts the rows, whatever its name is. Another column may be a measurement.
    first = file.columns[0].name
    if len(numbers) > 1 and first == numbers[0] and _rises(raw.column(first)):
        if first.lower() in COUNTERS:
            unread.refuse(path, raw, file.columns)  # the rows may be numbered with the newest first
        return Found((first,), (), times.of(path, raw.column(first), first, form))
    panels.refuse_anew(path, raw)
    unread.refuse(path, raw, file.columns)
    return None


def counts_through(raw: pa.Table, columns: Sequence[Column]) -> str | None:
    """Return a column of whole numbers that rises evenly through the file and is not named like a row number."""
    numbers = [c.name for c in columns if c.kind == "number" and c.name.lower() not in COUNTERS]
    able = [n for n in numbers if n == columns[0].name or _rank(n, TIMES) < len(TIMES)]
    return next((name for name in able if _rises(raw.column(name))), None)


def _rank(name: str, names: Sequence[str]) -> int:
    name = name.lower().strip("<> ")
    return names.index(name) if name in names else len(names)


def _rises(values: pa.ChunkedArray) -> bool:
    """Return whether values are whole numbers that, once sorted, rise in equal steps. Some may be missing."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        return False
    if values.null_count or len(values) < 3:
        return False
    read = reader.float64(values)
    if (read != np.floor(read)).any() or (np.abs(read) > 2**53).any():
        return False
    numbers = np.sort(read.astype(np.int64))
    gaps = np.diff(numbers)
    if not gaps.all() or steps.infer(pd.Index(numbers)) is None:
        return False
    return int(gaps.sum()) <= MAX_TIME_GAPS * len(gaps) * int(np.median(gaps))


# --- Roles ------------------------------------------------------------------------------------------------


def assign(path: Path, raw: pa.Table, numbers: Sequence[str], given: str | None = None, *, dated: bool = True) -> Roles:
    """Assign roles to the columns of numbers (without the time column). `dated`: the rows have times of a calendar.

    Raises:
        BadInput: no column can be forecast.
    """
    left_out = {name: why for name in numbers if (why := _unfit(raw.column(name), name))}
    if dated:
        left_out = {
            name: f"{why}: data.calendar makes better inputs" * (why == PART) or why for name, why in left_out.items()
        }
    able = [name for name in numbers if name not in left_out]
    if given is not None and given not in able:
        raise BadInput(_no_target(path, raw, given, left_out))
    if not able:
        raise BadInput(no_number(path, raw, numbers, left_out))
    named = [name for name in able if _rank(name, TARGETS) < len(TARGETS)]
    measured = [name for name in able if not _ahead(name) and not pa.types.is_boolean(raw.column(name).type)]
    worded = min(measured, key=_by_words, default=None)
    if not named and worded and _by_words(worded) < len(TARGET_WORDS):
        named = [worded]
    alone = [name for name in measured if not BESIDE_WORDS & {*_words(name)}] or measured or able
    target = given or (min(named, key=lambda name: _rank(name, TARGETS)) if named else alone[-1])
    last = "the last column of numbers" if len(able) > 1 else "the only column of numbers"
    why = "by --target" if given else "by its name" if named else last
    others = [name for name in able if name != target]
    late = {name: row for name in others if (row := _first_known(raw.column(name))) > LATEST * raw.num_rows}
    left_out |= {name: f"its values begin only in row {row + 1}" for name, row in late.items()}
    covariates = tuple(name for name in others if name not in late)
    return Roles(target, why, covariates, tuple(name for name in covariates if _ahead(name)), left_out)


def _no_target(path: Path, raw: pa.Table, name: str, left_out: Mapping[str, str]) -> Fault:
    """Return the fault that the column that was given as the target can't be forecast."""
    if name not in raw.column_names:
        near = nearest(name, raw.column_names)
        return fault("column-not-in-file", at=path, column=name, near=near, **reader.listed(raw.column_names))
    return fault("no-column-to-forecast", at=path, column=name, why=left_out.get(name, "its values are not numbers"))


def _words(name: str) -> list[str]:
    return re.findall(r"pm\d+\.\d|[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def _by_words(name: str) -> int:
    """Return the rank of a name by the first word that targets often have."""
    words = _words(name)
    return min((TARGET_WORDS.index(word) for word in words if word in TARGET_WORDS), default=len(TARGET_WORDS))


def _ahead(name: str) -> bool:
    return name.lower().removeprefix("is_") in AHEAD


def _first_known(values: pa.ChunkedArray) -> int:
    return int(np.argmin(values.is_null().to_numpy()))


def _unfit(values: pa.ChunkedArray, name: str) -> str:
    """Return the reason why a column of numbers can be neither target nor input, "" if it can."""
    if values.null_count > len(values) / 2:
        return f"{values.null_count} of {len(values)} values are missing"
    if OFFSET.search(apart(name)):
        return "an offset from UTC, which is not read"
    known = reader.float64(values.drop_null())
    if not len(known) or known.min() == known.max():
        return "always the same value"
    if why := _counts(known, name) or _unfit_time(known, name):
        return why
    if name.lower() in TIME_PARTS and pa.types.is_integer(values.type):
        return PART
    return ""


def _counts(known: np.ndarray, name: str) -> str:
    """Return the reason why numbers only count rows, "" if they do not."""
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = np.diff(known)
        whole = len(gaps) > 1 and bool(np.isfinite(gaps).all()) and bool(gaps.any())
        even = whole and unread.is_even(gaps)
    if not even:
        return "only counts rows" if name.lower() in COUNTERS else ""
    return "only counts rows" if abs(gaps[0]) == 1 else f"only counts rows: it changes by {gaps[0]:.6g} in each"


def _unfit_time(known: np.ndarray, name: str) -> str:
    """Return the reason why numbers are times and no measurements, "" if they are not."""
    if unread.are_years(known) and bool((np.diff(known) > 0).all()):
        return "years with fractions, which are not read as times: write dates as in 2016-07-01"
    named = time_columns.NUMBERED.search(name.lower())
    if named and len(np.unique(known)) == len(known) and numbered.by_numbers(known):
        return "times: another column is the time"
    whole = known.min() >= 10_000 and bool((known == np.floor(known)).all())
    if numbered.DATED.search(name.lower()) and whole and len(np.unique(known)) == len(known):
        return "numbers that may be dates, which are not read: write dates as in 2016-07-01"
    return ""


def no_number(path: Path, raw: pa.Table, numbers: Sequence[str], left_out: Mapping[str, str]) -> Fault:
    """Return the fault that no column can be forecast, with the reason for the most likely column."""
    if found := _almost_numbers(path, raw):
        return found
    if numbers:
        name = numbers[-1]
        return fault("no-column-to-forecast", at=path, column=name, why=left_out[name])
    return fault("no-column-of-numbers", at=path, **reader.listed(raw.column_names))


def _almost_numbers(path: Path, raw: pa.Table) -> Fault | None:
    """Return the fault of a column of texts of which most are numbers, with the first that is none."""
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
    return None

"""The columns of a file for `sweep new`: the columns with a unique name, and the kind of values in each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.data.profile.form import reading
from lstm.data.profile.form.reading import is_text
from lstm.data.tables import reader
from lstm.data.tables.content import PLAIN, Form
from lstm.data.tables.timing import formats, zones
from lstm.messages.message import Note
from lstm.records.errors import refused

MOST = 0.8  # share of values that must be times
Kind = Literal["time", "number", "other"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file."""

    name: str
    kind: Kind
    missing: int  # rows without a value
    first_missing: str  # the place of the first missing value: FILE:LINE, FILE:ROW for Parquet; "" if there is none


def check_data(path: Path) -> None:
    """Check that a file is no spec.

    Raises:
        BadInput: it is one.
    """
    if path.suffix.lower() in {".yaml", ".yml"}:
        raise refused("spec-instead-of-data", at=path, file=str(path))


def read(path: Path) -> tuple[pa.Table, list[Note]]:
    """Read every column with a usable name, with types inferred from the values; and notes for people.

    Raises:
        BadInput: the file does not exist, can't be read, is a spec, or has no rows or no column with a unique name.
    """
    check_data(path)
    raw, _, notes = reading.find(path)
    return raw, notes


def describe(path: Path, raw: pa.Table, form: Form = PLAIN) -> tuple[Column, ...]:
    """Describe each column that was read."""
    return tuple(_described(path, raw, name, form) for name in raw.column_names)


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def shown(time: object) -> str:
    """Return a time or a row number as a text for people."""
    if isinstance(time, pd.Timestamp):
        return time.strftime("%Y-%m-%d") if time == time.normalize() else str(time)
    return str(time)


def _described(path: Path, raw: pa.Table, name: str, form: Form) -> Column:
    values = raw.column(name)
    kind: Kind = "other"
    if _is_numeric(values.type):
        kind = "number"
    elif _is_time(values.type) or (is_text(values.type) and _looks_dated(values)):
        kind = "time"
    missing = values.null_count
    first = reader.place(path, _first_null(values), form) if missing else ""
    return Column(name, kind, missing, first)


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _is_time(kind: pa.DataType) -> bool:
    is_period = isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "pandas.period"
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or is_period)


def _first_null(values: pa.ChunkedArray) -> int:
    return int(np.argmax(values.is_null().to_numpy()))


def _looks_dated(values: pa.ChunkedArray) -> bool:
    """Return whether almost all values can be read as times. Other values are reported when all are read."""
    texts = values.drop_null().to_pandas().astype(str)
    some = texts.iloc[:50]
    if not len(some) or some.str.contains(r"\d").mean() < MOST:  # pandas takes "now" and "May 1" for times
        return False
    dated = some.where(some.str.contains(r"\d+[-/.:]\d+|\d{8}"))
    if pd.to_datetime(dated, errors="coerce", utc=True, format="ISO8601").notna().mean() > MOST:
        return True
    bare = zones.without_names(some)
    able, most = formats.fitting(texts if bare is None else bare)
    return any(formats.is_whole_date(each) for each in (*able, *most))

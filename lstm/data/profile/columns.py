"""The columns of a file for `sweep new`: the columns with a unique name, and the kind of values in each."""

import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.data.tables import reader
from lstm.messages.message import Note, note
from lstm.records.errors import refused

Kind = Literal["time", "number", "other"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file."""

    name: str
    kind: Kind
    missing: int  # rows without a value
    first_missing: str  # the place of the first missing value: FILE:LINE, FILE:ROW for Parquet; "" if there is none


def read(path: Path) -> tuple[pa.Table, list[Note]]:
    """Read every column with a usable name, with types inferred from the values; and notes for people.

    Raises:
        BadInput: the file does not exist, can't be read, is a spec, or has no rows or no column with a unique name.
    """
    if path.suffix.lower() in {".yaml", ".yml"}:
        raise refused("spec-instead-of-data", at=path, file=str(path))
    names = reader.header(path)
    counts = Counter(names)
    usable = [n for n in names if n and n.isprintable() and counts[n] == 1]
    unusable = len(names) - len(usable)
    notes = [note("columns-without-own-name", count=unusable)] if unusable else []
    if not usable:
        raise refused("no-column-with-own-name", at=f"{path}:1")
    if not reader.is_parquet(path) and all(is_number(name) for name in usable):
        raise refused("numbers-instead-of-names", at=f"{path}:1")
    raw = reader.read(path, usable)
    return pa.table({name: _typed(raw.column(name)) for name in usable}), notes


def describe(path: Path, raw: pa.Table) -> tuple[Column, ...]:
    """Describe each column that was read."""
    return tuple(_described(path, raw, name) for name in raw.column_names)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


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
        return time.strftime("%Y-%m-%d" if time == time.normalize() else "%Y-%m-%d %H:%M:%S")
    return str(time)


def _typed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with NaN as a missing value. Texts that are all numbers become numbers."""
    if pa.types.is_floating(values.type):
        return pa.chunked_array([pa.array(reader.float64(values), from_pandas=True)])
    for kind in (pa.int64(), pa.float64()) if is_text(values.type) and values.null_count < len(values) else ():
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            continue
    return values


def _described(path: Path, raw: pa.Table, name: str) -> Column:
    values = raw.column(name)
    kind: Kind = "other"
    if _is_numeric(values.type):
        kind = "number"
    elif _is_time(values.type) or (is_text(values.type) and _looks_dated(values)):
        kind = "time"
    missing = values.null_count
    first = reader.place(path, _first_null(values)) if missing else ""
    return Column(name, kind, missing, first)


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _first_null(values: pa.ChunkedArray) -> int:
    return int(np.argmax(values.is_null().to_numpy()))


def _looks_dated(values: pa.ChunkedArray) -> bool:
    """Return whether most of the first values can be read as times. Other values are reported when all are read."""
    head = values.slice(0, 50).drop_null().to_pandas().astype(str)
    head = head.where(head.str.contains(r"\d+[-/.:]\d+|\d{8}"))  # pandas takes "now" and "May 1" for times
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(pd.to_datetime(head, errors="coerce", utc=True, format="mixed").notna().mean() > 0.8)

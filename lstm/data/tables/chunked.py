"""Reading of a large file in blocks: its numbers are in memory once, as float32, and its text never as a whole.

float32 has seven digits. They should resolve a column's spread, not its distance from zero. So a column is stored minus
its `base`, the mean of its first block. `lstm.data.forecast` checks whether the base is close enough to the training
part's mean. If not, the file is read again as a whole.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.config.forecast import ForecastData
from lstm.data.tables import content, reader
from lstm.data.tables.content import Form
from lstm.data.tables.digests import as_bytes
from lstm.data.tables.timing import numbered
from lstm.data.tables.timing.steps import is_steady
from lstm.records.errors import BadInput

LARGEST, SMALLEST = 1e30, 1e-30  # limits of stored values; beyond them float32 has fewer digits or none
ALMOST_A_DAY = np.timedelta64(22 * 3600, "s")  # shortest distance of two local midnights
YEARS = np.datetime64("0001-01-01", "s"), np.datetime64("10000-01-01", "s")


@dataclass(frozen=True, slots=True)
class Long:
    """The contents of a large file."""

    values: np.ndarray  # (row, column) float32, minus the base; NaN for a missing value
    base: np.ndarray  # (column,) float64
    times: pd.Index | None  # (row,) in UTC, or whole numbers; None without a time column
    zone: str | None  # the zone that the file's times are written in
    digest: str  # SHA-256 of the values as float64, in hex


def read(path: Path, config: ForecastData, form: Form) -> Long | None:
    """Read a large file whose columns are numbers, in blocks.

    Returns None if the file must be read as a whole: it is not large, its times or numbers are written in an unusual
    way, rows are averaged, or something is wrong. A reader that sees the whole file reports such errors best.

    Raises:
        BadInput: a column is absent or occurs twice, or there are too many rows.
    """
    try:
        if path.stat().st_size <= reader.LONG or reader.is_feather(path):
            return None
        if config.step or config.open_hours or config.time_zone or config.time_format or len(config.time_columns) > 1:
            return None
        if form.decimal != "." or form.thousands or not content.is_plain(path, form):
            return None
        return _read(path, next(iter(config.time_columns), None), config.columns, form)
    except (pa.ArrowException, OSError, _UnusualError):
        return None


class _UnusualError(Exception):
    """A file must be read as a whole."""


def _read(path: Path, time: str | None, columns: Sequence[str], form: Form) -> Long:
    values, stamps, kind = _Values(len(columns)), _Growing(np.int64), pa.int64()
    for block in reader.blocks(path, [*([time] if time else []), *columns], numbers=columns, form=form):
        try:
            values.add(reader.numbers(path, block, columns, form))
        except BadInput:
            raise _UnusualError from None
        if time:
            written = block.column(time)
            if pa.types.is_date(written.type):
                written = written.cast(pa.timestamp("s"))
            kind = written.type
            if written.null_count or not (pa.types.is_timestamp(kind) or pa.types.is_integer(kind)):
                raise _UnusualError
            stamps.add(written.cast(pa.int64()).to_numpy())
    zone: str | None = kind.tz if pa.types.is_timestamp(kind) else None
    times = _times(stamps.whole(), kind) if time else None
    return Long(values.whole(), values.base, times, zone, values.digest.hexdigest())


def _times(stamps: np.ndarray, kind: pa.DataType) -> pd.Index:
    if not pa.types.is_timestamp(kind):
        numbers: pd.Index = pd.Index(stamps, copy=False)
        if numbered.by_numbers(stamps) and not is_steady(numbers):
            raise _UnusualError  # they may be dates
        return numbers
    times = stamps.view(f"datetime64[{kind.unit}]")
    if not YEARS[0] <= times.min().astype(YEARS[0].dtype) <= times.max().astype(YEARS[0].dtype) < YEARS[1]:
        raise _UnusualError
    if kind.tz is not None and len(times) > 1 and np.median(np.diff(times[:1000])) >= ALMOST_A_DAY:
        raise _UnusualError  # the wall clock of a zone decides steps of days
    return pd.DatetimeIndex(times, copy=False)


class _Growing:
    """An array to which blocks of rows are added."""

    def __init__(self, dtype: type[np.generic], *width: int) -> None:
        self._rows = np.empty((0, *width), dtype)
        self.count = 0

    def add(self, block: np.ndarray) -> None:
        stop = self.count + len(block)
        if stop > len(self._rows):
            # Only a 32nd more than needed: NumPy writes zeros there, so that the memory is really used.
            self._rows.resize((stop + stop // 32, *self._rows.shape[1:]), refcheck=False)
        self._rows[self.count : stop] = block
        self.count = stop

    def whole(self) -> np.ndarray:
        self._rows.resize((self.count, *self._rows.shape[1:]), refcheck=False)
        return self._rows


class _Values(_Growing):
    """Numbers (row, column) that are added as float64 and stored as float32 minus the mean of their first block."""

    def __init__(self, columns: int) -> None:
        super().__init__(np.float32, columns)
        self.digest = hashlib.sha256()
        self.base, self._largest = np.zeros(columns), np.zeros(columns)

    def add(self, block: np.ndarray) -> None:
        if not self.count:
            if np.isnan(block).all(axis=0).any():
                raise _UnusualError
            self.base = np.nanmean(block, axis=0)
        self.digest.update(as_bytes(block))
        block -= self.base
        self._largest = np.fmax(self._largest, np.fmax.reduce(np.abs(block), axis=0))
        if not (self._largest <= LARGEST).all():
            raise _UnusualError
        super().add(block)

    def whole(self) -> np.ndarray:
        if not self.count or ((self._largest > 0) & (self._largest < SMALLEST)).any():
            raise _UnusualError
        return super().whole()

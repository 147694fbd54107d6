"""Reading of a CSV or Parquet file into a regular table: sorted, one row per step, NaN for gaps."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from lstm.config.forecast import ForecastData
from lstm.data.tables import chunked, reader, sentinels
from lstm.data.tables.sentinels import Odd
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, refused

STEADY = 1000  # rows that suffice to infer the step of evenly spaced times; months are not even over so many
OFFSET = r"[:T]\d+(?:[.,]\d+)?\s?(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)$"  # an offset from UTC after a time of day

SEASONS_S = (86_400, 7 * 86_400, 365.25 * 86_400)  # a day, a week, a year


@dataclass(frozen=True, slots=True)
class Grid:
    """Evenly spaced times, computed on request. An array of all times would be as large as a long series' values."""

    first: Any  # a datetime64 or a whole number
    gap: Any
    count: int

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return the times of rows: (row,)."""
        start, stop, _ = rows.indices(self.count)
        times: np.ndarray = self.first + self.gap * np.arange(start, stop)
        return times


@dataclass(frozen=True, slots=True)
class Table:
    """A regular time series in its original units."""

    path: Path  # the file that it was read from
    times: pd.DatetimeIndex | pd.RangeIndex | pd.Index  # (time,)
    values: np.ndarray  # (time, column) float64, NaN for a missing value; see `base`
    columns: tuple[str, ...]
    step: str  # a pandas offset ("7D", "MS"), the distance of whole numbers ("1"), or "" without a time column
    fingerprint: str  # SHA-256 of the file's bytes
    notes: tuple[Note, ...]  # what was found and done, for people
    base: np.ndarray | None = (
        None  # (column,): if not None, `values` are float32 minus this (`lstm.data.tables.chunked`)
    )
    odd: tuple[tuple[Odd, pd.Index], ...] = ()  # values far outside all others, each with the times of its rows

    @property
    def grid(self) -> Grid | np.ndarray:
        """The times: (time,), as a `Grid` if they are evenly spaced."""
        if isinstance(self.times, pd.RangeIndex):
            return Grid(np.int64(self.times.start), np.int64(self.times.step), len(self.times))
        times = self.times.to_numpy()
        return Grid(times[0], times[1] - times[0], len(times)) if len(times) > 1 and is_steady(self.times) else times


def read(config: ForecastData, path: Path, *, lean: bool = False) -> Table:
    """Read the columns that the configuration names. `lean` reads a large file's values as float32 minus a `base`.

    Raises:
        BadInput: the file, a column, a time or a value is wrong.
    """
    found = chunked.read(path, config.time, config.columns) if lean and not config.step else None
    zone, times, values = (found.zone, found.times, found.values) if found else _whole(path, config)
    notes: list[Note] = []
    index: pd.Index = pd.RangeIndex(len(values))
    step, base = "", found.base if found else None
    far = tuple(
        (each, (index if times is None else times)[each.rows])
        for each in sentinels.find(path, config.columns, values, base)
    )
    if times is not None:
        if zone:
            code, given = ("times-in-utc", {}) if zone == "UTC" else ("times-turned-into-utc", {"zone": zone})
            notes.append(note(code, "data.time", column=config.time or "", **given))
        index, values, step = _regular(path, times, values, config, notes)
    if holes := sum(int(np.isnan(values[rows]).any(axis=1).sum()) for rows in reader.spans(len(values))):
        told = {"count": holes, "steps": len(values), "missing": config.missing}
        notes.append(note("steps-with-missing-values", "data.missing", **told))
    return Table(path, index, values, tuple(config.columns), step, fingerprint(path), tuple(notes), base, far)


def _whole(path: Path, config: ForecastData) -> tuple[str | None, pd.Index | None, np.ndarray]:
    """Return the zone that times are written in, the times, and the values."""
    raw = reader.read(path, [*([config.time] if config.time else []), *config.columns], numbers=config.columns)
    values = reader.numbers(path, raw, config.columns)
    written = raw.column(config.time) if config.time else None
    del raw
    pa.system_memory_pool().release_unused()  # so that a large file's numbers are not in memory twice
    if config.time is None or written is None:
        return None, None, values
    return _zone(written), times_of(path, written, config.time), values


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def times_of(path: Path, column: pa.ChunkedArray, name: str) -> pd.Index:
    """Return the time column as times in UTC without a zone, or as whole numbers if it counts steps: (row,).

    Raises:
        BadInput: a time is missing or can't be read.
    """
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise refused("time-missing", at=reader.place(path, row), column=name)
    if pa.types.is_integer(column.type):
        try:
            numbers: pd.Index = pd.Index(column.cast(pa.int64()).to_numpy())
        except pa.ArrowInvalid as error:
            raise _unreadable(path, name, error) from None
        return numbers
    if pa.types.is_floating(column.type):
        raise refused("times-with-fractions", at=path, column=name)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))  # Python's dates end with the year 9999
    raw = pd.Series(column.to_pandas())
    try:
        times = _parsed(raw)
    except _AmbiguousError:
        raise refused("day-or-month-first", at=path, column=name, value=str(raw.iloc[0])) from None
    except (ValueError, TypeError) as error:
        raise _unreadable(path, name, error) from None
    if times.isna().any():
        row = int(np.flatnonzero(times.isna().to_numpy())[0])
        raise refused("not-a-time", at=reader.place(path, row), column=name, value=str(raw.iloc[row]))
    naive: pd.DatetimeIndex = pd.DatetimeIndex(times.dt.tz_localize(None))
    return naive


def _unreadable(path: Path, name: str, error: Exception) -> BadInput:
    return refused("times-unreadable", at=path, column=name, why=reader.first_line(error))


class _AmbiguousError(Exception):
    """Dates can be read with the day first and with the month first."""


def _parsed(raw: pd.Series) -> pd.Series:
    """Parse times in UTC as ISO 8601, else in the one format of the first value. Texts that are no times become NaT.

    Raises:
        _AmbiguousError: the dates can be read with the day first and with the month first.
    """
    text = raw.astype(str) if raw.dtype == object or isinstance(raw.dtype, pd.StringDtype) else None
    if text is not None:
        raw = raw.where(text.str.contains(r"\d"))  # pandas takes "now" for a time
    times = pd.to_datetime(raw, errors="coerce", utc=True, format="ISO8601")
    if text is not None and times.isna().any():
        times = _in_one_format(raw, otherwise=times)
    return times.where(times.dt.year.between(1, 9999))


def _in_one_format(raw: pd.Series, *, otherwise: pd.Series) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Could not infer format")  # pandas would guess value by value
        try:
            orders = [pd.to_datetime(raw, errors="coerce", utc=True, dayfirst=first) for first in (False, True)]
        except UserWarning:
            return otherwise
    whole = [times for times in orders if not times.isna().any()]
    if len(whole) == 2 and not whole[0].equals(whole[1]):
        raise _AmbiguousError
    return whole[0] if whole else otherwise


def _zone(column: pa.ChunkedArray) -> str | None:
    """Return the zone or the UTC offsets of the times as written, or None if they have none.

    pyarrow turns a CSV's times with offsets into UTC. For these times the result is UTC.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        zone: str | None = column.type.tz
        return zone
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    found = pa.compute.struct_field(pa.compute.extract_regex(column, OFFSET), "offset").drop_null().unique()
    return ", ".join(sorted({text.replace("z", "Z").replace("Z", "UTC") for text in found.to_pylist()})) or None


def infer_step(times: pd.Index) -> str | None:
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
    return _months(times) or (_offset(usual) if bool(((gaps % usual) == pd.Timedelta(0)).all()) else None)


def is_steady(times: pd.Index) -> bool:
    """Return whether all times are evenly spaced."""
    numbers = times.to_numpy().view(np.int64)
    return all(
        bool((np.diff(numbers[max(rows.start - 1, 0) : rows.stop]) == np.diff(numbers[:2])).all())
        for rows in reader.spans(len(numbers))
    )


def _months(times: pd.DatetimeIndex) -> str | None:
    """Return the step of times that are all at the start of a month or all at its end, None for other times."""
    distances = np.diff(times.year.to_numpy() * 12 + times.month.to_numpy())
    usual = int(pd.Series(distances).mode().iloc[0])
    if usual < 1 or (distances % usual).any() or (times - times.normalize()).nunique() > 1:
        return None
    at = {"S": times.day == 1, "E": times.is_month_end}
    side = next((side for side, there in at.items() if bool(there.all())), None)
    if side is None:
        return None
    # pandas' quarters and years start in January. Other ones are counted in months.
    whole = (times.month[0] - (side == "S")) % usual == 0
    unit = {1: "M", 3: "Q", 12: "Y"}.get(usual) if whole else None
    return f"{unit}{side}" if unit else f"{usual}M{side}"


def _offset(gap: pd.Timedelta) -> str:
    for unit in ("D", "h", "min", "s", "ms", "us"):
        one = pd.Timedelta(1, unit)
        if gap % one == pd.Timedelta(0):
            return f"{gap // one}{unit}"
    return f"{gap.as_unit('ns').value}ns"


def _regular(
    path: Path, times: pd.Index, values: np.ndarray, config: ForecastData, notes: list[Note]
) -> tuple[pd.Index, np.ndarray, str]:
    if not times.is_monotonic_increasing:
        order = np.argsort(times.to_numpy(), kind="stable")
        times, values = times[order], values[order]
        notes.append(note("rows-sorted-by-time", "data.time"))
    if times.has_duplicates and not config.step:
        first = times[times.duplicated()][0]
        count = int((times == first).sum())
        raise refused("time-occurs-repeatedly", at=path, column=config.time, time=str(first), count=count)
    if isinstance(times, pd.DatetimeIndex):
        return _regular_times(path, times, values, config, notes)
    if config.calendar or config.step:
        field = f"data.{'calendar' if config.calendar else 'step'}"
        raise refused("numbers-are-no-times", field, column=config.time, file=str(path))
    step = infer_step(times) or ("1" if len(times) < 2 else None)
    if step is None:
        raise refused("numbers-irregular", at=path, column=config.time)
    _check_size(path, (int(times[-1]) - int(times[0])) / int(step), len(times), step)
    grid = pd.RangeIndex(int(times[0]), int(times[-1]) + 1, int(step))
    return _on_grid(path, grid, times, values, config, notes, step)


def _regular_times(
    path: Path, times: pd.DatetimeIndex, values: np.ndarray, config: ForecastData, notes: list[Note]
) -> tuple[pd.Index, np.ndarray, str]:
    step = config.step or infer_step(times)
    if step is None:
        if len(times) < 2:
            raise refused("only-one-row", at=path)
        gaps = times[1:] - times[:-1]
        raise refused("times-irregular", at=path, shortest=str(gaps.min()), longest=str(gaps.max()))
    if not config.step and is_steady(times):
        return times, values, step  # no grid is built, which would be as large as a large file's values
    try:
        offset = pd.tseries.frequencies.to_offset(step)
    except ValueError:
        offset = None
    try:
        if offset is None or times[0] + offset <= times[0]:
            raise refused("not-a-step", "data.step", step=step)
        width = (times[0] + offset + offset) - (times[0] + offset)
        _check_size(path, (times[-1] - times[0]) / width, len(times), step)
        grid = pd.date_range(times[0], times[-1], freq=offset)
        if grid.empty:
            span = {"first": str(times[0]), "last": str(times[-1])}
            raise refused("no-step-ends", "data.step", step=step, file=str(path), **span)
        averaged = None
        if not times.equals(grid) and (times.has_duplicates or _places(grid, times) is None):
            averaged = pd.DataFrame(values, index=times).resample(offset).mean()
    except (ValueError, OverflowError) as error:
        raise refused("steps-do-not-fit", at=path, step=step, why=reader.first_line(error)) from None
    if averaged is not None:
        notes.append(note("rows-averaged", "data.step", rows=len(times), steps=len(averaged), step=step))
        times, values, grid = pd.DatetimeIndex(averaged.index), averaged.to_numpy(), pd.DatetimeIndex(averaged.index)
    return _on_grid(path, grid, times, values, config, notes, step)


def _check_size(path: Path, steps: float, rows: int, step: str) -> None:
    """Raise BadInput if a step would make more rows than may fit into memory."""
    if steps >= max(1_000_000, 50 * rows):
        raise refused("steps-make-too-many-rows", at=path, step=step, steps=round(steps + 1), rows=rows)


def _on_grid(
    path: Path,
    grid: pd.Index,
    times: pd.Index,
    values: np.ndarray,
    config: ForecastData,
    notes: list[Note],
    step: str,
) -> tuple[pd.Index, np.ndarray, str]:
    absent = len(grid) - len(times)
    if absent:
        places = _places(grid, times)
        assert places is not None  # the step was inferred from these times, or rows were averaged to it
        there = np.zeros(len(grid), dtype=bool)
        there[places] = True
        first = grid[int(np.argmin(there))]
        if config.missing == "refuse":
            raise refused("steps-missing", at=path, count=absent, steps=len(grid), step=step, first=str(first))
        told = {"count": absent, "steps": len(grid), "step": step, "first": str(first), "missing": config.missing}
        notes.append(note("steps-missing-noted", "data.missing", **told))
        full = np.full((len(grid), values.shape[1]), np.nan, values.dtype)
        full[places] = values
        values = full
    return grid, values, step


def _places(grid: pd.Index, times: pd.Index) -> np.ndarray | None:
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


def season_of(source: Table) -> int:
    """Return the steps of the shortest usual season (day, week, year) that is longer than one step.

    The result is 1 if the table has no times, or is shorter than two of each such season.
    """
    if not isinstance(source.times, pd.DatetimeIndex) or len(source.times) < 2:
        return 1
    step_s = step_seconds(source.times, source.step)
    lengths = [round(season_s / step_s) for season_s in SEASONS_S]
    return next((n for n in lengths if n >= 2 and n * 2 <= len(source.times)), 1)


def step_seconds(times: pd.DatetimeIndex, step: str) -> float:
    """Return the length of a step in seconds. A working day counts as 7/5 of a day, so that a week has five."""
    offset = pd.tseries.frequencies.to_offset(step)
    if isinstance(offset, pd.offsets.BusinessDay):
        return offset.n * 7 / 5 * 86_400
    some = times[: reader.BLOCK]  # enough: only months differ in length, and no series has so many of them
    return float(pd.Series(some[1:] - some[:-1]).median().total_seconds())

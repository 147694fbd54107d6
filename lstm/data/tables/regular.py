"""Reading of a CSV or Parquet file into a regular table: sorted, one row per step, NaN for gaps."""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.config.forecast import ForecastData
from lstm.data.tables import chunked, reader, sentinels, skipped
from lstm.data.tables.content import PLAIN, Form
from lstm.data.tables.digests import sha, sha_of_times
from lstm.data.tables.sentinels import Odd
from lstm.data.tables.timing import midnights, open_hours, steps, times, zones
from lstm.data.tables.timing.open_hours import OpenHours
from lstm.data.tables.timing.steps import SEASONS_S, is_steady
from lstm.data.tables.timing.zones import Times
from lstm.messages.message import Note, note
from lstm.records.errors import refused


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
    form: Form = PLAIN  # of the file's text
    zone: str | None = None  # the zone of the file's times if `times` are in UTC
    found: Mapping[str, Any] = field(default_factory=dict)  # fields of `data` with what was found in the file
    hours: OpenHours | None = None  # None: the steps go through day and night
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read, as digests and ends
    otherwise: tuple[str, ...] = ()  # what versions before 2026-11-30 read otherwise: codes of notes

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
    form = Form.of(config)
    # Hashing leaves Python's lock, so that a file is read, and its rows are made regular, at the same time.
    with ThreadPoolExecutor(1) as beside:
        known = beside.submit(fingerprint, path)
        found = chunked.read(path, config, form) if lean else None
        raw = _of_blocks(found) if found else read_rows(path, config, form)
        of_values = None if raw.digest else beside.submit(sha, raw.values)
        of_times = beside.submit(sha_of_times, raw.times.index if raw.times else None)
        made = _Made(path, config, list(raw.notes))
        index, values, far = _made_regular(raw, made)
        reading: dict[str, Any] = {
            "values": of_values.result() if of_values else raw.digest,
            "times": of_times.result(),
        }
        digest = known.result()
    times = raw.times
    reading |= {"rows": len(raw.values), "steps": len(values), "step": made.step, "columns": list(config.columns)}
    reading |= {"first": str(index[0]), "last": str(index[-1]), "rules": made.rules}
    return Table(
        path,
        index,
        values,
        tuple(config.columns),
        made.step,
        digest,
        tuple(made.notes),
        raw.base,
        far,
        form=form,
        zone=None if times is None or times.wall else times.zone,
        found=_found(times),
        hours=made.hours,
        reading=reading,
        otherwise=(*(times.otherwise if times else ()), *made.rules),
    )


def _made_regular(raw: "Rows", made: "_Made") -> tuple[pd.Index, np.ndarray, tuple[tuple[Odd, pd.Index], ...]]:
    """Return the steps, their values, and the values far outside all others with the times of their rows."""
    path, config, times, values = made.path, made.config, raw.times, raw.values
    index: pd.Index = pd.RangeIndex(len(values))
    rows_read = index if times is None else times.index
    far = tuple((each, rows_read[each.rows]) for each in sentinels.find(path, config.columns, values, raw.base))
    if times is not None:
        made.zone = times.zone
        made.notes += _of_zone(times, config)
        index, values = _regular(times.index, values, made)
    if holes := sum(int(np.isnan(values[rows]).any(axis=1).sum()) for rows in reader.spans(len(values))):
        told = {"count": holes, "steps": len(values), "missing": config.missing}
        made.notes.append(note("steps-with-missing-values", "data.missing", **told))
    return index, values, far


@dataclass(slots=True)
class _Made:
    """What is made of the rows on the way to a regular table."""

    path: Path
    config: ForecastData
    notes: list[Note]
    step: str = ""
    hours: OpenHours | None = None
    zone: str | None = None  # the zone of the file's times
    nearest: bool = False  # whether rows belong to the nearest step
    rules: list[str] = field(default_factory=list)  # codes of notes on what earlier versions did otherwise


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file as they were read."""

    values: np.ndarray  # (row, column)
    base: np.ndarray | None
    times: Times | None
    digest: str = ""  # SHA-256 of the values as float64; "" if it is not known yet
    notes: tuple[Note, ...] = ()


def _of_blocks(found: chunked.Long) -> Rows:
    times = None if found.times is None else Times(found.times, found.zone)
    return Rows(found.values, found.base, times, found.digest)


def _found(times: Times | None) -> dict[str, Any]:
    """Return how the times are written, for other files that must be read like this one."""
    found: dict[str, Any] = {}
    if times is not None and times.formats and any(times.formats):
        forms = list(times.formats)
        found["time_format"] = forms[0] if len(forms) == 1 else None if None in forms else forms
        found["time_zone"] = times.place
    return {name: value for name, value in found.items() if value is not None}


def _of_zone(times: Times, config: ForecastData) -> Iterator[Note]:
    """Yield a note on the zone that the times are read in."""
    name = config.time_name
    if times.otherwise:
        yield note("times-by-wall-clock", "data.time", column=name, zone=times.zone)
    elif times.zone == "UTC":
        yield note("times-in-utc", "data.time", column=name)
    elif times.zone:
        yield note("times-turned-into-utc", "data.time", column=name, zone=times.zone)
    in_utc = times.zone and (not times.wall or zones.is_utc(times.zone))
    if in_utc and not config.time_zone and (places := midnights.places_of(times.index)):
        told = {"column": name, "places": places[:3], "place": places[0].split()[0]}
        yield note("times-of-a-clock", "data.time_zone", **told)


def read_rows(path: Path, config: ForecastData, form: Form) -> Rows:
    """Return the rows of a file that is read at once."""
    named = config.time_columns
    skipped.check(path, named, form)
    raw = reader.read(path, [*named, *config.columns], numbers=config.columns, form=form)
    notes: tuple[Note, ...] = ()
    if named and (count := _empty_rows(raw)) and not reader.has_types(path):
        form = replace(form, drops_empty=True)
        notes = (note("empty-rows-left-out", "data.path", count=count),)
        raw = reader.read(path, [*named, *config.columns], numbers=config.columns, form=form)
    written = [raw.column(name) for name in named]
    # 10.2005 is October as a text, and 10.205 as a number.
    dotted = [
        pa.types.is_floating(column.type) and "." in (given or "") and "%q" not in (given or "")
        for column, given in zip(written, config.time_formats, strict=True)
    ]
    if any(zones.is_turned(path, column) for column in written) or (any(dotted) and not reader.has_types(path)):
        # pyarrow has turned offsets into UTC, and the wall clock decides steps of days.
        texts = reader.read(path, named, texts=named, form=form)
        written = [texts.column(name) for name in named]
    values = reader.numbers(path, raw, config.columns, form)
    del raw
    pa.system_memory_pool().release_unused()  # so that a large file's numbers are not in memory twice
    return Rows(values, None, times.read(path, written, config, form) if named else None, notes=notes)


def _empty_rows(raw: pa.Table) -> int:
    """Return the number of rows in which no column has a value."""
    if not all(column.null_count for column in raw.columns):
        return 0
    empty = np.logical_and.reduce([column.is_null().to_numpy() for column in raw.columns])
    return int(empty.sum())


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    digest, room = hashlib.sha256(), bytearray(2**15)  # a larger one would be memory beside a large file's values
    with path.open("rb", buffering=0) as content:
        while count := content.readinto(room):
            digest.update(memoryview(room)[:count])
    return digest.hexdigest()


def _regular(index: pd.Index, values: np.ndarray, made: _Made) -> tuple[pd.Index, np.ndarray]:
    """Return times that are sorted and a step apart, with a row of values for each."""
    path, config = made.path, made.config
    if not index.is_monotonic_increasing:
        order = np.argsort(index.to_numpy(), kind="stable")
        index, values = index[order], values[order]
        made.notes.append(note("rows-sorted-by-time", "data.time"))
    if index.has_duplicates and not config.step:
        first = index[index.duplicated()][0]
        count = int((index == first).sum())
        raise refused("time-occurs-repeatedly", at=path, column=config.time_name, time=str(first), count=count)
    if isinstance(index, pd.DatetimeIndex):
        return _regular_times(index, values, made)
    if config.calendar or config.step or config.open_hours:
        name = "calendar" if config.calendar else "step" if config.step else "open_hours"
        raise refused("numbers-are-no-times", f"data.{name}", column=config.time_name, file=str(path))
    step = steps.infer(index) or ("1" if len(index) < 2 else None)
    if step is None:
        raise refused("numbers-irregular", at=path, column=config.time_name)
    made.step = step
    _check_size(path, (int(index[-1]) - int(index[0])) / int(step), len(index), step)
    return _on_grid(pd.RangeIndex(int(index[0]), int(index[-1]) + 1, int(step)), index, values, made)


def _regular_times(times: pd.DatetimeIndex, values: np.ndarray, made: _Made) -> tuple[pd.Index, np.ndarray]:
    path, config = made.path, made.config
    step = config.step or steps.infer(times)
    if step is None:
        if len(times) < 2:
            raise refused("only-one-row", at=path)
        gaps = times[1:] - times[:-1]
        midnights.refuse(path, times, config.time_name, made.zone)
        raise refused("times-irregular", at=path, shortest=str(gaps.min()), longest=str(gaps.max()))
    made.step = step
    if config.open_hours:
        return _in_open_hours(times, values, made)
    if not config.step and is_steady(times):
        return times, values  # no grid is built, which would be as large as a large file's values
    return _on_grid(*_with_grid(times, values, step, made), made)


def _with_grid(
    times: pd.DatetimeIndex, values: np.ndarray, step: str, made: _Made
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex, np.ndarray]:
    """Return a grid of steps, and times and values on it: rows that are not on a grid are averaged into its steps."""
    path = made.path
    try:
        offset = steps.offset_of(step)
    except ValueError:
        offset = None
    try:
        if offset is None or times[0] + offset <= times[0]:
            raise refused("not-a-step", "data.step", step=step)
        width = (times[0] + offset + offset) - (times[0] + offset)
        _check_size(path, (times[-1] - times[0]) / width, len(times), step)
        grid = steps.between(times[0], times[-1], step)
        if grid.empty:
            span = {"first": str(times[0]), "last": str(times[-1])}
            raise refused("no-step-ends", "data.step", step=step, file=str(path), **span)
        if times.equals(grid) or (not times.has_duplicates and steps.places(grid, times) is not None):
            return grid, times, values
        times, values, grid = _averaged(_to_nearest(times, step, made), values, step, made)
    except (ValueError, OverflowError) as error:
        raise refused("steps-do-not-fit", at=path, step=step, why=reader.first_line(error)) from None
    return grid, times, values


def _to_nearest(times: pd.DatetimeIndex, step: str, made: _Made) -> pd.DatetimeIndex:
    """Return the nearest even times of rows that are some seconds off them, else the times as they are."""
    even = None if times.has_duplicates else steps.nearest(times, step)
    if even is None:
        return times
    off = (even - times).to_series().abs()
    made.notes.append(
        note(
            "rows-to-nearest-step", "data.step", rows=int((off > pd.Timedelta(0)).sum()), most_s=_most_s(off), step=step
        )
    )
    made.nearest = True
    if not even.equals(times.floor(steps.offset_of(step))):  # as rows were averaged before
        made.rules.append("rows-to-nearest-step")
    return even


def _most_s(off: pd.Series) -> float:
    return float(off.max().total_seconds())


def _averaged(
    times: pd.DatetimeIndex, values: np.ndarray, step: str, made: _Made
) -> tuple[pd.DatetimeIndex, np.ndarray, pd.DatetimeIndex]:
    """Return rows that are averaged into steps: their times, their values, and the times again."""
    frame = pd.DataFrame(values, index=times)
    if made.nearest:
        frame = frame.groupby(level=0).mean()
        grid = steps.between(frame.index[0], frame.index[-1], step)
        if len(frame) < len(times):
            made.notes.append(note("rows-averaged", "data.step", rows=len(times), steps=len(frame), step=step))
        return pd.DatetimeIndex(frame.index), frame.to_numpy(), grid
    found = frame.resample(steps.offset_of(step)).mean()
    made.notes.append(note("rows-averaged", "data.step", rows=len(times), steps=len(found), step=step))
    index = pd.DatetimeIndex(found.index)
    return index, found.to_numpy(), index


def _in_open_hours(times: pd.DatetimeIndex, values: np.ndarray, made: _Made) -> tuple[pd.Index, np.ndarray]:
    """Return the rows as steps of the open hours, with a row without values for each open step that has none."""
    config = made.config
    hours = open_hours.of(config.open_hours or (), made.step)
    if hours is None:
        raise refused("no-open-hours-for-step", "data.open_hours", step=made.step)
    outside = ~hours.are_open(times)
    if outside.any():
        first = str(times[int(np.argmax(outside))])
        raise refused("rows-outside-open-hours", "data.open_hours", count=int(outside.sum()), first=first)
    if times.has_duplicates:
        times, values, _ = _averaged(times, values, made.step, made)
        kept = hours.are_open(times) & ~np.isnan(values).all(axis=1)
        times, values = times[kept], values[kept]
    _check_size(made.path, (times[-1] - times[0]).total_seconds() / hours.step_s / 20, len(times), made.step)
    grid, made.hours = hours.grid(times), hours
    every = steps.between(times[0], times[-1], made.step)
    told = {"hours": list(hours.texts), "left_out": len(every) - len(grid), "step": made.step}
    made.notes.append(note("closed-hours-left-out", "data.open_hours", **told))
    return _on_grid(grid, times, values, made)


def _check_size(path: Path, steps: float, rows: int, step: str) -> None:
    """Raise BadInput if a step would make more rows than may fit into memory."""
    if steps >= max(1_000_000, 50 * rows):
        raise refused("steps-make-too-many-rows", at=path, step=step, steps=round(steps + 1), rows=rows)


def _on_grid(grid: pd.Index, times: pd.Index, values: np.ndarray, made: _Made) -> tuple[pd.Index, np.ndarray]:
    path, config, step = made.path, made.config, made.step
    absent = len(grid) - len(times)
    if absent:
        places = steps.places(grid, times)
        assert places is not None  # the step was inferred from these times, or rows were averaged to it
        there = np.zeros(len(grid), dtype=bool)
        there[places] = True
        first = grid[int(np.argmin(there))]
        if config.missing == "refuse":
            raise refused("steps-missing", at=path, count=absent, steps=len(grid), step=step, first=str(first))
        told = {"count": absent, "steps": len(grid), "step": step, "first": str(first), "missing": config.missing}
        made.notes.append(note("steps-missing-noted", "data.missing", **told))
        full = np.full((len(grid), values.shape[1]), np.nan, values.dtype)
        full[places] = values
        values = full
    return grid, values


def season_of(source: Table) -> int:
    """Return the steps of the shortest usual season (day, week, year) that is longer than one step.

    The result is 1 if the table has no times, or is shorter than two of each such season.
    """
    if not isinstance(source.times, pd.DatetimeIndex) or len(source.times) < 2:
        return 1
    return next((n for n in season_lengths(source) if n >= 2 and n * 2 <= len(source.times)), 1)


def season_lengths(source: Table) -> tuple[int, ...]:
    """Return the steps of a day, a week and a year; in open hours only open steps count."""
    assert isinstance(source.times, pd.DatetimeIndex)
    if source.hours:
        a_week = source.hours.per_week
        return source.hours.per_day, a_week, round(a_week * 365.25 / 7)
    step_s = steps.seconds(source.times, source.step)
    return tuple(round(season_s / step_s) for season_s in SEASONS_S)

"""The data of the task `forecast`: a table as a split and scaled series, and the origins of its windows.

An origin is the row of the first step to forecast. A window with origin `o` reads the rows `o - lookback .. o - 1` and
forecasts the rows `o .. o + horizon - 1`. `Windows` in `lstm/tasks/networks/forecast.py` cuts windows as views into
the series.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lstm.config.forecast import ForecastData
from lstm.data.calendar import calendar
from lstm.data.dataset import Facts, Part, Scale
from lstm.data.parts import bounds_of
from lstm.data.tables import reader, regular, sentinels
from lstm.data.tables.regular import season_of
from lstm.messages.message import Note, note
from lstm.records.errors import refused

NEAR = 64  # deviations from base to mean: at this distance float32 resolves 4e-6 of a deviation


@dataclass(frozen=True, slots=True)
class SeriesFacts(Facts):
    """The facts about a series that a forecaster needs."""

    targets: tuple[str, ...]
    inputs: int  # columns of the look-back
    futures: int  # columns known ahead
    scale: Scale
    season: int
    step: str
    found: Mapping[str, Any] = field(default_factory=dict)  # how the file was read, where the section does not say it
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read; empty in checkpoints before 2026-11-30


@dataclass(frozen=True, slots=True)
class Series:
    """A time series ready for training. All trials share its arrays and never write to them."""

    values: np.ndarray  # (time, column) float32, scaled: targets, past covariates, future covariates, calendar
    holes: np.ndarray | None  # (time, value column) bool: True if the file has no value; None if it has all values
    times: regular.Grid | np.ndarray  # (time,) datetime64 or whole numbers
    targets: tuple[str, ...]
    futures: int  # columns known ahead, calendar included; they come last
    scale: Scale
    bounds: dict[Part, tuple[int, int]]  # the rows of each part, the end not included
    reach: int  # the longest look-back of all configurations that are compared
    season: int
    step: str
    fingerprint: str
    notes: tuple[Note, ...]
    doubts: tuple[Note, ...] = ()  # what is likely wrong in the file
    windows: tuple[tuple[int, int], ...] = ()  # the rows of each window of a backtest, the end not included
    window: int = 0  # the window that `bounds` are of; 0: all of the search's are the validation part
    fresh: tuple[tuple[int, int], ...] = ()  # the rows of the windows that are set aside; they follow `windows`
    zone: str | None = None  # the zone of the file's times if `times` are in UTC
    found: Mapping[str, Any] = field(default_factory=dict)  # how the file was read, where the section does not say it
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read, as digests and ends
    otherwise: tuple[str, ...] = ()  # what versions before 2026-11-30 read otherwise
    # For a refit, by target: the penalty of the linear highway, relative to the inputs' mean square; None for no map.
    penalties: tuple[float | None, ...] = ()

    @property
    def inputs(self) -> int:
        """Number of columns in the look-back."""
        return int(self.values.shape[1])

    @property
    def nbytes(self) -> int:
        """Size of `values` in bytes."""
        return self.values.nbytes

    @property
    def facts(self) -> SeriesFacts:
        """Facts about the series that a forecaster needs."""
        shape = (self.targets, self.inputs, self.futures, self.scale, self.season, self.step)
        return SeriesFacts(self.fingerprint, *shape, self.found, self.reading)

    @property
    def is_before_test(self) -> bool:
        """True for the training after the last window: all rows before the test part are trained on."""
        return self.window > len(self.windows) + len(self.fresh) > 0

    def at_window(self, number: int) -> "Series":
        """Return the series as window `number` of the backtest has it, from 1; it shares the arrays.

        The windows that are set aside follow those of the search. The training part is all that stands before the
        window, the validation part is the window. With the number after the last window, the training part is all that
        stands before the test part, and the validation part is all windows: it was trained on, so nothing may be judged
        on it.
        """
        if not self.windows:
            return self
        (start, _), test, every = self.bounds["train"], self.bounds["test"], (*self.windows, *self.fresh)
        judged = every[number - 1] if number <= len(every) else (every[0][0], test[0])
        before = judged[0] if number <= len(every) else test[0]
        return replace(self, bounds={"train": (start, before), "validation": judged, "test": test}, window=number)

    def train_origins(self, config: ForecastData, *, measured: bool = False) -> np.ndarray:
        """Return the origins of the windows that are completely in the training part: (window,) int32.

        `measured` keeps only windows with at least one target value that was not filled in.
        """
        start, stop = self.bounds["train"]
        origins = self._usable(start + config.lookback, stop, config, config.lookback, judged=False)
        if not measured or self.holes is None or not len(origins):
            return origins
        filled = self.holes[:, : len(self.targets)].all(axis=1)
        kept: np.ndarray = origins[~_all_between(np.asarray(filled), origins, origins + config.horizon)]
        return kept

    def filled_targets(self, config: ForecastData) -> int:
        """Return how many of the target values that training windows forecast were filled in."""
        if self.holes is None or config.missing == "skip":  # `skip` leaves such windows out
            return 0
        start, stop = self.bounds["train"]
        return int(self.holes[start + config.lookback : stop, : len(self.targets)].sum())

    def origins(self, part: Literal["validation", "test"], config: ForecastData) -> np.ndarray:
        """Return the origins that a part is judged on: (window,) int32.

        They are the same for every look-back up to `reach`. A look-back may begin before the part. A horizon may not
        go beyond the end of the part.
        """
        start, stop = self.bounds[part]
        return self._usable(start, stop, config, self.reach, judged=True)

    def _usable(self, start: int, stop: int, config: ForecastData, lookback: int, *, judged: bool) -> np.ndarray:
        # int32 needs half the memory of int64. There is one origin per row, and each pass shuffles them.
        origins = np.arange(max(start, lookback), stop - config.horizon + 1, dtype=np.int32)
        if self.holes is None or not len(origins):
            return origins
        known = np.logical_not(self.holes.any(axis=1))
        known_targets = np.logical_not(self.holes[:, : len(self.targets)].any(axis=1))
        keep = np.ones(len(origins), dtype=bool)
        if config.missing == "skip":
            keep &= _all_between(known, origins - lookback, origins + config.horizon)
        if config.missing == "interpolate":
            # A value that is interpolated just before the origin would depend on a value after the origin.
            keep &= known[origins - 1]
        if judged:
            keep &= _all_between(known_targets, origins, origins + config.horizon)
        return origins[keep]

    def original(self, scaled: np.ndarray) -> np.ndarray:
        """Convert scaled targets `(..., target)` to their original units, float64."""
        count = len(self.targets)
        restored: np.ndarray = scaled * np.array(self.scale.deviation[:count]) + np.array(self.scale.mean[:count])
        return restored

    def truth(self, rows: slice) -> np.ndarray:
        """Return targets in their original units, NaN if not measured: (row, target) float64."""
        found = self.original(self.values[rows, : len(self.targets)])
        if self.holes is not None:
            found[self.holes[rows, : len(self.targets)]] = np.nan
        return found


def load(config: ForecastData, path: Path, reach: int | None = None) -> Series:
    """Read, split and scale a series. `reach` is the longest look-back that will be compared.

    Raises:
        BadInput: the file is wrong, or too short for the look-back, the horizon and the split.
    """
    reach = reach or config.lookback
    with suppress(_InexactError):
        return prepare(regular.read(config, path, lean=True), config, reach, in_place=True)
    return prepare(regular.read(config, path), config, reach)


class _InexactError(Exception):
    """The base of a large file's values is too far from the training mean for float32."""


def prepare(
    source: regular.Table,
    config: ForecastData,
    reach: int,
    *,
    in_place: bool = False,
    held_back: int | None = None,
    scale: Scale | None = None,
) -> Series:
    """Build a series from a table. Scaling is fitted on the training part only, unless there is a `scale`.

    `in_place` may overwrite the table's values. With `held_back`, for a refit, all but so many last rows train.

    Raises:
        BadInput: the table has gaps that are not allowed, is too short, or does not fit the split.
    """
    given, source = source, _without_leading_gap(source)
    left_out = len(given.values) - len(source.values)
    bounds, windows, fresh = bounds_of(config, source, held_back)
    holes = _allowed_holes(source, config)
    # Gaps are filled before the leading rows are cut off, because those rows may contain a column's first value.
    borders = [stop for _, stop in (*bounds.values(), *(*windows, *fresh)[:-1])]
    filled = fill(given.values, config, [left_out + stop for stop in borders])[left_out:]
    # With a backtest, that is what stands before the first window: so the losses of all windows have one unit.
    scale = scale or _fit(filled[slice(*bounds["train"])], source, config)
    series = Series(
        values=_scaled(filled, source, scale, config, in_place=in_place),
        holes=holes,
        times=source.grid,
        targets=tuple(config.targets),
        futures=len(config.future_covariates) + 2 * len(config.calendar),
        scale=scale,
        bounds=bounds,
        reach=max(reach, config.lookback),
        season=config.season or season_of(source),
        step=source.step,
        fingerprint=source.fingerprint,
        notes=source.notes,
        doubts=tuple(_doubts(source, bounds)),
        windows=windows,
        fresh=fresh,
        zone=source.zone,
        found=source.found,
        reading=source.reading,
        otherwise=source.otherwise,
    )
    del given, source, filled  # the origins of windows take as much memory as a large file's times
    # A search may draw longer look-backs than the base has.
    _check_room(series, config.model_copy(update={"lookback": series.reach}))
    return series


def _allowed_holes(source: regular.Table, config: ForecastData) -> np.ndarray | None:
    """Return what `_holes` returns.

    Raises:
        BadInput: values are missing, and none may be. The message names the first one.
    """
    holes = _holes(source.values)
    if config.missing != "refuse" or holes is None:
        return holes
    row, column = np.argwhere(holes)[0]
    count, first = int(holes.any(axis=1).sum()), str(source.times[row])
    raise refused("values-missing", at=source.path, count=count, column=source.columns[column], first=first)


def fill(values: np.ndarray, config: ForecastData, borders: list[int]) -> np.ndarray:
    """Fill gaps in `(time, column)` as `data.missing` says, never with values from a later part.

    `borders` are the ends of the parts.
    """
    if _holes(values) is None:
        return values
    return np.column_stack([_filled(column, config, borders) for column in values.T])


def _filled(column: np.ndarray, config: ForecastData, borders: list[int]) -> np.ndarray:
    """Fill a column with the last value, or in a straight line if gaps are interpolated and no border is crossed."""
    missing = np.isnan(column)
    holes, known = np.flatnonzero(missing), np.flatnonzero(~missing)
    if not len(known):
        return column
    after = np.searchsorted(known, holes)  # number of known values before each hole
    last, following = known[np.maximum(after - 1, 0)], known[np.minimum(after, len(known) - 1)]
    value = np.where(after > 0, column[last], np.nan)
    if config.missing == "interpolate":
        inside = (after > 0) & (after < len(known))
        for border in borders:
            # Rows before a border must not depend on a value after it.
            inside &= (holes >= border) | (following < border)
        at, left, right = holes[inside], last[inside], following[inside]
        start, end = column[left].astype(np.float64), column[right].astype(np.float64)
        value[inside] = (end - start) / (right - left) * (at - left) + start
    filled = column.copy()
    filled[holes] = value
    return filled


def _doubts(source: regular.Table, bounds: dict[Part, tuple[int, int]]) -> Iterator[Note]:
    """Yield a note for each value far outside all others, with the parts that contain it."""
    for found, times in source.odd:
        places = source.times.searchsorted(times, side="right") - 1  # rows may have been averaged into steps
        parts = [
            next((part for part, (start, stop) in bounds.items() if start <= n < stop), "") for n in places.tolist()
        ]
        named = ["training" if part == "train" else part for part in parts]
        if told := sentinels.told(found, named, source.form):
            yield told


def _holes(values: np.ndarray) -> np.ndarray | None:
    """Return where values are missing: (time, column) bool; None if no value is missing."""
    if not any(np.isnan(values[rows]).any() for rows in reader.spans(len(values))):
        return None
    found: np.ndarray = np.isnan(values)
    return found


def _scaled(
    values: np.ndarray, source: regular.Table, scale: Scale, config: ForecastData, *, in_place: bool
) -> np.ndarray:
    """Return the scaled values and the calendar features: (time, column) float32."""
    count, width = values.shape[1], values.shape[1] + 2 * len(config.calendar)
    room = source.base is not None and width == count  # the result has the same shape and type
    scaled = values if in_place and room else np.empty((len(values), width), dtype=np.float32)
    mean, deviation = np.array(scale.mean), np.array(scale.deviation)
    if source.base is not None:
        mean = mean - source.base
    largest = np.zeros(count)
    for rows in reader.spans(len(values)):
        with np.errstate(over="ignore"):
            scaled[rows, :count] = (values[rows] - mean) / deviation
        largest = np.maximum(largest, np.abs(scaled[rows, :count]).max(axis=0))
        if config.calendar:
            scaled[rows, count:] = calendar(source.times[rows], config)
    for index in np.flatnonzero(~np.isfinite(largest)):
        raise refused("values-too-large", at=source.path, column=source.columns[index])
    return scaled


def _fit(train: np.ndarray, source: regular.Table, config: ForecastData) -> Scale:
    """Return mean and standard deviation of the training part in the file's units; 0 and 1 without scaling."""
    columns, blocks = source.columns, list(reader.spans(len(train)))
    first = train[0].astype(np.float64)  # so that a constant column has a deviation of exactly 0
    with np.errstate(over="ignore", invalid="ignore"):
        mean = first + np.add.reduce([(train[rows] - first).sum(axis=0) for rows in blocks]) / len(train)
        squares = [np.square(train[rows] - mean).sum(axis=0) for rows in blocks]
        deviation = np.sqrt(np.add.reduce(squares) / len(train))
    if source.base is not None:
        if (np.abs(mean) > NEAR * np.maximum(deviation, 1e-14 * np.abs(mean + source.base))).any():
            raise _InexactError
        mean = mean + source.base
    if not (np.isfinite(mean).all() and np.isfinite(deviation).all()):
        worst = columns[int(np.flatnonzero(~np.isfinite(deviation) | ~np.isfinite(mean))[0])]
        raise refused("values-too-large-to-average", at=source.path, column=worst)
    constant = deviation <= 1e-14 * np.abs(mean)  # allows for rounding errors
    for index in np.flatnonzero(constant[: len(config.targets)]):
        raise refused("target-constant", at=source.path, column=columns[index], value=float(mean[index]))
    if config.scaling == "none":
        mean, deviation = np.zeros_like(mean), np.ones_like(deviation)
    # A constant covariate has no information. Dividing by 1 makes it 0 and avoids a division by 0.
    return Scale(tuple(mean.tolist()), tuple(np.where(constant, 1.0, deviation).tolist()))


def _without_leading_gap(source: regular.Table) -> regular.Table:
    if not np.isnan(source.values[0]).any():
        return source
    known = np.maximum.accumulate(~np.isnan(source.values), axis=0).all(axis=1)
    if not known.any():
        empty = next(c for c, v in zip(source.columns, source.values.T, strict=True) if np.isnan(v).all())
        raise refused("column-empty", at=source.path, column=empty)
    first = int(np.argmax(known))
    left_out = note("first-steps-left-out", "data.path", count=first, first=str(source.times[first]))
    return replace(source, times=source.times[first:], values=source.values[first:], notes=(*source.notes, left_out))


def _check_room(series: Series, config: ForecastData) -> None:
    for number, rows in enumerate((*series.windows, *series.fresh), 1):
        if len(series.at_window(number).origins("validation", config)) == 0:
            first, last = (str(series.times[row : row + 1][0]) for row in _ends(rows))
            span = {"first": first, "last": last, "horizon": config.horizon, "lookback": series.reach}
            raise refused("no-forecast-in-window", "data.backtest", number=number, **span)
    origins = {
        "train": series.train_origins(config),
        "validation": series.origins("validation", config),
        "test": series.origins("test", config),
    }
    if series.bounds["test"][0] == len(series.values):  # a refit
        del origins["validation"], origins["test"]
    for part, found in origins.items():
        if len(found) == 0:
            start, stop = series.bounds[part]  # type: ignore[index] # the keys are parts
            missing = None if config.missing == "refuse" else config.missing
            values = {"part": part, "rows": stop - start, "all": len(series.values), "missing": missing}
            if part == "train":
                raise refused("no-window-to-train-on", "data", steps=config.lookback + config.horizon, **values)
            raise refused("no-window-to-judge", "data", horizon=config.horizon, lookback=series.reach, **values)


def _ends(rows: tuple[int, int]) -> tuple[int, int]:
    return rows[0], rows[1] - 1


def _all_between(flags: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return, for each pair of start and stop, whether all flags in rows [start, stop) are set."""
    missing = np.concatenate([[0], np.cumsum(~flags)])
    whole: np.ndarray = missing[stops] == missing[starts]
    return whole

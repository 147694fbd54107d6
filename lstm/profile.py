"""Looks at a CSV or Parquet file and says what is in it: columns, time, gaps, target, seasons."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from lstm import table
from lstm.config import CalendarFeature, DataConfig, Split
from lstm.data import SEASONS_S
from lstm.records import BadInput

Kind = Literal["time", "number", "other"]

MIN_ROWS = 20  # below, no split leaves windows worth training on
MIN_STRENGTH = 0.3  # autocorrelation from which a season counts as found
LONGER_BY = 0.1  # a day's season shows at a week's lag too: the longer must be clearly stronger
LATEST = 0.1  # a covariate that begins later would cost the steps before
MAX_STEPS = 20_000  # the most recent ones are enough to see a cycle
UNIX_TIME = 100_000_000  # whole numbers from here on may be seconds since 1970
MAX_TIME_GAPS = 2.0  # more steps than twice the rows: the step is not what the file was measured in
TIMES = ("time", "date", "datetime", "timestamp", "ds", "day", "week", "month", "quarter", "year", "hour", "t")
TARGETS = ("y", "target", "value", "demand", "sales", "price", "load", "ot", "consumption", "close")
AHEAD = ("holiday", "weekend", "workday", "workingday", "promo", "promotion")  # known before they come
CLOCK = ("year", "quarter", "month", "week", "day", "weekday", "dayofweek", "dayofyear", "hour", "minute")
COUNTERS = ("id", "index", "no", "nr", "row", "unnamed: 0")
STEPS: dict[str, float] = {"1s": 1, "1min": 60, "5min": 300, "10min": 600, "15min": 900, "30min": 1800, "1h": 3600}
STEPS |= {"1D": 86_400, "7D": 7 * 86_400, "MS": 30.4 * 86_400, "QS": 91.3 * 86_400, "YS": 365.25 * 86_400}
NAMES = ("day", "week", "year")  # of data.SEASONS_S


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file."""

    name: str
    kind: Kind
    missing: int  # rows without a value
    first_missing: str  # the line, or the row of a Parquet file; "" where no value is missing


@dataclass(frozen=True, slots=True)
class Season:
    """A length after which the target may repeat itself."""

    name: str  # day, week, year, or cycle where it was found without a calendar
    steps: int
    strength: float  # autocorrelation at that lag, the trend taken off: 1 repeats exactly, 0 not at all


@dataclass(frozen=True, slots=True)
class Profile:
    """What is in a file, and what is likely meant by it."""

    path: Path
    columns: tuple[Column, ...]
    rows: int  # in the file
    steps: int  # on the regular grid: rows and missing steps
    first: str  # time of the first step, or row number
    last: str
    time: str | None  # the time column; None where rows are only in order
    step: str  # a pandas offset ("7D", "MS"), "1" for whole numbers, "" without times
    step_given: bool  # the step can't be inferred and must stand in the spec
    missing_steps: int
    first_missing_step: str  # "" where none is missing
    missing_values: Mapping[str, int]  # steps without a value, by column that is used; absent steps not counted
    target: str
    target_why: str
    covariates: tuple[str, ...]  # further number columns
    known_ahead: tuple[str, ...]  # those of them that are known before they come, by their names
    left_out: Mapping[str, str]  # number columns that are no input, and why
    seasons: tuple[Season, ...]  # all candidates, shortest first
    season: Season | None  # the strongest, if any is strong
    trend: float  # share of the target's variance that a straight line explains, 0 to 1
    calendar: tuple[CalendarFeature, ...]
    notes: tuple[str, ...]  # what was found, for people

    @property
    def has_gaps(self) -> bool:
        """Whether any step, or any value of a column that is used, is missing."""
        return self.missing_steps > 0 or any(self.missing_values.values())


def profile(path: Path) -> Profile:
    """Looks at a file; nothing is written.

    Raises:
        BadInput: there is no time series in it, or several.
    """
    raw, notes = _read(path)
    columns = tuple(_column(path, raw, name) for name in raw.column_names)
    numbers = [c.name for c in columns if c.kind == "number"]
    time = _time(path, raw, columns, notes)
    index = table.times_of(path, raw.column(time), time) if time else None
    if index is not None and time is not None:
        _refuse_several(path, raw, index, time)
        numbers = [name for name in numbers if name != time]
    if raw.num_rows < MIN_ROWS:
        raise BadInput(
            f"{path}: has {raw.num_rows} rows, too few for a window to train on and one to judge; give {MIN_ROWS} "
            "or more, and better some hundreds"
        )
    target, why, covariates, left_out = _roles(path, raw, numbers)
    step, given = _step(index, notes)
    source = table.read(_config(path, time, [target, *covariates], step if given else None), path.parent)
    values = source.values[:, 0] / np.nanmax(np.abs(source.values[:, 0]))  # squares of large ones would overflow
    absent = _absent(index, source) if not given else source.times[:0]
    seasons = tuple(_seasons(source, values, "B" if step == "B" else ""))
    season = _strongest(seasons)
    marked = [Column(c.name, "time", c.missing, c.first_missing) if c.name == time else c for c in columns]
    missing = np.isnan(source.values).sum(axis=0) - len(absent)
    return Profile(
        path=path,
        columns=tuple(marked),
        rows=raw.num_rows,
        steps=len(source.values),
        first=_text(source.times[0]),
        last=_text(source.times[-1]),
        time=time,
        step=source.step,
        step_given=given,
        missing_steps=len(absent),
        first_missing_step=_text(absent[0]) if len(absent) else "",
        missing_values=dict(zip(source.columns, missing.tolist(), strict=True)),
        target=target,
        target_why=why,
        covariates=covariates,
        known_ahead=tuple(c for c in covariates if _ahead(c)),
        left_out=left_out,
        seasons=seasons,
        season=season,
        trend=_trend(values),
        calendar=_calendar(source, seasons),
        notes=(*notes, *(n for n in source.notes if "missing" not in n)),
    )


# --- The file ---------------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[pa.Table, list[str]]:
    """Every column whose name can be used, with the types that its values suggest."""
    if path.suffix.lower() in {".yaml", ".yml"}:
        raise BadInput(f"{path}: is a spec, not data; give a CSV or Parquet file (sweep plan {path} checks a spec)")
    names = table.header(path)
    usable = [n for n in names if n and n.isprintable() and names.count(n) == 1]
    notes = []
    if len(usable) < len(names):
        notes.append(f"{len(names) - len(usable)} columns were left out: their names are empty or stand there twice")
    if not usable:
        raise BadInput(f"{path}:1: no column has a name of its own; the first line names the columns")
    if not table._is_parquet(path) and all(_is_number(name) for name in usable):
        raise BadInput(f"{path}:1: holds only numbers; the first line must name the columns, as in time,value")
    try:
        if table._is_parquet(path):
            raw = pa.parquet.read_table(path, columns=usable, partitioning=None)
        else:
            raw = table._read_csv(path, usable, {})
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path}: {table._explain(error)}") from None
    if raw.num_rows == 0:
        raise BadInput(f"{path}: has a header but no rows")
    return pa.table({name: _typed(raw.column(name)) for name in usable}), notes


def _typed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column with NaN as missing; of texts that are all numbers, those."""
    if pa.types.is_floating(values.type):
        return pa.chunked_array([pa.array(values.to_numpy(), from_pandas=True)])
    for kind in (pa.int64(), pa.float64()) if _is_text(values.type) and values.null_count < len(values) else ():
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            continue
    return values


def _column(path: Path, raw: pa.Table, name: str) -> Column:
    values = raw.column(name)
    kind: Kind = "other"
    if _is_numeric(values.type):
        kind = "number"
    elif _is_time(values.type) or (_is_text(values.type) and _looks_dated(values)):
        kind = "time"
    missing = values.null_count
    first = f"{path}:{table._line(path, _first_null(values))}" if missing else ""
    return Column(name, kind, missing, first)


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _first_null(values: pa.ChunkedArray) -> int:
    return int(np.argmax(values.is_null().to_numpy()))


def _looks_dated(values: pa.ChunkedArray) -> bool:
    """Whether most of the first values can be read as times; one that can't is told when all are read."""
    head = values.slice(0, 50).drop_null().to_pandas().astype(str)
    head = head.where(head.str.contains(r"\d+[-/.:]\d+|\d{8}"))  # pandas takes "now" and "May 1" for times
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(pd.to_datetime(head, errors="coerce", utc=True, format="mixed").notna().mean() > 0.8)


# --- Time -------------------------------------------------------------------------------------------------


def _time(path: Path, raw: pa.Table, columns: Sequence[Column], notes: list[str]) -> str | None:
    """The column that says when: by type and content first, by name where several could be it."""
    dated = [c.name for c in columns if c.kind == "time"]
    if dated:
        return min(dated, key=lambda name: _rank(name, TIMES))
    for name in (c.name for c in columns if c.kind == "other" and c.name.lower() in TIMES[:5]):
        if _is_text(raw.column(name).type):
            table.times_of(path, raw.column(name), name)  # raises, and tells where
    numbers = [c.name for c in columns if c.kind == "number"]
    named = sorted((n for n in numbers if _rank(n, TIMES) < len(TIMES)), key=lambda name: _rank(name, TIMES))
    for name in named:
        if _rises(raw.column(name)):
            if int(raw.column(name)[0].as_py()) >= UNIX_TIME:
                notes.append(f"{name} holds whole numbers; if these are Unix times, write 2016-07-01 13:00:00 instead")
            return name
        _refuse_panel(path, raw, name)
        notes.append(f"{name} is not used as the time: its numbers repeat, are irregular or have fractions")
    # A first column that rises evenly counts the rows, whatever its name; any other may be a measurement.
    first = columns[0].name
    return first if len(numbers) > 1 and first == numbers[0] and _rises(raw.column(first)) else None


def _rank(name: str, names: Sequence[str]) -> int:
    return names.index(name.lower()) if name.lower() in names else len(names)


def _rises(values: pa.ChunkedArray) -> bool:
    """Whether they are whole numbers that, once sorted, rise in equal steps; a few may be absent."""
    if not pa.types.is_integer(values.type) or values.null_count or len(values) < 3:
        return False
    numbers = np.sort(values.to_numpy().astype(np.int64))
    gaps = np.diff(numbers)
    if not gaps.all() or table.infer_step(pd.Index(numbers)) is None:
        return False
    return int(gaps.sum()) <= MAX_TIME_GAPS * len(gaps) * int(np.median(gaps))


def _refuse_several(path: Path, raw: pa.Table, index: pd.Index, time: str) -> None:
    """Raises where a time stands there twice, naming the column that tells the series apart."""
    if not index.has_duplicates:
        return
    first = index[index.duplicated()][0]
    often = f"time {_text(first)} stands there {int((index == first).sum())} times"
    if apart := _apart(raw, index, time, texts_only=False):
        raise BadInput(
            f"{path}: holds {apart[1]} series, told apart by column {apart[0]!r}: {often}; write one series into a "
            "file of its own, or give each series its column"
        )
    raise BadInput(
        f"{path}: {often} in column {time!r}; keep one row per time (a file that holds several series needs one "
        "file each), or write a spec with data.step to average rows"
    )


def _refuse_panel(path: Path, raw: pa.Table, time: str) -> None:
    """The same for whole numbers: repeated years alone may be one half of (year, month)."""
    if apart := _apart(raw, pd.Index(raw.column(time).to_pandas()), time, texts_only=True):
        raise BadInput(
            f"{path}: holds {apart[1]} series, told apart by column {apart[0]!r}: the numbers in {time!r} repeat for "
            "each; write one series into a file of its own, or give each series its column"
        )


def _apart(raw: pa.Table, index: pd.Index, time: str, *, texts_only: bool) -> tuple[str, int] | None:
    """A column with which every time stands there once, and how many values it has."""
    for name in raw.column_names:
        values = raw.column(name)
        able = _is_text(values.type) or pa.types.is_dictionary(values.type)
        if name == time or not (able or (not texts_only and pa.types.is_integer(values.type))):
            continue
        codes = pd.factorize(values.to_pandas())[0]
        count = int(codes.max()) + 1
        rows = pd.DataFrame({"time": index, "series": codes})
        if 1 < count <= len(index) // 2 and rows["time"].duplicated().any() and not rows.duplicated().any():
            return name, count
    return None


def _step(index: pd.Index | None, notes: list[str]) -> tuple[str | None, bool]:
    """The step, and whether the spec must give it since it can't be inferred from the times."""
    if not isinstance(index, pd.DatetimeIndex):
        return None, False
    times = index.sort_values()
    step = table.infer_step(times)
    if step == "1D" and len(times) >= 10 and not (times.day_of_week >= 5).any():
        notes.append("there are no Saturdays and Sundays: steps are working days")
        return "B", True
    span_s = (times[-1] - times[0]).total_seconds()
    if step and span_s / _seconds(step) <= MAX_TIME_GAPS * len(times):
        return step, False
    median_s = pd.Series(times[1:] - times[:-1]).median().total_seconds()
    usual = min(STEPS, key=lambda name: abs(np.log(STEPS[name] / max(median_s, 1e-9))))
    notes.append(f"the times are irregular (median {median_s:g} s apart): rows are averaged into steps of {usual}")
    return usual, True


def _seconds(step: str) -> float:
    grid = pd.date_range("2001-01-01", periods=13, freq=step)
    return float((grid[-1] - grid[0]).total_seconds() / 12)


def _absent(index: pd.Index | None, source: table.Table) -> pd.Index:
    return source.times[:0] if index is None else source.times[~source.times.isin(index)]


def _text(time: object) -> str:
    if isinstance(time, pd.Timestamp):
        return time.strftime("%Y-%m-%d" if time == time.normalize() else "%Y-%m-%d %H:%M:%S")
    return str(time)


# --- Columns ----------------------------------------------------------------------------------------------


def _roles(path: Path, raw: pa.Table, numbers: Sequence[str]) -> tuple[str, str, tuple[str, ...], dict[str, str]]:
    """The target, why it is it, the covariates, and what is left out and why."""
    left_out = {name: why for name in numbers if (why := _unfit(raw.column(name), name))}
    able = [name for name in numbers if name not in left_out]
    if not able:
        raise BadInput(_no_number(path, raw, numbers, left_out))
    named = [name for name in able if _rank(name, TARGETS) < len(TARGETS)]
    target = (
        min(named, key=lambda name: _rank(name, TARGETS)) if named else ([n for n in able if not _ahead(n)] or able)[-1]
    )
    why = "by its name" if named else "the last column of numbers" if len(able) > 1 else "the only column of numbers"
    others = [name for name in able if name != target]
    late = {name: row for name in others if (row := _first_known(raw.column(name))) > LATEST * raw.num_rows}
    left_out |= {name: f"its values begin only in row {row + 1}" for name, row in late.items()}
    return target, why, tuple(name for name in others if name not in late), left_out


def _ahead(name: str) -> bool:
    return name.lower().removeprefix("is_") in AHEAD


def _first_known(values: pa.ChunkedArray) -> int:
    return int(np.argmin(values.is_null().to_numpy()))


def _unfit(values: pa.ChunkedArray, name: str) -> str:
    """Why a column of numbers can't be forecast or forecast from; "" where it can."""
    if values.null_count > len(values) / 2:
        return f"{values.null_count} of {len(values)} values are missing"
    known = values.drop_null().cast(pa.float64()).to_numpy()
    if not len(known) or known.min() == known.max():
        return "always the same value"
    if name.lower() in COUNTERS or (pa.types.is_integer(values.type) and len(set(np.diff(known))) == 1):
        return "only counts rows"
    if name.lower() in CLOCK and pa.types.is_integer(values.type):
        return "a part of the time: data.calendar makes better inputs"
    return ""


def _no_number(path: Path, raw: pa.Table, numbers: Sequence[str], left_out: Mapping[str, str]) -> str:
    if numbers:
        name = numbers[-1]
        return f"{path}: has no column to forecast: {name!r} is left out ({left_out[name]})"
    for name in raw.column_names:
        values = raw.column(name)
        if not _is_text(values.type):
            continue
        texts = values.to_pylist()
        wrong = [i for i, text in enumerate(texts) if text is not None and not _is_number(text)]
        alike = sum(text is not None and _is_number(text.replace(",", ".", 1)) for text in texts)
        if wrong and alike > len(texts) / 2:
            mend = "numbers are written as in 3.14; leave a missing one empty"
            return (
                f"{path}:{table._line(path, wrong[0])}: column {name!r}: {texts[wrong[0]][:40]!r} is not a "
                f"number ({len(wrong)} values are none); {mend}"
            )
    shown = ", ".join(raw.column_names[:12]) + (", …" if len(raw.column_names) > 12 else "")
    return f"{path}: has no column of numbers to forecast (columns: {shown})"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _config(path: Path, time: str | None, columns: Sequence[str], step: str | None) -> DataConfig:
    return DataConfig(
        path=path.name,
        time=time,
        target=columns[0],
        past_covariates=list(columns[1:]),
        lookback=1,
        horizon=1,
        split=Split(validation=1, test=1),
        step=step,
        missing="interpolate",
    )


# --- The target's shape -----------------------------------------------------------------------------------


def _seasons(source: table.Table, values: np.ndarray, step: str) -> Iterator[Season]:
    """Day, week and year in steps, as far as two of each are there; else the first clear cycle."""
    series = pd.Series(values).interpolate(limit_direction="both").to_numpy()
    found = False
    if isinstance(source.times, pd.DatetimeIndex):
        step_s = float(pd.Series(source.times[1:] - source.times[:-1]).median().total_seconds())
        if step == "B":
            step_s *= 7 / 5
        for name, season_s in zip(NAMES, SEASONS_S, strict=True):
            length = round(season_s / step_s)
            if length >= 2 and 2 * length <= len(series):
                yield Season(name, length, _strength(series, length))
        found = step_s < 300 * 86_400  # steps of a day that saw no whole year are not a cycle's
    if not found and (steps := _cycle(series)):
        yield Season("cycle", steps, _strength(series, steps))


def _strength(series: np.ndarray, steps: int) -> float:
    """Autocorrelation at a lag, after the moving average over that length is taken off."""
    trend = pd.Series(series).rolling(steps, center=True, min_periods=max(steps // 2, 1)).mean().to_numpy()
    rest = series - trend
    early, late = rest[:-steps] - rest[:-steps].mean(), rest[steps:] - rest[steps:].mean()
    scale = float(np.sqrt((early**2).sum() * (late**2).sum()))
    # Against rounding: a straight line leaves a rest that repeats perfectly.
    return (
        0.0 if scale <= 1e-9 * len(series) * float(series.std()) ** 2 else round(float((early * late).sum()) / scale, 3)
    )


def _cycle(series: np.ndarray) -> int | None:
    """The lag of the highest peak of the autocorrelation of the detrended series."""
    recent = series[-MAX_STEPS:]
    steps = np.arange(len(recent))
    rest = recent - np.polyval(np.polyfit(steps, recent, 1), steps)
    power = np.abs(np.fft.rfft(rest, 2 * len(rest))) ** 2
    correlation = np.fft.irfft(power)[: len(rest) // 3]
    if len(correlation) < 4 or correlation[0] <= 0:
        return None
    correlation = correlation / correlation[0]
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
    peaks = peaks[(peaks >= 2) & (correlation[peaks] >= MIN_STRENGTH)]
    return int(peaks[np.argmax(correlation[peaks])]) if len(peaks) else None


def _strongest(seasons: Sequence[Season]) -> Season | None:
    best: Season | None = None
    for season in seasons:
        if season.strength >= MIN_STRENGTH and (best is None or season.strength > best.strength + LONGER_BY):
            best = season
    return best


def _trend(values: np.ndarray) -> float:
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 3 or values[known].std() == 0:
        return 0.0
    return round(float(np.corrcoef(known, values[known])[0, 1] ** 2), 3)


def _calendar(source: table.Table, seasons: Sequence[Season]) -> tuple[CalendarFeature, ...]:
    """Features of the seasons that show at all; of a year, the day or, for steps of months, the month."""
    strong = {season.name: season.steps for season in seasons if season.strength >= MIN_STRENGTH}
    found: list[CalendarFeature] = []
    if "day" in strong:
        found.append("hour_of_day")
    if "week" in strong:
        found.append("day_of_week")
    if "year" in strong:
        found.append("month_of_year" if strong["year"] <= 12 else "day_of_year")
    return tuple(found) if isinstance(source.times, pd.DatetimeIndex) else ()

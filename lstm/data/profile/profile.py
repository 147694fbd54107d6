"""Profile of a time series in a CSV or Parquet file: columns, time, gaps, target, seasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lstm.config.forecast import CalendarFeature, ForecastData, Split
from lstm.data.profile import columns, panels, roles, seasons
from lstm.data.profile.columns import Column
from lstm.data.profile.files import GivenFile
from lstm.data.profile.seasons import Season
from lstm.data.tables import regular
from lstm.messages.message import Note, note
from lstm.records.errors import refused

MIN_ROWS = 20  # with fewer rows, no split leaves enough windows to train on
STEPS: dict[str, float] = {"1s": 1, "1min": 60, "5min": 300, "10min": 600, "15min": 900, "30min": 1800, "1h": 3600}
STEPS |= {"1D": 86_400, "7D": 7 * 86_400, "MS": 30.4 * 86_400, "QS": 91.3 * 86_400, "YS": 365.25 * 86_400}


@dataclass(frozen=True, slots=True)
class Profile:
    """The contents of a file that has one time series, and the likely roles of its columns."""

    path: Path
    columns: tuple[Column, ...]
    rows: int  # in the file
    steps: int  # on the regular grid: rows and missing steps
    first: str  # time of the first step, or row number
    last: str
    time: str | None  # the time column; None if only the order of the rows gives the time
    step: str  # a pandas offset ("7D", "MS"), the distance of whole numbers ("1"), "" without times
    step_given: bool  # the step can't be inferred, so the spec must give it
    missing_steps: int
    first_missing_step: str  # "" if no step is missing
    missing_values: Mapping[str, int]  # steps without a value, by column that is used; missing steps are not counted
    target: str
    target_why: str
    covariates: tuple[str, ...]  # further number columns
    known_ahead: tuple[str, ...]  # the covariates with known future values, judged by their names
    left_out: Mapping[str, str]  # columns that are not used, each with the reason
    seasons: tuple[Season, ...]  # all candidates, shortest first
    season: Season | None  # the strongest one; None if no season is strong
    trend: float  # share of the target's variance that a straight line explains, 0 to 1
    calendar: tuple[CalendarFeature, ...]
    notes: tuple[Note, ...]  # what was found, for people

    @property
    def has_gaps(self) -> bool:
        """True if a step is missing, or a value of a column that is used."""
        return self.missing_steps > 0 or any(self.missing_values.values())


def profile(path: Path, file: GivenFile | None = None) -> Profile:
    """Profile a file as one time series. `file` is the same file if it has been opened already.

    Raises:
        BadInput: the file can't be read, or has too few rows, no time series, or several.
    """
    file = file or GivenFile(path)
    raw, described, notes = file.raw, file.columns, [*file.notes]
    time = roles.find_time(path, raw, described, notes)
    index = regular.times_of(path, raw.column(time), time) if time else None
    if index is not None and time is not None:
        panels.refuse_several(path, raw, index, time)
    if raw.num_rows < MIN_ROWS:
        raise refused("too-few-rows", at=path, rows=raw.num_rows, least=MIN_ROWS)
    role = roles.assign(path, raw, [c.name for c in described if c.kind == "number" and c.name != time])
    step, given = _step(index, notes)
    source = regular.read(_config(time, role, step if given else None), path)
    values = source.values[:, 0] / np.nanmax(np.abs(source.values[:, 0]))  # squares of large values would overflow
    absent = _absent(index, source) if not given else source.times[:0]
    missing = np.isnan(source.values).sum(axis=0) - len(absent)
    candidates = tuple(seasons.find(source, values))
    return Profile(
        path=path,
        columns=tuple(replace(c, kind="time") if c.name == time else c for c in described),
        rows=raw.num_rows,
        steps=len(source.values),
        first=columns.shown(source.times[0]),
        last=columns.shown(source.times[-1]),
        time=time,
        step=source.step,
        step_given=given,
        missing_steps=len(absent),
        first_missing_step=columns.shown(absent[0]) if len(absent) else "",
        missing_values=dict(zip(source.columns, missing.tolist(), strict=True)),
        target=role.target,
        target_why=role.target_why,
        covariates=role.covariates,
        known_ahead=role.known_ahead,
        left_out={**role.left_out, **_not_numbers(described, time)},
        seasons=candidates,
        season=seasons.strongest(candidates),
        trend=seasons.trend_of(values),
        calendar=seasons.calendar_of(source, candidates),
        notes=(*notes, *(each for each in source.notes if each.path != "data.missing")),
    )


def _not_numbers(described: Sequence[columns.Column], time: str | None) -> dict[str, str]:
    """Return the columns that can't be an input by their kind, each with the reason."""
    reasons = {"other": "its values are not numbers", "time": "another column is the time"}
    return {c.name: reasons[c.kind] for c in described if c.kind in reasons and c.name != time}


def _step(index: pd.Index | None, notes: list[Note]) -> tuple[str | None, bool]:
    """Return the step, and whether the spec must give it because it can't be inferred from the times."""
    if not isinstance(index, pd.DatetimeIndex):
        return None, False
    times = index.sort_values()
    step = regular.infer_step(times)
    if step == "1D" and len(times) >= 10 and not (times.day_of_week >= 5).any():
        notes.append(note("steps-are-working-days", "data.step"))
        return "B", True
    span_s = (times[-1] - times[0]).total_seconds()
    if step and span_s / _seconds(step) <= roles.MAX_TIME_GAPS * len(times):
        return step, False
    median_s = pd.Series(times[1:] - times[:-1]).median().total_seconds()
    usual = min(STEPS, key=lambda name: abs(np.log(STEPS[name] / max(median_s, 1e-9))))
    notes.append(note("times-irregular-averaged", "data.step", median_s=median_s, step=usual))
    return usual, True


def _seconds(step: str) -> float:
    grid = pd.date_range("2001-01-01", periods=13, freq=step)
    return float((grid[-1] - grid[0]).total_seconds() / 12)


def _absent(index: pd.Index | None, source: regular.Table) -> pd.Index:
    return source.times[:0] if index is None else source.times[~source.times.isin(index)]


def _config(time: str | None, role: roles.Roles, step: str | None) -> ForecastData:
    """Return a configuration that reads the whole file as a regular table."""
    return ForecastData(
        time=time,
        target=role.target,
        past_covariates=list(role.covariates),
        lookback=1,
        horizon=1,
        split=Split(validation=1, test=1),
        step=step,
        missing="interpolate",
    )

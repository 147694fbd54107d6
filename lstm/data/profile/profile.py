"""Profile of a time series in a CSV or Parquet file: columns, time, gaps, target, seasons."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.config.forecast import CalendarFeature, ForecastData, Split
from lstm.config.shared.table import EXCEL, HOUR_ENDING, PERIODS
from lstm.data.profile import columns, roles, seasons
from lstm.data.profile.columns import Column
from lstm.data.profile.files import GivenFile
from lstm.data.profile.form.reading import is_text
from lstm.data.profile.groups import panels
from lstm.data.profile.seasons import Season
from lstm.data.profile.times import time_columns
from lstm.data.profile.times.found import Found, apart
from lstm.data.tables import reader, regular
from lstm.data.tables.timing import open_hours, steps, zones
from lstm.data.tables.timing.open_hours import OpenHours
from lstm.messages.message import Note, note
from lstm.records.errors import refused

ZONE_NAMES = re.compile(r"(^|[^a-z])(tz|time.?zone|zone|(utc|gmt|tz|zone).?off(set)?)($|[^a-z])")
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
    time: str | list[str] | None  # the time column, or several; None if only the order of the rows gives the time
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
    reading: Mapping[str, Any] = field(default_factory=dict)  # fields of `data` that read the file so
    reading_why: Mapping[str, str] = field(default_factory=dict)  # the reason of each field
    sentinels: tuple[Note, ...] = ()  # values far outside all others, which may mean a missing value

    @property
    def has_gaps(self) -> bool:
        """True if a step is missing, or a value of a column that is used."""
        return self.missing_steps > 0 or any(self.missing_values.values())


def profile(path: Path, file: GivenFile | None = None, target: str | None = None) -> Profile:
    """Profile a file as one time series. `file` is the same file if it has been opened already.

    Raises:
        BadInput: the file can't be read, has too few rows, no time series, or several, or `target` can't be forecast.
    """
    file = file or GivenFile(path)
    raw, notes = file.raw, [*file.notes]
    panels.refuse_wide(path, raw)
    found = roles.find_time(file, notes)
    index = found.times.index if found else None
    changes = time_columns.clock_changes(index) if index is not None else None
    if found is not None and index is not None and not changes:
        panels.refuse_several(path, raw, index, found.columns, file.reading.form)
    if raw.num_rows < MIN_ROWS:
        raise refused("too-few-rows", at=path, rows=raw.num_rows, least=MIN_ROWS)
    timed = found.columns if found else ()
    numbers = [c.name for c in file.columns if c.kind == "number" and c.name not in timed]
    role = roles.assign(path, raw, numbers, target, dated=isinstance(index, pd.DatetimeIndex))
    step, given = _step(index, notes)
    if found and isinstance(index, pd.DatetimeIndex) and found.times.zone is None and found.times.place is None:
        notes += _zones_beside(raw, found.columns)
    if found and found.beside:
        told = {"column": found.columns[0], "others": [*found.beside], "other": found.beside[0]}
        notes.append(note("times-in-other-columns", "data.time", **told))
    if changes:
        notes.append(note("clocks-change", "data.time_zone", twice=changes[0], absent=changes[1], step=step))
    hours = _hours(index, step)
    if hours and index is not None:
        given = steps.infer(index.sort_values()) != step
    source = regular.read(_config(file, found, role, step if given else None, hours), path)
    return _described(file, found, role, source, notes, hours, given=given)


def _described(
    file: GivenFile,
    found: Found | None,
    role: roles.Roles,
    source: regular.Table,
    notes: Sequence[Note],
    hours: OpenHours | None,
    *,
    given: bool,
) -> Profile:
    """Return the profile of a series that was read, with the seasons that are found in it."""
    timed, index = (found.columns, found.times.index) if found else ((), None)
    values = source.values[:, 0] / np.nanmax(np.abs(source.values[:, 0]))  # squares of large values would overflow
    absent = _absent(index, source) if not given else source.times[:0]
    missing = np.isnan(source.values).sum(axis=0) - len(absent)
    candidates = tuple(seasons.find(source, values))
    return Profile(
        path=file.path,
        columns=tuple(replace(c, kind="time") if c.name in timed else c for c in file.columns),
        rows=file.raw.num_rows,
        steps=len(source.values),
        first=columns.shown(source.times[0]),
        last=columns.shown(source.times[-1]),
        time=_time_of(found),
        step=source.step,
        step_given=given,
        missing_steps=len(absent),
        first_missing_step=columns.shown(absent[0]) if len(absent) else "",
        missing_values=dict(zip(source.columns, missing.tolist(), strict=True)),
        target=role.target,
        target_why=role.target_why,
        covariates=role.covariates,
        known_ahead=role.known_ahead,
        left_out={**role.left_out, **_not_numbers(file, timed, found.others if found else {})},
        seasons=candidates,
        season=seasons.strongest(candidates),
        trend=seasons.trend_of(values),
        calendar=seasons.calendar_of(source, candidates),
        notes=(*notes, *(each for each in source.notes if each.path != "data.missing")),
        reading=_fields(file, found, hours),
        reading_why=_reasons(file, found, hours),
        sentinels=tuple(_sentinels(source)),
    )


def _time_of(found: Found | None) -> str | list[str] | None:
    if found is None:
        return None
    return found.columns[0] if len(found.columns) == 1 else list(found.columns)


def _fields(file: GivenFile, found: Found | None, hours: OpenHours | None) -> dict[str, Any]:
    """Return the fields of `data` that read the file as it was read here."""
    fields = dict(file.reading.fields)
    if found:
        fields |= {name: value for name, value in found.fields.items() if name != "time"}
    return fields | ({"open_hours": [*hours.texts]} if hours else {})


def _reasons(file: GivenFile, found: Found | None, hours: OpenHours | None) -> dict[str, str]:
    """Return the reason of each of these fields."""
    why = dict(file.reading.why)
    if found:
        why["time_format"] = _of_format(file, found)
        why |= {"time_zone": found.why or "named after each time"} if found.times.place else {}
    if hours:
        why["open_hours"] = "closed times are no steps; a forecast is of the open times that follow"
    return why


def _of_format(file: GivenFile, found: Found) -> str:
    shown = " ".join(str(file.raw.column(name)[0].as_py()) for name in found.columns)
    forms = [each for each in found.formats if each]
    if any("%q" in each for each in forms):
        return f"{shown}: quarters, since no number is above 4"
    if EXCEL in forms:
        return f"days as a spreadsheet counts them: {shown} is {columns.shown(found.times.index[0])}"
    if counted := next((each for each in forms if each in PERIODS), None):
        return (
            f"{shown}: parts of {PERIODS[counted]} minutes, counted from {int(not counted.endswith('_0'))} in each day"
        )
    if HOUR_ENDING in forms:
        return f"{shown}: hours from 1 to 24 are named by their end"
    return f"the times are written as in {shown}"


def _zones_beside(raw: pa.Table, timed: Sequence[str]) -> list[Note]:
    """Return notes on columns that seem to say the zones or the offsets of times that have none."""
    found = []
    for name in raw.column_names:
        known = raw.column(name).drop_null()
        if name not in timed and ZONE_NAMES.search(apart(name)) and len(known):
            value = str(known[0].as_py()).strip()
            is_number = not is_text(known.type) and roles.OFFSET.search(apart(name))
            if zones.is_name(value) or "offset" in name.lower() or is_number:
                place = value if "/" in value else zones.PLACES.get(value, "Europe/Berlin")
                found.append(note("zones-in-a-column", "data.time_zone", column=name, value=value, place=place))
    return found


def _hours(index: pd.Index | None, step: str | None) -> OpenHours | None:
    """Return the open hours of the rows, if they have closed ones."""
    if not isinstance(index, pd.DatetimeIndex) or step in (None, "B"):
        return None
    times = index.sort_values()
    if not times.is_unique:
        return None
    gap = pd.Series(times[1:] - times[:-1]).mode().iloc[0]
    return open_hours.find(times, steps.offset_text(gap)) if steps.offset_text(gap) == step else None


def _sentinels(source: regular.Table) -> Iterator[Note]:
    """Yield a note for each value far outside all others."""
    for odd, _ in source.odd:
        low, high = odd.others
        told = {"column": odd.column, "value": odd.value, "rows": len(odd.rows), "low": low, "high": high}
        at = reader.place(source.path, int(odd.rows[0]), source.form)
        yield note("value-may-mean-missing", "data.missing_values", at=at, **told)


def _not_numbers(file: GivenFile, timed: Sequence[str], others: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that can't be an input by their kind, each with the reason."""
    reasons = {"other": "its values are not numbers", "time": "another column is the time"}
    found = {c.name: reasons[c.kind] for c in file.columns if c.kind in reasons and c.name not in timed}
    for name, why in found.items():
        values = file.raw.column(name).drop_null()
        if why == reasons["other"] and len(values):
            some = [str(each) for each in values.slice(0, 100_000).to_pylist()]
            found[name] = f"{why}, as in {next((each for each in some if not columns.is_number(each)), some[0])[:20]!r}"
        elif why == reasons["time"] and len(values.unique()) == 1:
            found[name] = "the same time in all rows"
    return found | {name: why for name, why in others.items() if name in found}


def _step(index: pd.Index | None, notes: list[Note]) -> tuple[str | None, bool]:
    """Return the step, and whether the spec must give it because it can't be inferred from the times."""
    if not isinstance(index, pd.DatetimeIndex):
        return None, False
    times = index.sort_values()
    if times.has_duplicates and time_columns.clock_changes(times):
        return steps.infer(times.unique()), True
    step = steps.infer(times)
    if step == "1D" and len(times) >= 10 and not (times.day_of_week >= 5).any():
        notes.append(note("steps-are-working-days", "data.step"))
        return "B", True
    if step and (_is_dense(times, step) or open_hours.find(times, step)):
        return step, False
    return _usual_step(times, notes), True


def _is_dense(times: pd.DatetimeIndex, step: str) -> bool:
    """Return whether there are not many more steps than rows."""
    return (times[-1] - times[0]).total_seconds() / _seconds(step) <= roles.MAX_TIME_GAPS * len(times)


def _usual_step(times: pd.DatetimeIndex, notes: list[Note]) -> str:
    """Return the usual step that is nearest to the distance of the rows, which are irregular."""
    median_s = pd.Series(times[1:] - times[:-1]).median().total_seconds()
    usual = min(STEPS, key=lambda name: abs(np.log(STEPS[name] / max(median_s, 1e-9))))
    if not times.is_unique or steps.nearest(times, usual) is None:
        notes.append(note("times-irregular-averaged", "data.step", median_s=median_s, step=usual))
    return usual


def _seconds(step: str) -> float:
    grid = steps.following(pd.Timestamp("2001-01-01"), step, 13)
    return float((grid[-1] - grid[0]).total_seconds() / 12)


def _absent(index: pd.Index | None, source: regular.Table) -> pd.Index:
    return source.times[:0] if index is None else source.times[~source.times.isin(index)]


def _config(
    file: GivenFile, found: Found | None, role: roles.Roles, step: str | None, hours: OpenHours | None
) -> ForecastData:
    """Return a configuration that reads the whole file as a regular table."""
    return ForecastData(
        **file.reading.fields,
        **(found.fields if found else {}),
        target=role.target,
        past_covariates=list(role.covariates),
        lookback=1,
        horizon=1,
        split=Split(validation=1, test=1),
        step=step,
        open_hours=[*hours.texts] if hours else None,
        missing="interpolate",
    )

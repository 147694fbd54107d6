"""Search for the time of an unknown table's rows: in one column, or in several that give it together."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from lstm.config.shared.table import PERIODS, UNIX
from lstm.data.profile.form.reading import is_text
from lstm.data.profile.times import clocks, parts
from lstm.data.profile.times.found import Found, apart, section
from lstm.data.tables import reader
from lstm.data.tables.content import Form
from lstm.data.tables.timing import midnights, numbered, times, zones
from lstm.records.errors import BadInput, refused

NAMES = ("time", "date", "datetime", "timestamp", "ds", "day", "week", "month", "quarter", "year", "hour", "t")
NUMBERED_NAMES = "date|time|timestamp|datetime|ts|unix|epoch|month|yearmonth|yyyymm(dd)?|period|day|serial|ds|dt|t"
NUMBERED = re.compile(rf"(^|[^a-z])({NUMBERED_NAMES})s?($|[^a-z])")
FEW_TWICE = 0.02  # share of rows whose time may occur twice, as where clocks change


def find(path: Path, raw: pa.Table, dated: Sequence[str], form: Form) -> Found | None:
    """Return the columns that give the time of the rows; None if none do. `dated` are columns of whole times.

    A time must differ from row to row. So of the columns that could be the time, one without repeated times is taken,
    else columns that have none together, else the one that repeats least.

    Raises:
        BadInput: the only column of times can't be read.
    """
    single, errors = _each(path, raw, [*dated, *_numbered(raw, dated)], form)
    others: dict[str, str] = {}
    for each in single:
        if len(each.times.index) > 1 and each.times.index.nunique() == 1:
            others[each.columns[0]] = "the same time in all rows"
    constant = [each for each in single if each.columns[0] in others]
    single = [each for each in single if each.columns[0] not in others]
    single.sort(key=lambda each: (each.columns[0] not in dated, _rank(each.columns[0])))
    if able := [each for each in single if each.times.index.is_unique]:
        return _with(_starting(able), others)
    several = [*_with_clock(path, raw, single, form), *parts.of_parts(path, raw, form)]
    if best := next((each for each in several if each.times.index.is_unique), None):
        return _with(best, others)
    if not single and not errors:  # the rows of one day
        of_a_day = _with_clock(path, raw, constant, form)
        if best := next((each for each in of_a_day if each.times.index.is_unique), None):
            return _with(best, others)
    every = [*several, *single]
    if every:
        best = max(every, key=lambda each: each.times.index.nunique())
        if best in several and _repeats(best) > FEW_TWICE and single:
            best = single[0]
        return _with(best, others)
    if errors:
        raise errors[0]
    return None


def _each(path: Path, raw: pa.Table, names: Sequence[str], form: Form) -> tuple[list[Found], list[BadInput]]:
    """Return the times of each column, and the errors of those that can't be read. A constant column has no error."""
    single, errors, doubtful = list[Found](), list[BadInput](), dict[str, Sequence[str]]()
    for name in names:
        try:
            single.append(_single(path, raw, name, form))
        except BadInput as error:
            if len(raw.column(name).unique()) > 1:
                errors.append(error)
                doubtful |= {name: error.faults[0].values.get("formats", ())}
    known = {form for each in single for form in each.formats}
    for name, ways in doubtful.items():
        if same := [each for each in ways if each in known][:1]:  # one file has one order of day and month
            column = times.read(path, [raw.column(name)], section([name], same), form)
            single.append(Found((name,), tuple(same), column))
    return single, errors


def _starting(able: list[Found]) -> Found:
    """Return the first of some times, or the start of a period if the first is its end. It knows of the others."""
    if clocks.is_end(able[0].columns[0]):  # a forecast has the labels of the time that is taken
        able = sorted(able, key=lambda each: not clocks.BEGINNING.search(apart(each.columns[0])))
    return replace(able[0], beside=tuple(each.columns[0] for each in able[1:]))


def _with(found: Found, others: Mapping[str, str]) -> Found:
    return replace(found, others={**others})


def _repeats(found: Found) -> float:
    return 1 - found.times.index.nunique() / max(len(found.times.index), 1)


def _rank(name: str) -> int:
    return NAMES.index(name.lower()) if name.lower() in NAMES else len(NAMES)


def _single(path: Path, raw: pa.Table, name: str, form: Form) -> Found:
    """Return the times of one column.

    Raises:
        BadInput: a time is missing or can't be read, or the times can be read in several ways.
    """
    values = raw.column(name)
    if zones.is_turned(path, values):
        values = reader.read(path, [name], texts=[name], form=form).column(name)
    given: str | None = None
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        given = numbered.by_numbers(reader.float64(values), name)
    elif is_text(values.type) and not values.null_count:
        given = _quarters(values) or _months(values)
    found = times.read(path, [values], section([name], [given]), form)
    local = found.place or (found.wall and not zones.is_utc(found.zone))
    in_utc = found.zone is not None or given in UNIX
    place = None if local else midnights.place_of(found.index, sure=in_utc)
    if place and not in_utc:
        told = {"column": name, "places": [f"{place} (00:00)"], "place": place}
        raise refused("times-in-utc-without-z", at=path, **told)
    if place:
        found = replace(times.read(path, [values], section([name], [given], time_zone=place), form), place=place)
    why = "the times are the midnights of this place, or of another one with its clock, in UTC" if place else ""
    return Found((name,), found.formats if given is None else (given,), found, why)


def _quarters(values: pa.ChunkedArray) -> str | None:
    """Return the format of quarters if all years have the numbers 1 to 4 and no other: 1990-1 to 1990-4."""
    texts = values.to_pandas()
    if len(texts) < 8 or not bool(texts.str.fullmatch(r"\d{4}[-/. ][1-4]").all()):
        return None
    per_year = texts.str[-1].groupby(texts.str[:4]).nunique()
    return f"%Y{texts.iloc[0][4]}%q" if float((per_year == 4).mean()) > 0.6 else None


def _months(values: pa.ChunkedArray) -> str | None:
    """Return the format of months such as 2005.10, which would be a number in the spec's reading."""
    return "%Y.%m" if bool(values.to_pandas().str.fullmatch(r"\s*\d{4}\.\d{2}\s*").all()) else None


def _numbered(raw: pa.Table, dated: Sequence[str]) -> list[str]:
    """Return the columns of numbers that may be dates, months or times since 1970."""
    found = []
    for place, name in enumerate(raw.column_names):
        values = raw.column(name)
        is_number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
        if name in dated or not is_number or values.null_count or len(values) < 2:
            continue
        known = place == 0 or NUMBERED.search(name.lower())
        form = numbered.by_numbers(reader.float64(values), name)
        if form and (known or numbered.are_even_dates(values.to_pandas(), form)):
            found.append(name)
    return found


def _with_clock(path: Path, raw: pa.Table, single: Sequence[Found], form: Form) -> list[Found]:
    """Return dates together with times of day, or with hours."""
    found = []
    for day in sorted(single, key=lambda each: clocks.is_end(each.columns[0])):  # starts first
        index = day.times.index
        if not isinstance(index, pd.DatetimeIndex) or bool((index[:1000] != index[:1000].normalize()).any()):
            continue
        for name in sorted(raw.column_names, key=clocks.is_end):
            if name in day.columns or clocks.are_both_ends(day.columns[0], name):
                continue
            clock = clocks.counted_clock(raw.column(name), name, index) or clocks.clock(raw.column(name), name)
            if clock is None:
                continue
            columns: tuple[str, ...] = (day.columns[0], name)
            forms: tuple[str | None, ...] = (day.formats[0] if day.formats else None, clock)
            if clock == "%H" and (minute := parts.parts_of(raw).get("%M")) not in (None, *columns):
                columns, forms = (*columns, str(minute)), (*forms, "%M")
            try:
                together = times.read(path, [raw.column(each) for each in columns], section(columns, forms), form)
            except BadInput:
                if clock in PERIODS:
                    raise
                continue
            found.append(Found(columns, forms, together))
    return found


def clock_changes(index: pd.Index) -> tuple[int, int] | None:
    """Return how many times occur twice and are absent where local clocks change; None if others repeat, too."""
    if not isinstance(index, pd.DatetimeIndex) or not index.has_duplicates:
        return None
    twice = index[index.duplicated()]
    if len(twice) > FEW_TWICE * len(index) or twice.has_duplicates:
        return None
    days = twice.normalize().unique()
    years = max(index.year.nunique(), 1)
    # Clocks change in spring and autumn, in the night before or after a Saturday, in some places a day earlier.
    known = (
        twice.hour.isin((23, 0, 1, 2, 3)) & twice.day_of_week.isin((4, 5, 6)) & twice.month.isin((3, 4, 5, 9, 10, 11))
    )
    if len(days) > years or not bool(known.all()):
        return None
    times_once = index.unique().sort_values()
    gaps = times_once[1:] - times_once[:-1]
    usual = pd.Series(gaps[:10_000]).mode().iloc[0]
    if usual > pd.Timedelta(hours=1):
        return None  # days that occur twice have another reason
    absent = times_once[:-1][gaps == usual + pd.Timedelta(hours=1)]
    return len(twice), int(absent.day_of_week.isin((4, 5, 6)).sum())

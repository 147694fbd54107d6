"""Times of a table's rows: one or several columns become one time, by a format that is given or found."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from lstm.config.table import UNIX, TableData
from lstm.data.tables import formats, reader
from lstm.data.tables.content import PLAIN, Form
from lstm.records.errors import BadInput, refused

OFFSET = (
    r"[:T]\d+(?:[.,]\d+)?\s?(?P<offset>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"  # an offset from UTC after a time of day
)
DAY_S = 86_400
ALMOST_A_DAY = pd.Timedelta(hours=22)  # shortest distance of two local midnights, with room for a change of the clock
FEW_WRONG = 0.05  # of the texts: with more of them that fit no format, a column has no times
QUARTERS = "%Y{}%q"


@dataclass(frozen=True, slots=True)
class Times:
    """The times of the rows, and how they are written."""

    index: pd.Index  # (row,) times without a zone, or whole numbers that count steps
    zone: str | None = None  # the zone or the offsets that the file's times are written in
    wall: bool = False  # the times are the zone's wall clock; else, with a zone, they are in UTC
    formats: tuple[str | None, ...] = ()  # the format of each column; None: ISO 8601, or a type of its own
    otherwise: tuple[str, ...] = field(default=())  # what earlier versions read otherwise: codes of notes


def read(path: Path, columns: Sequence[pa.ChunkedArray], section: TableData, form: Form = PLAIN) -> Times:
    """Return the times that the columns of `data.time` give together.

    Raises:
        BadInput: a time is missing or can't be read, or the times can be read in several ways.
    """
    names, given = section.time_columns, section.time_formats
    for name, column in zip(names, columns, strict=True):
        _check_whole(path, column, name, form)
    given = [None if _is_typed(column.type) else each for column, each in zip(columns, given, strict=True)]
    if len(names) == 1 and given[0] is None:
        found = of(path, columns[0], names[0], form)
    else:
        found = _together(path, columns, names, given, form)
    return _in_zone(path, found, section)


def of(path: Path, column: pa.ChunkedArray, name: str, form: Form = PLAIN) -> Times:
    """Return the times of one column whose format is not given.

    Raises:
        BadInput: a time is missing or can't be read, or the times can be read in several ways.
    """
    _check_whole(path, column, name, form)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64(), safe=False)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return Times(_counted(path, column, name))
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))  # Python's dates end with the year 9999
    if pa.types.is_timestamp(column.type):
        return _typed(path, column, name, form)
    raw = pd.Series(column.to_pandas())
    if isinstance(raw.dtype, pd.PeriodDtype):
        return Times(pd.DatetimeIndex(raw.dt.to_timestamp()))
    try:
        return _written(path, raw.astype(str) if _is_clock(column.type) else raw, name, form)
    except (ValueError, TypeError) as error:
        raise _unreadable(path, name, error) from None


def _check_whole(path: Path, column: pa.ChunkedArray, name: str, form: Form) -> None:
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise refused("time-missing", at=reader.place(path, row, form), column=name)


def _is_typed(kind: pa.DataType) -> bool:
    """Return whether times have a type of their own, so that no format is needed."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_clock(kind: pa.DataType) -> bool:
    return bool(pa.types.is_time(kind))


def _unreadable(path: Path, name: str, error: Exception) -> BadInput:
    return refused("times-unreadable", at=path, column=name, why=reader.first_line(error))


def _several(path: Path, name: str, value: str, ways: Sequence[str]) -> BadInput:
    both = {"one": ways[0], "other": ways[1]}
    return refused("times-of-several-formats", at=path, column=name, value=value, formats=[*ways], **both)


def _counted(path: Path, column: pa.ChunkedArray, name: str) -> pd.Index:
    """Return whole numbers that count steps.

    Raises:
        BadInput: the numbers have fractions or are too large, or they are dates.
    """
    numbers = reader.float64(column)
    if pa.types.is_integer(column.type):
        try:
            numbers = column.cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid as error:
            raise _unreadable(path, name, error) from None
    even = len(numbers) < 3 or len(np.unique(np.diff(np.sort(numbers)))) == 1
    found = formats.by_numbers(numbers)
    # The days of one month are evenly spaced, too; the number after its last one is no day.
    if found and (not even or found.startswith("%Y%m%d")):
        raise refused("numbers-may-be-times", "data.time_format", column=name, file=str(path), format=found)
    if numbers.dtype.kind == "f":
        if not (numbers == np.floor(numbers)).all() or (np.abs(numbers) > 2**53).any():
            raise refused("times-with-fractions", at=path, column=name)
        numbers = numbers.astype(np.int64)
    index: pd.Index = pd.Index(numbers)
    return index


def _typed(path: Path, column: pa.ChunkedArray, name: str, form: Form) -> Times:
    """Return times that have a type of their own. In a CSV, pyarrow has turned times with offsets into UTC."""
    zone: str | None = column.type.tz
    raw = pd.Series(column.to_pandas())
    times = pd.to_datetime(raw, errors="coerce", utc=True).pipe(_within_years)
    naive = pd.DatetimeIndex(times.dt.tz_localize(None))
    if naive.hasnans:
        row = int(np.argmax(naive.isna()))
        raise refused("not-a-time", at=reader.place(path, row, form), column=name, value=str(raw.iloc[row]))
    if zone is None:
        return Times(naive)
    walls = pd.DatetimeIndex(times.dt.tz_convert(zone).dt.tz_localize(None))
    return by_wall_clock(naive, walls, zone)


def _within_years(times: pd.Series) -> pd.Series:
    return times.where(times.dt.year.between(1, 9999))


def by_wall_clock(instants: pd.DatetimeIndex, walls: pd.DatetimeIndex, zone: str) -> Times:
    """Return the wall clock of times if their steps follow the calendar, else their instants in UTC.

    Steps of a day or more follow the calendar of the place if they are at its midnight, or at one time of day there
    and not in UTC.
    """
    if instants.equals(walls):
        return Times(instants, zone, wall=is_calendar(walls))
    if is_calendar(walls) and (bool((walls == walls.normalize()).all()) or not is_calendar(instants)):
        return Times(walls, zone, wall=True, otherwise=("times-by-wall-clock",))
    return Times(instants, zone)


def is_calendar(walls: pd.DatetimeIndex) -> bool:
    """Return whether all times have the same time of day and no two are on one day."""
    if len(walls) < 2 or bool((walls[:1000] - walls[:1000].normalize() != walls[0] - walls[0].normalize()).any()):
        return False
    return bool((walls - walls.normalize() == walls[0] - walls[0].normalize()).all()) and walls.is_unique


def _written(path: Path, raw: pd.Series, name: str, form: Form) -> Times:
    """Return times that are written as texts: in ISO 8601, else in the one format that fits all.

    Raises:
        BadInput: a text is no time, or several formats fit.
    """
    text = raw.astype(str)
    if quarter := _may_be_quarters(text):
        ways = [quarter, quarter.replace("%q", "%m")]
        raise _several(path, name, str(text.iloc[0]), ways)
    raw = raw.where(text.str.contains(r"\d"))  # pandas takes "now" for a time
    times = _within_years(pd.to_datetime(raw, errors="coerce", utc=True, format="ISO8601"))
    if not times.isna().any():
        return _with_offsets(text, pd.DatetimeIndex(times.dt.tz_localize(None)))
    able, most = formats.fitting(text)
    able = [each for each in able if formats.is_whole_date(each)]
    if len(able) > 1:
        raise _several(path, name, str(text.iloc[0]), able)
    if able:
        found = formats.parse(text, able[0])
        if getattr(found.dt, "tz", None) is None:
            return Times(pd.DatetimeIndex(found), formats=(able[0],))
        with_offsets = _with_offsets(text, pd.DatetimeIndex(found.dt.tz_localize(None)), able[0])
        return Times(
            with_offsets.index, with_offsets.zone, with_offsets.wall, (able[0],), otherwise=with_offsets.otherwise
        )
    if most and formats.is_whole_date(most[0]) and formats.parse(text, most[0]).notna().sum() >= times.notna().sum():
        times = formats.parse(text, most[0])
    else:
        times = _as_pandas_reads(raw, times)
    if times.isna().any():
        row = int(np.flatnonzero(times.isna().to_numpy())[0])
        raise refused("not-a-time", at=reader.place(path, row, form), column=name, value=str(text.iloc[row]))
    return _with_offsets(text, pd.DatetimeIndex(times.dt.tz_localize(None)))


def _as_pandas_reads(raw: pd.Series, otherwise: pd.Series) -> pd.Series:
    """Return times in the format that pandas finds in the first value, if all values have it in one way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Could not infer format")  # pandas would guess value by value
        try:
            orders = [pd.to_datetime(raw, errors="coerce", utc=True, dayfirst=first) for first in (False, True)]
        except UserWarning:
            return otherwise
    whole = [_within_years(times) for times in orders if not times.isna().any()]
    return whole[0] if len(whole) == 1 or (whole and whole[0].equals(whole[1])) else otherwise


def _may_be_quarters(text: pd.Series) -> str | None:
    """Return the format of quarters if texts such as 1990-1 to 1990-4 may be quarters or months, else None."""
    if len(text) < 5 or not bool(text.str.fullmatch(r"\d{4}[-/. ][1-4]").all()):
        return None
    return QUARTERS.format(text.iloc[0][4]) if set(text.str[-1]) == set("1234") else None


def _with_offsets(text: pd.Series, instants: pd.DatetimeIndex, form: str | None = None) -> Times:
    """Return times that were read in UTC by the wall clock if they are written with offsets and follow the calendar."""
    zone = _offsets(text)
    if zone is None:
        return Times(instants)
    if len(instants) > 1 and abs(pd.Series(instants[:1000]).diff()).median() >= ALMOST_A_DAY:
        bare = text.str.replace(r"\s?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)$", "", regex=True)
        walls = (
            pd.to_datetime(bare, format="ISO8601", errors="coerce")
            if form is None
            else formats.parse(bare, re.sub(r"\s?%z$", "", form))
        )
        if not walls.isna().any():
            return by_wall_clock(instants, pd.DatetimeIndex(walls), zone)
    return Times(instants, zone)


def _offsets(text: pd.Series) -> str | None:
    column = pa.chunked_array([pa.array(text, pa.string())])
    found = pa.compute.struct_field(pa.compute.extract_regex(column, OFFSET), "offset").drop_null().unique()
    return ", ".join(sorted({each.replace("z", "Z").replace("Z", "UTC") for each in found.to_pylist()})) or None


# --- Formats that are given, and several columns ------------------------------------------------------------


def _together(
    path: Path,
    columns: Sequence[pa.ChunkedArray],
    names: Sequence[str],
    given: Sequence[str | None],
    form: Form,
) -> Times:
    """Return the time that columns give together: dates, parts of dates, and times of day."""
    texts = [texts_of(column) for column in columns]
    forms = [each or _found(path, text, name) for each, text, name in zip(given, texts, names, strict=True)]
    dated = [place for place, each in enumerate(forms) if each is None or formats.has_date(each)]
    if not dated:
        raise refused("time-without-date", at=path, columns=list(names))
    total, zone, otherwise = pd.Series(pd.Timedelta(0), index=texts[0].index), None, tuple[str, ...]()
    bad = [np.zeros(len(total), dtype=bool) for _ in names]
    if any(forms[place] is None for place in dated):
        [place] = dated if len(dated) == 1 else dated[:1]
        days = _written(path, texts[place], names[place], form)
        dates = pd.Series(days.index)
    else:
        joined = texts[dated[0]].astype(str).str.strip()
        for place in dated[1:]:
            joined = joined + " " + texts[place].astype(str).str.strip()
        whole = " ".join(str(forms[place]) for place in dated)
        parsed = formats.parse(texts[dated[0]] if whole in UNIX or len(dated) == 1 else joined, whole)
        dates = parsed
        if getattr(parsed.dt, "tz", None) is not None:
            dates = parsed.dt.tz_localize(None)
            if not parsed.isna().any():
                found = _with_offsets(joined, pd.DatetimeIndex(dates), whole)
                dates, zone, otherwise = pd.Series(found.index), found.zone, found.otherwise
        bad[dated[0]] = parsed.isna().to_numpy()
    for place, each in enumerate(forms):
        if place not in dated:
            part = formats.clock(texts[place], str(each))
            bad[place] = part.isna().to_numpy()
            total = total + part
    for place, wrong in enumerate(bad):
        if wrong.any():
            row = int(np.argmax(wrong))
            value, at = str(texts[place].iloc[row]), reader.place(path, row, form)
            raise refused("not-in-time-format", at=at, column=names[place], value=value, format=str(forms[place]))
    index = pd.DatetimeIndex(dates.reset_index(drop=True) + total.reset_index(drop=True))
    return Times(index, zone, bool(otherwise), tuple(forms), otherwise)


def texts_of(column: pa.ChunkedArray) -> pd.Series:
    """Return a column as texts, as a format reads them; whole numbers have no point."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64(), safe=False)
    if pa.types.is_floating(column.type):
        numbers = reader.float64(column)
        if (numbers == np.floor(numbers)).all() and (np.abs(numbers) < 2**53).all():
            return pd.Series(numbers.astype(np.int64)).astype(str)
        return pd.Series(numbers)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        days = pd.Series(
            column.cast(pa.timestamp("us", column.type.tz if _has_zone(column.type) else None)).to_pandas()
        )
        return days.astype(str)
    return pd.Series(column.to_pandas()).astype(str)


def _has_zone(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind)) and kind.tz is not None


def _found(path: Path, texts: pd.Series, name: str) -> str | None:
    """Return the format of one of several time columns; None for ISO 8601.

    Raises:
        BadInput: no format fits, or several do.
    """
    if not pd.to_datetime(texts, errors="coerce", format="ISO8601").isna().any() and texts.str.len().min() > 7:
        return None
    able, most = formats.fitting(texts)
    if len(able) > 1:
        raise _several(path, name, str(texts.iloc[0]), able)
    if not able and not most:
        raise refused("no-time-format", at=path, column=name, value=str(texts.iloc[0]))
    return (able or most)[0]


# --- Zones ----------------------------------------------------------------------------------------------------


def _in_zone(path: Path, found: Times, section: TableData) -> Times:
    """Return times by the zone that the spec names.

    Raises:
        BadInput: a local time does not exist in the zone, or occurs twice and can't be told apart.
    """
    zone = section.time_zone
    if zone is None or not isinstance(found.index, pd.DatetimeIndex):
        return found
    if found.zone is not None and not found.wall:
        walls = found.index.tz_localize("UTC").tz_convert(zone).tz_localize(None)
        turned = by_wall_clock(found.index, walls, zone)
        return Times(turned.index, zone, turned.wall, found.formats, turned.otherwise)
    if found.wall or is_calendar(found.index):
        return Times(found.index, zone, True, found.formats, found.otherwise)
    order = np.argsort(found.index.to_numpy(), kind="stable")
    try:
        local = found.index[order].tz_localize(zone, ambiguous="infer")
    except (ValueError, KeyError) as error:
        raise refused(
            "times-not-of-zone", "data.time_zone", zone=zone, file=str(path), why=reader.first_line(error)
        ) from None
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Times(local.tz_convert("UTC").tz_localize(None)[back], zone, False, found.formats, found.otherwise)

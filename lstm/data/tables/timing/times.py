"""Times of a table's rows: one or several columns become one time, by a format that is given or found."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.config.shared.table import EXCEL, PERIODS, UNIX, TableData
from lstm.data.tables import reader
from lstm.data.tables.content import PLAIN, Form
from lstm.data.tables.timing import formats, numbered, zones
from lstm.data.tables.timing.zones import Times
from lstm.records.errors import BadInput, refused

QUARTERS = "%Y{}%q"


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
        found = _together(path, columns, names, given, form, section.time_zone)
    return zones.in_zone(path, found, section)


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
    found = numbered.by_numbers(numbers)
    # The days of one month are evenly spaced, too; the number after its last one is no day.
    if found and (not even or found.startswith("%Y%m%d")):
        raise refused("numbers-may-be-times", "data.time_format", column=name, file=str(path), format=found)
    if numbers.dtype.kind == "f":
        if not (numbers == np.floor(numbers)).all() or (np.abs(numbers) > 2**53).any():
            if (found := numbered.by_numbers(numbers, name)) == EXCEL:
                raise refused("numbers-may-be-times", "data.time_format", column=name, file=str(path), format=found)
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
    return zones.by_wall_clock(naive, walls, zone)


def _within_years(times: pd.Series) -> pd.Series:
    return times.where(times.dt.year.between(1, 9999))


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
        return _by_format(text, able[0])
    if named := _with_names(path, text, name):
        return named
    if most and formats.is_whole_date(most[0]) and formats.parse(text, most[0]).notna().sum() >= times.notna().sum():
        times = formats.parse(text, most[0])
    else:
        times = _as_pandas_reads(raw, times)
    if times.isna().any():
        row = int(np.flatnonzero(times.isna().to_numpy())[0])
        raise refused("not-a-time", at=reader.place(path, row, form), column=name, value=str(text.iloc[row]))
    return _with_offsets(text, pd.DatetimeIndex(times.dt.tz_localize(None)))


def _by_format(text: pd.Series, form: str) -> Times:
    """Return times that are written in one format."""
    found = formats.parse(text, form)
    if getattr(found.dt, "tz", None) is None:
        return Times(pd.DatetimeIndex(found), formats=(form,))
    return replace(_with_offsets(text, pd.DatetimeIndex(found.dt.tz_localize(None)), form), formats=(form,))


def _with_names(path: Path, text: pd.Series, name: str) -> Times | None:
    """Return times that are followed by the name of a zone; None if they are not.

    Raises:
        BadInput: the name does not say one zone, or several formats fit.
    """
    bare = zones.without_names(text)
    able = [each for each in formats.fitting(bare)[0] if formats.is_whole_date(each)] if bare is not None else []
    if bare is None or (found := zones.named(path, name, text, able[0] if able else None)) is None:
        return None
    if len(able) > 1:
        raise _several(path, name, str(text.iloc[0]), [f"{each}{found.end}" for each in able])
    if not able:
        return None
    if found.place:
        return replace(_by_format(bare, able[0]), formats=(f"{able[0]}{found.end}",), place=found.place)
    return _by_format(text, f"{able[0]}{found.end}")


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
    if form is not None and "%Z" in form:
        form, text = form.replace("%Z", "%z"), zones.offsets_for_names(text)
    zone = zones.of_texts(text)
    if zone is None:
        return Times(instants)
    if len(instants) > 1 and abs(pd.Series(instants[:1000]).diff()).median() >= zones.ALMOST_A_DAY:
        bare = text.str.replace(r"\s?(?:UTC|GMT)?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)$", "", regex=True)
        walls = (
            pd.to_datetime(bare, format="ISO8601", errors="coerce")
            if form is None
            else formats.parse(bare, re.sub(r"\s?%z$", "", form))
        )
        if not walls.isna().any():
            return zones.by_wall_clock(instants, pd.DatetimeIndex(walls), zone)
    return Times(instants, zone)


# --- Formats that are given, and several columns ------------------------------------------------------------


def _together(
    path: Path,
    columns: Sequence[pa.ChunkedArray],
    names: Sequence[str],
    given: Sequence[str | None],
    form: Form,
    time_zone: str | None = None,
) -> Times:
    """Return the time that columns give together: dates, parts of dates, and times of day."""
    texts = [texts_of(column) for column in columns]
    forms = [each or _found(path, text, name) for each, text, name in zip(given, texts, names, strict=True)]
    dated = [place for place, each in enumerate(forms) if each is None or formats.has_date(each)]
    if not dated:
        raise refused("time-without-date", at=path, columns=list(names))
    dates, zone, otherwise, wrong = _dates(path, texts, names, forms, dated, form)
    bad = {dated[0]: wrong}
    total = pd.Series(pd.Timedelta(0), index=texts[0].index)
    for place in [place for place in range(len(forms)) if place not in dated]:
        part = formats.clock(texts[place], str(forms[place]))
        bad[place] = part.isna().to_numpy()
        total = total + part
    for place, wrong in sorted(bad.items()):
        if wrong.any():
            row = int(np.argmax(wrong))
            value, at = str(texts[place].iloc[row]), reader.place(path, row, form)
            raise refused("not-in-time-format", at=at, column=names[place], value=value, format=str(forms[place]))
    days, within = pd.DatetimeIndex(dates), pd.TimedeltaIndex(total)
    counted = next((place for place, each in enumerate(forms) if each in PERIODS), None)
    if counted is not None and time_zone:  # the day of a change of the clock has more or fewer of them
        once = np.ones(len(days), dtype=bool)
        local = days.tz_localize(time_zone, ambiguous=once, nonexistent="shift_forward")
        starts = local.tz_convert("UTC").tz_localize(None)
        return Times(starts + within, time_zone, False, tuple(forms), otherwise)
    if forms[0] in UNIX and time_zone:
        zone = "UTC"  # numbers since 1970 are no local times
    if counted is not None:
        _check_periods(path, within, days, names[counted], str(forms[counted]), form)
    try:
        whole = days + within
    except pd.errors.OutOfBoundsDatetime:  # after the year 2262, which nanoseconds don't reach
        whole = days + within.as_unit("us")
    return Times(whole, zone, bool(otherwise), tuple(forms), otherwise)


def _dates(
    path: Path,
    texts: Sequence[pd.Series],
    names: Sequence[str],
    forms: Sequence[str | None],
    dated: Sequence[int],
    form: Form,
) -> tuple[pd.Series, str | None, tuple[str, ...], np.ndarray]:
    """Return the dates that some columns give together, their zone, what is read otherwise, and which can't be read."""
    first = dated[0]
    none = np.zeros(len(texts[first]), dtype=bool)
    if any(forms[place] is None for place in dated):
        return pd.Series(_written(path, texts[first], names[first], form).index), None, (), none
    joined = texts[first].astype(str).str.strip()
    for place in dated[1:]:
        joined = joined + " " + texts[place].astype(str).str.strip()
    whole = " ".join(str(forms[place]) for place in dated)
    parsed = formats.parse(texts[first] if whole in (*UNIX, EXCEL) or len(dated) == 1 else joined, whole)
    wrong = parsed.isna().to_numpy()
    if getattr(parsed.dt, "tz", None) is None:
        return parsed, None, (), wrong
    dates = parsed.dt.tz_localize(None)
    if wrong.any():
        return dates, None, (), wrong
    found = _with_offsets(joined, pd.DatetimeIndex(dates), whole)
    # Text after an offset, as in +01:00[Europe/Paris], hides it.
    return pd.Series(found.index), found.zone or "UTC", found.otherwise, wrong


def _check_periods(
    path: Path, within: pd.TimedeltaIndex, days: pd.DatetimeIndex, name: str, written: str, form: Form
) -> None:
    """Check that all days have the usual number of periods, so that no clock has changed.

    Raises:
        BadInput: a day has an hour more, or one before the last day an hour less.
    """
    numbers = np.asarray(within // pd.Timedelta(minutes=PERIODS[written])) + 1
    usual = 24 * 60 // PERIODS[written]
    most = pd.Series(numbers).groupby(np.asarray(days)).max()
    fewer = (most == usual - usual // 24) & (np.arange(len(most)) < len(most) - 1)
    odd = ((most > usual) | fewer).to_numpy()
    if odd.any():
        count, day = int(most.iloc[int(odd.argmax())]), pd.Timestamp(str(most.index[int(odd.argmax())]))
        row = int(np.argmax(np.asarray((days == day) & (numbers == count))))
        told = {"column": name, "day": f"{day:%Y-%m-%d}", "count": count, "usual": usual, "format": written}
        raise refused("periods-of-a-changed-clock", at=reader.place(path, row, form), **told)


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

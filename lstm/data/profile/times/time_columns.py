"""Search for the time of an unknown table's rows: in one column, or in several that give it together."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.config.forecast import ForecastData, Split
from lstm.config.table import HOUR_ENDING, PERIODS
from lstm.data.tables import formats, reader, times, zones
from lstm.data.tables.content import Form
from lstm.data.tables.zones import Times
from lstm.records.errors import BadInput

NAMES = ("time", "date", "datetime", "timestamp", "ds", "day", "week", "month", "quarter", "year", "hour", "t")
NUMBERED_NAMES = "date|time|timestamp|datetime|ts|unix|epoch|month|yearmonth|yyyymm(dd)?|period|day|serial|ds|dt|t"
NUMBERED = re.compile(rf"(^|[^a-z])({NUMBERED_NAMES})s?($|[^a-z])")
PARTS = {
    "%Y": ("year", "yr", "yyyy", "yy", "jahr", "annee", "año", "ano"),
    "%q": ("quarter", "qtr", "q"),
    "%m": ("month", "mo", "mon", "mnth", "mm", "monat", "mois", "mes"),
    "%V": ("week", "wk", "isoweek", "iso_week", "weekofyear", "week_of_year", "woche", "kw", "semaine", "semana"),
    "%j": ("doy", "dayofyear", "day_of_year", "yday", "jday", "julian_day"),
    "%d": ("day", "dy", "dd", "dayofmonth", "day_of_month", "tag"),
    "%H": ("hour", "hr", "hh", "h", "stunde", "heure", "hora"),
    "%M": ("minute", "min", "minutes", "mn"),
    "%S": ("second", "sec", "seconds"),
}
RANGES = {
    "%Y": (1500, 2200),
    "%q": (1, 4),
    "%m": (1, 12),
    "%V": (1, 53),
    "%j": (1, 366),
    "%d": (1, 31),
    "%H": (0, 24),
    "%M": (0, 59),
    "%S": (0, 59),
}
HOURS = ("hour", "hr", "he", "hour ending", "hour_ending", "hourending", "hh", "h", "time", "stunde", "interval")
CLOCK_NAMES = re.compile(r"time|uhrzeit|heure|hora|hhmm|(^|[^a-z])hms?($|[^a-z])", re.IGNORECASE)
ENDING = re.compile(r"(^|[^a-z])(he|end|ending|ended)($|[^a-z])", re.IGNORECASE)  # an hour is named by its end
# Parts that may have a letter or a word before the number.
LETTERED = {"%q": ("q", "qtr", "quarter"), "%V": ("w", "wk", "week", "kw"), "%m": ("m", "month")}
LETTER = re.compile(r"([A-Za-z]{1,8} ?)\d{1,2}")
COUNTED = re.compile(
    r"(^|[^a-z])(period|interval|ptu|mtu|sp|slot|block|hour|hr|he|time|stunde|heure|hora|ora|hodina|godzina)s?($|[^a-z])"
    r"|(^|[^a-z])(hh|qh)($|[^a-z])|half.?hour|quarter.?hour|viertelstunde"
)
COUNTS = {24: "periods_1h", 48: "periods_30min", 96: "periods_15min"}  # in a day
FEW_TWICE = 0.02  # share of rows whose time may occur twice, as where clocks change


@dataclass(frozen=True, slots=True)
class Found:
    """The columns that give the time, and the times."""

    columns: tuple[str, ...]
    formats: tuple[str | None, ...]  # None: ISO 8601, a type of its own, or whole numbers that count steps
    times: Times
    why: str = ""
    others: Mapping[str, str] = field(default_factory=dict)  # columns that might be the time, each with why it is not

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of `data` that read these times."""
        name = self.columns[0] if len(self.columns) == 1 else list(self.columns)
        found: dict[str, Any] = {"time": name}
        if any(self.formats):
            found["time_format"] = self.formats[0] if len(self.formats) == 1 else [*self.formats]
        return found | ({"time_zone": self.times.place} if self.times.place else {})


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
    single = [each for each in single if each.columns[0] not in others]
    single.sort(key=lambda each: (each.columns[0] not in dated, _rank(each.columns[0])))
    if best := next((each for each in single if each.times.index.is_unique), None):
        return _with(best, others)
    several = [*_with_clock(path, raw, single, form), *_of_parts(path, raw, form)]
    if best := next((each for each in several if each.times.index.is_unique), None):
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
    single, errors = list[Found](), list[BadInput]()
    for name in names:
        try:
            single.append(_single(path, raw, name, form))
        except BadInput as error:
            if len(raw.column(name).unique()) > 1:
                errors.append(error)
    return single, errors


def _with(found: Found, others: Mapping[str, str]) -> Found:
    return Found(found.columns, found.formats, found.times, found.why, {**others})


def _repeats(found: Found) -> float:
    return 1 - found.times.index.nunique() / max(len(found.times.index), 1)


def apart(name: str) -> str:
    """Return a name in small letters, with a blank between its words: hour ending of HourEnding."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


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
        given = formats.by_numbers(reader.float64(values), name)
    elif _is_text(values.type) and not values.null_count:
        given = _quarters(values) or _months(values)
    found = times.read(path, [values], section([name], [given]), form)
    return Found((name,), found.formats if given is None else (given,), found)


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


def section(columns: Sequence[str], forms: Sequence[str | None], **more: Any) -> ForecastData:
    """Return a section `data` that reads times from columns; its other fields don't matter."""
    given: Any = None
    if any(forms):
        given = forms[0] if len(forms) == 1 else [*forms]
    return ForecastData(
        time=columns[0] if len(columns) == 1 else list(columns),
        time_format=given,
        target="\0",
        lookback=1,
        horizon=1,
        split=Split(validation=1, test=1),
        **more,
    )


def _numbered(raw: pa.Table, dated: Sequence[str]) -> list[str]:
    """Return the columns of numbers that may be dates, months or times since 1970."""
    found = []
    for place, name in enumerate(raw.column_names):
        values = raw.column(name)
        is_number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
        if name in dated or not is_number or values.null_count or len(values) < 2:
            continue
        known = place == 0 or NUMBERED.search(name.lower())
        form = formats.by_numbers(reader.float64(values), name)
        if form and (known or formats.are_even_dates(values.to_pandas(), form)):
            found.append(name)
    return found


def _with_clock(path: Path, raw: pa.Table, single: Sequence[Found], form: Form) -> list[Found]:
    """Return dates together with times of day, or with hours."""
    found = []
    for day in single:
        index = day.times.index
        if not isinstance(index, pd.DatetimeIndex) or bool((index[:1000] != index[:1000].normalize()).any()):
            continue
        for name in raw.column_names:
            if name in day.columns:
                continue
            clock = _counted_clock(raw.column(name), name, index) or _clock(raw.column(name), name)
            if clock is None:
                continue
            columns: tuple[str, ...] = (day.columns[0], name)
            forms: tuple[str | None, ...] = (day.formats[0] if day.formats else None, clock)
            if clock == "%H" and (minute := _parts(raw).get("%M")) not in (None, *columns):
                columns, forms = (*columns, str(minute)), (*forms, "%M")
            try:
                together = times.read(path, [raw.column(each) for each in columns], section(columns, forms), form)
            except BadInput:
                if clock in PERIODS:
                    raise
                continue
            found.append(Found(columns, forms, together))
    return found


def _counted_clock(values: pa.ChunkedArray, name: str, days: pd.DatetimeIndex) -> str | None:
    """Return the format of whole numbers that count hours, half-hours or quarter-hours from 1 within each day."""
    if values.null_count or not pa.types.is_integer(values.type) or not COUNTED.search(apart(name)):
        return None  # 48 shops have numbers, too
    numbers = pd.Series(values.to_numpy())
    if not 0 <= numbers.min() <= numbers.max() <= 100 or numbers.max() < 24:
        return None
    from_0 = int(numbers.min() == 0)  # half-hours from 0 to 47; hours from 0 are no counted ones
    numbers = numbers + from_0
    grouped = numbers.groupby(np.asarray(days))
    most, counts = grouped.max(), grouped.size()
    if bool(grouped.nunique().ne(counts).any()) or bool((most - grouped.min() + 1).ne(counts).any()):
        return None
    usual = next((each for each in COUNTS if (most == each).any()), 0)
    changed = most.iloc[:-1].sub(usual).abs()
    if usual <= 24 * from_0 or not changed.iloc[1:].isin((0, usual // 24)).all():
        return None
    if from_0:
        return f"{COUNTS[usual]}_from_0"
    return HOUR_ENDING if usual == 24 and not changed.any() and most.iloc[-1] <= usual else COUNTS[usual]


def _clock(values: pa.ChunkedArray, name: str) -> str | None:
    """Return the format of a column of times of day; None if it has none."""
    if values.null_count or not len(values):
        return None
    if _is_text(values.type):
        return _written_clock(values.to_pandas(), name)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        return None
    numbers = reader.float64(values)
    return _numbered_clock(numbers.astype(np.int64), name) if bool((numbers % 1 == 0).all()) else None


def _written_clock(texts: pd.Series, name: str) -> str | None:
    able, _ = formats.fitting(texts)
    if ENDING.search(apart(name)) and not formats.clock(texts, HOUR_ENDING).isna().any():
        return HOUR_ENDING
    if clocks := [each for each in able if not formats.has_date(each)]:
        return clocks[0]
    hours = formats.clock(texts, HOUR_ENDING)
    named = bool(texts.str.strip().str.fullmatch(rf"\D{{0,4}}\d{{1,2}}(:?00)?({formats.HOUR_WORD})?").all())
    return HOUR_ENDING if named and not hours.isna().any() and hours.nunique() == 24 else None


def _numbered_clock(numbers: np.ndarray, name: str) -> str | None:
    low, high = int(numbers.min()), int(numbers.max())
    if name.lower().strip("<> ") in HOURS and low >= 0 and 2 < high <= 24:
        if high == 24:
            return HOUR_ENDING if low == 1 else None
        return "%H"
    if high == 2400:  # 100 to 2400 are named by their end
        named = CLOCK_NAMES.search(name) or name.lower() in HOURS
        return HOUR_ENDING if named and low == 100 and bool((numbers % 100 == 0).all()) else None
    if CLOCK_NAMES.search(name) and low >= 0 and 24 < high <= 235_959:
        form = "%H%M%S" if high > 2359 else "%H%M"
        return form if not formats.clock(pd.Series(numbers), form).isna().any() else None
    return None


def _parts(raw: pa.Table) -> dict[str, str]:
    """Return the columns that are parts of a time by their names and numbers, by their formats."""
    parts: dict[str, str] = {}
    for part, names in PARTS.items():
        low, high = RANGES[part]
        for name in raw.column_names:
            values = raw.column(name)
            if part in parts or values.null_count or not len(values):
                continue
            if part == "%m" and name.lower() in names and _is_text(values.type):
                parts[part] = name
            if part in LETTERED and name.lower() in (*names, "period") and _letter(values, part):
                parts[part] = name
            if not pa.types.is_integer(values.type):
                continue
            both = name == "mm" and "MM" in raw.column_names  # months are MM, minutes mm
            named = part == "%M" if both else name.lower() in names
            if named and low <= int(values.to_numpy().min()) and int(values.to_numpy().max()) <= high:
                parts[part] = name
    return parts


def _of_parts(path: Path, raw: pa.Table, form: Form) -> list[Found]:
    """Return years, months, days and hours together."""
    parts = _parts(raw)
    if "%Y" not in parts or len(parts) < 2:
        return []
    order = [part for part in PARTS if part in parts]
    # A month says more than a quarter or a week, and a day of the year says all.
    known = next((part for part in ("%m", "%j", "%V", "%q") if part in parts), None)
    order = [part for part in order if part == known or part not in ("%m", "%j", "%V", "%q")]
    if known != "%m" and "%d" in parts:
        return []
    if known == "%V":
        order = order[:2]
    last = int(raw.column(parts["%H"]).to_numpy().max()) if "%H" in parts else 0
    named = _month_names(raw.column(parts["%m"])) if known == "%m" else "%m"
    lettered = {part: f"{_letter(raw.column(parts[part]), part)}{part}" for part in LETTERED if part in parts}
    told = {
        **lettered,
        **({} if lettered.get("%m", "%m") != "%m" else {"%m": named}),
        "%H": HOUR_ENDING if last == 24 else "%H",
        "%Y": "%G" if known == "%V" else "%Y",
    }
    forms = [told.get(part, part) for part in order]
    columns = [parts[part] for part in order]
    if "%H" not in order and {"%d", "%j"} & {*order}:
        others = [name for name in raw.column_names if name not in columns]
        able = [name for name in others if _is_text(raw.column(name).type) or CLOCK_NAMES.search(name)]
        clock = next(((name, each) for name in able if (each := _clock(raw.column(name), name))), None)
        columns, forms = ([*columns, clock[0]], [*forms, clock[1]]) if clock else (columns, forms)
    found = []
    # Days that all differ are the time alone: an hour beside them is one of a sunrise or of a peak.
    days = [parts[part] for part in order if part not in ("%H", "%M", "%S")]
    alone = len(days) > 1 and not raw.select(days).to_pandas().duplicated().any()
    for width in range(len(days) if alone else len(columns), 1, -1):
        try:
            together = times.read(
                path, [raw.column(each) for each in columns[:width]], section(columns[:width], forms[:width]), form
            )
        except BadInput:
            continue
        found.append(Found(tuple(columns[:width]), tuple(forms[:width]), together))
    return found


def _letter(values: pa.ChunkedArray, part: str) -> str:
    """Return what stands before all numbers of a column, as Q before 1 to 4; "" if nothing does."""
    if not _is_text(values.type):
        return ""
    firsts = {each[1] if (each := LETTER.fullmatch(str(text))) else "" for text in values.unique().to_pylist()}
    first = firsts.pop() if len(firsts) == 1 else ""
    return first if first.strip().lower() in LETTERED[part] else ""


def _month_names(values: pa.ChunkedArray) -> str:
    """Return the format of months: their numbers, or their English names in three letters or in full."""
    if not _is_text(values.type):
        return "%m"
    return "%b" if max(len(str(each).strip()) for each in values.unique().to_pylist()) == len("Jan") else "%B"


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
    absent = times_once[:-1][gaps == usual + pd.Timedelta(hours=1)]
    return len(twice), int(absent.day_of_week.isin((4, 5, 6)).sum())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

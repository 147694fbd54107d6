"""Times in several columns of parts: a year, a month, a day and an hour."""

import re
from pathlib import Path

import pyarrow as pa

from lstm.config.shared.table import HOUR_ENDING
from lstm.data.profile.form.reading import is_text
from lstm.data.profile.times import clocks
from lstm.data.profile.times.found import Found, section
from lstm.data.tables.content import Form
from lstm.data.tables.timing import months, numbered, times
from lstm.records.errors import BadInput

# In the languages of the months' names, without accents.
PARTS = {
    "%Y": (
        "year",
        "yr",
        "yyyy",
        "yy",
        "iso_year",
        "isoyear",
        "jahr",
        "annee",
        "an",
        "ano",
        "anio",
        "anno",
        "jaar",
        "ar",
        "rok",
        "yil",
    ),
    "%q": ("quarter", "qtr", "q", "quartal", "trimestre", "trim", "kwartaal", "kvartal", "kwartal", "ceyrek"),
    "%m": (
        *("month", "mo", "mon", "mnth", "mm", "monat", "mois", "mes", "mese", "maand", "maned", "manad", "miesiac"),
        "ay",
    ),
    "%V": (
        *("week", "wk", "isoweek", "iso_week", "weekofyear", "week_of_year", "woche", "kw", "semaine", "semana"),
        *("settimana", "uge", "uke", "vecka", "tydzien", "hafta"),
    ),
    "%j": ("doy", "dayofyear", "day_of_year", "yday", "jday", "julian_day"),
    "%d": ("day", "dy", "dd", "dayofmonth", "day_of_month", "tag", "jour", "dia", "giorno", "dag", "dzien", "gun"),
    "%H": ("hour", "hr", "hh", "h", "stunde", "heure", "hora", "ora", "uur", "timme", "godzina", "saat"),
    "%M": ("minute", "min", "minutes", "mn", "minuto", "minuut", "minut", "dakika"),
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
# Parts that may have a letter or a word before the number.
LETTERED = {"%q": ("q", "qtr", "quarter", "t", "k"), "%V": ("w", "wk", "week", "kw"), "%m": ("m", "month")}
MOST_NAMES = 24  # of months: each in two ways
LETTER = re.compile(r"([A-Za-z]{1,8} ?)\d{1,2}")


def of_parts(path: Path, raw: pa.Table, form: Form) -> list[Found]:
    """Return years, months, days and hours together."""
    parts = parts_of(raw)
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
        able = [n for n in others if is_text(raw.column(n).type) or numbered.CLOCKED.search(n)]
        able.sort(key=clocks.is_end)
        clock = next(((name, each) for name in able if (each := clocks.clock(raw.column(name), name))), None)
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


def parts_of(raw: pa.Table) -> dict[str, str]:
    """Return the columns that are parts of a time by their names and numbers, by their formats."""
    parts: dict[str, str] = {}
    for part, names in PARTS.items():
        low, high = RANGES[part]
        for name in raw.column_names:
            values = raw.column(name)
            if part in parts or values.null_count or not len(values):
                continue
            known = months.plain(name).strip("<> ").lower()
            if part == "%m" and is_text(values.type) and (known in names or _are_month_names(values)):
                parts[part] = name
            if part in LETTERED and known in (*names, "period") and _letter(values, part):
                parts[part] = name
            if part == "%q" and known in names and _are_roman(values):
                parts[part] = name
            if not pa.types.is_integer(values.type):
                continue
            both = name == "mm" and "MM" in raw.column_names  # months are MM, minutes mm
            named = part == "%M" if both else known in names
            if named and low <= int(values.to_numpy().min()) and int(values.to_numpy().max()) <= high:
                parts[part] = name
    if "%Y" not in parts and "%m" in parts and is_text(raw.column(parts["%m"]).type):
        years = [name for name in raw.column_names if name not in parts.values() and _are_years(raw.column(name))]
        parts |= {"%Y": years[0]} if len(years) == 1 else {}
    return parts


def _are_month_names(values: pa.ChunkedArray) -> bool:
    """Return whether all texts are names of months, and more than one of them."""
    words = values.unique().to_pylist()
    return 1 < len(words) <= MOST_NAMES and all(months.number_of(str(each)) for each in words)


def _are_years(values: pa.ChunkedArray) -> bool:
    """Return whether all values are whole numbers that may be years."""
    if not pa.types.is_integer(values.type) or values.null_count or not len(values):
        return False
    low, high = RANGES["%Y"]
    return low <= int(values.to_numpy().min()) and int(values.to_numpy().max()) <= high


def _letter(values: pa.ChunkedArray, part: str) -> str:
    """Return what stands before all numbers of a column, as Q before 1 to 4; "" if nothing does."""
    if not is_text(values.type):
        return ""
    firsts = {each[1] if (each := LETTER.fullmatch(str(text))) else "" for text in values.unique().to_pylist()}
    first = firsts.pop() if len(firsts) == 1 else ""
    return first if first.strip().lower() in LETTERED[part] else ""


def _are_roman(values: pa.ChunkedArray) -> bool:
    """Return whether all texts are quarters from I to IV."""
    return is_text(values.type) and {str(each).strip().upper() for each in values.unique().to_pylist()} == {
        *months.ROMAN
    }


def _month_names(values: pa.ChunkedArray) -> str:
    """Return the format of months: their numbers, or their English names in full, or other names."""
    if not is_text(values.type):
        return "%m"
    words = [str(each).strip() for each in values.unique().to_pylist()]
    if not all(map(months.is_english, words)):
        return "%b"
    return "%b" if max(map(len, words)) == len("Jan") else "%B"

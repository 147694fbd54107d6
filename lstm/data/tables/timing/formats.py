"""Formats of times: which ones fit a text, and how texts are read by one."""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lstm.config.table import EXCEL, HOUR_ENDING, PERIODS, UNIX
from lstm.data.tables.timing import zones

SAMPLE = 2_000  # values at both ends that tell which formats may fit
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
MONTH = rf"(?:{MONTHS})[a-z]*\.?"
WEEKDAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)([a-z]*)(,?\s+)", re.IGNORECASE)
CLOCK = re.compile(
    r"(?P<h>\d{1,2})(?P<s>[:.h])(?P<m>\d{2})(?:(?P=s)(?P<sec>\d{2})(?P<f>[.,]\d+)?)?(?P<ap>\s?[ap]m)?", re.IGNORECASE
)
HOUR_WORD = r"\s?(?:[Hh]|[Uu]hr)"  # 00h, 13 Uhr
HOUR_ALONE = re.compile(rf"\d{{1,2}}(?:([\s-]?)[AaPp][Mm]|({HOUR_WORD}))")
ZONE = re.compile(r"\s?(?:Z|UTC|GMT|(?:UTC|GMT)?[+-]\d\d:?\d\d)$")
BEFORE_ZONE = r"\d:\d\d([.,]\d+)?(\s?[AaPp][Mm])?$|T\d{4,6}$|^\d{12}(\d\d)?$"
QUARTER = re.compile(r"\d{4}([-/. ]?)[1-4]")
DATE_PARTS, CLOCK_PARTS = set("YymdbBjqGVu"), set("HIMSfp")
DATED = re.compile(r"(^|[^a-z])(date|time|datetime|timestamp|ds|dt|day|serial)s?($|[^a-z])")  # a column's name
SPAN = re.compile(r"(%.+?)( - | to |/|\s?-\s?)(?=%)\1")  # an interval's format: its start and its end
DAYS_OF_YEARS = re.compile(r"t|period|yyyyddd|yyyydoy|year_?doy")
DIGITS = {"%Y%m": 6, "%Y%j": 7, "%Y%m%d": 8, "%Y%j%H": 9, "%Y%m%d%H": 10, "%Y%j%H%M": 11}
DIGITS |= {"%Y%m%d%H%M": 12, "%Y%m%d%H%M%S": 14}
SERIALS = 20_000, 80_000  # the days of 1954 to 2119, as a spreadsheet counts them
WIDTHS = {
    "%Y%m%d": 8,
    "%Y%m": 6,
    "%H%M%S": 6,
    "%H%M": 4,
    "%Y%m%d%H%M%S": 14,
    "%Y%m%d%H%M": 12,
    "%d%m%Y": 8,
    "%m%d%Y": 8,
    "%y%m%d": 6,
    "%y%m%d%H": 8,
}


def candidates(text: str) -> list[str]:
    """Return the formats that a text may be written in, likely ones first."""
    text, found = text.strip(), list[str]()
    head = tail = ""
    if spans := _spans(text):
        return spans
    if day := WEEKDAY.match(text):
        head = ("%A" if day[2] and len(day[1] + day[2]) > 3 else "%a") + day[3]
        text = text[day.end() :]
    rest = text
    if (zone := ZONE.search(text)) and re.search(BEFORE_ZONE, text[: zone.start()]):
        rest, tail = text[: zone.start()], " %z" if zone[0].startswith(" ") else "%z"
    for date, between, clock in _split(rest):
        dates = list(_dates(date)) if date else [""]
        times = list(_clocks(clock)) if clock else [""]
        dates = [each for each in dates if not clock or not date or set(re.findall(r"%(.)", each)) & {"d", "j"}]
        # A time of day alone has no offset: 00:00-01:00 is an hour.
        found += [f"{head}{d}{between}{t}{tail}" for d, t in itertools.product(dates, times) if d or (t and not tail)]
    return list(dict.fromkeys(found))


def _spans(text: str) -> list[str]:
    """Return the formats of an interval, of which the start counts."""
    if hours := re.fullmatch(r"\d{1,2}(\s?-\s?)\d{1,2}", text):
        return [f"%H{hours[1]}%H"]
    mark = next((each for each in (" - ", " to ", "/", "-") if text.count(each) == 1), None)
    if mark is None:
        return []
    left, _, right = text.partition(mark)
    if len(left) < 5 or (mark in "/-" and not (mark == "/" or CLOCK.fullmatch(left))):
        return []
    ends = {*candidates(right)}
    return [f"{start}{mark}{start}" for start in candidates(left) if start in ends]


def _split(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the ways to divide a text into a date, what is between, and a time of day."""
    yield text, "", ""
    if CLOCK.fullmatch(text) or HOUR_ALONE.fullmatch(text):
        yield "", "", text
    for mark in re.finditer(r"[T,_]?\s+(?:-\s+)?|T|:|_", text):
        date, clock = text[: mark.start()], text[mark.end() :]
        digits = re.fullmatch(r"\d{1,2}|\d{4}|\d{6}", clock) and any("%d" in each for each in _dates(date))
        if mark[0] == ":" and not re.search(r"(?<!\d)\d{4}$", date):
            continue  # 01/03 20:15 is no hour of a year
        if date and (CLOCK.fullmatch(clock) or HOUR_ALONE.fullmatch(clock) or digits):
            yield date, mark[0], clock
        if clock and CLOCK.fullmatch(date) and mark[0].isspace():
            yield from ((f"\0{each}{mark[0]}{day}", "", "") for each in _clocks(date) for day in _dates(clock))


def _clocks(text: str) -> Iterator[str]:
    if found := CLOCK.fullmatch(text):
        sign, ap = found["s"], found["ap"]
        hour = "%I" if ap else "%H"
        seconds = f"{sign}%S{found['f'][0] + '%f' if found['f'] else ''}" if found["sec"] else ""
        yield f"{hour}{sign}%M{seconds}{' %p' if ap and ap[0].isspace() else '%p' if ap else ''}"
    elif found := HOUR_ALONE.fullmatch(text):
        yield f"%H{found[2]}" if found[2] else f"%I{found[1]}%p"
    elif text.isdigit():
        yield {1: "%H", 2: "%H", 4: "%H%M", 6: "%H%M%S"}.get(len(text), "%H")


def _dates(text: str) -> Iterator[str]:
    if text.startswith("\0"):
        yield text[1:]
        return
    yield from _numbers(text)
    yield from _with_months(text)
    yield from _with_letters(text)


def _with_months(text: str) -> Iterator[str]:
    if found := re.fullmatch(rf"(\d{{1,2}})([-/. ,]*)({MONTH})([-/. ,]*)(\d{{4}}|\d{{2}})", text, re.IGNORECASE):
        yield from (f"%d{found[2]}{m}{found[4]}{_year(found[5])}" for m in _month(found[3]))
    if found := re.fullmatch(rf"({MONTH})([-/. ]*)(\d{{1,2}})([-/. ,]+)(\d{{4}}|\d{{2}})", text, re.IGNORECASE):
        yield from (f"{m}{found[2]}%d{found[4]}{_year(found[5])}" for m in _month(found[1]))
    if found := re.fullmatch(rf"(\d{{4}})([-/. ,]*)({MONTH})([-/. ,]*)(\d{{1,2}})", text, re.IGNORECASE):
        yield from (f"%Y{found[2]}{m}{found[4]}%d" for m in _month(found[3]))
    if found := re.fullmatch(rf"({MONTH})([-/. ,']*)(\d{{4}}|\d{{2}})", text, re.IGNORECASE):
        yield from (f"{m}{found[2]}{_year(found[3])}" for m in _month(found[1]))
    if found := re.fullmatch(rf"(\d{{4}})([-/. ,]*)({MONTH})", text, re.IGNORECASE):
        yield from (f"%Y{found[2]}{m}" for m in _month(found[3]))


def _with_letters(text: str) -> Iterator[str]:
    if found := re.fullmatch(r"(\d{4}|\d{2})([-/. ]?)(q)([1-4])", text, re.IGNORECASE):
        yield f"{_year(found[1])}{found[2]}{found[3]}%q"
    if found := re.fullmatch(r"(q)([1-4])([-/. ']*)(\d{4}|\d{2})", text, re.IGNORECASE):
        yield f"{found[1]}%q{found[3]}{_year(found[4])}"
    if found := re.fullmatch(r"([1-4])(q)([-/. ']*)(\d{4}|\d{2})", text, re.IGNORECASE):
        yield f"%q{found[2]}{found[3]}{_year(found[4])}"
    if found := re.fullmatch(r"(\d{4})(-?)(W)(\d{2})", text):
        yield f"%G{found[2]}W%V"
    if found := re.fullmatch(r"(\d{4})(-?)([Mm])(\d{1,2})", text):
        yield f"%Y{found[2]}{found[3]}%m"


def _numbers(text: str) -> Iterator[str]:
    if found := re.fullmatch(r"\d{4}([-/. ])\d{1,2}([-/. ])\d{1,2}", text):
        yield f"%Y{found[1]}%m{found[2]}%d"
        yield f"%Y{found[1]}%d{found[2]}%m"
    elif found := re.fullmatch(r"\d{1,2}([-/. ]\s?)\d{1,2}([-/. ]\s?)(\d{4})\.?", text):
        dot = "." if text.endswith(".") else ""
        yield f"%d{found[1]}%m{found[2]}%Y{dot}"
        yield f"%m{found[1]}%d{found[2]}%Y{dot}"
    elif found := re.fullmatch(r"\d{1,2}([-/. ])\d{1,2}([-/. ])\d{2}", text):
        for order in ("%d{}%m{}%y", "%m{}%d{}%y", "%y{}%m{}%d"):
            yield order.format(found[1], found[2])
    elif found := re.fullmatch(r"\d{4}([-/. ])\d{1,2}", text):
        yield f"%Y{found[1]}%m"
        if QUARTER.fullmatch(text):
            yield f"%Y{found[1]}%q"
    elif found := re.fullmatch(r"\d{1,2}([-/. ])\d{4}", text):
        yield f"%m{found[1]}%Y"
    elif found := re.fullmatch(r"(?:1[5-9]|2[01])\d\d([-/. ]?)[0-3]\d\d", text):
        yield f"%Y{found[1]}%j"
    elif text.isdigit() and len(text) in (4, 5, 6, 8, 10, 12, 14):
        digits = {4: ("%Y",), 6: ("%Y%m", "%y%m%d", "%d%m%y"), 8: ("%Y%m%d", "%d%m%Y", "%m%d%Y")}
        digits |= {5: ("%Y%q",), 10: ("%Y%m%d%H",), 12: ("%Y%m%d%H%M",), 14: ("%Y%m%d%H%M%S",)}
        yield from digits[len(text)]


def _month(word: str) -> list[str]:
    dot = "." if word.endswith(".") else ""
    letters = word.rstrip(".")
    return [f"%B{dot}"] if len(letters) > 3 else [f"%b{dot}", f"%B{dot}"]


def _year(digits: str) -> str:
    return "%Y" if len(digits) == 4 else "%y"


def parse(texts: pd.Series, form: str) -> pd.Series:
    """Read texts by a format: (row,) naive datetime64, or in UTC if the format has an offset; NaT where one fails."""
    if form in UNIX or form == EXCEL:
        return _unix(texts, UNIX[form]) if form in UNIX else _since_1900(texts)
    texts = texts.astype(str).str.strip()
    if "%Z" in form:
        form, texts = form.replace("%Z", "%z"), zones.offsets_for_names(texts)
    texts = texts.where(texts.str.contains(r"\d"), "?")  # pandas takes "now" for a time
    if "%z" in form:
        texts = texts.str.replace(r"(?:GMT|UTC)$", "+0000", regex=True).str.replace(
            r"(?:GMT|UTC)(?=[+-])", "", regex=True
        )
    if form in WIDTHS:
        texts = texts.str.zfill(WIDTHS[form])
    if span := SPAN.fullmatch(form):
        form, texts = span[1], texts.str.rsplit(span[2], n=1).str[0] if span[2] != "-" else texts.str.partition("-")[0]
    if "%q" in form:
        form, texts = _months_of_quarters(texts, form)
    if "%V" in form and "%u" not in form:
        form, texts = form + "-%u", texts + "-1"
    late = None
    if re.search(r"%H", form) and texts.str.contains(r"(?<!\d)24(?:[:.]?00)*(?:\D|$)").any():
        # 24:00 is the end of a day
        late = texts.str.contains(r"(?:^|[T\s])24(?:[:.]00)+")
        texts = texts.where(~late, texts.str.replace(r"(^|[T\s])24([:.]00)", r"\g<1>00\2", regex=True))
    given: Any = texts  # pandas-stubs knows no such Series
    found: pd.Series = pd.to_datetime(given, format=form, errors="coerce", utc="%z" in form)
    found = found if "%z" in form else found.dt.tz_localize(None)
    if late is not None and late.any():
        found = found.where(~late, found + pd.Timedelta(days=1))
    kept: pd.Series = found.where(found.dt.year.between(1, 9999))
    return kept


def _months_of_quarters(texts: pd.Series, form: str) -> tuple[str, pd.Series]:
    pattern = re.escape(form).replace("%Y", r"(?P<y>\d{4})").replace("%y", r"(?P<y>\d{2})")
    pattern = re.sub("(?<=[a-zA-Z])%q", "0?%q", pattern)  # Q1 and Q01
    parts = texts.str.extract(f"^{pattern.replace('%q', '(?P<q>[1-4])')}$", flags=re.IGNORECASE)
    return "%y-%m" if "%y" in form else "%Y-%m", parts["y"] + "-" + (parts["q"].astype(float) * 3 - 2).map(
        "{:.0f}".format
    )


def _unix(texts: pd.Series, unit: str) -> pd.Series:
    numbers: Any = pd.to_numeric(texts, errors="coerce")
    if unit == "s" and pd.api.types.is_float_dtype(numbers):
        numbers, unit = (numbers * 1e6).round(), "us"
    given: Any = unit
    found = pd.to_datetime(numbers, unit=given, errors="coerce")
    return pd.Series(found).where(lambda times: times.dt.year.between(1, 9999))


def _since_1900(texts: pd.Series) -> pd.Series:
    """Read days as a spreadsheet counts them: 1 is 1 January 1900, and 60 a day that never was (29 February)."""
    days: Any = pd.to_numeric(texts, errors="coerce")
    seconds = (days * 86_400).round()  # a time of day has few digits there
    return pd.Series(pd.Timestamp("1899-12-30") + pd.to_timedelta(seconds.where(days.between(61, 2_958_465)), unit="s"))


def clock(texts: pd.Series, form: str) -> pd.Series:
    """Read times of day by a format, or hours that are named by their end: (row,) timedelta64, NaT where one fails."""
    if form == HOUR_ENDING:
        hours = pd.to_numeric(
            texts.astype(str).str.extract(rf"^\D*(\d{{1,2}})(?::?00)?(?:{HOUR_WORD})?$")[0], errors="coerce"
        )
        return pd.to_timedelta(hours.where(hours.between(1, 24)) - 1, unit="h")
    if form in PERIODS:
        counted: Any = pd.to_numeric(texts, errors="coerce")
        most = 25 * 60 // PERIODS[form]  # of the day on which a clock is set back
        counted = counted + form.endswith("_from_0")
        known = counted.where(counted.between(1, most) & (counted % 1 == 0))
        found: pd.Series = pd.to_timedelta((known - 1) * PERIODS[form], unit="min")
        return found
    times = parse(texts, form.replace("%z", "").replace("%Z", ""))
    return times - pd.Timestamp("1900-01-01")


def has_date(form: str) -> bool:
    """Return whether a format has a part of a date."""
    return form in (*UNIX, EXCEL) or bool(set(re.findall(r"%(.)", form)) & DATE_PARTS)


def is_whole_date(form: str) -> bool:
    """Return whether a format says a time by itself: a year, at least."""
    return form in (*UNIX, EXCEL) or bool(set(re.findall(r"%(.)", form)) & {"Y", "y", "G"})


def fitting(texts: pd.Series) -> tuple[list[str], list[str]]:
    """Return the formats that fit all texts, and the format that fits most of them if none fits all.

    Formats that read the texts as the same times are given once.
    """
    some = pd.concat([texts.iloc[:SAMPLE], texts.iloc[-SAMPLE:]]).astype(str).str.strip()
    tried = dict.fromkeys(form for text in _kinds(some) for form in candidates(text))
    shares = {form: float(_parsed(some, form).notna().mean()) for form in tried}
    best = max(shares.values(), default=0.0)
    if best < 0.8:
        return [], []
    able = [form for form, share in shares.items() if share == best]
    found = {form: _parsed(texts, form) for form in able[:6]}
    whole = [form for form in found if not found[form].isna().any()]
    if not whole:
        most = max(found, key=lambda form: int(found[form].notna().sum()))
        return [], [most]
    return _distinct(whole, found), []


def _kinds(some: pd.Series) -> Sequence[str]:
    """Return a text of each kind: its digits and letters by their number."""
    shapes = some.str.replace(r"\d", "9", regex=True).str.replace(r"[A-Za-z]", "a", regex=True)
    firsts: list[str] = some[~shapes.duplicated()].tolist()
    return firsts[:40]


def _distinct(whole: Sequence[str], found: dict[str, pd.Series]) -> list[str]:
    kept = list[str]()
    for form in whole:
        if not any(found[form].equals(found[each]) for each in kept):
            kept.append(form)
    usual = [form for form in kept if form not in RARE and not re.match(r"%Y(.)%d(.)%m", form)] or kept[:1]
    # A wrong place of a year with two digits spreads the times over decades, so the shorter span is right.
    spans = {form: found[form].max() - found[form].min() for form in usual}
    if len({form.startswith("%y") for form in usual}) > 1:
        least = min(spans.values())
        usual = [form for form in usual if spans[form] <= 5 * least]
    return usual


RARE = {"%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y"}  # taken only if no usual format fits


def _parsed(texts: pd.Series, form: str) -> pd.Series:
    return parse(texts, form) if has_date(form) else clock(texts, form)


def by_numbers(numbers: np.ndarray, name: str = "") -> str | None:
    """Return the format of numbers that are all dates, months or times since 1970; None if they are not.

    Days as a spreadsheet counts them, such as 43831.5, are found only in a column whose `name` is one of a date.
    """
    known = numbers[~np.isnan(numbers)] if numbers.dtype.kind == "f" else numbers
    if not len(known):
        return None
    if DATED.search(name.lower()) and known.min() >= SERIALS[0] and known.max() < SERIALS[1]:
        whole = bool((known == np.floor(known)).all())
        return EXCEL if whole or len(np.unique(known)) > 0.98 * len(known) else None
    if not bool((known == np.floor(known)).all()):
        return _by_fractions(known)
    low, high = float(known.min()), float(known.max())
    for form, digits in DIGITS.items():
        if digits % 2 and not (DATED.search(name.lower()) or DAYS_OF_YEARS.fullmatch(name.lower())):
            continue  # 2000001 may be a number of anything
        # 2021030112 is an hour of 2021, and would be a second of 2034.
        first, last = (1500, 2201) if digits in (6, 8) else (1900, 2100)
        year = 10 ** (digits - 4)
        if first * year <= low and high < last * year:
            texts = pd.Series(known.astype(np.int64))
            if digits == 6 and _are_weeks(texts):
                return "%G%V"
            if not parse(texts, form).isna().any():
                return form
            break
    return _since_1970(low, high) or (_of_short_dates(known) if DATED.search(name.lower()) else None)


def _of_short_dates(known: np.ndarray) -> str | None:
    """Return the one format of whole numbers that are dates with a year of two digits, or with the day first."""
    texts = pd.Series(known.astype(np.int64))
    tried = {6: ("%y%m%d",), 8: ("%d%m%Y", "%m%d%Y", "%y%m%d%H")}.get(len(str(int(known.max()))), ())
    found = {form: parse(texts, form) for form in tried}
    shares = sorted(((_even(each), form) for form, each in found.items() if not each.isna().any()), reverse=True)
    sure = bool(shares) and shares[0][0] > 0.5 and (len(shares) == 1 or shares[1][0] < shares[0][0])
    return shares[0][1] if sure else None


def _are_weeks(numbers: pd.Series) -> bool:
    """Return whether whole numbers are weeks of several years, as 201552, 201553, 201601 …."""
    weeks = numbers % 100
    if not (12 < weeks.max() <= 53) or weeks.min() < 1 or (numbers // 100).nunique() < 2:
        return False
    found, days = parse(numbers, "%G%V"), parse(numbers, "%y%m%d")
    if days.isna().any():
        return not found.isna().any()
    # 201026 to 201031 may be days of October 2020.
    return not found.isna().any() and _even(found) > _even(days)


def _even(times: pd.Series) -> float:
    """Return the share of times that follow the one before by the usual distance."""
    gaps = times.sort_values().diff().dropna()
    return float((gaps == gaps.mode().iloc[0]).mean()) if len(gaps) else 0.0


def are_even_dates(numbers: pd.Series, form: str) -> bool:
    """Return whether whole numbers are days or hours that follow each other, whatever their column's name is."""
    return form.startswith("%Y%m%d") and len(numbers) >= 20 and numbers.is_unique and _even(parse(numbers, form)) > 0.9


def _by_fractions(known: np.ndarray) -> str | None:
    """Return the format of numbers with fractions: quarters as in 1990.1, or seconds since 1970."""
    low, high = float(known.min()), float(known.max())
    if low >= 1500 and high < 2201:
        quarter = np.round(known * 10 % 10, 6)
        return "%Y.%q" if bool(np.isin(quarter, (1, 2, 3, 4)).all()) and len(np.unique(quarter)) == 4 else None
    return _since_1970(low, high)


def _since_1970(low: float, high: float) -> str | None:
    for name, unit in (("unix_s", 1.0), ("unix_ms", 1e3), ("unix_us", 1e6), ("unix_ns", 1e9)):
        if 1e8 * unit <= low and high < 4.2e9 * unit:
            return name
    return None

"""Formats of times: which ones fit a text, and how texts are read by one."""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from lstm.config.shared.table import DAY_FRACTION, EXCEL, HOUR_ENDING, PERIODS, UNIX
from lstm.data.tables.timing import months, zones

SAMPLE = 2_000  # values at both ends that tell which formats may fit
OF = r"(?:[-/. ,]| de )*"  # between the parts of a date with a month's name
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
SPAN = re.compile(r"(%.+?)( - | to |/|\s?-\s?)(?=%)\1")  # an interval's format: its start and its end
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
    "%y%m%d%H%M": 10,
}


def candidates(text: str) -> list[str]:
    """Return the formats that a text may be written in, likely ones first."""
    text, found = months.plain(text.strip()), list[str]()
    head = tail = ""
    if spans := _spans(text):
        return spans
    if day := WEEKDAY.match(text):
        head = ("%A" if day[2] and len(day[1] + day[2]) > 3 else "%a") + day[3]
        text = text[day.end() :]
    rest = text
    if (zone := ZONE.search(text)) and re.search(BEFORE_ZONE, text[: zone.start()]):
        rest, tail = text[: zone.start()], " %z" if zone[0].startswith(" ") else "%z"
    if word := re.fullmatch(r"(\d{4}|\d{6}|\d{1,2}:\d\d(?::\d\d)?)(\s?(?:UTC|GMT|Z))", text):
        found += [f"{each}{word[2]}" for each in _clocks(word[1])]
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
    name = months.WORD
    if found := re.fullmatch(rf"(\d{{1,2}})({OF})({name})({OF})(\d{{4}}|\d{{2}})", text, re.IGNORECASE):
        yield from (f"%d{found[2]}{m}{found[4]}{_year(found[5])}" for m in _month(found[3]))
    if found := re.fullmatch(rf"({name})([-/. ]*)(\d{{1,2}})([-/. ,]+)(\d{{4}}|\d{{2}})", text, re.IGNORECASE):
        yield from (f"{m}{found[2]}%d{found[4]}{_year(found[5])}" for m in _month(found[1]))
    if found := re.fullmatch(rf"(\d{{4}})([-/. ,]*)({name})([-/. ,]*)(\d{{1,2}})", text, re.IGNORECASE):
        yield from (f"%Y{found[2]}{m}{found[4]}%d" for m in _month(found[3]))
    if found := re.fullmatch(rf"({name})((?:[-/. ,']| de )*)(\d{{4}}|\d{{2}})", text, re.IGNORECASE):
        yield from (f"{m}{found[2]}{_year(found[3])}" for m in _month(found[1]))
    if found := re.fullmatch(rf"(\d{{4}})([-/. ,]*)({name})", text, re.IGNORECASE):
        yield from (f"%Y{found[2]}{m}" for m in _month(found[3]))


def _with_letters(text: str) -> Iterator[str]:
    letter = "[qtk]" if re.search(r"\d{4}", text) else "q"  # T for trimestre, K for kvartal
    if found := re.fullmatch(rf"(\d{{4}}|\d{{2}})([-/. ]?)({letter})([1-4])", text, re.IGNORECASE):
        yield f"{_year(found[1])}{found[2]}{found[3]}%q"
    if found := re.fullmatch(rf"({letter})([1-4])([-/. ']*)(\d{{4}}|\d{{2}})", text, re.IGNORECASE):
        yield f"{found[1]}%q{found[3]}{_year(found[4])}"
    if found := re.fullmatch(r"([1-4])([qt])([-/. ']*)(\d{4}|\d{2})", text, re.IGNORECASE):  # 1T20 in Brazil
        yield f"%q{found[2]}{found[3]}{_year(found[4])}"
    if found := re.fullmatch(r"(\d{4})([-/. ])(?:I{1,3}|IV)", text):
        yield f"%Y{found[2]}%q"
    if found := re.fullmatch(r"(?:I{1,3}|IV)([-/. ])(\d{4}|\d{2})", text):
        yield f"%q{found[1]}{_year(found[2])}"
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
    if not months.is_english(word):
        return ["%b"]  # and the point after it is read with it
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
        texts = _padded(texts, form)
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
    found = _dated(texts, form)
    if late is not None and late.any():
        found = found.where(~late, found + pd.Timedelta(days=1))
    kept: pd.Series = found.where(found.dt.year.between(1, 9999))
    return kept


def _padded(texts: pd.Series, form: str) -> pd.Series:
    """Return texts with the zeros at their start that numbers lack, and those of months as in 20031 beside 200312."""
    if form == "%Y%m":
        texts = texts.str.replace(r"^(\d{4})(\d)$", r"\g<1>0\2", regex=True)
    return texts.str.zfill(WIDTHS[form])


def _dated(texts: pd.Series, form: str) -> pd.Series:
    """Read texts by a format of pandas, with names of months in any of the known languages."""
    given: Any = texts  # pandas-stubs knows no such Series
    found: pd.Series = pd.to_datetime(given, format=form, errors="coerce", utc="%z" in form)
    if re.search("%[bB]", form) and months.has_others(texts[found.isna()]):
        given, form = months.in_english(texts), re.sub(r"%[bB]\.?", "%b", form)
        found = pd.to_datetime(given, format=form, errors="coerce", utc="%z" in form)
    return found if "%z" in form else found.dt.tz_localize(None)


def _months_of_quarters(texts: pd.Series, form: str) -> tuple[str, pd.Series]:
    pattern = re.escape(form).replace("%Y", r"(?P<y>\d{4})").replace("%y", r"(?P<y>\d{2})")
    pattern = re.sub("(?<=[a-zA-Z])%q", "0?%q", pattern)  # Q1 and Q01
    pattern = pattern.replace("%q", f"(?P<q>[1-4]|{'|'.join(months.ROMAN)})")
    parts = texts.str.extract(f"^{pattern}$", flags=re.IGNORECASE)
    quarters = parts["q"].str.upper().replace(dict(months.ROMAN)).astype(float)
    form = "%y-%m" if "%y" in form else "%Y-%m"
    return form, parts["y"] + "-" + (quarters * 3 - 2).map("{:.0f}".format)


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
            texts.astype(str).str.extract(rf"^\D*(\d{{1,2}})(?:[:.]?00)?(?:{HOUR_WORD})?$")[0], errors="coerce"
        )
        return pd.to_timedelta(hours.where(hours.between(1, 24)) - 1, unit="h")
    if form == DAY_FRACTION:
        part: Any = pd.to_numeric(texts, errors="coerce")
        within: pd.Series = pd.to_timedelta(
            (part.where(part.between(0, 1, inclusive="left")) * 86_400).round(), unit="s"
        )
        return within
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
    able = [form for form in able if not _is_one_word(some, form) and not _are_days(some, form)]
    if not able:
        return [], []
    found = {form: _parsed(texts, form) for form in able[:6]}
    whole = [form for form in found if not found[form].isna().any()]
    if not whole:
        most = max(found, key=lambda form: int(found[form].notna().sum()))
        return [], [most]
    dates = [form for form in whole if has_date(form)]  # 14.10.22 may be a day, and a time of day
    return [*_distinct(dates, found), *_distinct([form for form in whole if form not in dates], found)], []


def _is_one_word(some: pd.Series, form: str) -> bool:
    """Return whether a format takes one word of another language and a number for a month: Set 10, Set 11."""
    if not re.fullmatch(r"%b\W*%y", form) or months.is_english(re.split(r"[^\w.]|\d", str(some.iloc[0]))[0]):
        return False
    return bool(parse(some, form).dt.month.nunique() < 2)


def _are_days(some: pd.Series, form: str) -> bool:
    """Return whether months with a year of two digits are out of order, and are in order as days: Jan-31, Feb-01."""
    if not re.fullmatch(r"%[bB]\W*%y", form):
        return False
    read = parse(some, form).dropna()
    if read.is_monotonic_increasing or read.is_monotonic_decreasing or read.dt.year.mod(100).between(1, 31).mean() < 1:
        return False
    gaps = (read.dt.month * 31 + read.dt.year % 100).diff().dropna()
    return bool((gaps > 0).mean() > 0.95 or (gaps < 0).mean() > 0.95)


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

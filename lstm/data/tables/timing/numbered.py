"""Columns of numbers that are times: dates without a sign between their parts, days of a spreadsheet, Unix times."""

import re

import numpy as np
import pandas as pd

from lstm.config.shared.table import EXCEL
from lstm.data.tables.timing import formats

DATED = re.compile(r"(^|[^a-z])(date|time|datetime|timestamp|ds|dt|day|serial)s?($|[^a-z])")  # a column's name
NAMED = re.compile(
    r"(^|[^a-z])(date|time|month|quarter|qtr|yearmonth|yearquarter|yyyy(mm?|q)|period|ds|dt|t)s?($|[^a-z])"
)
# The name of a column of times of day.
CLOCKED = re.compile(
    r"time|zeit|heure|hora|hour|stunde|tijd|godz|klok|hhmm|(^|[^a-z])(hh?|hms?|ora|uur|tid|saat|klo?|kello)($|[^a-z])",
    re.IGNORECASE,
)
DAYS_OF_YEARS = re.compile(r"t|period|yyyyddd|yyyydoy|year_?doy")
DIGITS = {"%Y%m": 6, "%Y%j": 7, "%Y%m%d": 8, "%Y%j%H": 9, "%Y%m%d%H": 10, "%Y%j%H%M": 11}
DIGITS |= {"%Y%m%d%H%M": 12, "%Y%m%d%H%M%S": 14}
SHORT = "%y%m%d%H%M"
SERIALS = 20_000, 80_000  # the days of 1954 to 2119, as a spreadsheet counts them
SINCE_1970 = 25_569  # the day 1 January 1970: smaller numbers may be days since 1960, as SAS and Stata count them


def _go_on(known: np.ndarray) -> bool:
    """Return whether numbers go on in the order of the rows, or by one distance, as times do and a price does not."""
    gaps = np.diff(known)
    if (gaps >= 0).mean() > 0.9 or (gaps <= 0).mean() > 0.9:
        return True
    ordered = np.diff(np.unique(known))
    return len(ordered) > 0 and float((ordered == np.median(ordered)).mean()) > 0.5


def by_numbers(numbers: np.ndarray, name: str = "") -> str | None:
    """Return the format of numbers that are all dates, months or times since 1970; None if they are not.

    Days as a spreadsheet counts them, such as 43831.5, are found only in a column whose `name` is one of a date.
    """
    known = numbers[~np.isnan(numbers)] if numbers.dtype.kind == "f" else numbers
    if not len(known):
        return None
    if DATED.search(name.lower()) and known.min() >= SERIALS[0] and known.max() < SERIALS[1]:
        whole = bool((known == np.floor(known)).all())
        able = whole or len(np.unique(known)) > 0.98 * len(known)
        return EXCEL if able and known.min() >= SINCE_1970 and _go_on(known) else None
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
            if not formats.parse(texts, form).isna().any():
                return form
            break
    short = low >= 1e8 and high < 1e10 and not formats.parse(pd.Series(known.astype(np.int64)), SHORT).isna().any()
    since = SHORT if short else _since_1970(low, high)  # 2101090000 would be a second of 2036
    joined = _of_joined(known) if low >= 15_001 and high < 220_100 and NAMED.search(name.lower()) else None
    return since or joined or (_of_short_dates(known) if DATED.search(name.lower()) else None)


def _of_joined(known: np.ndarray) -> str | None:
    """Return the format of years joined with a quarter (19904), or with a month of one or two digits (19909)."""
    texts = pd.Series(known.astype(np.int64))
    years = texts.astype(str).str[:4].astype(int)
    if years.min() < 1500 or years.max() > 2200 or years.nunique() < 2:
        return None
    parts = set(texts.astype(str).str[4:].astype(int))
    if known.max() < 1e5:
        return "%Y%q" if parts == {1, 2, 3, 4} else None
    return "%Y%m" if known.min() < 1e5 and parts == {*range(1, 13)} else None


def _of_short_dates(known: np.ndarray) -> str | None:
    """Return the one format of whole numbers that are dates with a year of two digits, or with the day first."""
    if known.max() >= 1e8 or known.min() < 0:
        return None  # nine digits, or more than a whole number has room for
    texts = pd.Series(known.astype(np.int64))
    tried = {6: ("%y%m%d",), 8: ("%d%m%Y", "%m%d%Y", "%y%m%d%H")}.get(len(str(int(known.max()))), ())
    found = {form: formats.parse(texts, form) for form in tried}
    shares = sorted(((_even(each), form) for form, each in found.items() if not each.isna().any()), reverse=True)
    sure = bool(shares) and shares[0][0] > 0.5 and (len(shares) == 1 or shares[1][0] < shares[0][0])
    return shares[0][1] if sure else None


def _are_weeks(numbers: pd.Series) -> bool:
    """Return whether whole numbers are weeks of several years, as 201552, 201553, 201601 …."""
    weeks = numbers % 100
    if not (50 <= weeks.max() <= 53) or weeks.min() < 1 or (numbers // 100).nunique() < 2:
        return False
    found, days = formats.parse(numbers, "%G%V"), formats.parse(numbers, "%y%m%d")
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
    return (
        form.startswith("%Y%m%d")
        and len(numbers) >= 20
        and numbers.is_unique
        and _even(formats.parse(numbers, form)) > 0.9
    )


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

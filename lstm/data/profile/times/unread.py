"""Columns that look like times and are not read: with them, rows might be in another order than that of the file."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.data.profile.columns import Column
from lstm.data.profile.form.reading import is_text
from lstm.data.profile.groups import sequences
from lstm.data.profile.times import parts
from lstm.data.profile.times.found import Found
from lstm.data.tables import reader
from lstm.data.tables.timing import formats, months
from lstm.records.errors import refused

LONG_YEAR, SHORT_YEAR = (
    re.compile(r"(?<!\d)(1[5-9]|20|21)\d\d(?!\d)"),
    re.compile(r"(?<!\d)\d\d(?!\d)|(?<!\d)\d{4}(?!\d)"),
)
TWO_YEARS = re.compile(r"(?:1[5-9]|20|21)\d\d\s?[-/\u2013]\s?(?:\d{2}|\d{4})|FY\W?\d{2,4}", re.IGNORECASE)  # a season
HALF_YEAR = re.compile(  # or a quarter of a business year
    r"FY\W?\d{2,4}\W?[QHS]\d|[QHS]\d\W?FY\W?\d{2,4}|\d{4}\W?[HS][12]|[HS][12]\W?\d{4}", re.IGNORECASE
)
SHORT_DATE = re.compile(r"\d{1,2}[-/. ]+[^\W\d]{3,9}\.?[-/. ]+\d{2}")  # 01-mars-20
MONTH = re.compile(rf"(?<![^\W\d]){months.WORD}", re.IGNORECASE)
PART_OF_YEAR = re.compile(r"\d{1,2}\s?[-/.]\s?(?:1[89]|20)\d\d|(?:1[89]|20)\d\d\s?[-/.]\s?\d{1,2}")  # a week: 46/2017
IN_ORDER = re.compile(r"\W*(?:1[89]|20)\d\d\W{1,2}\d{1,2}\W{1,2}\d{1,2}\W*")  # 2020. 10. 06
DAY_OF_WEEK = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]?\s+\d{1,2}[-/.]\d{1,2}\.?", re.IGNORECASE)
CLOCK = re.compile(r"(?<!\d)\d{1,2}:\d\d(?!\d)")
NAMED = re.compile(
    r"(?P<a>[^\W\d_]{2,})[^\w]{0,2}(?P<y>\d{2}|\d{4})|(?P<z>\d{2}|\d{4})[^\w]{0,2}(?P<b>[^\W\d_]{2,})\W?"
)
DEKAD = re.compile(r"(^|[^a-z])d[eé][ck]ad(e|al|as?)?s?($|[^a-z])", re.IGNORECASE)
YEAR = re.compile(r"(1[5-9]|2[01])\d0s?")
MOST_NUMBERS = 5  # in a text that may be a time
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVEN = 1e-3  # of a distance: times as numbers of days have six digits after the point
FUTURE = 2040  # a year of two digits from 40 to 68 may be one of the last century
MOST_MONTHS = 24  # different words in a column of dates: months, in two ways


def refuse(path: Path, raw: pa.Table, columns: Sequence[Column]) -> None:
    """Check that no column looks like times that can't be read: the rows might be in another order.

    Raises:
        BadInput: a column of texts looks like dates, or a column of numbers falls from row to row as times do.
    """
    for column in columns:
        values = raw.column(column.name)
        if values.null_count or len(values) < 3:
            continue
        if column.kind == "other" and is_text(values.type):
            some = values.slice(0, 200).to_pylist()
            texts = [months.plain(str(each)).strip() for each in some]
            if len(set(some)) == len(some) and (_look_dated(texts) or _are_months(texts) or _fall_as_clocks(values)):
                raise refused("no-time-format", at=path, column=column.name, value=str(some[0]))
            if (len(set(some)) == len(some) and _numbers_fall(texts)) or _names_fall(texts):
                raise refused("rows-may-be-newest-first", at=path, column=column.name)
        if column.kind == "number" and pa.types.is_floating(values.type):
            numbers = reader.float64(values)
            gaps = np.diff(numbers)
            even = column is columns[0] and is_even(gaps)
            if (are_years(numbers) or even) and bool((gaps < 0).all()):
                raise refused("times-with-fractions", at=path, column=column.name)
    _refuse_falling(path, raw, columns)


def _refuse_falling(path: Path, raw: pa.Table, columns: Sequence[Column]) -> None:
    """Check that no numbers fall from row to row as times do."""
    if falling := _falling_parts(raw, columns):
        raise refused("rows-may-be-newest-first", at=path, column=falling)
    numbered = [c.name for c in columns if c.kind == "number" and not c.missing]
    for name in numbered if len(numbered) > 1 else ():  # one alone is what is forecast
        numbers = reader.float64(raw.column(name).cast(pa.float64(), safe=False))
        if _falls_mostly_evenly(numbers) or _falls_in_rounds(numbers):
            raise refused("rows-may-be-newest-first", at=path, column=name)


def refuse_short_years(path: Path, raw: pa.Table, found: Found) -> None:
    """Check that no year with two digits is read as one of the far future: 49 as 2049, as Python and pandas do.

    Raises:
        BadInput: a year is.
    """
    index = found.times.index
    if not isinstance(index, pd.DatetimeIndex) or not len(index) or index.year.max() < FUTURE:
        return
    row = int(index.year.argmax())
    texts = [str(raw.column(name)[row].as_py()) for name in found.columns if is_text(raw.column(name).type)]
    short = any("%y" in (form or "") for form in found.formats) or (texts and not found.formats)
    year = int(index[row].year)
    if short and not any(str(each) in text for text in texts for each in (year - 1, year, year + 1)):
        value = str(raw.column(found.columns[0])[row].as_py())
        raise refused("year-of-two-digits", at=path, column=found.columns[0], value=value, year=year)


def refuse_dekads(path: Path, raw: pa.Table) -> None:
    """Check that no column has dekads, the three parts of a month, as numbers or words.

    Raises:
        BadInput: a column is named so, and its values are no decades such as 1980.
    """
    for name in raw.column_names:
        if DEKAD.search(name) and not raw.column(name).null_count:
            value = str(raw.column(name)[0].as_py())
            if not YEAR.fullmatch(value):
                raise refused("no-time-format", at=path, column=name, value=value)


def _falling_parts(raw: pa.Table, columns: Sequence[Column]) -> str | None:
    """Return the second column of years, months, weeks … that together fall from row to row, and were not read."""
    whole = {c.name.lower(): c.name for c in columns if not c.missing and pa.types.is_integer(raw.column(c.name).type)}
    found = [next((whole[name] for name in names if name in whole), None) for names in parts.PARTS.values()]
    named = [name for name in found if name][:4]
    if found[0] is None or len(named) < 2:
        return None
    key = np.zeros(raw.num_rows)
    for name in named:
        key = key * 1000 + reader.float64(raw.column(name))
    gaps = np.diff(key)
    return named[1] if len(gaps) > 10 and float((gaps < 0).mean()) > 0.9 else None


def is_even(gaps: np.ndarray) -> bool:
    """Return whether numbers rise or fall by one distance, apart from the rounding of their last digits."""
    return len(gaps) > 0 and float(np.ptp(gaps)) <= EVEN * float(np.abs(gaps).max())


def _falls_mostly_evenly(numbers: np.ndarray) -> bool:
    """Return whether numbers fall in each row, and in half of the rows by one distance, as days without weekends do."""
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = np.diff(numbers)
        usual = float(np.median(gaps)) if len(gaps) > 3 else 0.0
        return bool((gaps < 0).all()) and float((np.abs(gaps - usual) <= EVEN * abs(usual)).mean()) > 0.5


def _falls_in_rounds(numbers: np.ndarray) -> bool:
    """Return whether numbers fall by one distance and begin anew, as the months or the hours of newest rows first."""
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = np.diff(numbers)
        usual = float(np.median(gaps)) if len(gaps) >= 12 else 0.0
        others = gaps[gaps != usual]
    if not usual < 0 or not 2 <= len(others) <= len(gaps) / 3:
        return False
    return bool((others[1:-1] == others[0]).all()) and others[0] > 0


def _numbers_fall(texts: Sequence[str]) -> bool:
    """Return whether the numbers in texts, taken in some order, fall from row to row, and rise in no order."""
    rows = [tuple(map(int, re.findall(r"\d{1,15}", text))) for text in texts]
    width = len(rows[0])
    if not 1 <= width <= MOST_NUMBERS or len(rows) < 12 or any(len(row) != width for row in rows):
        return False
    falls = False
    for order in itertools.permutations(range(width)):
        ordered = [tuple(row[place] for place in order) for row in rows]
        pairs = [*itertools.pairwise(ordered)]
        if all(before < after for before, after in pairs):
            return False
        falls = falls or all(before > after for before, after in pairs)
    return falls


def _names_fall(texts: Sequence[str]) -> bool:
    """Return whether texts are names of months or of days of the week alone, each one before that of the row above."""
    named = [months.number_of(text) or 0 for text in texts]
    if not all(named):
        named = [DAYS.index(text[:3].lower()) + 1 if text[:3].lower() in DAYS else 0 for text in texts]
        if not all(named) or not all(map(str.isalpha, texts)):
            return False
    gaps = np.diff(named) % (12 if months.number_of(texts[0]) else 7)
    return len(gaps) >= 12 and float((gaps == gaps.max()).mean()) > 0.9 and gaps.max() in (6, 11)


def _are_months(texts: Sequence[str]) -> bool:
    """Return whether texts have twelve words by turns beside a number that goes on by one after each round.

    So months are written in any language: led 20, uno 20 … pro 20, led 21.
    """
    found = [NAMED.fullmatch(text) for text in texts]
    if len(texts) < 14 or not all(found):
        return False
    words = [(each["a"] or each["b"]).casefold() for each in found if each]
    years = [int(each["y"] or each["z"]) for each in found if each]
    pairs = list(zip(words, years, words[12:], years[12:], strict=False))
    alike = sum(word == other and (later - year) % 100 in (1, 99) for word, year, other, later in pairs)
    return len({*words}) == 12 and alike > 0.8 * len(pairs)


def _fall_as_clocks(values: pa.ChunkedArray) -> bool:
    """Return whether texts are times of day without a date of which almost each is earlier than the one before."""
    texts = values.to_pandas()
    able = [each for each in formats.fitting(texts)[0] if not formats.has_date(each)]
    return bool(able) and float((formats.clock(texts, able[0]).diff().dropna() < pd.Timedelta(0)).mean()) > 0.9


def _look_dated(texts: Sequence[str]) -> bool:
    """Return whether texts look like dates: as dates are written, or as years with a few words, such as Mai 2020."""
    if any(
        all(map(kind.fullmatch, texts))
        for kind in (sequences.WRITTEN, TWO_YEARS, HALF_YEAR, SHORT_DATE, PART_OF_YEAR, DAY_OF_WEEK, IN_ORDER)
    ):
        return True
    if all(map(_is_dated, texts[:: max(len(texts) // 20, 1)])):
        return True  # some are years, others quarters or months
    if all(LONG_YEAR.search(text) and (CLOCK.search(text) or MONTH.search(text)) for text in texts):
        return True
    words = {re.sub(r"[\W\d_]+", " ", text).strip().lower() for text in texts}
    if "" in words or len(words) > min(MOST_MONTHS, len(texts) / 2):
        return False
    if len(words) < 3:  # KW 12/2015 has a number beside the year; P1601 has none
        return all(LONG_YEAR.search(text) and re.search(r"\d", LONG_YEAR.sub("", text, count=1)) for text in texts)
    named = all(months.number_of(word) for word in words)
    return all(map((SHORT_YEAR if named else LONG_YEAR).search, texts))


def _is_dated(text: str) -> bool:
    able = [each for each in formats.candidates(text) if formats.is_whole_date(each)]
    return any(not re.fullmatch(r"%b\W*%y", each) for each in able)  # Set 10 may be a name


def are_years(known: np.ndarray) -> bool:
    """Return whether numbers are years with fractions."""
    return bool(known.min() >= 1500 and known.max() < 2201 and (known % 1 != 0).any())

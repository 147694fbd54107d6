"""How an unknown table is written: its columns as numbers and texts, and the fields of `data` that say so."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lstm.data.profile.form import dialect
from lstm.data.tables import content, numbers, reader
from lstm.data.tables.content import Form
from lstm.data.tables.numbers import Written
from lstm.data.tables.timing import formats, months, numbered
from lstm.messages.message import Note, note
from lstm.records.errors import refused

POINTED_DATE = re.compile(r"\s*\d{1,2}\.\s?\d{1,2}\.\s?(?:\d{4}|\d{2})\b")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a table is read: its form, and the fields of `data` that say it, each with its reason."""

    form: Form
    fields: Mapping[str, Any]
    why: Mapping[str, str]


def find(path: Path) -> tuple[pa.Table, Reading, list[Note]]:
    """Read every column with a usable name. Returns the columns with types, how they were read, and notes for people.

    Raises:
        BadInput: the file can't be read, has no rows or no column with a name of its own, or its numbers can be read in
            two ways.
    """
    reader.check(path, "a CSV or Parquet file")
    found = dialect.find(path)
    names = reader.header(path, found.form)
    if names and not names[0] and all(names[1:]) and not reader.has_types(path) and found.form.header is True:
        found = _with_first_name(path, found, names)
        names = reader.header(path, found.form)
    counts = Counter(names)
    usable = [n for n in names if n and n.isprintable() and counts[n] == 1]
    unusable = len(names) - len(usable)
    twice = [name for name in dict.fromkeys(names) if name and counts[name] > 1]
    notes = [note("columns-without-own-name", count=unusable, twice=", ".join(twice[:4]) or None)] if unusable else []
    where = f"{path}:{found.form.skip_rows + 1}"
    if not usable:
        raise refused("no-column-with-own-name", at=where)
    if found.form.header is True and not reader.has_types(path) and all(_is_number(name) for name in usable):
        raise refused("numbers-instead-of-names", at=where)
    raw = reader.read(path, usable, form=found.form)
    form = found.form
    if not reader.has_types(path) and (empty := _empty(raw)):
        form = replace(form, drops_empty=True)
        notes.append(note("empty-rows-left-out", "data.path", count=empty))
        raw = reader.read(path, usable, form=form)
    read = _with_numbers(path, {name: _plain(raw.column(name)) for name in usable}, replace(found, form=form), notes)
    if twice and all(
        is_text(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind) for kind in read[0].schema.types
    ):
        raise refused("column-occurs-twice", at=where, column=twice[0])  # nothing else could be forecast
    return read


def _with_numbers(
    path: Path, columns: dict[str, pa.ChunkedArray], found: dialect.Dialect, notes: list[Note]
) -> tuple[pa.Table, Reading, list[Note]]:
    """Return the columns of which texts are numbers as numbers, how they were read, and notes for people."""
    form = found.form
    months = {} if reader.has_types(path) else _months(path, columns, form)
    texts = {name: values for name, values in columns.items() if is_text(values.type)}
    columns |= months
    columns |= {} if reader.has_types(path) else _pointed_clocks(path, columns, form)
    ways = {name: how for name, values in texts.items() if (how := numbers.written(values, form))}
    reading = _decided(path, found, ways)
    if not reader.has_types(path):
        _refuse_points(path, columns, form)
        notes += _points_alone(path, columns, reading)
    for name, how in ways.items():
        if how.wrong >= 0:
            value = str(texts[name][how.wrong].as_py())
            at = reader.place(path, how.wrong, form)
            notes.append(note("column-not-quite-numbers", at=at, column=name, value=value))
            continue
        parsed = numbers.parse(texts[name], reading.form)
        if len(parsed.wrong):
            continue
        if numbers.are_flags(texts[name]):
            columns[name] = pa.chunked_array([pa.array(parsed.values, from_pandas=True).cast(pa.bool_())])
            words = sorted({str(each).strip() for each in texts[name].unique().to_pylist() if each is not None})
            notes.append(note("flags-as-numbers", column=name, words=words[:4]))
        else:
            columns[name] = _typed(parsed.values)
            notes += _of_words(path, name, texts[name], how, reading.form)
    if reading.form.decimal != ".":
        pointed = [name for name, values in columns.items() if name not in texts and pa.types.is_floating(values.type)]
        notes += [note("points-beside-commas", column=name) for name in pointed]
    return pa.table(columns), reading, notes


def _months(path: Path, columns: Mapping[str, pa.ChunkedArray], form: Form) -> dict[str, pa.ChunkedArray]:
    """Return the texts of columns that are months, as 01.2005 or 2005.01, and would be numbers with a point."""
    found = {}
    for name, values in columns.items():
        if not pa.types.is_floating(values.type) or values.null_count or len(values) < 3:
            continue
        numbers_read = reader.float64(values)
        if not 1 <= numbers_read.min() <= numbers_read.max() < 2200:
            continue
        whole, after = np.floor(numbers_read), np.round(numbers_read % 1 * 10_000)
        years, months = (whole, after / 100) if whole[0] >= 1500 else (after, whole)
        if years.min() >= 1500 and years.max() < 2200 and months.min() >= 1 and months.max() <= 12:
            texts = reader.read(path, [name], texts=[name], form=form).column(name)
            if pc.all(pc.match_substring_regex(texts, r"^\s*(\d{1,2}\.\d{4}|\d{4}\.\d{2})\s*$")).as_py():
                found[name] = texts.cast(pa.string())
    return found


def _pointed_clocks(path: Path, columns: Mapping[str, pa.ChunkedArray], form: Form) -> dict[str, pa.ChunkedArray]:
    """Return the texts of columns beside a date that are times of day, as 09.45, and would be numbers with a point.

    In a step of half an hour 9.50 may be half past nine, or ten to ten. So hours must be a step apart as times of day.
    """
    able = [n for n, values in columns.items() if pa.types.is_floating(values.type) and numbered.CLOCKED.search(n)]
    if not able or not any(_may_be_dates(each) and len(each.unique()) < len(each) for each in columns.values()):
        return {}  # dates that all differ need no time of day
    found = {}
    for name in able:
        values = columns[name]
        if values.null_count or not len(values):
            continue
        hours = reader.float64(values)
        if not (0 <= hours.min() <= hours.max() <= 24):
            continue
        texts = reader.read(path, [name], texts=[name], form=form).column(name).cast(pa.string())
        if not pc.all(pc.match_substring_regex(texts, r"^\s*\d{1,2}\.[0-5]\d\s*$")).as_py():
            continue
        minutes = np.round(np.floor(hours) * 60 + hours % 1 * 100)
        if _evenness(minutes) >= _evenness(np.round(hours * 60)):
            found[name] = texts
    return found


def _evenness(minutes: np.ndarray) -> float:
    """Return the share of times of a day that follow the one before by the usual distance."""
    gaps = np.diff(np.unique(minutes))
    return float((gaps == np.bincount(gaps.astype(np.int64)).argmax()).mean()) if len(gaps) else 1.0


def _may_be_dates(values: pa.ChunkedArray) -> bool:
    """Return whether a column has dates by its type, or by its first texts."""
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        return True
    some = values.slice(0, 5).drop_null().to_pylist() if is_text(values.type) else []
    return bool(some) and all(any(map(formats.is_whole_date, formats.candidates(str(each)))) for each in some)


def _refuse_points(path: Path, columns: Mapping[str, pa.ChunkedArray], form: Form) -> None:
    """Check that points do not seem to be between groups of digits, as in 987, 1.012, 1.250.

    Raises:
        BadInput: all numbers with a point have three digits after it, and the others are whole and below 1000.
    """
    for name, values in columns.items():
        if not pa.types.is_floating(values.type) or form.decimal != ".":
            continue
        known = np.abs(reader.float64(values.drop_null()))
        whole = known[known == np.floor(known)]
        if not len(whole) or len(whole) == len(known) or whole.max() >= 1000 or np.median(whole) < 100:
            continue
        texts = reader.read(path, [name], texts=[name], form=form).column(name).drop_null().to_pandas().str.strip()
        points = texts[texts.str.contains(".", regex=False)]
        plain = len(texts) - len(points)
        if plain > 0.02 * len(texts) and bool(points.str.fullmatch(r"[-+]?[1-9]\d{0,2}\.\d{3}").all()):
            row = int(points.index[0])
            other = str(texts[~texts.str.contains(".", regex=False)].iloc[0])
            at = reader.place(path, row, form) if not values.null_count else str(path)
            raise refused("point-for-thousands", at=at, column=name, value=str(points.iloc[0]), other=other)


def _points_alone(path: Path, columns: Mapping[str, pa.ChunkedArray], reading: Reading) -> list[Note]:
    """Return notes on numbers such as 4.999 and 17.250 where all of a file have three digits after the point.

    A file with semicolons, or with dates such as 31.12.2021, may mean thousands by the point.

    Raises:
        BadInput: it has such dates, and no comma divides its columns.
    """
    form = reading.form
    if form.decimal != "." or form.thousands:
        return []
    floats = [name for name, values in columns.items() if pa.types.is_floating(values.type)]
    if not floats or not all(_may_be_grouped(reader.float64(columns[name].drop_null())) for name in floats):
        return []  # another number has decimals, or a zero before the point
    lines = content.head_of(path, form.encoding).splitlines()
    mark = form.delimiter or reader.delimiter("\n".join(lines[form.skip_rows : form.skip_rows + 2]))
    texts = [values.slice(0, 50).to_pylist() for values in columns.values() if is_text(values.type)]
    dated = any(each and all(POINTED_DATE.match(str(text)) for text in each) for each in texts)
    dated = dated or any(each and _have_other_months([str(text) for text in each]) for each in texts)
    if mark == "," or not (dated or mark == ";"):
        return []
    read = reader.read(path, floats, texts=floats, form=form)
    notes = []
    for name in floats:
        some = read.column(name).drop_null().to_pandas().str.strip()
        if not len(some) or not bool(some.str.fullmatch(r"[-+]?[1-9]\d{0,2}\.\d{3}").all()):
            return []
        told = {"column": name, "value": str(some.iloc[0])}
        if dated:
            raise refused("point-for-thousands", at=path, **told, other=None)
        notes.append(note("points-for-decimals", "data.decimal", **told))
    return notes


def _have_other_months(texts: list[str]) -> bool:
    """Return whether all texts have a year and a month's name, and one of these is not English: Mai 2021, Okt. 2021."""
    named = all(re.search(rf"(?<![^\W\d_]){months.WORD}", months.plain(each), re.IGNORECASE) for each in texts)
    return named and all(re.search(r"\d\d", each) for each in texts) and months.has_others(pd.Series(texts))


def _may_be_grouped(known: np.ndarray) -> bool:
    """Return whether all numbers are from 1 to 1000 and have at most three digits after the point."""
    size = np.abs(known)
    if not len(size) or size.min() < 1 or size.max() >= 1000:
        return False
    return bool((np.abs(size * 1000 - np.round(size * 1000)) < 1e-6).all())


def _with_first_name(path: Path, found: dialect.Dialect, names: list[str]) -> dialect.Dialect:
    """Return the dialect with a name for the first column, if only that has none and its values are times."""
    given = ["time" if "time" not in names else "time of the row", *names[1:]]
    above = _line_of_names(path, found.form)
    form = replace(found.form, header=tuple(given), skip_rows=above)
    values = reader.read(path, given[:1], texts=given[:1], form=form).column(given[0]).drop_null().to_pandas()
    if not len(values) or not (_are_dates(values) or _fall(values)):
        return found
    why = {"skip_rows": "the line of names, which follow", "header": "the first column has times and no name"}
    return dialect.Dialect(form, {**found.fields, "skip_rows": above, "header": given}, {**found.why, **why})


def _are_dates(texts: pd.Series) -> bool:
    """Return whether texts are dates; numbers with at most one point are none."""
    if not texts.str.contains(r"\d[^\d.]|[^\W\d_]\W*\d|\d\.\s?\d+\.\s?\d|^\s*\d{8}\s*$").all():
        return False
    if not pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601").isna().any():
        return True
    return any(map(formats.is_whole_date, formats.fitting(texts)[0]))


def _fall(texts: pd.Series) -> bool:
    """Return whether whole numbers fall from row to row, as years or times of the newest row first do."""
    whole = bool(texts.str.fullmatch(r"\s*\d{1,18}\s*").all())
    return whole and len(texts) > 2 and bool((texts.astype(np.int64).diff().iloc[1:] < 0).all())


def _line_of_names(path: Path, form: Form) -> int:
    """Return the number of the line that has the names, from 1."""
    return int(content.text_of(path, form).numbers[0])


def _of_words(path: Path, name: str, values: pa.ChunkedArray, how: Written, form: Form) -> list[Note]:
    """Return notes on words that are taken as missing, and on percent signs."""
    found = []
    if how.words:
        texts = values.to_pandas().str.strip()
        row = int(np.argmax(texts.isin(how.words).to_numpy()))
        at = reader.place(path, row, form)
        told = {"column": name, "words": [*how.words], "count": int(texts.isin(how.words).sum())}
        found.append(note("words-taken-as-missing", "data.missing_values", at=at, **told))
    if signed := numbers.signed(values):
        value = float(numbers.parse(pa.chunked_array([[signed]]), form).values[0])
        found.append(note("signs-left-out", column=name, text=signed, value=value))
    if numbers.has_percents(values):
        found.append(note("percents-as-numbers", column=name))
    return found


def _decided(path: Path, found: dialect.Dialect, ways: Mapping[str, Written]) -> Reading:
    """Return the reading of a file whose columns have numbers written in some ways.

    Raises:
        BadInput: a comma may be for decimals or for thousands.
    """
    fields, why, form = dict(found.fields), dict(found.why), found.form
    sure = {name: how for name, how in ways.items() if not how.doubtful and how.wrong < 0}
    signs = Counter(pair for how in sure.values() if (pair := (how.decimal, how.thousands)) != (".", None))
    doubtful = next(((name, how) for name, how in ways.items() if how.doubtful), None)
    if doubtful and not signs:
        name, how = doubtful
        sign = how.thousands or how.decimal
        raise refused("decimal-or-thousands", at=path, column=name, value=how.doubtful, sign=sign)
    if signs:
        decimal = Counter(decimal for decimal, _ in signs.elements()).most_common(1)[0][0]
        thousands = next((t for (d, t), _ in signs.most_common() if d == decimal and t), None)
        example = next(name for name, how in sure.items() if (how.decimal, how.thousands) in signs)
        if decimal != ".":
            fields["decimal"], why["decimal"] = decimal, f"numbers have a decimal comma, as in column {example!r}"
        if thousands:
            fields["thousands"], why["thousands"] = thousands, f"between groups of digits, as in column {example!r}"
        form = replace(form, decimal=decimal, thousands=thousands)
    if words := sorted({word for how in sure.values() for word in how.words}):
        fields["missing_values"] = words
        why["missing_values"] = f"{', '.join(map(repr, words[:3]))} among numbers: taken as missing"
        form = replace(form, missing=tuple(words))
    return Reading(form, fields, why)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with a plain type: no dictionary, no decimals; NaN is a missing value."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _plain(values.cast(kind.value_type))
    if pa.types.is_decimal(kind):
        return values.cast(pa.float64(), safe=False)
    if pa.types.is_floating(kind):
        return pa.chunked_array([pa.array(reader.float64(values), from_pandas=True)])
    if pa.types.is_time(kind):
        return pa.chunked_array([pa.array(values.to_pandas().map(str, na_action="ignore"), pa.string())])
    if is_text(kind):
        return values.cast(pa.string())
    return values


def _typed(values: np.ndarray) -> pa.ChunkedArray:
    """Return numbers as whole numbers if all are whole, else as float64."""
    known = values[~np.isnan(values)]
    whole = len(known) and bool((known == np.floor(known)).all()) and bool((np.abs(known) < 2**53).all())
    array = pa.array(values, from_pandas=True)
    return pa.chunked_array([array.cast(pa.int64()) if whole else array])


def _empty(raw: pa.Table) -> int:
    """Return the number of rows in which no column has a value, if a row may be one; else 0."""
    if raw.num_columns < 2 or not all(column.null_count for column in raw.columns):
        return 0
    return int(np.logical_and.reduce([column.is_null().to_numpy() for column in raw.columns]).sum())


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return bool(dialect.NUMBER.fullmatch(text))  # 3,5
    return True

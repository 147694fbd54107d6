"""Reading of CSV, Parquet and Feather files: the header, the columns, and errors with their line."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from lstm.data.tables import content
from lstm.data.tables import numbers as written_numbers
from lstm.data.tables.content import PLAIN, Form, Text
from lstm.data.tables.numbers import NULLS
from lstm.messages.entry import shown
from lstm.records.errors import BadInput, fault, nearest, refused

pa.array(pd.period_range("2000", periods=1, freq="D").array)  # makes pandas' periods known to pyarrow
MOST_VALUES = 100_000_000  # of a file: about 5 GB at the peak; a Parquet file of one megabyte can contain more
LONGEST_HEADER = 2**20  # bytes
LONG = 100_000_000  # bytes: larger files are read in blocks
BLOCK = 100_000  # rows
TEXT = 2**18  # bytes of a CSV block; pyarrow reads some dozens of blocks ahead
LARGEST = 1e300  # beyond it sums of float64 overflow
MOST_LISTED = 12  # columns of a file that a message lists


def header(path: Path, form: Form = PLAIN) -> list[str]:
    """Return the names of a file's columns.

    Raises:
        BadInput: the file does not exist, can't be opened, or is no table.
    """
    try:
        check(path, "a CSV or Parquet file")
        if is_feather(path):
            return list(pa.ipc.open_file(str(path.absolute())).schema.names)
        if is_parquet(path):
            # The path is absolute, here and below, because pyarrow takes a name such as s3:a.parquet for the address
            # of an object store.
            return list(pa.parquet.read_schema(path.absolute()).names)
        if not content.is_plain(path, form):
            return _names(path, content.text_of(path, form), form)
        content.check_kind(path)
        with path.open("rb") as lines:
            line = lines.readline(LONGEST_HEADER)
        if len(line) == LONGEST_HEADER:
            raise refused("first-line-too-long", at=f"{path}:1", limit=LONGEST_HEADER)
        text = line.decode("utf-8-sig")
        return _cells(path, 1, text, form.delimiter)
    except PermissionError:
        raise refused("no-permission-to-read", at=path) from None
    except UnicodeDecodeError:
        raise refused("not-utf8", at=f"{path}:1") from None
    except (pa.ArrowException, OSError) as error:
        raise refused("table-unreadable", at=path, kind=_kind(path), why=first_line(error)) from None


def _names(path: Path, text: Text, form: Form) -> list[str]:
    """Return the names of a text's columns: in its first line, given, or made up."""
    if not isinstance(form.header, bool):
        return [*form.header]
    if not text.lines:
        raise refused("empty-table", at=f"{path}:1")
    line = text.lines.split(b"\n", 1)[0].decode()
    cells = _cells(path, int(text.numbers[0]), line, text.delimiter)
    return cells if form.header else [str(place) for place in range(1, len(cells) + 1)]


def _cells(path: Path, number: int, text: str, mark: str | None) -> list[str]:
    """Return the fields of a line of names."""
    where = f"{path}:{number}"
    if not text.strip():
        raise refused("empty-table", at=where)
    if "\0" in text:
        raise refused("nul-bytes-in-table", at=where)
    try:
        return [name.strip() for name in next(csv.reader([text.rstrip("\r\n")], delimiter=mark or delimiter(text)))]
    except csv.Error as error:
        if "\r" in text.rstrip("\r\n"):
            raise refused("old-line-ends", at=where, why=first_line(error)) from None
        raise refused("table-unreadable", at=where, kind="CSV", why=first_line(error)) from None


def read(
    path: Path,
    wanted: Sequence[str],
    *,
    numbers: Sequence[str] = (),
    texts: Sequence[str] = (),
    form: Form = PLAIN,
) -> pa.Table:
    """Read the wanted columns. Types are inferred, except for a CSV's `numbers` (float64) and `texts` (string).

    Raises:
        BadInput: a column is absent or occurs twice, a line or a number can't be read, or there are no rows.
    """
    names = header(path, form)
    _check_columns(path, names, wanted)
    try:
        if is_feather(path):
            columns = pa.feather.read_table(str(path.absolute()), columns=list(wanted))
        elif is_parquet(path):
            _check_size(path, pa.parquet.read_metadata(path.absolute()).num_rows, len(wanted))
            # Threads of read_table can abort the end of a process: apache/arrow issue 34314, with pandas' periods.
            with pa.parquet.ParquetFile(path.absolute()) as file:
                columns = file.read(columns=list(wanted)).select(list(wanted))
        else:
            types = dict.fromkeys(numbers, pa.float64()) | dict.fromkeys(texts, pa.string())
            columns = _read_csv(path, names, list(wanted), types, form)
    except (pa.ArrowException, OSError) as error:
        raise refused("table-unreadable", at=path, kind=_kind(path), why=first_line(error)) from None
    if columns.num_rows == 0:
        raise refused("no-rows", at=path)
    _check_size(path, columns.num_rows, len(wanted))
    return columns


def blocks(path: Path, wanted: Sequence[str], *, numbers: Sequence[str], form: Form = PLAIN) -> Iterator[pa.Table]:
    """Yield the wanted columns some rows at a time.

    The columns `numbers` of a CSV are read as float64. The types of other columns are inferred from the first rows.

    Raises:
        BadInput: a column is absent or occurs twice, or there are too many rows.
        pa.ArrowException: a line or a value can't be read.
    """
    names = header(path, form)
    _check_columns(path, names, wanted)
    count = 0
    for block in _blocks(path, names, list(wanted), dict.fromkeys(numbers, pa.float64()), form):
        count += block.num_rows
        _check_size(path, count, len(wanted))
        yield pa.Table.from_batches([block])


def _blocks(
    path: Path, names: list[str], wanted: list[str], types: dict[str, pa.DataType], form: Form
) -> Iterator[pa.RecordBatch]:
    if is_parquet(path):
        yield from pa.parquet.ParquetFile(path.absolute()).iter_batches(BLOCK, columns=wanted)
    else:
        how = _how(path, names, wanted, types, form, None, threads=True)
        how["read_options"].block_size = TEXT
        with pa.csv.open_csv(path, **how, memory_pool=pa.system_memory_pool()) as rows:
            yield from rows


def numbers(path: Path, columns: pa.Table, names: Sequence[str], form: Form = PLAIN) -> np.ndarray:
    """Return columns that were read as numbers: (row, column) float64, NaN for a missing value.

    Raises:
        BadInput: a column contains something else, or a number is infinite or too large.
    """
    values, faults = np.empty((columns.num_rows, len(names))), list[tuple[int, int]]()
    for index, name in enumerate(names):  # one by one, so that a large file is not in memory twice
        values[:, index] = _float64(path, columns.column(name), name, form)
        if form.missing_numbers:
            values[np.isin(values[:, index], form.missing_numbers), index] = np.nan
        with np.errstate(invalid="ignore"):
            too_large = np.flatnonzero((values[:, index] > LARGEST) | (values[:, index] < -LARGEST))
        if len(too_large):
            faults.append((int(too_large[0]), index))
    if faults:
        row, column = min(faults)
        value = f"{values[row, column]:g}"  # as text, because JSON has no infinity
        raise refused("number-too-large", at=place(path, row, form), column=names[column], value=value)
    return values


def spans(rows: int) -> Iterator[slice]:
    """Yield slices that cover all rows. Work on a slice at a time needs little memory next to a large file's values."""
    for start in range(0, rows, BLOCK):
        yield slice(start, min(start + BLOCK, rows))


def float64(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers as float64: NaN for a missing value, whole numbers beyond 2**53 rounded."""
    values: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy()
    return values


def place(path: Path, row: int, form: Form = PLAIN) -> str:
    """Return the place of a row (counted from 0) as FILE:LINE for a CSV, FILE:ROW (counted from 1) for Parquet."""
    return f"{path}:{_line(path, row, form)}"


def check(path: Path, wanted: str) -> None:
    """Check that a path is an existing file. `wanted` names the kind of file in the message.

    Raises:
        BadInput: the path does not exist (the message has the nearest name), or is not a file.
    """
    if any("\ud800" <= c <= "\udfff" for c in str(path.absolute())):
        raise refused("name-not-utf8", at=shown(str(path), 300))
    if not path.exists():
        raise refused("no-such-file", at=shown(str(path), 300), near=nearest(path.name, _siblings(path), shown))
    if not path.is_file():
        raise refused("not-a-file", at=path, wanted=wanted)


def is_parquet(path: Path) -> bool:
    """Return whether a file is Parquet, by its name. Files that are not Feather either are read as CSV."""
    return path.suffix.lower() in {".parquet", ".pq"}


def is_feather(path: Path) -> bool:
    """Return whether a file is Feather (Arrow's own format), by its name."""
    return path.suffix.lower() in {".feather", ".arrow", ".ipc"}


def has_types(path: Path) -> bool:
    """Return whether a file keeps the types of its columns, and has rows instead of lines."""
    return is_parquet(path) or is_feather(path)


def delimiter(header: str) -> str:
    """Return the field separator of a CSV, found in its first line, which may have decimal commas: 5.9.2020;3,5;4,5."""
    text = re.sub(r'"[^"]*"|(?<=\d),(?=\d)' if re.search(r"[;\t|]", header) else r'"[^"]*"', "", header)
    return max(",;\t|", key=lambda mark: (text.count(mark), mark == ","))


def listed(names: Sequence[str]) -> dict[str, Any]:
    """Return the first columns of a file and the number of further ones, as values of a message."""
    return {"columns": list(names[:MOST_LISTED]), "further": max(len(names) - MOST_LISTED, 0) or None}


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error, short enough for a message."""
    return shown((str(error).splitlines() or [type(error).__name__])[0], 200)


def _siblings(path: Path) -> list[str]:
    return [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []


def _kind(path: Path) -> str:
    return "Parquet" if is_parquet(path) else "Feather" if is_feather(path) else "CSV"


def _check_size(path: Path, rows: int, columns: int) -> None:
    if rows * columns > MOST_VALUES:
        raise refused("too-many-values", at=path, rows=rows, columns=columns, limit=MOST_VALUES)


def _check_columns(path: Path, names: list[str], wanted: Sequence[str]) -> None:
    counts = Counter(names)
    if repeated := sorted(name for name in set(wanted) if counts[name] > 1):
        raise refused("column-occurs-twice", at=f"{path}:1", column=repeated[0])
    if absent := [name for name in wanted if name not in names]:
        there = listed(names)
        faults = (
            fault("column-not-in-file", at=path, column=name, near=nearest(name, names, shown), **there)
            for name in absent
        )
        raise BadInput(*faults)


def _read_csv(path: Path, names: list[str], wanted: list[str], types: dict[str, pa.DataType], form: Form) -> pa.Table:
    # pyarrow guesses types from the first block. If a later block has another type, all columns with guessed types
    # are read again as texts. So a file is read in blocks only if at most one column has a guessed type.
    in_blocks = path.stat().st_size > LONG and len(set(wanted) - set(types)) <= 1
    text = None if content.is_plain(path, form) else content.text_of(path, form)

    def convert(column_types: dict[str, pa.DataType], *, threads: bool) -> pa.Table:
        how = _how(path, names, wanted, column_types, form, text, threads=threads)
        if text is not None:
            return pa.csv.read_csv(pa.BufferReader(text.lines), **how)
        if not in_blocks:
            return pa.csv.read_csv(path, **how)
        with pa.csv.open_csv(path, **how, memory_pool=pa.system_memory_pool()) as rows:
            return pa.Table.from_batches(rows, schema=rows.schema)

    in_words = form.decimal != "." or form.thousands is not None
    try:
        if not (in_words and pa.float64() in types.values()):
            columns = convert(types, threads=True)
            # A time of day is kept as it is written, because a format is found for it.
            clocks = [name for name in columns.column_names if pa.types.is_time(columns.schema.field(name).type)]
            return convert(types | dict.fromkeys(clocks, pa.string()), threads=True) if clocks else columns
    except pa.ArrowInvalid:
        pass
    # A number may be written in another way, or the type of a column was guessed from the first block only. So all
    # columns are read as texts. If that fails too, the error names the row, which pyarrow knows only when one thread
    # reads.
    try:
        columns = convert(dict.fromkeys(wanted, pa.string()), threads=False)
    except pa.ArrowInvalid as error:
        raise _located(path, names, error, form) from None
    return _with_numbers(path, columns, [name for name, kind in types.items() if kind == pa.float64()], form)


def _with_numbers(path: Path, columns: pa.Table, names: Sequence[str], form: Form) -> pa.Table:
    """Return a table of texts with some columns read as numbers.

    Raises:
        BadInput: a text is no number.
    """
    found = {name: written_numbers.parse(columns.column(name), form) for name in names}
    if wrong := [(int(each.wrong[0]), name) for name, each in found.items() if len(each.wrong)]:
        row, name = min(wrong)
        raise not_a_number(path, row, name, columns.column(name)[row].as_py(), form)
    for name, each in found.items():
        columns = columns.set_column(columns.column_names.index(name), name, pa.array(each.values, from_pandas=True))
    return columns


def not_a_number(path: Path, row: int, name: str, value: str, form: Form) -> BadInput:
    """Return the error for a text that is no number, with what to write in the spec if it may be one."""
    line = written_numbers.line_for(value, form)
    return refused("not-a-number", at=place(path, row, form), column=name, value=value, line=line)


def _how(
    path: Path,
    names: list[str],
    wanted: list[str],
    types: dict[str, pa.DataType],
    form: Form,
    text: Text | None,
    *,
    threads: bool,
) -> dict[str, Any]:
    """Return pyarrow's options for a CSV, or for the `text` that was made of it."""
    if text is None:
        with path.open("rb") as lines:
            line = lines.readline(LONGEST_HEADER)
        if not line.endswith(b"\n"):
            raise refused("no-rows", at=path)
    else:
        line = text.lines.split(b"\n", 1)[0]
    mark = (text.delimiter if text else form.delimiter) or delimiter(line.decode("utf-8-sig"))
    return {
        "read_options": pa.csv.ReadOptions(
            column_names=names, skip_rows=int(text is None or form.header is True), use_threads=threads
        ),
        # In a file of one column an empty line is a missing value.
        "parse_options": pa.csv.ParseOptions(delimiter=mark, ignore_empty_lines=len(names) > 1),
        "convert_options": pa.csv.ConvertOptions(
            include_columns=wanted,
            column_types=types,
            null_values=NULLS,  # each further word makes reading slower; see `numbers` for the others
            strings_can_be_null=True,
        ),
    }


def _located(path: Path, names: Sequence[str], error: pa.ArrowInvalid, form: Form) -> BadInput:
    """Return the error for what pyarrow found wrong in a CSV. pyarrow counts rows from 1, the header included."""
    text = " ".join(str(error).split())
    row = re.search(r"Row #(\d+): ", text)
    where = place(path, int(row[1]) - 1 - int(form.header is True), form) if row else path
    if lengths := re.search(r"Expected (\d+) columns, got (\d+)", text):
        return refused("too-many-or-few-fields", at=where, found=int(lengths[2]), wanted=int(lengths[1]))
    if "straddling" in text:  # pyarrow's word for a line that is longer than a block
        return refused("line-too-long", at=path)
    if "out of sync" in text:
        return refused("line-break-in-quotes", at=path)
    return refused("table-unreadable", at=where, kind="CSV", why=shown(text, 200))


def _float64(path: Path, column: pa.ChunkedArray, name: str, form: Form) -> np.ndarray:
    """Return a column as float64. A file with types may keep numbers as decimals, flags, texts or in a dictionary."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        parsed = written_numbers.parse(column, form)
        if len(parsed.wrong):
            row = int(parsed.wrong[0])
            raise not_a_number(path, row, name, column[row].as_py(), form)
        return parsed.values
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise refused("column-without-numbers", at=path, column=name, type=str(kind))
    return float64(column)


def _line(path: Path, row: int, form: Form) -> int:
    """Return the line of a CSV's data row, or a Parquet file's row counted from 1."""
    if has_types(path):
        return row + 1
    if not content.is_plain(path, form):
        known, place = content.text_of(path, form).numbers, row + int(form.header is True)
        return int(known[place]) if place < len(known) else int(known[-1])
    if len(header(path, form)) == 1:
        return row + 2
    with path.open("rb") as lines:  # empty lines are not rows
        filled = (number for number, line in enumerate(lines, 1) if line.strip(b"\r\n"))
        return next(itertools.islice(filled, row + 1, None), row + 2)

"""Reads one file of sentences: a text line by line, or two columns of a table, and what is wrong with it by line."""

import codecs
import csv
import itertools
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from lstm.config.translate import TranslateData
from lstm.data.pairs.pairs import Lines
from lstm.data.tables import content, reader
from lstm.messages.message import Note, note
from lstm.records.errors import nearest, refused

MOST_BYTES = 2**31  # of a file, unpacked
BLOCK = 2**20  # bytes
LONGEST = 2**20  # bytes of a line: longer ones are no sentences, whatever max_length says
TABLES = {".csv", ".tsv", ".parquet", ".pq", ".feather", ".arrow", ".ipc"}


class Side(NamedTuple):
    """One side of the pairs of a file."""

    lines: Lines
    lengths: np.ndarray  # (line,) int32: characters of each line; 0 if it is empty
    path: Path  # of the file
    numbers: np.ndarray  # (line,) int64: the line in the file, or the row of a file without lines, from 1

    def place(self, index: int) -> str:
        """Return where a line is, as FILE:LINE."""
        return f"{self.path}:{self.numbers[index]}"

    def at(self, places: np.ndarray) -> "Side":
        """Return some of the lines, in the order of their places."""
        return Side(self.lines.at(places), self.lengths[places], self.path, self.numbers[places])


@dataclass
class _Collected:
    """Cleans the sentences that pass through, and remembers their lengths."""

    lowercase: bool
    lengths: list[int]

    def __call__(self, sentences: Iterable[str]) -> Iterator[str]:
        for each in sentences:
            text = clean(each, lowercase=self.lowercase)
            self.lengths.append(len(text))
            yield text

    def side(self, lines: Lines, path: Path, numbers: np.ndarray | None = None) -> Side:
        """Return the side of these lines; without `numbers`, they are counted from 1."""
        lengths = np.array(self.lengths, np.int32)
        return Side(lines, lengths, path, np.arange(1, len(lengths) + 1) if numbers is None else numbers)


def clean(text: str, *, lowercase: bool) -> str:
    """Return a sentence in Unicode's form NFC, in one line and without blanks at its ends."""
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    if "\n" in text or "\r" in text:
        text = text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")
    return text.strip().lower() if lowercase else text.strip()


def is_table(path: Path) -> bool:
    """Return whether a file is a table, by its name: sales.csv, sales.tsv.gz, sales.parquet."""
    suffix = Path(path.stem).suffix if path.suffix.lower() in {".gz", ".zip", ".bz2", ".zst"} else path.suffix
    return suffix.lower() in TABLES


def text(path: Path, section: TranslateData) -> Side:
    """Read a text with one sentence per line. Only a line feed ends a line, as it is in files of parallel sentences.

    Raises:
        BadInput: the file does not exist, can't be opened or unpacked, is too large or empty, is a table, or a line is
            not UTF-8, has NUL bytes, or is a megabyte long.
    """
    if is_table(path):
        raise refused("table-instead-of-lines", "data.source", file=str(path))
    collected, first = _Collected(section.lowercase, []), ""

    def without_ends() -> Iterator[str]:
        nonlocal first
        for line in lines(path):
            first = first or line
            yield line.removesuffix("\n").removesuffix("\r")

    found = Lines(collected(without_ends()))
    if not len(found):
        raise refused("empty-text", at=path)
    if len(found) == 1 and "\r" in first.rstrip("\r\n"):
        raise refused("lines-end-in-returns", at=path)
    return collected.side(found, path)


def table(path: Path, section: TranslateData) -> tuple[Side, Side, list[Note]]:
    """Read the two columns of a table: sources, targets, and notes on how the table was read.

    Raises:
        BadInput: the file does not exist, can't be read as a table, lacks a column or has it twice, or a row has more
            or fewer fields than the line of names.
    """
    assert section.source is not None
    assert section.target is not None
    wanted = (section.source, section.target)
    reader.check(path, "a CSV, TSV or Parquet file")
    if reader.has_types(path):
        return *_with_types(path, wanted, section), []
    rows = lines(path)
    first = next(rows, "").removeprefix("\ufeff")
    if not first.strip():
        raise refused("empty-table", at=f"{path}:1")
    mark = reader.delimiter(first)
    return (
        _tabbed(path, first, rows, wanted, section)
        if mark == "\t"
        else _quoted(path, first, rows, mark, wanted, section)
    )


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, each with its line feed; it may be packed. Little of it is in memory at once.

    Raises:
        BadInput: as `text`.
    """
    reader.check(path, "a text file")
    try:
        yield from _lines(path)
    except PermissionError:
        raise refused("no-permission-to-read", at=path) from None


def _lines(path: Path) -> Iterator[str]:
    left, number, size = b"", 0, 0
    with content.unpacking(path) as stream:
        while block := stream.read(BLOCK):
            if not size and block[:2] in content.UTF_16:
                raise refused("text-in-utf16", at=path)
            more = block if size else block.removeprefix(codecs.BOM_UTF8)
            size += len(block)
            if size > MOST_BYTES:
                raise refused("too-many-bytes-of-sentences", at=path, limit=MOST_BYTES)
            *whole, left = (left + more).split(b"\n")
            for line in whole:
                number += 1
                yield _decoded(path, number, line) + "\n"
            if len(left) > LONGEST:
                raise refused("line-of-a-megabyte", at=f"{path}:{number + 1}")
    if left:
        yield _decoded(path, number + 1, left)


def _decoded(path: Path, number: int, line: bytes) -> str:
    if len(line) > LONGEST:
        raise refused("line-of-a-megabyte", at=f"{path}:{number}")
    if b"\0" in line:
        raise refused("nul-bytes-in-text", at=f"{path}:{number}")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise refused("line-not-utf8", at=f"{path}:{number}", byte=error.start + 1) from None


def _with_types(path: Path, wanted: tuple[str, str], section: TranslateData) -> tuple[Side, Side]:
    """Read two columns of a Parquet or Feather file; a missing value is an empty sentence."""
    sides = list[Side]()
    read = reader.read(path, [*dict.fromkeys(wanted)])  # both are one column if only sources are read
    for name in wanted:
        column = read.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise refused("column-without-texts", at=path, column=name, type=str(column.type))
        collected = _Collected(section.lowercase, [])
        values = (value or "" for chunk in column.chunks for value in chunk.to_pylist())
        sides.append(collected.side(Lines(collected(values)), path))
    return sides[0], sides[1]


def _quoted(
    path: Path, first: str, rows: Iterator[str], mark: str, wanted: tuple[str, str], section: TranslateData
) -> tuple[Side, Side, list[Note]]:
    """Read two columns of a CSV, whose fields may be in quotes and then have line breaks, which become blanks."""
    read = csv.reader(itertools.chain([first], rows), delimiter=mark, strict=True)
    numbers, before = list[int](), csv.field_size_limit(LONGEST)  # the limit is that of the whole process
    try:
        names = [name.strip() for name in next(read)]
        columns = _columns(path, names, wanted)

        def fields() -> Iterator[tuple[str, str]]:
            begun = read.line_num
            for row in read:
                if row:
                    _check_fields(f"{path}:{begun + 1}", row, names)
                    numbers.append(begun + 1)
                    yield row[columns[0]], row[columns[1]]
                begun = read.line_num

        sources, targets = _two(fields(), section, path, numbers)
    except csv.Error as error:
        raise refused("table-unreadable", at=f"{path}:{read.line_num}", kind="CSV", why=str(error)) from None
    finally:
        csv.field_size_limit(before)
    return sources, targets, []


def _tabbed(
    path: Path, first: str, rows: Iterator[str], wanted: tuple[str, str], section: TranslateData
) -> tuple[Side, Side, list[Note]]:
    """Read two columns of a TSV. A quote is a character of the sentence, unless all fields show that quotes enclose.

    Programs double the quotes in a field and put quotes around it, or leave it as it is. A file has one of both ways.
    """
    names = [_bare(name.strip()) for name in first.rstrip("\r\n").split("\t")]
    columns, numbers, seen = _columns(path, names, wanted), list[int](), _Quotes()

    def fields() -> Iterator[tuple[str, str]]:
        for number, line in enumerate(rows, 2):
            row = line.rstrip("\r\n").split("\t")
            if row != [""]:
                _check_fields(f"{path}:{number}", row, names)
                numbers.append(number)
                seen.look(row)
                yield row[columns[0]], row[columns[1]]

    sources, targets = _two(fields(), section, path, numbers)
    if not seen.enclose:
        return sources, targets, [note("quotes-are-text", at=path)] if seen.any else []
    bare = ((_bare(one), _bare(two)) for one, two in zip(sources.lines, targets.lines, strict=True))
    return *_two(bare, section, path, numbers), [note("quotes-enclose", at=path)]


@dataclass
class _Quotes:
    """What the fields of a TSV say of the quotes in them."""

    any: bool = False  # a field begins with a quote
    enclose: bool = False  # quotes enclose fields, as in a CSV
    _text: bool = False  # a quote was seen that is a character of its sentence

    def look(self, row: list[str]) -> None:
        """Look at the fields of a row."""
        if self._text or not (fields := [each for each in row if '"' in each]):
            return
        inner = [each[1:-1] for each in fields if len(each) > 1 and each[0] == each[-1] == '"']
        self.any = self.any or any(each[0] == '"' for each in fields)
        is_csv = len(inner) == len(fields) and not any('"' in each.replace('""', "") for each in inner)
        # Enclosed without need: every field of the row is, or it is a quotation.
        self._text = not is_csv or not (len(inner) == len(row) or all('""' in each for each in inner))
        self.enclose = not self._text


def _bare(field: str) -> str:
    """Return a field without the quotes that enclose it."""
    is_enclosed = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1].replace('""', '"') if is_enclosed else field


def _two(
    fields: Iterator[tuple[str, str]], section: TranslateData, path: Path, numbers: list[int]
) -> tuple[Side, Side]:
    """Return both sides of the rows of a table, in one pass; `numbers` are filled on the way."""
    one, two = (_Collected(section.lowercase, []) for _ in range(2))
    targets = list[str]()

    def sources() -> Iterator[str]:
        for source, target in fields:
            targets.append(target)
            yield source

    left = Lines(one(sources()))
    if not len(left):
        raise refused("no-rows", at=path)
    right, places = Lines(two(targets)), np.array(numbers, np.int64)
    return one.side(left, path, places), two.side(right, path, places)


def _columns(path: Path, names: list[str], wanted: tuple[str, str]) -> tuple[int, int]:
    for name in wanted:
        if names.count(name) > 1:
            raise refused("column-occurs-twice", at=f"{path}:1", column=name)
        if name not in names:
            near, there = nearest(name, names), reader.listed(names)
            raise refused("column-not-in-file", at=path, column=name, near=near, **there)
    return names.index(wanted[0]), names.index(wanted[1])


def _check_fields(where: str, row: list[str], names: list[str]) -> None:
    if len(row) != len(names):
        raise refused("too-many-or-few-fields", at=where, found=len(row), wanted=len(names))

"""Files that are given to `sweep new`: each is read once for all tasks, and is a table, a text or something else."""

import codecs
import csv
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow as pa

from lstm.data.profile import columns
from lstm.data.profile.columns import Column, is_number
from lstm.data.profile.form import reading
from lstm.data.profile.form.reading import Reading
from lstm.data.profile.groups import sequences
from lstm.data.profile.groups.sequences import Grouping
from lstm.data.tables import content, reader
from lstm.messages.message import Note
from lstm.records.errors import Fault, fault

HEAD = 2**16  # bytes that are read to tell a table from a text
MOST_LINES = 200
ALIKE = 0.9  # share of similar rows in a table: a broken row is reported only when the table is read
TABLES = {".csv", ".tsv", ".parquet", ".pq", ".feather", ".arrow", ".ipc"}
TABLES |= {".yaml", ".yml"}  # a spec given as a table gets an error of its own
PACKED = {".gz", ".zip", ".bz2", ".zst"}
ARRAYS = {".npy", ".npz"}
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # bytes that no text has, in any encoding of one byte a character
RECORDS = {".json", ".jsonl", ".ndjson", ".xml", ".html", ".htm", ".ipynb"}


@dataclass(frozen=True, slots=True)
class Form:
    """The kind of a file, by its name and its first bytes."""

    kind: Literal["table", "text", "array", "other"]
    what: str  # the kind in words, for a sentence such as "the file is …"
    fault: Fault | None = None  # of a text that only needs to be saved in UTF-8


@dataclass(frozen=True)
class GivenFile:
    """A file that was given, what was asked for it, and its contents, which are read on first use."""

    path: Path
    task: str | None = None  # the task that was named; it decides whether a file is a table or a text
    target: str | None = None  # the column to forecast, or of the class
    horizon: int | None = None  # steps to forecast

    def checked(self) -> "GivenFile":
        """Return this file after a check that it exists.

        Raises:
            BadInput: the file does not exist (the message has the nearest name), or the path is not a file.
        """
        reader.check(self.path, "a table or a text")
        return self

    @cached_property
    def form(self) -> Form:
        """The kind of the file: a table, a text, an array or something else."""
        if named := _by_name(self.path):
            return named
        found = _by_content(self.path)
        if found.kind == "table" and self.task == "language_model":
            return Form("text", f"a text by --task (its content is {found.what})")
        return found

    @cached_property
    def raw(self) -> pa.Table:
        """The columns of a table.

        Raises:
            BadInput: the file can't be read as a table; the message has the line.
        """
        return self._table[0]

    @property
    def notes(self) -> Sequence[Note]:
        """Notes from reading the table, for people."""
        return self._table[2]

    @property
    def reading(self) -> Reading:
        """How the table is read: the form of its text, and the fields of `data` that say it."""
        return self._table[1]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns, with the kind of values in each."""
        return columns.describe(self.path, self.raw, self.reading.form)

    @cached_property
    def groupings(self) -> tuple[Grouping, ...]:
        """The ways in which the table can be read as labelled sequences; empty if there is no way."""
        return tuple(sequences.find(self.path, self.raw, self.columns))

    @cached_property
    def _table(self) -> tuple[pa.Table, Reading, list[Note]]:
        columns.check_data(self.path)
        return reading.find(self.path)


def _by_name(path: Path) -> Form | None:
    """Return the kind of a file if its name says it."""
    suffix = path.suffix.lower()
    packed = suffix in PACKED and Path(path.stem).suffix.lower() in TABLES
    if suffix in TABLES or packed:
        return Form("table", f"a table by its name, {path.suffix}")
    if suffix in ARRAYS:
        return Form("array", f"an array by its name, {path.suffix}")
    if suffix in content.SPREADSHEETS:
        return Form("other", f"a spreadsheet by its name, {path.suffix} (save the sheet as CSV in UTF-8)")
    if suffix in RECORDS:
        return Form("other", f"{suffix[1:].upper()} by its name, {path.suffix}")
    return None


def _by_content(path: Path) -> Form:
    """Return the kind of a file by its first bytes."""
    head = content.unpacked(path, HEAD)
    kind = content.UTF_16.get(head[:2], "utf-8-sig")
    try:
        text = codecs.getincrementaldecoder(kind)().decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError as error:
        return Form(
            "other", f"not a text in UTF-8: byte {error.start + 1:,} of the file is not UTF-8", _broken(path, head)
        )
    if "\0" in text:
        return Form("other", "not a text: the file has NUL bytes")
    lines = text.splitlines()[: None if len(head) < HEAD else -1][:MOST_LINES]
    if content.BOXED.match(text):
        lines = [line for _, line in content.unboxed([*enumerate(lines)])]
    fields = _fields(lines)
    if not fields and kind != "utf-8-sig":
        return Form("other", "a text in UTF-16 (save it as UTF-8)", fault("text-in-utf16", at=path))
    return Form("table", _TABLES[fields > 1].format(fields)) if fields else TEXT


def _broken(path: Path, head: bytes) -> Fault | None:
    """Return the fault of a text in another encoding, with its first such line; None if the file is no text."""
    if CONTROL.search(head):
        return None
    for number, line in enumerate(head.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return fault("line-not-utf8", at=f"{path}:{number}", byte=error.start + 1)
    return None


TEXT = Form("text", "a text")
_TABLES = ("a column of numbers", "a table of {} columns")


def _fields(lines: Sequence[str]) -> int:
    """Return the number of columns of the table that a file begins with, 0 if the file is a text."""
    filled = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "%"))]
    filled = filled[_begin(filled) :]
    if len(filled) < 2:
        return 0
    if all(is_number(line.replace(",", ".", 1)) for line in filled[1:]):
        return 1
    mark = reader.delimiter(filled[0])
    if mark not in filled[0] and (width := _blank_fields(filled)):
        return width
    try:
        rows = list(csv.reader(filled, delimiter=mark))
    except csv.Error:
        return 0
    count, rest = len(rows[0]), rows[1:]
    alike = [row for row in rest if len(row) == count]
    # Prose has commas, too, but no tabs. If prose has a number in each line, its first line has one, too.
    least = 1 if not any(_is_value(cell) for cell in rows[0]) else (count + 1) // 2
    numbered = [row for row in alike if sum(_is_value(cell) for cell in row) >= least]
    told = alike if mark != "," and count > 1 else numbered
    return count if len(told) >= ALIKE * len(rest) else 0


def _blank_fields(lines: Sequence[str]) -> int:
    """Return the number of columns that runs of blanks divide, of which half have values, as in R's write.table."""
    rows = [[cell.strip('"') for cell in line.split()] for line in lines]
    width = statistics.mode(map(len, rows[1:]))
    alike = [row for row in rows[1:] if len(row) == width and sum(map(_is_value, row)) >= width / 2]
    return width if width > 1 and len(rows[0]) in (width, width - 1) and len(alike) >= ALIKE * (len(rows) - 1) else 0


def _begin(lines: Sequence[str]) -> int:
    """Return the line at which most lines begin to have as many fields: titles may stand above a table."""
    if len(lines) < 20:
        return 0
    mark = reader.delimiter("\n".join(lines[len(lines) // 2 :]))
    counts = [line.count(mark) for line in lines]
    usual = statistics.mode(counts)
    return counts.index(usual) if usual and counts.count(usual) > 0.5 * len(counts) else 0


def _is_value(cell: str) -> bool:
    """Return whether a cell is a number, also with a decimal comma, or starts like a time."""
    return is_number(cell.replace(",", ".", 1)) or cell.strip()[:4].isdigit()

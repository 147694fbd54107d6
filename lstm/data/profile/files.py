"""A file that `sweep new` is given, opened once for all tasks that look at it: whether it is a table or a text."""

import codecs
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow as pa

from lstm.data.profile import columns, sequences
from lstm.data.profile.columns import Column, is_number
from lstm.data.profile.sequences import Grouping
from lstm.data.tables import reader
from lstm.messages.message import Note

HEAD = 2**16  # bytes that tell a table from a text
MOST_LINES = 200
ALIKE = 0.9  # of a table's rows: one may be broken, and is told when it is read
TABLES = {".csv", ".tsv", ".parquet", ".pq", ".yaml", ".yml"}  # a spec in a table's place is told as what it is
RECORDS = {".json", ".jsonl", ".ndjson", ".xml", ".html", ".htm", ".ipynb"}


@dataclass(frozen=True, slots=True)
class Form:
    """What a file is, by its name and the first of its bytes."""

    kind: Literal["table", "text", "other"]
    what: str  # in words, after "is" or "holds"


@dataclass(frozen=True)
class GivenFile:
    """A file, and what was found in it so far."""

    path: Path

    def checked(self) -> "GivenFile":
        """The same, where there is one to read.

        Raises:
            BadInput: there is none; with the nearest name.
        """
        reader.check(self.path, "a table or a text")
        return self

    @cached_property
    def form(self) -> Form:
        """Whether it is a table or a text."""
        suffix = self.path.suffix.lower()
        if suffix in TABLES:
            return Form("table", f"a table by its name, {self.path.suffix}")
        if suffix in RECORDS:
            return Form("other", f"{suffix[1:].upper()} by its name, {self.path.suffix}")
        with self.path.open("rb") as content:
            head = content.read(HEAD)
        try:
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=len(head) < HEAD)
        except UnicodeDecodeError as error:
            return Form("other", f"no text in UTF-8: byte {error.start + 1:,} of the file is none")
        if "\0" in text:
            return Form("other", "no text: it holds NUL bytes")
        lines = text.splitlines()[: None if len(head) < HEAD else -1][:MOST_LINES]
        fields = _fields(lines)
        return Form("table", _TABLES[fields > 1].format(fields)) if fields else TEXT

    @cached_property
    def raw(self) -> pa.Table:
        """The columns of a table.

        Raises:
            BadInput: it can't be read as one; with the line.
        """
        return self._table[0]

    @property
    def notes(self) -> Sequence[Note]:
        """What was found when the table was read, for people."""
        return self._table[1]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What each column holds."""
        return columns.describe(self.path, self.raw)

    @cached_property
    def groupings(self) -> tuple[Grouping, ...]:
        """The ways in which the table can be read as labelled sequences; none where it can't."""
        return tuple(sequences.find(self.path, self.raw, self.columns))

    @cached_property
    def _table(self) -> tuple[pa.Table, list[Note]]:
        return columns.read(self.path)


TEXT = Form("text", "a text")
_TABLES = ("a column of numbers", "a table of {} columns")


def _fields(lines: Sequence[str]) -> int:
    """The columns of a table that a file begins with; 0 where it is a text."""
    filled = [line for line in lines if line.strip()]
    if len(filled) < 2:
        return 0
    if all(is_number(line.replace(",", ".", 1)) for line in filled[1:]):
        return 1
    mark = reader.delimiter(filled[0])
    try:
        rows = list(csv.reader(filled, delimiter=mark))
    except csv.Error:
        return 0
    count, rest = len(rows[0]), rows[1:]
    alike = [row for row in rest if len(row) == count]
    # Prose has commas, too; it has no tabs, and where it has a figure in each line it has one in the first.
    least = 1 if not any(_is_value(cell) for cell in rows[0]) else (count + 1) // 2
    numbered = [row for row in alike if sum(_is_value(cell) for cell in row) >= least]
    told = alike if mark != "," and count > 1 else numbered
    return count if len(told) >= ALIKE * len(rest) else 0


def _is_value(cell: str) -> bool:
    """Whether it is a number, also with a decimal comma, or starts as a time does."""
    return is_number(cell.replace(",", ".", 1)) or cell.strip()[:4].isdigit()

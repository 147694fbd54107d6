"""Check of the lines that `data.skip_rows` and `data.skip_last` leave out: no row of the table may be one of them."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from lstm.data.tables import content, reader
from lstm.data.tables.content import Form
from lstm.data.tables.timing import months
from lstm.records.errors import refused

TAIL = 2**14  # bytes
DAYS = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
NUMBER = re.compile(r"[-+]?[\d.,' ]*\d[\d.,' ]*(?:[eE][-+]?\d+)?\s?%?")


def check(path: Path, time: Sequence[str], form: Form) -> None:
    """Check that no line that is left out is a row: another file may have no total at its end, or no line of units.

    Raises:
        BadInput: a line has a time as the next row of the table has, and values of the same kinds.
    """
    if not time or reader.has_types(path) or not (form.skip_last or (form.skip_rows and form.header is not True)):
        return
    names = reader.header(path, form)
    places = [names.index(name) for name in time if name in names]
    if form.skip_last:
        lines = _filled(content.tail_of(path, TAIL, form.encoding), form)
        if len(lines) > form.skip_last:
            below = lines[-form.skip_last :]
            _refuse_row(path, "skip_last", below, lines[-form.skip_last - 1], places, form)
    if form.skip_rows and form.header is not True:
        lines = re.split("\r\n|\r|\n", content.head_of(path, form.encoding))
        inside = _filled("\n".join(lines[form.skip_rows :]), form)
        if inside:
            _refuse_row(path, "skip_rows", lines[form.skip_rows - 1 : form.skip_rows], inside[0], places, form)


def _filled(text: str, form: Form) -> list[str]:
    lines = [line for line in re.split("\r\n|\r|\n", text) if line.strip(' ,;|\t"')]
    return [line for line in lines if not (form.comment and line.lstrip().startswith(form.comment))]


def _refuse_row(path: Path, field: str, lines: Sequence[str], row: str, places: Sequence[int], form: Form) -> None:
    wanted = _cells(row, form)
    for line in lines:
        if _is_row(_cells(line, form), wanted, places):
            raise refused("row-left-out", f"data.{field}", line=line.strip()[:60], field=field, file=str(path))


def _cells(line: str, form: Form) -> list[str]:
    line = line.strip("| ") if form.delimiter in (None, " ") else line
    if form.delimiter == " ":
        return line.split()
    mark = form.delimiter or reader.delimiter(line)
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error:
        return []


def _is_row(cells: Sequence[str], row: Sequence[str], places: Sequence[int]) -> bool:
    if len(cells) != len(row) or not places or max(places) >= len(row):
        return False
    others = [place for place in range(len(row)) if place not in places and cells[place] and row[place]]
    alike = all(bool(NUMBER.fullmatch(cells[n])) == bool(NUMBER.fullmatch(row[n])) for n in others)
    return bool(others) and alike and all(_are_alike(cells[n], row[n]) for n in places)


def _are_alike(text: str, other: str) -> bool:
    """Return whether two cells are written in one way: the same signs, and names of months or days in one place."""
    return bool(text) and _written(text) == _written(other)


def _written(text: str) -> str:
    def word(found: re.Match[str]) -> str:
        name = found[0]
        if months.number_of(name):
            return "month"
        return "day" if name[:3].lower() in DAYS else {"am": "pm"}.get(name.lower(), name.lower())

    return re.sub(r"[^\W\d_]+", word, re.sub(r"\d+", "9", text.strip()))

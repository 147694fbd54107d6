"""The form of an unknown table's text: comments and titles above it, its delimiter, its names, a total below it."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lstm.data.tables import content, reader
from lstm.data.tables.content import PLAIN, Form
from lstm.data.tables.numbers import MORE_NULLS, NULLS
from lstm.data.tables.timing import formats, numbered
from lstm.records.errors import BadInput, refused

MARKS = ("#", "%", "//")  # with which lines of comments begin
TAIL = 2**14  # bytes at the end in which a total is searched
MOST_BELOW = 12  # lines below a table
MOST_ABOVE = 60  # lines above a table
MOST_UNITS = 3  # lines of units below the names
MISSING = {*NULLS, *MORE_NULLS}
SUMS = "total|sum|average|avg|mean|count|source|notes?|summe|gesamt|mittelwert"
SUMMED = re.compile(rf"\W*(grand |sub-?)?({SUMS})\b", re.IGNORECASE)
SENTENCE = re.compile(r"(^|\s)(an|the|as|of|are|for|and|from|with)\s", re.IGNORECASE)
DATE_WORD = re.compile("datum|fecha|data|tag|zeit|zeitstempel|jour|giorno|dia|dato|tarih", re.IGNORECASE)
NUMBER = re.compile(r"[-+]?(\d{1,3}([.,' ]\d{3})+([.,]\d+)?|\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s?%?")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The form of a table's text, as the fields of `data` say it, each with its reason."""

    form: Form = PLAIN
    fields: Mapping[str, Any] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)


def find(path: Path) -> Dialect:
    """Find the form of a table's text.

    Raises:
        BadInput: the file can't be unpacked, is a kind of file that is not read, or a decimal comma divides its cells.
    """
    if reader.has_types(path):
        return Dialect()
    text = content.head_of(path)
    if "\ufffd" in text[: content.HEAD // 2] or "\0" in text:
        return Dialect()  # the reader names the byte
    lines = re.split("\r\n|\r|\n", text)
    lines = lines[:-1] if len(text) > content.HEAD // 2 and len(lines) > 2 else lines
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if boxed := content.BOXED.match(text) is not None:
        rows = content.unboxed(rows)
    if rows and content.SEPARATOR.fullmatch(rows[0][1].strip(" ")):
        rows = rows[1:]
    fields: dict[str, Any] = {}
    why: dict[str, str] = {}
    rows, names = _without_comments(rows, fields, why)
    mark = _delimiter(rows, fields, why)
    if mark is None or len(rows) < 3:
        return _made(fields, why)
    whole, rows = rows, _without_title(rows, mark, fields, why)
    if not boxed and reader.delimiter(rows[0][1]) != mark:
        fields["delimiter"], why["delimiter"] = mark, "the names have another mark more often, but not the lines below"
    cells = [_cells(line, mark) for _, line in rows[:40]]
    if shorter := _shorter_names(path, whole[: len(whole) - len(rows)], rows[0][0], cells, mark):
        fields["header"], why["skip_rows"] = shorter, "the line of names, which follow"
        why["header"] = "the names stand above one column less than there are"
    else:
        _header(rows, cells, _cells(names, mark) if names else [], fields, why)
    if below := _below(path, mark, len(_usual(cells)), boxed=boxed):
        fields["skip_last"] = len(below)
        why["skip_last"] = f"below the table: {below[0][:60]!r}{' …' * (len(below) > 1)}"
    return _made(fields, why)


def _header(
    rows: Sequence[tuple[int, str]],
    cells: Sequence[list[str]],
    known: list[str],
    fields: dict[str, Any],
    why: dict[str, str],
) -> None:
    """Say in `fields` where the names are, if they are not alone in the first line. `known` are those of a comment."""
    if known:
        if len(known) == len(cells[0]) and all(known):
            fields["header"], why["header"] = known, "the names are in the last comment above the table"
    elif units := _units(cells):
        first = cells[0][0] or ("time" if "time" not in cells[0] else "time of the row")
        fields["skip_rows"], fields["header"] = rows[units][0], [first, *cells[0][1:]]
        why["skip_rows"] = f"the line of names, which follow, and of units: {rows[1][1][:40]!r}"
        why["header"] = "the names that stand above the units"
    elif is_data(cells):
        fields["header"], why["header"] = False, "the first line has values, no names: columns are named by their place"


def _made(fields: dict[str, Any], why: dict[str, str]) -> Dialect:
    header = fields.get("header", True)
    changes = {name: value for name, value in fields.items() if name != "header"}
    form = replace(PLAIN, **changes, header=header if isinstance(header, bool) else tuple(header))
    return Dialect(form, fields, why)


def _without_comments(
    rows: list[tuple[int, str]], fields: dict[str, Any], why: dict[str, str]
) -> tuple[list[tuple[int, str]], str]:
    """Return the rows without lines of comments, and the line of names in the last comment above them, if any."""
    mark = next((each for each in MARKS if rows and rows[0][1].lstrip().startswith(each)), None)
    if mark is None:
        return rows, ""
    above = [line for _, line in rows if line.lstrip().startswith(mark)]
    left = [(number, line) for number, line in rows if not line.lstrip().startswith(mark)]
    if not left:
        return rows, ""
    fence = reader.delimiter(left[0][1])
    rows_below = [_cells(line, fence if fence in left[0][1] else " ") for _, line in left[:20]]
    bare = next(
        (
            text
            for line in reversed(above)  # the last one that can have them
            if (text := line.lstrip()[len(mark) :].strip())
            and len(_cells(text, fence if fence in left[0][1] else " ")) == len(rows_below[0]) > 1
            and (fence in left[0][1] or not SENTENCE.search(text))
        ),
        "",
    )
    if not (is_data(rows_below) or all(_kind(cell) == "number" for cell in rows_below[0])):
        bare = ""
    fields["comment"], why["comment"] = mark, f"{len(above)} lines of comments are left out"
    return left, bare


def _delimiter(rows: Sequence[tuple[int, str]], fields: dict[str, Any], why: dict[str, str]) -> str | None:
    """Return the delimiter; None if the file has one column. Runs of blanks are a delimiter of their own."""
    lines = [line for _, line in rows[:200]]
    usual: dict[str, tuple[float, int]] = {}
    for mark in ",;\t|":
        counts = Counter(len(_cells(line, mark)) for line in lines)
        width, often = max(counts.items(), key=lambda each: (each[1], each[0])) if counts else (1, 0)
        usual[mark] = (often / max(len(lines), 1), width)
    first = reader.delimiter(lines[0]) if lines else ","
    # Names and numbers have commas, too: `date;load, MW` above `2020-01-01;10,5`.
    # A mark at the end of each line divides nothing.
    others = [
        mark
        for mark, (share, width) in usual.items()
        if mark != "," and share == 1.0 and width >= max(2, usual[","][1]) and all(_cells(lines[0], mark))
    ]
    if first == "," and len(others) == 1:
        return others[0]
    if lines and first in lines[0] and usual[first][0] > 0.8 and usual[first][1] > 1:
        return first
    mark, (share, width) = max(usual.items(), key=lambda each: (each[1][1] > 1, each[1][0], each[1][1]))
    if width > 1 and share > 0.8:
        return mark
    counts = Counter(len(line.split()) for line in lines)
    width, often = max(counts.items(), key=lambda each: each[1]) if counts else (1, 0)
    if width > 1 and often > 0.9 * len(lines) and not any(mark in line for line in lines for mark in ";\t|"):
        fields["delimiter"], why["delimiter"] = " ", "the columns are divided by runs of blanks"
        return " "
    return None


def _without_title(
    rows: list[tuple[int, str]], mark: str, fields: dict[str, Any], why: dict[str, str]
) -> list[tuple[int, str]]:
    widths = [len(_cells(line, mark)) for _, line in rows]
    usual = Counter(widths[-200:]).most_common(1)[0][0]
    filled = [sum(bool(cell.strip()) for cell in _cells(line, mark)) for _, line in rows[:MOST_ABOVE]]
    first = next((n for n, width in enumerate(widths) if width == usual), 0) or _after_gap(rows, mark)
    # Spreadsheets fill up a title, and the empty line below it, with delimiters.
    titled = filled[0] == 0 or (filled[0] == 1 and (usual > 2 or 0 in filled[:MOST_ABOVE]))
    if usual > 1 and first == 0 and titled:
        first = next((n for n, count in enumerate(filled) if count > 1), 0)
    if 0 < first < MOST_ABOVE:
        fields["skip_rows"] = rows[first][0] - 1
        why["skip_rows"] = f"lines above the names: {rows[0][1][:40]!r}"
        return rows[first:]
    return rows


def _after_gap(rows: Sequence[tuple[int, str]], mark: str) -> int:
    """Return the row after an empty line that divides lines of words from a table; 0 if there is none."""
    kinds = [[_kind(cell) for cell in _cells(line, mark)] for _, line in rows[:40]]
    for n in range(1, min(len(kinds) - 5, 20)):
        dated = all(each and each[0] in ("time", "number") and len(each) > 1 for each in kinds[n + 1 :])
        if rows[n][0] > rows[n - 1][0] + 1 and dated and all(each[0] == "text" for each in kinds[: n + 1]):
            return n
    return 0


def _shorter_names(
    path: Path, above: Sequence[tuple[int, str]], line: int, cells: Sequence[Sequence[str]], mark: str
) -> list[str]:
    """Return the names of all columns if the line above the values has one less; [] if it does not.

    R's write.table has no name for the names of rows. Other programs end each row, but not the names, with a delimiter.

    Raises:
        BadInput: a decimal comma may divide a number into two cells; `line` is that of the first row.
    """
    names = [name.strip('"') for name in _cells(above[-1][1], mark)] if above else []
    width = len(cells[0])
    if len(names) != width - 1 or not all(names) or len({*names}) < len(names) or _kind(names[0]) != "text":
        return []
    if not any(_kind(cell) != "text" for cell in cells[0]):
        return []
    if _is_cut_decimal([row for row in cells if len(row) == width], names[0]):
        raise refused("too-many-or-few-fields", at=f"{path}:{line}", found=width, wanted=len(names))
    if not any(row[-1] for row in cells if len(row) == width):
        return [*names, "empty" if "empty" not in names else "without a value"]
    first = "time" if _kind(cells[0][0]) == "time" else "row"
    return [first if first not in names else f"{first} name", *names]


def _is_cut_decimal(rows: Sequence[Sequence[str]], first: str) -> bool:
    """Return whether a column more than names may be due to a decimal comma: 2021-02-03,100,05 below date,value."""
    if _kind(rows[0][0]) != "time":
        return False
    last = [row[-1] for row in rows]
    zeros = all(each.isdigit() for each in last) and any(len(each) > 1 and each[0] == "0" for each in last)
    return zeros or bool(numbered.DATED.search(first.lower()) or DATE_WORD.fullmatch(first))


def is_data(cells: Sequence[Sequence[str]]) -> bool:
    """Return whether the first of some rows has values, as the other rows have, and no names."""
    if len(cells) < 3 or not all(cell.strip() for cell in cells[0]):
        return False
    first, others = [_kind(cell) for cell in cells[0]], cells[1:]
    if not any(kind in ("number", "time") for kind in first) or all(kind == "number" for kind in first):
        return False  # a line of numbers alone may have years as names
    if len(set(cells[0])) > 3 and _counts_on(cells[0]):
        return False
    alike = [row for row in others if len(row) == len(first)]
    for place, kind in enumerate(first):
        below = [_kind(row[place]) for row in alike if row[place].strip()]
        if kind == "text":
            if below and below.count("text") < 0.5 * len(below):
                return False  # a word above numbers is their name
            continue
        if not below or below.count(kind) < 0.8 * len(below):
            return False
    return True


def _units(cells: Sequence[Sequence[str]]) -> int:
    """Return the number of lines below the names that have units, such as kWh, and no values; 0 if there are none."""
    width, count, blank = len(cells[0]), 0, 0
    if not all(cells[0][1:]) or len({*cells[0]}) < width:
        return 0
    below = [row for row in cells[1 + MOST_UNITS :] if len(row) == width]
    measured = [place for place in range(width) if sum(_kind(row[place]) != "text" for row in below) > 0.8 * len(below)]
    for row in cells[1 : 1 + MOST_UNITS]:
        above = [row[place] for place in measured if place < len(row) and row[place]]
        if (
            len(row) != width
            or (not above and any(row))
            or any(_kind(cell) != "text" or cell in MISSING for cell in above)
        ):
            break
        blank = blank + 1 if not any(row) else 0
        count += 1
    return count - blank if len(below) > 2 else 0


def _counts_on(cells: Sequence[str]) -> bool:
    """Return whether most cells are numbers or dates a step apart, as the names of a wide table's columns are."""
    numbers = [float(cell) for cell in cells if re.fullmatch(r"\d+", cell.strip())]
    if len(numbers) >= 3 and len({b - a for a, b in itertools.pairwise(numbers)}) == 1:
        return True
    return sum(_kind(cell) == "time" for cell in cells) >= 3


def _kind(cell: str) -> str:
    text = cell.strip()
    if NUMBER.fullmatch(text):
        return "number"
    if any(char.isdigit() for char in text) and any(formats.is_whole_date(each) for each in formats.candidates(text)):
        return "time"
    return "text"


def _below(path: Path, mark: str, width: int, *, boxed: bool) -> list[str]:
    """Return the lines below a table that are no rows of it."""
    try:
        tail = _tail(path)
    except BadInput:
        return []
    lines = [line for line in re.split("\r\n|\r|\n", tail)[1:] if line.strip(' ,;|\t"')]
    lines = [line for _, line in content.unboxed([*enumerate(lines)])] if boxed else lines
    found: list[str] = []
    for line in reversed(lines[-MOST_BELOW:]):
        cells = _cells(line, mark)
        named = [cell for cell in cells[:2] if SUMMED.match(cell)]
        alone = bool(cells) and _kind(cells[0]) == "text" and not any(cells[1:]) and not _is_wordy(lines, mark)
        if len(cells) == width and not named and not alone:
            break
        if len(cells) != width and not SUMMED.match(cells[0]) and sum(map(bool, cells)) > 1:
            break  # a row that is broken is named when the table is read
        found.append(line)
    return found[::-1] if len(found) < len(lines) else []


def _is_wordy(lines: Sequence[str], mark: str) -> bool:
    """Return whether the first cells of a table's last lines are words, as names of rows are."""
    first = [_kind(cells[0]) for line in lines if (cells := _cells(line, mark))]
    return first.count("text") > len(first) / 2


def _tail(path: Path) -> str:
    if content.is_plain(path, PLAIN):
        with path.open("rb") as opened:
            size = opened.seek(0, 2)
            opened.seek(max(size - TAIL, 0))
            return "\n" * (size <= TAIL) + opened.read().decode("utf-8", "replace")
    return content.decoded(path, content.unpacked(path), None)[-TAIL:]


def _usual(cells: Sequence[Sequence[str]]) -> Sequence[str]:
    width = Counter(map(len, cells)).most_common(1)[0][0]
    return next(row for row in cells if len(row) == width)


def _cells(line: str, mark: str) -> list[str]:
    if mark == " ":
        return line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error:
        return [line]

"""The text of a table's file: unpacked, decoded, and cut to the lines of the table."""

import codecs
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from lstm.config.shared.table import TableData
from lstm.records.errors import refused

MOST_UNPACKED = 2**30  # bytes of text: a small packed file can contain much more
HEAD = 2**16  # bytes that tell what a file is
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
UTF_16 = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
RECORDS = (".json", ".jsonl", ".ndjson", ".xml", ".html", ".htm")
# Tables with lines drawn around them, as Markdown, MySQL and PostgreSQL write them: bars at both ends, or a drawn line.
BOXED = re.compile(r"\s*(?:\+[-=+]+\+ *\r?\n|\|[^\n]*\| *\r?\n|[^\n]*\|[^\n]*\n-+(?:\+-+)+ *\r?\n)")
DRAWN = re.compile(r"\s*[|+]?[-:= ]*-{2}[-:= |+]*\s*")
SEPARATOR = re.compile(r'"?sep=(.)"?')  # Excel writes the delimiter into a line of its own


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a table's text. The default is UTF-8 with names in the first line."""

    encoding: str | None = None
    delimiter: str | None = None
    comment: str | None = None
    skip_rows: int = 0
    skip_last: int = 0
    header: bool | tuple[str, ...] = True
    decimal: str = "."
    thousands: str | None = None
    missing: tuple[str, ...] = ()  # further words for a missing value
    missing_numbers: tuple[float, ...] = ()
    drops_empty: bool = False  # lines of delimiters alone are left out

    @classmethod
    def of(cls, section: TableData) -> "Form":
        """Return the form that a section `data` says."""
        header = section.header if isinstance(section.header, bool) else tuple(section.header)
        words = tuple(each if isinstance(each, str) else f"{each:g}" for each in section.missing_values)
        numbers = tuple(number for each in section.missing_values if (number := _number(each)) is not None)
        return cls(
            encoding=section.encoding,
            delimiter=section.delimiter,
            comment=section.comment,
            skip_rows=section.skip_rows,
            skip_last=section.skip_last,
            header=header,
            decimal=section.decimal,
            thousands=section.thousands,
            missing=words,
            missing_numbers=numbers,
        )

    @property
    def cuts(self) -> bool:
        """True if the text must be decoded or cut before it is read."""
        cut = self.comment or self.skip_rows or self.skip_last or self.header is not True
        return bool(self.encoding or cut or self.drops_empty or self.delimiter == " ")


PLAIN = Form()


@dataclass(frozen=True, slots=True)
class Text:
    """The lines of a table, in UTF-8, the line of names first."""

    lines: bytes
    numbers: np.ndarray  # (line,) int64: the number in the file, from 1, of each line here
    delimiter: str | None  # as found on the way; None: by the line of names


def is_plain(path: Path, form: Form) -> bool:
    """Return whether the file's own bytes are the table's lines in UTF-8."""
    if form.cuts:
        return False
    with path.open("rb") as content:
        head = content.read(HEAD)
    if _packing(head) is not None or head[:2] in UTF_16:
        return False
    return not SEPARATOR.match(_first(head)) and not BOXED.match(head.decode("utf-8-sig", "replace"))


def text_of(path: Path, form: Form) -> Text:
    """Return the lines of a table.

    Raises:
        BadInput: the file can't be unpacked or decoded, is too large, or is a kind of file that is not read.
    """
    text = decoded(path, unpacked(path), form.encoding)
    lines = re.split("\r\n|\r|\n", text)
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    rows = [(number, line) for number, line in rows if number > form.skip_rows]
    if form.drops_empty:
        rows = [(number, line) for number, line in rows if line.strip(' ,;|\t"')]
    delimiter = form.delimiter
    if BOXED.match(text) and not delimiter:
        rows, delimiter = unboxed(rows), "|"
    if rows and (said := SEPARATOR.fullmatch(rows[0][1].strip(" "))):
        rows, delimiter = rows[1:], delimiter or said[1]
    if form.comment:
        rows = [(number, line) for number, line in rows if not line.lstrip().startswith(form.comment)]
    if form.skip_last:  # lines of delimiters alone are empty, and do not count
        filled = [place for place, (_, line) in enumerate(rows) if line.strip(' ,;|\t"')]
        rows = rows[: filled[-form.skip_last]] if len(filled) >= form.skip_last else []
    if delimiter == " ":
        rows = [(number, re.sub(r"[ \t]+", "\t", line.strip())) for number, line in rows]
        delimiter = "\t"
    kept = "".join(f"{line}\n" for _, line in rows)
    return Text(kept.encode(), np.array([number for number, _ in rows], dtype=np.int64), delimiter)


def unboxed(rows: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return numbered lines without drawn ones, and without bars at their ends and blanks beside bars."""
    bare = ((number, re.sub(r"\s*\|\s*", "|", line).strip()) for number, line in rows if not DRAWN.fullmatch(line))
    return [(number, line[1:-1] if line[:1] == line[-1:] == "|" else line) for number, line in bare]


def head_of(path: Path, encoding: str | None = None) -> str:
    """Return the start of a file as text; what can't be decoded becomes a question mark.

    Raises:
        BadInput: the file can't be unpacked, or is a kind of file that is not read.
    """
    head = unpacked(path, HEAD)
    kind = encoding or UTF_16.get(head[:2], "utf-8-sig")
    return codecs.getincrementaldecoder(kind)(errors="replace").decode(head, final=len(head) < HEAD)


def tail_of(path: Path, most: int, encoding: str | None = None) -> str:
    """Return the end of a file as text, from the start of a line; it may be longer than `most` bytes.

    Raises:
        BadInput: the file can't be unpacked or decoded, or is a kind of file that is not read.
    """
    if encoding or not is_plain(path, PLAIN):
        return decoded(path, unpacked(path), encoding)
    with path.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(max(size - most, 0))
        text = opened.read().decode("utf-8", "replace")
    return text if size <= most else text.partition("\n")[2]


def unpacked(path: Path, most: int = MOST_UNPACKED) -> bytes:
    """Return a file's bytes, unpacked if they are packed, at most so many of them.

    Raises:
        BadInput: the file can't be unpacked, is too large, or is a kind of file that is not read.
    """
    with unpacking(path) as stream:
        return _read(path, stream, most)


@contextmanager
def unpacking(path: Path) -> Iterator[BinaryIO | pa.NativeFile]:
    """Open a file to read its bytes, unpacked if they are packed.

    Raises:
        BadInput: the file can't be unpacked, also while it is read, or is a kind of file that is not read.
    """
    check_kind(path)
    with path.open("rb") as content:
        kind = _packing(content.read(HEAD))
        content.seek(0)
        try:
            if kind is None:
                yield content
            elif kind == "zip":
                with zipfile.ZipFile(content) as archive, archive.open(_only(path, archive)) as member:
                    yield cast("BinaryIO", member)
            else:
                with pa.CompressedInputStream(pa.PythonFile(content), kind) as stream:
                    yield stream
        except (OSError, EOFError, zipfile.BadZipFile, RuntimeError, NotImplementedError, pa.ArrowException) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise refused("not-unpacked", at=path, kind=kind or "a table", why=why) from None


def decoded(path: Path, content: bytes, encoding: str | None) -> str:
    """Return bytes as text: in the encoding that is given, else UTF-8 or, by its mark, UTF-16.

    Raises:
        BadInput: the bytes are not in this encoding, or have NUL characters.
    """
    kind = encoding or UTF_16.get(content[:2], "utf-8-sig")
    try:
        text = content.decode(kind)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = content.count(b"\n", 0, start) + 1
        code = "not-in-encoding" if encoding else "not-utf8"
        raise refused(code, at=f"{path}:{line}", **({"encoding": encoding} if encoding else {})) from None
    if "\0" in text:
        raise refused("nul-bytes-in-table", at=f"{path}:{text.count(chr(10), 0, text.index(chr(0))) + 1}")
    return text.removeprefix("\ufeff")


def check_kind(path: Path) -> None:
    """Check that a file is no spreadsheet and no document that has no rows and columns.

    Raises:
        BadInput: it is one; the message has the way out.
    """
    with path.open("rb") as content:
        head = content.read(HEAD)
    suffix = path.suffix.lower()
    if head[:4] == b"\xd0\xcf\x11\xe0" or (_packing(head) == "zip" and (suffix in SPREADSHEETS or b"xl/" in head)):
        raise refused("spreadsheet-instead-of-table", at=path)
    if suffix in RECORDS and head.lstrip()[:1] in (b"{", b"[", b"<"):
        raise refused("records-instead-of-table", at=path, kind=suffix[1:].upper())


def _packing(head: bytes) -> str | None:
    """Return how a file is packed, by its first bytes; None if it is not."""
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    return next((kind for mark, kind in PACKED.items() if head.startswith(mark)), None)


def _only(path: Path, archive: zipfile.ZipFile) -> str:
    names = [info.filename for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in info.filename]
    if len(names) != 1:
        raise refused("several-files-packed", at=path, count=len(names))
    return names[0]


def _read(path: Path, stream: BinaryIO | pa.NativeFile, most: int) -> bytes:
    found = io.BytesIO()
    while len(found.getbuffer()) < most:
        block = stream.read(min(2**20, most - len(found.getbuffer())))
        if not block:
            return found.getvalue()
        found.write(block)
    if most == MOST_UNPACKED and stream.read(1):
        raise refused("too-large-unpacked", at=path, limit=MOST_UNPACKED)
    return found.getvalue()


def _first(head: bytes) -> str:
    return head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip(" \r")


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None

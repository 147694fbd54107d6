"""Opens the array of an `.npy` or `.npz` file: mapped into memory, so that pages are read when they are used.

Nothing is unpickled. A compressed `.npz` can't be mapped; its array is read once.
"""

import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from lstm.data.tables import reader
from lstm.records.errors import BadInput, refused

NPY, ZIP = b"\x93NUMPY", b"PK"
MOST_UNPACKED = 2**34  # bytes of an array that is compressed, and so is held in memory
DAMAGED = (  # what numpy and zipfile raise for a file that is cut off, has a wrong header, or is encrypted
    *(ValueError, EOFError, OSError, OverflowError, MemoryError, RuntimeError, SyntaxError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
_LOCAL = struct.Struct("<26xHH")  # of a zip's local header: the lengths of the name and of the extra field
_HEADER = 30  # bytes of a local header before the name


@dataclass(frozen=True, slots=True)
class Opened:
    """An array of a file."""

    values: np.ndarray  # read-only
    is_mapped: bool  # False: it was compressed, and is in memory
    name: str = ""  # of the array in an .npz file


def check(path: Path) -> None:
    """Check that a file exists.

    Raises:
        BadInput: it does not exist (the message has the nearest name), or the path is not a file.
    """
    reader.check(path, "an array of frames")


def kind(path: Path) -> str:
    """Return `npy` or `npz` by a file's first bytes, "" if it is neither."""
    with path.open("rb") as file:
        head = file.read(6)
    return "npy" if head == NPY else "npz" if head.startswith(ZIP) else ""


def open_array(path: Path, name: str | None = None) -> Opened:
    """Open a file's array; `name` is that in an `.npz` file, needed if the file has several.

    Raises:
        BadInput: there is no such file or array, the file is damaged, or its array has Python objects.
    """
    check(path)
    try:
        form = kind(path)
        if form == "npy":
            if name is not None:
                raise refused("array-without-name", "data.array", name=name, file=str(path))
            with path.open("rb") as file:
                return Opened(_mapped(path, file), is_mapped=True)
        if form == "npz":
            return _member(path, name)
    except PermissionError:
        raise refused("no-permission-to-read", at=path) from None
    except BadInput:
        raise
    except DAMAGED as error:
        raise refused("frames-damaged", at=path, why=_short(error)) from None
    raise refused("not-an-array", at=path)


def names(path: Path) -> list[str]:
    """Return the names of the arrays in an `.npz` file.

    Raises:
        zipfile.BadZipFile: the file is damaged.
    """
    with zipfile.ZipFile(path) as packed:
        return [each.removesuffix(".npy") for each in packed.namelist() if each.endswith(".npy")]


def write(path: Path, values: np.ndarray) -> None:
    """Write an array as an `.npy` file.

    Raises:
        OSError: the file can't be written.
        BadInput: the array has Python objects.
    """
    if values.dtype.hasobject:
        raise refused("frames-of-objects", at=path)
    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def _member(path: Path, name: str | None) -> Opened:
    known = names(path)
    if not known:
        raise refused("no-array-in-file", at=path)
    if name is None and len(known) > 1:
        raise refused("several-arrays-in-file", "data.array", names=known[:20], file=str(path))
    chosen = known[0] if name is None else name
    if chosen not in known:
        raise refused("array-not-in-file", "data.array", name=chosen, names=known[:20], file=str(path))
    with zipfile.ZipFile(path) as packed:
        info = packed.getinfo(f"{chosen}.npy")
        if info.compress_type == zipfile.ZIP_STORED:
            with path.open("rb") as file:
                file.seek(info.header_offset)
                lengths = _LOCAL.unpack(file.read(_HEADER))
                file.seek(info.header_offset + _HEADER + sum(lengths))
                return Opened(_mapped(path, file), is_mapped=True, name=chosen)
        if info.file_size > MOST_UNPACKED:
            raise refused("packed-array-too-large", at=path, size=info.file_size, limit=MOST_UNPACKED)
        with packed.open(info) as inside:
            _header(path, inside)
        with packed.open(info) as inside:
            values = np.lib.format.read_array(inside, allow_pickle=False)
    values.flags.writeable = False
    return Opened(values, is_mapped=False, name=chosen)


def _header(path: Path, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, kind_of = read(file)
    if kind_of.hasobject:
        raise refused("frames-of-objects", at=path)
    return shape, is_fortran, kind_of


def _mapped(path: Path, file: IO[bytes]) -> np.ndarray:
    """Map the array whose header begins at the file's position."""
    shape, is_fortran, kind_of = _header(path, file)
    if 0 in shape:
        return np.empty(shape, kind_of)  # nothing can't be mapped
    mapped = np.memmap(path, kind_of, "r", file.tell(), shape, "F" if is_fortran else "C")
    return np.asarray(mapped)  # a plain view: what is sent to a worker is read from the file only then


def _short(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")[:120] if str(error).strip() else type(error).__name__

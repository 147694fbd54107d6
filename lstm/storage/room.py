"""Whether a folder takes what is to be written there: tried for real, and removed again."""

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FILES = 50  # new files and folders that a small sweep makes
_TRIED = 2**20  # bytes that are written for a try: a quota shows only then
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Room:
    """What a folder's file system has left."""

    folder: Path  # the folder, or the nearest one above it that exists
    device: int  # the same for all folders of a file system
    size: int  # bytes of all; 0 if it keeps none, as /proc
    free: int  # bytes for this user
    files: int | None  # new files for this user; None if the file system does not count them


def of(folder: Path) -> Room:
    """Return the room of a folder, which need not exist.

    Raises:
        OSError: it can't exist.
    """
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(each))
    found = os.statvfs(there)
    files = found.f_favail if found.f_files else None
    size, free = (blocks * found.f_frsize for blocks in (found.f_blocks, found.f_bavail))
    return Room(there, there.stat().st_dev, size, free, files)


def why_not(folder: Path) -> tuple[str, bool]:
    """Return why nothing can be written in a folder, and whether that is a lack of room; "" if it can be written.

    The folder need not exist: then one is made, and removed again, where it would be.
    """
    made = None
    try:
        there = of(folder).folder
        if there != folder.absolute():
            there = made = Path(tempfile.mkdtemp(prefix=".room-", dir=there))
        with tempfile.NamedTemporaryFile(prefix=".room-", dir=there, buffering=0) as file:
            written = file.write(bytes(_TRIED))
            if written < _TRIED:  # a disk takes what it can, and refuses the rest
                file.write(bytes(_TRIED - written))
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error), error.errno in _FULL
    finally:
        if made is not None:
            with suppress(OSError):
                shutil.rmtree(made)
    return "", False

"""Files where nobody may write, and which disk a file lies on, so that a person knows where room is to be made."""

import atexit
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

_SQLITES = ("-journal", "-wal")  # what SQLite keeps beside a database, and takes what was under way from
_TRIES = 5


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths are one file or folder, under whatever names; what is not there is only its own path."""
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def place_of(path: Path) -> str:
    """A file or folder, which need not exist, with the mount point and the free space of its disk."""
    there = path.absolute()
    try:
        while not there.exists():
            there = there.parent
        free = shutil.disk_usage(there).free
        while not there.is_mount():
            there = there.parent
    except OSError:
        return str(path)
    return f"{path} (disk {there}, {free / 1e6:,.0f} MB free)"


def may_write(path: Path) -> bool:
    """Whether this user may change a file and make others beside it."""
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK | os.X_OK)


def readable(database: Path) -> Path:
    """A SQLite database as it can be read: itself, or a copy for as long as this process lives.

    Where a writer was killed, or a write-ahead log is kept, SQLite writes before it reads. Where it may not, it does so
    in the copy: read as it lies there, the file might be half of a transaction.
    """
    try:
        if may_write(database) or not database.is_file() or _opens(database):
            return database
        for _ in range(_TRIES):  # somebody else, who may, can be at work
            before = _looks(database)
            copy = _copied(database, before)
            if _looks(database) == before:
                return copy
    except OSError:
        pass
    return database  # whoever opens it says what is the matter


def _opens(database: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        wants_to_write = ("SQLITE_READONLY", "SQLITE_CANTOPEN")
        return not str(getattr(error, "sqlite_errorname", "")).startswith(wants_to_write)
    return True


def _looks(database: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells whether somebody wrote to a database, or to what lies beside it."""
    files = [path for suffix in ("", *_SQLITES) if (path := Path(f"{database}{suffix}")).is_file()]
    return tuple((str(path), (found := path.stat()).st_mtime_ns, found.st_size) for path in files)


@cache
def _copied(database: Path, looks: tuple[tuple[str, int, int], ...]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lstm-sweeps-read-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path, *_ in looks:
        shutil.copyfile(path, folder / Path(path).name)
    return folder / database.name

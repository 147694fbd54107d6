"""Local disks: the disk of a file and its free space, and SQLite databases that this user may only read."""

import atexit
import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

_SQLITES = ("-journal", "-wal")  # suffixes of the files next to a database from which SQLite recovers transactions
MOUNTS = Path("/proc/self/mountinfo")
# File systems whose locks and caches are another machine's matter, as Linux names them.
NETWORKS = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "ceph", "glusterfs", "fuse.glusterfs", "beegfs"),
    *("afs", "orangefs", "pvfs2", "panfs", "wekafs", "vastnfs", "9p", "ncpfs"),
    *("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.juicefs", "fuse.rclone", "fuse.mount-s3"),
}
_TRIES = 5  # attempts to copy a database while no other process writes to it


def is_same(one: Path, other: Path) -> bool:
    """Return whether two paths name the same file or folder; a path that does not exist equals only itself."""
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def network_of(path: Path) -> str:
    """Return the kind of network file system that a path is on, such as nfs4; "" for a local one, or if not known.

    The path need not exist.
    """
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        there = Path(os.path.realpath(path))
    except OSError:  # not Linux
        return ""
    mounts = [line.split() for line in lines]
    found = {Path(_unescaped(mount[4])): mount[mount.index("-") + 1] for mount in mounts}  # a later mount hides earlier
    kind = next((found[each] for each in (there, *there.parents) if each in found), "")
    return kind if kind in NETWORKS else ""


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda digits: chr(int(digits[1], 8)), point)


def place_of(path: Path) -> str:
    """Return a path with the mount point and the free space of its disk; the path need not exist."""
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
    """Return whether this user may change a file and create other files in its folder."""
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK | os.X_OK)


def readable(database: Path) -> Path:
    """Return the path at which a SQLite database can be read: its own, or a copy that this process deletes at its end.

    SQLite must write before it reads if a writer was killed or a write-ahead log exists. If this user may not write
    there, SQLite does that in the copy: the original might contain half of a transaction.
    """
    try:
        if may_write(database) or not database.is_file() or _opens(database):
            return database
        for _ in range(_TRIES):  # another user may be writing to the database
            before = _looks(database)
            copy = _copied(database, before)
            if _looks(database) == before:
                return copy
    except OSError:
        pass
    return database  # opening it will raise an error that says what is wrong


def _opens(database: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        wants_to_write = ("SQLITE_READONLY", "SQLITE_CANTOPEN")
        return not str(getattr(error, "sqlite_errorname", "")).startswith(wants_to_write)
    return True


def _looks(database: Path) -> tuple[tuple[str, int, int], ...]:
    """Return paths, times and sizes that change if a process writes to a database or to SQLite's files next to it."""
    files = [path for suffix in ("", *_SQLITES) if (path := Path(f"{database}{suffix}")).is_file()]
    return tuple((str(path), (found := path.stat()).st_mtime_ns, found.st_size) for path in files)


@cache
def _copied(database: Path, looks: tuple[tuple[str, int, int], ...]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lstm-sweeps-read-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path, *_ in looks:
        shutil.copyfile(path, folder / Path(path).name)
    return folder / database.name

"""What a host says of itself. These functions run on each host, with the standard library and lstm alone."""

import errno
import fcntl
import os
import platform
import resource
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lstm.storage import disk, files

PEER_S = 5.0  # for another host to take a connection
AGAIN_S = 5.0  # for a changed file to be seen: file systems remember for some seconds what they have read
_PAUSE_S = 0.25
HELD, FREE = "held", "free"

Peer = tuple[str, int]  # address and port


@dataclass(frozen=True, slots=True)
class Looked:
    """What a host says of itself."""

    host: str
    time_s: float  # its time of day, seconds since 1970
    gpus: int | None  # GPUs of the machine, whoever may use them; None if that can't be known
    memory_disk: int | None  # bytes of /dev/shm; None without it
    temporary: str  # the folder of temporary files
    temporary_free: float  # the share of its disk that is free
    open_files: int  # how many files a process may have open
    kind: str = ""  # of the network file system that the shared folder is on; "" if it is on none
    unreached: tuple[tuple[str, int, str], ...] = ()  # peers that took no connection, each with the reason
    seen: Mapping[str, str] = field(default_factory=dict)  # the content of each probe file, by its name
    lock: str = ""  # HELD if the driver's lock was respected, FREE if it was not; else why no lock was possible


def look(folder: str, names: Sequence[str], locked: str, peers: Sequence[Peer]) -> Looked:
    """Look at this host.

    Args:
        folder: The folder that all hosts share, or an address; with an address nothing is looked at there.
        names: The probe files in it.
        locked: The name of the probe file that the driver has locked; "" if it has locked none.
        peers: Addresses and ports of other hosts that must take a connection.
    """
    from lstm.usage import gpus_of_machine

    now, is_folder = time.time(), "://" not in folder
    temporary = tempfile.gettempdir()
    usage = shutil.disk_usage(temporary)
    return Looked(
        host=platform.node(),
        time_s=now,
        gpus=gpus_of_machine(),
        memory_disk=shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else None,
        temporary=temporary,
        temporary_free=usage.free / max(usage.total, 1),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        kind=disk.network_of(Path(folder)) if is_folder else "",
        unreached=tuple((*peer, why) for peer in peers if (why := _unreached(peer))),
        seen={name: _text(Path(folder, name)) for name in names} if is_folder else {},
        lock=_lock(Path(folder, locked)) if is_folder and locked else "",
    )


def write(folder: str, name: str, text: str) -> str:
    """Write a probe file; return why that is not possible, "" if it is."""
    try:
        files.put(folder, name, text.encode())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def sees(folder: str, name: str, text: str) -> bool:
    """Return whether a file has a text, now or within some seconds."""
    end = time.monotonic() + AGAIN_S
    while (there := _text(Path(folder, name))) != text and time.monotonic() < end:
        time.sleep(_PAUSE_S)
    return there == text


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        return f"[{error.strerror}]"


def _lock(path: Path) -> str:
    try:
        file = path.open("r+b")
    except OSError as error:
        return error.strerror or str(error)
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return HELD if error.errno in (errno.EACCES, errno.EAGAIN) else error.strerror or str(error)
    return FREE


def _unreached(peer: Peer) -> str:
    try:
        socket.create_connection(peer, timeout=PEER_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


class Lock:
    """A lock on a file, as SQLite takes one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise

    def __enter__(self) -> "Lock":
        """Return the lock, which is held already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock back."""
        self._file.close()


def remove(folder: str, beginning: str) -> None:
    """Remove probe files, as far as they are visible here."""
    for path in Path(folder).glob(f"{beginning}*"):
        try:
            path.unlink()
        except OSError:  # another host has removed it
            if path.exists() and os.access(folder, os.W_OK):
                raise

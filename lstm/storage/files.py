"""Files at an address: a folder's path, a `file://` URL, or the URL of an object store such as `s3://BUCKET/PREFIX`.

A file is written whole or not at all. Object stores are accessed with pyarrow.
"""

import errno
import glob
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

MARK = b"sha256:"
RETRY_S = 20  # Google's client would else try for 15 minutes


def folder_of(address: str) -> Path | None:
    """Return the folder that an address names; None for an object store."""
    if "://" not in address:
        return Path(address)
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def remote(address: str) -> tuple[Any, str]:
    """Return pyarrow's file system for the URL of an object store, and the path in it."""
    from pyarrow import fs

    is_google = address.partition("://")[0] in ("gs", "gcs")
    limit = f"{'&' if '?' in address else '?'}retry_limit_seconds={RETRY_S}" if is_google else ""
    try:
        system, path = fs.FileSystem.from_uri(address + limit)
    except OSError as error:  # pyarrow's does not name the address
        raise OSError(error.errno or errno.EIO, str(error).partition("\n")[0], address) from error
    return system, path


def put(address: str, name: str, data: bytes) -> None:
    """Write a file durably, in place of an existing one; the folder is created if it does not exist.

    Raises:
        OSError: the store can't be written to; an existing file is unchanged.
    """
    try:
        _write(address, name, data)
    except OSError as error:  # the error of a full disk or of an object store does not name the file
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, f"{address}/{name}") from error


def _write(address: str, name: str, data: bytes) -> None:
    folder = folder_of(address)
    if folder is None:
        system, path = remote(address)
        # Not in a `with`: on an exception it would close the stream, and closing publishes an incomplete file.
        stream = system.open_output_stream(f"{path}/{name}", compression=None)  # whatever the name ends with
        stream.write(data)
        stream.close()
        return
    folder.mkdir(parents=True, exist_ok=True)
    where = machine()
    mine = f".{name}.{hashlib.sha256(f'{socket.gethostname()} {where}'.encode()).hexdigest()[:12]}."
    temporary = folder / f"{mine}{os.getpid()}"
    try:
        _write_durably(temporary, data)
        temporary.replace(folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    # Remove half-written files of processes that were killed in this container. Whether a process in another container
    # is alive can't be known here.
    for left in folder.glob(f"{glob.escape(mine)}*") if where else ():
        if not _lives(left.name.removeprefix(mine)):
            left.unlink(missing_ok=True)
    _sync(folder)


def machine() -> str:
    """Return an id of this machine since its start and of the container; a process number is valid only there.

    "" if the id is not known.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""  # not Linux


def _lives(pid: str) -> bool:
    """Return whether there may be a process of this number in this container."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (ValueError, PermissionError):  # not the number of a process, or another user's process
        pass
    return True


def create(address: str, name: str, data: bytes) -> bool:
    """Write a file durably unless a file of its name exists; return whether it was written.

    If several processes try at once in a folder, exactly one succeeds. In an object store, the last one wins.

    Raises:
        OSError: the store can't be written to.
    """
    folder = folder_of(address)
    if folder is None:
        if get(address, name) is not None:
            return False
        put(address, name, data)
        return True
    folder.mkdir(parents=True, exist_ok=True)
    # Named by content, not by process number: processes on different hosts may have the same number. A process that
    # writes the same content again replaces what a killed one left.
    temporary = folder / f".{name}.{hashlib.sha256(data).hexdigest()[:12]}"
    try:
        _write_durably(temporary, data)
        try:
            os.link(temporary, folder / name)  # unlike a rename, a link fails if the name exists
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if (folder / name).exists():
                return False
            temporary.replace(folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(folder)
    return True


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def get(address: str, name: str) -> bytes | None:
    """Return the bytes of a file; None if the file does not exist.

    Raises:
        OSError: the store can't be read.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        folder = folder_of(address)
        if folder is not None:
            return (folder / name).read_bytes()
        system, path = remote(address)
        with system.open_input_stream(f"{path}/{name}", compression=None) as stream:
            return bytes(stream.read())
    return None


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text that may still be written, without their ends; bytes that are no UTF-8 are replaced.

    Raises:
        OSError: the file can't be read.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        for each in file:
            yield each.rstrip("\n")


def names(address: str) -> list[str]:
    """Return the names of the files and folders at an address, in any order; an empty list if it does not exist.

    Raises:
        OSError: the store can't be read.
    """
    folder = folder_of(address)
    if folder is not None:
        return [p.name for p in folder.iterdir()] if folder.is_dir() else []
    from pyarrow import fs

    system, path = remote(address)
    # Of Google's store pyarrow lists only the folders that have an object of their own, which an upload makes for none.
    is_google = system.type_name == "gcs"
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=is_google))
    return [*dict.fromkeys(info.path.removeprefix(f"{path.rstrip('/')}/").partition("/")[0] for info in found)]


def sizes(address: str) -> dict[str, int]:
    """Return the size in bytes of each file at an address, by name; nothing if the address does not exist.

    Raises:
        OSError: the store can't be read.
    """
    folder = folder_of(address)
    if folder is not None:
        there = folder.iterdir() if folder.is_dir() else ()
        return {p.name: p.stat().st_size for p in there if p.is_file()}
    from pyarrow import fs

    system, path = remote(address)
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return {info.base_name: info.size for info in found if info.is_file}


def remove(address: str, name: str) -> None:
    """Remove a file. In a folder, the file need not exist.

    Raises:
        OSError: the file can't be removed.
    """
    folder = folder_of(address)
    if folder is not None:
        (folder / name).unlink(missing_ok=True)
        return
    system, path = remote(address)
    system.delete_file(f"{path}/{name}")


def seal(body: bytes) -> bytes:
    """Return the seal of a zip archive without its last two bytes: the comment's length (two bytes) and the comment.

    The comment is `sha256:` and the SHA-256 of `body` in hex.
    """
    comment = MARK + hashlib.sha256(body).hexdigest().encode()
    return len(comment).to_bytes(2, "little") + comment


def unsealed(data: bytes) -> bytes | None:
    """Return the bytes before the seal; None if the data are truncated or altered, or have no seal."""
    body = data[: -len(seal(b""))]
    return body if data[len(body) :] == seal(body) else None

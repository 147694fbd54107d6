"""Files at an address: a folder's path, a `file://` URL, or an object store's such as `s3://BUCKET/PREFIX`.

A file is written whole or not at all. Object stores are pyarrow's.
"""

import glob
import hashlib
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

MARK = b"sha256:"


def folder_of(address: str) -> Path | None:
    """The folder that an address names, None where it is an object store's."""
    if "://" not in address:
        return Path(address)
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def remote(address: str) -> tuple[Any, str]:
    """The file system of an object store's address, and the path in it."""
    from pyarrow import fs

    system, path = fs.FileSystem.from_uri(address)
    return system, path


def put(address: str, name: str, data: bytes) -> None:
    """Writes a file durably in the place of the one before; the folder is made where it is missing.

    Raises:
        OSError: the store can't be written to; the file before is still there.
    """
    try:
        _write(address, name, data)
    except OSError as error:  # that of a full disk, or of an object store, does not say what could not be written
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, f"{address}/{name}") from error


def _write(address: str, name: str, data: bytes) -> None:
    folder = folder_of(address)
    if folder is None:
        system, path = remote(address)
        # Not in a `with`: there an exception would close the stream, which publishes what was written.
        stream = system.open_output_stream(f"{path}/{name}")
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
    # Half-written by a process that was killed in this container; of another's nobody here knows whether it lives.
    for left in folder.glob(f"{glob.escape(mine)}*") if where else ():
        if not _lives(left.name.removeprefix(mine)):
            left.unlink(missing_ok=True)
    _sync(folder)


def machine() -> str:
    """This machine since it was started, and the container there: elsewhere a process's number means nothing.

    "" where that is not known.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""  # not Linux


def _lives(pid: str) -> bool:
    """Whether there may be a process of this number in this container."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (ValueError, PermissionError):  # no number of a process; another user's process
        pass
    return True


def create(address: str, name: str, data: bytes) -> bool:
    """Writes a file durably where there is none of its name; whether it did.

    Of several processes that try at once one succeeds. An object store can't promise that: there the last one wins.

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
    # Processes of several hosts may have one number. Who writes the same again removes what its kill has left.
    temporary = folder / f".{name}.{hashlib.sha256(data).hexdigest()[:12]}"
    try:
        _write_durably(temporary, data)
        try:
            os.link(temporary, folder / name)  # unlike a renaming it fails where the name is taken
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
    """The bytes of a file; None where there is no such file.

    Raises:
        OSError: the store can't be read.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        folder = folder_of(address)
        if folder is not None:
            return (folder / name).read_bytes()
        system, path = remote(address)
        with system.open_input_stream(f"{path}/{name}") as stream:
            return bytes(stream.read())
    return None


def names(address: str) -> list[str]:
    """The names of the files and folders at an address, in no order; none where there is nothing."""
    folder = folder_of(address)
    if folder is not None:
        return [p.name for p in folder.iterdir()] if folder.is_dir() else []
    from pyarrow import fs

    system, path = remote(address)
    return [info.base_name for info in system.get_file_info(fs.FileSelector(path, allow_not_found=True))]


def remove(address: str, name: str) -> None:
    """Removes a file; in a folder it may be gone already."""
    folder = folder_of(address)
    if folder is not None:
        (folder / name).unlink(missing_ok=True)
        return
    system, path = remote(address)
    system.delete_file(f"{path}/{name}")


def seal(body: bytes) -> bytes:
    """What follows a zip archive without its last two bytes: the length of the comment (two bytes) and the comment."""
    comment = MARK + hashlib.sha256(body).hexdigest().encode()
    return len(comment).to_bytes(2, "little") + comment


def unsealed(data: bytes) -> bytes | None:
    """What was sealed; None where it is truncated or altered, or was never sealed."""
    body = data[: -len(seal(b""))]
    return body if data[len(body) :] == seal(body) else None

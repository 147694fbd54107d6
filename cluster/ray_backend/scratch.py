"""A driver's temporary places: a folder of its own, Ray's token, Ray's sockets.

A folder is locked while its driver lives, and the kernel releases the lock however the driver ends. So a later
driver of the same user knows what a killed one left, and removes it.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.ray_backend import private_patches
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault, fault, refused

_PREFIX = "lstm-sweeps-"
_LOCK = "lock"
_SOCKET = "ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"  # the longest path that Ray makes
_SOCKET_BYTES = 107  # the longest path of a Unix socket


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for this driver, removed when the context ends; remove those of killed drivers, too.

    Raises:
        BadInput: there is no place for temporary files.
    """
    try:
        made, lock = _make()
    except FileNotFoundError as error:  # tempfile's error names the folders that it tried
        raise refused("no-temporary-folder", at="TMPDIR", why=error.strerror or str(error)) from None
    try:
        for left in made.parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):  # of another user or a living driver, not locked yet, or just removed
                _remove_if_dead(left)
        yield made
    finally:
        _remove(made)
        os.close(lock)


def _make() -> tuple[Path, int]:
    while True:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        with suppress(OSError):  # a file system without locks: there, folders of killed drivers stay
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return made, lock
        os.close(lock)  # before it was locked, another driver took it for a killed driver's


def _remove_if_dead(left: Path) -> None:
    if left.is_symlink() or left.stat().st_uid != os.geteuid():
        return
    lock = os.open(left / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(left)
    finally:
        os.close(lock)


def _remove(left: Path) -> None:
    """Remove a folder, its lock last: if something can't be removed, a later driver tries again."""
    with suppress(OSError):
        for path in left.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()
        (left / _LOCK).unlink()
        left.rmdir()


@contextmanager
def token(own: Path) -> Iterator[None]:
    """Provide a place for a local Ray's token if HOME has none: HOME may be missing, read-only or another user's."""
    if not _asks_for_token() or _home_will_do():
        yield
        return
    place = own / "auth_token"
    place.touch(mode=0o600)
    place.write_text(secrets.token_hex(32))
    with private_patches.token_at(str(place)):
        yield


def _asks_for_token() -> bool:
    """Return whether a local Ray will need a token and nobody has given one."""
    given = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return not given and os.environ.get("RAY_AUTH_MODE", "token").lower() == "token"


def protect_token() -> None:
    """Let only its owner read the token; Ray writes it readable for all who may enter its folder."""
    with suppress(OSError):
        (Path.home() / ".ray" / "auth_token").chmod(0o600)


def _home_will_do() -> bool:
    """Return whether Ray can read its token in HOME, or write one there."""
    home = os.environ.get("HOME", "")
    if not home or not os.path.isabs(home):  # noqa: PTH117 # Path's own methods raise if the folder may not be entered
        return False
    kept, place = f"{home}/.ray", f"{home}/.ray/auth_token"
    if os.access(place, os.F_OK):
        return os.path.isfile(place) and os.access(place, os.R_OK)  # noqa: PTH113
    kept = kept if os.access(kept, os.F_OK) else home
    return os.path.isdir(kept) and os.access(kept, os.W_OK | os.X_OK)  # noqa: PTH112


def for_ray() -> tuple[str | None, Note | None]:
    """Return the folder for a local Ray's files (None for Ray's usual one) and a note about it (None for none).

    Raises:
        BadInput: Ray can work in no folder.
    """
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "TMPDIR")
    usual = os.environ.get(name, "/tmp")
    wrong = _unfit(usual, name, f"{name} {usual}")
    if wrong is None:
        return None, None
    if nor := _unfit("/tmp", name, "/tmp"):
        raise BadInput(wrong, nor)
    room, unwritable = wrong.values.get("room"), wrong.values.get("folder")
    told = {"folder": "/tmp/ray", "room": room, "unwritable": unwritable, "variable": name}
    return "/tmp/ray", note("rays-files-elsewhere", at=wrong.place, **told)


def fits(folder: str) -> bool:
    """Return whether a folder's path is short enough for the sockets of a Ray that keeps its files there."""
    return len(os.fsencode(os.path.abspath(folder))) + len(_SOCKET) - len("ray") <= _SOCKET_BYTES  # noqa: PTH100


def _unfit(base: str, variable: str, named: str) -> Fault | None:
    """Return what keeps Ray from working in a folder, or None; `variable` is the one to set for another folder."""
    length = len(os.fsencode(os.path.abspath(base))) + 1 + len(_SOCKET)  # noqa: PTH100
    if length > _SOCKET_BYTES:
        room = _SOCKET_BYTES - 1 - len(_SOCKET)
        return fault("sockets-path-too-long", at=named, room=room, variable=variable)
    place = f"{base}/ray" if os.path.isdir(f"{base}/ray") else base  # noqa: PTH112
    if os.access(place, os.W_OK | os.X_OK):
        return None
    return fault("rays-folder-unwritable", at=named, folder=place, variable=variable)

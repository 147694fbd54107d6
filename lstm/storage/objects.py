"""Data at the address of an object, such as `s3://BUCKET/sales.csv`: a copy of it is there while it is read.

An object is read once, whole, into a folder for temporary files. Every message names the object's address instead of
the copy's path. Object stores are accessed with pyarrow, which takes keys, region and endpoint from the environment.
"""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lstm.messages.message import say_instead
from lstm.records.errors import BadInput, Fault, fault, nearest, refused
from lstm.storage import files
from lstm.storage.address import faults_of_file

BLOCK = 2**23  # bytes that are copied at once
LONGEST_WHY = 300  # characters of what a store says
_KEYS = {"s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"} | dict.fromkeys(
    ("gs", "gcs"), "GOOGLE_APPLICATION_CREDENTIALS"
)
_HELD: ContextVar[Mapping[str, str]] = ContextVar("copies that are there", default={})  # noqa: B039 # never changed
SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_DENIED = re.compile(
    r"ACCESS_DENIED|SIGNATURE_DOES_NOT_MATCH|INVALID_ACCESS_KEY_ID|EXPIRED|UNAUTHENTICATED|PERMISSION_DENIED"
    r"|InvalidAccessKeyId|OAuth2|Forbidden|\b40[13]\b"
)
_AWAY = re.compile(
    r"NETWORK_CONNECTION|curlCode|CURL error|Could(?:n't| not) (?:resolve|connect)|timed? ?out|UNAVAILABLE"
)
_BUSY = re.compile(r"INTERNAL_FAILURE|SLOW_DOWN|THROTTLING|REQUEST_TIME|SERVICE_UNAVAILABLE|\b50[0234]\b")
_NOISE = re.compile(
    r"^(?:\w+: )?When .*?: (?=AWS Error)|^\[Errno \d+\] |^google::cloud::Status\(|^.*?last message of | error_info=.*"
)


@contextmanager
def local(given: Iterable[str | None]) -> Iterator[Mapping[str, str]]:
    """Yield for each address in `given` the path of a file with its content; paths are left out.

    The copies are removed at the end. What is mapped into memory until then stays readable. Within such a context, an
    address that has a copy is not read again.

    Raises:
        BadInput: an address is wrong, there is no such object, or the store can't be read.
    """
    addresses = [*dict.fromkeys(each for each in given if each and "://" in each)]
    for each in addresses:
        if wrong := [*faults_of_file("", each)]:
            raise BadInput(*wrong).at(without_secrets(each))
    paths = {each: str(there) for each in addresses if (there := files.folder_of(each)) is not None}
    paths |= {each: _HELD.get()[each] for each in addresses if each in _HELD.get()}
    objects = [each for each in addresses if each not in paths]
    if not objects:
        yield paths
        return
    with tempfile.TemporaryDirectory(prefix="lstm-sweeps-") as folder:
        for number, each in enumerate(objects):
            copy = Path(folder, str(number), unquote(urlsplit(each).path).rpartition("/")[2])
            copy.parent.mkdir()
            say_instead(str(copy), each)
            _copy(each, copy)
            paths[each] = str(copy)
        before = _HELD.set({**_HELD.get(), **paths})
        try:
            yield paths
        finally:
            _HELD.reset(before)


def _copy(address: str, copy: Path) -> None:
    """Copy an object.

    Raises:
        BadInput: there is none, the store can't be read, this machine has no room, or the object changes meanwhile.
    """
    try:
        system, path = files.remote(address)
        found = system.get_file_info(path)
        if not found.is_file:
            raise _missing(address, system, path, found)
        if found.size > (free := shutil.disk_usage(copy.parent).free):
            raise refused("no-room-for-object", at=address, size=found.size, free=free, folder=tempfile.gettempdir())
        # As the bytes are: pyarrow would else unpack what is named as packed.
        with system.open_input_stream(path, compression=None) as stream, copy.open("wb") as file:
            shutil.copyfileobj(stream, file, BLOCK)
        if _looks(system.get_file_info(path)) != _looks(found) or copy.stat().st_size != found.size:
            raise refused("object-changed", at=address)
    except (OSError, ValueError) as error:  # ValueError: of an address or a setting that pyarrow can't read
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            room = {"size": 0, "free": 0, "folder": tempfile.gettempdir()}
            raise refused("no-room-for-object", at=address, **room) from None
        raise refusal(address, error) from None


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex.

    Raises:
        BadInput: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise refused("file-unread", at=path, why=error.strerror or str(error)) from None


def send(path: Path, address: str, digest: str) -> None:
    """Copy a file to an object's address. An object that has its size already is left as it is.

    Args:
        path: The file.
        address: Where it goes; the address must name the file's content, as by its digest.
        digest: The SHA-256 of the file, in hex.

    Raises:
        BadInput: the file has changed since its digest was taken, or the store does not take it.
    """
    sent = hashlib.sha256()
    if digest_of(path) != digest:
        raise refused("file-changed", at=path)
    try:
        system, place = files.remote(address)
        found = system.get_file_info(place)
        if found.is_file and found.size == path.stat().st_size:
            return
        with system.open_output_stream(place, compression=None) as stream, path.open("rb") as file:
            while block := file.read(BLOCK):
                sent.update(block)
                stream.write(block)
        if sent.hexdigest() != digest:  # a stream that was begun publishes its object in any case
            system.delete_file(place)
            raise refused("file-changed", at=path)
    except (OSError, ValueError) as error:
        raise refusal(address, error) from None


def _looks(found: Any) -> tuple[Any, Any]:
    return found.size, found.mtime_ns


def _missing(address: str, system: Any, path: str, found: Any) -> BadInput:
    """Return why there is no object at an address: it is a folder, or the bucket or the object does not exist."""
    from pyarrow import fs

    bucket, _, name = path.partition("/")
    if found.type is fs.FileType.Directory:
        return refused("object-is-folder", at=address)
    if system.get_file_info(bucket).type is fs.FileType.NotFound:
        told = {"store": store_of(address), "variable": _variable(address)}
        return refused("no-such-bucket", at=address, bucket=bucket, **told)
    names = list[str]()
    with suppress(OSError):  # a key may read objects and list none
        beside = system.get_file_info(fs.FileSelector(path.rpartition("/")[0]))
        names = [each.base_name for each in beside if each.is_file]
    return refused("no-such-object", at=address, near=nearest(name.rpartition("/")[2], names))


def refusal(address: str, error: BaseException) -> BadInput:
    """Return what a store's error means for who gave the address. It shows no key."""
    text = str(error) or type(error).__name__
    unread = fault("object-unread", at=address, store=store_of(address), why=_why(text))
    return BadInput(trouble(address, text, at=address) or unread)


def trouble(address: str, text: str, *, at: object) -> Fault | None:
    """Return the fault of a store that refuses, or takes nothing now, by what pyarrow said; None for anything else."""
    why = _why(text)
    told: dict[str, Any] = {"store": store_of(address), "why": why}
    if _DENIED.search(why):
        key = _KEYS.get(address.partition("://")[0], "the store's own variables")
        none = None if os.environ.get(key.partition(" ")[0]) else f"{key.partition(' ')[0]} is not set here"
        return fault("store-denies", at=at, **told, key=key, none=none)
    if _AWAY.search(why):
        return fault("store-unreachable", at=at, **told, variable=_variable(address))
    return fault("object-unread", at=at, **told) if _BUSY.search(why) else None


def unwritable(folder: str, text: str, *, at: object) -> Fault:
    """Return the fault of a folder or a store that takes no checkpoints, by what the file system said."""
    store = trouble(folder, text, at=at) if "://" in folder else None
    return store or fault("checkpoints-unwritable", at=at, folder=folder, why=text)


def unreadable(address: str, error: OSError) -> Fault:
    """Return the fault of checkpoints that can't be read."""
    text = error.strerror or str(error)
    store = trouble(address, text, at=address) if "://" in address else None
    return store or fault("checkpoint-store-unreadable", at=address, why=text)


def _why(text: str) -> str:
    return _NOISE.sub("", without_secrets((text.splitlines() or [""])[0]))[:LONGEST_WHY]


def _variable(address: str) -> str | None:
    """Return the variable that names a store which is not Amazon's."""
    return ENDPOINTS[-1] if address.startswith("s3:") else None


def store_of(address: str) -> str:
    """Return in words which store an address is in, without a user and a password."""
    scheme = address.partition("://")[0]
    given = next((os.environ[each] for each in ENDPOINTS if os.environ.get(each)), "") if scheme == "s3" else ""
    known = {"s3": "Amazon S3", "gs": "Google Cloud Storage", "gcs": "Google Cloud Storage"}
    return re.sub(r"//[^/@]*@", "//", given) or known.get(scheme, scheme)


def without_secrets(text: str) -> str:
    """Return a text without the keys that the environment has, and without logins in addresses."""
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return re.sub(r"//[^/@\s]*@", "//", text)

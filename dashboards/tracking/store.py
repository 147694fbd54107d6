"""An MLflow store: how it is reached, and what is the matter where it does not take what it is sent."""

import errno
import glob
import logging
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboards.config import address_fault
from dashboards.tracking import private_patches
from lstm.records.errors import BadInput
from lstm.storage import disk

_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST"}
_REFUSAL_STATUSES = {400, 413, 415, 422}  # of an artifact; what else a server answers may be another tomorrow
_BUGS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# MLflow calls every trouble of its database but one a bad request; these are the database's.
_DATABASE_TROUBLE = {"DatabaseError", "InterfaceError", "InternalError", "OperationalError", "TimeoutError"}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_WORDS = {  # by the class of an error or SQLite's name of it; the first that is found says the most
    "SQLITE_BUSY": "the database is locked",
    "SQLITE_LOCKED": "the database is locked",
    "SQLITE_READONLY": "the database is read-only",
    "SQLITE_CANTOPEN": "the database can't be opened",
    "Timeout": "no answer in time",
    "ReadTimeoutError": "no answer in time",
    "NameResolutionError": "the host is not known",
    "ConnectionRefusedError": "nothing listens at the address",
    "ConnectionError": "the connection broke",
}
_SAID = {  # by what PostgreSQL's driver says, which has no code for it
    "Connection refused": "nothing listens at the address",
    "could not translate host name": "the host is not known",
    "timeout expired": "no answer in time",
}
_CODES = {  # by MLflow's name of an answer
    "UNAUTHENTICATED": "the server asks for a name and a password",
    "CUSTOMER_UNAUTHORIZED": "the server asks for a name and a password",
    "PERMISSION_DENIED": "the server gives no permission",
    "ENDPOINT_NOT_FOUND": "the server is no MLflow from 3.0 on",
}
_DISK_FULL = "53100"  # PostgreSQL's


def _prepare() -> None:
    """Imports MLflow, which takes seconds; so that what comes next is quick, and quiet."""
    private_patches.set_environment()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # The package first: Ray Tune imports it too, in another thread, and two threads that begin with different modules
    # of it would each get a half-made one.
    import mlflow
    import mlflow.tracking  # noqa: F401 # so that it is there

    for name in ("mlflow", "alembic"):  # its import configures them anew
        logging.getLogger(name).setLevel(logging.CRITICAL)


def connect(uri: str) -> Any:
    """An MlflowClient that gives up soon and keeps quiet.

    Raises:
        BadInput: the address can't be that of a store.
    """
    if wrong := address_fault(uri):
        raise BadInput(wrong)
    _prepare()
    from mlflow.tracking import MlflowClient

    if (path := missing_file(uri)) and "?" not in uri and path != ":memory:":
        _make_database(Path(path))
    return MlflowClient(tracking_uri=with_driver(uri))


def may_ask() -> bool:
    """Whether a server can be asked by `request`, with the MLflow that is installed."""
    _prepare()
    return private_patches.may_ask()


def request(uri: str, method: str, endpoint: str, **content: Any) -> Any:
    """What a server answers to a call, whatever its status; who asks is what MLflow's variables say."""
    _prepare()
    return private_patches.request(uri, method, endpoint, **content)


def database(uri: str) -> Any:
    """An SQLAlchemy engine of a database."""
    _prepare()  # for the variables of PostgreSQL's driver
    import sqlalchemy

    return sqlalchemy.create_engine(with_driver(uri))


def with_driver(uri: str) -> str:
    """A PostgreSQL's address with the driver that is installed with us; SQLAlchemy would look for another."""
    scheme, mark, rest = uri.partition("://")
    return f"postgresql+psycopg2{mark}{rest}" if scheme in ("postgres", "postgresql") else uri


def without_password(address: str) -> str:
    """An address as it may be shown: nobody's name and password, and no query, which may hold them too."""
    scheme, mark, rest = address.partition("://")
    if not mark or scheme.startswith(("sqlite", "file")):
        return address
    rest = re.sub(r"^[^:/@]*(:[^@]*)?@", "", rest).partition("?")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _make_database(path: Path) -> None:
    """Make an empty store's tables under another name, and give the file its own when they are whole.

    MLflow makes them in many steps. A store in which a kill or a full disk ended them would never open again.
    """
    if not private_patches.makes_tables():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new*"):
        if time.time() - left.stat().st_mtime > 3600:  # a killed driver's; a younger one may be at work
            left.unlink(missing_ok=True)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    engine = database(f"sqlite:///{new}")
    try:
        private_patches.make_tables(engine)
        engine.dispose()
        try:
            os.link(new, path)
        except FileExistsError:  # somebody was quicker
            pass
        except OSError:  # a file system without links
            new.rename(path)
    finally:
        engine.dispose()  # a file that is open keeps its place on the disk
        for left in path.parent.glob(f"{glob.escape(new.name)}*"):  # SQLite's journal, too
            left.unlink(missing_ok=True)


def is_refusal(error: Exception) -> bool:
    """Whether the store understood and said no (sending it again won't help), rather than being away."""
    code = getattr(error, "error_code", None)
    if "out-of-date database schema" in str(error):
        return True
    if code == "INTERNAL_ERROR" and error.__context__ is not None:  # its own store wraps whatever happened
        error = error.__context__ if isinstance(error.__context__, Exception) else error
    elif code is not None:
        return code in _REFUSALS and type(error.__cause__).__name__ not in _DATABASE_TROUBLE
    if (status := getattr(getattr(error, "response", None), "status_code", None)) is not None:
        return status in _REFUSAL_STATUSES
    return isinstance(error, _BUGS) and not isinstance(error, OSError)


def is_outage(error: Exception) -> bool:
    """Whether it is the store that failed, and not our own code."""
    outside = hasattr(error, "error_code") or isinstance(error, OSError) or not isinstance(error, _BUGS)
    return outside and not isinstance(error, BadInput)


def bars(error: Exception) -> bool:
    """Whether a server answers, and lets nothing in: that is for somebody to mend, there or in the environment."""
    statuses = {getattr(getattr(each, "response", None), "status_code", None) for each in causes(error)}
    return getattr(error, "error_code", None) in _CODES or bool(statuses & {401, 403})


def readable(uri: str) -> str:
    """The address under which a store can be read, though nobody may write there: that of a copy, if need be."""
    scheme, _, path = uri.partition("?")[0].partition(":///")
    if scheme != "sqlite" or not path:
        return uri
    found = disk.readable(Path(path))
    return uri if str(found) == path else f"sqlite:///{found}"


def missing_file(uri: str) -> str | None:
    """The file of a store that is a SQLite database and not there; None otherwise."""
    scheme, _, path = uri.partition("?")[0].partition(":///")
    return path if scheme == "sqlite" and not Path(path).exists() else None


def cause(error: Exception) -> str:
    """What went wrong, in a few words: never the message, which may hold the store's address and password."""
    every = list(causes(error))
    for each in every:
        if isinstance(each, OSError) and each.filename is not None and each.strerror:
            return f"{each.strerror}: {os.fsdecode(each.filename)}"
    kinds = {kind.__name__ for each in every for kind in type(each).__mro__}
    kinds |= {str(getattr(each, "sqlite_errorname", "")) for each in every}
    statuses = [getattr(getattr(each, "response", None), "status_code", None) for each in every]
    # Not text from the far end: urllib3's own sentence.
    statuses += [found[1] for each in every if (found := re.fullmatch(r"too many (\d+) error responses", str(each)))]
    words = [f"error {status}" for status in statuses if status]
    words += [words for kind, words in _WORDS.items() if kind in kinds]
    words += [words for said, words in _SAID.items() if any(said in str(each) for each in every)]
    words += [words for code, words in _CODES.items() if getattr(error, "error_code", None) == code]
    return next(iter(words), str(getattr(error, "error_code", None) or type(error).__name__))


def full_disk(error: Exception, uri: str, artifacts: str | None) -> str | None:
    """The folder whose disk is full, where that is what went wrong; "" where it is not of this host."""
    here = [Path(tempfile.gettempdir()), *([Path(artifacts)] if artifacts and "://" not in artifacts else [])]
    for each in causes(error):
        if getattr(each, "sqlite_errorname", None) == "SQLITE_FULL":
            return str(Path(uri.partition("?")[0].partition(":///")[2]).parent)
        if getattr(each, "pgcode", None) == _DISK_FULL:
            return ""
        if isinstance(each, OSError) and each.errno in _FULL:
            # A write does not say which file it was for; the fullest disk is it.
            named = each.filename2 or each.filename
            return str(Path(os.fsdecode(named)).parent if named else min(here, key=_free))
    return None


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was made of: causes, what a database's driver and urllib3 raised."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            inner = [each.__cause__, each.__context__, getattr(each, "orig", None), getattr(each, "reason", None)]
            waiting += [*inner, *each.args]

"""An MLflow store: how it is reached, and what is wrong if it does not take a record."""

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
_REFUSAL_STATUSES = {400, 413, 415, 422}  # for an artifact; another status may pass
_BUGS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# MLflow reports almost every failure of its database as a bad request; these errors are the database's.
_DATABASE_TROUBLE = {"DatabaseError", "InterfaceError", "InternalError", "OperationalError", "TimeoutError"}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_WORDS = {  # by an error's class or SQLite's name for it; the first one found says the most
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
_SAID = {  # by the text of PostgreSQL's driver, which has no code for it
    "Connection refused": "nothing listens at the address",
    "could not translate host name": "the host is not known",
    "timeout expired": "no answer in time",
}
_CODES = {  # by MLflow's error code
    "UNAUTHENTICATED": "the server asks for a name and a password",
    "CUSTOMER_UNAUTHORIZED": "the server asks for a name and a password",
    "PERMISSION_DENIED": "the server gives no permission",
    "ENDPOINT_NOT_FOUND": "the server is no MLflow from 3.0 on",
}
_DISK_FULL = "53100"  # PostgreSQL's code


def _prepare() -> None:
    """Import MLflow, which takes seconds, so that later calls are quick, and keep its loggers quiet."""
    private_patches.set_environment()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # The package first: Ray Tune imports it too, in another thread. Two threads that begin with different modules of it
    # would each get a half-made one.
    import mlflow
    import mlflow.tracking  # noqa: F401 # so that it is imported

    for name in ("mlflow", "alembic"):  # the import has configured them again
        logging.getLogger(name).setLevel(logging.CRITICAL)


def connect(uri: str) -> Any:
    """Return an MlflowClient that gives up soon and logs nothing.

    Raises:
        BadInput: it can't be a store's address.
    """
    if wrong := address_fault(uri):
        raise BadInput(wrong)
    _prepare()
    from mlflow.tracking import MlflowClient

    if (path := missing_file(uri)) and "?" not in uri and path != ":memory:":
        _make_database(Path(path))
    return MlflowClient(tracking_uri=with_driver(uri))


def may_ask() -> bool:
    """Return whether a server can be asked with `request`, given the installed MLflow."""
    _prepare()
    return private_patches.may_ask()


def request(uri: str, method: str, endpoint: str, **content: Any) -> Any:
    """Return a server's answer to a call, whatever its status; MLflow's variables say who asks."""
    _prepare()
    return private_patches.request(uri, method, endpoint, **content)


def database(uri: str) -> Any:
    """Return an SQLAlchemy engine of a database."""
    _prepare()  # for the variables of PostgreSQL's driver
    import sqlalchemy

    return sqlalchemy.create_engine(with_driver(uri))


def with_driver(uri: str) -> str:
    """Return a PostgreSQL address with the driver that we install; SQLAlchemy might choose another."""
    scheme, mark, rest = uri.partition("://")
    return f"postgresql+psycopg2{mark}{rest}" if scheme in ("postgres", "postgresql") else uri


def without_password(address: str) -> str:
    """Return an address as it may be shown: without user and password, and without the query, which may hold them."""
    scheme, mark, rest = address.partition("://")
    if not mark or scheme.startswith(("sqlite", "file")):
        return address
    rest = re.sub(r"^[^:/@]*(:[^@]*)?@", "", rest).partition("?")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _make_database(path: Path) -> None:
    """Create an empty store's tables in a file of another name, and rename it when the tables are complete.

    MLflow creates them in many steps. A store would never open again if a kill or a full disk stopped it in between.
    """
    if not private_patches.makes_tables():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new*"):
        if time.time() - left.stat().st_mtime > 3600:  # a killed driver's; a younger file may be in use
            left.unlink(missing_ok=True)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    engine = database(f"sqlite:///{new}")
    try:
        private_patches.make_tables(engine)
        engine.dispose()
        try:
            os.link(new, path)
        except FileExistsError:  # somebody else has just created it
            pass
        except OSError:  # a file system without hard links
            new.rename(path)
    finally:
        engine.dispose()  # an open file still uses space on the disk
        for left in path.parent.glob(f"{glob.escape(new.name)}*"):  # with SQLite's journal
            left.unlink(missing_ok=True)


def is_refusal(error: Exception) -> bool:
    """Return whether the store understood and refused, so that sending again won't help, and is not just away."""
    code = getattr(error, "error_code", None)
    if "out-of-date database schema" in str(error):
        return True
    if code == "INTERNAL_ERROR" and error.__context__ is not None:  # MLflow's own store wraps any error
        error = error.__context__ if isinstance(error.__context__, Exception) else error
    elif code is not None:
        return code in _REFUSALS and type(error.__cause__).__name__ not in _DATABASE_TROUBLE
    if (status := getattr(getattr(error, "response", None), "status_code", None)) is not None:
        return status in _REFUSAL_STATUSES
    return isinstance(error, _BUGS) and not isinstance(error, OSError)


def is_outage(error: Exception) -> bool:
    """Return whether the store failed, and not our own code."""
    outside = hasattr(error, "error_code") or isinstance(error, OSError) or not isinstance(error, _BUGS)
    return outside and not isinstance(error, BadInput)


def bars(error: Exception) -> bool:
    """Return whether a server answers but refuses all requests: somebody must fix that, there or in the environment."""
    statuses = {getattr(getattr(each, "response", None), "status_code", None) for each in causes(error)}
    return getattr(error, "error_code", None) in _CODES or bool(statuses & {401, 403})


def readable(uri: str) -> str:
    """Return the address to read a store at, even without write access: of a copy, if need be."""
    scheme, _, path = uri.partition("?")[0].partition(":///")
    if scheme != "sqlite" or not path:
        return uri
    found = disk.readable(Path(path))
    return uri if str(found) == path else f"sqlite:///{found}"


def missing_file(uri: str) -> str | None:
    """Return the file of a SQLite store if it does not exist; None otherwise."""
    file = file_of(uri)
    return str(file) if file is not None and not file.exists() else None


def file_of(uri: str) -> Path | None:
    """Return the file of a SQLite store; None if the store is no file."""
    scheme, _, path = uri.partition("?")[0].partition(":///")
    return Path(path) if scheme == "sqlite" else None


def cause(error: Exception) -> str:
    """Return what went wrong in a few words, never the message: it may hold the store's address and password."""
    every = list(causes(error))
    for each in every:
        if isinstance(each, OSError) and each.filename is not None and each.strerror:
            return f"{each.strerror}: {os.fsdecode(each.filename)}"
    kinds = {kind.__name__ for each in every for kind in type(each).__mro__}
    kinds |= {str(getattr(each, "sqlite_errorname", "")) for each in every}
    statuses = [getattr(getattr(each, "response", None), "status_code", None) for each in every]
    # This is urllib3's own sentence, not text from the server.
    statuses += [found[1] for each in every if (found := re.fullmatch(r"too many (\d+) error responses", str(each)))]
    words = [f"error {status}" for status in statuses if status]
    words += [words for kind, words in _WORDS.items() if kind in kinds]
    words += [words for said, words in _SAID.items() if any(said in str(each) for each in every)]
    words += [words for code, words in _CODES.items() if getattr(error, "error_code", None) == code]
    return next(iter(words), str(getattr(error, "error_code", None) or type(error).__name__))


def full_disk(error: Exception, uri: str, artifacts: str | None) -> str | None:
    """Return the folder on a full disk, if that is the cause; "" if the disk is another host's; None otherwise."""
    here = [Path(tempfile.gettempdir()), *([Path(artifacts)] if artifacts and "://" not in artifacts else [])]
    for each in causes(error):
        if getattr(each, "sqlite_errorname", None) == "SQLITE_FULL":
            return str(Path(uri.partition("?")[0].partition(":///")[2]).parent)
        if getattr(each, "pgcode", None) == _DISK_FULL:
            return ""
        if isinstance(each, OSError) and each.errno in _FULL:
            # A failed write may not name its file: then take the folder with the fullest disk.
            named = each.filename2 or each.filename
            return str(Path(os.fsdecode(named)).parent if named else min(here, key=_free))
    return None


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors in it: causes, and what a database's driver and urllib3 raised."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            inner = [each.__cause__, each.__context__, getattr(each, "orig", None), getattr(each, "reason", None)]
            waiting += [*inner, *each.args]

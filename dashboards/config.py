"""The section `tracking` of a spec: where MLflow remembers; and whether an address can be that of a store."""

import importlib.util
import re
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field

from lstm.config.section import Section

Checkpoints = Literal["best", "all", "none"]

SERVERS = ("http://", "https://")
_FORMS = (
    "a server's, as in http://localhost:5000, or a database's, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
)
_OPTIONS = {"timeout", "isolation_level", "check_same_thread"}  # of Python's SQLite
# As SQLAlchemy reads it: user and password, host, port, database, options.
_DATABASE = re.compile(r"([^:/]*(:[^@]*)?@)?(\[[^/?]+\]|[^/:?@]*)(:(?P<port>[0-9]+))?(/[^?]*)?(\?.*)?", re.DOTALL)


class TrackingConfig(Section):
    """Where runs are recorded."""

    uri: str | None = Field(
        None,
        min_length=1,
        description="MLflow's tracking URI: a server's (http://HOST:5000), sqlite:///FILE or "
        "postgresql://USER:PASSWORD@HOST/NAME; by default SQLite in the home folder.",
    )
    checkpoints: Checkpoints = Field(
        "best",
        description="Whose checkpoints become artifacts of their runs: the best trial's, every trial's or no trial's. "
        "The others carry their address as a tag.",
    )


def address_fault(uri: str) -> str | None:
    """What keeps an address from being one of MLflow's store, told without any part of it; None where nothing does."""
    scheme, _, rest = uri.partition("://")
    kind, _, driver = scheme.partition("+")
    if any("\ud800" <= c <= "\udfff" if kind == "sqlite" else c == " " or not c.isprintable() for c in uri):
        return "holds a blank, or what can't be seen; take it out"
    if scheme in ("http", "https"):
        return _server_fault(uri)
    if kind == "sqlite" and driver in ("", "pysqlite") and "://" in uri:
        return _file_fault(rest)
    if kind in ("postgres", "postgresql") and driver in ("", "psycopg2", "psycopg") and "://" in uri:
        return _postgresql_fault(rest, driver or "psycopg2")
    if kind in ("mysql", "mssql") and "://" in uri:
        return f"{kind} is not offered; use a server over it, as in http://localhost:5000, or sqlite:///FILE or postgresql://…"
    return f"is no address of an MLflow store; leave it out for a database in the home folder, or write {_FORMS}"


def _file_fault(rest: str) -> str | None:
    path, mark, options = rest.partition("?")
    if not path.startswith("/"):
        return "names no file; its path follows three slashes: write sqlite:///FILE, or sqlite:////FOLDER/FILE"
    if path[1:] in ("", ":memory:") or path[1:].startswith("file:"):
        return "names no file, and a sweep outlives its driver; write sqlite:///FILE"
    if mark and not {part.partition("=")[0] for part in options.split("&")} <= _OPTIONS:
        return "holds a ?, with which options begin, and none that is known follows; a path may hold none"
    if unquote(path) != path:  # MLflow makes the folder as it is written, and the file where this leads, decoded
        return "holds a % that would be decoded; write the characters themselves"
    return None


def _server_fault(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        host = None
    if not host:
        return "is no address of a server; write http://HOST:5000"
    if "?" in uri or "#" in uri:
        return "is a page's; leave out what begins with ? or #, as in http://HOST:5000"
    return None


def _postgresql_fault(rest: str, driver: str) -> str | None:
    found = _DATABASE.fullmatch(rest)
    if found is None and rest.count("@") > 1:
        return "has two @; write an @ in the password as %40"
    if found is None or int(found["port"] or 0) > 65535:
        return "is no address of a database; write postgresql://USER:PASSWORD@HOST/NAME"
    if importlib.util.find_spec(driver) is None:
        return "needs PostgreSQL's driver: pip install 'lstm-sweeps[postgresql]'"
    return None

"""The database of a study: its address, its engine, its clock, and the faults if it does not answer."""

import importlib.util
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.schema import CreateTable

from lstm.records.errors import BadInput, Fault, fault, refused
from lstm.storage import disk

FIELD = "storage.study"  # the spec's field of the address
# PostgreSQL's client says FATAL before what a server has answered. These answers of a server are for now; those of a
# client are about the address, and it would say them again. What else a client says is of a network or a host.
_FOR_NOW = re.compile("starting up|shutting down|recovery mode|too many|connection slots|not (yet )?accepting")
_OF_ADDRESS = re.compile("SSL|sslmode|certificate|invalid|no password supplied|pgbouncer|no such")
DRIVERS = {"sqlite": ("", "pysqlite"), "postgresql": ("psycopg2", "psycopg")}
LEASES = sqlalchemy.Table(
    "sweep_lease",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("sweep", sqlalchemy.String(512), primary_key=True),
    sqlalchemy.Column("owner_id", sqlalchemy.String(64)),
    sqlalchemy.Column("owner", sqlalchemy.Text),
    sqlalchemy.Column("generation", sqlalchemy.Integer),
    sqlalchemy.Column("expires", sqlalchemy.Double),
    sqlalchemy.Column("stop", sqlalchemy.Integer),
)
CLOCK = {"sqlite": "((julianday('now') - 2440587.5) * 86400.0)", "postgresql": "extract(epoch from clock_timestamp())"}


def engine(url: str) -> sqlalchemy.Engine:
    """Return an engine for the study's database that waits for locks as long as Optuna's engine does."""
    return sqlalchemy.create_engine(spelled_out(url), **engine_options(url))


def spelled_out(url: str) -> str:
    """Return an address that names its driver: SQLAlchemy's default for PostgreSQL differs between its versions."""
    scheme, mark, rest = url.partition("://")
    return f"postgresql+psycopg2{mark}{rest}" if scheme == "postgresql" else url


def engine_options(url: str) -> dict[str, Any]:
    """Return the engine options that both connections to a study's database share.

    Raises:
        BadInput: it is no address, its kind of database is not offered, or its driver is not installed.
    """
    if wrong := address_fault(url):
        raise BadInput(wrong)
    if file_of(url):
        return {"connect_args": {"timeout": 90}}
    # A lost connection must be noticed while the lease still lasts, not after TCP's quarter of an hour.
    alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10, **alive}}


def readable(url: str) -> str:
    """Return the address to read a database at, even without write access: of a copy, if need be."""
    parts = sqlalchemy.make_url(spelled_out(url))
    if parts.get_backend_name() != "sqlite" or not parts.database:
        return url
    found = disk.readable(Path(parts.database))
    return url if str(found) == parts.database else f"sqlite:///{found}"


def address_fault(url: str) -> Fault | None:
    """Return the fault of an address that can't be a study's database, without any secret in it; else None."""
    parts = None
    with suppress(sqlalchemy.exc.ArgumentError, ValueError):  # ValueError if the port is no number
        parts = sqlalchemy.make_url(spelled_out(url))
    if parts is None or (parts.port or 0) > 65535 or any("\ud800" <= c <= "\udfff" for c in url):
        return fault("no-database-address", FIELD)
    if "@" in (parts.host or ""):
        return fault("address-with-two-ats", FIELD)
    name, _, driver = parts.drivername.partition("+")
    if name not in CLOCK or driver not in DRIVERS[name]:
        if name in ("mysql", "mariadb", "mssql", "oracle", "postgres"):
            return fault("database-kind-not-offered", FIELD, kind=name)
        return fault("database-driver-not-offered", FIELD)
    if name == "postgresql" and importlib.util.find_spec(driver) is None:
        return fault("postgresql-driver-missing", FIELD)
    return _file_fault(url, parts) if name == "sqlite" else None


def _file_fault(url: str, parts: sqlalchemy.URL) -> Fault | None:
    if parts.host or parts.database in (None, "", ":memory:") or str(parts.database).startswith("file:"):
        return fault("database-address-without-file", FIELD)
    if parts.query.keys() - {"timeout", "isolation_level", "check_same_thread"} or (not parts.query and "?" in url):
        return fault("database-address-unknown-option", FIELD)
    return None


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite address, as SQLAlchemy reads it; None if the database is no file."""
    parts = sqlalchemy.make_url(url)
    return Path(parts.database) if parts.get_backend_name() == "sqlite" and parts.database else None


def is_missing(url: str) -> bool:
    """Return whether an address names a SQLite file that does not exist; opening it would create it."""
    return (file := file_of(url)) is not None and not file.exists()


def unopened(error: BaseException | None) -> BadInput:
    """Return the error of a database that can't be opened, without SQLAlchemy's text, which may hold a password."""
    if str(getattr(getattr(error, "orig", None), "sqlite_errorname", "")).startswith("SQLITE_READONLY"):
        return refused("study-database-readonly", FIELD, why=driver_text(error))
    code = "study-disk-full" if is_full(error) else "study-database-unopened"
    return refused("study-server-unreached" if _is_unreached(error) else code, FIELD, why=driver_text(error))


def is_full(error: BaseException | None) -> bool:
    """Return whether a database has no room: its file's disk, its user's share of it, or its server's disk."""
    driver = getattr(error, "orig", None)
    state = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", "")  # of psycopg, of psycopg2
    return getattr(driver, "sqlite_errorname", "") == "SQLITE_FULL" or state == "53100"


def _is_unreached(error: BaseException | None) -> bool:
    """Return whether a server is away, or takes nobody now; not whether it answers and refuses this user."""
    driver = getattr(error, "orig", None)
    of_file = type(driver).__module__.startswith("sqlite3")
    if not isinstance(error, sqlalchemy.exc.OperationalError) or of_file or is_full(error):
        return False
    said = str(driver)
    return bool(_FOR_NOW.search(said)) if "FATAL" in said else not _OF_ADDRESS.search(said)


def driver_text(error: BaseException | None) -> str:
    """Return what the database's own driver said, in one line."""
    return (str(getattr(error, "orig", "")).splitlines() or [type(error).__name__])[0]


def create(database: sqlalchemy.Engine) -> None:
    """Create the table of leases if it is missing."""
    statement = CreateTable(LEASES, if_not_exists=True)
    try:
        with database.begin() as connection:
            connection.execute(statement)
    except sqlalchemy.exc.IntegrityError:
        # PostgreSQL's IF NOT EXISTS does not see a table that another driver creates at this moment.
        with database.begin() as connection:
            connection.execute(statement)

"""Ask a store, before anything is started, whether it will take a sweep's records.

A store that refuses, or is no MLflow, would take nothing however long a driver tried: that is bad input. A store that
does not answer may answer later.
"""

import json
import re
import sqlite3
import ssl
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from http.client import BadStatusLine, RemoteDisconnected
from pathlib import Path
from typing import Any

from dashboards.config import SERVERS, address_fault
from dashboards.tracking import private_patches, runs, store
from lstm.records.errors import BadInput, refused

_EXPERIMENT = "/api/2.0/mlflow/experiments/get-by-name"
_MODELS = "/api/2.0/mlflow/logged-models/search"  # listing and fetching artifacts asks for these, from MLflow 3.0 on
_LOCKED_S = 5.0  # waits for another writer of the file
_BUSY = {408, 425, 429}  # in addition to 5xx
_NEVER = {501, 505}  # a server that does not know such calls
# What PostgreSQL says of a connection that it will never take; its driver has no code for it.
_NO_CONNECTION = {
    r"password|authentication failed|role .* does not exist|not permitted to log in|no pg_hba.conf entry": (
        "mlflow-database-login-refused"
    ),
    r"database .* does not exist": "mlflow-database-missing",
    r"permission denied|not currently accepting connections": "mlflow-database-no-connection",
    r"SSL": "mlflow-database-encryption",
    r"invalid (connection option|dsn|port)": "mlflow-database-unknown-option",
}


def ask(uri: str, whose: str = "tracking.uri") -> str | None:
    """Return why a store does not answer now, in a few words; None if it is ready. Writes nothing.

    Args:
        uri: The store's address.
        whose: The field of the address; if the field has a place, the place and a colon come before it.

    Raises:
        BadInput: it never will: it is no address, it refuses the user, or it is no MLflow that takes records. No fault
            contains any part of the address.
    """
    try:
        if wrong := address_fault(uri):
            raise BadInput(wrong)
        if uri.startswith(SERVERS):
            return _ask_server(uri)
        return (
            _ask_file(Path(uri.partition(":///")[2].partition("?")[0]))
            if uri.startswith("sqlite")
            else _ask_database(uri)
        )
    except BadInput as no:
        place, _, field = whose.rpartition(": ")
        raise BadInput(*(replace(each, path=field, place=place) for each in no.faults)) from None


# --- a server


def _ask_server(uri: str) -> str | None:
    if not store.may_ask():
        return None
    try:
        answer = store.request(uri, "GET", _EXPERIMENT, params={"experiment_name": runs.SWEEPS})
        if away := _weigh(answer):
            return away
        if not _is_mlflow(answer):
            raise refused("no-mlflow-server")
        answer = store.request(uri, "POST", _MODELS, json={"experiment_ids": ["0"], "max_results": 1})
    except BadInput:
        raise
    except Exception as error:  # a library of HTTP raises errors of many classes
        if not store.is_outage(error):
            raise
        _look_behind(error)
        return store.cause(error)
    if answer.status_code in (404, 405) and _code(answer) != "RESOURCE_DOES_NOT_EXIST":
        raise refused("mlflow-server-too-old")
    return _weigh(answer)


def _weigh(answer: Any) -> str | None:
    """Return why a server could not answer now; None if it did.

    Raises:
        BadInput: it refuses.
    """
    status = answer.status_code
    if status == 401:
        raise refused("mlflow-login-refused")
    if status == 403 and "Invalid Host header" in answer.text:
        raise refused("mlflow-host-refused")
    if status == 403:
        raise refused("mlflow-no-permission")
    if status in _BUSY or (status >= 500 and status not in _NEVER):
        return f"error {status}"
    return None


def _is_mlflow(answer: Any) -> bool:
    """Return whether the server found an experiment, or says in MLflow's way that there is none."""
    if answer.status_code != 200:
        return bool(_code(answer) == "RESOURCE_DOES_NOT_EXIST")
    found = _document(answer).get("experiment")
    return isinstance(found, dict) and found.get("name") == runs.SWEEPS


def _code(answer: Any) -> Any:
    return _document(answer).get("error_code")


def _document(answer: Any) -> dict[str, Any]:
    try:
        found = json.loads(answer.text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _look_behind(error: Exception) -> None:
    """Raise if the cause of a broken connection will not pass.

    Raises:
        BadInput: the certificate is not trusted, the server has no HTTPS, or it is no MLflow.
    """
    for each in store.causes(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            raise refused("mlflow-certificate-untrusted")
        if isinstance(each, ssl.SSLError) and each.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            raise refused("mlflow-server-without-https")
        if isinstance(each, BadStatusLine) and not isinstance(each, RemoteDisconnected):
            raise refused("no-mlflow-server")
        if type(each).__name__ in ("TooManyRedirects", "InvalidURL", "InvalidHeader", "LocationParseError"):
            raise refused("no-mlflow-server")


# --- a database


def _ask_file(path: Path) -> str | None:
    if not path.absolute().parent.is_dir():
        raise refused("mlflow-folder-missing")
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_LOCKED_S)) as database:
            names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            marked = "alembic_version" in names
            versions = [v for (v,) in database.execute("SELECT version_num FROM alembic_version")] if marked else []
    except sqlite3.OperationalError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_CANTOPEN"):
            raise refused("mlflow-file-unopened") from None
        return store.cause(error)
    except sqlite3.DatabaseError:
        raise refused("mlflow-file-foreign") from None
    _check_versions(versions)
    return None


def _ask_database(uri: str) -> str | None:
    engine = store.database(uri)
    try:
        with engine.connect() as connection:
            marked, made, may_make = connection.exec_driver_sql(
                "SELECT to_regclass('alembic_version') IS NOT NULL, to_regclass('experiments') IS NOT NULL, "
                "has_schema_privilege(current_schema(), 'CREATE')"
            ).one()
            may_write = "SELECT has_table_privilege(to_regclass('experiments'), 'INSERT')"
            allowed = connection.exec_driver_sql(may_write).scalar() if made else may_make
            versions = "SELECT version_num FROM alembic_version"
            known = connection.exec_driver_sql(versions).scalars().all() if marked and allowed else []
    except Exception as error:
        said = " ".join(str(getattr(each, "orig", "")) for each in store.causes(error))
        if not said.strip():
            raise
        for pattern, code in _NO_CONNECTION.items():
            if re.search(pattern, said):
                raise refused(code) from None
        return store.cause(error)
    finally:
        engine.dispose()
    if not allowed:
        raise refused("mlflow-database-no-writing")
    _check_versions(known)
    return None


def _check_versions(versions: Iterable[str]) -> None:
    """Check that the installed MLflow knows tables of these versions, without importing it.

    Raises:
        BadInput: it does not.
    """
    known = private_patches.known_schemas()
    if known and not known.issuperset(versions):
        raise refused("mlflow-database-newer")

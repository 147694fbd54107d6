"""The section `tracking` of a spec: the addresses of MLflow and of a webhook; and checks that they can be such."""

import importlib.util
import re
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field

from lstm.config.section import Section, Since
from lstm.records.errors import Fault, fault

Checkpoints = Literal["best", "all", "none"]
Form = Literal["json", "slack", "ntfy"]

SERVERS = ("http://", "https://")
FIELD = "tracking.uri"  # the spec's field of the address
NOTIFY = "tracking.notify"  # the spec's field of a webhook's address
_OPTIONS = {"timeout", "isolation_level", "check_same_thread"}  # options of Python's SQLite driver
# An address as SQLAlchemy reads it: user and password, host, port, database, options.
_DATABASE = re.compile(r"([^:/]*(:[^@]*)?@)?(\[[^/?]+\]|[^/:?@]*)(:(?P<port>[0-9]+))?(/[^?]*)?(\?.*)?", re.DOTALL)


class TrackingConfig(Section):
    """How runs are recorded in MLflow."""

    uri: str | None = Field(
        None,
        min_length=1,
        description="MLflow's tracking URI: a server (http://HOST:5000), sqlite:///FILE or "
        "postgresql://USER:PASSWORD@HOST/NAME. Absent: a SQLite file in the home folder. Set it to share runs with a "
        "team.",
    )
    checkpoints: Checkpoints = Field(
        "best",
        description="Which trials' checkpoints are copied into MLflow as artifacts: the best trial's, all or "
        "none. Every run has its checkpoint's address as a tag.",
    )
    notify: Annotated[str | None, Since("2026-11-30")] = Field(
        None,
        min_length=1,
        description="Webhook (http:// or https://) that is told when a run of the sweep, a training alone or a "
        "refit has ended, failed or was interrupted, and of each new best trial. Write ${NAME} if the address holds a "
        "secret. Absent: nobody is told.",
    )
    notify_form: Annotated[Form, Since("2026-11-30")] = Field(
        "json",
        description="What the webhook understands. json: all fields, for a server of your own. slack: a text, for "
        "Slack's incoming webhooks and those that take the same, such as Mattermost's. ntfy: title and message, for "
        "https://ntfy.sh/TOPIC or an ntfy server of your own.",
    )
    system_metrics: Annotated[bool, Since("2026-11-30")] = Field(
        True,
        description="Whether each epoch has the use of its worker's machine as well: processors, memory and GPU, "
        "which MLflow shows under System metrics.",
    )


def address_fault(uri: str) -> Fault | None:
    """Return the fault of an address that can't be an MLflow store, without any part of it; else None."""
    scheme, _, rest = uri.partition("://")
    kind, _, driver = scheme.partition("+")
    if any("\ud800" <= c <= "\udfff" if kind == "sqlite" else c == " " or not c.isprintable() for c in uri):
        return fault("mlflow-address-blank", FIELD)
    if scheme in ("http", "https"):
        return _server_fault(uri)
    if kind == "sqlite" and driver in ("", "pysqlite") and "://" in uri:
        return _file_fault(rest)
    if kind in ("postgres", "postgresql") and driver in ("", "psycopg2", "psycopg") and "://" in uri:
        return _postgresql_fault(rest, driver or "psycopg2")
    if kind in ("mysql", "mssql") and "://" in uri:
        return fault("mlflow-database-not-offered", FIELD, kind=kind)
    return fault("no-mlflow-address", FIELD)


def _file_fault(rest: str) -> Fault | None:
    path, mark, options = rest.partition("?")
    if not path.startswith("/"):
        return fault("mlflow-file-without-slashes", FIELD)
    if path[1:] in ("", ":memory:") or path[1:].startswith("file:"):
        return fault("database-address-without-file", FIELD)
    if mark and not {part.partition("=")[0] for part in options.split("&")} <= _OPTIONS:
        return fault("mlflow-address-unknown-option", FIELD)
    if unquote(path) != path:  # MLflow makes the folder of the written path, but the file of the decoded one
        return fault("mlflow-address-percent", FIELD)
    return None


def webhook_fault(url: str, form: Form) -> Fault | None:
    """Return the fault of an address that can't be a webhook, without any part of it; else None."""
    if not url.isascii() or any(c == " " or not c.isprintable() for c in url):
        return fault("webhook-blank", NOTIFY)
    if not url.startswith(SERVERS) or not _host(url):
        return fault("no-webhook", NOTIFY)
    if form == "ntfy" and not urlsplit(url).path.strip("/"):
        return fault("webhook-without-topic", NOTIFY)
    return None


def _host(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:  # a port that is no number, or a bracket that is not closed
        return None
    return host


def _server_fault(uri: str) -> Fault | None:
    if not _host(uri):
        return fault("no-server-address", FIELD)
    if "?" in uri or "#" in uri:
        return fault("address-of-a-page", FIELD)
    return None


def _postgresql_fault(rest: str, driver: str) -> Fault | None:
    found = _DATABASE.fullmatch(rest)
    if found is None and rest.count("@") > 1:
        return fault("address-with-two-ats", FIELD)
    if found is None or int(found["port"] or 0) > 65535:
        return fault("no-database-address", FIELD)
    if importlib.util.find_spec(driver) is None:
        return fault("postgresql-driver-missing", FIELD)
    return None

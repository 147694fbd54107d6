"""optuna-dashboard's pages of a study's database, which can only be read.

The dashboard can rename and delete studies and change trials, and has no option against that. So two guards stand
between its pages and the database, each enough by itself: every request but GET and HEAD is refused, and the database
is opened for reading only.
"""

import functools
import importlib.util
import io
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, TextIO
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import sqlalchemy
from optuna.storages import RDBStorage

from cluster.study.database import engine_options, readable, spelled_out
from lstm.records.errors import refused

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

READING = ("GET", "HEAD")
# A page of another site may have its own name lead here and then read what we answer: we answer to these names only.
HOSTS = ("127.0.0.1", "localhost", "[::1]")


def check_installed() -> None:
    """Check that optuna-dashboard is installed.

    Raises:
        BadInput: it is not.
    """
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise refused("optuna-dashboard-missing", at="--optuna")


def page_of(url: str, name: str) -> str:
    """Return the path of the page of a sweep, which has a study."""
    return f"/dashboard/studies/{reading(url).get_study_id_from_name(name)}"


def serve(url: str, listener: socket.socket) -> WSGIServer:
    """Return a server of the pages at a socket that listens; its `serve_forever` answers until it is shut down.

    Args:
        url: The database, which has Optuna's tables.
        listener: The socket, on this machine's own address.
    """
    from optuna_dashboard import wsgi

    server = _Server(listener.getsockname()[:2], _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_name, server.server_port = listener.getsockname()[:2]
    server.setup_environ()
    server.set_app(guarded(wsgi(reading(url))))
    return server


def reading(url: str) -> RDBStorage:
    """Return Optuna's storage on a database that exists, over connections that can only read."""
    url = readable(url)
    parts, options = sqlalchemy.make_url(spelled_out(url)), engine_options(url)
    if parts.get_backend_name() == "sqlite":
        path = quote(str(Path(str(parts.database)).absolute()))
        url = f"sqlite:///file:{path}?mode=ro&uri=true"
    else:
        url = parts.render_as_string(hide_password=False)
        own = parts.query.get("options", "")  # such as a schema; a list if it is given more than once
        more = "-c default_transaction_read_only=on"  # after them: the last of equals holds
        options["connect_args"] |= {"options": " ".join([*((own,) if isinstance(own, str) else own), more]).strip()}
    url = url.replace("{", "{{").replace("}", "}}")  # Optuna passes the address to `str.format`
    return RDBStorage(url, engine_kwargs=options, skip_compatibility_check=True, skip_table_creation=True)


def guarded(app: App) -> App:
    """Return an application that hands on what reads, from a page of this machine, and refuses all else."""

    @functools.wraps(app)
    def guard(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if re.sub(r":[0-9]*$", "", str(environ.get("HTTP_HOST", "")).lower()) not in HOSTS:
            return _refuse(start_response, "403 Forbidden", "This name of the host is not known here.")
        if environ.get("REQUEST_METHOD") not in READING:
            return _refuse(start_response, "405 Method Not Allowed", "This page can only be read.")
        return app(environ, start_response)

    return guard


def _refuse(start_response: Callable[..., Any], status: str, why: str) -> Iterable[bytes]:
    body = f'{{"reason": "{why}"}}'.encode()  # the dashboard's own form of an error
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(status, [*headers, ("Allow", ", ".join(READING))])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False  # a browser may leave a connection open

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a connection that broke: browsers break many."""


class _Handler(WSGIRequestHandler):
    timeout = 60  # seconds for a request to come

    def get_stderr(self) -> TextIO:
        """Return where tracebacks go: nowhere, since the terminal is the user's."""
        return io.StringIO()

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""

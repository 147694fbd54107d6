"""`sweep ui`: start MLflow's own pages on the store of a sweep or of the home."""

import atexit
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.study.database import is_missing
from dashboards.tracking import runs
from dashboards.tracking.preflight import ask
from experiments import lookup
from experiments.home import Home
from experiments.terminal import streams
from experiments.terminal.output import emit, print_note
from lstm.messages.message import note
from lstm.records.errors import refused

if TYPE_CHECKING:
    from dashboards.tracking.server import Server


def main(*, home: str, named: str | None, port: int | None, as_json: bool) -> int:
    """Start MLflow's server if the store is local, print the address, stay until Ctrl-C. Returns 1 if that failed."""
    from dashboards.tracking import relocate, server

    where = Home.at(home)
    found = lookup.sweep(named, where, print_note) if named else None
    uri = found.tracking_uri if found else where.tracking_uri
    local = uri == where.tracking_uri
    if local and (lost := runs.missing_file(uri)) is not None:
        code = "home-is-empty" if is_missing(where.study_url) else "mlflow-store-missing"
        raise refused(code, at=f"--home {where.folder}", sweep=found.name if found else "NAME", file=lost)
    if not local:
        ask(uri, f"{found.name}: tracking.uri" if found else "tracking.uri")  # an outage is reported below
    log, to_look = _log(where)
    if local and not to_look and (places := where.moved_from()):
        where.keep_former_places()
        relocate.rewrite(where.database, places, where.folder)  # else the pages would link to the former folder
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the server ends with its parent
    try:
        running = server.serve(runs.readable(uri), where.artifacts if local else None, port, log)
    except server.ServerFailed as error:
        print(str(error), file=sys.stderr)
        return 1
    if to_look:
        atexit.register(shutil.rmtree, log.parent, ignore_errors=True)
    try:
        address = runs.without_password(running.address)
        try:
            address = _page(uri, found, address, as_json=as_json)
        except Exception as error:  # its message may contain the address, and with it a password
            if not runs.is_outage(error):
                raise
            print(f"{address}: MLflow does not answer ({runs.cause(error)})", file=sys.stderr)
            return 1
        _tell(address, running, as_json=as_json)
        if streams.fault():
            return 1  # the address could not be printed
        running.wait()
    except server.ServerFailed as error:
        print(str(error), file=sys.stderr)
        return 1
    finally:
        running.stop()
    return 0


def _page(uri: str, found: lookup.Found | None, server: str, *, as_json: bool) -> str:
    """Return the address of a sweep's page, or of all sweeps'; a program that names no sweep asks the server itself."""
    if found:
        return runs.find_chart(uri, found.name, lookup.study_id(found), server) or server
    return server if as_json else runs.find_sweeps(uri, server) or server


def _log(home: Home) -> tuple[Path, bool]:
    """Return the path of the server's log, and whether the home is read-only for this user."""
    log = home.folder / "ui.log"
    to_look = home.folder.exists() and not os.access(log if log.exists() else log.parent, os.W_OK)
    if to_look:
        log = Path(tempfile.mkdtemp(prefix="lstm-sweeps-ui-")) / "ui.log"
        print_note(note("nothing-is-written-here", at=home.folder))
    return log, to_look


def _tell(address: str, running: "Server", *, as_json: bool) -> None:
    if as_json:
        emit({"address": address})
        return
    print(address)
    if running.process:
        port = running.address.rpartition(":")[2]
        print(
            "This page is for this machine only; anyone who can open it can change everything. From another machine: "
            f"ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}. Ctrl-C stops it."
        )

"""`sweep ui --optuna`: start optuna-dashboard on the study of a sweep or of the home, to be read only."""

import contextlib
import signal
import socket
import sys

from cluster.study.database import is_missing
from dashboards.tracking import server
from experiments import lookup
from experiments.home import Home
from experiments.terminal import streams
from experiments.terminal.output import emit, print_note
from lstm.records.errors import refused


def main(*, home: str, named: str | None, port: int | None, as_json: bool) -> int:
    """Start the server, print the address, stay until Ctrl-C."""
    from cluster.study.dashboard import pages

    where = Home.at(home)
    found = lookup.sweep(named, where, print_note) if named else None
    pages.check_installed()
    url = found.study_url if found else where.study_url
    if found:
        lookup.read(found)
    elif is_missing(url):
        raise refused("home-is-empty", at=f"--home {where.folder}")
    path = pages.page_of(url, found.name) if found else "/dashboard"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with server.listen(port) as listener:
        serving = pages.serve(url, listener)
        chosen = listener.getsockname()[1]
        _tell(f"http://127.0.0.1:{chosen}{path}", chosen, as_json=as_json)
        if streams.fault():
            return 1  # the address could not be printed
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve_forever(0.2)
    return 0


def _tell(address: str, port: int, *, as_json: bool) -> None:
    if as_json:
        emit({"address": address})
        return
    print(address)
    print(
        "This page can only be read: what its buttons would change is refused. It is for this machine only. From "
        f"another machine: ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}. Ctrl-C stops it.",
        flush=True,
    )

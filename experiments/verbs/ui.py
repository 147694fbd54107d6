"""`sweep ui`: MLflow's own pages on the right store."""

import signal
import sys
from pathlib import Path

from experiments import find
from experiments.cli import emit
from experiments.plan import Home, without_password
from lstm.records import BadInput


def main(*, home: str, named: str | None, port: int | None, as_json: bool) -> int:
    """Starts MLflow's server where the store is a local one, prints the address, and stays until Ctrl-C."""
    from dashboards import runs, server

    where = Home.at(home)
    found = find.sweep(named, where) if named else None
    uri = found.tracking_uri if found else where.tracking_uri
    local = uri == where.tracking_uri
    if local and not Path(uri.removeprefix("sqlite:///")).exists():
        raise BadInput(f"--home {where.folder}: nothing is recorded here yet; `sweep run` a spec first")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the server ends with its parent
    try:
        running = server.serve(uri, where.artifacts if local else None, port, where.folder / "ui.log")
    except server.ServerFailed as error:
        print(str(error), file=sys.stderr)
        return 1
    try:
        address = without_password(running.address)
        address = (runs.find_chart(uri, found.name, address) if found else None) or address
        if as_json:
            emit({"address": address})
        else:
            print(address)
            if running.process:
                print("This page is for this machine alone; from another: ssh -L (see README). Ctrl-C ends it.")
        sys.stdout.flush()
        running.wait()
    finally:
        running.stop()
    return 0

"""`sweep ui`: MLflow's own pages on the right store."""

from pathlib import Path

from experiments import find
from experiments.cli import emit
from experiments.plan import Home
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
    try:
        running = server.serve(uri, where.artifacts if local else None, port, where.folder / "ui.log")
    except server.ServerFailed as error:
        print(str(error))
        return 1
    try:
        chart = runs.find_chart(uri, found.name, running.address) if found else None
        if as_json:
            emit({"address": chart or running.address})
        else:
            print(f"{chart or running.address}", flush=True)
            if running.process:
                print("This page is for this machine alone; from another: ssh -L (see README). Ctrl-C ends it.")
        running.wait()
    finally:
        running.stop()
    return 0

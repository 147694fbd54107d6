"""`sweep stop`: ask a sweep's driver to end, on whichever host it runs, and wait until it has ended."""

import time

from experiments import lookup
from experiments.home import Home
from experiments.terminal.output import emit, print_note

WAIT_S = 60.0


def main(*, home: str, named: str, as_json: bool) -> int:
    """Stop the driver. Returns the exit code: 1 if the driver did not end in time."""
    from cluster.study import lease

    found = lookup.sweep(named, Home.at(home), print_note)
    lookup.read(found)
    held = lease.driver(found.study_url, found.name)
    if held is None:
        return _say(found.name, "no driver is running", 0, as_json=as_json)
    lease.request_stop(found.study_url, found.name)
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        now = lease.driver(found.study_url, found.name)
        if now is None or now.generation != held.generation:
            return _say(found.name, f"stopped; {found.command('run')} resumes the sweep", 0, as_json=as_json)
        time.sleep(0.2)
    return _say(found.name, f"{held.owner} was asked to end and has not within {WAIT_S:.0f} s", 1, as_json=as_json)


def _say(name: str, text: str, code: int, *, as_json: bool) -> int:
    if as_json:
        emit({"sweep": name, "message": text, "stopped": code == 0})
    else:
        print(f"{name}: {text}")
    return code

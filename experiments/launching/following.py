"""Follows a launched sweep from where it was launched: its job's state, its log, its end."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cluster.launch import record
from cluster.launch.record import Launched
from cluster.launch.system import SYSTEMS, State, system
from experiments import lookup
from experiments.home import Home
from lstm.messages.message import Say
from lstm.records.errors import BadInput, refused
from lstm.records.sweep import LAUNCHED

LOG = "sweep.log"  # in a sweep's folder: what its driver has written


def name_of(named: str, home: Home, say: Say) -> str:
    """Return the name of the sweep of a NAME or a SPEC; a sweep that was launched need not have begun.

    Raises:
        BadInput: there is no such sweep, or the spec is wrong.
    """
    if "/" not in named and os.path.isfile(home.sweep(named) / record.FILE):  # noqa: PTH113 # a name may be too long
        return named
    return lookup.sweep(named, home, say).name


def job_of(name: str, home: Home, facts: Mapping[str, Any] | None = None) -> Launched | None:
    """Return a sweep's last job: as launched from this home, else as its study remembers it; None if there is none."""
    if found := record.read(home.sweep(name)):
        return found
    known = (facts or {}).get(LAUNCHED)
    return Launched(known["system"], known["job"], name, at=0.0) if known else None


def state_of(job: Launched) -> State:
    """Return what the system says of a job."""
    if job.system not in SYSTEMS:
        return State("unknown", reason=f"this version does not know {job.system}")
    return system(job.system).state(job)


def stop(job: Launched) -> None:
    """Ask the system to end a job.

    Raises:
        BadInput: the system refuses.
    """
    system(job.system).stop(job)


def row(job: Launched, state: State) -> dict[str, Any]:
    """Return a job and its state as plain data."""
    told = {name: value for name, value in asdict(state).items() if name != "asked"}
    return {"system": job.system, "job": job.job, "host": job.host, **told}


def lines(name: str, home: Home) -> Iterator[str]:
    """Yield the lines that a launched sweep has written so far; of another, the lines of the log in its home.

    Raises:
        BadInput: there is no log.
    """
    own = home.sweep(name) / LOG
    job = record.read(home.sweep(name))
    if job is not None:
        try:
            yield from system(job.system).logs(job)
            return
        except BadInput:
            if not own.is_file():
                raise
    if not own.is_file():
        raise refused("no-log-yet", at=own, job=None)
    yield from _of_file(own)


def _of_file(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for each in file:
            yield each.rstrip("\n")

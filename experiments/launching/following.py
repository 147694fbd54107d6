"""Follows a launched sweep from where it was launched: its job's state, its log, its end."""

import os
import time
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
from lstm.storage import files

ENDS_S = 60.0  # for a job to end after its driver
LOG = "sweep.log"  # in a sweep's folder: what its driver has written


def name_of(named: str, home: Home, say: Say) -> str:
    """Return the name of the sweep of a NAME or a SPEC; a sweep that was launched need not have begun.

    Raises:
        BadInput: there is no such sweep, or the spec is wrong.
    """
    kept = (home.sweep(named) / each for each in (record.FILE, record.INTENT))
    if "/" not in named and any(map(os.path.isfile, kept)):  # Path.is_file raises if a name is too long
        return named
    return lookup.sweep(named, home, say).name


def job_of(name: str, home: Home, facts: Mapping[str, Any] | None = None) -> Launched | None:
    """Return a sweep's last job: as launched from this home, else as its study remembers it; None if there is none.

    A launch that was cut off is looked for in its system; if that can't be asked, its intent is returned.
    """
    if found := _cut_off(home.sweep(name)) or record.read(home.sweep(name)):
        return found
    known = (facts or {}).get(LAUNCHED)
    return Launched(known["system"], known["job"], name, at=0.0) if known else None


def _cut_off(folder: Path) -> Launched | None:
    intent = record.intended(folder)
    if intent is None or intent.system not in SYSTEMS:
        return intent
    try:
        return system(intent.system).find(intent)
    except BadInput:
        return intent


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


def is_kept(name: str, home: Home, job: Launched) -> bool:
    """Return whether this home keeps a job of a sweep, or the intent of one. Else only the study names the job."""
    folder = home.sweep(name)
    return any(each is not None and each.text == job.text for each in (record.intended(folder), record.read(folder)))


def forget(name: str, home: Home, job: Launched) -> bool:
    """Forget a job of a sweep; return whether it was known from this home."""
    return record.drop(home.sweep(name), job)


def ends(job: Launched, restarts: int) -> bool:
    """Wait until the job of a driver that was stopped has ended; end one that does not, or that starts again.

    Args:
        job: The job.
        restarts: How many times it had been started again before the driver was stopped.

    Returns:
        Whether the job has ended by itself, as far as its system can be asked.
    """
    end = time.monotonic() + ENDS_S
    while (state := state_of(job)).lives and state.is_known:
        if state.phase == "waiting" or state.restarts > restarts or time.monotonic() > end:
            stop(job)
            return False
        time.sleep(0.5)  # a system can only be polled
    return True


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
    job = _cut_off(home.sweep(name)) or record.read(home.sweep(name))
    if job is not None:
        try:
            yield from system(job.system).logs(job)
            return
        except BadInput:
            if not own.is_file():
                raise
    if not own.is_file():
        raise refused("no-log-yet", at=own, job=None)
    yield from files.lines(own)

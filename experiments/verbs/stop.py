"""`sweep stop`: ask a sweep's driver to end, on whichever host it runs, and wait until it has ended.

A launched sweep without a driver, one that waits for its nodes, is ended by its system. So is a job that its system
starts again, as after a preemption at that very moment. The study remembers the stop for the job's next driver.
A job whose system can't be asked any more may be forgotten.
"""

import time
from typing import TYPE_CHECKING

from experiments import lookup
from experiments.home import Home
from experiments.launching import following
from experiments.terminal.output import emit, print_note
from lstm.records.errors import BadInput, refused, why_of

if TYPE_CHECKING:
    from cluster.launch.record import Launched

WAIT_S = 60.0


def main(*, home: str, named: str, forget: bool, as_json: bool) -> int:
    """Stop the driver, or the job. Returns the exit code: 1 if the driver did not end in time."""
    from cluster.study import lease

    where = Home.at(home)
    try:
        found = lookup.sweep(named, where, print_note)
        swept = lookup.read(found)
        held = lease.driver(found.study_url, found.name)
    except BadInput:
        name = following.name_of(named, where, print_note)
        if not (job := following.job_of(name, where)):
            raise
        return _stop_job(name, where, job, forget=forget, as_json=as_json)
    if held is None:
        job = following.job_of(found.name, where, swept.facts)
        if job and following.state_of(job).lives:
            return _stop_job(found.name, where, job, forget=forget, as_json=as_json)
        return _say(found.name, "no driver is running", 0, as_json=as_json)
    job = following.job_of(found.name, where, swept.facts)
    before = following.state_of(job).restarts if job else 0
    lease.request_stop(found.study_url, found.name)
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        now = lease.driver(found.study_url, found.name)
        if now is None or now.generation != held.generation:
            more = ""
            if job and not following.ends(job, before):
                more = f", and {job.system} was asked to end its job, which had not ended with the driver"
            return _say(found.name, f"stopped{more}; {found.command('run')} resumes the sweep", 0, as_json=as_json)
        time.sleep(0.2)
    return _say(found.name, f"{held.owner} was asked to end and has not within {WAIT_S:.0f} s", 1, as_json=as_json)


def _stop_job(name: str, home: Home, job: "Launched", *, forget: bool, as_json: bool) -> int:
    """End a job by its system; with `forget` forget the job if its system can't be asked."""
    state = following.state_of(job)
    if not state.lives:
        return _say(name, f"the {job.system} job {job.job} has ended", 0, as_json=as_json)
    try:
        following.stop(job)
    except BadInput as error:
        if state.is_known:
            raise
        why, told = why_of(error), {"system": job.system, "job": job.job, "sweep": name, "flag": home.flag}
        is_kept = following.is_kept(name, home, job)
        if not forget:
            code = "launch-out-of-reach" if is_kept else "launch-of-study-out-of-reach"
            raise refused(code, at=name, why=why, **told) from None
        text = f"forgot the {job.system} job {job.job}, which may still run: {why}"
        if not (is_kept and following.forget(name, home, job)):
            text = f"nothing is kept here of the {job.system} job {job.job}, which only the study names; "
            text += f"`sweep launch` goes on without it. It may still run: {why}"
        return _say(name, text, 0, is_stopped=False, as_json=as_json)
    return _say(name, f"{job.system} was asked to end the job {job.job}", 0, as_json=as_json)


def _say(name: str, text: str, code: int, *, is_stopped: bool = True, as_json: bool) -> int:
    if as_json:
        emit({"sweep": name, "message": text, "stopped": is_stopped and code == 0})
    else:
        print(f"{name}: {text}")
    return code

"""Submits a request to its system, once, and keeps the job's record in the sweep's folder."""

import socket
from collections.abc import Sequence
from dataclasses import replace

from cluster.launch import bring, record
from cluster.launch.bring import Upload
from cluster.launch.record import Launched
from cluster.launch.request import Request
from cluster.launch.system import system
from experiments.home import Home, user
from lstm.records.errors import BadInput, refused


def text_of(request: Request) -> str:
    """Return what would be submitted, checked.

    Raises:
        BadInput: it is wrong, or what the driver needs is not where the nodes see it.
    """
    found = system(request.system)
    text = found.render(request)
    if faults := found.check(request, text):
        raise BadInput(*faults)
    return text


def submit(request: Request, home: Home, text: str, study_url: str, uploads: Sequence[Upload] = ()) -> Launched:
    """Upload data, submit a text for a sweep, and keep its job's record.

    Raises:
        BadInput: a job of the sweep lives, a driver has the sweep, a bucket does not take the data, or the system
            refuses; nothing was submitted.
    """
    found, folder = system(request.system), home.sweep(request.name)
    with record.launching(folder):
        _refuse_second(request.name, home, study_url)
        bring.send(uploads)
        launched = found.submit(request, text)
        launched = replace(launched, host=socket.gethostname(), user=user())
        record.write(folder, launched)
    return launched


def _refuse_second(name: str, home: Home, study_url: str) -> None:
    from cluster.study import lease

    told = {"sweep": name, "flag": home.flag}
    if before := record.read(home.sweep(name)):
        state = system(before.system).state(before)
        if state.lives:
            word, reason = state.word or state.phase, state.reason or None
            job = {"system": before.system, "job": before.job, "word": word, "reason": reason}
            raise refused("launched-already", at=name, **job, **told)
    if held := lease.driver(study_url, name):
        raise refused("driven-already", at=name, owner=str(held.owner), **told)

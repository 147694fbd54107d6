"""Submits a request to its system, once, and keeps the job's record in the sweep's folder."""

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster.launch import bring, record
from cluster.launch.bring import Upload
from cluster.launch.record import Launched
from cluster.launch.request import Request
from cluster.launch.system import System, system
from cluster.launch.tool import Unsent
from experiments.home import Home, user
from experiments.launching import following
from experiments.launching.profiles import has_profile
from experiments.launching.requests import Ready
from lstm.messages.message import note
from lstm.records.errors import BadInput, refused, why_of


def text_of(request: Request) -> str:
    """Return what would be submitted, checked.

    Raises:
        BadInput: it is wrong, or what the driver needs is not where the nodes see it.
    """
    found = system(request.system)
    text = found.render(request)
    if faults := [*request.faults, *found.check(request, text)]:
        raise BadInput(*faults)
    return text


def looked_at(ready: Ready, profile: str | None) -> Ready:
    """Return what is ready, checked as `launch` checks it; where there is no profile yet, what is wrong is noted.

    Raises:
        BadInput: `launch` would refuse it.
    """
    try:
        text_of(ready.request)
    except BadInput as error:
        if has_profile(profile):
            raise
        told = (note("launch-will-refuse", why=why_of(BadInput(each)), mend=each.mend) for each in error.faults)
        return replace(ready, notes=(*ready.notes, *told))
    return ready


def submit(request: Request, home: Home, text: str, study_url: str | None, uploads: Sequence[Upload] = ()) -> Launched:
    """Upload data, submit a text for a sweep, and keep its job's record.

    Without a `study_url` the study is not asked for a driver: the driver there asks it.

    Raises:
        BadInput: a job of the sweep lives, a driver has the sweep, a bucket does not take the data, or the system
            refuses; nothing was submitted.
    """
    found, folder = system(request.system), home.sweep(request.name)
    with record.launching(folder):
        _refuse_second(request.name, home, study_url)
        bring.send(uploads)
        intent = replace(found.intend(request), host=socket.gethostname(), user=user())
        record.intend(folder, intent)
        launched = _submit(found, request, text, intent, folder)
        record.write(folder, launched)
    return launched


def _submit(found: System, request: Request, text: str, intent: Launched, folder: Path) -> Launched:
    """Submit a text; a system that has refused it, or has not answered, is asked whether there is a job all the same.

    If that can't be known, the intent stays, and the next launch asks again.
    """
    try:
        return found.submit(request, text, intent)
    except Unsent:
        record.forget(folder)
        raise
    except BadInput as error:
        try:
            made = found.find(intent)
        except BadInput:
            raise error from None
        if made is None:
            record.forget(folder)
            raise
        return made


def _refuse_second(name: str, home: Home, study_url: str | None) -> None:
    from cluster.study import lease

    told = {"sweep": name, "flag": home.flag}
    if before := _before(name, home):
        state, job = following.state_of(before), {"system": before.system, "job": before.job}
        if not state.is_known:
            raise refused("launched-unknown", at=name, why=state.reason, **job, **told)
        if state.lives:
            word, reason = state.word or state.phase, state.reason or None
            raise refused("launched-already", at=name, word=word, reason=reason, **job, **told)
    if study_url and (held := lease.driver(study_url, name)):
        raise refused("driven-already", at=name, owner=str(held.owner), **told)


def _before(name: str, home: Home) -> Launched | None:
    """Return the last job of a sweep, also if its launch was cut off before the job was known."""
    folder = home.sweep(name)
    if intent := record.intended(folder):
        try:
            found = system(intent.system).find(intent)
        except BadInput as error:
            told = {"system": intent.system, "why": why_of(error), "sweep": name, "flag": home.flag}
            raise refused("launch-cut-off", at=name, **told) from None
        if found:
            record.write(folder, found)
        else:
            record.forget(folder)
    return record.read(folder)

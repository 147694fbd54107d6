"""`sweep status`: show the progress of a sweep, its driver and the job that it was launched as."""

from typing import Any

from experiments import lookup
from experiments.home import Home
from experiments.launching import following
from experiments.operations.status import status
from experiments.terminal.output import emit, print_note
from lstm.messages.message import note
from lstm.records.errors import BadInput, why_of


def main(*, home: str, named: str, as_json: bool) -> None:
    """Print the status. Of a launched sweep whose study can't be read here, print what its system says."""
    where = Home.at(home)
    try:
        document, again, refit = _of_study(named, where)
    except BadInput as error:
        name = following.name_of(named, where, print_note)
        if not (job := following.job_of(name, where)):
            raise
        state = following.state_of(job)
        print_note(note("launch-answered-by", at=name, why=why_of(error), tool=state.asked or job.system))
        _print({"sweep": name, "launched": following.row(job, state)}, as_json=as_json)
        return
    if as_json:
        emit(document)
        return
    from experiments.terminal.progress import show

    show(document, again, refit)


def _of_study(named: str, home: Home) -> tuple[dict[str, Any], str, str]:
    from cluster.study import lease

    found = lookup.sweep(named, home, print_note)
    swept = lookup.read(found)
    document = status(swept)
    held = lease.driver(found.study_url, found.name)
    document["driver"] = held and {"host": held.owner.host, "pid": held.owner.pid, "generation": held.generation}
    job = following.job_of(found.name, home, swept.facts)
    document["launched"] = job and following.row(job, following.state_of(job))
    return document, found.command("run"), found.command("refit")


def _print(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(document)
    else:
        from experiments.terminal.progress import launched_line

        print(f"{document['sweep']}: {launched_line(document['launched'])}")

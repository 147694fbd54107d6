"""`sweep retry`: runs failed trials again, each as a new one in its place, then what else the sweep has left."""

from collections.abc import Iterator, Sequence

from experiments import lookup
from experiments.cli import note
from experiments.home import Home
from experiments.verbs import run
from lstm.records.errors import BadInput
from lstm.records.sweep import Sweep


def main(
    *,
    home: str,
    named: str,
    trials: Sequence[int],
    failed: bool,
    address: str | None,
    in_process: bool,
    as_json: bool,
) -> int:
    """Drives the sweep as `sweep run` does, with the retries first in its queue; the exit code."""
    from cluster.study import stored

    found = lookup.sweep(named, Home.at(home), note)
    if failed == bool(trials):
        both = "both say which trials are meant" if failed else "say which trials are meant"
        raise BadInput(f"{both}: give --failed for all that failed, or their numbers")
    sweep = stored.read(found.study_url, found.name)
    if sweep.reached(sweep.facts.get("target")):
        raise BadInput(f"{sweep.name}: has reached its target (search.stop.target), so that nothing more is run")
    if faults := list(_faults(sweep, trials)):
        raise BadInput(*faults)
    chosen = trials or _failed(sweep)
    numbers = tuple(dict.fromkeys(chosen))
    return run.main(
        home=home,
        named=named,
        address=address,
        in_process=in_process,
        overrides=(),
        as_json=as_json,
        retries=numbers,
    )


def _failed(sweep: Sweep) -> list[int]:
    """The trials that failed and may be run again, the base among them."""
    base = [sweep.base] if sweep.base and not sweep.base.counts else []
    return [trial.number for trial in (*base, *sweep.counted) if trial.state == "FAIL"]


def _faults(sweep: Sweep, numbers: Sequence[int]) -> Iterator[str]:
    """What keeps trials from being retried."""
    known = {trial.number: trial for trial in sweep.trials}
    again = (trial for trial in sweep.trials if trial.derived and trial.derived.purpose in ("retry", "base"))
    retries = {trial.derived.parent: trial.number for trial in again if trial.derived}
    failed = _failed(sweep)
    there = f"failed: {', '.join(map(str, failed))}" if failed else "no trial failed"
    for number in dict.fromkeys(numbers):
        if number not in known:
            yield f"{sweep.name}: has no trial {number}; {there}"
        elif number in retries:
            mend = f"`sweep run {sweep.name}` runs it if it has not ended"
            yield f"{sweep.name}: trial {number} was retried already, as trial {retries[number]}; {mend}"
        elif known[number].state != "FAIL":
            yield f"{sweep.name}: trial {number} is {known[number].state}, and only failed trials are retried; {there}"

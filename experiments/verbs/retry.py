"""`sweep retry`: run failed trials again, each as a new trial in its place, then the rest of the sweep."""

from collections.abc import Iterator, Sequence

from experiments import lookup
from experiments.cli import print_note
from experiments.home import Home
from experiments.verbs import run
from lstm.messages.message import note
from lstm.records.errors import BadInput, Fault, fault, refused
from lstm.records.sweep import Sweep


def main(
    *,
    home: str,
    named: str,
    trials: Sequence[int],
    failed: bool,
    address: str | None,
    in_process: bool,
    code: str | None = None,
    as_json: bool,
) -> int:
    """Drive the sweep as `sweep run` does, with the retries first in its queue. Returns the exit code.

    Raises:
        BadInput: a trial can't be retried, or the sweep has reached its target.
    """
    found = lookup.sweep(named, Home.at(home), print_note)
    if failed == bool(trials):
        raise refused("trials-said-twice" if failed else "no-trials-said")
    sweep = lookup.read(found)
    if sweep.reached(sweep.facts.get("target")):
        raise refused("target-reached", at=sweep.name)
    if faults := list(_faults(sweep, trials)):
        raise BadInput(*faults)
    chosen = trials or _failed(sweep)
    if not chosen:
        print_note(note("no-failed-trials", at=sweep.name))
    numbers = tuple(dict.fromkeys(chosen))
    return run.main(
        home=home,
        named=named,
        address=address,
        in_process=in_process,
        overrides=(),
        as_json=as_json,
        retries=numbers,
        code=code,
    )


def _failed(sweep: Sweep) -> list[int]:
    """Return the numbers of the failed trials that may be run again, including the base."""
    base = [sweep.base] if sweep.base and not sweep.base.counts else []
    again = {trial.derived.parent for trial in sweep.confirming if trial.derived}
    confirming = [trial for trial in sweep.confirming if trial.number not in again]
    return [trial.number for trial in (*base, *sweep.counted, *confirming) if trial.state == "FAIL"]


def _faults(sweep: Sweep, numbers: Sequence[int]) -> Iterator[Fault]:
    """Yield a fault for each trial that can't be retried."""
    known = {trial.number: trial for trial in sweep.trials}
    again = (trial for trial in sweep.trials if trial.derived and trial.derived.purpose in ("retry", "base", "confirm"))
    retries = {trial.derived.parent: trial.number for trial in again if trial.derived}
    retries = {number: retry for number, retry in retries.items() if number is None or known[number].state == "FAIL"}
    failed, place = _failed(sweep), sweep.name
    for number in dict.fromkeys(numbers):
        if number not in known:
            yield fault("no-such-trial", at=place, number=number, count=len(failed), failed=failed)
        elif number in retries:
            yield fault("trial-retried-already", at=place, number=number, retry=retries[number], sweep=sweep.name)
        elif (parent := known[number].extends) is not None:
            epochs = known[number].config["training"]["max_epochs"]
            named = {"number": number, "parent": parent, "epochs": epochs, "sweep": sweep.name}
            yield fault("retry-of-extension", at=place, **named)
        elif known[number].state != "FAIL":
            state = known[number].state
            yield fault("trial-not-failed", at=place, number=number, state=state, count=len(failed), failed=failed)

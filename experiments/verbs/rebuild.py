"""`sweep rebuild`: write MLflow's runs again from the study and the checkpoints, or restore a lost study."""

import sys

from experiments import lookup
from experiments.home import Home
from experiments.operations import rebuilding
from experiments.terminal.output import emit, print_faults, print_note, tell
from lstm.records.trial import counted


def main(*, home: str, named: str, study: bool, force: bool, as_json: bool) -> int:
    """Rebuild the sweep's MLflow runs, or with `study` a lost study.

    Returns the exit code: 1 if not everything was written.
    """
    return (_study if study else _mlflow)(named, Home.at(home), force=force, as_json=as_json)


def _mlflow(named: str, home: Home, *, force: bool, as_json: bool) -> int:
    found = lookup.sweep(named, home, print_note)
    done = rebuilding.mlflow(found, force=force, say=print_note)
    tell(done.damaged, sys.stderr)
    if as_json:
        document = {"sweep": found.name, "trials": done.trials, "deleted_runs": done.deleted, "undelivered": done.left}
        emit({**document, "rebuilt": not done.faults, "errors": [each.row() for each in done.faults]})
    elif not done.faults:
        are, were = ("is" if done.trials == 1 else "are"), ("was" if done.deleted == 1 else "were")
        again, gone = counted(done.trials, "trial"), counted(done.deleted, "earlier run")
        print(f"{found.name}: {again} {are} in MLflow again; {gone} {were} deleted")
    return print_faults(done.faults)


def _study(named: str, home: Home, *, force: bool, as_json: bool) -> int:
    document, faults = rebuilding.study(named, home, force=force, say=print_note)
    name, states, unknown = document["sweep"], document["states"], document["unknown"]
    code = print_faults(faults)
    if as_json:
        emit({**document, "errors": [each.row() for each in faults]})
        return code
    for text in document["notes"]:
        print_note(text)
    told = ", ".join(f"{count} {state.lower()}" for state, count in states.items())
    print(f"{name}: the study {document['study']} was restored: {told}")
    if unknown:
        few = ", ".join(map(str, unknown[:20])) + (f" and {len(unknown) - 20} more" if len(unknown) > 20 else "")
        print(f"Trials of which nothing is known, {len(unknown)} in all, will be run again: {few}")
    if running := states.get("RUNNING", 0) - len(unknown):
        print(f"Trials whose end is not known, {running} in all, are resumed from their checkpoints")
    print("Goodput (where the workers' time went) could not be restored; it is measured again from now on")
    print(f"`sweep run {name}{home.flag}` resumes the sweep and judges the best trial again")
    return code

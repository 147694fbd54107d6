"""`sweep rivals`: is a network needed? Compare the best trial with the spec's own settings and the task's rivals."""

from experiments import judgement, lookup
from experiments.home import Home
from experiments.operations import judging
from experiments.operations.summary import looked
from experiments.terminal.output import emit, print_faults, print_note


def main(*, home: str, named: str, budget: float | None, as_json: bool) -> int:
    """Judge what was not judged yet and print the verdict.

    Returns the exit code: 1 if there is no verdict or it could not be kept.
    """
    found = lookup.sweep(named, Home.at(home), print_note)
    verdict, faults = judging.judge(named, found, budget, print_note)
    folder, seen = str(found.home.sweep(found.name)), looked(lookup.read(found))
    if as_json:
        errors = [each.row() for each in faults]
        judged = {"verdict": judgement.document(verdict), "test_looks": seen}
        emit({"sweep": found.name, "folder": folder, **judged, "errors": errors})
    else:
        from experiments.terminal.formats import console
        from experiments.terminal.live import LEAST
        from experiments.terminal.summary import show_verdict

        show_verdict(verdict, console(least=LEAST), looked=seen["text"])
    return print_faults(faults) or (0 if verdict.network or verdict.rivals else 1)

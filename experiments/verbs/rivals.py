"""`sweep rivals`: is a network needed? Compare the best trial with the spec's own settings and the task's rivals."""

import sys

from experiments import judgement, lookup
from experiments.cli import emit, note
from experiments.home import Home
from experiments.operations import judging


def main(*, home: str, named: str, budget: float | None, as_json: bool) -> int:
    """Judge what was not judged yet and print the verdict.

    Returns the exit code: 1 if there is no verdict or it could not be kept, 3 if a driver is running.
    """
    from cluster.study.lease import HeldError

    found = lookup.sweep(named, Home.at(home), note)
    try:
        verdict, trouble = judging.judge(named, found, budget, note)
    except HeldError as error:
        print(f"{found.name}: is driven by {error}; it is judged when that has ended", file=sys.stderr)
        return 3
    folder = str(found.home.sweep(found.name))
    if as_json:
        emit({"sweep": found.name, "folder": folder, "verdict": judgement.document(verdict)})
    else:
        from experiments.terminal.formats import console
        from experiments.terminal.live import LEAST
        from experiments.terminal.summary import show_verdict

        show_verdict(verdict, console(least=LEAST))
    if trouble:
        print(f"{found.name}: {trouble}", file=sys.stderr)
    return 0 if not trouble and (verdict.network or verdict.rivals) else 1

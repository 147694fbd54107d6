"""`sweep best`: show the best trial's parameters, metrics and checkpoint."""

from experiments import judgement, lookup
from experiments.home import Home
from experiments.operations.summary import summary
from experiments.terminal.output import emit, print_note


def main(*, home: str, named: str, as_json: bool) -> int:
    """Print the best trial. Returns the exit code: 1 if there is none yet."""
    found = lookup.sweep(named, Home.at(home), print_note)
    swept = lookup.read(found)
    verdict, why = judgement.current(found.home, swept)
    document = summary(swept, verdict)
    if as_json:
        emit({**document, "verdict": judgement.document(verdict) if verdict else None})
    else:
        from experiments.terminal.formats import console
        from experiments.terminal.summary import show, warn

        warn(document, console())
        show(document, console(), verdict, why)
    return 0 if document["best"] else 1

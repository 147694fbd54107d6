"""`sweep probe`: measure a trial's network: delay, feedback, activation, scalability, reliability."""

from collections.abc import Mapping
from typing import Any

from experiments.home import Home
from experiments.operations import probing
from experiments.terminal.formats import console
from experiments.terminal.live import LEAST
from experiments.terminal.output import emit, print_faults, print_note


def main(*, home: str, named: str, trial: int | None, code: str | None = None, as_json: bool) -> int:
    """Measure a trial once and print the result. Returns the exit code: 1 if MLflow or the study did not take it."""
    document, faults = probing.probe(named, Home.at(home), trial, print_note, code)
    if as_json:
        emit({**document, "errors": [each.row() for each in faults]})
    else:
        show(document)
    return print_faults(faults)


def show(document: Mapping[str, Any]) -> None:
    """Print a probe for people."""
    from rich.table import Table

    from dashboards.report.glossary import meaning

    screen = console(least=LEAST)
    title = f"{document['sweep']}, trial {document['trial']}, epoch {document['best_epoch']}"
    screen.print(f"{title}: inputs and outputs are scaled, 1 is a standard deviation", soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("property", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for name, value in document["numbers"].items():
        table.add_row(name, f"{value:.4g}", meaning(name))
    screen.print(table)
    if document["page"]:
        screen.print(f"Pictures  {document['page']}", soft_wrap=True)

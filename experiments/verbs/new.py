"""`sweep new FILE...`: read data files and write a first spec that runs as it is."""

from collections.abc import Sequence

from experiments.operations import drafting
from experiments.terminal.output import emit


def main(
    *,
    home: str,
    data: str | Sequence[str],
    output: str | None,
    task: str | None = None,
    target: str | None = None,
    horizon: int | None = None,
    force: bool,
    as_json: bool,
) -> None:
    """Write the spec and print what was found. Nothing is kept in the home."""
    written = drafting.new(data, output, task=task, target=target, horizon=horizon, force=force)
    if as_json:
        emit(written.document())
    else:
        show(written)


def show(written: drafting.Written) -> None:
    """Print what was found and what to do next, for people."""
    from rich.table import Table

    from experiments.terminal.formats import console
    from experiments.terminal.live import LEAST

    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    rows.add_row("task", f"{written.task}: {written.task_why}")
    for word, text in written.found.items():
        rows.add_row(word, text)
    rows.add_row(written.counted, ", ".join(f"{part} {count:,}" for part, count in written.windows.items()))
    rows.add_row("written", str(written.path))
    for index, command in enumerate(written.next):
        rows.add_row("next" if index == 0 else "", command)
    wide = console(least=LEAST)
    wide.print(rows)
    for warning in written.warnings:
        wide.print(f"note: {warning}", style="yellow", soft_wrap=True)

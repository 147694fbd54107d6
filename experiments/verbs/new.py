"""`sweep new DATA`: looks at a file of data and writes a first spec that runs as it is."""

from experiments.cli import emit
from experiments.operations import drafting


def main(*, home: str, data: str, output: str | None, force: bool, as_json: bool) -> None:
    """Writes the spec and prints what was found; nothing is kept in the home."""
    written = drafting.new(data, output, force=force)
    if as_json:
        emit(written.document())
    else:
        show(written)


def show(written: drafting.Written) -> None:
    """Prints what was found and what to do next, for people."""
    from rich.table import Table

    from experiments.terminal.formats import console
    from experiments.terminal.live import LEAST

    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    for word, text in written.found.items():
        rows.add_row(word, text)
    rows.add_row("windows", ", ".join(f"{part} {count:,}" for part, count in written.windows.items()))
    rows.add_row("written", str(written.path))
    for index, command in enumerate(written.next):
        rows.add_row("next" if index == 0 else "", command)
    wide = console(least=LEAST)
    wide.print(rows)
    for text in written.warnings:
        wide.print(f"note: {text}", style="yellow", soft_wrap=True)

"""`sweep compare`: show sweeps and their trials in two tables, or on a page for a browser."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import lookup, report
from experiments.home import Home
from experiments.terminal.formats import console, duration
from experiments.terminal.output import emit, print_note
from lstm.records.errors import refused

if TYPE_CHECKING:
    from rich.table import Table

    from dashboards.report.comparison import Comparison


def main(
    *, home: str, named: Sequence[str], trials: int, page: str | None = None, force: bool = False, as_json: bool
) -> None:
    """Print the comparison; `trials` is the number of trials to show, 0 for all. Write the page if it has a name."""
    if force and page is None:
        raise refused("force-without-file", at="--force", flag="--html")
    where, file = Home.at(home), None if page is None else Path(page)
    found = [lookup.sweep(each, where, print_note) for each in dict.fromkeys(named)]
    comparison = report.compared(found, lookup.read, file, f"--html {page}", force=force)
    if as_json:
        return emit(comparison.to_json() | ({"html": str(file.absolute())} if file else {}))
    _show(comparison, trials or len(comparison.trials))
    if file:
        size = f"{file.stat().st_size / 1e6:.1f} MB"
        console().print(f"\n{page}: all trials on one page of {size}, to open in a browser", soft_wrap=True)
    return None


def _show(comparison: "Comparison", count: int) -> None:
    plain = console()
    if said := comparison.problem or comparison.doubt:
        plain.print(said, style="yellow", soft_wrap=True)
    sweeps, trials = _sweeps(comparison), _trials(comparison, count)
    console(sweeps).print(sweeps)
    plain.print()
    console(trials).print(trials)
    if count < len(comparison.trials):
        plain.print(f"… and {len(comparison.trials) - count} more (--trials 0 shows all)", style="dim")


def _sweeps(comparison: "Comparison") -> "Table":
    epochs = f"epochs{_first_window(comparison)}"
    headings = ("sweep", "trials", "best", "trial", "median", "middle half", epochs, "time")
    table = _table((*headings, *map(_short, comparison.sweep_parameters)), left=("sweep", "trials"))
    for row in comparison.sweeps:
        states = " ".join(f"{n} {state.lower()}" for state, n in row.states.items())
        spread = "" if row.quartiles is None else " to ".join(f"{q:.4g}" for q in row.quartiles)
        middle = "" if row.median is None else f"{row.median:.4g}"
        known = [_cell(row.parameters.get(name)) for name in comparison.sweep_parameters]
        cells = (row.sweep, states, _cell(row.best), _cell(row.best_trial), middle, spread)
        table.add_row(*cells, str(row.epochs), duration(row.seconds), *known)
    return table


def _trials(comparison: "Comparison", count: int) -> "Table":
    several = ("sweep",) if len(comparison.sweeps) > 1 else ()
    headings = (*several, "trial", "state", comparison.sweeps[0].metric, f"epoch{_first_window(comparison)}", "time")
    table = _table((*headings, *map(_short, comparison.trial_parameters)), left=("sweep", "state"))
    for row in comparison.trials[:count]:
        known = [_cell(row.parameters.get(name)) for name in comparison.trial_parameters]
        span = "" if row.seconds is None else duration(row.seconds)
        number = f"base {row.trial}" if row.is_base else str(row.trial)
        number += f" extends {row.extends}" if row.extends is not None else ""
        cells = (number, row.state.lower(), _cell(row.value), f"{row.best_epoch}/{row.epochs}", span)
        table.add_row(*((row.sweep,) if several else ()), *cells, *known)
    return table


def _table(headings: Sequence[str], left: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=True)
    return table


def _first_window(comparison: "Comparison") -> str:
    """Return what a heading of epochs adds if a sweep has a backtest: only the first window's epochs are counted."""
    return " (window 1)" if any(row.windows > 1 for row in comparison.sweeps) else ""


def _short(path: str) -> str:
    return path.rpartition(".")[2]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)

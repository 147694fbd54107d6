"""`sweep compare`: sweeps and trials in one table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.cli import emit
from experiments.find import find
from experiments.plan import Home
from experiments.screen import duration

if TYPE_CHECKING:
    from dashboards.compare import Comparison


def main(*, home: str, named: Sequence[str], trials: int, as_json: bool) -> None:
    """Prints the comparison."""
    from cluster import study
    from dashboards.compare import compare

    where = Home.at(home)
    found = [find(each, where) for each in dict.fromkeys(named)]
    comparison = compare([study.read(f.study_url, f.name) for f in found])
    if as_json:
        emit(comparison.to_json())
    else:
        _show(comparison, trials or len(comparison.trials))


def _show(comparison: "Comparison", count: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if comparison.problem:
        console.print(comparison.problem, style="yellow")
    table = Table(box=None, padding=(0, 2), header_style="bold")
    columns = ("sweep", "trials", "best", "trial", "median", "middle half", "epochs", "time")
    for heading in (*columns, *map(_short, comparison.sweep_parameters)):
        table.add_column(heading, justify="left" if heading in ("sweep", "trials") else "right")
    for row in comparison.sweeps:
        states = " ".join(f"{n} {state.lower()}" for state, n in row.states.items())
        spread = "" if row.quartiles is None else " to ".join(f"{q:.4g}" for q in row.quartiles)
        known = [_cell(row.parameters.get(name)) for name in comparison.sweep_parameters]
        cells = (row.sweep, states, _cell(row.best), _cell(row.best_trial), _cell(row.median), spread)
        table.add_row(*cells, str(row.epochs), duration(row.seconds), *known)
    console.print(table)
    console.print()
    several = len(comparison.sweeps) > 1
    table = Table(box=None, padding=(0, 2), header_style="bold")
    columns = (*(("sweep",) if several else ()), "trial", "state", comparison.sweeps[0].metric, "epoch", "time")
    for heading in (*columns, *map(_short, comparison.trial_parameters)):
        table.add_column(heading, justify="left" if heading in ("sweep", "state") else "right")
    for each in comparison.trials[:count]:
        known = [_cell(each.parameters.get(name)) for name in comparison.trial_parameters]
        span = "" if each.seconds is None else duration(each.seconds)
        first = (each.sweep,) if several else ()
        epoch = f"{each.best_epoch}/{each.epochs}"
        table.add_row(*first, str(each.trial), each.state.lower(), _cell(each.value), epoch, span, *known)
    console.print(table)
    if count < len(comparison.trials):
        console.print(f"… and {len(comparison.trials) - count} more (--trials 0 shows all)", style="dim")


def _short(path: str) -> str:
    return path.rpartition(".")[2]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)

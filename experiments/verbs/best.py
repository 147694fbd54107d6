"""`sweep best`: the best trial's parameters, metrics and checkpoint."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments import find
from experiments.cli import emit
from experiments.plan import Home
from experiments.screen import console, settings
from lstm.records import Sweep

if TYPE_CHECKING:
    from rich.console import Console


def main(*, home: str, named: str, as_json: bool) -> int:
    """Prints the best trial; 1 where there is none yet."""
    from cluster import study

    found = find.sweep(named, Home.at(home))
    document = summary(study.read(found.study_url, found.name))
    if as_json:
        emit(document)
    else:
        show(document, console())
    return 0 if document["best"] else 1


def summary(sweep: Sweep) -> dict[str, Any]:
    """What a sweep has found, as plain data."""
    best, judged = sweep.best, sweep.facts.get("judged") or {}
    return {
        "sweep": sweep.name,
        "metric": sweep.metric,
        "direction": sweep.direction,
        "n_trials": sweep.n_trials,
        "states": dict(Counter(t.state for t in sweep.trials)),
        "best": best
        and {
            "trial": best.number,
            "value": best.value,
            "epoch": best.best_epoch,
            "parameters": dict(best.settings),
            "config": dict(best.config),
            "checkpoint": best.checkpoint,
            "metrics": judged["metrics"] if judged.get("trial") == best.number else {},
        },
    }


def show(document: Mapping[str, Any], screen: "Console") -> None:
    """Prints a summary for people."""
    from rich.table import Table

    states = ", ".join(f"{n} {state.lower()}" for state, n in document["states"].items())
    screen.print(f"{document['sweep']}: {states or 'no trials'} of {document['n_trials']}", soft_wrap=True)
    best = document["best"]
    if not best:
        screen.print("No trial has completed yet.")
        return
    screen.print(
        f"Best: trial {best['trial']}, {document['metric']} {best['value']:.6g} at epoch {best['epoch']}", style="green"
    )
    screen.print(f"      {settings(best['parameters'])}", soft_wrap=True)
    screen.print(f"      {best['checkpoint']}", soft_wrap=True)
    names = [key.removeprefix("test/") for key in best["metrics"] if key.startswith("test/")]
    if not names:
        return
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("test part", "best trial", "seasonal naive", ""):
        table.add_column(heading, justify="left" if heading == "test part" else "right")
    for name in names:
        ours, naive = best["metrics"][f"test/{name}"], best["metrics"][f"baseline/{name}"]
        table.add_row(name, f"{ours:.5g}", f"{naive:.5g}", _against(ours, naive))
    screen.print(table)


def _against(ours: float, naive: float) -> str:
    if not naive > 0:
        return ""
    change = (1 - ours / naive) * 100
    return f"{change:.0f} % lower" if change >= 0 else f"{-change:.0f} % higher"

"""`sweep best`: the best trial's parameters, metrics and checkpoint."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments import find
from experiments.cli import emit
from experiments.home import Home
from experiments.screen import console, settings
from lstm.records import Sweep, sign_of
from lstm.sections import section_of

if TYPE_CHECKING:
    from rich.console import Console


def main(*, home: str, named: str, as_json: bool) -> int:
    """Prints the best trial; 1 where there is none yet."""
    found = find.sweep(named, Home.at(home))
    document = summary(find.read(found))
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
        "states": dict(Counter(t.state for t in sweep.counted)),
        "better_pruned": _better_pruned(sweep),
        **_front(sweep),
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


def _front(sweep: Sweep) -> dict[str, Any]:
    """The Pareto front, where two objectives are searched for."""
    if sweep.second is None:
        return {}
    front = [
        {"trial": t.number, "value": t.value, "second": t.second, "epoch": t.best_epoch, "parameters": dict(t.settings)}
        for t in sweep.front
    ]
    return {"second_objective": sweep.second._asdict(), "front": front}


def _better_pruned(sweep: Sweep) -> dict[str, Any] | None:
    """The pruned trial, if any, that had a better epoch than the best completed one: its pruner saw later ones."""
    sign, best = sign_of(sweep.direction), sweep.best
    pruned = [
        (sign * t.value, t) for t in sweep.counted if t.state == "PRUNED" and not t.diverged and t.value is not None
    ]
    if best is None or best.value is None or not pruned:
        return None
    value, trial = min(pruned, key=lambda pair: (pair[0], pair[1].number))
    if value >= sign * best.value:
        return None
    return {"trial": trial.number, "value": trial.value, "epoch": trial.best_epoch}


def show(document: Mapping[str, Any], screen: "Console") -> None:
    """Prints a summary for people."""
    states = ", ".join(f"{n} {state.lower()}" for state, n in document["states"].items())
    total = max(document["n_trials"], sum(document["states"].values()))  # it may have been lowered
    screen.print(f"{document['sweep']}: {states or 'no trials'} of {total}", soft_wrap=True)
    if document["best"]:
        show_best(document, screen)
    else:
        screen.print("No trial has completed yet.")


def show_best(document: Mapping[str, Any], screen: "Console") -> None:
    """Prints the best trial of a summary."""
    from rich.table import Table

    best = document["best"]
    which = "" if best["trial"] is None else f"trial {best['trial']}, "
    found = f"Best: {which}{document['metric']} {best['value']:.6g} at epoch {best['epoch']}"
    screen.print(found, style="green", soft_wrap=True)
    screen.print(f"      {settings(best['parameters'])}", soft_wrap=True)
    screen.print(f"      {best['checkpoint']}", soft_wrap=True)
    if pruned := document.get("better_pruned"):
        text = f"best of those that completed; pruned trial {pruned['trial']} had {pruned['value']:.6g}"
        screen.print(f"      ({text} at epoch {pruned['epoch']})", soft_wrap=True)
    if len(document.get("front", ())) > 1:
        _show_front(document, screen)
    names = [key.removeprefix("test/") for key in best["metrics"] if key.startswith("test/")]
    if not names:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    which = "best epoch" if best["trial"] is None else "best trial"
    for heading in ("test part", which, section_of(best["config"]["task"]).baseline, ""):
        table.add_column(heading, justify="left" if heading == "test part" else "right")
    for name in names:
        ours, usual = best["metrics"][f"test/{name}"], best["metrics"][f"baseline/{name}"]
        table.add_row(name, f"{ours:.5g}", f"{usual:.5g}", _against(ours, usual))
    console(table, screen.file).print(table)


def _show_front(document: Mapping[str, Any], screen: "Console") -> None:
    """The trials of which none is better than another in both objectives."""
    from rich.table import Table

    second = document["second_objective"]["metric"]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Pareto front")
    for heading in (document["metric"], second):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("")
    for trial in document["front"]:
        figures = (f"{trial['value']:.5g}", f"{trial['second']:.5g}")
        table.add_row(f"trial {trial['trial']}", *figures, settings(trial["parameters"]))
    console(table, screen.file).print(table)


def _against(ours: float, usual: float) -> str:
    """How an error compares to the baseline's."""
    if not usual > 0 or not math.isfinite(ours / usual):
        return ""
    ratio = ours / usual
    if ratio >= 2:
        return f"{ratio:.3g} times higher" if ratio < 100 else f"{ratio:,.0f} times higher"
    change = abs(1 - ratio) * 100
    shown = f"{change:.0f}" if change < 99.5 or ratio > 1 else f"{change:.4g}"  # 100 % lower would be nothing left
    return f"{shown} % {'lower' if ratio < 1 else 'higher'}" if change >= 0.5 else "as good"

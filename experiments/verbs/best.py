"""`sweep best`: the best trial's parameters, metrics and checkpoint."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments import judgement, lookup
from experiments.cli import emit
from experiments.home import Home
from experiments.terminal.formats import console, settings
from experiments.terminal.live import BASE_SETTINGS
from lstm.records.objective import sign_of
from lstm.records.sweep import BASE, Sweep
from lstm.tasks import registry as tasks

if TYPE_CHECKING:
    from rich.console import Console

    from lstm.verdict.verdict import Verdict


def main(*, home: str, named: str, as_json: bool) -> int:
    """Prints the best trial; 1 where there is none yet."""
    found = lookup.sweep(named, Home.at(home))
    swept = lookup.read(found)
    verdict, note = judgement.current(found.home, swept)
    document = summary(swept, verdict)
    if as_json:
        emit({**document, "verdict": judgement.document(verdict) if verdict else None})
    else:
        warn(document, console())
        show(document, console(), verdict, note)
    return 0 if document["best"] else 1


def summary(sweep: Sweep, verdict: "Verdict | None" = None) -> dict[str, Any]:
    """What a sweep has found, as plain data; what is said of the base is the verdict's, where there is one."""
    best, judged = sweep.best, sweep.facts.get("judged") or {}
    return {
        "sweep": sweep.name,
        "metric": sweep.metric,
        "direction": sweep.direction,
        "n_trials": sweep.n_trials,
        "states": dict(Counter(t.state for t in sweep.counted)),
        "searched": any(path.startswith("search.") for path in sweep.facts.get("comparable", {})),
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
        "base": _base(sweep),
        "baseline": tasks.record_in(sweep).baseline,
        "about_base": judgement.about_base(sweep, verdict),
    }


def _base(sweep: Sweep) -> dict[str, Any] | None:
    """The spec's own settings, and what the search has gained on them; None where the sweep has no such trial.

    A gain is a share of the base's figure, more is better: 0.1 is an error that is 10 % lower. Where a metric is
    better when higher it is the difference.
    """
    base, best = sweep.base, sweep.best
    if base is None:
        return None
    judged = sweep.facts.get("judged") or {}
    is_judged = best is not None and (judged.get("trial"), judged.get("base")) == (best.number, base.number)
    metrics = judged["metrics"] if is_judged else {}
    tested = sweep.metric.replace("val/", "test/", 1)
    gained = {}
    if best is not None and base.state == "COMPLETE":
        gained["validation"] = _gain(sweep, best.value, base.value)
        gained["test"] = _gain(sweep, metrics.get(tested), metrics.get(f"{BASE}{tested}"))
    return {
        "trial": base.number,
        "state": base.state,
        "diverged": base.diverged,
        "reason": base.reason,
        "value": base.value,
        "epoch": base.best_epoch,
        "second": base.second,
        "is_best": best is not None and best.number == base.number,
        "metrics": {name.removeprefix(BASE): v for name, v in metrics.items() if name.startswith(f"{BASE}test/")},
        "gained": gained,
    }


def _gain(sweep: Sweep, ours: float | None, base: float | None) -> float | None:
    if ours is None or base is None or not math.isfinite(ours - base):
        return None
    if sweep.direction == "maximize":
        return ours - base
    return (base - ours) / abs(base) if base else None


def is_worse_than_base(document: Mapping[str, Any]) -> bool:
    """Whether the winner is worse than the spec's own settings, on the test part or on validation."""
    gained = document["base"]["gained"] if document["base"] else {}
    return any(gain is not None and gain < 0 for gain in gained.values())


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


def warn(document: Mapping[str, Any], screen: "Console") -> None:
    """Says first where the winner is worse than the spec's own settings."""
    if is_worse_than_base(document):
        screen.print(document["about_base"], style="bold yellow", soft_wrap=True, highlight=False)


def show(document: Mapping[str, Any], screen: "Console", verdict: "Verdict | None" = None, note: str = "") -> None:
    """Prints a summary for people, but what `warn` says; then the verdict, or the note in its place."""
    from experiments.verbs import rivals

    said = document["about_base"] if is_worse_than_base(document) else ""
    about_base = "" if verdict or said else document["about_base"]  # a verdict says it
    states = ", ".join(f"{n} {state.lower()}" for state, n in document["states"].items())
    total = max(document["n_trials"], sum(document["states"].values()))  # it may have been lowered
    screen.print(f"{document['sweep']}: {states or 'no trials'} of {total}", soft_wrap=True)
    if document["best"]:
        show_best(document, screen, about_base)
    else:
        screen.print("No trial has completed yet.")
        if about_base:
            screen.print(about_base, soft_wrap=True)
    if verdict:
        rivals.show(verdict, screen, said)
    elif note and any(trial not in ("WAITING", "RUNNING") for trial in document["states"]):
        screen.print(note, soft_wrap=True)


def show_best(document: Mapping[str, Any], screen: "Console", about_base: str = "") -> None:
    """Prints the best trial of a summary, and what is said of it beside the base."""
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
    if about_base:
        screen.print(f"      {about_base}", soft_wrap=True)
    _show_tested(document, screen)


def _show_tested(document: Mapping[str, Any], screen: "Console") -> None:
    """The figures of the test part: the best trial's, the base's, the baseline's."""
    from rich.table import Table

    best, base = document["best"], (document.get("base") or {}).get("metrics")
    names = [key.removeprefix("test/") for key in best["metrics"] if key.startswith("test/")]
    if not names:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    which = "best epoch" if best["trial"] is None else "best trial"
    own = ("base", "") if base else ()
    for heading in ("test part", which, *own, document["baseline"], ""):
        table.add_column(heading, justify="left" if heading == "test part" else "right")
    for name in names:
        ours, usual = best["metrics"][f"test/{name}"], best["metrics"][f"baseline/{name}"]
        beside = [base[f"test/{name}"]] if base else []
        told = [cell for figure in (*beside, usual) for cell in (f"{figure:.5g}", _against(ours, figure))]
        table.add_row(name, f"{ours:.5g}", *told)
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
    rows = [(f"trial {t['trial']}", t, settings(t["parameters"])) for t in document["front"]]
    base = document["base"]
    if base and base["second"] is not None and base["trial"] not in [t["trial"] for t in document["front"]]:
        rows.append(("base", base, BASE_SETTINGS))
    for name, trial, what in rows:
        table.add_row(name, f"{trial['value']:.5g}", f"{trial['second']:.5g}", what)
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

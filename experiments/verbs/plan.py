"""`sweep plan`: what `run` would do."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import find
from experiments.cli import emit
from experiments.plan import Home, describe, make
from experiments.screen import console, duration


def main(*, home: str, named: str, overrides: Sequence[str], as_json: bool) -> None:
    """Prints the plan."""
    where = Home.at(home)
    plan = describe(make(find.spec(named, where, overrides), where))
    if as_json:
        emit(plan)
        return
    show(plan)


def show(plan: Mapping[str, Any]) -> None:
    """Prints a plan for people."""
    from rich.table import Table

    screen = console()
    data, windows, kept = plan["data"], plan["windows"], plan["kept"]
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    searched = f", searched by {plan['sampler']}, pruner {plan['pruner']}" if plan["sampler"] else ""
    rows.add_row("sweep", f"{plan['sweep']} ({plan['task']}): {plan['trials']} trials{searched}")
    rows.add_row("goal", f"{plan['direction']} {plan['metric']}")
    for index, (path, dimension) in enumerate(plan["space"].items()):
        rows.add_row("space" if index == 0 else "", f"{path}: {_dimension(dimension)}")
    step = f", a row every {data['step']}" if data["step"] else ""
    rows.add_row("data", f"{data['path']}: {data['rows']:,} rows{step}, {data['first']} to {data['last']}")
    for note in data["notes"]:
        rows.add_row("", note)
    rows.add_row("windows", ", ".join(f"{part} {count:,}" for part, count in windows.items()))
    rows.add_row("parameters", _both(plan["parameters"], lambda n: f"{n:,}"))
    rows.add_row("memory", f"{_both(plan['memory_mb'], lambda mb: f'{mb:g} MB')} a trial, beside the libraries")
    rows.add_row("device", f"{plan['device']}, {plan['slots']} trials at once on this machine")
    spans = _both(plan["sweep_s"], duration)
    rows.add_row("time", f"{spans} if no trial stops early ({plan['measured_in_s']:g} s of measured steps)")
    rows.add_row("kept", f"study {kept['study']}")
    rows.add_row("", f"checkpoints {kept['checkpoints']}")
    rows.add_row("", f"MLflow {kept['mlflow']}")
    screen.print(rows, soft_wrap=False)
    for warning in plan["warnings"]:
        screen.print(f"note: {warning}", style="yellow")


def _both(ends: Sequence[Any], show_one: Any) -> str:
    low, high = (show_one(end) for end in ends)
    return str(low) if low == high else f"{low} to {high}"


def _dimension(dimension: Mapping[str, Any]) -> str:
    if dimension["type"] == "categorical":
        text = "one of " + ", ".join(str(choice) for choice in dimension["choices"])
    else:
        text = f"{dimension['low']:g} to {dimension['high']:g}"
        text += ", log" if dimension.get("log") else ""
        text += f", step {dimension['step']:g}" if dimension.get("step") else ""
    when = " and ".join(f"{path} is {value}" for path, value in dimension.get("when", {}).items())
    return f"{text}, when {when}" if when else text

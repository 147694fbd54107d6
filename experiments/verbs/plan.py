"""`sweep plan`: show what `run` would do."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import lookup
from experiments.home import Home
from experiments.launching import requests, submitting
from experiments.operations.training import check_room_of_all
from experiments.planning import as_begun, describe, make
from experiments.terminal.formats import (
    backtest_rows,
    both_ends,
    confirm_row,
    console,
    duration,
    searched_rows,
)
from experiments.terminal.live import LEAST
from experiments.terminal.output import emit
from experiments.trials.earlier import read_first
from lstm.records.trial import counted


def main(
    *,
    home: str,
    named: str,
    overrides: Sequence[str],
    code: str | None = None,
    system: str | None = None,
    profile: str | None = None,
    fields: Mapping[str, Any] | None = None,
    upload: str | None = None,
    as_json: bool,
) -> None:
    """Print the plan; with a system also what the sweep would be there."""
    where = Home.at(home)
    if system is not None:
        asked = requests.Asked(system, profile, fields or {}, upload)
        ready = submitting.looked_at(requests.make(named, where, asked, overrides, code), profile)
        plan: Mapping[str, Any] = {**ready.plan, "launch": ready.document()}
        rows = ready.rows(whole=False)
    else:
        spec = lookup.spec(named, where, overrides, execute=True, code=code)
        made = read_first(as_begun(make(spec, where, to_look=True), to_run=True))
        check_room_of_all(made)
        plan, rows = describe(made), []
    if as_json:
        emit(plan)
        return
    show(plan, rows)


def show(plan: Mapping[str, Any], launch: Sequence[tuple[str, str]] = ()) -> None:
    """Print a plan for people; `launch` has the rows of what the sweep would be on a system."""
    from rich.table import Table

    screen = console(least=LEAST)
    data, kept = plan["data"], plan["kept"]
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    most = f"{counted(plan['trials'], 'trial')} of at most {counted(plan['max_epochs'], 'epoch')}"
    rows.add_row("sweep", f"{plan['sweep']} ({plan['task']}): {most}")
    searched = f", sampler {plan['sampler']}, pruner {plan['pruner']}" if plan["sampler"] else ""
    second = plan["second_objective"]
    both = f" and {second['direction']} {second['metric']}" if second else ""
    rows.add_row("goal", f"{plan['direction']} {plan['metric']}{both}{searched}")
    if plan["probe"]:
        rows.add_row("", "each trial is probed at its end; the time below does not include that")
    if plan["stop"]:
        rows.add_row("stop", "early, at " + " or ".join(f"{name} {value:g}" for name, value in plan["stop"].items()))
    if plan["space"]:
        counts = "one of `first`, counted in n_trials" if plan["base_is_first"] else "in addition to n_trials"
        rows.add_row("base", f"the spec's own settings: {counts}, never pruned")
    for label, text in searched_rows(plan):
        rows.add_row(label, text)
    rows.add_row("data", data["text"])
    for note in data["notes"]:
        rows.add_row("", str(note))
    rows.add_row(plan["counted"], plan["parts"])
    for place, row in enumerate(backtest_rows(plan)):
        rows.add_row("" if place else "backtest", row)
    if plan.get("confirm"):
        rows.add_row("confirm", confirm_row(plan["confirm"]))
    rows.add_row("parameters", both_ends(plan["parameters"], lambda n: f"{n:,}"))
    unshared = both_ends(plan["parameters_unshared"], lambda n: f"{n:,}")
    rows.add_row("", f"{unshared} if each step of the look-back had its own: the weights are shared over time")
    rows.add_row("memory", f"{both_ends(plan['memory_mb'], lambda mb: f'{mb:g} MB')} a trial, without the libraries")
    at_once = f"{counted(plan['slots'], 'trial')} at once" if plan["slots"] else "no trial fits"
    rows.add_row("device", f"{plan['device']}, {at_once} {'there' if launch else 'on this machine'}")
    spans = both_ends(sorted(plan["sweep_s"]), lambda span: duration(span) if span >= 0.1 else "under 0.1 s")
    rows.add_row("time", f"{spans} of training if no trial stops early (measured in {plan['measured_in_s']:.1f} s)")
    places = [f"study {kept['study']}", f"checkpoints {kept['checkpoints']}", f"MLflow {kept['mlflow']}"]
    for label, text in [*zip(("kept", "", ""), places, strict=True), *launch]:
        rows.add_row(label, text)
    screen.print(rows, soft_wrap=False)
    for warning in plan["warnings"]:
        screen.print(f"note: {warning}", style="yellow", soft_wrap=True)

"""`sweep run`: drives a sweep to its end, records it, judges its best trial, says what was found."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from experiments import find
from experiments.cli import emit
from experiments.plan import Home, Plan, make
from lstm.records import BadInput, Event, Notice, Sweep, TrialEnded

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.sweep import Outcome
    from dashboards.recorder import Recorder

FLUSH_S = 60.0  # what the record may still take when the sweep has ended


def main(*, home: str, named: str, address: str | None, overrides: Sequence[str], as_json: bool) -> int:
    """Runs the sweep; the exit code."""
    from cluster import connect, study, sweep
    from cluster.lease import HeldError

    where = Home.at(home)
    plan = make(find.spec(named, where, overrides), where)
    if address:
        connect.check_address(address)
    known = study.facts(plan.order.study_url, plan.order.name)
    if known:
        sweep.check_same(known, plan.order, plan.series)
        plan = replace(plan, order=replace(plan.order, study_id=known.get("id", plan.order.study_id)))
    with _folder(plan, overrides) as log:
        try:
            with _streams(log, to_stderr=as_json) as screen:
                return _run(plan, address, screen, as_json=as_json)
        except HeldError as error:
            print(f"{plan.order.name}: is driven by {error}. `sweep stop {plan.order.name}` ends it.", file=sys.stderr)
            return 3


def _run(plan: Plan, address: str | None, file: TextIO, *, as_json: bool) -> int:
    from rich.console import Console

    from cluster import study, sweep
    from dashboards.recorder import Recorder
    from experiments.screen import Screen

    order = plan.order
    console = Console(file=file, highlight=False)
    before = study.read(order.study_url, order.name) if study.facts(order.study_url, order.name) else None
    if before and before.facts.get("recorded") and _is_complete(before, plan):
        return _say(plan, before, console, "This sweep is complete; nothing was left to do.", 0, as_json=as_json)
    screen = Screen(
        console,
        order.name,
        n_trials=order.search.n_trials if order.search else 1,
        max_epochs=order.base.training.max_epochs,
        direction=order.base.direction,
    )
    if before:
        screen.known(_states(before), _ended(before))
    recorder = Recorder(
        plan.tracking_uri,
        plan.artifacts,
        plan.spec.experiment.tracking,
        order.name,
        study=order.study_id,
        notice=lambda text: screen(Notice(text)),
    )

    def record(event: Event) -> None:
        recorder(event)
        screen(event)

    with screen:
        memory = sweep.Memory(recorder, recorder.recorded)
        outcome = sweep.run(order, plan.series, record, memory, address=address)
    return _conclude(plan, outcome, recorder, console, as_json=as_json)


def _conclude(plan: Plan, outcome: "Outcome", recorder: "Recorder", console: "Console", *, as_json: bool) -> int:
    from cluster import study

    order, swept = plan.order, outcome.sweep
    if outcome.code == 0:
        metrics = _judge(plan, outcome, recorder)
        if swept.best and metrics:
            study.remember(
                order.study_url, order.name, judged={"trial": swept.best.number, "metrics": metrics}, recorded=False
            )
    chart = recorder.chart_address(_server(plan)) if outcome.code == 0 else None
    left = recorder.close(FLUSH_S if outcome.code == 0 else 10.0)
    if left:
        console.print(
            f"note: MLflow did not take {left} records yet; nothing is lost: run again to deliver them", style="yellow"
        )
    elif outcome.code == 0:
        study.remember(order.study_url, order.name, recorded=outcome.complete, chart=chart)
    words = {
        0: "All trials have ended." if outcome.complete and not outcome.reason else f"Ended: {outcome.reason}.",
        1: f"The sweep failed: {outcome.reason}.",
        130: f"Stopped ({outcome.reason}); every trial's last whole epoch is kept.",
    }
    again = "" if outcome.complete else " Run the same command again to go on."
    now = study.read(order.study_url, order.name)
    return _say(plan, now, console, words[outcome.code] + again, outcome.code, as_json=as_json)


def _judge(plan: Plan, outcome: "Outcome", recorder: "Recorder") -> Mapping[str, float]:
    """Judges the best trial on the test part, which nothing has looked at before, and writes the report."""
    from dashboards.report import report
    from lstm import checkpoint, tasks

    best = outcome.sweep.best
    found = checkpoint.load(best.checkpoint) if best else None
    metrics = tasks.judge(found, plan.series) if found else {}
    forecasts = tasks.examples(found, plan.series) if found else []
    recorder.finish(report(outcome.sweep, outcome.importances, forecasts, metrics), metrics, best)
    return metrics


def _say(plan: Plan, swept: Sweep, console: "Console", first: str, code: int, *, as_json: bool) -> int:
    """The last screen: what was found, how to look at it, what to do next."""
    from experiments.verbs.best import summary

    document = {**summary(swept), "chart": swept.facts.get("chart"), "exit_code": code, "message": first}
    if as_json:
        emit(document)
        return code
    from experiments.verbs.best import show

    console.print()
    console.print(first, style="bold" if code == 0 else "bold yellow", soft_wrap=True)
    show(document, console)
    name, home = plan.order.name, _home_flag(plan.home)
    console.print()
    if plan.tracking_uri == plan.home.tracking_uri:
        console.print(f"Curves, side by side   sweep ui {name}{home}", soft_wrap=True)
    if document["chart"]:
        console.print(f"                       {document['chart']}", soft_wrap=True)
    console.print(f"Trials in a table      sweep compare {name}{home}", soft_wrap=True)
    if swept.best:
        console.print(f"Forecast what is next  sweep predict {name}{home} --output forecast.csv", soft_wrap=True)
    console.print(f"Log                    {plan.home.sweep(name) / 'sweep.log'}", soft_wrap=True)
    return code


def _server(plan: Plan) -> str:
    """Where MLflow's pages are: its server's address, or where `sweep ui` opens them."""
    return plan.tracking_uri if plan.tracking_uri.startswith("http") else "http://127.0.0.1:5000"


def _home_flag(home: Home) -> str:
    default = Path("runs").absolute() == home.folder or os.environ.get("SWEEP_HOME")
    return "" if default else f" --home {home.folder}"


def _is_complete(swept: Sweep, plan: Plan) -> bool:
    wanted = plan.order.search.n_trials if plan.order.search else 1
    return sum(t.state not in ("WAITING", "RUNNING") for t in swept.trials) >= wanted


def _states(swept: Sweep) -> Mapping[str, int]:
    states = [t.state for t in swept.trials if t.state not in ("WAITING", "RUNNING")]
    return {state: states.count(state) for state in dict.fromkeys(states)}


def _ended(swept: Sweep) -> TrialEnded | None:
    best = swept.best
    if best is None:
        return None
    return TrialEnded(
        best.number, best.state, best.reason, best.value, best.best_epoch, best.checkpoint, best.ended_at_ms or 0
    )


@contextmanager
def _folder(plan: Plan, overrides: Sequence[str]) -> Iterator[Path]:
    """The sweep's folder with its spec; gone again where the input turns out wrong before anything started."""
    folder = plan.home.sweep(plan.order.name)
    fresh = [path for path in (folder, *folder.parents) if not path.exists()]
    find.keep(plan.spec, overrides, plan.home)
    try:
        yield folder / "sweep.log"
    except BadInput:
        if folder in fresh:
            shutil.rmtree(folder)
        for path in fresh:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        raise


@contextmanager
def _streams(log: Path, *, to_stderr: bool) -> Iterator[TextIO]:
    """Sends all that libraries and workers say to the log; yields the screen."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in kept:
        os.dup2(descriptor, number)
    os.close(descriptor)
    screen = os.fdopen(os.dup(kept[2 if to_stderr else 1]), "w", encoding="utf-8")
    try:
        yield screen
    finally:
        screen.close()
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in kept.items():
            os.dup2(saved, number)
            os.close(saved)

"""`sweep run`: drives a sweep to its end, records it, judges its best trial, says what was found."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, cast

from dashboards.tracking.preflight import ask
from experiments import judgement, lookup
from experiments.cli import emit
from experiments.home import Home
from experiments.plan import Plan, make, warnings
from experiments.recovery import lost_study, moved_home
from experiments.report import REPORT
from experiments.spec.experiment import largest
from experiments.terminal import streams
from lstm.records.errors import BadInput
from lstm.records.events import Event, Notice, SweepStarted, TrialStarted
from lstm.records.sweep import Sweep
from lstm.records.trial import counted
from lstm.tasks import registry as tasks

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.executors.executor import Executor
    from cluster.order import Order, Outcome
    from cluster.study.moved import Moved
    from dashboards.tracking.recorder import Recorder
    from experiments.terminal.live import Screen
from experiments.conclusion import deliver, prepare
from experiments.terminal.log import HURRY_S, open_log, redirected

Document = dict[str, Any]
SHOWN = 3  # of what MLflow refused


def main(
    *,
    home: str,
    named: str,
    address: str | None,
    overrides: Sequence[str],
    as_json: bool,
    in_process: bool,
    retries: Sequence[int] = (),
) -> int:
    """Runs the sweep, and failed trials of it again; the exit code."""
    from cluster.executors.choice import chosen
    from cluster.study import stored
    from cluster.study.lease import HeldError

    where = Home.at(home)
    plan = make(lookup.spec(named, where, overrides, execute=True), where)
    executor = chosen(address, overrides, in_process=in_process)
    known = stored.facts(plan.order.study_url, plan.order.name)
    place = moved_home.Place(where, plan.order.name, plan.order.study_url, plan.tracking_uri, not plan.order.place)
    elsewhere = moved_home.look(place, known) if known else None
    plan = _as_kept(plan, known, elsewhere, retries) if known else _as_new(plan)
    is_settled = elsewhere is None and not where.moved_from()
    every = lookup.all_overrides(named, where, overrides)
    started = threading.Event()

    def keep() -> None:
        started.set()
        lookup.keep(plan, every)

    settle = partial(moved_home.settle, place, elsewhere, known or {})
    with open_log(plan, started) as log:
        try:
            with redirected(log, to_stderr=as_json, is_debugged=in_process) as screen:
                document = _run(plan, executor, keep, settle, screen, is_settled=is_settled, as_json=as_json)
                if document["exit_code"]:
                    screen.patience_s = HURRY_S
        except HeldError as error:
            end = f"sweep stop {plan.order.name}{plan.home.flag}"
            print(f"{plan.order.name}: is driven by {error}. `{end}` ends it.", file=sys.stderr)
            return 3
    if as_json:
        emit(document)
    return int(document["exit_code"])


def _as_kept(plan: Plan, known: Mapping[str, Any], elsewhere: "Moved | None", retries: Sequence[int]) -> Plan:
    """The plan of a sweep that has a study: as that was begun, where it is now, with what is to be tried again."""
    from cluster import opening
    from cluster.study import stored

    order = opening.as_begun(plan.order, known, elsewhere)
    opening.check_same(known, order, plan.series)
    opening.check_checkpoints(order, stored.read(order.study_url, order.name), elsewhere)
    order = opening.as_moved(order, elsewhere) if elsewhere else order
    return replace(plan, order=replace(order, retries=tuple(retries)))


def _as_new(plan: Plan) -> Plan:
    """The plan of a sweep that has no study; one that was hardly begun keeps its id."""
    from cluster.study import stored

    plan = replace(plan, notes=(*plan.notes, *lost_study.refuse(plan)))
    begun = stored.unfinished_id(plan.order.study_url, plan.order.name)
    return replace(plan, order=replace(plan.order, study_id=begun or plan.order.study_id))


def _run(
    plan: Plan,
    executor: "Executor",
    keep: Callable[[], None],
    settle: Callable[[Callable[[str], None]], None],
    relay: streams.Relay,
    *,
    is_settled: bool,
    as_json: bool,
) -> Document:
    from cluster.study import stored
    from dashboards.tracking.recorder import Recorder
    from experiments.terminal.formats import console as make_console

    order = plan.order
    console = make_console(file=cast("TextIO", relay))
    before = stored.read(order.study_url, order.name) if stored.facts(order.study_url, order.name) else None
    recorded = before and before.facts.get("recorded") == plan.store_mark and plan.store_is_there
    if before and recorded and is_settled and _is_complete(before, plan) and _has_best(before):
        keep()
        why = f" ({before.exhausted})" if before.exhausted and before.done < order.n_trials else ""
        first = f"This sweep is complete{why}; nothing was left to do."
        return _say(plan, before, console, first, 0, as_json=as_json)
    away = ask(plan.tracking_uri, _store(plan))
    screen = _screen(order, console, before)
    recorder = Recorder(
        plan.tracking_uri,
        plan.artifacts,
        plan.spec.experiment.tracking,
        order.name,
        study=order.study_id,
        notice=lambda text: screen(Notice(text)),
        studies_before=order.studies_before,
        away=bool(away),
    )
    with screen:
        for text in [*warnings(plan), *_outage(away)]:
            screen(Notice(text))
        outcome = _drive(plan, executor, keep, settle, screen, recorder)
    try:
        now = stored.read(order.study_url, order.name)
    except BadInput:  # its database went away, which the outcome says
        now = outcome.sweep
    code, first = _end(outcome, recorder.refused)
    return _say(plan, now, console, first, code, as_json=as_json)


def _screen(order: "Order", console: "Console", before: Sweep | None) -> "Screen":
    """The view of the sweep, with what is known of it."""
    from experiments.terminal.live import Screen

    screen = Screen(
        console,
        order.name,
        n_trials=order.n_trials,
        max_epochs=int(largest("training.max_epochs", order.base.training.max_epochs, order.search)),
        metric=order.base.metric,
        direction=order.base.direction,
        log=sys.stdout,  # which leads to the log now
    )
    if before:
        done = [t.state for t in before.counted if t.ended and t.number not in order.retries]
        screen.known(Counter(done), before.best.ending() if before.best else None)
    return screen


def _drive(
    plan: Plan,
    executor: "Executor",
    keep: Callable[[], None],
    settle: Callable[[Callable[[str], None]], None],
    screen: "Screen",
    recorder: "Recorder",
) -> "Outcome":
    """Has the sweep driven, its events shown and recorded, its best trial judged while the sweep is still held."""
    from cluster import driver
    from cluster.order import Memory

    # PyTorch is needed here at the end alone, to judge; until the first trial runs its import would only be waited for.
    # No daemon: a process that ends in the middle of that import is aborted.
    judging = threading.Thread(target=prepare, name="judging")

    def record(event: Event) -> None:
        if isinstance(event, SweepStarted):
            keep()  # not before: an order that is refused, or held by another driver, leaves no trace
        if isinstance(event, TrialStarted) and not judging.ident:
            with suppress(RuntimeError):  # there may be no more threads: then it is imported when it is needed
                judging.start()
        recorder(event)
        screen(event)

    def conclude(outcome: "Outcome") -> None:
        if left := deliver(plan, outcome, recorder, lambda text: screen(Notice(text))):
            text = f"MLflow did not take {counted(left, 'record')} yet; nothing is lost: run again to deliver them"
            screen(Notice(text))

    return driver.run(
        plan.order,
        plan.series,
        record,
        Memory(recorder, recorder.recorded),
        executor=executor,
        settle=lambda: settle(lambda text: screen(Notice(text))),
        conclude=conclude,
    )


def _outage(away: str | None) -> list[str]:
    return [f"MLflow does not answer ({away}); the sweep starts, runs are sent later"] if away else []


def _store(plan: Plan) -> str:
    """What a refusal of MLflow's store begins with: where its address was given, or what the home has."""
    if plan.tracking_uri == plan.home.tracking_uri:
        return f"--home {plan.home.folder}: mlflow.db"
    return f"{plan.spec.document.where('tracking.uri')}: tracking.uri"


def _end(outcome: "Outcome", refused: Sequence[str]) -> tuple[int, str]:
    """The exit code, and how the run ended; with what MLflow lacks for good, which is a failure, and the way out."""
    words = {
        0: "All trials have ended." if outcome.complete and not outcome.reason else f"Ended: {outcome.reason}.",
        1: f"The sweep failed: {outcome.reason}.",
        130: f"Stopped ({outcome.reason}); every trial's last whole epoch is kept.",
    }
    text = words[outcome.code] + ("" if outcome.complete else " Run the same command again to go on.")
    if not refused:
        return outcome.code, text
    more = f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
    lacking = f"MLflow refused {', '.join(refused[:SHOWN])}{more}, which it lacks now; study and checkpoints have it."
    return outcome.code or 1, f"{text} {lacking} Run the same command again when that is mended."


def _say(plan: Plan, swept: Sweep, console: "Console", first: str, code: int, *, as_json: bool) -> Document:
    """The last screen: what was found, how to look at it, what to do next; the same as plain data."""
    from experiments.terminal.formats import goodput, goodput_line
    from experiments.verbs.best import summary

    verdict, note = judgement.current(plan.home, swept)
    document = {**summary(swept, verdict), "goodput": goodput(swept), "chart": swept.facts.get("chart")}
    document |= {"verdict": judgement.document(verdict) if verdict else None}
    document |= {"warnings": warnings(plan), "exit_code": code, "message": first}
    if as_json:
        return document
    from experiments.verbs.best import show, warn

    console.print()
    warn(document, console)
    console.print(first, style="bold" if code == 0 else "bold yellow", soft_wrap=True)
    show(document, console, verdict, "" if code else note)
    if document["goodput"]:
        console.print(goodput_line(document["goodput"]), soft_wrap=True)
    name, home = plan.order.name, plan.home.flag
    console.print()
    if plan.tracking_uri == plan.home.tracking_uri:
        console.print(f"Curves, side by side   sweep ui {name}{home}", soft_wrap=True)
    if document["chart"]:
        opens = "opens " if plan.tracking_uri == plan.home.tracking_uri else ""
        console.print(f"                       {opens}{document['chart']}", soft_wrap=True)
    if (plan.home.sweep(name) / REPORT).is_file():
        console.print(f"Report                 {plan.home.sweep(name) / REPORT}", soft_wrap=True)
    console.print(f"Trials in a table      sweep compare {name}{home}", soft_wrap=True)
    if swept.best:
        task = tasks.of(plan.order.base)
        into = " --input FILE" if task.needs_input(plan.order.base.data) else ""
        console.print(f"{task.prediction:22} sweep predict {name}{home}{into}{task.output}", soft_wrap=True)
    console.print(f"Log                    {plan.home.sweep(name) / 'sweep.log'}", soft_wrap=True)
    return document


def _has_best(swept: Sweep) -> bool:
    """Whether the checkpoints of the best trial and of the base are where they shall be."""
    from lstm import ownership

    judged = [trial for trial in (swept.best, swept.base) if trial is not None and trial.state == "COMPLETE"]
    try:
        found = [ownership.load_trial(swept, trial) for trial in judged]
    except OSError:
        return False
    return all(each is not None and each.state.best_weights for each in found)


def _is_complete(swept: Sweep, plan: Plan) -> bool:
    return not plan.order.retries and (swept.over(plan.order.n_trials) or swept.reached(plan.order.target))

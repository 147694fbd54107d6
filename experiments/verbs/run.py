"""`sweep run`: drives a sweep to its end, records it, judges its best trial, says what was found."""

import importlib
import os
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from dashboards.ask import ask
from dashboards.runs import without_password
from experiments import find, judgement, lost, moved, streams
from experiments.cli import emit
from experiments.config import largest
from experiments.home import Home
from experiments.plan import Plan, kept_in, make, warnings
from experiments.report import REPORT
from lstm.records import (
    BASE,
    BadInput,
    EpochEnded,
    Event,
    Notice,
    Sweep,
    SweepStarted,
    Trial,
    TrialEnded,
    TrialProbed,
    TrialStarted,
    counted,
)

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.sweep import Order, Outcome
    from dashboards.recorder import Recorder
    from lstm.checkpoint import Checkpoint

Document = dict[str, Any]
FLUSH_S = 60.0  # what the record may still take when the sweep has ended
INTERRUPTED_FLUSH_S = 5.0  # and when it was interrupted
HURRY_S = 5.0  # for who reads the screen, unless all went well
RIVALS_SHARE, LEAST_BUDGET_S = 0.1, 30.0  # of the workers' time, in seconds of a core, for the extra rivals
SHOWN = 3  # of what MLflow refused


def main(
    *,
    home: str,
    named: str,
    address: str | None,
    overrides: Sequence[str],
    as_json: bool,
    retries: Sequence[int] = (),
) -> int:
    """Runs the sweep, and failed trials of it again; the exit code."""
    from cluster import connect, study, sweep
    from cluster.lease import HeldError

    where = Home.at(home)
    plan = make(find.spec(named, where, overrides), where)
    if address:
        connect.check_address(address)
    known = study.facts(plan.order.study_url, plan.order.name)
    place = moved.Place(where, plan.order.name, plan.order.study_url, plan.tracking_uri, not plan.order.place)
    elsewhere = moved.look(place, known) if known else None
    if known:
        order = sweep.as_begun(plan.order, known, elsewhere)
        sweep.check_same(known, order, plan.series)
        sweep.check_checkpoints(order, study.read(order.study_url, order.name), elsewhere)
        order = sweep.as_moved(order, elsewhere) if elsewhere else order
        plan = replace(plan, order=replace(order, retries=tuple(retries)))
    else:
        plan = replace(plan, notes=(*plan.notes, *lost.refuse(plan)))
        begun = study.unfinished_id(plan.order.study_url, plan.order.name)
        plan = replace(plan, order=replace(plan.order, study_id=begun or plan.order.study_id))
    is_settled = elsewhere is None and not where.moved_from()
    every = find.all_overrides(named, where, overrides)
    started = threading.Event()

    def keep() -> None:
        started.set()
        find.keep(plan, every)

    def settle(say: Callable[[str], None]) -> None:
        moved.settle(place, elsewhere, known or {}, say)

    with _log(plan, started) as log:
        try:
            with _streams(log, to_stderr=as_json) as screen:
                document = _run(plan, address, keep, settle, screen, is_settled=is_settled, as_json=as_json)
                if document["exit_code"]:
                    screen.patience_s = HURRY_S
        except HeldError as error:
            end = f"sweep stop {plan.order.name}{plan.home.flag}"
            print(f"{plan.order.name}: is driven by {error}. `{end}` ends it.", file=sys.stderr)
            return 3
    if as_json:
        emit(document)
    return int(document["exit_code"])


def _run(
    plan: Plan,
    address: str | None,
    keep: Callable[[], None],
    settle: Callable[[Callable[[str], None]], None],
    relay: streams.Relay,
    *,
    is_settled: bool,
    as_json: bool,
) -> Document:
    from cluster import study, sweep
    from dashboards.recorder import Recorder
    from experiments.screen import Screen
    from experiments.screen import console as make_console

    order = plan.order
    console = make_console(file=cast("TextIO", relay))
    before = study.read(order.study_url, order.name) if study.facts(order.study_url, order.name) else None
    recorded = before and before.facts.get("recorded") == plan.store_mark and plan.store_is_there
    if before and recorded and is_settled and _is_complete(before, plan) and _has_best(before):
        keep()
        why = f" ({before.exhausted})" if before.exhausted and before.done < order.n_trials else ""
        first = f"This sweep is complete{why}; nothing was left to do."
        return _say(plan, before, console, first, 0, as_json=as_json)
    away = ask(plan.tracking_uri, _store(plan))
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

    # PyTorch is needed here at the end alone, to judge; until the first trial runs its import would only be waited for.
    # No daemon: a process that ends in the middle of that import is aborted.
    judging = threading.Thread(target=importlib.import_module, args=("lstm.tasks",), name="judging")

    def record(event: Event) -> None:
        if isinstance(event, SweepStarted):
            keep()  # not before: an order that is refused, or held by another driver, leaves no trace
        if isinstance(event, TrialStarted) and not judging.ident:
            with suppress(RuntimeError):  # there may be no more threads: then it is imported when it is needed
                judging.start()
        recorder(event)
        screen(event)

    with screen:
        for text in [*warnings(plan), *_outage(away)]:
            screen(Notice(text))
        memory = sweep.Memory(recorder, recorder.recorded)

        def conclude(outcome: "Outcome") -> None:
            if left := _deliver(plan, outcome, recorder, lambda text: screen(Notice(text))):
                text = f"MLflow did not take {counted(left, 'record')} yet; nothing is lost: run again to deliver them"
                screen(Notice(text))

        outcome = sweep.run(
            order,
            plan.series,
            record,
            memory,
            address=address,
            settle=lambda: settle(lambda text: screen(Notice(text))),
            conclude=conclude,
        )
    try:
        now = study.read(order.study_url, order.name)
    except BadInput:  # its database went away, which the outcome says
        now = outcome.sweep
    code, first = _end(outcome, recorder.refused)
    return _say(plan, now, console, first, code, as_json=as_json)


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


def _deliver(plan: Plan, outcome: "Outcome", recorder: "Recorder", say: Callable[[str], None]) -> int:
    """Judges the best trial and waits until MLflow has everything; the number of records that it did not take."""
    order, swept = plan.order, outcome.sweep
    known = False
    if outcome.code == 0:
        metrics = _judge(plan, outcome, recorder, say)
        base = swept.base.number if swept.base else None
        judged = {"trial": swept.best.number, "base": base, "metrics": metrics} if swept.best and metrics else None
        facts: dict[str, Any] = {"judged": judged} if judged else {}
        facts |= {judgement.JUDGED_IN: kept_in(plan.home)}
        known = _remember(order, say, complete=outcome.complete, **facts)
    chart = recorder.chart_address(_server(plan)) if outcome.code == 0 else None
    left = recorder.close(FLUSH_S if outcome.code == 0 else INTERRUPTED_FLUSH_S)
    if not left and not recorder.refused and known:
        recorded = outcome.complete and outcome.replayed and plan.store_mark
        _remember(order, say, recorded=recorded, chart=chart)
    return left


def _remember(order: "Order", say: Callable[[str], None], **facts: Any) -> bool:
    """Stores what was found at the end, or says that the next run must find it again; whether it is stored."""
    from cluster import study

    try:
        study.remember(order.study_url, order.name, **facts)
    except (BadInput, *study.AWAY) as error:
        why = error if isinstance(error, BadInput) else study.trouble(order.study_url, error)
        say(f"the study's database does not answer ({why}); run again, so that it knows the end")
        return False
    return True


def _judge(plan: Plan, outcome: "Outcome", recorder: "Recorder", say: Callable[[str], None]) -> Mapping[str, float]:
    """Judges the best trial and the base on the test part, which nothing has looked at before; writes the report."""
    from experiments import report
    from lstm import tasks

    best = outcome.sweep.best
    found = _best(plan, outcome.sweep, best, recorder, say) if best else None
    metrics = dict(tasks.judge(found, plan.series)) if found else {}
    loaded = {best.number: found} if best else {}
    if found and (base := outcome.sweep.base) is not None and base.state == "COMPLETE" and base.value is not None:
        metrics[f"{BASE}{outcome.sweep.metric}"] = base.value
        kept = found if base is best else _best(plan, outcome.sweep, base, recorder, say)
        loaded[base.number] = kept
        told = tasks.judge(kept, plan.series) if kept else {}
        metrics |= {f"{BASE}{name}": value for name, value in told.items() if name.startswith("test/")}
    _hold_against_rivals(plan, outcome.sweep, loaded, say)
    html = report.write(plan.home, outcome.sweep, outcome.importances, report.Judged(found, plan.series, metrics), say)
    recorder.finish(html, metrics, best, *judgement.in_mlflow(plan.home, outcome.sweep))
    return metrics


def _hold_against_rivals(
    plan: Plan, swept: Sweep, loaded: Mapping[int, "Checkpoint | None"], say: Callable[[str], None]
) -> None:
    """Fits the rivals and judges them beside the networks; whatever goes wrong is told, and not worth a sweep."""
    from lstm import ownership

    def load(trial: Trial) -> "Checkpoint | None":
        return loaded[trial.number] if trial.number in loaded else ownership.load_trial(swept, trial, say)

    worked_s = swept.goodput.worker_s if swept.goodput else 0.0
    try:
        judgement.judge(plan, swept, load, say, max(LEAST_BUDGET_S, RIVALS_SHARE * worked_s))
    except Exception as error:
        why = str(error) if isinstance(error, BadInput | OSError) else f"{type(error).__name__}: {error}"
        say(f"the rivals could not be judged ({why}); `sweep rivals {swept.name}{plan.home.flag}` does it")


def _best(
    plan: Plan, swept: Sweep, best: Trial, recorder: "Recorder", say: Callable[[str], None]
) -> "Checkpoint | None":
    """The best trial's checkpoint with its weights; where it is gone it is put back."""
    from experiments.mend import mend
    from lstm import ownership

    try:
        found = ownership.load_trial(swept, best, say)
        if found is not None and found.state.best_weights:
            return found
        found, is_again = mend(plan, swept, best, lambda: recorder.artifact(best.number), say)
    except BadInput as error:  # another study's
        say(str(error))
        return None
    except OSError as error:
        say(f"{best.checkpoint}: can't be read or written: {error}")
        return None
    if is_again:  # its epochs have other times: its run is written again
        recorder(best.starting(best.checkpoint))
        for epoch in found.state.history:
            recorder(EpochEnded(best.number, epoch))
        later: list[TrialEnded | TrialProbed] = [*swept.endings(), *swept.probings()]
        for event in later:
            if event.number == best.number:
                recorder(event)
    return found


def _say(plan: Plan, swept: Sweep, console: "Console", first: str, code: int, *, as_json: bool) -> Document:
    """The last screen: what was found, how to look at it, what to do next; the same as plain data."""
    from experiments.screen import goodput, goodput_line
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
        data = plan.order.base.data
        into = (" --input FILE" if data.needs_input else "") + (" --output forecast.csv" if data.has_series else "")
        console.print(f"{data.prediction:22} sweep predict {name}{home}{into}", soft_wrap=True)
    console.print(f"Log                    {plan.home.sweep(name) / 'sweep.log'}", soft_wrap=True)
    return document


def _server(plan: Plan) -> str:
    """Where MLflow's pages are: its server's address, or where `sweep ui` opens them."""
    return without_password(plan.tracking_uri) if plan.tracking_uri.startswith("http") else "http://127.0.0.1:5000"


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


@contextmanager
def _log(plan: Plan, started: threading.Event) -> Iterator[Path]:
    """The sweep's log in its folder; both as before where the input turns out wrong before anything started."""
    folder = plan.home.sweep(plan.order.name)
    log = folder / "sweep.log"
    fresh = [path for path in (folder, *folder.parents) if not path.exists()]
    said = log.stat().st_size if log.exists() else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--home {plan.home.folder}: {folder} can't be made: {error.strerror}") from None
    try:
        yield log
    except BadInput:
        if started.is_set():
            raise
        if folder in fresh:
            shutil.rmtree(folder)
        elif said is None:
            log.unlink(missing_ok=True)
        else:
            os.truncate(log, said)
        for path in fresh:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        raise


@contextmanager
def _streams(log: Path, *, to_stderr: bool) -> Iterator[streams.Relay]:
    """Sends all that libraries and workers say to the log; yields the screen."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in kept:
        os.dup2(descriptor, number)
    os.close(descriptor)
    screen = streams.Relay(streams.View(os.dup(kept[2 if to_stderr else 1]), _tell_lost, closefd=True))
    try:
        yield screen
    except BaseException:
        screen.patience_s = HURRY_S
        raise
    finally:
        screen.close()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # the log's disk may be full
                stream.flush()
        streams.forget()
        for number, saved in kept.items():
            os.dup2(saved, number)
            os.close(saved)


def _tell_lost(error: OSError) -> None:
    """A line in the log where the screen is gone: a terminal that was closed, a reader that has left, a full disk."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"{now} note: the screen can't be written ({error.strerror}); the sweep goes on without it", flush=True)

"""Drives a sweep to its end: checks it, runs and records its trials, judges the best one, returns the result."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from dashboards import notifications
from dashboards.notifications import Kind, Notifier
from dashboards.tracking.preflight import ask
from experiments import judgement, lookup
from experiments.conclusion import INTERRUPTED_FLUSH_S, deliver, remember
from experiments.conclusion import prepare as import_for_judging
from experiments.home import Home
from experiments.operations.summary import summary
from experiments.own_code import CodeFile
from experiments.planning import Plan, make, warnings
from experiments.recovery import lost_study, moved_home
from experiments.spec.mapping import Given
from experiments.terminal.formats import goodput
from experiments.trials.earlier import with_first
from experiments.trials.extending import ready as ready_to_extend
from lstm.messages.message import Message, Note, Say, note
from lstm.records.confirmation import JudgedOn, is_left
from lstm.records.errors import BadInput
from lstm.records.events import Event, Notice, Record, SweepStarted, TrialStarted
from lstm.records.state import Derived
from lstm.records.sweep import Sweep

if TYPE_CHECKING:
    from cluster.executors.executor import Executor
    from cluster.interrupts import Stop
    from cluster.order import Outcome
    from cluster.study.moved import Moved
    from dashboards.tracking.recorder import Recorder
    from lstm.verdict.verdict import Verdict

Document = dict[str, Any]
Confirm = tuple[int | None, int | None, JudgedOn | None]  # top, seeds and windows; None is what the spec says
SHOWN = 3  # the most refused records that a message names
KINDS: Mapping[int, Kind] = {0: "ended", 1: "failed", 130: "interrupted"}  # by the exit code of a run
NOTIFIED = "notified"  # fact: what the complete sweep had when the webhook took its end


class View(AbstractContextManager["View"], Protocol):
    """An observer of a sweep while it is driven; called from several threads."""

    def __call__(self, event: Event, /) -> None:
        """Handle an event."""


Looks = Callable[[Sweep | None], View]  # makes a view; takes the sweep as it was before
Signals = Callable[["Stop"], AbstractContextManager[Callable[[], None]]]  # `interrupts.signals`, of the command line


@dataclass(frozen=True)
class Ready:
    """A sweep that is ready to be driven: it was checked, and nothing is started or written yet."""

    plan: Plan
    executor: "Executor"
    overrides: Sequence[str]  # all overrides to keep with its spec
    place: moved_home.Place
    elsewhere: "Moved | None"  # where it was before, if it has moved
    known: Mapping[str, Any]  # what its study remembers
    started: threading.Event = field(default_factory=threading.Event)

    @property
    def is_settled(self) -> bool:
        """Return whether neither the sweep nor the home has moved since their places were written down."""
        return self.elsewhere is None and not self.plan.home.moved_from()

    def keep(self) -> None:
        """Write the spec into the home. From now on the sweep counts as started."""
        self.started.set()
        lookup.keep(self.plan, self.overrides)

    def settle(self, say: Say) -> None:
        """Write down where the sweep and its home are now."""
        moved_home.settle(self.place, self.elsewhere, self.known, say)


@dataclass(frozen=True)
class Ended:
    """How a run of a sweep ended."""

    sweep: Sweep
    code: int
    message: str


def prepare(
    named: str | Given,
    home: Home,
    address: str | None = None,
    overrides: Sequence[str] = (),
    retries: Sequence[int] = (),
    extensions: Sequence[Derived] = (),
    *,
    confirm: Confirm | None = None,
    in_process: bool = False,
    ours: bool = True,
    code: CodeFile = None,
) -> Ready:
    """Check a sweep, and its failed trials that are to be run again; start and write nothing.

    Args:
        named: A spec, or the name of a sweep.
        home: The folder for everything that is kept.
        address: The address of a running Ray cluster; None for a local one.
        overrides: Fields of the spec with other values.
        retries: The numbers of failed trials to run again.
        extensions: The origins of trials that extend others.
        confirm: How many of the best settings `sweep confirm` trains again, from how many seeds, on which windows.
        in_process: Whether trials run in this process, without Ray.
        ours: Whether the process is the command line's own.
        code: The path of the one file of the user's own code, if it is not where the spec says.

    Raises:
        BadInput: something in the input is wrong.
    """
    from cluster.executors.choice import chosen
    from cluster.study import stored

    plan = make(lookup.spec(named, home, overrides, execute=True, code=code), home)
    executor = chosen(address, overrides, in_process=in_process, ours=ours)
    known = stored.facts(plan.order.study_url, plan.order.name)
    plan = with_first(plan, known)
    place = moved_home.Place(home, plan.order.name, plan.order.study_url, plan.tracking_uri, not plan.order.place)
    elsewhere = moved_home.look(place, known) if known else None
    plan = _as_kept(plan, known, elsewhere) if known else _as_new(plan)
    order = replace(plan.order, retries=tuple(retries), extensions=tuple(extensions))
    order = replace(order, confirm=order.confirming(*confirm, is_asked=True)) if confirm else order
    plan = replace(plan, order=order)
    return Ready(plan, executor, lookup.all_overrides(named, home, overrides), place, elsewhere, known or {})


def _as_kept(plan: Plan, known: Mapping[str, Any], elsewhere: "Moved | None") -> Plan:
    """Return the plan of a sweep that has a study, with what it was begun with and its present place."""
    from cluster import opening
    from cluster.study import stored

    order = opening.as_begun(plan.order, known, elsewhere)
    opening.check_same(known, order, plan.series)
    opening.check_checkpoints(order, stored.read(order.study_url, order.name), elsewhere)
    order = opening.as_moved(order, elsewhere) if elsewhere else order
    return replace(plan, order=order)


def _as_new(plan: Plan) -> Plan:
    """Return the plan of a sweep that has no study. A study whose creation was interrupted keeps its id."""
    from cluster.study import stored

    plan = replace(plan, notes=(*plan.notes, *lost_study.refuse(plan)))
    begun = stored.unfinished_id(plan.order.study_url, plan.order.name)
    return replace(plan, order=replace(plan.order, study_id=begun or plan.order.study_id))


def carry_out(ready: Ready, looks: Looks, *, stop: "Stop | None" = None, signals: Signals | None = None) -> Ended:
    """Drive a sweep, or find that nothing is left to do.

    Args:
        ready: The sweep.
        looks: Makes the view, which is entered while the sweep is driven.
        stop: An object by which others can ask the sweep to end.
        signals: Handles signals, and may end this process. Only the command line passes it.

    Raises:
        BadInput: something is wrong that could not be checked before.
        HeldError: another driver holds the sweep.
    """
    from cluster import opening
    from cluster.study import stored
    from dashboards.tracking.recorder import Recorder

    plan, order = ready.plan, ready.plan.order
    before = stored.read(order.study_url, order.name) if stored.facts(order.study_url, order.name) else None
    recorded = before and before.facts.get("recorded") == plan.store_mark and plan.store_is_there
    if before and recorded and ready.is_settled and _is_complete(before, plan) and _has_best(before):
        ready.keep()
        why = f" ({before.exhausted})" if before.exhausted and before.done < order.n_trials else ""
        return Ended(before, 0, f"This sweep is complete{why}; nothing was left to do.")
    away = ask(plan.tracking_uri, _store(plan))
    view = looks(before)
    recorder = Recorder(
        plan.tracking_uri,
        plan.artifacts,
        plan.spec.experiment.tracking,
        order.name,
        study=order.study_id,
        notice=lambda message: view(Notice(message)),
        studies_before=order.studies_before,
        about=opening.about_of(order, plan.series, ready.known),
        away=bool(away),
    )
    with view:
        for each in [*warnings(plan), *_outage(away)]:
            view(Notice(each))
        outcome = _drive(ready, view, recorder, _notifier(plan, before, view), stop, signals)
    try:
        now = stored.read(order.study_url, order.name)
    except BadInput:  # the database does not answer any more, which the outcome reports
        now = outcome.sweep
    return Ended(now, *_end(outcome, recorder.refused))


def _notifier(plan: Plan, before: Sweep | None, view: View) -> Notifier:
    """Return what tells the sweep's webhook, if there is one."""
    best = before.best.value if before and before.best else None
    return Notifier(plan.spec.experiment.tracking, plan.order.name, best, lambda message: view(Notice(message)))


def _drive(
    ready: Ready,
    view: View,
    recorder: "Recorder",
    notifier: Notifier,
    stop: "Stop | None",
    signals: Signals | None,
) -> "Outcome":
    """Drive the sweep, show and record its events, and judge its best trial while the sweep is still held."""
    from cluster import driver
    from cluster.interrupts import Stop
    from cluster.order import Memory

    concluded = list["Outcome"]()

    def say(message: Message) -> None:
        view(Notice(message))

    stop = stop or Stop()

    def conclude(outcome: "Outcome") -> None:
        concluded.append(_conclude(ready.plan, outcome, recorder, say, stop))
        _notify(ready.plan, concluded[0], recorder, notifier, say)

    def mend(swept: Sweep) -> None:
        """Restore what extensions start from. If that fails, no trial starts."""
        try:
            ready_to_extend(ready.plan, swept, recorder, say, partial(_heed, stop))
        except (BadInput, OSError) as error:
            stop.now(str(error), 1)

    with signals(stop) if signals else nullcontext() as install, notifier:
        driver.run(
            ready.plan.order,
            ready.plan.series,
            _recording(ready, recorder, notifier, view),
            Memory(recorder, recorder.recorded),
            executor=ready.executor,
            settle=lambda: ready.settle(say),
            mend=mend,
            conclude=conclude,
            stop=stop,
            install=install,
        )
    return concluded[0]


def _recording(ready: Ready, *takers: Record) -> Record:
    """Return what hands each event on, keeps the spec once the sweep is held, and imports what judging needs."""
    # This process needs PyTorch only at the end, to judge. It is imported in a thread once a trial runs, so nothing
    # waits for the import.
    # The thread is no daemon: a process that exits in the middle of that import is aborted.
    judging = threading.Thread(target=import_for_judging, args=(ready.plan,), name="judging")

    def record(event: Event) -> None:
        if isinstance(event, SweepStarted):
            ready.keep()  # not earlier: a sweep that is refused, or held by another driver, leaves no trace
        if isinstance(event, TrialStarted) and not judging.ident:
            with suppress(RuntimeError):  # no more threads are possible: then PyTorch is imported when it is needed
                judging.start()
        for take in takers:
            take(event)

    return record


def _conclude(plan: Plan, outcome: "Outcome", recorder: "Recorder", say: Say, stop: "Stop") -> "Outcome":
    """Judge the best trial; return the outcome, which says so if the training before the test part was interrupted."""
    from cluster.interrupts import Interrupted

    def heed() -> None:
        if stop.code:  # a search that has ended well, for example after `max_hours`, is still judged
            stop.heed()

    try:
        left = deliver(plan, outcome, recorder, say, heed)
    except Interrupted:
        left = recorder.close(INTERRUPTED_FLUSH_S)
        outcome = replace(outcome, code=stop.code, reason=stop.reason, complete=False)
    if left:
        say(note("records-not-delivered", count=left))
    return outcome


def _notify(plan: Plan, outcome: "Outcome", recorder: "Recorder", notifier: Notifier, say: Say) -> None:
    """Tell the webhook how the run ended, and remember that it took the end of a complete sweep.

    A driver that finds nothing new in a complete sweep, such as one that only fills MLflow's gaps, tells it nothing.
    """
    if notifier.is_idle:
        return
    code, text = _end(outcome, recorder.refused)
    swept, kind = outcome.sweep, KINDS[code]
    best = swept.best.number if swept.best else None
    end = {"trials": sum(trial.ended for trial in swept.trials), "of": swept.n_trials, "best": best}
    is_whole = kind == "ended" and outcome.complete
    if is_whole and swept.facts.get(NOTIFIED) == end:
        return
    verdict, _ = judgement.current(plan.home, swept) if kind == "ended" else (None, "")
    lines = judgement.document(verdict)["lines"] if verdict else [""]
    notifier.end(kind, plan.spec.document.hide(text), swept, complete=is_whole, verdict=lines[0])
    is_taken = notifier.close(notifications.INTERRUPTED_S if kind == "interrupted" else notifications.CLOSE_S)
    if is_taken and is_whole:
        remember(plan.order, say, **{NOTIFIED: end})


def _heed(stop: "Stop") -> None:
    """End a training before the trials if the end of the sweep is asked for.

    Raises:
        InterruptedError: it is.
    """
    if stop.reason:
        raise InterruptedError(stop.reason)


def _outage(away: str | None) -> list[Note]:
    return [note("mlflow-away-at-start", why=away)] if away else []


def _store(plan: Plan) -> str:
    """Return the start of a refusal of MLflow's store: where its address is written, or the home's own file."""
    if plan.tracking_uri == plan.home.tracking_uri:
        return f"--home {plan.home.folder}: mlflow.db"
    return f"{plan.spec.document.where('tracking.uri')}: tracking.uri"


def _end(outcome: "Outcome", refused: Sequence[str]) -> tuple[int, str]:
    """Return the exit code and how the run ended. Records that MLflow refused make the run a failure."""
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


def document(plan: Plan, ended: Ended, verdict: "Verdict | None") -> Document:
    """Return what a run of a sweep has found, as plain data."""
    swept = ended.sweep
    return {
        **summary(swept, verdict),
        "goodput": goodput(swept),
        "chart": swept.facts.get("chart"),
        "verdict": judgement.document(verdict) if verdict else None,
        "warnings": warnings(plan),
        "exit_code": ended.code,
        "message": ended.message,
    }


def _has_best(swept: Sweep) -> bool:
    """Return whether the checkpoints of the best trial and of the base exist, and no training of theirs is missing."""
    from lstm import ownership
    from lstm.training import before_test

    judged = [trial for trial in (swept.best, swept.base) if trial is not None and trial.state == "COMPLETE"]
    try:
        found = [ownership.load_trial(swept, trial) for trial in judged]
    except OSError:
        return False
    return all(each is not None and before_test.is_over(each) for each in found)


def _is_complete(swept: Sweep, plan: Plan) -> bool:
    is_over = swept.over(plan.order.n_trials) or swept.reached(plan.order.target)
    return not plan.order.is_more and is_over and not is_left(swept, plan.order.confirm)

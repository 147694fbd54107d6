"""A sweep driven to its end: checked, driven, recorded, its best trial judged, what was found as plain data."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from dashboards.tracking.preflight import ask
from experiments import judgement, lookup
from experiments.conclusion import deliver
from experiments.conclusion import prepare as import_for_judging
from experiments.home import Home
from experiments.operations.summary import summary
from experiments.planning import Plan, make, warnings
from experiments.recovery import lost_study, moved_home
from experiments.spec.mapping import Given
from experiments.terminal.formats import goodput
from lstm.messages.message import Note, Say, note
from lstm.records.errors import BadInput
from lstm.records.events import Event, Notice, SweepStarted, TrialStarted
from lstm.records.sweep import Sweep

if TYPE_CHECKING:
    from cluster.executors.executor import Executor
    from cluster.interrupts import Stop
    from cluster.order import Outcome
    from cluster.study.moved import Moved
    from dashboards.tracking.recorder import Recorder
    from lstm.verdict.verdict import Verdict

Document = dict[str, Any]
SHOWN = 3  # of what MLflow refused


class View(AbstractContextManager["View"], Protocol):
    """Who looks on while a sweep is driven; called from several threads."""

    def __call__(self, event: Event, /) -> None:
        """Takes an event."""


Looks = Callable[[Sweep | None], View]  # makes a view of what is known of the sweep before
Signals = Callable[["Stop"], AbstractContextManager[Callable[[], None]]]  # the command line's: `interrupts.signals`


@dataclass(frozen=True)
class Ready:
    """A sweep that may be driven: what can be checked before was, and nothing is started or written yet."""

    plan: Plan
    executor: "Executor"
    overrides: Sequence[str]  # all that its spec is to be kept with
    place: moved_home.Place
    elsewhere: "Moved | None"
    known: Mapping[str, Any]  # what its study remembers
    started: threading.Event = field(default_factory=threading.Event)

    @property
    def is_settled(self) -> bool:
        """Whether the home is where it is written down to be."""
        return self.elsewhere is None and not self.plan.home.moved_from()

    def keep(self) -> None:
        """Writes the spec into the home: the sweep has started."""
        self.started.set()
        lookup.keep(self.plan, self.overrides)

    def settle(self, say: Say) -> None:
        """Writes down where the home is now."""
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
    *,
    in_process: bool = False,
    ours: bool = True,
    code: str | None = None,
) -> Ready:
    """Checks a sweep, and failed trials of it that are to be run again.

    Args:
        named: A spec, or the name of a sweep.
        home: Where everything is kept.
        address: A running Ray cluster's, or None for a local one.
        overrides: Fields of the spec with other values.
        retries: Failed trials that others are to stand in for.
        in_process: Whether trials run in this process, without Ray.
        ours: Whether the process is the command line's own.
        code: Another place of the one file of the user's that the spec names.

    Raises:
        BadInput: with what is wrong.
    """
    from cluster.executors.choice import chosen
    from cluster.study import stored

    plan = make(lookup.spec(named, home, overrides, execute=True, code=code), home)
    executor = chosen(address, overrides, in_process=in_process, ours=ours)
    known = stored.facts(plan.order.study_url, plan.order.name)
    place = moved_home.Place(home, plan.order.name, plan.order.study_url, plan.tracking_uri, not plan.order.place)
    elsewhere = moved_home.look(place, known) if known else None
    plan = _as_kept(plan, known, elsewhere, retries) if known else _as_new(plan)
    return Ready(plan, executor, lookup.all_overrides(named, home, overrides), place, elsewhere, known or {})


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


def carry_out(ready: Ready, looks: Looks, *, stop: "Stop | None" = None, signals: Signals | None = None) -> Ended:
    """Drives a sweep, or finds that nothing is left to do.

    Args:
        ready: The sweep.
        looks: Makes the view, which is entered while the sweep is driven.
        stop: Where others ask for the end.
        signals: Heeds signals, and may end this process: the command line's alone.

    Raises:
        BadInput: what could not be known before is wrong.
        HeldError: another driver holds the sweep.
    """
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
        away=bool(away),
    )
    with view:
        for each in [*warnings(plan), *_outage(away)]:
            view(Notice(each))
        outcome = _drive(ready, view, recorder, stop, signals)
    try:
        now = stored.read(order.study_url, order.name)
    except BadInput:  # its database went away, which the outcome says
        now = outcome.sweep
    return Ended(now, *_end(outcome, recorder.refused))


def _drive(ready: Ready, view: View, recorder: "Recorder", stop: "Stop | None", signals: Signals | None) -> "Outcome":
    """Has the sweep driven, its events shown and recorded, its best trial judged while the sweep is still held."""
    from cluster import driver
    from cluster.interrupts import Stop
    from cluster.order import Memory

    # PyTorch is needed here at the end alone, to judge; until the first trial runs its import would only be waited for.
    # No daemon: a process that ends in the middle of that import is aborted.
    judging = threading.Thread(target=import_for_judging, args=(ready.plan,), name="judging")

    def record(event: Event) -> None:
        if isinstance(event, SweepStarted):
            ready.keep()  # not before: an order that is refused, or held by another driver, leaves no trace
        if isinstance(event, TrialStarted) and not judging.ident:
            with suppress(RuntimeError):  # there may be no more threads: then it is imported when it is needed
                judging.start()
        recorder(event)
        view(event)

    def conclude(outcome: "Outcome") -> None:
        if left := deliver(ready.plan, outcome, recorder, lambda message: view(Notice(message))):
            view(Notice(note("records-not-delivered", count=left)))

    stop = stop or Stop()
    with signals(stop) if signals else nullcontext() as install:
        return driver.run(
            ready.plan.order,
            ready.plan.series,
            record,
            Memory(recorder, recorder.recorded),
            executor=ready.executor,
            settle=lambda: ready.settle(lambda message: view(Notice(message))),
            conclude=conclude,
            stop=stop,
            install=install,
        )


def _outage(away: str | None) -> list[Note]:
    return [note("mlflow-away-at-start", why=away)] if away else []


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


def document(plan: Plan, ended: Ended, verdict: "Verdict | None") -> Document:
    """What a run of a sweep has found, as plain data."""
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

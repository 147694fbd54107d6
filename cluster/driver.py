"""The driver of a sweep: lease, executor, study, trials. A sweep can be started again at any time."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

from cluster.executors.executor import Executor, Workplace, limit
from cluster.interrupts import Stop, deadline
from cluster.opening import open_study
from cluster.order import Memory, Order, Outcome
from cluster.ray_backend.demand import Waiting
from cluster.study.lease import Lease, driver, held_by
from cluster.study.retry import Patience, Unreachable
from cluster.study.stored import AWAY, facts, read, trouble, unanswered
from cluster.study.study import Study
from cluster.trials import beside
from lstm import ownership
from lstm.data.dataset import Dataset
from lstm.messages.message import Message, Note, note
from lstm.own_code import imports
from lstm.records.confirmation import CONFIRM, IN_WORDS, best_settings, is_left, lacking, to_confirm
from lstm.records.events import EpochEnded, Notice, Record, SweepEnded, SweepStarted, TrialEnded, now_ms
from lstm.records.sweep import LAUNCHED, TRAINED_AGAIN, Sweep
from lstm.records.trial import Trial

LOG = logging.getLogger(__name__)
T = TypeVar("T")


def run(
    order: Order,
    series: Dataset,
    record: Record,
    memory: Memory,
    *,
    executor: Executor,
    conclude: Callable[[Outcome], None],
    settle: Callable[[], None] = lambda: None,
    mend: Callable[[Sweep], None] = lambda _: None,
    stop: Stop | None = None,
    install: Callable[[], None] | None = None,
) -> Outcome:
    """Drive the sweep until all its trials have ended or it is stopped.

    Args:
        order: What to do.
        series: The data, loaded once.
        record: Receives every event of this driver, from this thread and others.
        memory: Receives, from another thread, the events of earlier drivers' trials that it does not have completely.
        executor: Runs the trials.
        conclude: Called with the outcome while this driver still has the lease.
        settle: Called when this driver has the lease, before the study is opened.
        mend: Called with the sweep before its first trial starts; restores what its trials start from.
        stop: Lets others ask for the end.
        install: Installs the command line's signal handlers again, after Ray has replaced them; None elsewhere.

    Raises:
        BadInput: the executor, the resources or the storage are wrong, or the spec has changed.
        HeldError: another driver has the sweep.
        StoppedError: the job that drives was ended by `sweep stop` before.
    """
    stop = stop or Stop()
    lost, asked = partial(_lost, stop, record), partial(stop.now, "stopped", 130)
    if held := driver(order.study_url, order.name):
        raise held_by(order.name, held)
    packages = sorted({name for each in order.code for name in imports(each)})
    waiting = Waiting(partial(_left, order), partial(_told, record, install), stop)
    place = executor.ready(order.resources, str(order.storage.checkpoints), lost, packages, waiting)
    with (
        _to_be_left(place) as (workplace, leave),
        Lease(order.study_url, order.name, lost=lambda why: stop.now(why.text, 1), stop=asked, job=order.job) as lease,
    ):
        if install:
            install()
        study = _open(order, series, settle)
        patience = Patience(order.study_url, lease.held, stop, record)
        outcome = _run_opened(order, study, series, workplace, record, memory, stop, patience, leave, mend)
        conclude(outcome)
        return outcome


def _told(record: Record, install: Callable[[], None] | None, message: Message) -> None:
    """Tell what a place waits for. Ray has put its own handler on SIGTERM before there is anything to tell."""
    if install:
        install()
    record(Notice(message))


def _left(order: Order) -> int:
    """Return how many trials are to be run, as far as that is known before the study is held; at least 1."""
    before = read(order.study_url, order.name) if facts(order.study_url, order.name) else None
    more = len(order.retries) + len(order.extensions)
    return max(1, order.n_trials - (before.done if before else 0) + more)


def _lost(stop: Stop, record: Record, why: Message) -> int:
    """End the sweep because the place of its trials is gone; return the exit code."""
    stop.now(why.text, 1)
    record(Notice(why))
    return stop.code


def _run_opened(
    order: Order,
    study: Study,
    series: Dataset,
    workplace: Workplace,
    record: Record,
    memory: Memory,
    stop: Stop,
    patience: Patience,
    leave: Callable[[], None],
    mend: Callable[[Sweep], None],
) -> Outcome:
    """Drive a sweep with an open study, leave the place of its trials, and return the outcome."""
    for message in workplace.warnings:
        record(Notice(message))
    record(_started(order, study, series))
    replayed = threading.Event()
    before: Sweep | None = None
    try:
        before = _settle(study, patience, record)
        mend(before)
        delivery = threading.Thread(target=_replay, args=(before, memory, stop, record, replayed), daemon=True)
        delivery.start()
        try:
            _drive(order, study, series, workplace, stop, record, patience)
        finally:
            delivery.join(1.0 if stop.code else None)  # it may be waiting for MLflow
    except Unreachable as error:
        stop.now(str(error), 1)
    leave()
    outcome = _outcome(order, study, before, stop, replayed=replayed.is_set())
    why = outcome.reason or "all trials have ended"
    record(SweepEnded(outcome.complete, why, now_ms(), outcome.sweep.goodput))
    return outcome


def _open(order: Order, series: Dataset, settle: Callable[[], None]) -> Study:
    """Open the sweep's study and queue the retries and extensions that were asked for."""
    try:
        settle()
        study = open_study(order, series)
        if order.launched or study.facts.get(LAUNCHED):
            study.remember(**{LAUNCHED: dict(order.launched)})
        for parent in order.retries:
            study.retry(parent)
        for derived in order.extensions:
            beside.extend(study, derived)
        return study
    except AWAY as error:
        raise unanswered(order.study_url, error) from None


@contextmanager
def _to_be_left(context: AbstractContextManager[T]) -> Iterator[tuple[T, Callable[[], None]]]:
    """Enter a context; yield its value and a function that leaves it in a thread, to be called at most once."""
    with ExitStack() as stack:
        entered = stack.enter_context(context)
        leaving = threading.Thread(target=stack.close, name="leave", daemon=True)
        try:
            yield entered, leaving.start
        finally:
            if leaving.ident:
                leaving.join()


def _settle(study: Study, patience: Patience, record: Record) -> Sweep:
    """End the trials that a killed driver had decided to end; return the sweep as it is then."""
    settled = patience(study.settle)
    before = patience(study.sweep)
    trials = {trial.number: trial for trial in before.trials}
    for ending in before.endings():
        if ending.number in settled:
            replay(before, trials[ending.number], ending, record)
    return before


def _outcome(order: Order, study: Study, before: Sweep | None, stop: Stop, *, replayed: bool) -> Outcome:
    try:
        sweep, importances = study.sweep(), {} if stop.code else study.importances()
    except AWAY as error:
        stop.now(f"the study's database does not answer ({trouble(order.study_url, error)})", 1)
        known = before or Sweep(order.name, order.base.metric, order.base.direction, order.n_trials, ())
        return Outcome(known, {}, complete=False, reason=stop.reason, code=1, replayed=replayed)
    complete = sweep.over() or (stop.code == 0 and bool(stop.reason) and sweep.reached(order.target))
    wanted = order.confirm and order.confirm._replace(is_asked=False)  # what has failed now is not left
    complete = complete and not is_left(sweep, wanted)
    if complete and sweep.best is None:
        ended = [t for t in sweep.counted if t.ended]
        stop.now(f"no trial completed, the last one: {ended[-1].reason}", 1)
    reason = stop.reason or (sweep.exhausted if complete and sweep.done < sweep.n_trials else "")
    return Outcome(sweep, importances, complete, reason, stop.code, replayed)


def _drive(
    order: Order,
    study: Study,
    series: Dataset,
    workplace: Workplace,
    stop: Stop,
    record: Record,
    patience: Patience,
) -> None:
    """Run the search, then what comes after it: confirm."""
    from cluster.controller import TrialController

    def run(*, search: bool) -> TrialController:
        controller = TrialController(
            study,
            checkpoints=order.checkpoints,
            keep=order.storage.top,
            order=order.for_workers(workplace.gpus_per_trial),
            limit=limit(order.resources, workplace),
            stop=stop,
            record=record,
            patience=patience,
            beside=not search,
        )
        controller.open()
        workplace.run(controller, series, order.name)
        return controller

    with deadline(_hours(order), stop):
        controller = run(search=True)
        by_target = controller.ended_by_target
        if stop.reason and stop.code == 0 and patience(study.sweep).reached(order.target):
            controller.close_open("the sweep reached its target")
        rest = controller.rest()
        patience(lambda: study.remember(**rest))
        if (not stop.reason or by_target) and patience(lambda: _queue_confirm(order, study, record)):
            why = stop.take_back()
            rest = run(search=False).rest()
            patience(lambda: study.remember(**rest))
            if by_target and not stop.reason:
                stop.now(why, 0)


def _queue_confirm(order: Order, study: Study, record: Record) -> bool:
    """Queue the trials of confirm if the search has ended; return whether any trial of confirm is open."""
    sweep = study.sweep()
    if not (sweep.searched or sweep.reached(order.target)):
        return False
    if row := to_confirm(sweep, order.confirm):
        is_asked = order.confirm is not None and order.confirm.is_asked
        left = lacking(sweep, row, is_asked=is_asked)
        beside.confirm(study, row, left)
        if row != sweep.facts.get(CONFIRM):
            for each in _about_confirm(order, sweep, row, len(left)):
                record(Notice(each))
        sweep = study.sweep()
    return any(not trial.ended for trial in sweep.confirming)


def _about_confirm(order: Order, sweep: Sweep, row: Mapping[str, Any], left: int) -> Iterator[Note]:
    """Yield notes on what is confirmed: how many settings, from how many seeds, with `left` trials, and what is not."""
    settings, seeds, base = len(row["settings"]), row["seeds"], sweep.base
    windows = IN_WORDS[row["windows"]]
    yield note("settings-confirmed", at=sweep.name, settings=settings, seeds=seeds, trials=left, windows=windows)
    if order.confirm is not None and (there := len(best_settings(sweep))) < order.confirm.top:
        yield note("fewer-to-confirm", at=sweep.name, top=order.confirm.top, there=there)
    if base is not None and base.compared_value is None:
        yield note("base-not-confirmed", at=f"trial {base.number}", why=base.reason or base.state)


def _replay(sweep: Sweep, memory: Memory, stop: Stop, record: Record, done: threading.Event) -> None:
    """Send memory the events of ended trials that it lacks, from study and checkpoints; then set `done`.

    Memory may have the lost epochs of a trial that was trained again, if its driver was killed at once. It may not
    answer before that training, so the study alone knows. What memory has already is not doubled.
    """
    endings = sweep.endings()
    try:
        known = set(memory.recorded()) if endings else set()
        known -= set(sweep.facts.get(TRAINED_AGAIN, ()))
        trials = {trial.number: trial for trial in sweep.trials}
        for ending in endings:
            if stop.code:  # interrupted: the next driver sends the rest
                return
            if ending.number not in known:
                replay(sweep, trials[ending.number], ending, memory.record)
        done.set()
    except Exception as error:  # no training waits for it
        LOG.exception("earlier trials could not all be recorded")
        record(Notice(note("earlier-trials-unrecorded", why=type(error).__name__)))


def replay(sweep: Sweep, trial: Trial, ending: TrialEnded, record: Record) -> None:
    """Send the events of an ended trial to `record`."""
    record(trial.starting(trial.checkpoint))
    found = ownership.load_trial(sweep, trial)
    for epoch in found.state.history if found else ():
        record(EpochEnded(trial.number, epoch))
    if trial.probed is not None:
        record(trial.probed)
    record(ending)


def _started(order: Order, study: Study, series: Dataset) -> SweepStarted:
    return SweepStarted(
        sweep=order.name,
        n_trials=study.n_trials,
        metric=order.base.metric,
        direction=order.base.direction,
        at_ms=now_ms(),
        spec_text=order.spec_text,
        spec_hash=order.spec_hash,
        data_fingerprint=series.fingerprint,
        git_commit=order.git_commit,
        searched=tuple(sorted(order.search.space)) if order.search else (),
    )


def _hours(order: Order) -> float | None:
    return order.search.stop.max_hours if order.search else None

"""Trains a refit under the sweep's lease: each seed is a trial beside the search, with a worker of its own.

One seed is trained in this process, several on the workers of an executor, as the trials of a sweep.

The order of durability is that of all trials: checkpoint, study, MLflow. The same command goes on after a kill.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from dashboards.notifications import CLOSE_S, INTERRUPTED_S, Kind, Notifier
from dashboards.tracking.preflight import ask
from experiments.conclusion import FLUSH_S, INTERRUPTED_FLUSH_S
from experiments.recovery import moved_home
from experiments.recovery.lost_checkpoint import mend, tell_again
from experiments.trials import refitting, unfinished, warming
from experiments.trials.refitting import Ready
from experiments.trials.warming import START
from lstm.messages.message import Message, note
from lstm.records.epoch import Epoch, epochs_s
from lstm.records.errors import Fault, Refusal, fault
from lstm.records.events import DRIVERS, About, Driver, EpochEnded, Event, Notice, TrialLost, driven, now_ms
from lstm.records.objective import Scalar
from lstm.records.state import Derived
from lstm.records.sweep import RECORDED_BEFORE, REFIT, UNTOLD, Sweep
from lstm.records.trial import Trial

if TYPE_CHECKING:
    from cluster.executors.executor import Workplace
    from cluster.interrupts import Stop
    from cluster.study.retry import Patience
    from cluster.study.study import Study
    from dashboards.tracking.recorder import Recorder

Signals = Callable[["Stop"], AbstractContextManager[Callable[[], None]]]


class Failed(Refusal):
    """A refit that could not go on; its finished epochs are kept. `code` is the command line's exit code."""

    def __init__(self, *faults: Fault, code: int = 1) -> None:
        """Take what happened, and the exit code."""
        super().__init__(*faults)
        self.code = code


class View(Protocol):
    """An observer of a refit."""

    def say(self, message: Message) -> None:
        """Show a note."""

    def epoch(self, number: int, epoch: Epoch, of: int) -> None:
        """Show an epoch of a trial that has ended and is kept; `of` is the number of all its epochs."""


def fit(ready: Ready, view: View, *, stop: "Stop | None" = None, signals: Signals | None = None) -> tuple[Trial, ...]:
    """Train what of a refit is not trained yet, and return its trials, one for each seed.

    Args:
        ready: The refit.
        view: Is told what happens.
        stop: An object by which others can ask for the end.
        signals: Handles signals, and may end this process. Only the command line passes it.

    Raises:
        BadInput: another refit was begun in the meantime, or MLflow's store can't take the runs.
        HeldError: another driver holds the sweep.
        Failed: a training diverged or was interrupted, or a store failed.
    """
    from cluster.interrupts import Stop
    from cluster.study.lease import driver, held_by

    stop = stop or Stop()
    order = ready.plan.order
    if held := driver(order.study_url, order.name):
        raise held_by(order.name, held)
    away = ask(ready.plan.tracking_uri, f"{order.name}: tracking.uri")
    if away:
        view.say(note("mlflow-away-at-start", why=away))
    notifier = Notifier(ready.plan.spec.experiment.tracking, order.name, None, view.say, what="refit")
    with signals(stop) if signals else nullcontext() as install, notifier:
        try:
            return _under_lease(ready, view, stop, notifier, install, is_away=bool(away))
        except Failed as error:
            why = "; ".join(each.removeprefix(f"{order.name}: ") for each in error.messages)
            kind: Kind = "interrupted" if error.code == 130 else "failed"
            notifier.end(kind, ready.plan.spec.document.hide(f"The refit of trial {ready.parent.number}: {why}."))
            notifier.close(INTERRUPTED_S if stop.code else CLOSE_S)
            raise


def _under_lease(
    ready: Ready,
    view: View,
    stop: "Stop",
    notifier: Notifier,
    install: Callable[[], None] | None,
    *,
    is_away: bool,
) -> tuple[Trial, ...]:
    """Hold the sweep, train, tell the webhook, and return the trials."""
    from cluster.interrupts import Interrupted
    from cluster.study.lease import Lease
    from cluster.study.retry import Patience, Unreachable
    from cluster.study.stored import AWAY, unanswered

    order = ready.plan.order
    lost, asked = (lambda why: stop.now(why.text, 1)), partial(stop.now, "stopped", 130)
    with (
        refitting.workplace(ready, view.say, stop) as workplace,
        Lease(order.study_url, order.name, lost=lost, stop=asked) as lease,
    ):
        if install:
            install()  # Ray has put its own on SIGTERM
        insist = Patience(order.study_url, lease.held, stop, partial(_notice, view))
        try:
            return _Fit(ready, view, stop, insist, notifier, is_away, workplace).trials()
        except Interrupted:
            code = "refit-interrupted" if stop.code != 1 else "refit-failed"
            raise Failed(fault(code, at=order.name, why=stop.reason), code=stop.code) from None
        except (Unreachable, *AWAY, OSError) as error:
            away = unanswered(order.study_url, error) if isinstance(error, AWAY) else error
            raise Failed(fault("refit-failed", at=order.name, why=str(away))) from error


def _told(view: View, recorder: "Recorder", event: Event) -> None:
    """Hand an event on to MLflow's records, and what is to be said of it to the view."""
    if isinstance(event, TrialLost):
        view.say(note("refit-tried-again", at=f"trial {event.number}", why=event.reason))
    _notice(view, event)
    recorder(event)


def _notice(view: View, event: object) -> None:
    if isinstance(event, Notice):
        view.say(event.message)


@dataclass
class _Fit:
    """A refit while it is trained; the lease is held."""

    ready: Ready
    view: View
    stop: "Stop"
    insist: "Patience"
    notifier: Notifier
    is_away: bool
    workplace: "Workplace"
    open: list[int] = field(default_factory=list)  # the numbers of the trials that are yet to be trained

    def trials(self) -> tuple[Trial, ...]:
        """Train what is missing, deliver it to MLflow, and return the trials."""
        study = self._open()
        swept = self.insist(study.sweep)  # under the lease: nobody else begins one now
        refitting.check_open(swept, self.ready.seeds[0], f"`sweep refit {swept.name}`")
        self.notifier.begin(swept.metric, swept.direction)
        recorder = self._recorder(study)
        try:
            self._settle(study, recorder)
            self._give_up_others(study, self.insist(study.sweep), recorder)
            seeds = (self._judged(study),) if self.ready.warm else self.ready.seeds
            numbers = [self._begun(study, recorder, derived) for derived in seeds]
            if still := {n: each for n, each in zip(numbers, seeds, strict=True) if n in self.open}:
                if not self.notifier.is_idle:
                    self.insist(partial(study.remember, **{UNTOLD: numbers}))
                self._train(study, still, recorder)
            trials = {trial.number: trial for trial in self.insist(study.sweep).trials}
            diverged = [trials[number] for number in numbers if trials[number].diverged]
            if not diverged:
                self.insist(partial(study.remember, **{REFIT: numbers}))
                if self.ready.warm:
                    unfinished.clear(self.ready.warm.address)
                    self.insist(partial(study.remember, **unfinished.ended(study.facts, [self.ready.parent.number])))
        finally:
            self._deliver(study, recorder)
        if diverged:
            raise Failed(*(fault("refit-diverged", at=f"trial {t.number}", reason=t.reason) for t in diverged))
        self._tell(study, numbers)
        return tuple(trials[number] for number in numbers)

    def _tell(self, study: "Study", numbers: list[int]) -> None:
        """Tell the webhook that the refit has ended, unless it has taken that before; a driver may have been killed."""
        if study.facts.get(UNTOLD) != numbers or self.notifier.is_idle:
            return
        told = ", ".join(map(str, numbers))
        said = f"The refit of trial {self.ready.parent.number} has ended (trial {told})."
        self.notifier.end("ended", said, complete=True)
        if self.notifier.close(CLOSE_S):
            self.insist(partial(study.remember, **{UNTOLD: None}))

    def _open(self) -> "Study":
        from cluster.study.study import Study

        ready, order = self.ready, self.ready.plan.order
        moved_home.settle(ready.place, ready.elsewhere, ready.known, self.view.say)
        return Study(order.study_url, order.name, order.search, order.base)

    def _recorder(self, study: "Study") -> "Recorder":
        from dashboards.tracking.recorder import Recorder

        plan, order = self.ready.plan, self.ready.plan.order
        by = Driver(now_ms(), order.user, order.source, order.git_commit or "")
        self.insist(partial(study.remember, **{DRIVERS: driven(study.facts, by)}))
        return Recorder(
            plan.tracking_uri,
            plan.artifacts,
            plan.spec.experiment.tracking,
            plan.order.name,
            study=plan.order.study_id,
            notice=self.view.say,
            studies_before=plan.order.studies_before,
            about=About.of(study.facts),
            away=self.is_away,
        )

    def _settle(self, study: "Study", recorder: "Recorder") -> None:
        """End the trials whose end a killed driver had decided and not told Optuna."""
        from lstm import ownership

        settled = self.insist(study.settle)
        swept = self.insist(study.sweep)
        for trial in swept.trials:
            if trial.number in settled and (found := ownership.load_trial(swept, trial, self.view.say)):
                tell_again(swept, trial, found, recorder)

    def _give_up_others(self, study: "Study", swept: Sweep, recorder: "Recorder") -> None:
        """End an open refit that was asked for in the same way: its data have grown since."""
        from lstm import checkpoint, ownership

        for trial in swept.refits:
            if trial.ended or self.ready.is_this(trial):
                continue
            self.view.say(note("refit-given-up", at=f"trial {trial.number}", count=trial.fitted["count"]))
            address = checkpoint.address_of(self.ready.plan.order.checkpoints, trial.number)
            found = ownership.load(address, ownership.Owner.of(swept, trial), self.view.say)
            self._unmark(study)
            self.insist(partial(study.adopt, trial.number))
            recorder(trial.starting(address, now_ms()))
            history = [*found.state.history] if found else []
            for epoch in history:
                recorder(EpochEnded(trial.number, epoch))
            self._give_up(study, trial.number, history, address, recorder)
            if found:
                checkpoint.strip(address, found)

    def _judged(self, study: "Study") -> Derived:
        """Return the trial of a warm refit as the windows have it, or as they had it before a kill."""
        from lstm.training import refit

        ready, warm = self.ready, self.ready.warm
        assert warm is not None
        there = [each for each in self.insist(study.sweep).refits if ready.is_this(each) and each.state != "FAIL"]
        mine = next((each.derived for each in there if each.state == "COMPLETE" or not each.ended), None)
        if mine is None:
            until = str(ready.seeds[0].fitted["until"] or "") or None
            begun = unfinished.begun(study.facts, ready.parent.number, until, warm.trainings)
            self.insist(partial(study.remember, **begun))
            train = partial(refit.train, device=self._device(), heed=self.stop.heed)
            at = f"the refit of trial {ready.parent.number}"
            mine = ready.judged(warm.judge(lambda *given, **named: _able(train(*given, **named), at, 0), self.view.say))
        if told := warming.said(mine.fitted, warm.config.metric):
            self.view.say(replace(told, place=ready.plan.order.name))
        return mine

    def _device(self) -> str:
        from lstm.device import claim

        resources = self.ready.plan.order.resources
        gpus = resources.gpus_per_trial
        return claim(resources.cpus_per_trial, None if gpus == "auto" else gpus)

    def _begun(self, study: "Study", recorder: "Recorder", derived: Derived) -> int:
        """Return the number of the trial of one seed; begin the trial if there is none."""
        from cluster.trials import refits

        swept = self.insist(study.sweep)
        mine = [each for each in swept.refits if each.derived == derived and each.state != "FAIL"]
        trial = next((each for each in mine if each.state == "COMPLETE" or not each.ended), None)
        if trial is not None and trial.ended:
            self._keep(study, swept, trial, recorder)
            return trial.number
        if trial is None and (gone := next((each for each in mine if each.diverged), None)):
            return gone.number
        self._unmark(study)
        number = self.insist(partial(refits.begin, study, derived)) if trial is None else trial.number
        self.open.append(number)
        return number

    def _keep(self, study: "Study", swept: Sweep, trial: Trial, recorder: "Recorder") -> None:
        """Make sure that an ended trial has its weights, and MLflow its run."""
        from lstm import ownership

        found = ownership.load_trial(swept, trial, self.view.say)
        if found is None or not found.state.best_weights:
            artifact = partial(recorder.artifact, trial.number)
            plan = replace(self.ready.plan, series=self.ready.series(trial.fitted.get(START)))
            start = self._weights(trial.fitted)
            self._unmark(study)
            found, _ = mend(plan, swept, trial, artifact, self.view.say, heed=self.stop.heed, start=start)
        tell_again(swept, trial, found, recorder)

    def _weights(self, fitted: Mapping[str, Scalar]) -> Mapping[str, Any] | None:
        return self.ready.warm.weights(fitted[START]) if self.ready.warm else None

    def _train(self, study: "Study", seeds: Mapping[int, Derived], recorder: "Recorder") -> None:
        """Train open trials, given by their numbers, on as many workers as there is room for.

        Raises:
            Interrupted: the end was asked for.
        """
        from cluster.executors import refits
        from cluster.interrupts import Interrupted

        first = next(iter(seeds.values()))  # all seeds have the same data and start in the same way
        refits.train(
            study,
            [*seeds],
            self.ready.series(first.fitted.get(START)),
            self.workplace,
            self.ready.plan.order,
            stop=self.stop,
            record=partial(_told, self.view, recorder),
            patience=self.insist,
            start=self._weights(first.fitted),
            show=lambda number, epoch: self.view.epoch(number, epoch, int(str(seeds[number].fitted["epochs"]))),
        )
        if self.stop.reason:
            raise Interrupted(self.stop.reason)

    def _give_up(self, study: "Study", number: int, history: list[Epoch], address: str, recorder: "Recorder") -> None:
        """Store that a trial ends without a value, and record it."""
        from cluster.decisions import End

        before = self.insist(study.sweep)
        last_ms = max((trial.ended_at_ms or 0 for trial in before.trials), default=0)
        end = End(
            "PRUNED",
            reason="given up: its data had grown",
            checkpoint=address if history else "",
            at_ms=max(now_ms(), last_ms + 1),  # the ends have one order, even if clocks differ
            epochs_s=epochs_s(history),
            epochs=len(history),
        )
        self.insist(partial(study.end, number, end))
        recorder(self.insist(partial(study.trial, number)).ending())

    def _unmark(self, study: "Study") -> None:
        """Store that MLflow is about to lack something, and what is to be stored again when it has all."""
        recorded = study.facts.get("recorded")
        if recorded:
            self.insist(partial(study.remember, **{RECORDED_BEFORE: recorded, "recorded": False}))

    def _deliver(self, study: "Study", recorder: "Recorder") -> None:
        """Wait for MLflow, and store that it has everything if it had everything before."""
        left = recorder.close(INTERRUPTED_FLUSH_S if self.stop.code else FLUSH_S)
        if left:
            self.view.say(note("records-not-delivered", count=left))
        if recorder.refused:
            self.view.say(note("refit-refused-by-mlflow", refused=list(recorder.refused)))
        is_over = all(trial.ended for trial in self.insist(study.sweep).refits)
        before = study.facts.get(RECORDED_BEFORE)
        if before and is_over and not left and not recorder.refused and not self.stop.code:
            self.insist(partial(study.remember, **{"recorded": before, RECORDED_BEFORE: None}))


def _able(epochs: Iterator[Epoch], at: str, done: int) -> Iterator[Epoch]:
    """Yield epochs, and raise what a training can't go on for as what it is.

    Raises:
        Failed: the memory does not suffice, or a user's own code raises.
    """
    from lstm.device import is_out_of_memory
    from lstm.own_code import place_of, raised

    try:
        for epoch in epochs:
            done += 1
            yield epoch
    except Exception as error:
        if where := place_of(error):
            raise Failed(*raised(error, where).faults) from error
        if is_out_of_memory(error):
            raise Failed(fault("out-of-memory", at=at, epoch=done + 1)) from error
        raise

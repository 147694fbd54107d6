"""Extends trials: checks what is asked for, says what it means, and restores the weights that it starts from."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from experiments.planning import Plan
from experiments.recovery.lost_checkpoint import LOST, mend, tell_again
from lstm.config.training import TO_ZERO, TrainingConfig
from lstm.config.trial import TrialConfig
from lstm.messages.message import Note, Say, note
from lstm.records.errors import BadInput, Fault, fault, refused
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.training.extension import RULES, changes

if TYPE_CHECKING:
    from dashboards.tracking.recorder import Recorder

SHOWN = 20  # the most trials that an error lists
FREED = note("weights-freed")
RATE, SCHEDULE, EPOCHS = "training.learning_rate", "training.schedule", "training.max_epochs"


def extension(sweep: Sweep, number: int, epochs: int, learning_rate: float | None) -> Derived:
    """Return the origin of a trial that extends another.

    Args:
        sweep: The sweep as its study knows it.
        number: The trial to extend, which has ended.
        epochs: The last epoch of its extension.
        learning_rate: The rate from here on; None keeps the optimizer's, and the schedule.

    Raises:
        BadInput: the trial can't be extended, or not so far.
    """
    if sweep.reached(sweep.facts.get("target")):
        raise refused("target-reached", at=sweep.name)
    if sweep.windows.count > 1:
        raise refused("extend-in-backtest", at=sweep.name)
    trial = next((each for each in sweep.trials if each.number == number), None)
    if trial is None:
        there = [each.number for each in sweep.trials if not [*_unfit(sweep, each)]]
        more = max(len(there) - SHOWN, 0) or None
        raise refused("no-trial-to-extend", at=sweep.name, number=number, trials=there[:SHOWN], more=more)
    faults = [*_unfit(sweep, trial)] or [*_out_of_reach(sweep, trial, epochs, learning_rate)]
    if faults:
        raise BadInput(*faults)
    before = trial.derived.changes if trial.derived else {}
    made = changes(_training(trial), _spoke(trial), epochs, learning_rate)
    derived = Derived(number, "extend", {**before, **made}, _epochs(trial))
    if faults := [*_made_before(sweep, derived), *_gone(sweep, trial)]:
        raise BadInput(*faults)
    return derived


def about(sweep: Sweep, derived: Derived) -> Iterator[Note]:
    """Yield notes on an extension: where it goes on, whether it equals one training, and which rules still stop it."""
    trial = next(each for each in sweep.trials if each.number == derived.parent)
    training, rate = _training(trial), derived.changes.get(RATE)
    told: dict[str, Any] = {"after": derived.after, "epochs": derived.changes[EPOCHS]}
    at, schedule = f"trial {trial.number}", training.schedule
    if rate is not None and (rate, "constant") != (training.learning_rate, schedule):
        yield note("extended-at-another-rate", at=at, rate=rate, **told)
    else:
        yield note("extended-to-the-bit", at=at, schedule=schedule, **told)
    for rule in RULES.values():
        value = getattr(training, rule)
        if value is not None:
            code = "extended-without-rule" if f"training.{rule}" in derived.changes else "extended-with-rule"
            yield note(code, at=at, rule=rule, value=value, **told)


def ready(plan: Plan, sweep: Sweep, recorder: "Recorder", say: Say, heed: Callable[[], object]) -> None:
    """Restore the weights of each trial that is being extended, unless its extension has a checkpoint of its own.

    The caller must hold the sweep's lease.

    Args:
        plan: The sweep's plan, with its data.
        sweep: The sweep as its study knows it.
        recorder: Is asked for MLflow's copy of a checkpoint, and gets the epochs of a trial that is trained again.
        say: Called with notes.
        heed: Called before each step of a training. What it raises ends the training.

    Raises:
        BadInput: a checkpoint is another study's.
        OSError: a checkpoint can't be read or written.
    """
    from lstm import checkpoint, ownership

    trials = {trial.number: trial for trial in sweep.trials}
    for trial in sweep.extensions:
        own = checkpoint.address_of(plan.order.checkpoints, trial.number)
        if trial.ended or ownership.load(own, ownership.Owner.of(sweep, trial)) is not None:
            continue
        parent = trials[trial.extends or 0]
        found = ownership.load_trial(sweep, parent, say)
        if parent.extends is not None or (found is not None and found.state.model):
            continue
        ask, why = partial(recorder.artifact, parent.number), LOST if found is None else FREED
        made, is_again = mend(plan, sweep, parent, ask, say, why=why, heed=heed)
        if is_again:
            tell_again(sweep, parent, made, recorder)


def _unfit(sweep: Sweep, trial: Trial) -> Iterator[Fault]:
    """Yield why a trial can't be extended, however far."""
    named: dict[str, Any] = {"at": sweep.name, "number": trial.number, "sweep": sweep.name}
    if not trial.ended:
        yield fault("extend-before-end", state=trial.state, **named)
    elif trial.state == "FAIL":
        code = "extend-of-failed-extension" if trial.extends is not None else "extend-of-failed-trial"
        yield fault(code, parent=trial.extends, **named)
    elif trial.diverged:
        yield fault("extend-of-diverged-trial", reason=trial.reason, **named)
    elif not trial.checkpoint or not _epochs(trial):
        yield fault("extend-without-epochs", **named)


def _out_of_reach(sweep: Sweep, trial: Trial, epochs: int, learning_rate: float | None) -> Iterator[Fault]:
    """Yield why a trial can't be extended so far."""
    if epochs <= _epochs(trial):
        yield fault("epochs-not-beyond", at=f"--epochs {epochs}", number=trial.number, has=_epochs(trial))
    schedule = _training(trial).schedule
    if schedule not in TO_ZERO or learning_rate is not None:
        return
    end = _training(_first(sweep, trial)).max_epochs
    if epochs > end:
        left = end if end > _epochs(trial) else None
        told: dict[str, Any] = {"number": trial.number, "schedule": schedule, "end": end, "left": left}
        yield fault("schedule-has-ended", at=f"--epochs {epochs}", **told)


def _made_before(sweep: Sweep, derived: Derived) -> Iterator[Fault]:
    """Yield a fault if another extension of the trial is open, or if this very one has ended."""
    for trial in sweep.extensions:
        named: dict[str, Any] = {"at": sweep.name, "number": derived.parent, "sweep": sweep.name}
        named |= {"extension": trial.number}
        if trial.extends != derived.parent or trial.derived is None:
            continue
        epochs = trial.derived.changes[EPOCHS]
        if not trial.ended and trial.derived != derived:
            yield fault("trial-being-extended", epochs=epochs, **named)
        elif trial.derived == derived and (trial.state == "COMPLETE" or trial.diverged):
            yield fault("trial-extended-already", epochs=epochs, **named)


def _gone(sweep: Sweep, trial: Trial) -> Iterator[Fault]:
    """Yield a fault if an extension has lost its weights: unlike other trials, it is not trained again."""
    from lstm import ownership

    if trial.extends is None:
        return
    found = ownership.load_trial(sweep, trial)
    if found is None or not found.state.model:
        yield fault("extension-weights-gone", at=sweep.name, number=trial.number, first=_first(sweep, trial).number)


def _first(sweep: Sweep, trial: Trial) -> Trial:
    """Return the trial of the search at the beginning of a chain of extensions."""
    trials = {each.number: each for each in sweep.trials}
    while trial.extends is not None:
        trial = trials[trial.extends]
    return trial


def _training(trial: Trial) -> TrainingConfig:
    return TrialConfig.model_validate(trial.config).training


def _epochs(trial: Trial) -> int:
    """Return how many epochs a trial has in its checkpoint."""
    return len(trial.curve) - trial.lost_epochs


def _spoke(trial: Trial) -> str:
    """Return which rule has stopped a trial before its last epoch, or would stop it at its next one; "" if none."""
    patience = _training(trial).patience
    if patience is not None and _epochs(trial) - trial.best_epoch >= patience:
        return "patience"
    return trial.reason if trial.reason in RULES else ""

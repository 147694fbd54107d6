"""Restores a lost checkpoint of a trial: from its artifact in MLflow, or by training the trial again."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from experiments.planning import Plan
from lstm.messages.message import Note, Say, note
from lstm.records.epoch import same
from lstm.records.events import EpochEnded, Record, TrialEnded, TrialProbed
from lstm.records.sweep import TRAINED_AGAIN, Sweep
from lstm.records.trial import Trial

if TYPE_CHECKING:
    from lstm.checkpoint import Checkpoint

LOST = note("checkpoint-lost")


def mend(
    plan: Plan,
    swept: Sweep,
    trial: Trial,
    artifact: Callable[[], bytes | None],
    say: Say,
    *,
    why: Note = LOST,
    heed: Callable[[], object] = lambda: None,
    start: Mapping[str, Any] | None = None,
) -> tuple["Checkpoint", bool]:
    """Restore a trial's checkpoint at its address, and say where it came from and whether it is the same.

    Returns the checkpoint, and whether the trial was trained again. The caller must hold the sweep's lease.

    Args:
        plan: The sweep's plan, with the data to train the trial on; for a refit those that it is fitted on.
        swept: The sweep as its study knows it.
        trial: The trial, which has ended.
        artifact: Asks MLflow for the trial's checkpoint file; returns None if it has none or does not answer.
        say: Called with notes of what was done.
        why: Says why the trial is trained again.
        heed: Called before each step of a training. What it raises ends the training.
        start: The weights that a warm refit begins with.

    Raises:
        OSError: the checkpoint can't be written.
    """
    from lstm.checkpoint import file_name
    from lstm.storage import files

    data = artifact()
    found = _valid(swept, trial, data, say) if data is not None else None
    if found is not None and data is not None:
        files.put(trial.checkpoint, file_name(trial.attempt, found.state.place), data)
        say(note("checkpoint-taken-from-mlflow", at=f"trial {trial.number}", alike=_alike(swept, trial, found)))
        return found, False
    say(replace(why, place=f"trial {trial.number}"))
    found = _train(plan, swept, trial, heed, start)
    say(note("trained-again", at=f"trial {trial.number}", alike=_alike(swept, trial, found)))
    return found, True


def tell_again(swept: Sweep, trial: Trial, found: "Checkpoint", record: Record) -> None:
    """Record a trial that was trained again: its epochs have other times now, so its run is written again."""
    record(trial.starting(trial.checkpoint))
    for epoch in found.state.history:
        record(EpochEnded(trial.number, epoch))
    later: list[TrialEnded | TrialProbed] = [*swept.endings(), *swept.probings()]
    for event in later:
        if event.number == trial.number:
            record(event)


def _valid(swept: Sweep, trial: Trial, data: bytes, say: Say) -> "Checkpoint | None":
    """Return the checkpoint in an artifact's bytes, if it is this trial's and has its best weights; else None."""
    from lstm import checkpoint, ownership

    try:
        found = checkpoint.loads(data)
    except checkpoint.BrokenCheckpoint as error:
        say(note("artifact-damaged", at=f"trial {trial.number}", why=str(error)))
        return None
    if why := ownership.difference(trial.checkpoint, found, ownership.Owner.of(swept, trial)):
        say(note("artifact-of-another-trial", at=f"trial {trial.number}", why=why))
        return None
    return found if found.state.best_weights else None


def _train(
    plan: Plan, swept: Sweep, trial: Trial, heed: Callable[[], object], start: Mapping[str, Any] | None
) -> "Checkpoint":
    """Train a trial from its seed for as many epochs as it had, and write its checkpoint when all are trained.

    Nothing is written before: a checkpoint with the first of the epochs would later be taken for the whole.
    """
    from cluster.study import stored
    from lstm import checkpoint
    from lstm.config.trial import TrialConfig
    from lstm.device import claim
    from lstm.tasks import registry as tasks
    from lstm.training import loop, refit
    from lstm.usage import Usage

    order, config = plan.order, TrialConfig.model_validate(trial.config)
    gpus = order.resources.gpus_per_trial
    device = claim(order.resources.cpus_per_trial, None if gpus == "auto" else gpus)
    again = sorted({*swept.facts.get(TRAINED_AGAIN, ()), trial.number})
    stored.remember(order.study_url, order.name, **{TRAINED_AGAIN: again})
    kept: checkpoint.Checkpoint | None = None
    usage = Usage(device) if order.system_metrics else None
    if trial.is_refit:
        count = int(str(trial.fitted["epochs"]))
        epochs = refit.train(config, plan.series, count, start=start, device=device, heed=heed, usage=usage)
    else:
        epochs = loop.train(config, plan.series, None, device=device, heed=heed, usage=usage)
    derived = trial.derived.row() if trial.derived and trial.is_refit else None
    for epoch in epochs:
        assert epoch.state is not None
        facts = tasks.facts_row(config, plan.series, epoch.window)
        kept = checkpoint.Checkpoint(config, facts, epoch.state, study=order.study_id, number=trial.number)
        kept = replace(kept, derived=derived)
        if not trial.is_refit and len(swept.windows.steps(epoch.state.history, swept.direction)) >= len(trial.steps):
            break
    assert kept is not None
    checkpoint.write(trial.checkpoint, trial.attempt, kept)
    return kept


def _alike(swept: Sweep, trial: Trial, found: "Checkpoint") -> str:
    """Return in words whether the values of a checkpoint's epochs equal the study's, bit for bit."""
    if trial.is_refit:
        return "no figures of the lost one are left to compare it with"
    history = dict(swept.windows.steps(found.state.history, swept.direction))
    other = next((step for step, value in trial.steps if not same(history.get(step), value)), None)
    if other is None and len(history) == len(trial.steps):
        return "it equals the lost one to the bit by the values of its epochs"
    differing = f"{other or len(history)} is {history.get(other or 0)!r}"
    return f"it does not equal the lost one: the value of epoch {differing}"

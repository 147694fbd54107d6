"""Checks a sweep's study and its checkpoints against each other, from the records alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lstm import checkpoint, ownership
from lstm.records.epoch import Epoch, Place, best_epoch, epochs_s, same
from lstm.records.errors import BadInput, Finding, NewerForm
from lstm.records.sweep import EXHAUSTED, TRAINED_AGAIN, Sweep
from lstm.records.trial import Trial

History = tuple[Epoch, ...]
RUN = "`sweep run {name}` goes on and mends it"
BACKUP = "restore the study's database from a backup, or run the spec again under another name"
AGAIN = (
    "restore the file from a backup; where there is none, training the trial's configuration again gives the same "
    "weights (`sweep compare {name}` shows it)"
)
ANOTHER = "another sweep has used this folder: restore the file from a backup, or run the spec under another name"


@dataclass(slots=True)
class Checked:
    """What was found, and what the checkpoints hold, by trial."""

    findings: list[Finding] = field(default_factory=list)
    histories: dict[int, History] = field(default_factory=dict)


def check(sweep: Sweep, *, driven: bool) -> Checked:
    """Looks at every trial of a sweep; a driver that lives may be at work on those that run."""
    checked = Checked()
    checked.findings += [*_numbers(sweep), *_mark(sweep)]
    for trial in sweep.trials:
        if trial.state == "WAITING" or (trial.state == "RUNNING" and driven):
            continue
        _trial(sweep, trial, checked)
    return checked


def _numbers(sweep: Sweep) -> Iterator[Finding]:
    there = {trial.number for trial in sweep.trials}
    for number in sorted(set(range(max(there, default=-1) + 1)) - there):
        yield Finding(number, "study", "is missing from the study, which has later ones", BACKUP)
    if sweep.facts.get("complete") and not sweep.over() and not sweep.reached(sweep.facts.get("target")):
        tried = sweep.facts[EXHAUSTED]["trials"] if sweep.exhausted else sweep.n_trials
        what = f"knows {sweep.done} ended trials, and the sweep was complete with {min(tried, sweep.n_trials)}"
        yield Finding(None, "study", what, BACKUP)
    if len(there) < len(sweep.trials):
        yield Finding(None, "study", "has two trials of one number", BACKUP)


def _mark(sweep: Sweep) -> Iterator[Finding]:
    """Whether the folder of the checkpoints is this study's."""
    folder, studies = str(sweep.facts.get("checkpoints", "")), ownership.studies_of(sweep.facts)
    try:
        mark = ownership.mark_of(folder) if folder else None
    except OSError as error:
        yield Finding(None, "checkpoint", f"{folder}: can't be read: {error}", "see to it that the store answers")
        return
    except NewerForm:
        raise
    except BadInput as error:
        yield Finding(None, "checkpoint", str(error), "see there")
        return
    if mark is not None and mark.study not in studies:
        what = f"{folder}: is of the study {mark.study} ({mark.where}), this one is {studies[0]}"
        yield Finding(None, "checkpoint", what, ANOTHER)
    elif mark is None and sweep.facts.get("form") and any(trial.checkpoint for trial in sweep.trials):
        yield Finding(None, "checkpoint", f"{folder}: has no mark of its study", RUN.format(name=sweep.name))


def _trial(sweep: Sweep, trial: Trial, checked: Checked) -> None:
    def study(what: str, mend: str = BACKUP) -> None:
        checked.findings.append(Finding(trial.number, "study", what, mend.format(name=sweep.name)))

    if not trial.ended:
        study("is RUNNING and nobody drives the sweep", RUN)
    elif trial.ended_at_ms is None:
        study("has ended, and how it ended is not stored")
    steps = [step for step, _ in trial.curve]
    if steps != list(range(1, len(steps) + 1)):
        study(f"has epochs that do not follow each other from 1: {_few(steps)}")
    history = _checkpoint(sweep, trial, checked)
    if trial.ended and history is not None:
        for what in (*_curve(trial, history), *_end(sweep, trial, history)):
            study(what)
    elif history is not None and len(trial.curve) > len(history):
        study(f"knows {len(trial.curve)} epochs, its checkpoint holds {len(history)}", RUN)


def _checkpoint(sweep: Sweep, trial: Trial, checked: Checked) -> History | None:
    """What a trial's checkpoint holds; None where that can't be said."""
    address = trial.checkpoint or checkpoint.address_of(str(sweep.facts.get("checkpoints")), trial.number)

    def wrong(what: str, mend: str = AGAIN) -> None:
        checked.findings.append(Finding(trial.number, "checkpoint", what, mend.format(name=sweep.name)))

    if trial.ended and not trial.checkpoint and len(trial.curve) == trial.lost_epochs:
        checked.histories[trial.number] = ()  # what an actor that was cut off may have written since is nobody's
        return ()
    broken: list[str] = []
    try:
        found = checkpoint.load(address, broken.append)
        foreign = ownership.difference(address, found, ownership.Owner.of(sweep, trial)) if found else ""
    except OSError as error:
        wrong(f"{address}: can't be read: {error}", "see to it that the store answers, and look again")
        return None
    for text in broken:
        wrong(text, AGAIN if trial.ended else RUN)
    if foreign:
        wrong(f"{address}: is not this trial's: {foreign}", ANOTHER)
    if foreign or (broken and trial.ended):
        return None  # an older file tells less than study and MLflow know: it is not they that are wrong
    if found is None:
        if trial.ended:
            is_judged = trial.number in {t.number for t in (sweep.best, sweep.base) if t}
            wrong(f"{address}: holds no valid checkpoint", RUN if is_judged else AGAIN)
            return None
        checked.histories[trial.number] = ()
        return ()
    for what in _state(sweep, trial, found):
        wrong(f"{address}: {what}")
    checked.histories[trial.number] = found.state.history
    return found.state.history


def _state(sweep: Sweep, trial: Trial, found: checkpoint.Checkpoint) -> Iterator[str]:
    """What is wrong in a checkpoint that could be loaded."""
    state, history = found.state, found.state.history
    numbers = [epoch.number for epoch in history]
    if [epoch.place for epoch in history] != [Place(1, number) for number in range(1, state.epoch + 1)]:
        yield f"its history is not that of {state.epoch} epochs: {_few(numbers)}"
    best = best_epoch(history, sweep.direction)
    if state.best_epoch != (best.number if best else 0):
        yield f"its best weights are of epoch {state.best_epoch}, the best is {best.number if best else 'none'}"
    for what, shown in (("best", sweep.best), ("base", sweep.base)):
        if shown and trial.number == shown.number and state.best_epoch and not state.best_weights:
            yield f"holds no weights, and the trial is the {what}"


def _curve(trial: Trial, history: History) -> Iterator[str]:
    """Where the study's curve is not the checkpoint's."""
    if len(trial.curve) - trial.lost_epochs != len(history):
        yield f"knows {len(trial.curve)} epochs, its checkpoint holds {len(history)}"
    for (step, value), epoch in zip(trial.curve, history, strict=False):
        if step == epoch.number and not same(value, epoch.value):
            yield f"epoch {step} has the value {value!r}, in the checkpoint {epoch.value!r}"


def _end(sweep: Sweep, trial: Trial, history: History) -> Iterator[str]:
    """Where a trial's end is not what its epochs say."""
    best = best_epoch(history, sweep.direction)
    value, number = (best.value, best.number) if best else (None, 0)
    if not same(trial.value, value) or trial.best_epoch != number:
        yield f"its value is {trial.value!r} of epoch {trial.best_epoch}; by its epochs {value!r} of {number}"
    again = trial.number in sweep.facts.get(TRAINED_AGAIN, ())  # its file was lost, and took another time
    if trial.epochs_s is not None and trial.epochs_s != epochs_s(history) and not again:
        yield f"its epochs took {trial.epochs_s!r} s, by its checkpoint {epochs_s(history)!r} s"
    if trial.state == "COMPLETE" and trial.counts:
        values = (trial.value,) if sweep.second is None else (trial.value, trial.second)
        if len(trial.told) != len(values) or not all(map(same, trial.told, values)):
            yield f"its value is {_told(values)}, and the sampler was told {_told(trial.told)}"
        if sweep.second is not None and trial.probed is not None:
            figure = sweep.second.figure(trial.probed.numbers)
            if not same(figure, trial.second):
                yield f"its {sweep.second.metric} is {trial.second!r}, its probe found {figure!r}"
        if not history or history[-1].stop in (None, "diverged"):
            yield "is COMPLETE, and its last epoch was none"


def _told(values: Sequence[float | None]) -> str:
    return " and ".join(map(repr, values)) or "nothing"


def _few(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:12]))
    return (shown + (", …" if len(numbers) > 12 else "")) or "none"

"""Check a sweep's study and its checkpoints against each other, from the records alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lstm import checkpoint, ownership
from lstm.messages.message import Message
from lstm.records.epoch import Epoch, best_epoch, epochs_s, same
from lstm.records.errors import BadInput, Fault, Finding, NewerForm, fault, finding
from lstm.records.sweep import EXHAUSTED, TRAINED_AGAIN, Sweep
from lstm.records.trial import Trial

History = tuple[Epoch, ...]
SHOWN = 12  # epochs of a history that a finding shows, at most
# Codes of the findings that `sweep run` continues with and repairs.
TO_RUN = {
    "trial-driven-by-nobody",
    "refit-driven-by-nobody",
    "study-ahead-of-checkpoint",
    "folder-without-mark",
    "newest-checkpoint-broken",
    "judged-checkpoint-missing",
}


@dataclass(slots=True)
class Checked:
    """The findings, and what the checkpoints contain, by trial."""

    findings: list[Finding] = field(default_factory=list)
    histories: dict[int, History] = field(default_factory=dict)


def check(sweep: Sweep, *, driven: bool) -> Checked:
    """Check every suggested trial of a sweep; if a driver lives (`driven`), running trials are left out."""
    checked = Checked()
    checked.findings += _numbers(sweep)
    checked.findings += [finding(wrong, None, "checkpoint", sweep=sweep.name) for wrong in _mark(sweep)]
    for trial in sweep.trials:
        if trial.state == "WAITING" or (trial.state == "RUNNING" and driven):
            continue
        _trial(sweep, trial, checked)
    return checked


def _numbers(sweep: Sweep) -> Iterator[Finding]:
    there = {trial.number for trial in sweep.trials}
    for number in sorted(set(range(max(there, default=-1) + 1)) - there):
        yield finding(fault("trial-missing-from-study"), number, "study", sweep=sweep.name)
    if sweep.facts.get("complete") and not sweep.over() and not sweep.reached(sweep.facts.get("target")):
        tried = sweep.facts[EXHAUSTED]["trials"] if sweep.exhausted else sweep.n_trials
        wrong = fault("ended-trials-missing", ended=sweep.done, complete=min(tried, sweep.n_trials))
        yield finding(wrong, None, "study", sweep=sweep.name)
    if len(there) < len(sweep.trials):
        yield finding(fault("trial-number-twice"), None, "study", sweep=sweep.name)


def _mark(sweep: Sweep) -> Iterator[Fault]:
    """Yield the faults of the checkpoints' folder if it does not belong to this study."""
    folder, studies = str(sweep.facts.get("checkpoints", "")), ownership.studies_of(sweep.facts)
    try:
        mark = ownership.mark_of(folder) if folder else None
    except OSError as error:
        yield fault("store-unreadable", address=folder, why=str(error))
        return
    except NewerForm:
        raise
    except BadInput as error:
        yield from error.faults
        return
    if mark is not None and mark.study not in studies:
        code = "checkpoints-of-another-study"
        yield fault(code, folder=folder, found=mark.study, where=mark.where, study=studies[0])
    elif mark is None and sweep.facts.get("form") and any(trial.checkpoint for trial in sweep.trials):
        yield fault("folder-without-mark", folder=folder)


def _trial(sweep: Sweep, trial: Trial, checked: Checked) -> None:
    def study(wrong: Fault) -> None:
        checked.findings.append(finding(wrong, trial.number, "study", sweep=sweep.name))

    if not trial.ended:
        study(fault("refit-driven-by-nobody" if trial.is_refit else "trial-driven-by-nobody"))
    elif trial.ended_at_ms is None:
        study(fault("end-not-stored"))
    steps, longest = [step for step, _ in trial.steps], sweep.windows.longest
    first, later = len(trial.curve), len(trial.later)
    if steps != [*range(1, first + 1), *range(longest + 1, longest + later + 1)]:
        study(fault("epochs-not-consecutive", count=len(steps), epochs=steps[:SHOWN]))
    history = _checkpoint(sweep, trial, checked)
    if trial.ended and history is not None:
        for wrong in (*_curve(sweep, trial, history), *_end(sweep, trial, history)):
            study(wrong)
    elif history is not None and len(trial.steps) > (kept := len(sweep.windows.steps(history, sweep.direction))):
        study(fault("study-ahead-of-checkpoint", study=len(trial.steps), checkpoint=kept))


def _checkpoint(sweep: Sweep, trial: Trial, checked: Checked) -> History | None:
    """Return the history in a trial's checkpoint; None if it can't be known."""
    address = trial.checkpoint or checkpoint.address_of(str(sweep.facts.get("checkpoints")), trial.number)

    def add(*faults: Fault) -> None:
        checked.findings.extend(finding(wrong, trial.number, "checkpoint", sweep=sweep.name) for wrong in faults)

    if trial.ended and not trial.checkpoint and len(trial.steps) == trial.lost_epochs:
        checked.histories[trial.number] = ()  # what a lost worker may have written since does not count
        return ()
    broken, foreign = list[Message](), list[Fault]()
    try:
        found = checkpoint.load(address, broken.append)
        if found:
            ownership.check(address, found, ownership.Owner.of(sweep, trial))
    except ownership.ForeignCheckpoint as error:
        foreign += error.faults
    except OSError as error:
        add(fault("store-unreadable", address=address, why=str(error)))
        return None
    code = "checkpoint-file-broken" if trial.ended else "newest-checkpoint-broken"
    add(*(fault(code, file=each.place, why=each.values["why"]) for each in broken), *foreign)
    if foreign or (broken and trial.ended):
        return None  # an older file knows less than study and MLflow, which are right
    if found is None:
        if trial.ended:
            is_judged = trial.number in {t.number for t in (sweep.best, sweep.base) if t}
            add(fault("judged-checkpoint-missing" if is_judged else "checkpoint-missing", address=address))
            return None
        checked.histories[trial.number] = ()
        return ()
    add(*_state(sweep, trial, address, found))
    checked.histories[trial.number] = found.state.history
    return found.state.history


def _state(sweep: Sweep, trial: Trial, address: str, found: checkpoint.Checkpoint) -> Iterator[Fault]:
    """Yield the faults in a checkpoint that could be loaded."""
    state, history = found.state, found.state.history
    numbers = [epoch.number for epoch in history]
    # A refit has no window: its epochs are those of a training that nothing judges.
    is_whole = numbers == [*range(1, state.epoch + 1)] if trial.is_refit else None
    if not (sweep.windows.is_whole(history, state.place) if is_whole is None else is_whole):
        shown = numbers[:SHOWN]
        yield fault("history-not-whole", address=address, count=len(numbers), epochs=shown, epoch=state.epoch)
    best = best_epoch((epoch for epoch in history if epoch.window == state.window), sweep.direction)
    if history and sweep.windows.is_final(history[-1]):
        pass  # the training before the test part has no best epoch: its last one is kept
    elif state.best_epoch and not best:
        yield fault("best-epoch-unknown", address=address, epoch=state.best_epoch)
    elif best and state.best_epoch != best.number:
        yield fault("best-epoch-differs", address=address, epoch=state.best_epoch, best=best.number)
    for role, judged in (("best", sweep.best), ("base", sweep.base)):
        if judged and trial.number == judged.number and state.best_epoch and not state.best_weights:
            yield fault("weights-missing", address=address, role=role)
    if trial.is_refit and trial.state == "COMPLETE":
        if not state.best_weights:
            yield fault("weights-missing", address=address, role="refit")
        if (state.epoch, history[-1].stop) != (trial.fitted["epochs"], "max_epochs"):
            yield fault("complete-without-last-epoch")


def _curve(sweep: Sweep, trial: Trial, history: History) -> Iterator[Fault]:
    """Yield the differences between the study's steps and the checkpoint's."""
    steps = sweep.windows.steps(history, sweep.direction)
    if len(trial.steps) - trial.lost_epochs != len(steps):
        yield fault("curve-length-differs", study=len(trial.steps), checkpoint=len(steps))
    for (step, value), (number, kept) in zip(trial.steps, steps, strict=False):
        if step == number and not same(value, kept):
            yield fault("epoch-value-differs", epoch=step, study=value, checkpoint=kept)


def _end(sweep: Sweep, trial: Trial, history: History) -> Iterator[Fault]:
    """Yield the differences between a trial's end and its epochs."""
    result, judged = sweep.windows.result(history, sweep.direction), sweep.windows.judged(history)
    if not same(trial.value, result.value) or trial.best_epochs != result.best_epochs:
        epoch, of = trial.best_epoch, result.best_epochs[0]
        yield fault("best-value-differs", study=trial.value, epoch=epoch, value=result.value, of=of)
    again = trial.number in sweep.facts.get(TRAINED_AGAIN, ())  # its file was lost; the new one has other times
    # Without those that it has from the trial that it extends; a refit has no judged ones.
    own = history if trial.is_refit else judged[trial.after :]
    own_s = epochs_s(own)
    if trial.trained is not None and trial.trained != len(own):
        yield fault("epochs-number-differs", study=trial.trained, checkpoint=len(own))
    if trial.epochs_s is not None and trial.epochs_s != own_s and not again:
        yield fault("epochs-time-differs", study=trial.epochs_s, checkpoint=own_s)
    if trial.state == "COMPLETE" and trial.counts:
        values = (trial.value,) if sweep.second is None else (trial.value, trial.second)
        if len(trial.told) != len(values) or not all(map(same, trial.told, values)):
            told, none = list(trial.told), fault("sampler-told-nothing", values=list(values))
            yield fault("told-value-differs", values=list(values), told=told) if told else none
        if sweep.second is not None and trial.probed is not None:
            figure = sweep.second.figure(trial.probed.numbers)
            if not same(figure, trial.second):
                metric = sweep.second.metric
                yield fault("second-value-differs", metric=metric, study=trial.second, probe=figure)
        if not judged or judged[-1].stop == "diverged" or not sweep.windows.is_over(judged[-1]):
            yield fault("complete-without-last-epoch")

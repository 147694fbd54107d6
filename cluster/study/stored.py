"""Read a sweep from its study's database, without a driver, as plain records."""

import functools
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import InterfaceError, OperationalError

from cluster.decisions import Decisions, End, derived_of, is_base
from cluster.space import suggest
from cluster.study import moved, private_patches, storage
from cluster.study.database import FIELD, driver_text, engine_options, file_of, is_missing, readable
from lstm import checkpoint
from lstm.config.trial import TrialConfig
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, check_form, fault, refused
from lstm.records.events import TrialProbed
from lstm.records.objective import Objective
from lstm.records.state import TrialState as State
from lstm.records.state import counts
from lstm.records.sweep import WEIGHED_FROM, Sweep
from lstm.records.trial import Trial
from lstm.records.windows import Windows
from lstm.storage import disk

AWAY = (StorageInternalError, OperationalError, InterfaceError)  # errors raised while the database does not answer
COMPARABLE = "comparable"  # the fact that is stored last: a study that has it is complete
# The fact with the version of a study's form, and the newest version that is read. Without the fact the version is 1.
# In form 1 the base may lack which targets count in the loss: all do. In forms 1 and 2 it says where the data was.
# Form 4 has the windows of a backtest, a trial that extends another, or a refit. A study without has form 3, with which
# earlier versions can go on.
FORM, FORMAT, PLAIN_FORM = "form", 4, 3


class NoSuchSweep(BadInput):
    """The error that the database has no study of this name."""


def trouble(url: str, error: BaseException) -> str:
    """Return what keeps the study's database from answering, in one line; for a file, with its disk."""
    if is_missing(url):
        return f"the file is gone: {file_of(url)}"  # SQLite calls that a readonly database
    return _said(url, error)


def _said(url: str, error: BaseException) -> str:
    text, file = driver_text(error if hasattr(error, "orig") else error.__cause__), file_of(url)
    return f"{text}: {disk.place_of(file)}" if file else text


def waited_for(url: str, error: BaseException, pause_s: float) -> Note:
    """Says that the study's database does not answer, and after what pause it is asked again."""
    if is_missing(url):
        return note("study-file-gone", file=str(file_of(url)), pause_s=pause_s)
    return note("study-away", why=_said(url, error), pause_s=pause_s)


def unanswered(url: str, error: BaseException) -> BadInput:
    """Return the error of a database that can be opened but does not answer."""
    if is_missing(url):
        return refused("study-database-gone", FIELD, file=str(file_of(url)))
    return refused("study-database-away", FIELD, why=_said(url, error))


def facts(url: str, name: str) -> dict[str, Any] | None:
    """Return the facts about a sweep, or None if it has no study yet. Creates nothing.

    Raises:
        BadInput: the database does not answer.
    """
    try:
        return dict(load_study(url, name).user_attrs)
    except NoSuchSweep:
        return None
    except AWAY as error:
        raise unanswered(url, error) from None


def unfinished_id(url: str, name: str) -> str:
    """Return the id of an unfinished study, for the next try to make it; "" if there is none. Creates nothing.

    Raises:
        BadInput: the database can't be opened or does not answer.
    """
    try:
        return unfinished_id_of(load_study(url, name, is_whole=False).user_attrs, url)
    except NoSuchSweep:
        return ""
    except AWAY as error:
        raise unanswered(url, error) from None


def unfinished_id_of(facts: Mapping[str, Any], url: str) -> str:
    """Return an unfinished study's id from its facts; "" also if it was copied or moved, as another may have the id."""
    return str(facts.get("id", "")) if COMPARABLE not in facts and moved.is_in_place(facts, url) else ""


def discard_unfinished(url: str, name: str) -> None:
    """Remove an unfinished study, which is no sweep yet; do nothing if there is none."""
    kept_in = storage.connect(url)
    with suppress(KeyError):
        if COMPARABLE not in optuna.load_study(study_name=name, storage=kept_in).user_attrs:
            optuna.delete_study(study_name=name, storage=kept_in)


def remember(url: str, name: str, **more: Any) -> None:
    """Store facts about a sweep after its driver has ended."""
    study = load_study(url, name, to_write=True)
    for key, value in more.items():
        study.set_user_attr(key, value)


def read(url: str, name: str) -> Sweep:
    """Return a sweep as its study knows it.

    Raises:
        BadInput: there is no such study, or its database does not answer.
    """
    try:
        return sweep_of(load_study(url, name), url)
    except AWAY as error:
        raise unanswered(url, error) from None


def load_study(url: str, name: str, *, to_write: bool = False, is_whole: bool = True) -> optuna.Study:
    """Return Optuna's study of a sweep.

    Raises:
        NoSuchSweep: there is no study, or it is unfinished and `is_whole` is set.
        BadInput: it is no address, the database can't be opened, or a newer version wrote the study.
    """
    missing = NoSuchSweep(fault("sweep-not-run", at=name))
    engine_options(url)  # raises if it is no address
    if is_missing(url):
        raise missing
    try:
        study = optuna.load_study(study_name=name, storage=storage.connect(url if to_write else readable(url)))
    except KeyError:
        raise missing from None
    check_study_form(study)
    # Without this fact, its first driver was killed before it had stored what the sweep is.
    if is_whole and COMPARABLE not in study.user_attrs:
        raise missing
    return study


def check_study_form(study: optuna.Study) -> None:
    """Check that no newer version wrote a study.

    Raises:
        BadInput: a newer version wrote it.
    """
    check_form(f"the study {study.study_name}", int(study.user_attrs.get(FORM, 1)), FORMAT)


def sweep_of(study: optuna.Study, url: str) -> Sweep:
    """Return a sweep's record from Optuna's study."""
    facts = study.user_attrs
    base = TrialConfig.model_validate(facts["base"])
    place = moved.checkpoints_of(facts, url, study.study_name)
    resolve = suggest.Resolver(base)
    windows = Windows.of(facts)
    trials = tuple(trial_of(t, resolve, place, windows) for t in study.get_trials(deepcopy=False))
    second = facts.get("second")
    return Sweep(
        name=study.study_name,
        metric=base.metric,
        direction=base.direction,
        n_trials=int(facts.get("n_trials", len(trials))),
        trials=trials,
        spec_text=str(facts.get("spec_text", "")),
        facts={**facts, "checkpoints": place},
        second=Objective(*second) if second else None,
    )


def trial_of(frozen: FrozenTrial, resolve: suggest.Resolver, place: str, windows: Windows) -> Trial:
    """Return a trial's record from Optuna's; `place` is the address of the sweep's checkpoints, "" if unknown."""
    steps = sorted(frozen.intermediate_values.items())
    decided = Decisions.of(frozen.user_attrs)
    changes = decided.derived.changes if decided.derived else {}
    end = decided.end or End("FAIL")
    state: State = end.state if frozen.state.is_finished() else frozen.state.name  # type: ignore[assignment] # Optuna's names are ours
    return Trial(
        number=frozen.number,
        state=state,
        value=end.value,
        settings=suggest.changed(frozen.params, changes),
        config=suggest.filled(resolve(frozen.params), changes),
        curve=tuple((step, value) for step, value in steps if windows.window_of(step) == 1),
        later=tuple((step, value) for step, value in steps if windows.window_of(step) > 1),
        attempt=decided.attempt,
        best_epoch=end.best_epoch,
        best_epochs=end.best_epochs,
        reason=end.reason,
        diverged=end.diverged,
        checkpoint=checkpoint.address_of(place, frozen.number) if place and end.checkpoint else "",
        worker=decided.worker,
        started_at_ms=decided.started_at_ms,
        ended_at_ms=end.at_ms,
        epochs_s=end.epochs_s,
        trained=end.epochs,
        lost_epochs=end.lost_epochs,
        told=tuple(frozen.values or ()),
        second=end.second,
        probed=TrialProbed(frozen.number, **end.probed) if end.probed is not None else None,
        spent=end.spent,
        derived=decided.derived,
        is_base=is_base(frozen.user_attrs),
    )


def counting(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that count, as `Sweep.counted` does."""
    derived = [(t, derived_of(t.user_attrs)) for t in trials]
    replaced = {each.parent for _, each in derived if each is not None and each.purpose == "retry"}
    return [t for t, each in derived if t.number not in replaced and counts(each)]


def importances_of(url: str, name: str) -> dict[str, float]:
    """Return the `importances` of a sweep by its name."""
    return importances(load_study(url, name))


def prepare_importances() -> None:
    """Import what `importances` needs."""
    private_patches.importance()


def importances(study: optuna.Study) -> dict[str, float]:
    """Return each searched field's importance by PED-ANOVA (Watanabe et al., 2023); empty if it is unknown.

    It is unknown with fewer than WEIGHED_FROM completed trials. A field that had less than two values in them, as one
    whose condition hardly ever held, is left out: Optuna would give it 0, as if it did not matter.
    """
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(completed) < WEIGHED_FROM:
        return {}
    values = defaultdict[str, set[Any]](set)
    for trial in completed:
        for name, value in trial.params.items():
            values[name].add(value)
    varied = [name for name, different in values.items() if len(different) > 1]
    if len(varied) < 2:
        return dict.fromkeys(varied, 1.0)  # as Optuna does, without its import
    try:
        target = functools.partial(_first, study.directions[0]) if len(study.directions) > 1 else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")  # `_first` handles this
            importance = private_patches.importance()
            evaluator = importance.PedAnovaImportanceEvaluator()
            found = importance.get_param_importances(study, evaluator=evaluator, params=varied, target=target)
        return {name: float(share) for name, share in found.items()}
    except (ValueError, RuntimeError, ZeroDivisionError):
        return {}  # too few completed trials, or all equal


def _first(direction: StudyDirection, trial: FrozenTrial) -> float:
    """Return the metric's value so that less is better, as the evaluator expects."""
    return float(trial.values[0]) * (1 if direction == StudyDirection.MINIMIZE else -1)

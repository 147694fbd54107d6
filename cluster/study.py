"""The durable memory of a sweep: one Optuna study in a relational database.

Every suggestion is committed before its trial starts, every epoch is reported, every decision is
stored before it is obeyed. What a driver needs to go on after another was killed is all here and in
the checkpoints.
"""

import functools
import importlib
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import InterfaceError, OperationalError

from cluster import combinations, draft, moved, space, storage
from cluster.config import (
    AnyPruner,
    GpSampler,
    GridSampler,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    RandomSampler,
    SearchConfig,
    SuccessiveHalvingPruner,
)
from cluster.draft import DRAWS, LISTED, OWN, Drawn, bare, mixed, unborn
from cluster.lease import driver_text, engine_options, is_missing, readable
from cluster.storage import SoleStorage
from lstm import checkpoint, disk
from lstm.config import TrialConfig
from lstm.records import (
    KEEPS_BASE,
    BadInput,
    Derived,
    Epoch,
    Objective,
    Scalar,
    Spent,
    Sweep,
    Trial,
    TrialProbed,
    check_form,
    same,
)
from lstm.records import TrialState as State

AWAY = (StorageInternalError, OperationalError, InterfaceError)  # raised while the database does not answer
# In Optuna's samplers: what all trials so far were searched in. It grows trial by trial; a new one would read them all.
COMMON = ("_search_space", "_intersection_search_space")
COMPARABLE = "comparable"  # the fact that is stored last: a study that has it is a sweep
FORM, FORMAT = "form", 2  # the fact, and the newest version of a study's form that is read; without the fact it is 1
LEAST_COMPLETED = 2  # trials from which importances are told
DERIVED = "derived"  # of a trial: the one that it was made of, and what for
FIRST, BASE = "first", "base"  # of a trial: which of `search.first` it is; that it is the spec's own settings

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")  # `_first` sees to it


class NoSuchSweep(BadInput):
    """The database holds no study of that name."""


class Study:
    """One sweep's study, as its driver uses it."""

    def __init__(
        self,
        url: str,
        name: str,
        search: SearchConfig | None,
        base: TrialConfig,
        kept_in: BaseStorage | None = None,
    ) -> None:
        """Opens the study, or creates it; `search` is None for a single training run.

        `kept_in` is another storage than the database at the address.
        """
        self.search, self.base, self.url, self.name = search, base, url, name
        sampler: BaseSampler = optuna.samplers.RandomSampler(seed=0)
        self._drafts: NumberedSampler | None = None  # whose draws may come twice
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if search:
            sampler = NumberedSampler(search)
            self._drafts = None if isinstance(search.sampler, GridSampler) else sampler
            pruner = _pruner(search.pruner, _longest(search, base))
        self._study = optuna.create_study(
            storage=kept_in or SoleStorage(storage.connect(url)),
            study_name=name,
            directions=[objective.direction for objective in _objectives(search, base)],
            load_if_exists=True,
            sampler=sampler,
            pruner=pruner,
        )
        _check_form(self._study)
        self._live: dict[int, optuna.trial.Trial] = {}
        self._unpruned: dict[int, bool] = {}  # of live trials, whether they are never pruned, once that is asked
        self._reported: dict[int, dict[int, float]] = {}  # of each live trial, the values by epoch
        self._space: space.Space = search.space if search else {}
        self._key = combinations.Keys(base, self._space)
        self._known: dict[int, str] | None = None  # the configurations that were tried, by trial, once that is asked
        self.n_trials = search.n_trials if search else 1
        self.second: Objective | None = _second(search)

    @property
    def facts(self) -> dict[str, Any]:
        """What was written with `remember`."""
        return dict(self._study.user_attrs)

    def remember(self, **facts: Any) -> None:
        """Stores facts about the sweep, as JSON; unchanged ones cost nothing.

        Each is a commit of its own, in the order given.
        """
        known = self._study.user_attrs
        for key, value in facts.items():
            if key not in known or known[key] != value:
                self._study.set_user_attr(key, value)

    def enqueue_first(self) -> None:
        """Queues what is tried before anything is drawn, as far as it is not there yet.

        A study that an earlier version began has no base and gets none.
        """
        trials = self._study.get_trials(deepcopy=False)
        there = {t.user_attrs[FIRST] for t in trials if FIRST in t.user_attrs}
        keeps_base = bool(self.facts.get(KEEPS_BASE)) and not any(_is_base(t) for t in trials)
        for settings, attributes in self.queue(keeps_base=keeps_base):
            if attributes.get(FIRST) not in there:
                self._study.enqueue_trial(dict(settings), user_attrs=attributes)

    def queue(self, *, keeps_base: bool) -> list[tuple[Mapping[str, Scalar], dict[str, Any]]]:
        """What is tried before anything is drawn, as settings with what the study keeps of them.

        That is the base, then `search.first`, as many as there are trials. Where one of these resolves to the spec's
        own settings it is the base itself, and comes first.
        """
        first = self.search.first[: self.n_trials] if self.search else []
        queue: list[tuple[Mapping[str, Scalar], dict[str, Any]]]
        queue = [(settings, {FIRST: index}) for index, settings in enumerate(first)]
        if not keeps_base:
            return queue
        place = combinations.base_among(first, self.base, self._space)
        if place is None:
            return [({}, {DERIVED: {"parent": None, "purpose": "base"}}), *queue]
        return [(first[place], {FIRST: place, BASE: True}), *queue[:place], *queue[place + 1 :]]

    def is_base_setting(self, settings: Mapping[str, Scalar]) -> bool:
        """Whether a setting resolves to the spec's own."""
        return self._key(settings) == self._key({})

    def add(self, trial: FrozenTrial) -> None:
        """Adds a trial as it is, under the next number."""
        self._study.add_trial(trial)

    def frozen(self) -> list[FrozenTrial]:
        """All trials, as Optuna keeps them."""
        return self._study.get_trials(deepcopy=False)

    def retry(self, parent: int) -> None:
        """Queues a trial with a failed one's settings, to stand in its place; nothing where there is one already."""
        trials = self._study.get_trials(deepcopy=False)
        failed = self._frozen(parent)
        purpose = "base" if _purpose(failed) == "base" else "retry"
        if any(_derived(t.user_attrs) == (parent, purpose) for t in trials):
            return
        attributes: dict[str, Any] = {DERIVED: {"parent": parent, "purpose": purpose}}
        attributes |= {BASE: True} if BASE in failed.user_attrs else {}
        self._study.enqueue_trial(failed.params, user_attrs=attributes)

    def asked(self) -> int:
        """How many trials that count have been suggested, in whatever state."""
        return sum(t.state != TrialState.WAITING for t in self._counted())

    def due(self) -> int:
        """How many trials are yet to be suggested; retries and the base are, whatever n_trials says."""
        queued = sum(t.state == TrialState.WAITING and DERIVED in t.user_attrs for t in self._counted())
        return max(self.n_trials - self.asked(), queued) + self._bases_due()

    def _bases_due(self) -> int:
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return sum(_purpose(t) == "base" for t in trials)

    def _counted(self) -> list[FrozenTrial]:
        """The trials that count, as `Sweep.counted` says."""
        trials = self._study.get_trials(deepcopy=False)
        replaced = _replaced(trials)
        return [t for t in trials if t.number not in replaced and _purpose(t) in (None, "retry")]

    def running(self) -> list[int]:
        """Numbers of the trials that were suggested and have not ended."""
        return [t.number for t in self._running()]

    def _running(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def ask(self) -> int | None:
        """Suggests a new trial and commits it; returns its number, or None where nothing new is left to try.

        What is queued comes first, and as it is. All else is drawn before it is committed: again, where its
        configuration was tried or is under way.
        """
        trials = self._study.get_trials(deepcopy=False)
        if self._drafts and not any(t.state == TrialState.WAITING for t in trials):
            drawn = self._drawn(unborn(len(trials)))
            if drawn is None:
                return None
            self._commit(drawn)
        trial = self._study.ask()
        self._live[trial.number], self._reported[trial.number] = trial, {}
        self._suggest(trial.number)
        return trial.number

    def _commit(self, drawn: Drawn) -> None:
        """Has a draw come next. What was drawn again is stored in one piece, so that no killed driver leaves half."""
        assert self._drafts is not None
        if drawn.attempt == 0:
            self._drafts.replay = drawn
        else:
            self._study.enqueue_trial(drawn.settings)

    def _drawn(self, trial: FrozenTrial) -> Drawn | None:
        """The first of a trial's draws that nobody has tried."""
        assert self._drafts is not None
        others = self._tried(but=trial.number)

        def is_new(settings: Mapping[str, Scalar]) -> bool:
            return self._key(settings) not in others

        return self._drafts.draw(self._study, trial, self._space, is_new)

    def _tried(self, but: int | None = None) -> set[str]:
        """Keys of the configurations that were tried or are under way, one trial's left out."""
        if self._known is None:
            trials = self._study.get_trials(deepcopy=False)
            asked = [t for t in trials if t.state != TrialState.WAITING and _purpose(t) in (None, "retry")]
            self._known = {t.number: self._key(t.params) for t in asked}
        return {key for number, key in self._known.items() if number != but}

    def _suggest(self, number: int) -> None:
        """Stores a live trial's settings, those that it has not yet; those of the base are the spec's own."""
        if self.is_beside(number):
            return
        settings = space.suggest(self._live[number], self._space)
        if self._known is not None:
            self._known[number] = self._key(settings)

    def exhausted(self) -> dict[str, Any]:
        """The fact that `ask` found nothing new: how many settings were tried, of how many, by how many trials."""
        return {"tried": len(self._tried()), "combinations": combinations.count(self._space), "trials": self.asked()}

    def adopt(self, number: int) -> None:
        """Takes over a RUNNING trial that nobody runs; suggestions that a killed driver left out are made."""
        if number not in self._live:
            frozen = self._frozen(number)
            self._draw_rest(frozen)
            self._live[number] = optuna.trial.Trial(self._study, frozen._trial_id)
            self._reported[number] = dict(frozen.intermediate_values)
        self._suggest(number)

    def _draw_rest(self, trial: FrozenTrial) -> None:
        """Draws what a killed driver left out of a trial's settings; again, as `ask` does, where that was tried."""
        is_queued = "fixed_params" in trial.system_attrs
        if is_queued or self._drafts is None or combinations.is_whole(trial.params, self._space):
            return
        # As if nothing of it had been stored: its draws come from one stream, which begins with the first setting.
        drawn = self._drawn(bare(trial))
        if drawn is None or any(drawn.settings.get(path) != value for path, value in trial.params.items()):
            drawn = self._drawn(trial)  # the study has changed since
        if drawn and drawn.attempt == 0:
            self._drafts.replay = drawn
        elif drawn:  # Optuna takes what it finds under this name, as it does of a trial that was queued
            self._study._storage.set_trial_system_attr(trial._trial_id, "fixed_params", drawn.settings)

    def begin_attempt(self, number: int) -> tuple[dict[str, Scalar], int]:
        """Commits a new attempt at a trial; returns its settings and the attempt's number, from 1."""
        trial = self._live[number]
        attempt = int(trial.user_attrs.get("attempt", 0)) + 1
        trial.set_user_attr("attempt", attempt)
        return dict(trial.params), attempt

    def trial(self, number: int) -> Trial:
        """A live trial as the study knows it."""
        place = moved.checkpoints_of(self._study.user_attrs, self.url, self.name)
        return _trial(self._frozen(number), space.Resolver(self.base), place)

    def _frozen(self, number: int) -> FrozenTrial:
        return next(t for t in self._study.get_trials(deepcopy=False) if t.number == number)

    def started(self, number: int, worker: str, at_ms: int) -> None:
        """Stores where a trial runs and, once, when it first started."""
        trial = self._live[number]
        first = trial.user_attrs.get("start", {}).get("at_ms", at_ms)
        trial.set_user_attr("start", {"worker": worker, "at_ms": first})

    def lost(self, number: int) -> int:
        """Counts an attempt that ended with its process; returns how many there were."""
        trial = self._live[number]
        losses = int(trial.user_attrs.get("losses", 0)) + 1
        trial.set_user_attr("losses", losses)
        return losses

    def report(self, number: int, epochs: Sequence[Epoch]) -> bool:
        """Reports the epochs that are not known yet; returns whether the pruner stops the trial.

        Where a checkpoint was lost, an epoch that is computed again may have another value on a GPU; the
        history in the checkpoint is the truth, so it takes the place of the first.

        The pruner is asked once about each epoch: successive halving answers differently when asked
        again. An answer that a killed driver did not store counts as "go on".
        """
        trial = self._live[number]
        known = self._reported[number]
        fresh = [epoch for epoch in epochs if epoch.number not in known]
        for epoch in fresh if self.second is None else ():  # Optuna reports nothing where there are two objectives
            trial.report(epoch.value, epoch.number)
            known[epoch.number] = epoch.value
        for epoch in epochs:
            if not same(known.get(epoch.number), epoch.value):  # `Trial.report` would keep the first
                trial.storage.set_trial_intermediate_value(trial._trial_id, epoch.number, epoch.value)
                known[epoch.number] = epoch.value
        asked = bool(fresh) and math.isfinite(fresh[-1].value) and self.second is None
        return asked and not self.resolves_to_base(number) and trial.should_prune()

    def report_singly(self, number: int, epochs: Sequence[Epoch]) -> None:
        """Reports epochs as they once came, one after another; what the pruner answers was decided then."""
        for epoch in epochs:
            self.report(number, [epoch])

    def derived(self, number: int) -> Derived | None:
        """What a live trial was made of, where it was made of another."""
        return _derived(self._live[number].user_attrs)

    def is_beside(self, number: int) -> bool:
        """Whether a live trial is beside the search: the base, unless the search asked for it itself."""
        derived = self.derived(number)
        return derived is not None and derived.purpose == "base"

    def resolves_to_base(self, number: int) -> bool:
        """Whether a live trial trains with the spec's own settings; such a one is never pruned and on no rung."""
        if number not in self._unpruned:
            keeps = bool(self._study.user_attrs.get(KEEPS_BASE))
            self._unpruned[number] = keeps and self.is_base_setting(self._live[number].params)
        return self._unpruned[number]

    def base_trial(self) -> Trial | None:
        """The trial of the spec's own settings, the latest where it was tried again; None where there is none."""
        found = [t for t in self._study.get_trials(deepcopy=False) if _is_base(t)]
        return self.trial(found[-1].number) if found else None

    def prune(self, number: int, epoch: int) -> None:
        """Stores that a trial is pruned after an epoch and yet to be probed."""
        self._live[number].set_user_attr("pruned_after", epoch)

    def pruned_after(self, number: int) -> int:
        """The epoch after which a live trial was pruned, 0 where it was not."""
        return int(self._live[number].user_attrs.get("pruned_after", 0))

    def settle(self) -> list[int]:
        """Ends the trials whose end was decided by a driver that was killed before it had ended them."""
        decided = {t.number: t.user_attrs["end"] for t in self._running() if "end" in t.user_attrs}
        for number, decision in decided.items():
            self.adopt(number)
            self.end(number, decision)
        return list(decided)

    def end(self, number: int, decision: Mapping[str, Any]) -> None:
        """Stores how a trial ends, then ends it.

        `decision` holds state, value, best_epoch, reason, diverged, checkpoint, at_ms, epochs_s and spent; what a probe
        found at its end as `probed`; and where two objectives are searched for the other's figure as `second`.
        """
        trial = self._live[number]
        if trial.user_attrs.get("end") != dict(decision):
            trial.set_user_attr("end", dict(decision))
        state, values = decision["state"], [decision["value"]]
        if self.second:
            values.append(decision["second"])
        if decision["diverged"]:
            penalty = self._penalty()
            state, values = ("COMPLETE", penalty) if penalty else ("PRUNED", [])
        if state == "PRUNED" and self.second:
            state = "FAIL"  # Optuna's samplers can't rank a pruned trial by two objectives, and stop with an error
        if self.is_beside(number):
            state = "FAIL"  # no sampler and no pruner reads it; how it ended is in `end`
        told = {"values": values} if state == "COMPLETE" else {"state": TrialState[state]}
        with suppress(UpdateFinishedTrialError):  # by a driver that was stopped in the middle of it, and is no more
            self._study.tell(trial, **told, skip_if_finished=True)
        del self._live[number], self._reported[number]
        self._unpruned.pop(number, None)

    def _penalty(self) -> list[float]:
        """What a diverged trial is told as where the sampler reads completed trials only: the worst of each objective.

        Empty where the sampler reads pruned ones too, or where none has completed.
        """
        if not (self.search and (isinstance(self.search.sampler, GpSampler) or self.second)):
            return []
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        objectives = _objectives(self.search, self.base)
        told = zip(objectives, zip(*(t.values for t in trials if t.values), strict=True), strict=False)
        worst = {"minimize": max, "maximize": min}
        return [worst[objective.direction](values) for objective, values in told]

    def sweep(self) -> Sweep:
        """The sweep as it stands."""
        return _sweep(self._study, self.url)

    def importances(self) -> dict[str, float]:
        """How much each parameter matters among the completed trials, by PED-ANOVA; empty if it can't be said."""
        return importances(self._study)


def prepare() -> None:
    """Imports all that a study needs, by making one in memory; Optuna imports much of it when it is first used."""
    optuna.storages.RDBStorage("sqlite://")


def trouble(url: str, error: BaseException) -> str:
    """What keeps the study's database from answering, in a line; of a file with the disk that it lies on."""
    text = driver_text(error if hasattr(error, "orig") else error.__cause__)
    parts = sqlalchemy.make_url(url)
    is_file = parts.get_backend_name() == "sqlite" and parts.database
    if is_file and not Path(str(parts.database)).exists():
        return f"its file is gone: {parts.database}"  # SQLite calls that a readonly database
    return f"{text}: {disk.place_of(Path(parts.database))}" if is_file and parts.database else text


def unanswered(url: str, error: BaseException) -> BadInput:
    """The error of a database that can be opened and does not answer."""
    return BadInput(f"storage.study: the database does not answer: {trouble(url, error)}; try again when it does")


def facts(url: str, name: str) -> dict[str, Any] | None:
    """What is remembered about a sweep, or None where there is no such study yet; creates nothing."""
    try:
        return dict(_load(url, name).user_attrs)
    except NoSuchSweep:
        return None
    except AWAY as error:
        raise unanswered(url, error) from None


def unfinished_id(url: str, name: str) -> str:
    """The id of a study whose making was cut short, which is to be kept; "" where there is none. Creates nothing."""
    try:
        return unfinished_id_of(_load(url, name, is_whole=False).user_attrs, url)
    except NoSuchSweep:
        return ""
    except AWAY as error:
        raise unanswered(url, error) from None


def unfinished_id_of(facts: Mapping[str, Any], url: str) -> str:
    """The same, by what such a study remembers; "" too where it was copied or moved since: another may have the id."""
    return str(facts.get("id", "")) if COMPARABLE not in facts and moved.is_in_place(facts, url) else ""


def discard_unfinished(url: str, name: str) -> None:
    """Removes a study whose making was cut short, before it was a sweep's; does nothing where there is none."""
    kept_in = storage.connect(url)
    with suppress(KeyError):
        if COMPARABLE not in optuna.load_study(study_name=name, storage=kept_in).user_attrs:
            optuna.delete_study(study_name=name, storage=kept_in)


def remember(url: str, name: str, **more: Any) -> None:
    """Stores facts about a sweep whose driver is done."""
    study = _load(url, name, to_write=True)
    for key, value in more.items():
        study.set_user_attr(key, value)


def read(url: str, name: str) -> Sweep:
    """A sweep as its study knows it.

    Raises:
        BadInput: there is no such study, or its database does not answer.
    """
    try:
        return _sweep(_load(url, name), url)
    except AWAY as error:
        raise unanswered(url, error) from None


def importances_of(url: str, name: str) -> dict[str, float]:
    """`importances` of a sweep by name."""
    return importances(_load(url, name))


def importances(study: optuna.Study) -> dict[str, float]:
    """Importances by PED-ANOVA (Watanabe et al., 2023)."""
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < LEAST_COMPLETED:
        return {}  # Optuna would give each parameter the same share
    _import_importance()
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        target = functools.partial(_first, study.directions[0]) if len(study.directions) > 1 else None
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, target=target)
        return {name: float(share) for name, share in found.items()}
    except (ValueError, RuntimeError, ZeroDivisionError):
        return {}  # too few completed trials, or all alike


def _import_importance() -> None:
    # Beside PED-ANOVA Optuna imports two evaluators that need scikit-learn, a second's import, and does without it
    # where it is not there.
    if "optuna.importance" in sys.modules or "sklearn" in sys.modules:
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment] # what the import system takes for "not there"
    try:
        importlib.import_module("optuna.importance")
    finally:
        del sys.modules["sklearn"]


def _first(direction: StudyDirection, trial: FrozenTrial) -> float:
    """The metric's value, less is better, as the evaluator wants it."""
    return float(trial.values[0]) * (1 if direction == StudyDirection.MINIMIZE else -1)


def _load(url: str, name: str, *, to_write: bool = False, is_whole: bool = True) -> optuna.Study:
    missing = NoSuchSweep(f"{name}: has not been run yet; `sweep run` starts it")
    engine_options(url)  # whether it is an address at all
    if is_missing(url):
        raise missing
    try:
        study = optuna.load_study(study_name=name, storage=storage.connect(url if to_write else readable(url)))
    except KeyError:
        raise missing from None
    _check_form(study)
    # Where it lacks this its first driver was killed before it had said what the sweep is.
    if is_whole and COMPARABLE not in study.user_attrs:
        raise missing
    return study


def _check_form(study: optuna.Study) -> None:
    check_form(f"the study {study.study_name}", int(study.user_attrs.get(FORM, 1)), FORMAT)


def _sweep(study: optuna.Study, url: str) -> Sweep:
    facts = study.user_attrs
    base = TrialConfig.model_validate(facts["base"])
    place = moved.checkpoints_of(facts, url, study.study_name)
    resolve = space.Resolver(base)
    trials = tuple(_trial(t, resolve, place) for t in study.get_trials(deepcopy=False))
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


def _trial(frozen: FrozenTrial, resolve: space.Resolver, place: str) -> Trial:
    end, start = frozen.user_attrs.get("end", {}), frozen.user_attrs.get("start", {})
    state: State = end.get("state", "FAIL") if frozen.state.is_finished() else frozen.state.name  # type: ignore[assignment] # Optuna's names are ours
    return Trial(
        number=frozen.number,
        state=state,
        value=end.get("value"),
        settings=frozen.params,
        config=resolve(frozen.params),
        curve=tuple(sorted(frozen.intermediate_values.items())),
        attempt=int(frozen.user_attrs.get("attempt", 0)),
        best_epoch=int(end.get("best_epoch", 0)),
        reason=str(end.get("reason", "")),
        diverged=bool(end.get("diverged", False)),
        checkpoint=checkpoint.address_of(place, frozen.number) if place and end.get("checkpoint") else "",
        worker=str(start.get("worker", "")),
        started_at_ms=start.get("at_ms"),
        ended_at_ms=end.get("at_ms"),
        epochs_s=end.get("epochs_s"),
        told=tuple(frozen.values or ()),
        second=end.get("second"),
        probed=TrialProbed(frozen.number, **end["probed"]) if "probed" in end else None,
        spent=Spent(**end["spent"]) if "spent" in end else None,
        derived=_derived(frozen.user_attrs),
        is_base=_is_base(frozen),
    )


def _derived(attributes: Mapping[str, Any]) -> Derived | None:
    return Derived(**attributes[DERIVED]) if DERIVED in attributes else None


def _purpose(frozen: FrozenTrial) -> str | None:
    """What a trial was made of another for; None where the search asked for it."""
    derived = _derived(frozen.user_attrs)
    return derived.purpose if derived else None


def _is_base(frozen: FrozenTrial) -> bool:
    """Whether a trial is that of the spec's own settings."""
    return _purpose(frozen) == "base" or BASE in frozen.user_attrs


def _replaced(trials: Iterable[FrozenTrial]) -> set[int]:
    """The numbers of the trials in whose place a retry stands."""
    return {t.user_attrs[DERIVED]["parent"] for t in trials if _purpose(t) == "retry"}


def _second(search: SearchConfig | None) -> Objective | None:
    second = search.second_objective if search else None
    return Objective(second.metric, second.direction) if second else None


def _objectives(search: SearchConfig | None, base: TrialConfig) -> list[Objective]:
    """What is searched for: the metric, and a second figure where there is one."""
    second = _second(search)
    return [Objective(base.metric, base.direction), *([second] if second else [])]


class NumberedSampler(BaseSampler):
    """Draws from (seed, trial number), so that a driver made anew never suggests the same again.

    For each trial it makes the wrapped sampler with that trial's own seed; all that such a sampler
    learned lies in the study. The grid is one for all trials; which point a trial gets is stored in
    the study.
    """

    def __init__(self, search: SearchConfig) -> None:
        """Wraps the sampler that the search asks for."""
        self._search = search
        self._made_for = (-1, 0)
        self._attempt = 0  # which draw of a trial's setting it is
        self._sampler: BaseSampler = optuna.samplers.RandomSampler()
        self.replay: Drawn | None = None  # drawn already, and now the trial's

    def draw(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        searched: space.Space,
        is_new: Callable[[Mapping[str, Scalar]], bool],
    ) -> Drawn | None:
        """A trial's setting, from (seed, number, attempt), the first that is new; nothing is stored."""
        self.replay = None
        count, left = combinations.count(searched), None
        try:
            for self._attempt in range(DRAWS):
                drawn = draft.draw(study, trial, searched, self._attempt)
                if is_new(drawn.settings):
                    return drawn
                if self._attempt == 0 and count is not None and count <= LISTED:
                    left = [settings for settings in combinations.every(searched) if is_new(settings)]
                    if not left:
                        return None
        finally:
            self._attempt = 0
        if not left or trial.params:
            return None
        chosen = left[mixed(f"{self._search.sampler.seed}:{trial.number}:{DRAWS}") % len(left)]
        return Drawn(trial.number, DRAWS, chosen, {}, {}, {})

    def _of(self, trial: FrozenTrial, *, anew: bool = False) -> BaseSampler:
        wanted = trial.number, self._attempt
        if (anew or wanted != self._made_for) and not isinstance(self._sampler, optuna.samplers.GridSampler):
            made = _sampler(self._search, *wanted)
            for name in COMMON:
                if hasattr(made, name) and hasattr(self._sampler, name):
                    setattr(made, name, getattr(self._sampler, name))
            self._made_for, self._sampler = wanted, made
        return self._sampler

    def _replayed(self, trial: FrozenTrial) -> Drawn | None:
        return self.replay if self.replay and self.replay.number == trial.number else None

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Hands on."""
        if not (drawn := self._replayed(trial)):
            self._of(trial, anew=True).before_trial(study, trial)
            return
        for key, value in drawn.attributes.items():
            if trial.system_attrs.get(key) != json.loads(json.dumps(value)):  # else a killed driver has stored it
                study._storage.set_trial_system_attr(trial._trial_id, key, value)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Hands on."""
        drawn = self._replayed(trial)
        return drawn.searched if drawn else self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Hands on."""
        drawn = self._replayed(trial)
        return drawn.relative if drawn else self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Hands on."""
        if drawn := self._replayed(trial):
            return drawn.settings[param_name]
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    # `after_trial` is not handed on: the grid's would stop an `optimize` loop that is not there.


def _sampler(search: SearchConfig, number: int, attempt: int) -> BaseSampler:
    chosen = search.sampler
    if isinstance(chosen, GridSampler):
        return optuna.samplers.GridSampler(space.grid(search.space), seed=chosen.seed)
    seed = mixed(f"{chosen.seed}:{number}:{attempt}" if attempt else f"{chosen.seed}:{number}")
    if isinstance(chosen, RandomSampler) or attempt >= OWN:
        return optuna.samplers.RandomSampler(seed=seed)
    if isinstance(chosen, GpSampler):
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=chosen.n_startup_trials)
    return optuna.samplers.TPESampler(
        seed=seed,
        n_startup_trials=chosen.n_startup_trials,
        multivariate=True,
        group=any(dimension.when for dimension in search.space.values()),
        constant_liar=True,  # trials run side by side
    )


def _longest(search: SearchConfig, base: TrialConfig) -> int:
    """The most epochs that a trial may have."""
    searched = search.space.get("training.max_epochs")
    ends = [] if searched is None else [value for _, value in space.ends_of(searched)]
    return max(base.training.max_epochs, *(end for end in ends if isinstance(end, int)), 1)


def _pruner(chosen: AnyPruner, max_epochs: int) -> optuna.pruners.BasePruner:
    if isinstance(chosen, MedianPruner):
        return optuna.pruners.MedianPruner(chosen.n_startup_trials, chosen.n_warmup_steps, chosen.interval_steps)
    if isinstance(chosen, SuccessiveHalvingPruner):
        return optuna.pruners.SuccessiveHalvingPruner(
            chosen.min_resource, chosen.reduction_factor, chosen.min_early_stopping_rate
        )
    if isinstance(chosen, HyperbandPruner):
        return optuna.pruners.HyperbandPruner(chosen.min_resource, max_epochs, chosen.reduction_factor)
    if isinstance(chosen, PatientPruner):
        return optuna.pruners.PatientPruner(None, chosen.patience, chosen.min_delta)
    return optuna.pruners.NopPruner()

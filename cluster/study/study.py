"""The durable memory of a sweep: one Optuna study in a relational database.

Every suggestion is committed before its trial starts, every epoch is reported, and every decision is stored before
it is carried out. A driver that goes on after another was killed finds all that it needs here and in the checkpoints.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from cluster.config import GridSampler, SearchConfig
from cluster.decisions import ATTEMPT, BASE, DERIVED, FIRST, LOSSES, Change, Decisions, End, derived_of, is_base
from cluster.reports import Reports
from cluster.space import combinations, suggest
from cluster.study import moved, storage
from cluster.study.drafts import Drawn, bare, unborn
from cluster.study.private_patches import FIXED
from cluster.study.samplers_and_pruners import (
    NumberedSampler,
    longest,
    objectives_of,
    pruner_of,
    prunes,
    second_of,
    worst_of,
)
from cluster.study.storage import SoleStorage
from cluster.study.stored import check_study_form, counting, importances, sweep_of, trial_of
from lstm.config.trial import TrialConfig
from lstm.records.epoch import Epoch, same
from lstm.records.objective import Objective, Scalar
from lstm.records.state import Derived, again, counts
from lstm.records.sweep import KEEPS_BASE, Sweep
from lstm.records.trial import Trial

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Study:
    """The study of one sweep, as its driver uses it."""

    def __init__(
        self,
        url: str,
        name: str,
        search: SearchConfig | None,
        base: TrialConfig,
        kept_in: BaseStorage | None = None,
    ) -> None:
        """Open the study, or create it; `search` is None for a single training run.

        `kept_in` replaces the database at the address as the storage.
        """
        self.search, self.base, self.url, self.name = search, base, url, name
        self._storage = kept_in or SoleStorage(storage.connect(url))
        sampler: BaseSampler = optuna.samplers.RandomSampler(seed=0)
        self._drafts: NumberedSampler | None = None  # None for a sampler that never repeats itself
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if search:
            sampler = NumberedSampler(search, self._storage, name)
            self._drafts = None if isinstance(search.sampler, GridSampler) else sampler
            pruner = pruner_of(search.pruner, longest(search, base))
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=name,
            directions=[objective.direction for objective in objectives_of(search, base)],
            load_if_exists=True,
            sampler=sampler,
            pruner=pruner,
        )
        check_study_form(self._study)
        self._live: dict[int, optuna.trial.Trial] = {}
        self._unpruned: dict[int, bool] = {}  # by live trial, once asked: whether it is never pruned
        self._space: suggest.Space = search.space if search else {}
        self._key = combinations.Keys(base, self._space)
        self._known: dict[int, str] | None = None  # by trial, once asked: the key of its configuration
        self.n_trials = search.n_trials if search else 1
        self.second: Objective | None = second_of(search)
        self.windows = replace(base.windows, longest=longest(search, base))
        self._reports = Reports(self.windows, base.direction)

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that `remember` has stored."""
        return dict(self._study.user_attrs)

    def remember(self, **facts: Any) -> None:
        """Store facts about the sweep, as JSON; unchanged facts cost nothing.

        Each fact is a commit of its own, in the order given.
        """
        known = self._study.user_attrs
        for key, value in facts.items():
            if key not in known or known[key] != value:
                self._study.set_user_attr(key, value)

    def enqueue_first(self) -> None:
        """Queue what is tried before anything is drawn, unless it is in the study already.

        A study that an earlier version began has no base and gets none.
        """
        trials = self._study.get_trials(deepcopy=False)
        there = {t.user_attrs[FIRST] for t in trials if FIRST in t.user_attrs}
        keeps_base = bool(self.facts.get(KEEPS_BASE)) and not any(is_base(t.user_attrs) for t in trials)
        for settings, decided in self.queue(keeps_base=keeps_base):
            if decided.first not in there:
                self._study.enqueue_trial(dict(settings), user_attrs=decided.asked())

    def queue(self, *, keeps_base: bool) -> list[tuple[Mapping[str, Scalar], Decisions]]:
        """Return what is tried before anything is drawn: settings, each with the decisions about its trial.

        That is the base, then the first `n_trials` of `search.first`. If one of these resolves to the base, it is the
        base itself, and comes first.
        """
        assert self.search is None or isinstance(self.search.first, list), "the first settings are yet to be chosen"
        first = self.search.first_settings[: self.n_trials] if self.search else []
        queue: list[tuple[Mapping[str, Scalar], Decisions]]
        queue = [(settings, Decisions(first=index)) for index, settings in enumerate(first)]
        if not keeps_base:
            return queue
        place = combinations.base_among(first, self.base, self._space)
        if place is None:
            return [({}, Decisions(Derived(None, "base"))), *queue]
        return [(first[place], Decisions(first=place, base=True)), *queue[:place], *queue[place + 1 :]]

    def is_base_setting(self, settings: Mapping[str, Scalar]) -> bool:
        """Return whether settings resolve to the spec's own."""
        return self._key(settings) == self._key({})

    def add(self, trial: FrozenTrial) -> None:
        """Add a trial as it is, under the next number."""
        self._study.add_trial(trial)

    def frozen(self) -> list[FrozenTrial]:
        """Return all trials, as Optuna keeps them."""
        return self._study.get_trials(deepcopy=False)

    def retry(self, parent: int) -> None:
        """Queue a trial with a failed one's settings that replaces it; do nothing if there is one already."""
        failed = self._frozen(parent).user_attrs
        derived = again(parent, derived_of(failed))
        if not any(derived_of(t.user_attrs) == derived for t in self.frozen()):
            self.derive(parent, Decisions(derived, base=BASE in failed))

    def derive(self, parent: int, decided: Decisions) -> None:
        """Queue a trial with the settings of its parent."""
        self._study.enqueue_trial(self._frozen(parent).params, user_attrs=decided.asked())

    def asked(self) -> int:
        """Return how many trials that count have been suggested, in any state."""
        return sum(t.state != TrialState.WAITING for t in self._counted())

    def due(self) -> int:
        """Return how many trials are yet to be suggested; queued derived trials come whatever n_trials says."""
        queued = sum(t.state == TrialState.WAITING and DERIVED in t.user_attrs for t in self._counted())
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return max(self.n_trials - self.asked(), queued) + sum(not _counts(t) for t in waiting)

    def _counted(self) -> list[FrozenTrial]:
        return counting(self._study.get_trials(deepcopy=False))

    def running(self) -> list[int]:
        """Return the numbers of the trials that were suggested and have not ended. Refits are not among them."""
        return [t.number for t in self._running() if not Decisions.of(t.user_attrs).is_refit]

    def _running(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def ask(self) -> int | None:
        """Suggest a new trial and commit it; return its number, or None if nothing new is left to try.

        Queued trials come first, unchanged. Other trials are drawn before they are committed, and drawn again if their
        configuration was tried or is under way.
        """
        trials = self._study.get_trials(deepcopy=False)
        if self._drafts and not any(t.state == TrialState.WAITING for t in trials):
            drawn = self._drawn(unborn(len(trials)))
            if drawn is None:
                return None
            self._commit(drawn)
        trial = self._study.ask()
        self._live[trial.number] = trial
        self._reports.begin(trial.number, {})
        self._suggest(trial.number)
        return trial.number

    def take(self, number: int) -> None:
        """Take a queued trial out of its order, as `ask` takes the first one."""
        self._storage.set_trial_state_values(self._id(number), TrialState.RUNNING)
        self.adopt(number)

    def _commit(self, drawn: Drawn) -> None:
        """Make a draw the next trial. A repeated draw is stored in one write: a killed driver leaves no half."""
        assert self._drafts is not None
        if drawn.attempt == 0:
            self._drafts.replay = drawn
        else:
            self._study.enqueue_trial(drawn.settings)

    def _drawn(self, trial: FrozenTrial) -> Drawn | None:
        """Return the first of a trial's draws that nobody has tried."""
        assert self._drafts is not None
        others = self._tried(but=trial.number)

        def is_new(settings: Mapping[str, Scalar]) -> bool:
            return self._key(settings) not in others

        return self._drafts.draw(self._study, trial, self._space, is_new)

    def _tried(self, but: int | None = None) -> set[str]:
        """Return the keys of the configurations that were tried or are under way, without trial `but`."""
        if self._known is None:
            trials = self._study.get_trials(deepcopy=False)
            asked = [t for t in trials if t.state != TrialState.WAITING and _counts(t)]
            self._known = {t.number: self._key(t.params) for t in asked}
        return {key for number, key in self._known.items() if number != but}

    def _suggest(self, number: int) -> None:
        """Store those settings of a live trial that it does not have yet.

        The base's are the spec's own, and so are those of a trial that extends the base.
        """
        derived = self.derived(number)
        if not counts(derived) and not self._frozen(number).system_attrs.get(FIXED):
            return
        settings = suggest.suggest(self._live[number], self._space)
        if self._known is not None and counts(derived):
            self._known[number] = self._key(settings)

    def exhausted(self) -> dict[str, Any]:
        """Return the fact that `ask` found nothing new: settings tried, combinations there are, trials suggested."""
        return {"tried": len(self._tried()), "combinations": combinations.count(self._space), "trials": self.asked()}

    def adopt(self, number: int) -> None:
        """Take over a RUNNING trial that nobody runs, and draw the settings that a killed driver left out."""
        if number not in self._live:
            frozen = self._frozen(number)
            self._draw_rest(frozen)
            self._live[number] = optuna.trial.Trial(self._study, self._id(number))
            self._reports.begin(number, frozen.intermediate_values)
        self._suggest(number)

    def _draw_rest(self, trial: FrozenTrial) -> None:
        """Draw the settings that a killed driver left out; draw again, as `ask` does, if they were tried."""
        if FIXED in trial.system_attrs or self._drafts is None or combinations.is_whole(trial.params, self._space):
            return
        if not _counts(trial):
            return
        # Draw as if nothing had been stored: the draws come from one stream that begins with the first setting.
        drawn = self._drawn(bare(trial))
        if drawn is None or any(drawn.settings.get(path) != value for path, value in trial.params.items()):
            drawn = self._drawn(trial)  # the study has changed since
        if drawn and drawn.attempt == 0:
            self._drafts.replay = drawn
        elif drawn:  # Optuna takes the settings under this name, as for a queued trial
            self._storage.set_trial_system_attr(self._id(trial.number), FIXED, drawn.settings)

    def begin_attempt(self, number: int) -> tuple[dict[str, Scalar], int]:
        """Commit a new attempt at a trial; return the trial's settings and the attempt's number, from 1."""
        change = self._decided(number).begun()
        self._decide(number, change)
        return dict(self._live[number].params), change[ATTEMPT]

    def _decided(self, number: int) -> Decisions:
        return Decisions.of(self._live[number].user_attrs)

    def _decide(self, number: int, change: Change) -> None:
        for name, value in change.items():
            self._live[number].set_user_attr(name, value)

    def trial(self, number: int) -> Trial:
        """Return a trial as the study knows it."""
        place = moved.checkpoints_of(self._study.user_attrs, self.url, self.name)
        return trial_of(self._frozen(number), suggest.Resolver(self.base), place, self.windows)

    def _frozen(self, number: int) -> FrozenTrial:
        return next(t for t in self._study.get_trials(deepcopy=False) if t.number == number)

    def _id(self, number: int) -> int:
        return storage.id_of(self._storage, self.name, number)

    def started(self, number: int, worker: str, at_ms: int) -> None:
        """Store where a trial runs and, once, when it first started (Unix time in ms)."""
        self._decide(number, self._decided(number).started(worker, at_ms))

    def lost(self, number: int) -> int:
        """Count an attempt that was lost with its process; return how many there were."""
        change = self._decided(number).lost()
        self._decide(number, change)
        return int(change[LOSSES])

    def report(self, number: int, epochs: Sequence[Epoch]) -> bool:
        """Report the epochs that the study does not have yet; return whether the pruner stops the trial.

        If a checkpoint was lost, an epoch that is computed again may get another value on a GPU. The history in the
        checkpoint is the truth, so its value replaces the first one.

        The pruner is asked once about each epoch: successive halving answers differently when asked again. A killed
        driver's answer that was not stored counts as "go on".
        """
        trial = self._live[number]
        known, steps = self._reports.known(number), self._reports.steps(number, epochs)
        fresh = [(step, value) for step, value in steps if step not in known]
        for step, value in fresh if self.second is None else ():  # with two objectives Optuna allows no reports
            trial.report(value, step)
            known[step] = value
        for step, value in steps:
            if not same(known.get(step), value):  # `Trial.report` would keep the first
                self._storage.set_trial_intermediate_value(self._id(number), step, value)
                known[step] = value
        asked = bool(fresh) and math.isfinite(fresh[-1][1]) and self.second is None
        is_rival = not self.is_beside(number) and not self.resolves_to_base(number)  # of the trials on its rungs
        return asked and is_rival and prunes(self._study, trial, fresh[-1][0], self.search, self.windows)

    def steps_reported(self, number: int) -> int:
        """Return how many steps of a live trial the study has: epochs, and later windows of a backtest."""
        return len(self._reports.known(number))

    def derived(self, number: int) -> Derived | None:
        """Return what a live trial was made from; None if the search suggested it."""
        return derived_of(self._live[number].user_attrs)

    def is_beside(self, number: int) -> bool:
        """Return whether a live trial is outside the search, as the base is: derived, but no other's replacement."""
        return not counts(self.derived(number))

    def resolves_to_base(self, number: int) -> bool:
        """Return whether a live trial trains with the spec's own settings; it is then never pruned and on no rung."""
        if number not in self._unpruned:
            derived = self.derived(number)
            keeps = bool(self._study.user_attrs.get(KEEPS_BASE)) and (derived is None or not derived.has_budget)
            self._unpruned[number] = keeps and self.is_base_setting(self._live[number].params)
        return self._unpruned[number]

    def base_trial(self) -> Trial | None:
        """Return the trial of the spec's own settings, the latest if it was tried again; None if there is none."""
        found = [t for t in self._study.get_trials(deepcopy=False) if is_base(t.user_attrs)]
        return self.trial(found[-1].number) if found else None

    def prune(self, number: int, epoch: int) -> None:
        """Store that a trial is pruned after an epoch and yet to be probed."""
        self._decide(number, self._decided(number).pruned(epoch))

    def pruned_after(self, number: int) -> int:
        """Return the epoch after which a live trial was pruned, 0 if it was not."""
        return self._decided(number).pruned_after

    def settle(self) -> list[int]:
        """End the trials that a killed driver had decided to end; return their numbers."""
        ends = {t.number: Decisions.of(t.user_attrs).end for t in self._running()}
        decided = {number: end for number, end in ends.items() if end is not None}
        for number, end in decided.items():
            self.adopt(number)
            self.end(number, end)
        return list(decided)

    def end(self, number: int, end: End) -> None:
        """Store how a trial ends, then end it."""
        trial = self._live[number]
        self._decide(number, self._decided(number).ended(end, has_second=self.second is not None))
        state: str = end.state
        values = [end.value, *([end.second] if self.second else [])]
        if end.diverged:
            penalty = worst_of(self._study, self.search, self.base)
            state, values = ("COMPLETE", [*penalty]) if penalty else ("PRUNED", [])
        if state == "PRUNED" and self.second:
            state = "FAIL"  # Optuna's samplers can't rank a pruned trial by two objectives, and stop with an error
        if self.is_beside(number):
            state = "FAIL"  # no sampler and no pruner reads it; its end is in the attribute `end`
        told = {"values": values} if state == "COMPLETE" else {"state": TrialState[state]}
        with suppress(UpdateFinishedTrialError):  # a killed driver had ended it already
            self._study.tell(trial, **told, skip_if_finished=True)
        del self._live[number]
        self._reports.forget(number)
        self._unpruned.pop(number, None)

    def sweep(self) -> Sweep:
        """Return the sweep as it is now."""
        return sweep_of(self._study, self.url)

    def importances(self) -> dict[str, float]:
        """Return each parameter's importance among the completed trials, by PED-ANOVA; empty if it is unknown."""
        return importances(self._study)


def _counts(trial: FrozenTrial) -> bool:
    return counts(derived_of(trial.user_attrs))

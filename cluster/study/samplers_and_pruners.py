"""Make Optuna's objectives, sampler and pruner from a spec; each trial's draws are seeded by its number."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

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
    TpeSampler,
)
from cluster.decisions import derived_of, is_base
from cluster.space import combinations, suggest
from cluster.study import drafts
from cluster.study.drafts import DRAWS, LISTED, OWN, Drawn, mixed
from cluster.study.storage import id_of
from lstm.config.trial import TrialConfig
from lstm.records.objective import Objective, Scalar, sort_key
from lstm.records.state import counts
from lstm.records.windows import Windows


class NumberedSampler(BaseSampler):
    """A sampler that draws from (seed, trial number), so that a new driver never repeats earlier draws.

    For each trial it makes the wrapped sampler with a seed for that trial; all that such a sampler has learned is in
    the study. A grid sampler is one for all trials; the study stores which point each trial gets.
    """

    def __init__(self, search: SearchConfig, storage: BaseStorage, study_name: str) -> None:
        """Wrap the sampler that the search asks for, for the study of this name in this storage."""
        self._search, self._storage, self._study_name = search, storage, study_name
        # The space that all trials so far have in common. It grows by trial; a new sampler would read all trials again.
        self._common = IntersectionSearchSpace(include_pruned=isinstance(search.sampler, TpeSampler))
        self._made_for = (-1, 0)
        self._attempt = 0  # which draw of a trial's settings this is
        self._sampler: BaseSampler = optuna.samplers.RandomSampler()
        self.replay: Drawn | None = None  # the draw that the next trial gets

    def draw(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        searched: suggest.Space,
        is_new: Callable[[Mapping[str, Scalar]], bool],
    ) -> Drawn | None:
        """Return a trial's settings from (seed, number, attempt), the first new ones; None if nothing new is left.

        Nothing is stored.
        """
        self.replay = None
        count, left = combinations.count(searched), None
        try:
            for self._attempt in range(DRAWS):
                drawn = drafts.draw(study, self._storage, trial, searched, self._attempt)
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
            self._made_for, self._sampler = wanted, _sampler(self._search, *wanted)
        return self._sampler

    def _replayed(self, trial: FrozenTrial) -> Drawn | None:
        return self.replay if self.replay and self.replay.number == trial.number else None

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Delegate to the wrapped sampler, or store what it would have stored for a replayed draw."""
        if not (drawn := self._replayed(trial)):
            self._of(trial, anew=True).before_trial(study, trial)
            return
        for key, value in drawn.attributes.items():
            if trial.system_attrs.get(key) != json.loads(json.dumps(value)):  # otherwise a killed driver has stored it
                trial_id = id_of(self._storage, self._study_name, trial.number)
                self._storage.set_trial_system_attr(trial_id, key, value)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the wrapped sampler's space; for TPE and GP, without reading all trials again."""
        if drawn := self._replayed(trial):
            return drawn.searched
        sampler = self._of(trial)
        if is_grouped(self._search) or not isinstance(sampler, optuna.samplers.TPESampler | optuna.samplers.GPSampler):
            return sampler.infer_relative_search_space(study, trial)
        return {name: each for name, each in self._common.calculate(study).items() if not each.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Delegate to the wrapped sampler, or return a replayed draw."""
        drawn = self._replayed(trial)
        return drawn.relative if drawn else self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Delegate to the wrapped sampler, or return a replayed draw's value."""
        if drawn := self._replayed(trial):
            return drawn.settings[param_name]
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    # `after_trial` is not delegated: the grid sampler's would stop an `optimize` loop, and there is none.


@contextmanager
def _experimental() -> Iterator[None]:
    """Silence Optuna's warnings of experimental features that were chosen here; the user's own filters stay."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@_experimental()
def _sampler(search: SearchConfig, number: int, attempt: int) -> BaseSampler:
    chosen = search.sampler
    if isinstance(chosen, GridSampler):
        return optuna.samplers.GridSampler(suggest.grid(search.space), seed=chosen.seed)
    seed = mixed(f"{chosen.seed}:{number}:{attempt}" if attempt else f"{chosen.seed}:{number}")
    if isinstance(chosen, RandomSampler) or attempt >= OWN:
        return optuna.samplers.RandomSampler(seed=seed)
    if isinstance(chosen, GpSampler):
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=chosen.n_startup_trials)
    return optuna.samplers.TPESampler(
        seed=seed,
        n_startup_trials=chosen.n_startup_trials,
        multivariate=True,
        group=is_grouped(search),
        constant_liar=True,  # trials run at the same time
    )


def is_grouped(search: SearchConfig) -> bool:
    """Return whether TPE samples parameters in groups: under conditions, not every trial has all parameters."""
    return isinstance(search.sampler, TpeSampler) and any(dimension.when for dimension in search.space.values())


def longest(search: SearchConfig | None, base: TrialConfig) -> int:
    """Return the most epochs that a trial may have; in a backtest, in each window."""
    searched = search.space.get("training.max_epochs") if search else None
    ends = [] if searched is None else [value for _, value in suggest.ends_of(searched)]
    return max(base.training.max_epochs, *(end for end in ends if isinstance(end, int)), 1)


@_experimental()
def pruner_of(chosen: AnyPruner, max_epochs: int) -> optuna.pruners.BasePruner:
    """Return Optuna's pruner for a spec's section; `max_epochs` is the most that a trial may have."""
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


def prunes(study: optuna.Study, trial: optuna.Trial, step: int, search: SearchConfig | None, windows: Windows) -> bool:
    """Return whether the pruner stops a trial after a step: in the first window by Optuna's own pruner.

    After a later window a trial is compared with the trials that ended the same window, by the mean over the windows so
    far: like with like.

    Successive halving counts a window as the most epochs that it may have: window `k` ends at `k * longest` epochs. If
    a rung lies within the window, only the best 1/reduction_factor of the trials that ended it go on. The median pruner
    compares with the completed trials at this window. The other pruners decide in the first window only: hyperband's
    rungs end there, and the mean over windows is no progress that patience could wait for.
    """
    window = windows.window_of(step)
    if window == 1 or search is None:
        return bool(trial.should_prune())
    trials, pruner = study.get_trials(deepcopy=False), search.pruner
    mine = next(each for each in trials if each.number == trial.number)
    if isinstance(pruner, SuccessiveHalvingPruner):
        return has_rung(pruner, windows, window) and _is_below(study, trials, mine, step, pruner)
    if isinstance(pruner, MedianPruner):
        return _is_worse_than_median(study, trials, mine, step, pruner)
    return False


def has_rung(pruner: SuccessiveHalvingPruner, windows: Windows, window: int) -> bool:
    """Return whether a rung of successive halving lies within a later window."""
    rung: int = pruner.min_resource * pruner.reduction_factor**pruner.min_early_stopping_rate
    while rung <= (window - 1) * windows.longest:
        rung *= pruner.reduction_factor
    return rung <= window * windows.longest


def _is_below(
    study: optuna.Study, trials: list[FrozenTrial], mine: FrozenTrial, step: int, pruner: SuccessiveHalvingPruner
) -> bool:
    """Return whether a trial is not among the best of a rung, as Optuna's successive halving counts them.

    The base is on no rung, and no trial beside the search: one of confirm is judged on windows that the search may not
    see.
    """
    searched = [each for each in trials if counts(derived_of(each.user_attrs)) and not is_base(each.user_attrs)]
    on_it = [each for each in searched if step in each.intermediate_values]
    ranks = sorted(_rank(study, each, step) for each in on_it)
    most = max(len(ranks) // pruner.reduction_factor, 1)
    return _rank(study, mine, step) > ranks[most - 1]


def _is_worse_than_median(
    study: optuna.Study, trials: list[FrozenTrial], mine: FrozenTrial, step: int, pruner: MedianPruner
) -> bool:
    done = [t for t in trials if t.state == TrialState.COMPLETE and step in t.intermediate_values]
    if len(done) < max(pruner.n_startup_trials, 1):
        return False
    return _rank(study, mine, step) > median(_rank(study, trial, step) for trial in done)


def _rank(study: optuna.Study, trial: FrozenTrial, step: int) -> float:
    value = trial.intermediate_values[step]
    return value if study.direction == optuna.study.StudyDirection.MINIMIZE else -value


def second_of(search: SearchConfig | None) -> Objective | None:
    """Return the second objective, or None."""
    second = search.second_objective if search else None
    return Objective(second.metric, second.direction) if second else None


def objectives_of(search: SearchConfig | None, base: TrialConfig) -> list[Objective]:
    """Return the objectives: the metric, and the second one if there is one."""
    second = second_of(search)
    return [Objective(base.metric, base.direction), *([second] if second else [])]


def worst_of(study: optuna.Study, search: SearchConfig | None, base: TrialConfig) -> list[float]:
    """Return a diverged trial's values for a sampler that reads only completed trials: the worst of each objective.

    Empty if the sampler reads pruned trials, too, or if no trial has completed.
    """
    if search is None or not (isinstance(search.sampler, GpSampler) or search.second_objective):
        return []
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    told = zip(objectives_of(search, base), zip(*(t.values for t in trials if t.values), strict=True), strict=False)
    return [max(values, key=lambda each: sort_key(each, objective.direction)) for objective, values in told]

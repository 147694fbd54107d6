"""Draw a trial's settings before the study has the trial, so that settings tried already can be drawn again."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from cluster.decisions import derived_of
from cluster.space import suggest
from cluster.study.storage import id_of
from lstm.records.objective import Scalar
from lstm.records.state import counts

DRAWS = 100  # of one trial's settings, after which nothing new is taken to be left
# The first draws come from the sampler itself, later ones are random: a settled sampler would repeat itself for ever.
OWN = 5
LISTED = 10_000  # at most this many combinations are listed to find a new one
NOBODYS = -1  # the id of a trial that is not in the study


@dataclass(frozen=True)
class Drawn:
    """The settings that a sampler drew for a trial, and all that it would have stored with the trial."""

    number: int
    attempt: int
    settings: dict[str, Scalar]
    searched: dict[str, BaseDistribution]
    relative: dict[str, Any]
    attributes: dict[str, Any]


class Draft:
    """A study's storage with one drafted trial: writes for that trial stay here, everything else is read through."""

    def __init__(self, storage: BaseStorage, trial: FrozenTrial, trial_id: int = NOBODYS) -> None:
        """Wrap the storage; the trial may be in it already, with fewer settings, and then has an id there."""
        self._storage, self.trial, self._id = storage, trial, trial_id
        self.attributes: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """Delegate to the wrapped storage."""
        return getattr(self._storage, name)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial, which may be the drafted one."""
        return copy.deepcopy(self.trial) if trial_id == self._id else self._storage.get_trial(trial_id)

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return what Optuna keeps with a trial."""
        return self.get_trial(trial_id).system_attrs

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Sequence[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of the search with the drafted one among them.

        A trial beside the search that has not ended is left out: a sampler would keep away from its settings.
        """
        found = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        found = [each for each in found if each.state.is_finished() or counts(derived_of(each.user_attrs))]
        if states is not None and self.trial.state not in states:
            return found
        mine = copy.deepcopy(self.trial) if deepcopy else self.trial
        if self._id == NOBODYS:
            return [*found, mine]
        return [mine if each.number == mine.number else each for each in found]

    def set_trial_param(self, trial_id: int, name: str, value: float, distribution: BaseDistribution) -> None:
        """Keep a value of the drafted trial."""
        self.trial.params = {**self.trial.params, name: distribution.to_external_repr(value)}
        self.trial.distributions = {**self.trial.distributions, name: distribution}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a fact of Optuna about the drafted trial."""
        self.attributes[key] = value
        self.trial.system_attrs = {**self.trial.system_attrs, key: value}


class _Noting(BaseSampler):
    """A wrapped sampler that notes what it drew for all settings together."""

    def __init__(self, sampler: BaseSampler) -> None:
        self._sampler = sampler
        self.searched: dict[str, BaseDistribution] = {}
        self.relative: dict[str, Any] = {}

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        self.searched = self._sampler.infer_relative_search_space(study, trial)
        return self.searched

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self.relative = self._sampler.sample_relative(study, trial, search_space)
        return self.relative

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def unborn(number: int) -> FrozenTrial:
    """Return a trial that is not in the study yet."""
    return FrozenTrial(
        number=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),  # as Optuna does
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=NOBODYS,
    )


def bare(trial: FrozenTrial) -> FrozenTrial:
    """Return a copy of a trial without any of its settings."""
    found = copy.deepcopy(trial)
    found.params, found.distributions = {}, {}
    return found


def draw(study: optuna.Study, storage: BaseStorage, trial: FrozenTrial, searched: suggest.Space, attempt: int) -> Drawn:
    """Return what the study's sampler draws for a trial; nothing is stored."""
    try:
        trial_id = id_of(storage, study.study_name, trial.number)
    except KeyError:
        trial_id = NOBODYS
    draft, noting = Draft(storage, copy.deepcopy(trial), trial_id), _Noting(study.sampler)
    view = optuna.load_study(
        study_name=study.study_name,
        storage=cast("BaseStorage", draft),  # it has the part of a storage that a sampler uses
        sampler=noting,
        pruner=study.pruner,
    )
    drafted = optuna.trial.Trial(view, trial_id)
    settings = suggest.walk(searched, lambda path: suggest.draw(drafted, path, searched[path]))
    return Drawn(
        number=trial.number,
        attempt=attempt,
        settings=settings,
        searched=noting.searched,
        relative=noting.relative,
        attributes=draft.attributes,
    )


def mixed(text: str) -> int:
    """Return a seed made from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def running_like(trial: FrozenTrial, attributes: dict[str, Any]) -> FrozenTrial:
    """Return a trial that runs already, with the settings of another and with attributes of its own."""
    return optuna.trial.create_trial(
        state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions, user_attrs=attributes
    )

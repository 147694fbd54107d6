"""A trial's setting is drawn before the study has the trial, so that one which was tried already is drawn again."""

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

from cluster.space import suggest
from cluster.study.storage import id_of
from lstm.records.objective import Scalar

DRAWS = 100  # of one trial's setting, before nothing new is taken to be left
OWN = 5  # of these by the sampler itself; then at random: a sampler that has made up its mind draws the same for ever
LISTED = 10_000  # combinations that are gone through where not even chance has found a new one
NOBODYS = -1  # the id of a trial that the study has not


@dataclass(frozen=True)
class Drawn:
    """What a sampler drew for a trial, and all that it would have stored with the trial."""

    number: int
    attempt: int
    settings: dict[str, Scalar]
    searched: dict[str, BaseDistribution]
    relative: dict[str, Any]
    attributes: dict[str, Any]


class Draft:
    """A study's storage in which one trial is only drafted: what is stored with it is kept here, the rest is read."""

    def __init__(self, storage: BaseStorage, trial: FrozenTrial, trial_id: int = NOBODYS) -> None:
        """Wraps the storage; the trial may be in it already, with less, and then has an id there."""
        self._storage, self.trial, self._id = storage, trial, trial_id
        self.attributes: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """Hands on."""
        return getattr(self._storage, name)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial, the drafted one among them."""
        return copy.deepcopy(self.trial) if trial_id == self._id else self._storage.get_trial(trial_id)

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """What Optuna keeps with a trial."""
        return self.get_trial(trial_id).system_attrs

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Sequence[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The study's trials as they would be."""
        found = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        if states is not None and self.trial.state not in states:
            return found
        mine = copy.deepcopy(self.trial) if deepcopy else self.trial
        if self._id == NOBODYS:
            return [*found, mine]
        return [mine if each.number == mine.number else each for each in found]

    def set_trial_param(self, trial_id: int, name: str, value: float, distribution: BaseDistribution) -> None:
        """Keeps a setting."""
        self.trial.params = {**self.trial.params, name: distribution.to_external_repr(value)}
        self.trial.distributions = {**self.trial.distributions, name: distribution}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keeps a fact of Optuna's."""
        self.attributes[key] = value
        self.trial.system_attrs = {**self.trial.system_attrs, key: value}


class _Noting(BaseSampler):
    """A sampler, and what it drew for all settings at once."""

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
    """A trial that the study has not yet."""
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
    """A trial as it was before any of its settings was stored."""
    found = copy.deepcopy(trial)
    found.params, found.distributions = {}, {}
    return found


def draw(study: optuna.Study, storage: BaseStorage, trial: FrozenTrial, searched: suggest.Space, attempt: int) -> Drawn:
    """What the study's sampler draws for a trial; nothing is stored."""
    try:
        trial_id = id_of(storage, study.study_name, trial.number)
    except KeyError:
        trial_id = NOBODYS
    draft, noting = Draft(storage, copy.deepcopy(trial), trial_id), _Noting(study.sampler)
    view = optuna.load_study(
        study_name=study.study_name,
        storage=cast("BaseStorage", draft),  # of a storage it has what a sampler asks for
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
    """A seed from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

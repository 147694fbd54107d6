"""A trial's setting is drawn before the study has the trial, so that one which was tried already is drawn again."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from cluster.space import suggest
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

    def __init__(self, storage: Any, trial: FrozenTrial) -> None:
        """Wraps the storage; the trial may be in it already, with less."""
        self._storage, self.trial = storage, trial
        self.attributes: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """Hands on."""
        return getattr(self._storage, name)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial, the drafted one among them."""
        if trial_id == self.trial._trial_id:
            return copy.deepcopy(self.trial)
        found: FrozenTrial = self._storage.get_trial(trial_id)
        return found

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """What Optuna keeps with a trial."""
        return self.get_trial(trial_id).system_attrs

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Sequence[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The study's trials as they would be."""
        found: list[FrozenTrial] = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        if states is not None and self.trial.state not in states:
            return found
        mine = copy.deepcopy(self.trial) if deepcopy else self.trial
        if mine._trial_id == NOBODYS:
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


def unborn(number: int) -> FrozenTrial:
    """A trial that the study has not yet."""
    trial = optuna.trial.create_trial(state=TrialState.RUNNING)
    trial.number, trial._trial_id = number, NOBODYS
    return trial


def bare(trial: FrozenTrial) -> FrozenTrial:
    """A trial as it was before any of its settings was stored."""
    found = copy.deepcopy(trial)
    found.params, found.distributions = {}, {}
    return found


def draw(study: optuna.Study, trial: FrozenTrial, searched: suggest.Space, attempt: int) -> Drawn:
    """What the study's sampler draws for a trial; nothing is stored."""
    view = copy.copy(study)
    storage = Draft(study._storage, copy.deepcopy(trial))
    view._storage = storage  # type: ignore[assignment] # of a storage it has what a sampler asks for
    drafted = optuna.trial.Trial(view, trial._trial_id)
    settings = suggest.walk(searched, lambda path: suggest.draw(drafted, path, searched[path]))
    relative = drafted._relative_params
    return Drawn(
        number=trial.number,
        attempt=attempt,
        settings=settings,
        searched=drafted.relative_search_space or {},
        relative={} if relative is None else relative,
        attributes=storage.attributes,
    )


def mixed(text: str) -> int:
    """A seed from a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

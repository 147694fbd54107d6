"""Optuna's storage, and a driver's, which alone writes a sweep's trials and so need not read them again."""

import copy
import functools
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError

from cluster.study.database import engine_options, spelled_out, unopened
from lstm.records.errors import BadInput

T = TypeVar("T")


def connect(url: str) -> RDBStorage:
    """The storage at a database's address; its tables are made where they are missing.

    Raises:
        BadInput: the address is none, or the database can't be opened.
    """
    options, url = engine_options(url), spelled_out(url)
    url = url.replace("{", "{{").replace("}", "}}")  # Optuna fills addresses in, as `str.format` does
    try:
        try:
            return RDBStorage(url, engine_kwargs=options)
        except (DBAPIError, StorageInternalError):
            return RDBStorage(url, engine_kwargs=options)  # another driver may have made the tables at this moment
    except DBAPIError as error:
        raise unopened(error) from None
    except StorageInternalError as error:
        raise unopened(error.__cause__) from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise BadInput(f"storage.study: {error}") from None


def _sure(write: Callable[..., T]) -> Callable[..., T]:
    """Has all trials read again where a write fails: what the database took of it nobody knows."""

    @functools.wraps(write)
    def guarded(self: "SoleStorage", *arguments: Any, **named: Any) -> T:
        try:
            return write(self, *arguments, **named)
        except BaseException:
            self.forget()
            raise

    return guarded


class SoleStorage(_CachedStorage):
    """Optuna's cache over studies whose trials nobody else writes.

    Optuna's own reads all trials that have not ended whenever a sampler or a pruner looks: the more trials run at once
    the longer each epoch of each takes. This one reads a study once, and keeps what it writes.
    """

    def __init__(self, backend: RDBStorage) -> None:
        """Wraps the database's storage."""
        super().__init__(backend)
        self._read: set[int] = set()  # studies whose trials are all known

    def forget(self) -> None:
        """Has each study read again when it is next asked for."""
        with self._lock:
            self._read.clear()
            for known in self._studies.values():
                known.unfinished_trial_ids, known.last_finished_trial_id = set(), -1

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        if study_id not in self._read:
            super()._read_trials_from_remote_storage(study_id)
            self._read.add(study_id)

    @_sure
    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Creates a trial."""
        return super().create_new_trial(study_id, template_trial)

    @_sure
    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Stores a setting."""
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        if trial := self._fresh(trial_id):
            trial.params = {**trial.params, param_name: distribution.to_external_repr(param_value_internal)}
            trial.distributions = {**trial.distributions, param_name: distribution}

    @_sure
    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Stores an epoch's value."""
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        if trial := self._fresh(trial_id):
            trial.intermediate_values = {**trial.intermediate_values, step: intermediate_value}

    @_sure
    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Stores a fact about a trial."""
        super().set_trial_user_attr(trial_id, key, value)
        if trial := self._fresh(trial_id):
            trial.user_attrs = {**trial.user_attrs, key: _as_stored(value)}

    @_sure
    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Stores a fact of Optuna's."""
        super().set_trial_system_attr(trial_id, key, value)
        if trial := self._fresh(trial_id):
            trial.system_attrs = {**trial.system_attrs, key: _as_stored(value)}

    @_sure
    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Stores a state; the database says what the trial is then."""
        done = super().set_trial_state_values(trial_id, state, values)
        trial = self._backend.get_trial(trial_id)
        with self._lock:
            if place := self._trial_id_to_study_id_and_number.get(trial_id):
                self._studies[place[0]].trials[place[1]] = trial
        return done

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial, the caller's own."""
        with self._lock:
            place = self._trial_id_to_study_id_and_number.get(trial_id)
            if place and place[0] in self._read:
                return copy.deepcopy(self._studies[place[0]].trials[place[1]])
        return self._backend.get_trial(trial_id)

    def _fresh(self, trial_id: int) -> FrozenTrial | None:
        """A copy in the place of a known trial, to be changed: who has the one before keeps it as it was."""
        with self._lock:
            place = self._trial_id_to_study_id_and_number.get(trial_id)
            if place is None:
                return None
            trials = self._studies[place[0]].trials
            trials[place[1]] = copy.copy(trials[place[1]])
            return trials[place[1]]


def _as_stored(value: Any) -> Any:
    return json.loads(json.dumps(value))


def prepare() -> None:
    """Imports all that a study needs, by making one in memory; Optuna imports much of it when it is first used."""
    RDBStorage("sqlite://")

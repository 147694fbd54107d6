"""Optuna's storage, and a driver's storage that need not read trials again, because only the driver writes them."""

import copy
import functools
import json
import threading
from collections.abc import Callable, Container, Sequence
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError

from cluster.study.database import FIELD, engine_options, spelled_out, unopened
from lstm.records.errors import refused

T = TypeVar("T")
_compatible: set[str] = set()  # the databases whose tables this process has found to be the installed Optuna's


def connect(url: str) -> RDBStorage:
    """Return the storage at a database's address; create its tables if they are missing.

    Raises:
        BadInput: it is no address, the database can't be opened, or another version of Optuna made its tables.
    """
    options, url = engine_options(url), spelled_out(url)
    url = url.replace("{", "{{").replace("}", "}}")  # Optuna passes the address to `str.format`
    opened = functools.partial(RDBStorage, url, engine_kwargs=options)
    # Optuna looks for each table and reads all its migrations to check a database: once is enough for a process.
    known = url in _compatible
    try:
        try:
            made = opened(skip_compatibility_check=known, skip_table_creation=known)
        except (DBAPIError, StorageInternalError):
            made = opened()  # the database is new after all, or another driver may be creating the tables
    except DBAPIError as error:
        raise unopened(error) from None
    except StorageInternalError as error:
        raise unopened(error.__cause__) from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise refused("study-of-another-optuna", FIELD, why=str(error)) from None
    _compatible.add(url)
    return made


def _sure(write: Callable[..., T]) -> Callable[..., T]:
    """Make all trials be read again if a write fails: nobody knows what the database took of it."""

    @functools.wraps(write)
    def guarded(self: "SoleStorage", *arguments: Any, **named: Any) -> T:
        try:
            return write(self, *arguments, **named)
        except BaseException:
            self.forget()
            raise

    return guarded


class SoleStorage(BaseStorage):
    """Optuna's storage for studies with trials that nobody else writes.

    Optuna's own cache reads all trials that have not ended whenever a sampler or a pruner looks: the more trials run at
    once, the longer each epoch takes. This storage reads a study once, and remembers what it writes.
    """

    def __init__(self, backend: RDBStorage) -> None:
        """Wrap the database's storage."""
        self._backend = backend
        self._lock = threading.RLock()
        self._studies: dict[int, dict[int, FrozenTrial]] = {}  # of each study that was read, the trials by number
        self._places: dict[int, tuple[int, int]] = {}  # by a trial's id: its study and number
        self._ids: dict[tuple[int, int], int] = {}  # the reverse
        self._by_name: dict[str, int] = {}  # ids of studies
        self._directions: dict[int, list[StudyDirection]] = {}

    def forget(self) -> None:
        """Read each study again when it is next asked for."""
        with self._lock:
            self._studies.clear()

    # --- studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Create a study."""
        return self._backend.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study; a later one may get its ids."""
        self._backend.delete_study(study_id)
        with self._lock:
            for known in (self._studies, self._places, self._ids, self._by_name, self._directions):
                known.clear()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Store a fact about a study."""
        self._backend.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Store a fact of Optuna about a study."""
        self._backend.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return a study's id.

        Raises:
            KeyError: there is no study of this name.
        """
        if study_name not in self._by_name:
            self._by_name[study_name] = self._backend.get_study_id_from_name(study_name)
        return self._by_name[study_name]

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return a study's name."""
        return self._backend.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return whether each objective is minimized or maximized."""
        if study_id not in self._directions:
            self._directions[study_id] = self._backend.get_study_directions(study_id)
        return self._directions[study_id]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the facts about a study."""
        return self._backend.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return Optuna's facts about a study."""
        return self._backend.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[Any]:
        """Return all studies of the database."""
        return self._backend.get_all_studies()

    def remove_session(self) -> None:
        """Release the database."""
        self._backend.remove_session()

    # --- trials

    @_sure
    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial and return its id."""
        trial_id = self._backend.create_new_trial(study_id, template_trial)
        if study_id in self._studies:
            self._keep(study_id, trial_id)
        return trial_id

    @_sure
    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Store a parameter's value."""
        self._backend.set_trial_param(trial_id, param_name, param_value_internal, distribution)
        if trial := self._fresh(trial_id):
            trial.params = {**trial.params, param_name: distribution.to_external_repr(param_value_internal)}
            trial.distributions = {**trial.distributions, param_name: distribution}

    @_sure
    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Store an epoch's value."""
        self._backend.set_trial_intermediate_value(trial_id, step, intermediate_value)
        if trial := self._fresh(trial_id):
            trial.intermediate_values = {**trial.intermediate_values, step: intermediate_value}

    @_sure
    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store a fact about a trial."""
        self._backend.set_trial_user_attr(trial_id, key, value)
        if trial := self._fresh(trial_id):
            trial.user_attrs = {**trial.user_attrs, key: _as_stored(value)}

    @_sure
    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store a fact of Optuna about a trial."""
        self._backend.set_trial_system_attr(trial_id, key, value)
        if trial := self._fresh(trial_id):
            trial.system_attrs = {**trial.system_attrs, key: _as_stored(value)}

    @_sure
    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Store a state; the trial is then read again from the database."""
        done = self._backend.set_trial_state_values(trial_id, state, values)
        if place := self._place(trial_id):
            self._keep(place[0], trial_id)
        return done

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a copy of the trial for the caller."""
        with self._lock:
            if place := self._place(trial_id):
                return copy.deepcopy(self._studies[place[0]][place[1]])
        return self._backend.get_trial(trial_id)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return a trial's id, by its number.

        Raises:
            KeyError: the study has no trial of this number.
        """
        with self._lock:
            if (trial_id := self._ids.get((study_id, trial_number))) is not None:
                return trial_id
            if trial_number not in self._studies.get(study_id, {trial_number: None}):
                raise KeyError(f"the study has no trial {trial_number}")
        return self._backend.get_trial_id_from_study_id_trial_number(study_id, trial_number)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return a study's trials in order of their numbers, optionally only those in some states."""
        with self._lock:
            if study_id not in self._studies:
                trials = sorted(self._backend.get_all_trials(study_id, deepcopy=False), key=lambda trial: trial.number)
                self._studies[study_id] = {trial.number: trial for trial in trials}
            known = self._studies[study_id].values()
            found = [trial for trial in known if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def _keep(self, study_id: int, trial_id: int) -> None:
        """Remember a trial as the database has it; a new one has the highest number."""
        trial = self._backend.get_trial(trial_id)
        with self._lock:
            self._places[trial_id], self._ids[study_id, trial.number] = (study_id, trial.number), trial_id
            self._studies[study_id][trial.number] = trial

    def _place(self, trial_id: int) -> tuple[int, int] | None:
        """Return the study and the number of a trial in a study that was read, else None."""
        place = self._places.get(trial_id)
        if place is None and self._studies:
            number = self._backend.get_trial_number_from_id(trial_id)
            for study_id in [each for each, trials in self._studies.items() if number in trials]:
                if self._backend.get_trial_id_from_study_id_trial_number(study_id, number) == trial_id:
                    place = study_id, number
                    self._places[trial_id], self._ids[place] = place, trial_id
        return place if place and place[0] in self._studies else None

    def _fresh(self, trial_id: int) -> FrozenTrial | None:
        """Replace a known trial by a copy to be changed and return it: holders of the old one see no change."""
        with self._lock:
            if not (place := self._place(trial_id)):
                return None
            trials = self._studies[place[0]]
            trials[place[1]] = copy.copy(trials[place[1]])
            return trials[place[1]]


def id_of(storage: BaseStorage, study_name: str, number: int) -> int:
    """Return the id of a trial in a storage.

    Raises:
        KeyError: the study has no trial of that number.
    """
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(study_name), number)


def _as_stored(value: Any) -> Any:
    return json.loads(json.dumps(value))


def prepare() -> None:
    """Import all that a study needs, by making one in memory: Optuna imports much of it only at its first use."""
    RDBStorage("sqlite://")

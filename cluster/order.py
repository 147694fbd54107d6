"""The order that a driver gets, and the outcome that it returns."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.config import ConfirmConfig, ResourcesConfig, SearchConfig, StorageConfig
from cluster.space import combinations
from lstm import ownership
from lstm.config.trial import TrialConfig
from lstm.own_code import Code
from lstm.records.confirmation import JudgedOn, Request
from lstm.records.events import Record
from lstm.records.objective import Objective
from lstm.records.state import Derived
from lstm.records.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Order:
    """The order for a sweep: `sweep plan` prints it, `sweep run` carries it out."""

    name: str
    base: TrialConfig
    search: SearchConfig | None
    resources: ResourcesConfig
    storage: StorageConfig  # with both addresses filled in
    spec_text: str
    spec_hash: str
    comparable: Mapping[str, Any]  # what must not change between runs, by dotted path, as JSON
    git_commit: str | None
    folder: str  # of the spec's file; relative data paths start there
    study_id: str  # distinguishes this sweep from others of the same name in the same store
    probe: bool = False  # whether each trial is probed at its end
    system_metrics: bool = True  # whether workers read the use of their machines
    begun_at: str = ""  # where the checkpoints of a sweep that was begun before are; "" for a new sweep
    studies_before: tuple[str, ...] = ()  # the ids of the studies that this one was copied from
    # The folder of a study in a SQLite file; "" if the environment named it, because then nobody may see it.
    place: str = ""
    user: str = ""  # who drives the sweep
    source: str = ""  # the name of the spec's file
    data_at: str = ""  # the place of the data's file, as MLflow shows it; "" without one
    mark: str = ""  # where the study is kept, and by whom, for people who find its checkpoints
    code: tuple[Code, ...] = ()  # the user's own files, for workers to execute
    # What `search.first` has of earlier sweeps, as a row of `space.earlier.Chosen`; empty if the spec asks for none.
    first_from: Mapping[str, Any] = field(default_factory=dict)
    launched: Mapping[str, str] = field(default_factory=dict)  # the job that drives it; empty if none was launched
    retries: tuple[int, ...] = ()  # failed trials to be tried again, each as a new trial
    extensions: tuple[Derived, ...] = ()  # ended trials to be trained further, each as a new trial
    confirm: Request | None = None  # what is trained again from other seeds when the search has ended; None: nothing

    @property
    def job(self) -> str:
        """The job that drives it, where no later job has the same id: Slurm's. A RayJob's name is used again."""
        return f"slurm:{self.launched['job']}" if self.launched.get("system") == "slurm" else ""

    @property
    def is_more(self) -> bool:
        """True if it asks for trials that a complete sweep does not have."""
        return bool(self.retries or self.extensions)

    def confirming(
        self, top: int | None = None, seeds: int | None = None, windows: JudgedOn | None = None, *, is_asked: bool
    ) -> Request | None:
        """Return what is to be confirmed; what is not given is as in `search.confirm`. None without a search."""
        if self.search is None:
            return None
        wanted, data = self.search.confirm or ConfirmConfig(), self.base.data
        found = windows or wanted.windows or ("fresh" if data.fresh_windows else "search")
        told = (top or wanted.top, seeds or wanted.seeds, found, self.search.sampler.seed)
        return Request(*told, is_asked=is_asked, is_chosen=windows is not None)

    @property
    def combinations(self) -> int | None:
        """How many different trials the search can have; None if they can't be counted or nothing is searched."""
        return combinations.count(self.search.space) if self.search else None

    @property
    def base_is_first(self) -> bool:
        """True if one of `search.first` is the base (the spec's own settings), which then is one of the trials."""
        if self.search is None:
            return False
        first = self.search.first_settings[: self.n_trials]
        return combinations.base_among(first, self.base, self.search.space) is not None

    @property
    def n_trials(self) -> int:
        """Trials in total; 1 for a spec without a search."""
        return self.search.n_trials if self.search else 1

    @property
    def trials(self) -> int:
        """How many trials there can be: no more than combinations, and the base if it is none of them."""
        least = min(self.n_trials, self.combinations or self.n_trials)
        return least + (self.search is not None and not self.base_is_first)

    @property
    def width(self) -> int:
        """How many trainings can ever run at once: all trials, or all those of confirm."""
        confirm = self.confirm
        return max(self.trials, (min(confirm.top, self.trials) + 1) * confirm.seeds if confirm else 0)

    @property
    def target(self) -> float | None:
        """The value that is good enough; None without one."""
        return self.search.stop.target if self.search else None

    @property
    def second_objective(self) -> Objective | None:
        """The objective in addition to the metric; None without one."""
        second = self.search.second_objective if self.search else None
        return Objective(second.metric, second.direction) if second else None

    @property
    def study_url(self) -> str:
        """The address of the study's database."""
        assert self.storage.study is not None
        return self.storage.study

    @property
    def sweep_folder(self) -> str:
        """The address of everything that is kept for sweeps of this name; other studies may have folders there, too."""
        return f"{self.storage.checkpoints}/{self.name}"

    @property
    def checkpoints(self) -> str:
        """The address under which each trial has its checkpoints; it belongs to this study alone."""
        return self.begun_at or f"{self.sweep_folder}/{self.study_id}"

    def for_workers(self, gpus: float) -> dict[str, Any]:
        """Return what every worker gets with each trial, which takes so many GPUs."""
        return {
            "cpus": self.resources.cpus_per_trial,
            "gpus": gpus,
            "probe": self.probe,
            "system_metrics": self.system_metrics,
            "studies": (self.study_id, *self.studies_before),
            "code": self.code,
            "task": self.base.task,
        }

    @property
    def ownership_mark(self) -> ownership.Mark:
        """The mark in the checkpoints' folder that says which study owns it."""
        return ownership.Mark(self.study_id, self.name, self.mark)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run of the driver."""

    sweep: Sweep
    importances: Mapping[str, float]
    complete: bool
    reason: str
    code: int  # 0 done, 1 failed, 130 interrupted
    replayed: bool  # whether memory got all that it lacked about earlier drivers' trials


@dataclass(frozen=True, slots=True)
class Memory:
    """A store of a sweep's events besides its study: MLflow."""

    record: Record  # takes an event that an earlier driver may have sent already
    recorded: Callable[[], Collection[int]]  # the trials that it has completely; a call may take seconds

"""What a driver is asked to do, and what it comes to."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.config import ResourcesConfig, SearchConfig, StorageConfig
from lstm import ownership
from lstm.config.code import Code
from lstm.config.trial import TrialConfig
from lstm.records.events import Record
from lstm.records.objective import Objective
from lstm.records.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done: the value that `sweep plan` prints and `sweep run` carries out."""

    name: str
    base: TrialConfig
    search: SearchConfig | None
    resources: ResourcesConfig
    storage: StorageConfig  # with both addresses filled in
    spec_text: str
    spec_hash: str
    comparable: Mapping[str, Any]  # all that must not change between runs, flat, as JSON
    git_commit: str | None
    folder: str  # of the spec's file; the data's path starts there
    study_id: str  # tells this sweep from another of its name, in stores that keep both
    probe: bool = False  # each trial at its end
    begun_at: str = ""  # where the checkpoints of a sweep lie that was begun before; "" for a new one
    studies_before: tuple[str, ...] = ()  # the ids of the studies that this one was copied from
    place: str = ""  # the folder of a study that is a file, unless the environment named it: then it is nobody's to see
    mark: str = ""  # where the study is kept, and by whom, for those who find its checkpoints
    code: tuple[Code, ...] = ()  # the user's own files, for workers to execute
    retries: tuple[int, ...] = ()  # failed trials that others are to stand in for

    @property
    def n_trials(self) -> int:
        """Trials in total; a spec without a search is one."""
        return self.search.n_trials if self.search else 1

    @property
    def target(self) -> float | None:
        """The value that is good enough, if one is."""
        return self.search.stop.target if self.search else None

    @property
    def second_objective(self) -> Objective | None:
        """What is searched for beside the metric, if anything is."""
        second = self.search.second_objective if self.search else None
        return Objective(second.metric, second.direction) if second else None

    @property
    def study_url(self) -> str:
        """The study's database."""
        assert self.storage.study is not None
        return self.storage.study

    @property
    def sweep_folder(self) -> str:
        """The address for whatever is kept of sweeps of this name; other studies may have their folders there, too."""
        return f"{self.storage.checkpoints}/{self.name}"

    @property
    def checkpoints(self) -> str:
        """The address under which each trial has its own: this study's alone."""
        return self.begun_at or f"{self.sweep_folder}/{self.study_id}"

    @property
    def ownership_mark(self) -> ownership.Mark:
        """Says in that folder whose it is."""
        return ownership.Mark(self.study_id, self.name, self.mark)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of the driver ended."""

    sweep: Sweep
    importances: Mapping[str, float]
    complete: bool
    reason: str
    code: int  # 0 done, 1 failed, 130 interrupted
    replayed: bool  # whether memory was sent all that it lacked of earlier drivers' trials


@dataclass(frozen=True, slots=True)
class Memory:
    """What remembers a sweep's events beyond its study."""

    record: Record  # takes an event that an earlier driver may have sent already
    recorded: Callable[[], Collection[int]]  # the trials that it knows whole; it may take seconds to answer

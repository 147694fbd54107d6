"""The whole spec as one pydantic model, put together from the sections of all packages."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import Field, PrivateAttr, create_model

from cluster.config import CategoricalDimension, ResourcesConfig, SearchConfig, StorageConfig
from dashboards.config import TrackingConfig
from lstm.config.model import ModelConfig
from lstm.config.section import Data, Location, Section
from lstm.config.tasks import SECTIONS, Task, in_spec, own_sections, parted, sections_of
from lstm.config.training import ProbeConfig, TrainingConfig
from lstm.config.trial import LossOn, TrialConfig
from lstm.own_code import is_reference, latest

LOSS_ON: LossOn = "measured"  # for a new sweep; a sweep that was begun before keeps its loss


class Experiment(Section):
    """A spec: one training configuration, the search around it, and where both run and are kept."""

    name: str = Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="The sweep's name: a letter or digit, then letters, digits, '.', '_' and '-'.",
    )
    task: Task = Field("forecast", description="What the network learns to do.")
    data: Data
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    search: SearchConfig | None = Field(None, description="What is searched. Absent: the spec is one training run.")
    probe: ProbeConfig = Field(default_factory=ProbeConfig)
    resources: ResourcesConfig = Field(default_factory=ResourcesConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)

    _code: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def own_code(self) -> dict[str, str]:
        """The SHA-256 of each of the user's own files."""
        return self._code

    def with_code(self, digests: Mapping[str, str]) -> "Experiment":
        """Return a copy with the SHA-256 of each of the user's own files. They are not a field of a spec."""
        made = self.model_copy()
        made.own_code.update(digests)
        return made

    @property
    def base(self) -> TrialConfig:
        """The base configuration: `search` varies it, and `train` trains it."""
        searched = {"metric": self.search.metric, "direction": self.search.direction} if self.search else {}
        parts = {"task": self.task, "data": self._parted[0], "model": self.model, "training": self.training}
        return TrialConfig.model_validate({**parts, **searched, "code": dict(self.own_code), "loss_on": LOSS_ON})

    @property
    def location(self) -> Location:
        """The fields that say where the data are, with paths relative to the spec's folder."""
        return self._parted[1]

    @property
    def _parted(self) -> tuple[Data, Location]:
        return parted(self.data, *sections_of(self.task, self.own_code))

    @property
    def reach(self) -> int:
        """The largest look-back of any trial, in steps. Windows are counted with it."""
        return int(largest("data.lookback", self.data.reach, self.search))

    @property
    def widest(self) -> TrialConfig:
        """The base with the largest batch of any trial. Data that suffice for it suffice for all trials."""
        batch = int(largest("training.batch_size", self.training.batch_size, self.search))
        return self.base.model_copy(update={"training": self.training.model_copy(update={"batch_size": batch})})


def _of_section(data: type[Data], name: str) -> type[Experiment]:
    """Return the class of experiments with a section `data`, and with the sections that a built-in task extends."""
    own: dict[str, Any] = {field: (kind, Field(default_factory=kind)) for field, kind in data.extended.items()}
    return create_model(f"Experiment_{name}", __base__=Experiment, data=(data, ...), **own)


EXPERIMENTS: Mapping[str, type[Experiment]] = {
    task: _of_section(in_spec(*both), task) for task, both in SECTIONS.items()
}


def of_task(filled: Any) -> type[Experiment]:
    """Return the class of experiment for a document's task.

    A wrong task gets the class of `forecast`, which reports the fault. A user's own task has a class with its own
    `data` section, once its file has been executed for this document.
    """
    task = filled.get("task") if isinstance(filled, Mapping) else None
    if not is_reference(task):
        return EXPERIMENTS.get(task if isinstance(task, str) else "", EXPERIMENTS["forecast"])
    return _own(in_spec(*own_sections(latest(str(task)))))


@cache
def _own(section: type[Data]) -> type[Experiment]:
    return create_model("Experiment_own", __base__=Experiment, data=(section, ...))


def largest(path: str, value: int, search: SearchConfig | None) -> float:
    """Return the largest value that a field can have in any trial: the base's or the space's."""
    dimension = search.space.get(path) if search else None
    if dimension is None:
        return value
    ends = dimension.choices if isinstance(dimension, CategoricalDimension) else [dimension.high]
    return max([value, *(end for end in ends if isinstance(end, int | float))])

"""The rooms' sections added up: all that a spec may say."""

from pydantic import Field

from cluster.config import CategoricalDimension, ResourcesConfig, SearchConfig, StorageConfig
from dashboards.config import TrackingConfig
from lstm.config import DataConfig, ModelConfig, Section, Task, TrainingConfig, TrialConfig


class Experiment(Section):
    """A spec: one training configuration, what is searched around it, and where that runs and is kept."""

    name: str = Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="The sweep's name: a letter or digit, then letters, digits, '.', '_' and '-'.",
    )
    task: Task = Field("forecast", description="What the network learns to do.")
    data: DataConfig
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    search: SearchConfig | None = Field(None, description="What is searched; without it the spec is one training run.")
    resources: ResourcesConfig = Field(default_factory=ResourcesConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)

    @property
    def base(self) -> TrialConfig:
        """The configuration around which is searched, and which `train` trains."""
        searched = {"metric": self.search.metric, "direction": self.search.direction} if self.search else {}
        parts = {"task": self.task, "data": self.data, "model": self.model, "training": self.training}
        return TrialConfig.model_validate(parts | searched)

    @property
    def reach(self) -> int:
        """The largest look-back of any trial, in steps: windows are counted with it."""
        return int(largest("data.lookback", self.data.lookback, self.search))


def largest(path: str, value: int, search: SearchConfig | None) -> float:
    """The largest value that a searched field can have: the base's or the space's."""
    dimension = search.space.get(path) if search else None
    if dimension is None:
        return value
    ends = dimension.choices if isinstance(dimension, CategoricalDimension) else [dimension.high]
    return max([value, *(end for end in ends if isinstance(end, int | float))])

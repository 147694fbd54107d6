"""The configuration of one trial: its sections together, and the rules across them.

The rules are in `faults`, separate from the models, so that all errors of a spec can be reported together.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, SerializeAsAny, SerializerFunctionWrapHandler, model_serializer, model_validator

from lstm.config import misfits
from lstm.config.model import ModelConfig, model_faults
from lstm.config.section import Data, Section, Since
from lstm.config.tasks import SECTIONS, Task, sections_of
from lstm.config.training import TrainingConfig, training_faults
from lstm.own_code import is_reference
from lstm.records.confirmation import JudgedOn
from lstm.records.errors import Fault, fault
from lstm.records.windows import Windows

LossOn = Literal["all", "measured"]
D = TypeVar("D", bound=Data)


class TrialConfig(Section):
    """One resolved point of the search space: all that `lstm.training.loop.train` needs except the data itself."""

    task: Task = Field(
        "forecast",
        description="What the network learns. Your own task is a class of your file, named as FILE.py:Class.",
    )
    data: SerializeAsAny[Data]
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    metric: str = Field("val/loss", description="Metric by which the best epoch is chosen.")
    direction: Literal["minimize", "maximize"] = Field(
        "minimize", description="Whether a lower or a higher value of the metric is better."
    )
    # No spec has the fields below.
    code: Annotated[dict[str, str], Since("2026-11-29")] = Field(
        default_factory=dict, description="SHA-256 of each of the user's files by its name."
    )
    loss_on: Annotated[LossOn, Since("2026-11-29")] = Field(
        "all",
        description="Targets that count in the training loss. all: every target; measured: none that was filled in.",
    )
    judged_on: Annotated[JudgedOn, Since("2026-11-30")] = Field(
        "search",
        description="Windows of a backtest. fresh: those that were set aside; a trial of confirm is judged on them.",
    )

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write the configuration as the version that began the sweep wrote it, so that its trials stay the same."""
        tree: dict[str, Any] = write(self)
        for path, default in self.younger():
            if path in tree and tree[path] == default:  # own fields only; the fields of sections were always written
                tree.pop(path)
        return tree

    @model_validator(mode="before")
    @classmethod
    def _of_its_task(cls, tree: Any) -> Any:
        """Validate the section `data` with its task's class; paths that earlier versions kept are dropped."""
        if not isinstance(tree, Mapping) or not isinstance(tree.get("data"), Mapping):
            return tree
        task, code = tree.get("task", "forecast"), tree.get("code") or {}
        if task not in SECTIONS and not is_reference(task):
            return tree
        section, location = sections_of(task, code)
        data = {name: value for name, value in tree["data"].items() if name not in location.model_fields}
        return {**tree, "data": section.model_validate(data)}

    @model_validator(mode="after")
    def _belong_together(self) -> "TrialConfig":
        self.data_as(sections_of(self.task, self.code)[0])
        return self

    @property
    def windows(self) -> Windows:
        """The windows of a backtest, as far as one training knows them."""
        return Windows(self.data.judged_windows, refit=self.data.trains_each_window)

    def data_as(self, kind: type[D]) -> D:
        """Return the section `data`, typed as `kind`.

        Raises:
            ValueError: the section is another task's.
        """
        if not isinstance(self.data, kind):
            raise ValueError(f"data: is {type(self.data).__name__}, the task {self.task} needs {kind.__name__}")
        return self.data


def faults(data: Data | None, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
    """Yield the faults across fields; a section is None if it is not valid in itself."""
    if data:
        yield from data.faults()
        yield from data.misfits(model, training)
        if not data.is_of_frames:
            yield from misfits.of_frames(model, training)
    if model:
        yield from model_faults(model)
    if training:
        yield from training_faults(training)
        if model and model.bidirectional and training.warmup_steps:
            yield fault("warmup-of-both-directions", "training.warmup_steps")

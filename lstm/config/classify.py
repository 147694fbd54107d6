"""The section `data` of the task `classify`: sequences of any length with a class each."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Column, Data, File, Section, role_faults
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

PROBABILITY = "probability"  # a column of what `classify` answers


class Shares(Section):
    """The parts by lot: of each class, a share of its sequences."""

    validation: float = Field(gt=0, lt=1, description="Share of each class's sequences that each epoch is judged on.")
    test: float = Field(gt=0, lt=1, description="Share of each class's sequences that the best trial is judged on.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the draw: which sequences are in which part.")


class SequencesFile(File):
    """Where the sequences are."""

    path: str = Field(
        min_length=1, description="CSV or Parquet file with a row per step, relative to the spec's folder."
    )


class ClassifyData(Data):
    """Sequences of any length, and which class each belongs to."""

    id: Column = Field(description="Column that tells the sequences apart.")
    time: Column | None = Field(
        None, description="Column that orders the steps of a sequence; without it its rows are in order."
    )
    columns: list[Column] = Field(min_length=1, description="Columns with the values of a step.")
    label: Column = Field(description="Column with the class, text or whole numbers; one in all rows of a sequence.")
    split: Shares = Field(description="How the sequences are drawn into parts, each class by the same shares.")
    scaling: Literal["standard", "none"] = Field(
        "standard", description="Standardise each column with the training part's mean and deviation, or not."
    )
    missing: Literal["refuse", "zero", "forward_fill"] = Field(
        "refuse",
        description="What to do where a value is missing: refuse the file, take 0, or repeat the sequence's last one.",
    )

    def faults(self) -> Iterator[Fault]:
        """Columns with one role each; shares that leave something to train on."""
        yield from role_faults(self, ("id", "time", "columns", "label"))
        for role in ("id", "label"):
            if getattr(self, role) == PROBABILITY:
                yield fault("column-name-taken", f"data.{role}", column=PROBABILITY)
        if (total := self.split.validation + self.split.test) >= 1:
            yield fault("nothing-to-train", "data.split", total=total)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Sequences of any length."""
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.lengths_differ(training)

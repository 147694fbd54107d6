"""The section `data` of the task `classify`: sequences of any length, each with a class."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Column, File, Section, Since, role_faults
from lstm.config.shared.backtest import Folds
from lstm.config.shared.table import TableData
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

PROBABILITY = "probability"  # a column of the file that `sweep predict` writes


class Shares(Section):
    """The random split into parts: each part gets the same share of every class."""

    validation: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Share of each class's sequences on which each epoch is judged. It is needed without "
        "data.backtest, and is left out with it.",
    )
    test: float = Field(gt=0, lt=1, description="Share of each class's sequences on which the best trial is judged.")
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="Seed of the split. Another seed puts other sequences into each part."
    )


class SequencesFile(File):
    """The file that contains the sequences."""

    path: str = Field(
        min_length=1,
        description="CSV or Parquet file with one row per step. The path is relative to the spec's folder, or an "
        "address such as s3://BUCKET/FILE.",
    )


class ClassifyData(TableData):
    """Sequences of any length, each with its class."""

    id: Column = Field(description="Column with the id of the sequence. All rows with one id are one sequence.")
    time: Column | None = Field(
        None,
        description="Column that orders the steps of a sequence. Absent: the order of the rows in the file is used.",
    )
    columns: list[Column] = Field(min_length=1, description="Columns with the values of a step: the network's inputs.")
    label: Column = Field(
        description="Column with the class, as text or whole numbers. All rows of a sequence have the same class."
    )
    split: Shares = Field(description="How the sequences are split into parts at random, with equal shares per class.")
    backtest: Annotated[Folds | None, Since("2026-11-30")] = Field(
        None,
        description="Judges each trial on several folds (cross-validation). They take the place of the validation "
        "part. Absent: each trial is judged on the validation part.",
    )
    scaling: Literal["standard", "none"] = Field(
        "standard",
        description="standard: subtract each column's mean and divide by its standard deviation, both of the training "
        "part. none: use the values as they are.",
    )
    missing: Literal["refuse", "zero", "forward_fill"] = Field(
        "refuse",
        description="What to do with missing values. refuse: stop with an error; zero: use 0, before scaling; "
        "forward_fill: repeat the sequence's last value.",
    )

    @property
    def judged_windows(self) -> int:
        """The number of folds that a trial is judged on; 1 without a backtest."""
        return self.backtest.folds if self.backtest else 1

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of columns with several roles, and of shares that are missing, idle, or leave nothing."""
        yield from role_faults(self, ("id", "time", "columns", "label"))
        yield from self.table_faults()
        for role in ("id", "label"):
            if getattr(self, role) == PROBABILITY:
                yield fault("column-name-taken", f"data.{role}", column=PROBABILITY)
        validation, at = self.split.validation, "data.split.validation"
        if validation is None and not self.backtest:
            yield fault("field-missing", at, allowed=None, about=Shares.model_fields["validation"].description)
        if validation is not None and self.backtest:
            yield fault("validation-beside-folds", at, folds=self.backtest.folds)
        if (total := (validation or 0) + self.split.test) >= 1:
            yield fault("nothing-to-train", "data.split", total=total)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Yield the faults of fields that don't fit sequences of different lengths."""
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.lengths_differ(training)

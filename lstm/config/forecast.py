"""The section `data` of the task `forecast`: a time series, and what is forecast from what."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Column, Data, File, Section, role_faults
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

CalendarFeature = Literal["hour_of_day", "day_of_week", "day_of_month", "day_of_year", "week_of_year", "month_of_year"]
# A share of the rows (0.15), a number of rows (2880) or a time (1996-01-01).
Border = Annotated[float, Field(gt=0, lt=1)] | Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=4)]


class Split(Section):
    """The parts by time, oldest first: train, validation, test."""

    validation: Border = Field(description="Size as a share of the rows or a number of rows, or the part's first time.")
    test: Border = Field(description="Size as a share of the rows or a number of rows, or the part's first time.")
    train: Border | None = Field(
        None,
        description="Bounds the training part too: its size (then rows after the test part stay unused) or its "
        "first time. By default it is all that comes before validation.",
    )


class SeriesFile(File):
    """Where the time series is."""

    path: str = Field(min_length=1, description="CSV or Parquet file, relative to the spec's folder.")


class ForecastData(Data):
    """Where the time series is and what is forecast from what."""

    searchable: ClassVar[tuple[str, ...]] = ("lookback",)

    time: Column | None = Field(None, description="Column that holds the time; without it rows are in order.")
    target: Column | Annotated[list[Column], Field(min_length=1)] = Field(
        description="Column to forecast, or a list of columns."
    )
    past_covariates: list[Column] = Field(
        default_factory=list, description="Further input columns that are known up to the forecast's origin."
    )
    future_covariates: list[Column] = Field(
        default_factory=list,
        description="Further input columns that are known ahead, over the horizon as well (prices, holidays, plans).",
    )
    calendar: list[CalendarFeature] = Field(
        default_factory=list, description="Inputs made from the time column, each as a sine and a cosine."
    )
    lookback: int = Field(ge=1, le=100_000, description="Steps that the model sees.")
    horizon: int = Field(ge=1, le=100_000, description="Steps that it forecasts.")
    split: Split = Field(description="How the rows are divided, by time, oldest first.")
    step: str | None = Field(
        None, min_length=1, description="Time between two rows (1h, 15min, 1D, 7D, MS); inferred when absent."
    )
    missing: Literal["refuse", "interpolate", "forward_fill", "skip"] = Field(
        "refuse",
        description="What to do where values or steps are missing: refuse the file, interpolate (windows whose "
        "last input is missing are left out, so nothing leaks from the future), repeat the last value, or leave "
        "out every window that touches a gap. Filled-in values are never trained towards or judged on.",
    )
    scaling: Literal["standard", "none"] = Field(
        "standard", description="Standardise each column with the training part's mean and deviation, or not."
    )
    season: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Steps in a season, for the seasonal-naive baseline and MASE; when absent a day, a week or a year, "
        "the shortest that is longer than a step and fits into the data twice, else 1.",
    )

    @property
    def targets(self) -> list[str]:
        """The columns to forecast, always as a list."""
        return [self.target] if isinstance(self.target, str) else list(self.target)

    @property
    def columns(self) -> list[str]:
        """Every value column that is read: targets, past covariates, future covariates."""
        return [*self.targets, *self.past_covariates, *self.future_covariates]

    @property
    def reach(self) -> int:
        """The look-back."""
        return self.lookback

    def faults(self) -> Iterator[Fault]:
        """Columns with one role each; a split that leaves something to train on."""
        yield from _column_faults(self)
        yield from _split_faults(self.split)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """A look-back that is longer than what is taken of its start."""
        yield from misfits.of_one_length(self.lookback, model, training)


def _column_faults(data: ForecastData) -> Iterator[Fault]:
    yield from role_faults(data, ("time", "target", "past_covariates", "future_covariates"))
    if data.time is None:
        for name, value in (("calendar", data.calendar), ("step", data.step)):
            if value:
                yield fault("no-time-column", f"data.{name}")
    for feature in sorted({f for f in data.calendar if data.calendar.count(f) > 1}):
        yield fault("calendar-feature-twice", "data.calendar", feature=feature)


def _split_faults(split: Split) -> Iterator[Fault]:
    borders = {k: v for k in ("train", "validation", "test") if (v := getattr(split, k)) is not None}
    kinds = {type(value) for value in borders.values()}
    if len(kinds) > 1:
        yield fault("split-of-several-kinds", "data.split")
    elif kinds == {float} and (total := sum(borders.values())) > 1 + 1e-9:
        yield fault("shares-above-one", "data.split", total=total)
    elif kinds == {float} and "train" not in borders and total >= 1:
        yield fault("nothing-to-train", "data.split", total=total)

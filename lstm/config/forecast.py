"""The section `data` of the task `forecast`: a time series, its targets and its inputs."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Column, File, Section, Since, role_faults
from lstm.config.shared.backtest import SeriesBacktest, backtest_faults
from lstm.config.shared.table import ADDED, TableData
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

CalendarFeature = Literal["hour_of_day", "day_of_week", "day_of_month", "day_of_year", "week_of_year", "month_of_year"]
# A share of the rows (0.15), a number of rows (2880), or a time (1996-01-01).
Border = Annotated[float, Field(gt=0, lt=1)] | Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=4)]


OPEN_HOURS = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?:-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))? (\d\d:\d\d(?::\d\d)?)-(\d\d:\d\d(?::\d\d)?)"
)


class Split(Section):
    """The parts by time, oldest first: training, validation, test."""

    validation: Border = Field(
        description="Validation part: its size as a share of the rows (0.15) or as a number of rows (2880), or the "
        "time at which it begins (1996-01-01). Each epoch is judged on it."
    )
    test: Border = Field(
        description="Test part: its size as a share of the rows or as a number of rows, or the time at which it "
        "begins. The best trial is judged on it."
    )
    train: Border | None = Field(
        None,
        description="Limits the training part. A size, as a share of the rows or as a number of rows: the parts follow "
        "each other from the first row on, and rows after the test part are not used. A time: the training part begins "
        "there. Absent: all rows before the validation part.",
    )


class SeriesFile(File):
    """The file that contains the time series."""

    path: str = Field(
        min_length=1,
        description="CSV or Parquet file with one row per step. The path is relative to the spec's folder, or an "
        "address such as s3://BUCKET/FILE.",
    )


class ForecastData(TableData):
    """A time series, the columns to forecast, and the columns that they are forecast from."""

    searchable: ClassVar[tuple[str, ...]] = ("lookback",)

    time: Column | Annotated[list[Column], Field(min_length=1)] | None = Field(
        None,
        description="Column with the time of each row, or a list of columns that give it together, such as [Date, "
        "Time] or [year, month, day, hour]. Absent: the order of the rows in the file is used.",
    )
    target: Column | Annotated[list[Column], Field(min_length=1)] = Field(
        description="Column to forecast, or a list of columns. Each target is an input as well."
    )
    past_covariates: list[Column] = Field(
        default_factory=list, description="Further input columns. The network sees them in the look-back only."
    )
    future_covariates: list[Column] = Field(
        default_factory=list,
        description="Further input columns that are known in advance over the horizon, such as prices or holidays.",
    )
    calendar: list[CalendarFeature] = Field(
        default_factory=list,
        description="Inputs computed from the time column, each as a sine and a cosine. They are known over the "
        "horizon as well.",
    )
    lookback: int = Field(
        ge=1, le=100_000, description="Steps that the network reads before each forecast. It can be searched."
    )
    horizon: int = Field(ge=1, le=100_000, description="Steps that the network forecasts.")
    split: Split = Field(
        description="How the rows are split into parts by time, oldest first. Give all parts in one way: as shares, as "
        "numbers of rows or as times."
    )
    backtest: Annotated[SeriesBacktest | None, Since("2026-11-30")] = Field(
        None,
        description="Judges each trial on several windows of time. They take the place of the validation part. Absent: "
        "each trial is judged on the validation part as a whole.",
    )
    step: str | None = Field(
        None,
        min_length=1,
        description="Time between two rows, as pandas writes it (1h, 15min, 1D, 7D, MS). Absent: it is inferred from "
        "the time column.",
    )
    open_hours: Annotated[Annotated[list[str], Field(min_length=1)] | None, ADDED] = Field(
        None,
        description="Times of the week at which rows are measured, each as Mon-Fri 09:30-16:00 with the first and the "
        "last step of a day. Closed times, and days without any row, are no steps. Absent: steps go through day and "
        "night.",
    )
    missing: Literal["refuse", "interpolate", "forward_fill", "skip"] = Field(
        "refuse",
        description="What to do with missing values or steps. refuse: stop with an error; interpolate: fill in a "
        "straight line, and leave out windows whose last input is missing; forward_fill: repeat the last value; skip: "
        "leave out every window that touches a gap. Filled-in targets never count in training or in a judgement.",
    )
    scaling: Literal["standard", "none"] = Field(
        "standard",
        description="standard: subtract each column's mean and divide by its standard deviation, both of the training "
        "part. none: use the values as they are.",
    )
    season: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Steps in a season, used by the seasonal-naive rival and by MASE. Absent: the shortest of a day, a "
        "week and a year that has at least two steps and fits into the data twice; 1 if none does.",
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
        """The look-back, in steps."""
        return self.lookback

    @property
    def judged_windows(self) -> int:
        """The number of windows that a trial is judged on."""
        return self.backtest.windows if self.backtest else 1

    @property
    def fresh_windows(self) -> int:
        """The number of windows that are set aside for confirm."""
        return self.backtest.windows if self.backtest and self.backtest.fresh else 0

    @property
    def trains_each_window(self) -> bool:
        """Whether each window is trained anew."""
        return self.backtest is None or self.backtest.refit

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of columns with several roles, of the split, and of windows that do not fit."""
        yield from _column_faults(self)
        yield from self.table_faults()
        yield from _split_faults(self.split)
        yield from backtest_faults(self.backtest, self.horizon, self.split.validation)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Yield the faults of fields that need more steps than the look-back has."""
        yield from misfits.of_one_length(self.lookback, model, training)


def is_open_hours(text: str) -> bool:
    """Return whether a text says open hours, as Mon-Fri 09:30-16:00 does."""
    found = OPEN_HOURS.fullmatch(text)
    if found is None:
        return False
    return found[3] <= found[4] and all(each[:2] <= "23" and each[3:5] <= "59" for each in found.groups()[2:])


def _column_faults(data: ForecastData) -> Iterator[Fault]:
    yield from role_faults(data, ("time", "target", "past_covariates", "future_covariates"))
    if not data.time_columns:
        for name, value in (("calendar", data.calendar), ("step", data.step), ("open_hours", data.open_hours)):
            if value:
                yield fault("no-time-column", f"data.{name}")
    for text in data.open_hours or ():
        if not is_open_hours(text):
            yield fault("not-open-hours", "data.open_hours", text=text)
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

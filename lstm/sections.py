"""The section `data` of a spec: each task has its own, with its rules and the metrics that it is judged by.

A field is its type, its bound and its one-sentence description, here and nowhere else.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from lstm.records import Direction, Fault

Task = Literal["forecast", "memory", "classify", "language_model"]
Unit = Literal["characters", "words"]
CalendarFeature = Literal["hour_of_day", "day_of_week", "day_of_month", "day_of_year", "week_of_year", "month_of_year"]
MOST_STEPS = 20_000_000  # of generated sequences
HIGHER = ("accuracy", "f1")  # metrics that are better when higher; all others are errors
PROBABILITY = "probability"  # a column of what `classify` answers
Column = Annotated[str, Field(min_length=1)]
# A share of the rows (0.15), a number of rows (2880) or a time (1996-01-01).
Border = Annotated[float, Field(gt=0, lt=1)] | Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=4)]


class Section(BaseModel):
    """A part of a spec: immutable, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Split(Section):
    """The parts by time, oldest first: train, validation, test."""

    validation: Border = Field(description="Size as a share of the rows or a number of rows, or the part's first time.")
    test: Border = Field(description="Size as a share of the rows or a number of rows, or the part's first time.")
    train: Border | None = Field(
        None,
        description="Bounds the training part too: its size (then rows after the test part stay unused) or its "
        "first time. By default it is all that comes before validation.",
    )


class Data(Section):
    """What a task learns from: each task has its own section `data`."""

    baseline: ClassVar[str]  # what every result is held against, in words
    baseline_note: ClassVar[str]  # and what that is, in a sentence
    rivals: ClassVar[tuple[str, ...]]  # what the best is held against besides, by name: those that always run
    extra_rivals: ClassVar[tuple[str, ...]] = ()  # and those of packages that are installed with the extra `rivals`
    counted: ClassVar[str] = "sequences"  # what the size of a part is told in
    predicted: ClassVar[str] = "steps"  # what the rows of a prediction are
    prediction: ClassVar[str] = "Answer what is new"  # what it does
    has_series: ClassVar[bool] = False  # whether the target is a series among the inputs: residual, normalization
    searchable: ClassVar[tuple[str, ...]] = ()  # any other field would change what trials are judged on

    @property
    def metrics(self) -> list[str]:
        """The names a `search.metric` may have, the loss first."""
        raise NotImplementedError

    @property
    def needs_input(self) -> bool:
        """Whether a prediction must be given what it is made from; else it starts where the section's own data end."""
        return True

    @property
    def reach(self) -> int:
        """Steps before a judged one that a network may see, which a search may make more; 0 where that is fixed."""
        return 0

    @property
    def steps(self) -> int | None:
        """Steps that a network is unrolled over; None where the data tell."""
        return None

    @property
    def answers_once(self) -> bool:
        """Whether a network has read the whole sequence when it answers."""
        return True

    @property
    def has_numbers(self) -> bool:
        """Whether the inputs are numbers, to which noise can be added."""
        return True

    def faults(self) -> Iterator[Fault]:
        """Rules across the section's fields."""
        yield from ()


class DataConfig(Data):
    """Where the time series is and what is forecast from what."""

    baseline: ClassVar[str] = "seasonal naive"
    baseline_note: ClassVar[str] = "The seasonal naive repeats what was one season ago."
    rivals: ClassVar[tuple[str, ...]] = (
        "last value",
        "seasonal naive",
        "last season and change",
        "mean of two seasons",
        "ridge",
    )
    extra_rivals: ClassVar[tuple[str, ...]] = ("LightGBM", "AutoETS", "MSTL", "AutoARIMA")
    counted: ClassVar[str] = "windows"
    prediction: ClassVar[str] = "Forecast what is next"
    has_series: ClassVar[bool] = True
    searchable: ClassVar[tuple[str, ...]] = ("lookback",)

    path: str = Field(min_length=1, description="CSV or Parquet file, relative to the spec's folder.")
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
    def needs_input(self) -> bool:
        """Only where something must be known ahead."""
        return bool(self.future_covariates)

    @property
    def targets(self) -> list[str]:
        """The columns to forecast, always as a list."""
        return [self.target] if isinstance(self.target, str) else list(self.target)

    @property
    def columns(self) -> list[str]:
        """Every value column that is read: targets, past covariates, future covariates."""
        return [*self.targets, *self.past_covariates, *self.future_covariates]

    @property
    def metrics(self) -> list[str]:
        """Errors; those in original units per target."""
        per_target = ["mae_original", "rmse_original"]
        names = per_target if len(self.targets) == 1 else [f"{m}/{t}" for m in per_target for t in self.targets]
        return ["val/loss", "val/mae", "val/mase", *(f"val/{name}" for name in names)]

    @property
    def reach(self) -> int:
        """The look-back."""
        return self.lookback

    @property
    def steps(self) -> int:
        """The look-back."""
        return self.lookback

    def faults(self) -> Iterator[Fault]:
        """Columns with one role each; a split that leaves something to train on."""
        yield from _column_faults(self)
        yield from _split_faults(self.split)


class Sizes(Section):
    """How many sequences each part has."""

    train: int = Field(
        ge=1, le=100_000_000, description="Sequences in a pass; new ones are drawn for each pass, but of mackey_glass."
    )
    validation: int = Field(ge=1, le=10_000_000, description="Sequences that each epoch is judged on.")
    test: int = Field(ge=1, le=10_000_000, description="Sequences that the best trial is judged on.")


class MemoryData(Data):
    """A problem that can only be solved by remembering, generated from a seed."""

    baseline: ClassVar[str] = "constant"
    baseline_note: ClassVar[str] = "The constant is the best answer that needs no memory."
    rivals: ClassVar[tuple[str, ...]] = ("constant", "ridge")

    problem: Literal["adding", "copy", "mackey_glass"] = Field(
        description="The sum of two marked numbers (adding), symbols to repeat after a delay (copy), or a chaotic "
        "series to forecast (mackey_glass)."
    )
    length: int = Field(
        ge=2, le=100_000, description="Steps of a sequence; for copy, steps between seeing and repeating."
    )
    sizes: Sizes = Field(description="Sequences of each part.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the sequences.")
    symbols: int | None = Field(None, ge=2, le=10_000, description="Different symbols, for copy; 8 when absent.")
    memorize: int | None = Field(None, ge=1, le=10_000, description="Symbols to repeat, for copy; 10 when absent.")
    tau: int | None = Field(
        None, ge=2, le=1_000, description="Delay in the Mackey-Glass equation, in its units of time; 17 when absent."
    )
    horizon: int | None = Field(
        None, ge=1, le=10_000, description="Steps ahead to forecast, for mackey_glass; 15 when absent."
    )

    @property
    def metrics(self) -> list[str]:
        """The loss, and what the problem's literature reports."""
        return ["val/loss", *{"adding": [], "copy": ["val/accuracy"], "mackey_glass": ["val/nrmse"]}[self.problem]]

    @property
    def steps(self) -> int:
        """Steps of a sequence; for copy with the symbols, before and after."""
        return self.length + (2 * self.keep if self.problem == "copy" else 0)

    @property
    def answers_once(self) -> bool:
        """Only where the sum is asked for."""
        return self.problem == "adding"

    @property
    def has_numbers(self) -> bool:
        """All but copy have."""
        return self.problem != "copy"

    @property
    def alphabet(self) -> int:
        """Different symbols."""
        return self.symbols or 8

    @property
    def keep(self) -> int:
        """Symbols to repeat."""
        return self.memorize or 10

    @property
    def delay(self) -> int:
        """Mackey-Glass's tau."""
        return self.tau or 17

    @property
    def steps_ahead(self) -> int:
        """Mackey-Glass's horizon."""
        return self.horizon or 15

    def faults(self) -> Iterator[Fault]:
        """A problem's own options alone."""
        owners = {"symbols": "copy", "memorize": "copy", "tau": "mackey_glass", "horizon": "mackey_glass"}
        for name, owner in owners.items():
            if getattr(self, name) is not None and self.problem != owner:
                yield Fault(f"data.{name}", f"would do nothing with problem: {self.problem}; it belongs to {owner}")
        kept = self.sizes.validation + self.sizes.test + (self.sizes.train if self.problem == "mackey_glass" else 0)
        if kept * self.steps > MOST_STEPS:
            message = f"ask for {kept * self.steps:,} steps to be kept in memory; {MOST_STEPS:,} are the most, so make "
            yield Fault("data.sizes", message + "them or data.length smaller")


class Shares(Section):
    """The parts by lot: of each class, a share of its sequences."""

    validation: float = Field(gt=0, lt=1, description="Share of each class's sequences that each epoch is judged on.")
    test: float = Field(gt=0, lt=1, description="Share of each class's sequences that the best trial is judged on.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the draw: which sequences are in which part.")


class ClassifyData(Data):
    """Sequences of any length, and which class each belongs to."""

    baseline: ClassVar[str] = "logistic regression"
    baseline_note: ClassVar[str] = (
        "The logistic regression sees all steps side by side, filled up to the longest sequence."
    )
    rivals: ClassVar[tuple[str, ...]] = ("commonest class", "logistic regression", "nearest neighbour")
    extra_rivals: ClassVar[tuple[str, ...]] = ("random kernels",)
    predicted: ClassVar[str] = "sequences"

    path: str = Field(
        min_length=1, description="CSV or Parquet file with a row per step, relative to the spec's folder."
    )
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

    @property
    def metrics(self) -> list[str]:
        """The cross-entropy in nats, the share of right answers, F1 averaged over the classes."""
        return ["val/loss", "val/accuracy", "val/f1"]

    def faults(self) -> Iterator[Fault]:
        """Columns with one role each; shares that leave something to train on."""
        yield from _role_faults(self, ("id", "time", "columns", "label"))
        for role in ("id", "label"):
            if getattr(self, role) == PROBABILITY:
                message = f"is {PROBABILITY}, as predict names what it adds to the answer; rename the column"
                yield Fault(f"data.{role}", message)
        if (total := self.split.validation + self.split.test) >= 1:
            message = f"validation and test add up to {total:g}, which leaves nothing for training; make them smaller"
            yield Fault("data.split", message)


class TextShares(Section):
    """The parts of a text by position: the training part comes first, then validation, then test."""

    validation: float = Field(gt=0, lt=1, description="Share of the text that each epoch is judged on.")
    test: float = Field(gt=0, lt=1, description="Share of the text, at its end, that the best trial is judged on.")


class TextData(Data):
    """A text whose next symbol is to be told from all that came before."""

    baseline: ClassVar[str] = "bigram counts"
    baseline_note: ClassVar[str] = (
        "Bigram counts know how often each symbol followed the one before, in the training part."
    )
    rivals: ClassVar[tuple[str, ...]] = ("n-grams",)
    counted: ClassVar[str] = "symbols"
    prediction: ClassVar[str] = "Go on with the text"
    searchable: ClassVar[tuple[str, ...]] = ("lookback",)  # judged is the same text, with the same context

    path: str = Field(min_length=1, description="Text file in UTF-8, relative to the spec's folder.")
    unit: Unit = Field(
        "characters", description="What a symbol is: a character, or a word, as marks and line ends are, too."
    )
    lookback: int = Field(
        ge=1,
        le=100_000,
        description="Steps of a chunk: back-propagation through time ends at its start, the state is carried on.",
    )
    split: TextShares = Field(description="How the text is divided by position, the training part first.")
    vocabulary: int | None = Field(
        None,
        ge=2,
        le=100_000,
        description="So many symbols at most, the most frequent of the training part; all others are one unknown "
        "symbol beside them. All of the training part's when absent.",
    )

    @property
    def needs_input(self) -> bool:
        """The text's own end is the prompt."""
        return False

    @property
    def metrics(self) -> list[str]:
        """The cross-entropy in nats for each symbol, and the same in other words."""
        bits = ["val/bits_per_character"] if self.unit == "characters" else []
        return ["val/loss", *bits, "val/perplexity"]

    @property
    def steps(self) -> int:
        """Steps of a chunk."""
        return self.lookback

    @property
    def answers_once(self) -> bool:
        """It answers at every step."""
        return False

    @property
    def has_numbers(self) -> bool:
        """It has symbols."""
        return False

    def faults(self) -> Iterator[Fault]:
        """A split that leaves something to train on."""
        if (total := self.split.validation + self.split.test) >= 1:
            yield Fault("data.split", f"the shares add up to {total:g}; leave some for training")


DATA: Mapping[str, type[Data]] = {
    "forecast": DataConfig,
    "memory": MemoryData,
    "classify": ClassifyData,
    "language_model": TextData,
}
AnyData = DataConfig | MemoryData | ClassifyData | TextData


def section_of(task: object) -> type[Data]:
    """The section `data` of a task; of a name that is none, the first one's."""
    return DATA.get(str(task), DataConfig)


def better(metric: str) -> Direction:
    """Which way a metric is better, with or without the name of its part."""
    own = [word for word in metric.split("/") if word not in ("train", "val", "test", "baseline", "base")]
    return "maximize" if own[:1] and own[0] in HIGHER else "minimize"  # what follows is a column's name, whatever it is


def _role_faults(data: Data, roles: Iterable[str]) -> Iterator[Fault]:
    """Columns that are named in two roles, or in one of them twice."""
    seen: dict[str, str] = {}
    for role in roles:
        value = getattr(data, role)
        for column in [value] if isinstance(value, str) else value or []:
            if column in seen:
                where = "twice" if seen[column] == role else f"as {seen[column]} too"
                yield Fault(f"data.{role}", f"column {column!r} is named {where}; a column has one role")
            seen[column] = role


def _column_faults(data: DataConfig) -> Iterator[Fault]:
    yield from _role_faults(data, ("time", "target", "past_covariates", "future_covariates"))
    if data.time is None:
        for name, value in (("calendar", data.calendar), ("step", data.step)):
            if value:
                yield Fault(f"data.{name}", "would do nothing: there is no time column; name it in data.time")
    for feature in sorted({f for f in data.calendar if data.calendar.count(f) > 1}):
        yield Fault("data.calendar", f"{feature} is named twice")


def _split_faults(split: Split) -> Iterator[Fault]:
    borders = {k: v for k in ("train", "validation", "test") if (v := getattr(split, k)) is not None}
    kinds = {type(value) for value in borders.values()}
    if len(kinds) > 1:
        yield Fault("data.split", "mixes kinds; use only shares (0.15), only row counts (2880) or only times")
    elif kinds == {float} and (total := sum(borders.values())) > 1 + 1e-9:
        yield Fault("data.split", f"the shares add up to {total:g}; they may add up to 1 at most")
    elif kinds == {float} and "train" not in borders and total >= 1:
        yield Fault("data.split", "nothing is left for training; make validation and test smaller")

"""How a sweep searches and where it runs: the sections `search`, `resources` and `storage` of a spec."""

from typing import Annotated, Literal

from pydantic import Field

from lstm.records import Direction, Scalar
from lstm.sections import Section

Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
When = Annotated[dict[str, Scalar | Annotated[list[Scalar], Field(min_length=1)]], Field(min_length=1)]


class Dimension(Section):
    """One searched parameter."""

    when: When | None = Field(
        None,
        description="Searched only where other searched parameters have these values (one value or a list each); "
        "elsewhere the base configuration's value holds.",
    )


class IntDimension(Dimension):
    """Whole numbers, both ends included."""

    type: Literal["int"]
    low: int = Field(description="Smallest value.")
    high: int = Field(description="Largest value.")
    log: bool = Field(False, description="Draw on a logarithmic scale.")
    step: int | None = Field(None, ge=1, description="Distance between values.")


class FloatDimension(Dimension):
    """Real numbers, both ends included."""

    type: Literal["float"]
    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    log: bool = Field(False, description="Draw on a logarithmic scale.")
    step: float | None = Field(None, gt=0, description="Distance between values.")


class CategoricalDimension(Dimension):
    """One of a list of values."""

    type: Literal["categorical"]
    choices: Annotated[list[Scalar], Field(min_length=2, max_length=1000)] = Field(description="The values.")


AnyDimension = Annotated[IntDimension | FloatDimension | CategoricalDimension, Field(discriminator="type")]


class TpeSampler(Section):
    """Tree-structured Parzen estimator."""

    type: Literal["tpe"]
    seed: Seed = Field(0, description="Seed; every trial's draws come from it and the trial's number.")
    n_startup_trials: int = Field(10, ge=1, le=100_000, description="Random trials before the model is used.")


class GpSampler(Section):
    """Gaussian process; learns from completed trials only. Best for up to a few hundred trials."""

    type: Literal["gp"]
    seed: Seed = Field(0, description="Seed; every trial's draws come from it and the trial's number.")
    n_startup_trials: int = Field(10, ge=1, le=100_000, description="Random trials before the model is used.")


class RandomSampler(Section):
    """Independent random draws."""

    type: Literal["random"]
    seed: Seed = Field(0, description="Seed; every trial's draws come from it and the trial's number.")


class GridSampler(Section):
    """Every combination once; each dimension needs choices or a step."""

    type: Literal["grid"]
    seed: Seed = Field(0, description="Seed of the order in which the grid is visited.")


AnySampler = Annotated[TpeSampler | GpSampler | RandomSampler | GridSampler, Field(discriminator="type")]


class MedianPruner(Section):
    """Stops a trial that is worse than the median of earlier trials at the same epoch."""

    type: Literal["median"]
    n_startup_trials: int = Field(5, ge=0, le=100_000, description="Trials that run to their end before it acts.")
    n_warmup_steps: int = Field(0, ge=0, le=1_000_000, description="Epochs of each trial before it acts.")
    interval_steps: int = Field(1, ge=1, le=1_000_000, description="Epochs between two decisions.")


class SuccessiveHalvingPruner(Section):
    """Asynchronous successive halving (ASHA): at each rung only the best 1/reduction_factor go on."""

    type: Literal["successive_halving"]
    min_resource: int = Field(1, ge=1, le=1_000_000, description="Epochs before the first rung.")
    reduction_factor: int = Field(4, ge=2, le=1000, description="Each rung keeps one in so many.")
    min_early_stopping_rate: int = Field(0, ge=0, le=20, description="Rungs left out at the start.")


class HyperbandPruner(Section):
    """Several brackets of successive halving."""

    type: Literal["hyperband"]
    min_resource: int = Field(1, ge=1, le=1_000_000, description="Epochs before the first rung.")
    reduction_factor: int = Field(3, ge=2, le=1000, description="Each rung keeps one in so many.")


class PatientPruner(Section):
    """Stops a trial that no longer gets better itself."""

    type: Literal["patient"]
    patience: int = Field(ge=0, le=1_000_000, description="Epochs without a better value.")
    min_delta: float = Field(0.0, ge=0, description="What counts as better.")


class NoPruner(Section):
    """Every trial runs to its end."""

    type: Literal["none"]


AnyPruner = Annotated[
    MedianPruner | SuccessiveHalvingPruner | HyperbandPruner | PatientPruner | NoPruner,
    Field(discriminator="type"),
]


class StopConfig(Section):
    """When the whole sweep ends before n_trials."""

    max_hours: float | None = Field(None, gt=0, le=100_000, description="Hours that one driver runs.")
    target: float | None = Field(None, description="A trial's value that is good enough.")
    max_failures: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Failed trials, after their retries, that end the sweep as failed.",
    )


class SecondObjective(Section):
    """A figure of the network beside the metric: trials are compared by both, and none of the best is lost."""

    metric: str = Field(description="A probe's number of each trial's best epoch, as probe/reliability/noise.")
    direction: Direction = Field(description="Which way it is better.")


class SearchConfig(Section):
    """What is searched, by whom, for how long."""

    metric: str = Field("val/loss", description="What is compared; a trial's value is its best epoch's.")
    direction: Direction = Field("minimize", description="Which way the metric is better.")
    second_objective: SecondObjective | None = Field(
        None, description="Searched for beside the metric: `best` and the report show the Pareto front of both."
    )
    n_trials: int = Field(ge=1, le=100_000, description="Trials in total, over all runs of the sweep.")
    stop: StopConfig = Field(default_factory=StopConfig)
    sampler: AnySampler = Field(default_factory=lambda: TpeSampler(type="tpe"), description="Decides what to try next.")
    pruner: AnyPruner = Field(
        default_factory=lambda: NoPruner(type="none"), description="Decides which trials end early."
    )
    space: Annotated[dict[str, AnyDimension], Field(min_length=1)] = Field(
        description="Searched parameters, by dotted path of a field of data.lookback, model or training."
    )
    first: list[Annotated[dict[str, Scalar], Field(min_length=1)]] = Field(
        default_factory=list,
        max_length=1000,
        description="Settings to try first; what is left out is sampled.",
    )


class ResourcesConfig(Section):
    """What one trial gets, and how many run at once."""

    cpus_per_trial: int = Field(1, ge=1, le=1024, description="CPU cores, and threads, of a trial.")
    gpus_per_trial: Literal["auto"] | Annotated[float, Field(ge=0, le=1)] = Field(
        "auto",
        description="GPUs of a trial; a fraction packs several onto one, each held to its share of the memory. "
        "auto: one where the cluster has GPUs, none where it has not.",
    )
    max_concurrent: Literal["auto"] | Annotated[int, Field(ge=1, le=100_000)] = Field(
        "auto", description="Trials at once; auto: as many as the cluster has room for."
    )


class StorageConfig(Section):
    """Where the sweep is kept; by default in the home folder."""

    study: str | None = Field(
        None,
        min_length=1,
        description="Database of the study: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
    )
    checkpoints: str | None = Field(
        None, min_length=1, description="Folder or s3:// or gs:// address that every host can write to."
    )
    keep: Literal["all", "best"] = Field(
        "all",
        description="Whose weights are kept when a trial has ended; every trial's history is always kept.",
    )

"""How a sweep searches and where it runs: the sections `search`, `resources` and `storage` of a spec."""

from typing import Annotated, Literal

from pydantic import Field

from lstm.config.section import Section, Since
from lstm.records.objective import Direction, Scalar

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
    step: int | None = Field(None, ge=1, description="Distance between values; 1 when absent.")


class FloatDimension(Dimension):
    """Real numbers, both ends included."""

    type: Literal["float"]
    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    log: bool = Field(False, description="Draw on a logarithmic scale.")
    step: float | None = Field(
        None, gt=0, description="Distance between values; any value between the ends when absent."
    )


class CategoricalDimension(Dimension):
    """One of a list of values."""

    type: Literal["categorical"]
    choices: Annotated[list[Scalar], Field(min_length=2, max_length=1000)] = Field(description="The values.")


AnyDimension = Annotated[IntDimension | FloatDimension | CategoricalDimension, Field(discriminator="type")]


class TpeSampler(Section):
    """Tree-structured Parzen estimator; learns from completed and from pruned trials."""

    type: Literal["tpe"]
    seed: Seed = Field(0, description="Seed; every trial's draws come from it and the trial's number.")
    n_startup_trials: int = Field(
        10,
        ge=1,
        le=100_000,
        description="Trials that must have completed or been pruned before the model is used; until then draws are "
        "random.",
    )


class GpSampler(Section):
    """Gaussian process; learns from completed trials only. Best for up to a few hundred trials."""

    type: Literal["gp"]
    seed: Seed = Field(0, description="Seed; every trial's draws come from it and the trial's number.")
    n_startup_trials: int = Field(
        10,
        ge=1,
        le=100_000,
        description="Trials that must have completed before the model is used; until then draws are random.",
    )


class RandomSampler(Section):
    """Independent random draws."""

    type: Literal["random"]
    seed: Seed = Field(0, description="Seed; every trial's draws come from it and the trial's number.")


class GridSampler(Section):
    """Every combination once; each dimension needs choices or a step, which whole numbers have: 1."""

    type: Literal["grid"]
    seed: Seed = Field(0, description="Seed of the order in which the grid is visited.")


AnySampler = Annotated[TpeSampler | GpSampler | RandomSampler | GridSampler, Field(discriminator="type")]


class MedianPruner(Section):
    """Stops a trial whose best value so far is worse than the median of the completed trials' at the same epoch."""

    type: Literal["median"]
    n_startup_trials: int = Field(
        5,
        ge=0,
        le=100_000,
        description="Trials that must have completed before it acts, one at the least; pruned ones don't count.",
    )
    n_warmup_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="The epoch of each trial after which it first decides; 0 is after the first epoch, too.",
    )
    interval_steps: int = Field(
        1, ge=1, le=1_000_000, description="Epochs from one decision to the next, counted from n_warmup_steps."
    )


class SuccessiveHalvingPruner(Section):
    """Asynchronous successive halving (ASHA): at each rung only the best 1/reduction_factor so far go on.

    A rung is an epoch: min_resource, then reduction_factor times as many, and so on.
    """

    type: Literal["successive_halving"]
    min_resource: int = Field(1, ge=1, le=1_000_000, description="The epoch of the first rung.")
    reduction_factor: int = Field(
        4,
        ge=2,
        le=1000,
        description="Each rung keeps one in so many of those that came to it, the best one while they are fewer; the "
        "next rung is at so many times the epochs.",
    )
    min_early_stopping_rate: int = Field(
        0,
        ge=0,
        le=20,
        description="Rungs left out at the start: the first is then at min_resource * reduction_factor ** this.",
    )


class HyperbandPruner(Section):
    """Several brackets of successive halving, each with one rung fewer at its start; a trial is in one of them.

    There are floor(log(training.max_epochs / min_resource) / log(reduction_factor)) + 1 of them. A trial is compared
    with those of its bracket alone, and the sampler learns from these alone.
    """

    type: Literal["hyperband"]
    min_resource: int = Field(1, ge=1, le=1_000_000, description="The epoch of the first bracket's first rung.")
    reduction_factor: int = Field(
        3,
        ge=2,
        le=1000,
        description="Each rung keeps one in so many of those that came to it, the best one while they are fewer; the "
        "next rung is at so many times the epochs.",
    )


class PatientPruner(Section):
    """Stops a trial that gets worse than it was itself; one that stays as good goes on."""

    type: Literal["patient"]
    patience: int = Field(
        ge=0,
        le=1_000_000,
        description="A trial ends when the best of its last patience + 1 epochs is worse than the best before them; "
        "so it first decides after epoch patience + 2.",
    )
    min_delta: float = Field(
        0.0,
        ge=0,
        description="How much worse, in the metric's unit, the best of those epochs may be without ending the trial: "
        "the larger, the later it ends.",
    )


class NoPruner(Section):
    """Every trial runs to its end."""

    type: Literal["none"]


AnyPruner = Annotated[
    MedianPruner | SuccessiveHalvingPruner | HyperbandPruner | PatientPruner | NoPruner,
    Field(discriminator="type"),
]


class StopConfig(Section):
    """When the whole sweep ends before n_trials."""

    max_hours: float | None = Field(
        None, gt=0, le=100_000, description="Hours that one driver runs; each `sweep run` has as many."
    )
    target: float | None = Field(None, description="A completed trial's value that is good enough.")
    max_failures: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="So many failed trials, after their retries, end the sweep as failed.",
    )


class SecondObjective(Section):
    """A figure of the network beside the metric: trials are compared by both, and none of the best is lost."""

    metric: str = Field(description="A probe's number of each trial's best epoch, as probe/reliability/noise.")
    direction: Direction = Field(description="Which way it is better.")


class SearchConfig(Section):
    """What is searched, by whom, for how long."""

    metric: str = Field(
        "val/loss",
        description="What is compared: val/loss, or another metric of the task; a trial's value is its best epoch's.",
    )
    direction: Direction = Field("minimize", description="Which way the metric is better.")
    second_objective: Annotated[SecondObjective | None, Since("2026-11-25")] = Field(
        None, description="Searched for beside the metric: `best` and the report show the Pareto front of both."
    )
    n_trials: int = Field(
        ge=1, le=100_000, description="Trials in total, over all runs of the sweep; pruned and failed ones count."
    )
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

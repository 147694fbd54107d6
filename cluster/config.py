"""How a sweep searches and where it runs: the sections `search`, `resources` and `storage` of a spec."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lstm.config.section import Section, Since
from lstm.records.objective import Direction, Scalar

Top = Annotated[str, Field(pattern="^top:[1-9][0-9]{0,4}$", description="top:N, as in top:5")]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
When = Annotated[dict[str, Scalar | Annotated[list[Scalar], Field(min_length=1)]], Field(min_length=1)]


class Dimension(Section):
    """One searched parameter."""

    when: When | None = Field(
        None,
        description="Search this parameter only if the other searched parameters named here have these values (one "
        "value or a list each). In all other trials it keeps the spec's own value.",
    )


class IntDimension(Dimension):
    """Whole numbers, both ends included."""

    type: Literal["int"]
    low: int = Field(description="Smallest value, included.")
    high: int = Field(description="Largest value, included.")
    log: bool = Field(
        False,
        description="Draw on a logarithmic scale. Set it when the range spans several powers of ten, as for a learning "
        "rate. low must be above 0, and step absent.",
    )
    step: int | None = Field(
        None, ge=1, description="Distance between values; high must be on one of these steps. Absent: 1."
    )


class FloatDimension(Dimension):
    """Real numbers, both ends included."""

    type: Literal["float"]
    low: float = Field(description="Smallest value, included.")
    high: float = Field(description="Largest value, included.")
    log: bool = Field(
        False,
        description="Draw on a logarithmic scale. Set it when the range spans several powers of ten, as for a learning "
        "rate. low must be above 0, and step absent.",
    )
    step: float | None = Field(
        None,
        gt=0,
        description="Distance between values; high must be on one of these steps. Absent: any value between low and "
        "high.",
    )


class CategoricalDimension(Dimension):
    """One of a list of values."""

    type: Literal["categorical"]
    choices: Annotated[list[Scalar], Field(min_length=2, max_length=1000)] = Field(
        description="The values to choose from, each listed once."
    )


AnyDimension = Annotated[IntDimension | FloatDimension | CategoricalDimension, Field(discriminator="type")]


class TpeSampler(Section):
    """Tree-structured Parzen estimator. It learns from completed and from pruned trials."""

    type: Literal["tpe"]
    seed: Seed = Field(0, description="Seed. Each trial's random numbers come from it and from the trial's number.")
    n_startup_trials: int = Field(
        10,
        ge=1,
        le=100_000,
        description="Completed and pruned trials before the model is used; until then draws are random. Raise it to "
        "explore more before the model takes over.",
    )


class GpSampler(Section):
    """Gaussian process. It learns from completed trials only. Best for up to a few hundred trials."""

    type: Literal["gp"]
    seed: Seed = Field(0, description="Seed. Each trial's random numbers come from it and from the trial's number.")
    n_startup_trials: int = Field(
        10,
        ge=1,
        le=100_000,
        description="Completed trials before the model is used; until then draws are random. Raise it to explore more "
        "before the model takes over.",
    )


class RandomSampler(Section):
    """Independent random draws."""

    type: Literal["random"]
    seed: Seed = Field(0, description="Seed. Each trial's random numbers come from it and from the trial's number.")


class GridSampler(Section):
    """Every combination once. Each dimension needs choices or a step; whole numbers have step 1 unless log is set."""

    type: Literal["grid"]
    seed: Seed = Field(0, description="Seed of the order in which the grid is visited.")


AnySampler = Annotated[TpeSampler | GpSampler | RandomSampler | GridSampler, Field(discriminator="type")]


class MedianPruner(Section):
    """Stops a trial if its best value so far is worse than the median of the completed trials at the same epoch."""

    type: Literal["median"]
    n_startup_trials: int = Field(
        5,
        ge=0,
        le=100_000,
        description="Completed trials before any trial is pruned, at least one; pruned trials don't count. Raise it if "
        "good trials are stopped too soon.",
    )
    n_warmup_steps: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="The first epoch after which a trial can be pruned; 0 and 1 both mean the first epoch. Raise it if "
        "early epochs say little about the final value.",
    )
    interval_steps: int = Field(
        1, ge=1, le=1_000_000, description="Epochs between two decisions about a trial, counted from n_warmup_steps."
    )


class SuccessiveHalvingPruner(Section):
    """Asynchronous successive halving (ASHA): at each rung only the best 1/reduction_factor of the trials go on.

    A rung is an epoch: the first is min_resource, each next one is reduction_factor times as many epochs.
    """

    type: Literal["successive_halving"]
    min_resource: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="The epoch of the first rung. Raise it if early epochs say little about the final value.",
    )
    reduction_factor: int = Field(
        4,
        ge=2,
        le=1000,
        description="At each rung one in this many trials goes on, or the best one while fewer have reached it. The "
        "next rung is at this many times the epochs. A larger value stops more trials early.",
    )
    min_early_stopping_rate: int = Field(
        0,
        ge=0,
        le=20,
        description="Rungs to skip at the start: the first rung is at min_resource * reduction_factor ** this value.",
    )


class HyperbandPruner(Section):
    """Several brackets of successive halving, each starting one rung later than the one before; a trial is in one.

    There are floor(log(training.max_epochs / min_resource) / log(reduction_factor)) + 1 brackets. A trial is compared
    only with the trials of its bracket, and the sampler learns only from these.
    """

    type: Literal["hyperband"]
    min_resource: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="The epoch of the first bracket's first rung. Raise it if early epochs say little about the final "
        "value.",
    )
    reduction_factor: int = Field(
        3,
        ge=2,
        le=1000,
        description="At each rung one in this many trials goes on, or the best one while fewer have reached it. The "
        "next rung is at this many times the epochs. A larger value stops more trials early.",
    )


class PatientPruner(Section):
    """Stops a trial that gets worse than its own earlier epochs; a trial that stays as good goes on."""

    type: Literal["patient"]
    patience: int = Field(
        ge=0,
        le=1_000_000,
        description="A trial is pruned when the best of its last patience + 1 epochs is worse than the best before "
        "them. The first decision comes after epoch patience + 2.",
    )
    min_delta: float = Field(
        0.0,
        ge=0,
        description="How much worse the best of the last epochs may be before the trial is pruned, in the metric's "
        "unit. Raise it if the metric is noisy.",
    )


class NoPruner(Section):
    """Every trial runs to its end."""

    type: Literal["none"]


AnyPruner = Annotated[
    MedianPruner | SuccessiveHalvingPruner | HyperbandPruner | PatientPruner | NoPruner,
    Field(discriminator="type"),
]


class StopConfig(Section):
    """Rules that end the whole sweep before n_trials."""

    max_hours: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="Hours after which `sweep run` stops. The same command continues the sweep, with as many hours "
        "again. Absent: no limit.",
    )
    target: float | None = Field(
        None,
        description="Value of search.metric that is good enough: the sweep ends once a completed trial reaches it and "
        "the base has ended. Absent: no target.",
    )
    max_failures: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Failed trials, after their retries, at which the sweep ends as failed. Set it to 1 to stop at the "
        "first failure. Absent: no limit.",
    )


class SecondObjective(Section):
    """A second figure to search for, in addition to the metric: the best trials are a Pareto front of both."""

    metric: str = Field(
        description="A number that the probe measures at each trial's best epoch, such as probe/reliability/noise."
    )
    direction: Direction = Field(description="Whether a smaller or a larger number is better.")


FirstSettings = Annotated[dict[str, Scalar], Field(min_length=1)]


class FirstFrom(Section):
    """Settings that were good in earlier sweeps of the same home, instead of a list of settings."""

    model_config = ConfigDict(serialize_by_alias=True)  # Python has no field of the name `from`

    sweeps: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=100)] = Field(
        alias="from",
        description="Names of earlier sweeps of this home, with the same metric. Their settings are ranked within each "
        "sweep; a setting of several sweeps has the mean of its ranks.",
    )
    top: int = Field(
        5,
        ge=1,
        le=1000,
        description="How many settings to try first. A setting that is not in the space is passed over, and said.",
    )


class ConfirmConfig(Section):
    """What is judged again when the search has ended: its best settings, the base and the best rival."""

    top: int = Field(
        5,
        ge=1,
        le=1000,
        description="How many of the best settings are trained again. A setting is a configuration without "
        "training.seed. The base comes on top. With two objectives: of the Pareto front.",
    )
    seeds: int = Field(
        5,
        ge=1,
        le=100,
        description="From how many other seeds each setting is trained. They are drawn from the setting.",
    )
    windows: Literal["fresh", "search"] | None = Field(
        None,
        description="fresh: judge on the windows that data.backtest.fresh has set aside. search: judge on the windows, "
        "or the validation part, of the search. Absent: fresh if there are such windows, else search.",
    )


class SearchConfig(Section):
    """What is searched, how, and for how long."""

    metric: str = Field(
        "val/loss",
        description="The metric that trials are compared by: val/loss, or another metric of the task. A trial's value "
        "is that of its best epoch.",
    )
    direction: Direction = Field("minimize", description="Whether a smaller or a larger metric is better.")
    second_objective: Annotated[SecondObjective | None, Since("2026-11-25")] = Field(
        None,
        description="A second figure to search for, not together with a pruner. `best` and the report then show the "
        "Pareto front of both. Absent: only the metric counts.",
    )
    n_trials: int = Field(
        ge=1,
        le=100_000,
        description="Trials in total, over all runs of the sweep; pruned and failed ones count. Raise it to continue a "
        "sweep that has ended.",
    )
    stop: StopConfig = Field(default_factory=StopConfig)
    sampler: AnySampler = Field(
        default_factory=lambda: TpeSampler(type="tpe"),
        description="How the next trial's settings are chosen. Absent: tpe.",
    )
    pruner: AnyPruner = Field(
        default_factory=lambda: NoPruner(type="none"),
        description="Which trials are stopped early. Absent: none, so every trial runs to its end.",
    )
    space: Annotated[dict[str, AnyDimension], Field(min_length=1)] = Field(
        description="The parameters to search, each by dotted path: data.lookback, or a field of model or training."
    )
    first: Annotated[list[FirstSettings], Field(max_length=1000)] | FirstFrom = Field(
        default_factory=list,
        description="Settings to try first: a list with one mapping for each trial, in which a parameter that is left "
        "out is sampled; or {from: [SWEEP, …], top: 5}, what was good in earlier sweeps.",
    )

    confirm: Annotated[ConfirmConfig | None, Since("2026-11-30")] = Field(
        None,
        description="Train the best settings again from other seeds when the search has ended. It may change between "
        "runs. Absent: only `sweep confirm` does so.",
    )

    @property
    def leaders(self) -> int:
        """How many of the best trials keep their weights, whatever `storage.keep` says: those that confirm takes."""
        return self.confirm.top if self.confirm else 1

    @property
    def first_settings(self) -> list[FirstSettings]:
        """The settings to try first; none of earlier sweeps, which are chosen when the sweep begins."""
        return self.first if isinstance(self.first, list) else []


class ResourcesConfig(Section):
    """What one trial gets, and how many trials run at once."""

    cpus_per_trial: int = Field(
        1, ge=1, le=1024, description="CPU cores that a trial reserves, and the threads that it computes with."
    )
    gpus_per_trial: Literal["auto"] | Annotated[float, Field(ge=0, le=1)] = Field(
        "auto",
        description="GPUs for each trial. A fraction puts several trials on one GPU, each limited to that share of its "
        "memory. auto: one if the cluster has GPUs or its autoscaler may start some, else none.",
    )
    max_concurrent: Literal["auto"] | Annotated[int, Field(ge=1, le=100_000)] = Field(
        "auto",
        description="Trials that run at once. auto: as many as the cluster has room for, or will have when its "
        "autoscaler has started all nodes that it may. Lower it to leave room for other work.",
    )


class StorageConfig(Section):
    """Where the study and the checkpoints are kept."""

    study: str | None = Field(
        None,
        min_length=1,
        description="Database of the study: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME. Absent: a SQLite "
        "file in the home folder.",
    )
    checkpoints: str | None = Field(
        None,
        min_length=1,
        description="Folder for checkpoints, or an s3:// or gs:// address, that every host can write to. Absent: the "
        "home folder.",
    )
    keep: Literal["all", "best"] | Top = Field(
        "all",
        description="Which trials keep their weights, to save disk space. all: every trial. best: only the best trial "
        "(with search.confirm as many of the best as its top), the base, extensions (sweep extend) and refits (sweep "
        "refit). top:N, as in top:5: the best N instead. The history of every trial is always kept.",
    )

    @property
    def top(self) -> int | None:
        """How many of the best trials keep their weights; None if all trials do."""
        return {"all": None, "best": 1}[self.keep] if ":" not in self.keep else int(self.keep.partition(":")[2])

"""The sections `training` and `probe` of a spec."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lstm.config.section import Section, Since, unwritten
from lstm.records.errors import Fault, fault

EVOLUTION = Since("2026-11-30", is_written=False)


class TrainingConfig(Section):
    """How the network is trained: by back-propagation of the task's loss, or by evolution."""

    method: Annotated[Literal["gradient", "evolution"], EVOLUTION] = Field(
        "gradient",
        description="How the weights are learnt. gradient: by back-propagation of the loss; evolution: by evolution "
        "strategies (Salimans et al., 2017), from returns alone. Set evolution when what counts has no gradient, such "
        "as accuracy. A step then costs 2 * population + 1 passes forward.",
    )
    reward: Annotated[str | None, EVOLUTION] = Field(
        None,
        description="For method evolution: the metric to improve on the training part, without val/, in its own "
        "direction. Absent: loss.",
    )
    population: Annotated[int | None, EVOLUTION] = Field(
        None,
        ge=1,
        le=1_000_000,
        description="For method evolution: pairs of networks in a step. The two of a pair have opposite noise on their "
        "weights. More pairs estimate a better direction. Absent: 32.",
    )
    population_noise: Annotated[float | None, EVOLUTION] = Field(
        None,
        gt=0,
        le=10,
        description="For method evolution: standard deviation of the noise on each weight. Absent: 0.05.",
    )
    fitness_share: Annotated[float | None, EVOLUTION] = Field(
        None,
        gt=0,
        le=1,
        description="For method evolution: share of the training part, in whole batches, on which each network of a "
        "step is measured. Set it when returns on one batch are too noisy. Absent: one batch.",
    )
    max_epochs: int = Field(
        30,
        ge=1,
        le=1_000_000,
        description="Epochs after which a trial ends at the latest. The schedules cosine and linear also end there.",
    )
    batch_size: int = Field(
        64,
        ge=1,
        le=1_000_000,
        description="Windows or sequences in a batch. For a text: streams that are read in parallel.",
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Learning rate of the optimizer at the first epoch.")
    seed: int = Field(
        1,
        ge=0,
        le=2**31 - 1,
        description="Seed of the initial weights, the order of batches, dropout and input_noise.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="Optimizer, as in torch.optim.")
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Weight decay as in torch.optim: adam and sgd add it to the gradient, adamw applies it to the "
        "weights. Absent: 0, for adamw as well.",
    )
    momentum: float = Field(0.0, ge=0, lt=1, description="Momentum of sgd; the other optimizers have none.")
    schedule: Literal["constant", "cosine", "linear", "exponential", "plateau"] = Field(
        "constant",
        description="How the learning rate changes over the epochs. cosine and linear: falls to 0 at max_epochs, "
        "along a half cosine or a straight line; exponential: times schedule_gamma after each epoch; plateau: times "
        "schedule_gamma when val/loss stalls.",
    )
    schedule_gamma: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Factor by which the schedules exponential and plateau lower the learning rate. Absent: 0.95 for "
        "exponential, 0.5 for plateau.",
    )
    schedule_patience: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Epochs in a row without a val/loss at least 0.01 % lower that the schedule plateau allows. It "
        "lowers the rate after one more. Absent: 3.",
    )
    gradient_clip: float | None = Field(
        1.0,
        gt=0,
        le=1e6,
        description="Largest 2-norm of the gradient over all weights; a larger gradient is scaled down to it. null: no "
        "clipping.",
    )
    warmup_steps: Annotated[int, Since("2026-11-23")] = Field(
        0,
        ge=0,
        le=100_000,
        description="First steps of each sequence that only build up the state, without a loss or a gradient. It must "
        "be less than the steps of a sequence.",
    )
    input_noise: Annotated[float, Since("2026-11-24")] = Field(
        0.0,
        ge=0,
        le=100,
        description="Standard deviation of the Gaussian noise that is added to the scaled inputs in training, drawn "
        "for each batch. Set it against overfitting.",
    )
    patience: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Epochs in a row without a better search.metric after which a trial stops. Set it when epochs are "
        "cheap and curves flatten early. Absent: a trial runs to max_epochs.",
    )
    target_loss: float | None = Field(
        None,
        gt=0,
        description="val/loss at or below which a trial stops. Absent: no loss stops a trial.",
    )
    steps_per_epoch: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Batches in an epoch. Set it when a whole pass over the training part is too long for one epoch. "
        "Absent: an epoch is one pass.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Precision of the network's computation. bfloat16 uses autocast; the weights stay float32. On a "
        "CPU, GRUs are still computed in float32, and so are LSTMs if the CPU has no AVX-512 or AMX. On a GPU "
        "PyTorch's cells are computed in bfloat16, and not in float16 as autocast does it.",
    )

    @model_serializer(mode="wrap")
    def _as_earlier_versions(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the fields of evolution that have their defaults: trials without them stay what they were."""
        tree: dict[str, Any] = write(self)
        later = unwritten(type(self))
        return {name: value for name, value in tree.items() if name not in later or value != later[name]}

    @property
    def rewarded(self) -> str:
        """The metric that evolution improves, without val/."""
        return self.reward or "loss"

    @property
    def pairs(self) -> int:
        """Pairs of networks in a step of evolution."""
        return self.population or 32

    @property
    def sigma(self) -> float:
        """The standard deviation of evolution's noise on each weight."""
        return self.population_noise or 0.05


TO_ZERO = ("cosine", "linear")  # schedules whose rate is 0 at max_epochs


class ProbeConfig(Section):
    """When networks are measured as `sweep probe` measures them."""

    every_trial: bool = Field(
        False,
        description="Measure the network of each trial's best epoch when the trial ends. The worker needs some seconds "
        "for each trial.",
    )


def training_faults(training: TrainingConfig) -> Iterator[Fault]:
    """Yield the faults of combinations of fields within `training`."""
    if training.momentum > 0 and training.optimizer != "sgd":
        yield fault("no-momentum", "training.momentum", optimizer=training.optimizer)
    if training.method == "gradient":
        for name in ("reward", "population", "population_noise", "fitness_share"):
            if getattr(training, name) is not None:
                yield fault("field-of-another-method", f"training.{name}", method="gradient", other="evolution")
    elif training.input_noise:
        yield fault("field-of-another-method", "training.input_noise", method="evolution", other="gradient")
    uses = {"schedule_gamma": ("exponential", "plateau"), "schedule_patience": ("plateau",)}
    for name, schedules in uses.items():
        if getattr(training, name) is not None and training.schedule not in schedules:
            yield fault(
                "field-of-another-schedule", f"training.{name}", schedule=training.schedule, schedules=list(schedules)
            )
    # The first epoch always counts as better. Then plateau lets `schedule_patience` epochs and one more pass, and
    # lowers the rate of the next epoch.
    for name, others in (("patience", 0), ("schedule_patience", 2)):
        value = getattr(training, name)
        if value is not None and value + others >= training.max_epochs:
            yield fault(
                "patience-too-long",
                f"training.{name}",
                idle=value < training.max_epochs,  # earlier versions did not require the two extra epochs
                patience=value,
                more=others + 1 if others else None,
                max_epochs=training.max_epochs,
            )

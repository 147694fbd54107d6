"""The sections `training` and `probe` of a spec."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lstm.config.section import Section, SharedSection, Since
from lstm.records.errors import Fault, fault


class TrainingConfig(SharedSection):
    """How the network is trained: by back-propagation of the task's loss."""

    max_epochs: int = Field(
        30,
        ge=1,
        le=1_000_000,
        description="Epochs after which a trial ends at the latest. A cosine schedule also ends there.",
    )
    batch_size: int = Field(
        64,
        ge=1,
        le=1_000_000,
        description="Windows or sequences in a batch. For a text: streams that are read in parallel.",
    )
    loss: Annotated[Literal["mse", "cross_entropy"] | None, Since("2026-11-30", is_written=False)] = Field(
        None,
        description="For the task video: what is made small. mse: the mean squared error; cross_entropy: that of a "
        "pixel between 0 and 1 (the ends of data.range), with a sigmoid output. A search over it needs a search.metric "
        "that means the same for both. Absent: mse.",
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
    schedule: Literal["constant", "cosine", "exponential", "plateau"] = Field(
        "constant",
        description="How the learning rate changes over the epochs. cosine: falls to 0 at max_epochs; exponential: "
        "times schedule_gamma after each epoch; plateau: times schedule_gamma when val/loss stalls.",
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
        "CPU, GRUs are still computed in float32, and so are LSTMs if the CPU has no AVX-512 or AMX.",
    )


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

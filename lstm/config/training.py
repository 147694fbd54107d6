"""The sections `training` and `probe` of a spec."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lstm.config.section import Section, Since
from lstm.records.errors import Fault, fault


class TrainingConfig(Section):
    """Back-propagation of the task's loss, until it converges."""

    max_epochs: int = Field(30, ge=1, le=1_000_000, description="Epochs at most.")
    batch_size: int = Field(
        64,
        ge=1,
        le=1_000_000,
        description="Windows, or sequences, in a batch; of a text, streams that are read side by side.",
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Step size of the optimizer.")
    seed: int = Field(
        1, ge=0, le=2**31 - 1, description="Seed of the weights, the order of batches, dropout and input_noise."
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="Optimizer, as in torch.optim.")
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Weight decay, as torch.optim applies it: in the gradient for adam and sgd, apart from it for "
        "adamw. 0 when absent, for adamw too.",
    )
    momentum: float = Field(0.0, ge=0, lt=1, description="Momentum; for sgd.")
    schedule: Literal["constant", "cosine", "exponential", "plateau"] = Field(
        "constant",
        description="Learning rate over the epochs: as it is, along a cosine to 0 at max_epochs, or times "
        "schedule_gamma, each epoch (exponential) or at a stall of val/loss (plateau).",
    )
    schedule_gamma: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Factor on the learning rate: each epoch (exponential; 0.95 when absent), at a stall (plateau; 0.5 "
        "when absent).",
    )
    schedule_patience: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Epochs in a row without a val/loss that is lower by 0.01 % which plateau lets pass; after one "
        "more it lowers the rate. 3 when absent.",
    )
    gradient_clip: float | None = Field(
        1.0, gt=0, le=1e6, description="Largest 2-norm of the gradient of all weights; null leaves it as it is."
    )
    warmup_steps: Annotated[int, Since("2026-11-23")] = Field(
        0,
        ge=0,
        le=100_000,
        description="First steps of each sequence that only build the initial state: no loss and no gradient there.",
    )
    input_noise: Annotated[float, Since("2026-11-24")] = Field(
        0.0,
        ge=0,
        le=100,
        description="Deviation of Gaussian noise on the scaled inputs in training, drawn anew for each batch.",
    )
    patience: int | None = Field(
        None, ge=1, le=1_000_000, description="Stop after so many epochs in a row without a better search.metric."
    )
    target_loss: float | None = Field(None, gt=0, description="Stop when val/loss is this low or lower.")
    steps_per_epoch: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Batches in an epoch, where a whole pass is too long to be one; a pass when absent.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16 runs the network under autocast; weights stay float32. What PyTorch can't run in "
        "bfloat16 is computed in float32: on a CPU GRUs, and LSTMs too where it has no AVX-512 or AMX.",
    )


class ProbeConfig(Section):
    """When the network of a trial's best epoch is measured as `sweep probe` does."""

    every_trial: bool = Field(False, description="At the end of each trial, by its worker; costs seconds a trial.")


def training_faults(training: TrainingConfig) -> Iterator[Fault]:
    """Rules across the fields of `training`."""
    if training.momentum > 0 and training.optimizer != "sgd":
        yield fault("no-momentum", "training.momentum", optimizer=training.optimizer)
    uses = {"schedule_gamma": ("exponential", "plateau"), "schedule_patience": ("plateau",)}
    for name, schedules in uses.items():
        if getattr(training, name) is not None and training.schedule not in schedules:
            yield fault(
                "field-of-another-schedule", f"training.{name}", schedule=training.schedule, schedules=list(schedules)
            )
    # The first epoch is better than none; plateau then lets so many pass and one more, and lowers the rate of the next.
    for name, others in (("patience", 0), ("schedule_patience", 2)):
        value = getattr(training, name)
        if value is not None and value + others >= training.max_epochs:
            yield fault(
                "patience-too-long",
                f"training.{name}",
                idle=value < training.max_epochs,  # earlier versions did not ask for the two epochs more
                patience=value,
                more=others + 1 if others else None,
                max_epochs=training.max_epochs,
            )

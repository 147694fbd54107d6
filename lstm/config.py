"""What one trial trains: the sections `task`, `data`, `model` and `training` of a spec.

A field is its type, its bound and its one-sentence description, here and nowhere else; the JSON
Schema that editors use is generated from it. Rules across fields are in `faults`, apart from the
models, so that all errors of a spec can be told at once.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lstm.records import Fault, Idle
from lstm.sections import DATA, AnyData, Data, Section, Task

Variant = Literal[
    "vanilla",
    "no_input_gate",
    "no_forget_gate",
    "no_output_gate",
    "no_input_activation",
    "no_output_activation",
    "coupled_gates",
    "no_peepholes",
    "full_gate_recurrence",
]
LossOn = Literal["all", "measured"]
D = TypeVar("D", bound=Data)


class ModelConfig(Section):
    """The recurrent network; terms are PyTorch's."""

    cell: Literal["rnn", "gru", "lstm"] = Field("lstm", description="Recurrent cell, as in torch.nn.")
    variant: Variant | None = Field(
        None,
        description='A variant of "LSTM: A Search Space Odyssey" (Greff et al., 2017) in place of torch.nn.LSTM: '
        "vanilla has peepholes, each other one differs from it in what its name says.",
    )
    hidden_size: int = Field(64, ge=1, le=8192, description="Units of each layer, in each direction.")
    num_layers: int = Field(1, ge=1, le=16, description="Stacked layers.")
    bidirectional: bool = Field(
        False, description="Read the look-back backwards, too, with weights of its own; twice the units go on."
    )
    forget_bias: Annotated[float, Field(ge=-100, le=100)] | Literal["chrono"] | None = Field(
        None,
        description="Where the LSTM's forget gate starts: a bias, or chrono (Tallec and Ollivier, 2018) for memories "
        "of 1 step to one less than a sequence (the look-back) has; torch.nn's own start when absent.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of units dropped between stacked layers.")
    residual: Literal["none", "last", "linear"] = Field(
        "none",
        description="Forecast the value itself, its difference to the last value seen, or what a linear map of the "
        "target's look-back (its last 1,024 steps at most) leaves over: a ridge regression fitted before the first "
        "epoch, then trained along.",
    )
    normalization: Literal["none", "window"] = Field(
        "none",
        description="Normalise the target in each window by that window's own mean and deviation, or not.",
    )


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
    warmup_steps: int = Field(
        0,
        ge=0,
        le=100_000,
        description="First steps of each sequence that only build the initial state: no loss and no gradient there.",
    )
    input_noise: float = Field(
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
        "float32", description="bfloat16 runs the network under autocast; weights stay float32."
    )


class ProbeConfig(Section):
    """When the network of a trial's best epoch is measured as `sweep probe` does."""

    every_trial: bool = Field(False, description="At the end of each trial, by its worker; costs seconds a trial.")


class TrialConfig(Section):
    """One point of the space, resolved: all that `lstm.training.train` needs but the data itself."""

    task: Task = Field("forecast", description="What the network learns to do.")
    data: AnyData
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    metric: str = Field("val/loss", description="The metric that says which epoch is the best.")
    direction: Literal["minimize", "maximize"] = Field("minimize", description="Which way the metric is better.")
    # No spec has it. What an earlier version wrote lacks it, and has the loss that was taken then.
    loss_on: LossOn = Field("all", description="Targets that count in training: all, or those that were measured.")

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As the version wrote it that began the sweep: its trials are the same whoever goes on with them."""
        tree: dict[str, Any] = write(self)
        if self.loss_on == "all":
            tree.pop("loss_on", None)
        return tree

    @model_validator(mode="after")
    def _belong_together(self) -> "TrialConfig":
        self.data_as(DATA[self.task])
        return self

    def data_as(self, kind: type[D]) -> D:
        """The section `data`, as that of the task which it is.

        Raises:
            ValueError: it is another task's.
        """
        if not isinstance(self.data, kind):
            raise ValueError(f"data: is {type(self.data).__name__}, the task {self.task} needs {kind.__name__}")
        return self.data

    def with_path(self, path: Any) -> "TrialConfig":
        """The same with the data's path in other words, where the data lie in a file."""
        if "path" not in type(self.data).model_fields:
            return self
        return self.model_copy(update={"data": self.data.model_copy(update={"path": path})})


def faults(data: Data | None, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
    """Rules across fields, on whichever sections are valid in themselves (None stands for the others)."""
    if data:
        yield from data.faults()
    if model:
        yield from _model_faults(model, data)
    if training:
        yield from _training_faults(training)
        if data and data.steps is not None and training.warmup_steps >= data.steps:
            message = f"is {training.warmup_steps}, but a sequence has {data.steps} steps; leave some to learn from"
            yield Fault("training.warmup_steps", message)
        if data and data.steps is None and training.warmup_steps:
            message = "can't be used where sequences differ in length: a short one may have no steps after them; "
            yield Fault("training.warmup_steps", message + "leave it out")
        if data and training.input_noise and not data.has_numbers:
            message = "would do nothing: the inputs are symbols, which have no noise between them; leave it out"
            yield Fault("training.input_noise", message)
        if model and model.bidirectional and training.warmup_steps:
            message = "can't be used with model.bidirectional, which has no first steps; leave one of them out"
            yield Fault("training.warmup_steps", message)


def _model_faults(model: ModelConfig, data: Data | None) -> Iterator[Fault]:
    if model.dropout > 0 and model.num_layers == 1:
        yield Fault(
            "model.dropout",
            "would do nothing: dropout acts between layers and num_layers is 1; set model.num_layers: 2 or more, "
            "or dropout: 0",
        )
    if model.variant is not None and model.cell != "lstm":
        yield Fault(
            "model.variant", f"is one of the LSTM's, cell is {model.cell}; set model.cell: lstm, or leave it out"
        )
    if model.bidirectional and data and not data.answers_once:
        message = "would see what it shall answer: this task asks for an answer at every step; leave it out"
        yield Fault("model.bidirectional", message)
    if data and not data.has_series:
        for name in ("residual", "normalization"):
            if getattr(model, name) != "none":
                yield Fault(f"model.{name}", "would do nothing: only the task forecast has it; leave it out")
    if model.forget_bias is None:
        return
    if model.cell != "lstm" or model.variant == "no_forget_gate":
        lacks = "variant: no_forget_gate" if model.cell == "lstm" else f"cell: {model.cell}"
        yield Fault("model.forget_bias", f"would do nothing: {lacks} has no forget gate; leave it out")
    elif model.forget_bias == "chrono" and data and data.steps is not None and data.steps < 3:
        yield Fault(
            "model.forget_bias",
            f"is chrono, which draws from memories of 1 step to one less than a sequence has; it has {data.steps}, "
            "so make it 3 or more, or give a number",
        )


def _training_faults(training: TrainingConfig) -> Iterator[Fault]:
    if training.momentum > 0 and training.optimizer != "sgd":
        yield Fault(
            "training.momentum",
            f"would do nothing: {training.optimizer} has no momentum; set training.optimizer: sgd, or leave it out",
        )
    uses = {"schedule_gamma": ("exponential", "plateau"), "schedule_patience": ("plateau",)}
    for name, schedules in uses.items():
        if getattr(training, name) is not None and training.schedule not in schedules:
            yield Fault(
                f"training.{name}",
                f"would do nothing with schedule: {training.schedule}; it belongs to {' and '.join(schedules)}",
            )
    # The first epoch is better than none; plateau then lets so many pass and one more, and lowers the rate of the next.
    for name, others in (("patience", 0), ("schedule_patience", 2)):
        value = getattr(training, name)
        if value is not None and value + others >= training.max_epochs:
            besides = f" and {others + 1} more" * bool(others)
            kind = Idle if value < training.max_epochs else Fault  # the two epochs more were not asked for always
            yield kind(
                f"training.{name}",
                f"would do nothing: {value} epochs without a better value{besides} can't pass in "
                f"max_epochs: {training.max_epochs}; make it smaller",
            )

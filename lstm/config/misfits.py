"""What of `model` and `training` can't be, or would do nothing, with a task's data: each says which hold."""

from collections.abc import Iterator

from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault


def answers_every_step(model: ModelConfig | None) -> Iterator[Fault]:
    """A network that answers before it has read the whole sequence may not read it backwards."""
    if model and model.bidirectional:
        message = "would see what it shall answer: this task asks for an answer at every step; leave it out"
        yield Fault("model.bidirectional", message)


def no_target_among_inputs(model: ModelConfig | None) -> Iterator[Fault]:
    """Where the target is no series among the inputs, there is nothing to forecast relative to."""
    for name in ("residual", "normalization"):
        if model and getattr(model, name) != "none":
            yield Fault(f"model.{name}", "would do nothing: only the task forecast has it; leave it out")


def symbols(training: TrainingConfig | None) -> Iterator[Fault]:
    """Symbols are no numbers, to which noise can be added."""
    if training and training.input_noise:
        message = "would do nothing: the inputs are symbols, which have no noise between them; leave it out"
        yield Fault("training.input_noise", message)


def of_one_length(steps: int, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
    """Sequences of so many steps must be longer than what is taken of their start."""
    if model and model.has_forget_gate and model.forget_bias == "chrono" and steps < 3:
        yield Fault(
            "model.forget_bias",
            f"is chrono, which draws from memories of 1 step to one less than a sequence has; it has {steps}, "
            "so make it 3 or more, or give a number",
        )
    if training and training.warmup_steps >= steps:
        message = f"is {training.warmup_steps}, but a sequence has {steps} steps; leave some to learn from"
        yield Fault("training.warmup_steps", message)


def lengths_differ(training: TrainingConfig | None) -> Iterator[Fault]:
    """A short sequence may have no steps after the warm-up's."""
    if training and training.warmup_steps:
        message = "can't be used where sequences differ in length: a short one may have no steps after them; "
        yield Fault("training.warmup_steps", message + "leave it out")

"""What of `model` and `training` can't be, or would do nothing, with a task's data: each says which hold."""

from collections.abc import Iterator

from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault


def answers_every_step(model: ModelConfig | None) -> Iterator[Fault]:
    """A network that answers before it has read the whole sequence may not read it backwards."""
    if model and model.bidirectional:
        yield fault("bidirectional-sees-the-future", "model.bidirectional")


def no_target_among_inputs(model: ModelConfig | None) -> Iterator[Fault]:
    """Where the target is no series among the inputs, there is nothing to forecast relative to."""
    for name in ("residual", "normalization"):
        if model and getattr(model, name) != "none":
            yield fault("field-of-forecast", f"model.{name}")


def symbols(training: TrainingConfig | None) -> Iterator[Fault]:
    """Symbols are no numbers, to which noise can be added."""
    if training and training.input_noise:
        yield fault("noise-on-symbols", "training.input_noise")


def of_one_length(steps: int, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
    """Sequences of so many steps must be longer than what is taken of their start."""
    if model and model.has_forget_gate and model.forget_bias == "chrono" and steps < 3:
        yield fault("chrono-of-short-sequences", "model.forget_bias", steps=steps)
    if training and training.warmup_steps >= steps:
        yield fault("warmup-of-all-steps", "training.warmup_steps", warmup=training.warmup_steps, steps=steps)


def lengths_differ(training: TrainingConfig | None) -> Iterator[Fault]:
    """A short sequence may have no steps after the warm-up's."""
    if training and training.warmup_steps:
        yield fault("warmup-of-unequal-lengths", "training.warmup_steps")

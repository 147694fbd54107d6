"""Rules between a task's data and `model` or `training`: fields that are invalid or do nothing with such data.

Each section `data` calls the rules that apply to it.
"""

from collections.abc import Iterator

from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

FRAME_FIELDS = ("channels", "kernel_size", "peepholes", "patch", "output")


def answers_every_step(model: ModelConfig | None) -> Iterator[Fault]:
    """Yield a fault if a network that answers at every step is bidirectional: it would see the future."""
    if model and model.bidirectional:
        yield fault("bidirectional-sees-the-future", "model.bidirectional")


def no_target_among_inputs(model: ModelConfig | None) -> Iterator[Fault]:
    """Yield a fault for each field that needs the target among the inputs, as only `forecast` has it."""
    for name in ("residual", "normalization"):
        if model and getattr(model, name) != "none":
            yield fault("field-of-forecast", f"model.{name}")


def of_frames(model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
    """Yield a fault for each field that only a task with frames uses."""
    if model and model.is_convolutional:
        yield fault("cell-of-frames", "model.cell")
    for section, name in (*((model, name) for name in FRAME_FIELDS), (training, "loss")):
        if section and getattr(section, name) is not None:
            at = f"{'training' if section is training else 'model'}.{name}"
            yield fault("field-of-video", at)


def symbols(training: TrainingConfig | None) -> Iterator[Fault]:
    """Yield a fault if noise is to be added to symbols, which are not numbers."""
    if training and training.input_noise:
        yield fault("noise-on-symbols", "training.input_noise")


def of_one_length(steps: int, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
    """Yield the faults of a warm-up and of a chrono bias that need longer sequences than `steps`."""
    if model and model.has_forget_gate and model.forget_bias == "chrono" and steps < 3:
        yield fault("chrono-of-short-sequences", "model.forget_bias", steps=steps)
    if training and training.warmup_steps >= steps:
        yield fault("warmup-of-all-steps", "training.warmup_steps", warmup=training.warmup_steps, steps=steps)


def lengths_differ(training: TrainingConfig | None) -> Iterator[Fault]:
    """Yield a fault if there is a warm-up and sequences differ in length: a short one may end within it."""
    if training and training.warmup_steps:
        yield fault("warmup-of-unequal-lengths", "training.warmup_steps")

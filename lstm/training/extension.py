"""The continuation of a training beyond its last epoch: what it changes, and the checkpoint that it starts from."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lstm.checkpoint import Checkpoint
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig
from lstm.records.epoch import Why
from lstm.records.goodput import NOTHING
from lstm.records.objective import Scalar

# The rules that stop a training before its last epoch, by the reason that they give.
RULES: Mapping[Why, str] = {"patience": "patience", "target_loss": "target_loss"}


def changes(training: TrainingConfig, stop: str, epochs: int, learning_rate: float | None) -> dict[str, Scalar]:
    """Return the fields of the configuration that an extension has otherwise than its parent, by dotted path.

    A rule that has stopped the parent would stop the extension at its first epoch, so it is left out. With a learning
    rate, the schedule ends: the rate is constant.

    Args:
        training: How the parent was trained.
        stop: Why the parent's last epoch was the last.
        epochs: The last epoch of the extension.
        learning_rate: The rate from here on; None keeps the optimizer's, and the schedule.
    """
    made: dict[str, Scalar] = {"training.max_epochs": epochs}
    made |= {f"training.{rule}": None for why, rule in RULES.items() if why == stop}
    if learning_rate is None:
        return made
    made |= {"training.learning_rate": float(learning_rate), "training.schedule": "constant"}
    fields = ("schedule_gamma", "schedule_patience")
    return made | {f"training.{name}": None for name in fields if getattr(training, name) is not None}


def continued(found: Checkpoint, config: TrialConfig, number: int, derived: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint that an extension starts from: its parent's, as a trial of its own that has not stopped.

    The schedule's state keeps the length that it had, so a cosine or a line that the parent had not finished goes on.

    Args:
        found: The parent's checkpoint, with its weights.
        config: The extension's configuration.
        number: The extension's number.
        derived: The extension's origin, as `Derived.row` writes it.
    """
    *before, last = found.state.history
    state = replace(found.state, history=(*before, replace(last, stop=None)))
    if "training.learning_rate" in derived["changes"]:
        groups = [{**group, "lr": config.training.learning_rate} for group in state.optimizer["param_groups"]]
        state = replace(state, optimizer={**state.optimizer, "param_groups": groups}, schedule={})
    return replace(found, config=config, state=state, spent=NOTHING, number=number, derived=derived)

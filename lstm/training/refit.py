"""A refit: the training of a chosen setting on all data, for a fixed number of epochs. Nothing judges it.

Its epochs belong to no window, as those of the training before the test part. It is as exactly resumed as any training.

A warm one begins with the weights that a trial's checkpoint predicts with, and with a new optimizer, at the constant
learning rate that those weights were trained with last. With the steps that the checkpoint's network has had, it has as
many as a fresh one: `warm_epochs`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm.checkpoint import Checkpoint
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch, State
from lstm.records.objective import Scalar
from lstm.training.loop import METHODS
from lstm.usage import Usage

SEEDS = 3  # the purpose of this draw, beside those of the trainer


def train(
    config: TrialConfig,
    data: Dataset,
    epochs: int,
    state: State | None = None,
    *,
    start: Mapping[str, Any] | None = None,
    device: str = "cpu",
    heed: Callable[[], object] = lambda: None,
    usage: Usage | None = None,
) -> Iterator[Epoch]:
    """Train on all data, or go on with that, and yield each epoch with the state to save.

    Args:
        config: What to train. Its rules that stop a training early do not hold, and its schedule is as long as ever.
        data: The data as `Task.load_all` gives them: all of them are the training part.
        epochs: The number of epochs. The weights after the last one are the ones to use.
        state: The state after an epoch of the same training; None starts a new one.
        start: The weights that a new training begins with; None draws them.
        device: `cpu`, `cuda` or `cuda:N`.
        heed: Called before each step of the optimizer. What it raises ends the training.
        usage: Reads the use of the machine; None: nothing does.

    Yields:
        Each epoch; the last one has `max_epochs` or `diverged` in `stop`. Nothing if `state` is of that one.
    """
    run = METHODS[config.training.method](
        config, data, device, heed, window=config.windows.count + 1, final=epochs, usage=usage
    )
    if state is not None:
        run.restore(state)
    elif start is not None:
        run.network.load_state_dict(dict(start))
    else:
        run.begin()
    stop = state.history[-1].stop if state else None
    while stop is None:
        epoch = run.next_epoch()
        stop = epoch.stop
        yield epoch


@dataclass(frozen=True, slots=True)
class Start:
    """What a warm training begins with."""

    weights: Mapping[str, Any]  # state_dict
    rate: float  # the learning rate that they were trained with last
    window: int  # the window of a backtest that they have learnt for; 1 without a backtest

    @classmethod
    def of(cls, found: Checkpoint) -> "Start":
        """Return what a checkpoint, which must have its weights, is gone on from with."""
        windows, history, state = found.config.windows, found.state.history, found.state
        window = windows.of_weights(history[-1])
        if not windows.refit and window <= windows.count:  # the later windows judge what the first one has trained
            window = 1
        rates = [e.metrics["lr"] for e in history if e.place == (window, state.best_epoch) and "lr" in e.metrics]
        return cls(state.best_weights, rates[0] if rates else found.config.training.learning_rate, window)

    def changes(self, config: TrialConfig) -> dict[str, Scalar]:
        """Return the fields of a warm training's configuration that differ from those of `config`, by dotted path."""
        training = config.training
        made: dict[str, Scalar] = {
            "learning_rate": self.rate,
            "schedule": "constant",
            "schedule_gamma": None,
            "schedule_patience": None,
        }
        return {f"training.{name}": value for name, value in made.items() if getattr(training, name) != value}


def warm_epochs(epochs: int, seen: int, count: int) -> int:
    """Return the number of epochs of a warm training: a fresh one's, times the share of rows that are new to it.

    Args:
        epochs: The number of epochs of a fresh training.
        seen: How many rows the checkpoint's network has learnt from.
        count: How many rows there are to learn from.
    """
    return max(1, math.floor(epochs * (count - seen) / count + 0.5))


def seeds(first: int, count: int) -> list[int]:
    """Return different seeds for one refit: the setting's own, then drawn ones, the same each time."""
    found, place = [first], 0
    while len(found) < count:
        place += 1
        drawn = int(np.random.SeedSequence([first, SEEDS, place]).generate_state(1)[0] >> 1)
        found += [drawn] if drawn not in found else []
    return found

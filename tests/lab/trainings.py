"""Trainings over windows, run in this process, and what tests compare of them."""

from collections.abc import Sequence
from typing import Any

import torch

from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch
from lstm.training.loop import train


def run(config: TrialConfig, data: Dataset, state: Any = None, *, to_test: bool = False) -> list[Epoch]:
    """All epochs of a training, from its start or from a state; with `to_test` also those before the test part."""
    torch.manual_seed(0)  # nothing that is drawn may depend on it
    return list(train(config, data, state, to_test=to_test))


def told(epochs: Sequence[Epoch]) -> list[Any]:
    """All that epochs say, without their times."""
    return [(e.place, e.stop, {k: v for k, v in e.metrics.items() if k != "epoch_s"}, repr(e.value)) for e in epochs]


def windows(epochs: Sequence[Epoch]) -> list[list[Epoch]]:
    """The epochs of each window, in order."""
    return [[e for e in epochs if e.window == window] for window in sorted({e.window for e in epochs})]


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two networks have the same weights to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)

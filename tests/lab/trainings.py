"""Trainings over windows, run in this process, and what tests compare of them."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch

from lstm.checkpoint import Checkpoint
from lstm.config.section import Location
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Before, Dataset, reading_of
from lstm.records.epoch import Epoch
from lstm.tasks import registry as tasks
from lstm.training import refit
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


def is_alone(found: Checkpoint, place: Location) -> bool:
    """Whether a trial of any kind, a refit too, has the values and the weights of the same trained alone.

    A trial that was pruned is compared with as many epochs.
    """
    config, told = found.config, len(found.state.history)
    data, fitted = tasks.load(config, place), (found.derived or {}).get("fitted")
    if fitted is None:
        is_final = any(config.windows.is_final(epoch) for epoch in found.state.history)
        was_pruned = found.state.history[-1].stop is None
        alone = list(itertools.islice(train(config, data, to_test=is_final), told if was_pruned else None))
    else:
        whole = tasks.load_all(config, place, config.data.reach, Before(data.fingerprint, reading_of(data)))
        alone = list(refit.train(config, whole.data, fitted["epochs"]))
    assert alone[-1].state is not None
    same = [repr(epoch.value) for epoch in alone] == [repr(epoch.value) for epoch in found.state.history]
    return same and same_weights(dict(alone[-1].state.model), dict(found.state.model))

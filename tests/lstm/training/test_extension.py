"""A training that is extended equals, to the bit, one training to its last epoch with the same schedule."""

from dataclasses import replace

import pytest
import torch

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.config.training import TrainingConfig
from lstm.training import extension, loop

LAST = 6


@pytest.fixture(scope="module")
def series(series_of, data_config, walk):
    return series_of(data_config(), walk(120))


def trained(config, series, state=None, epochs=LAST):
    """The state after an epoch."""
    for epoch in loop.train(config, series, state):
        if epoch.number == epochs:
            return epoch.state
    raise AssertionError(f"it ended before epoch {epochs}")


def extended(config, series, stopped, epochs=LAST, learning_rate=None):
    """The state after the last epoch of an extension of a training that stopped after an epoch."""
    state = trained(config, series, epochs=stopped)
    made = extension.changes(config.training, state.history[-1].stop or "", epochs, learning_rate)
    fields = {path.removeprefix("training."): value for path, value in made.items()}
    longer = config.model_copy(update={"training": config.training.model_copy(update=fields)})
    parent = Checkpoint(config, {"fingerprint": "f"}, state, number=3)
    child = extension.continued(
        parent, longer, 9, {"parent": 3, "purpose": "extend", "changes": made, "after": stopped}
    )
    kept = loads(dumps(child))
    assert (kept.number, kept.derived, kept.config) == (9, child.derived, longer)
    assert state.history[-1].stop == (parent.state.history[-1].stop), "the parent's own state stays"
    return trained(longer, series, kept.state, epochs)


def values(state):
    return [(epoch.number, epoch.value, epoch.metrics["lr"]) for epoch in state.history]


def is_same(one, other):
    weights = [(one.model[name], other.model[name]) for name in other.model]
    weights += [(one.best_weights[name], other.best_weights[name]) for name in other.best_weights]
    for mine, theirs in zip(one.optimizer["state"].values(), other.optimizer["state"].values(), strict=True):
        weights += [(mine[name], theirs[name]) for name in theirs]
    return values(one) == values(other) and all(torch.equal(a, b) for a, b in weights)


@pytest.mark.parametrize(
    "training",
    [
        {"schedule": "constant"},
        {"schedule": "exponential", "schedule_gamma": 0.5},
        {"schedule": "plateau", "schedule_patience": 0},
        {"optimizer": "sgd", "momentum": 0.9},
        {"steps_per_epoch": 2, "input_noise": 0.1},
    ],
    ids=str,
)
def test_stopped_at_its_last_epoch_and_extended(trial_config, series, training):
    short, whole = (trial_config(training={"max_epochs": n, **training}) for n in (3, LAST))
    assert is_same(extended(short, series, 3), trained(whole, series))


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_pruned_in_the_middle_of_a_schedule_that_ends_and_extended(trial_config, series, schedule):
    config = trial_config(training={"max_epochs": 8, "schedule": schedule})
    assert is_same(extended(config, series, 2), trained(config, series))


def test_a_learning_rate_ends_the_schedule(trial_config, series):
    config = trial_config(training={"max_epochs": 3, "schedule": "cosine"})
    rates = [rate for _, _, rate in values(extended(config, series, 3, learning_rate=1e-4))]
    assert rates[3:] == [1e-4] * 3
    assert rates[:3] == [rate for _, _, rate in values(trained(config, series, epochs=3))]


def test_what_an_extension_changes():
    training = TrainingConfig(max_epochs=9, patience=2, target_loss=0.1, schedule="plateau", schedule_gamma=0.5)
    longer = {"training.max_epochs": 20}
    assert extension.changes(training, "", 20, None) == longer
    assert extension.changes(training, "patience", 20, None) == longer | {"training.patience": None}
    assert extension.changes(training, "target_loss", 20, None) == longer | {"training.target_loss": None}
    constant = {"training.learning_rate": 1.0, "training.schedule": "constant", "training.schedule_gamma": None}
    assert extension.changes(training, "", 20, 1) == longer | constant


def test_patience_that_has_not_spoken_counts_from_the_parents_best_epoch(trial_config, series):
    config = trial_config(training={"max_epochs": 3, "learning_rate": 1e-9, "patience": 4})
    state = trained(config, series, epochs=3)
    assert replace(state.history[-1], stop="max_epochs") == state.history[-1]
    with pytest.raises(AssertionError, match="ended before"):
        extended(config, series, 3, epochs=20)

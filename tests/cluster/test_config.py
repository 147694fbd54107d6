import typing

import pytest
from pydantic import ValidationError

from cluster import config
from cluster.config import ResourcesConfig, SearchConfig, StorageConfig

SPACE = {"model.hidden_size": {"type": "int", "low": 2, "high": 8}}


def kinds(union):
    return [kind.model_fields["type"].annotation.__args__[0] for kind in typing.get_args(typing.get_args(union)[0])]


def test_what_is_offered():
    assert kinds(config.AnySampler) == ["tpe", "gp", "random", "grid"]
    assert kinds(config.AnyPruner) == ["median", "successive_halving", "hyperband", "patient", "none"]


def test_defaults():
    search = SearchConfig(n_trials=4, space=SPACE)
    assert (search.metric, search.direction, search.sampler.type, search.pruner.type) == (
        "val/loss",
        "minimize",
        "tpe",
        "none",
    )
    assert ResourcesConfig().gpus_per_trial == "auto"
    assert StorageConfig().keep == "all"


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_trials": 0},
        {"n_trials": 4.0},
        {"n_trials": True},
        {"space": {}},
        {"space": {"model.hidden_size": {"type": "integer", "low": 2, "high": 8}}},
        {"space": {"model.hidden_size": {"type": "int", "low": 2.5, "high": 8}}},
        {"space": {"training.learning_rate": {"type": "float", "low": float("nan"), "high": 1.0}}},
        {"space": {"training.learning_rate": {"type": "float", "low": 0.1, "high": float("inf")}}},
        {"space": {"model.cell": {"type": "categorical", "choices": ["lstm"]}}},
        {"space": {"model.dropout": {"type": "categorical", "choices": [0.1, float("nan")]}}},
        {"space": {"model.hidden_size": SPACE["model.hidden_size"] | {"when": {}}}},
        {"sampler": {"type": "cmaes"}},
        {"sampler": {"type": "random", "seed": -1}},
        {"pruner": {"type": "median", "warmup": 3}},
        {"first": [{}]},
        {"stop": {"max_hours": 0.0}},
        {"direction": "down"},
    ],
)
def test_refused(wrong):
    with pytest.raises(ValidationError):
        SearchConfig.model_validate({"n_trials": 4, "space": SPACE} | wrong)


def test_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        SearchConfig(n_trials=4, space=SPACE).n_trials = 5

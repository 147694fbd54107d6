import json

import pytest

from cluster.config import SearchConfig
from cluster.space import combinations

INT = {"type": "int", "low": 1, "high": 3}
OPTIMIZER = {"type": "categorical", "choices": ["adam", "sgd", "rmsprop"]}
MOMENTUM = {"type": "float", "low": 0.1, "high": 0.5, "step": 0.1, "when": {"training.optimizer": "sgd"}}
RATE = {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}


@pytest.fixture
def space():
    """A space of a spec's section."""
    return lambda **space: (
        SearchConfig.model_validate(
            {"n_trials": 1, "space": {name.replace("__", "."): dimension for name, dimension in space.items()}}
        ).space
    )


@pytest.mark.parametrize(
    ("dimensions", "count"),
    [
        ({"model__hidden_size": INT}, 3),
        ({"model__hidden_size": INT | {"high": 4, "log": True}}, 4),
        ({"model__hidden_size": INT | {"high": 9, "step": 4}}, 3),
        ({"model__hidden_size": INT, "training__optimizer": OPTIMIZER}, 9),
        ({"training__optimizer": OPTIMIZER, "training__momentum": MOMENTUM}, 2 + 5),
        ({"training__momentum": MOMENTUM, "training__optimizer": OPTIMIZER, "model__hidden_size": INT}, 21),
        (
            {  # a condition upon a condition, of two values, upon a whole number
                "training__optimizer": OPTIMIZER,
                "training__momentum": MOMENTUM | {"when": {"training.optimizer": ["sgd", "rmsprop"]}},
                "model__num_layers": INT,
                "model__dropout": {
                    "type": "categorical",
                    "choices": [0.0, 0.5],
                    "when": {"model.num_layers": [2, 3], "training.momentum": [0.2, 0.3]},
                },
            },
            3 + 2 * (5 + 2 * (3 + 2 * 2)),
        ),
        ({"model__forget_bias": {"type": "categorical", "choices": [None, 1.0, "chrono"]}}, 3),
        (
            {
                "model__forget_bias": {"type": "categorical", "choices": [None, 1.0, "chrono"]},
                "model__hidden_size": INT | {"when": {"model.forget_bias": None}},
            },
            5,
        ),
    ],
)
def test_each_combination_is_counted_once(space, dimensions, count):
    searched = space(**dimensions)
    every = [json.dumps(settings, sort_keys=True) for settings in combinations.every(searched)]
    assert combinations.count(searched) == len(every) == len(set(every)) == count


def test_what_has_no_steps_has_no_number(space):
    assert combinations.count(space(model__hidden_size=INT, training__learning_rate=RATE)) is None
    only_sgd = RATE | {"when": {"training.optimizer": "sgd"}}
    assert combinations.count(space(training__optimizer=OPTIMIZER, training__learning_rate=only_sgd)) is None


def test_a_space_of_any_size_is_counted_and_not_gone_through(space):
    seed = {"type": "int", "low": 0, "high": 2**31 - 1}
    searched = space(
        training__seed=seed,
        training__learning_rate={"type": "float", "low": 0.0, "high": 1.0, "step": 1e-9},
        model__hidden_size=INT | {"when": {"training.seed": [7, 8]}},
    )
    assert combinations.count(searched) == (10**9 + 1) * (2 * 3 + 2**31 - 2)


def test_two_settings_that_resolve_to_the_same_are_one(space, trial_config):
    base = trial_config(training={"learning_rate": 0.01, "optimizer": "adam"})
    steps = {"type": "float", "low": 0.1, "high": 0.5, "step": 0.1}
    searched = space(training__learning_rate=RATE, training__momentum=steps, model__hidden_size=INT)
    key = combinations.Keys(base, searched)
    same = {"training.learning_rate": 1, "training.momentum": 0.3, "model.hidden_size": 2}
    assert key(same) == key(same | {"training.learning_rate": 1.0, "training.momentum": 0.1 + 2 * 0.1})
    assert key(same) != key(same | {"training.momentum": 0.4})
    assert key(same) != key(same | {"training.learning_rate": 1.0000000001})
    left_out = {"training.momentum": 0.3, "model.hidden_size": 2}
    assert key(left_out) == key(left_out | {"training.learning_rate": 0.01}), "the base's value holds"

"""What is tried first of earlier sweeps: an order by rank, and only what lies in the space."""

import pytest

from cluster.config import SearchConfig
from cluster.space import earlier
from lstm.config.forecast import ForecastData
from lstm.config.model import ModelConfig
from lstm.config.trial import TrialConfig
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

DATA = ForecastData(target="y", lookback=8, horizon=3, split={"validation": 0.2, "test": 0.2})
BASE = TrialConfig(data=DATA, model=ModelConfig(hidden_size=32))
SIZE = {"type": "int", "low": 2, "high": 64}


def search(top=3, **space):
    space = {path.replace("__", "."): dimension for path, dimension in space.items()} or {"model.hidden_size": SIZE}
    return SearchConfig.model_validate({"n_trials": 8, "space": space, "first": {"from": ["a", "b"], "top": top}})


def sweep(name, *values, direction="minimize", base=None, **fields):
    """A sweep of completed trials: (hidden size, value), or (settings, value)."""
    trials = [Trial(0, "COMPLETE", base, {}, BASE.model_dump(), (), derived=Derived(None, "base"), is_base=True)]
    for size, value in values:
        settings = size if isinstance(size, dict) else {"model.hidden_size": size}
        config = BASE.model_dump()
        for path, each in settings.items():
            section, field = path.split(".")
            config[section][field] = each
        trials.append(Trial(len(trials), "COMPLETE", value, settings, config, (), **fields))
    return Sweep(name, "val/loss", direction, 9, tuple(trials[0 if base is not None else 1 :]))


def chosen(searched, *sweeps):
    return earlier.choose(searched.first, searched, BASE, sweeps)


def sizes(found):
    return [(each.sweep, each.trial, each.rank, each.settings.get("model.hidden_size")) for each in found.first]


def test_each_sweeps_best_comes_before_any_ones_second():
    one, two = sweep("a", (4, 0.3), (8, 0.1), (16, 0.2)), sweep("b", (5, 9.0), (6, 7.0))
    found = chosen(search(top=4), one, two)
    assert sizes(found) == [("a", 2, 1, 8), ("b", 2, 1, 6), ("a", 3, 2, 16), ("b", 1, 2, 5)]
    assert (found.left_out, found.left_out_count) == ((), 0)


def test_a_setting_of_both_has_the_mean_of_its_ranks():
    one, two = sweep("a", (4, 0.1), (8, 0.2), (16, 0.3)), sweep("b", (16, 1.0), (8, 2.0), (4, 5.0), (9, 3.0))
    assert sizes(chosen(search(top=2), one, two)) == [("a", 3, 2, 16), ("a", 2, 2, 8)][::-1]
    assert [each.rank for each in chosen(search(top=4), one, two).first] == [2, 2, 2.5, 3]


def test_a_larger_value_comes_first_where_larger_is_better():
    assert sizes(chosen(search(top=1), sweep("a", (4, 0.1), (8, 0.2), direction="maximize")))[0][3] == 8


def test_what_did_not_complete_or_diverged_has_no_rank():
    lost = sweep("a", (4, 0.1), diverged=True)
    assert chosen(search(), lost).first == ()


def test_a_sweeps_base_is_among_its_settings_and_this_sweeps_own_is_tried_anyway():
    ours = sweep("a", (4, 0.2), base=0.1)  # hidden size 32, as here
    assert sizes(chosen(search(), ours)) == [("a", 1, 2, 4)]


def test_what_is_not_in_the_space_is_passed_over_with_its_reason():
    searched = search(top=1, model__hidden_size={"type": "int", "low": 2, "high": 8})
    gru = {"model.hidden_size": 4, "model.cell": "gru"}
    found = chosen(searched, sweep("a", (16, 0.1), (gru, 0.2), (6, 0.3), (64, 0.4)))
    assert sizes(found) == [("a", 3, 3, 6)]
    assert [each.trial for each in found.left_out] == [1, 2]  # 64 would not have come before
    assert found.left_out[0].why == "model.hidden_size is 16, outside the space: allowed is 2 to 8"
    assert found.left_out[1].why == "model.cell was searched there and is gru, but here it is not searched and is lstm"


def test_a_field_that_is_new_here_gets_the_value_that_it_had_there():
    rate = {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}
    seed = {"type": "int", "low": 0, "high": 9}
    searched = search(model__hidden_size=SIZE, training__learning_rate=rate, training__seed=seed)
    found = chosen(searched, sweep("a", ({"model.hidden_size": 4, "training.seed": 5}, 0.1)))
    assert found.first[0].settings == {"model.hidden_size": 4, "training.learning_rate": 1e-3}  # the seed is drawn


def test_conditions_of_this_space_hold():
    momentum = {"type": "float", "low": 0.0, "high": 0.9, "when": {"training.optimizer": "sgd"}}
    optimizer = {"type": "categorical", "choices": ["adam", "sgd"]}
    searched = search(training__optimizer=optimizer, training__momentum=momentum)
    sgd = {"training.optimizer": "sgd", "training.momentum": 0.5}
    found = chosen(searched, sweep("a", ({"training.optimizer": "adam"}, 0.1), (sgd, 0.2)))
    assert [each.settings for each in found.first] == [sgd]  # adam without more is the base


@pytest.mark.parametrize("count", [1, 30])
def test_a_record_comes_back_as_it_was(count):
    far = [({"model.hidden_size": 100 + each}, each / 100) for each in range(count)]
    found = chosen(search(), sweep("a", *far, (4, 9.0)))
    assert found.left_out_count == count
    assert len(found.left_out) == min(count, earlier.MOST_LEFT_OUT)
    assert earlier.Chosen.of(found.row()) == found

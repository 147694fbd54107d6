"""Where one of these fails another Optuna names its facts otherwise: sweeps of both have to be read."""

import optuna
from optuna.distributions import IntDistribution

from cluster.study.private_patches import FIXED, GRID, GRID_PLACE


def test_optuna_keeps_what_a_queued_trial_is_to_have_under_this_name():
    study = optuna.create_study()
    study.enqueue_trial({"size": 3})
    assert study.get_trials()[0].system_attrs == {FIXED: {"size": 3}}
    assert study.ask({"size": IntDistribution(1, 64)}).params == {"size": 3}


def test_optuna_takes_what_it_finds_under_this_name():
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="s")
    trial_id = storage.create_new_trial(storage.get_study_id_from_name("s"))
    storage.set_trial_system_attr(trial_id, FIXED, {"size": 5})
    assert optuna.trial.Trial(study, trial_id).suggest_int("size", 1, 64) == 5


def test_optuna_keeps_a_grids_point_under_these_names():
    grid = {"b": [1, 2], "a": ["x", None]}
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(grid, seed=3))
    trials = [study.ask() for _ in range(4)]
    kept = [trial.system_attrs for trial in study.get_trials()]
    assert [each[GRID_PLACE] for each in kept] == [0, 1, 2, 3]
    assert all(each[GRID] == {"a": ["x", None], "b": [1, 2]} for each in kept)
    points = {
        (trial.suggest_categorical("a", grid["a"]), trial.suggest_categorical("b", grid["b"])) for trial in trials
    }
    assert len(points) == 4

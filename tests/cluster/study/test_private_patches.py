"""Where one of the first fails another Optuna names its facts otherwise: sweeps of both have to be read."""

import subprocess
import sys

import optuna
import pytest
from optuna.distributions import IntDistribution

from cluster.study.private_patches import FIXED, GRID, GRID_PLACE, IMPORTANCE
from lstm import patches


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


IMPORTS = """
import sys, optuna
from cluster.study.private_patches import importance
ours = importance()
print("sklearn" in sys.modules, "optuna.importance" in sys.modules)
try:
    ours.FanovaImportanceEvaluator()
except ImportError:
    print("refused")
import optuna.importance
print("sklearn" in sys.modules, optuna.importance is ours)
optuna.importance.FanovaImportanceEvaluator()
"""


def printed(folder, **environment):
    (folder / "sklearn").mkdir()
    (folder / "sklearn" / "__init__.py").touch()
    (folder / "sklearn" / "ensemble.py").write_text("class RandomForestRegressor:\n    def __init__(self, **_): ...")
    environment = {"PYTHONPATH": str(folder)} | environment
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.splitlines()


def test_importances_are_imported_without_scikit_learn_and_a_users_import_is_whole(tmp_path):
    """Fails where Optuna is made otherwise: try it with the new one, then add its version.

    It is to go where Optuna's own import does without scikit-learn: then the last line begins with False.
    """
    assert IMPORTANCE.fits(optuna.__version__), optuna.__version__
    assert printed(tmp_path) == ["False False", "refused", "True False"]


@pytest.mark.parametrize("off", ["optuna", "all"])
def test_the_switch_leaves_the_import_as_it_is(tmp_path, off):
    assert printed(tmp_path, **{patches.SWITCH: off}) == ["True True", "True True"]

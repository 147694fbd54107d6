import json
import sqlite3
from contextlib import closing

import optuna
import pytest

from experiments.terminal.summary import _against


def test_the_best_trial(copied, sweep):
    document = json.loads(sweep("best", "tiny", "--json").out)
    best = document["best"]
    study = optuna.load_study(study_name="tiny", storage=copied.url)
    assert (best["trial"], best["value"]) == (study.best_trial.number, study.best_value)
    assert best["parameters"] == study.best_params
    assert best["config"]["training"]["learning_rate"] == study.best_params["training.learning_rate"]
    assert {"test/mae_original", "baseline/mae_original"} <= best["metrics"].keys()
    lines = sweep("best", "tiny").out.splitlines()
    assert lines[0] == "tiny: 4 complete of 4"
    assert lines[1] == f"Best: trial {best['trial']}, val/loss {best['value']:.6g} at epoch {best['epoch']}"
    assert lines[3].strip() == best["checkpoint"]
    assert ["test", "part", "best", "trial", "base", "seasonal", "naive"] in [line.split() for line in lines]


def test_none_yet(copied, sweep):
    study = optuna.load_study(study_name="tiny", storage=copied.url)
    attributes = study.user_attrs
    optuna.delete_study(study_name="tiny", storage=copied.url)
    fresh = optuna.create_study(study_name="tiny", storage=copied.url)
    for key, value in attributes.items():
        fresh.set_user_attr(key, value)
    answer = sweep("best", "tiny")
    assert (answer.code, answer.out) == (1, "tiny: no trials of 4\nNo trial has completed yet.\n")
    assert json.loads(sweep("best", "tiny", "--json").out)["best"] is None
    with_none = sweep("predict", "tiny")
    assert (with_none.code, with_none.err.startswith("tiny: "), "`sweep run tiny`" in with_none.err) == (2, True, True)
    assert sweep("compare", "tiny").code == 0
    assert sweep("status", "tiny").out.startswith("tiny: 0 of 4 trials have ended\n")


@pytest.mark.parametrize(
    ("ours", "naive", "words"),
    [
        (0.5, 1.0, "50 % lower"),
        (0.0014, 1.0, "99.86 % lower"),
        (0.999, 1.0, "as good"),
        (1.5, 1.0, "50 % higher"),
        (2.5, 1.0, "2.5 times"),
        (52805.0, 1.0, "52,805 times"),
        (1.0, 0.0, ""),
        (float("nan"), 1.0, ""),
        (1.0, float("nan"), ""),
    ],
)
def test_against_the_naive_forecast(ours, naive, words):
    assert _against(ours, naive) == words


def test_more_may_have_ended_than_are_asked_for_now(copied, sweep):
    with closing(sqlite3.connect(copied.home / "study.db")) as database, database:
        database.execute("UPDATE study_user_attributes SET value_json = '1' WHERE key = 'n_trials'")
    assert sweep("best", "tiny").out.splitlines()[0] == "tiny: 4 complete of 4"
    assert json.loads(sweep("best", "tiny", "--json").out)["n_trials"] == 1

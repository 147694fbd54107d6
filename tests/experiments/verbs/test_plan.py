import json
import re

import pytest

from experiments.terminal.formats import dimension_text
from experiments.verbs.plan import show


def test_a_plan_says_what_run_would_do_and_writes_nothing(folder, sweep):
    before = sorted(folder.rglob("*"))
    answer = sweep("plan", "tiny.yaml", "--set", "search.stop={max_hours: 2}")
    assert (answer.code, answer.err) == (0, "")
    lines = {line.split()[0]: line for line in reversed(answer.out.splitlines())}
    assert "tiny (forecast): 4 trials of at most 2 epochs" in lines["sweep"]
    assert "minimize val/loss, sampler random, pruner none" in lines["goal"]
    assert "early, at max_hours 2" in lines["stop"]
    assert "model.hidden_size: whole numbers 2 to 8" in lines["space"]
    assert "training.learning_rate: 0.001 to 0.1, log" in answer.out
    assert "tiny.csv: 300 rows, a row every 1D, 2020-01-01 to 2020-10-26" in lines["data"]
    assert "train 160, validation 54, test 54" in lines["windows"]
    assert "61 to 415" in lines["parameters"]  # 40 and 352 of them recurrent, over 14 steps
    assert "581 to 4,991 if each step of the look-back had its own: the weights are shared over time" in answer.out
    assert "MB a trial, without the libraries" in lines["memory"]
    assert "at once on this machine" in lines["device"]
    assert "of training if no trial stops early (measured in " in lines["time"]
    assert f"study sqlite:///{folder}/runs/study.db" in lines["kept"]
    assert f"checkpoints {folder}/runs/tiny" in answer.out
    assert sorted(folder.rglob("*")) == before


def test_a_plan_says_that_two_things_are_searched_for(folder, sweep):
    second = {"metric": "probe/delay/half_life", "direction": "maximize"}
    sets = ("--set", "probe.every_trial=true", "--set", f"search.second_objective={json.dumps(second)}")
    answer = sweep("plan", "tiny.yaml", *sets)
    assert "minimize val/loss and maximize probe/delay/half_life, sampler random" in answer.out
    assert "each trial is probed at its end" in answer.out
    document = json.loads(sweep("plan", "tiny.yaml", *sets, "--json").out)
    assert (document["second_objective"], document["probe"]) == (second, True)


def test_a_plan_as_a_document(folder, sweep):
    document = json.loads(sweep("plan", "tiny.yaml", "--json").out)
    assert document["trials"] == 4
    assert document["kept"]["home"] == str(folder / "runs")
    assert {
        "space",
        "parameters",
        "parameters_unshared",
        "windows",
        "device",
        "memory_mb",
        "sweep_s",
        "hash",
    } <= document.keys()


def test_the_plan_of_a_name_is_that_of_its_last_run(copied, finished, sweep):
    document = json.loads(sweep("plan", "tiny", "--json").out)
    assert document["trials"] == 4
    assert document["data"]["rows"] == 300


def test_a_pruner_that_teaches_gp_nothing_is_told(folder, sweep):
    pruned = ["search.sampler={type: gp}", "search.pruner={type: median}", "search.n_trials=40"]
    answer = sweep("plan", "tiny.yaml", *(word for each in pruned for word in ("--set", each)))
    assert answer.code == 0
    assert "note: --set search.pruner={type: median}: search.pruner: the gp sampler learns from" in answer.out


@pytest.mark.parametrize(
    ("dimension", "text"),
    [
        ({"type": "int", "low": 2, "high": 2_000_000}, "whole numbers 2 to 2000000"),
        ({"type": "int", "low": 8, "high": 64, "step": 8}, "whole numbers 8 to 64, step 8"),
        ({"type": "float", "low": 1e-5, "high": 0.1, "log": True}, "1e-05 to 0.1, log"),
        ({"type": "categorical", "choices": ["none", None, True, 2]}, "one of none, null, true, 2"),
        (
            {"type": "float", "low": 0.5, "high": 0.9, "when": {"training.optimizer": ["sgd", "adam"], "a.b": True}},
            "0.5 to 0.9, when training.optimizer is sgd or adam and a.b is true",
        ),
    ],
)
def test_dimensions_in_words(dimension, text):
    assert dimension_text(dimension) == text


def test_one_trial_is_one(capsys):
    document = {
        **{
            "sweep": "a",
            "task": "forecast",
            "trials": 1,
            "max_epochs": 1,
            "direction": "minimize",
            "metric": "val/loss",
            "second_objective": None,
            "probe": False,
        },
        **{"sampler": None, "pruner": None, "space": {}, "first": [], "stop": {}, "warnings": [], "device": "cpu"},
        "data": {"text": "a.csv: 3 rows, steps of 1, 1700 to 2008", "notes": ["a note"]},
        **{
            "windows": {"train": 1},
            "parts": "train 1",
            "counted": "windows",
            "parameters": [61, 61],
            "parameters_unshared": [101, 101],
            "memory_mb": [0.2, 0.2],
            "slots": 1,
            "sweep_s": [0, 0],
        },
        **{"measured_in_s": 1.234, "kept": {"study": "a", "checkpoints": "b", "mlflow": "c"}},
    }
    show(document)
    out = capsys.readouterr().out
    assert re.search(r"1 trial of at most 1 epoch\b", out)
    assert "a.csv: 3 rows, steps of 1, 1700 to 2008" in out
    assert "under 0.1 s of training if no trial stops early (measured in 1.2 s)" in out


def test_a_batch_that_is_searched_has_room_in_the_text(folder, sweep):
    (folder / "letters.txt").write_text("abcd efgh\n" * 300)
    (folder / "letters.yaml").write_text(
        "name: letters\n"
        "task: language_model\n"
        "data: {path: letters.txt, lookback: 10, split: {validation: 0.1, test: 0.1}}\n"
        "training: {max_epochs: 1, batch_size: 4}\n"
        "search:\n"
        "  n_trials: 2\n"
        "  space: {training.batch_size: {type: categorical, choices: [4, 400]}}\n"
    )
    answer = sweep("run", "letters.yaml")
    assert answer.code == 2
    named = ("400 streams (training.batch_size)", "chunks of 10 symbols", "4,010")
    assert [part for part in named if part not in answer.err] == []
    assert not (folder / "runs").exists()
    fits = ("--set", "search.space={training.batch_size: {type: categorical, choices: [4, 200]}}")
    assert sweep("plan", "letters.yaml", *fits).code == 0


@pytest.mark.parametrize(("n_trials", "noted"), [(7, False), (8, True), (24, True)])
def test_a_plan_says_that_there_is_less_to_try_than_was_asked_for(folder, sweep, n_trials, noted):
    text = (folder / "tiny.yaml").read_text()
    (folder / "tiny.yaml").write_text("".join(x for x in text.splitlines(True) if "learning_rate: {" not in x))
    words = "plan", "tiny.yaml", "--set", f"search.n_trials={n_trials}"
    plan = json.loads(sweep(*words, "--json").out)
    assert (plan["trials"], plan["combinations"]) == (n_trials, 7)
    told = {"trials": n_trials, "combinations": 7}
    assert [(each["path"], each["values"]) for each in plan["warnings"]] == [("search.n_trials", told)] * noted
    assert ("search.n_trials" in sweep(*words).out) == noted


def test_a_plan_does_not_count_what_has_no_number(folder, sweep):
    plan = json.loads(sweep("plan", "tiny.yaml", "--set", "search.n_trials=9999", "--json").out)
    assert (plan["combinations"], plan["warnings"]) == (None, [])


LATE = """\
from torch import nn


class Late(nn.GRU):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size, batch_first=True)

    def forward(self, steps, state=None):
        assert len(steps) < 40, "too many"
        return super().forward(steps, state)
"""


@pytest.mark.parametrize(("verb", "code"), [("plan", 2), ("train", 1)])
def test_a_cell_that_raises_once_there_is_more_to_do_is_told_with_its_line(folder, sweep, verb, code):
    (folder / "late.py").write_text(LATE)
    answer = sweep(verb, "tiny.yaml", "--set", "model.cell=late.py:Late", "--set", "training.batch_size=64")
    assert answer.code == code
    assert [part for part in ("late.py:9: ", "AssertionError", "too many") if part not in answer.err] == []

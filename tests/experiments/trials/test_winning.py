"""The winner of confirm, as `best`, MLflow and Python say it, from hand-made figures."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from experiments import judgement
from experiments.home import Home
from experiments.operations import frames, predicting, summary
from experiments.terminal.formats import console
from experiments.terminal.summary import show
from experiments.trials import refitting, winning
from lstm.records.confirmation import Confirmation, Confirmed, setting_of
from lstm.records.errors import BadInput
from lstm.records.objective import RECORD, TaskRecord
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.tasks.registry import TASKS

CONFIGS = [{"training": {"seed": 1, "learning_rate": rate}} for rate in (0.1, 0.2, 0.3)]


def trial(number, value):
    settings = {"training.learning_rate": CONFIGS[number]["training"]["learning_rate"]}
    return Trial(number, "COMPLETE", value, settings, CONFIGS[number], ((1, value),), is_base=number == 0)


@pytest.fixture
def swept(monkeypatch):
    """A sweep whose trials 0, 1 and 2 were confirmed: 2 is the best of the search, and 1 wins."""
    rows = ([1.0, 1.2, 0.9, 1.1], [0.5, 0.61, 0.44, 0.56], [0.6, 0.6, 0.5, 0.55])
    settings = [
        Confirmed(setting_of(CONFIGS[n]), n, f"trial {n}" if n else "base", (), (tuple(row), tuple(row)))
        for n, row in enumerate(rows)
    ]
    rival = Confirmed("", None, "ridge on 9 changes", (), ((0.55, 0.6, 0.5, 0.52),))
    found = Confirmation("val/loss", "minimize", "fresh", 4, 3, (*settings, rival))
    now = SimpleNamespace(found=found)
    monkeypatch.setattr(Sweep, "confirmation", property(lambda _: now.found))
    task = TASKS["forecast"]
    record = TaskRecord(task.metrics, task.baseline, task.baseline_note, {})
    trials = tuple(trial(number, value) for number, value in enumerate((0.9, 0.5, 0.4)))
    now.sweep = Sweep("tiny", "val/loss", "minimize", 3, trials, facts={RECORD: record.row()})
    return now


def test_best_says_the_winner_before_the_best_trial_of_the_search(swept, capsys):
    document = summary.summary(swept.sweep)
    assert (document["winner"]["trial"], document["winner"]["answer"]) == (1, "better")
    assert document["best"]["trial"] == 2
    show(document, console())
    said = capsys.readouterr().out
    first = "Winner: trial 1 is 50 % [47, 52] better than the base (the spec's own settings, trial 0)"
    assert first in said
    assert said.index(first) < said.index("can't be told apart from the best rival, ridge on 9 changes")
    assert said.index("over these windows") < said.index("the winner is") < said.index("Best: trial 2")


def test_mlflow_gets_the_sentences_and_the_interval_also_without_a_verdict(swept, tmp_path):
    figures, said = judgement.in_mlflow(Home.at(str(tmp_path)), swept.sweep)
    assert said.split("\n\n")[0].startswith("trial 1 is 50 % [47, 52] better than the base")
    assert figures["confirm/winner"] == 1
    assert figures["confirm/windows"] == 4
    assert figures["confirm/better_than/base/low"] == pytest.approx(47, abs=0.5)
    assert figures["confirm/better_than/base"] == pytest.approx(50, abs=0.5)
    assert figures["confirm/base/val/loss"] == pytest.approx(1.05)
    assert {"confirm/trial-1/val/loss", "confirm/rival/val/loss", "confirm/better_than/rival/high"} <= figures.keys()


def test_python_has_the_winner_and_the_comparison(swept):
    found = winning.winner(swept.sweep)
    assert (found.trial, found.answer, found.parameters) == (1, "better", {"training.learning_rate": 0.2})
    assert found.value == pytest.approx(0.5275)
    assert found.alike == ("ridge on 9 changes", "trial 2")
    table = frames.of_company(winning.company(swept.sweep))
    assert list(table.index) == ["trial 1", "ridge on 9 changes", "trial 2", "base"]
    assert table.loc["base", ["role", "trial", "seeds", "unit", "answer"]].tolist() == ["base", 0, 2, "%", "better"]
    assert table.loc["base", "low"] == pytest.approx(47, abs=0.5)
    assert table["better"].isna().tolist() == [True, False, False, False]


def test_a_confirm_that_has_not_ended_concludes_nothing(swept, tmp_path):
    for found in (replace(swept.found, open=1), None):
        swept.found = found
        assert winning.winner(swept.sweep) is None
        assert summary.summary(swept.sweep)["winner"] is None
        assert judgement.in_mlflow(Home.at(str(tmp_path)), swept.sweep) == ({}, "")
        table = frames.of_company(winning.company(swept.sweep))
        assert (len(table), table["mean"].dtype) == (0, float)


def test_a_best_trial_that_came_later_is_named(swept):
    swept.found = replace(swept.found, settings=(*swept.found.settings[:2], swept.found.settings[3]))
    assert "trial 2, now the best of the search, was not confirmed" in winning.winner(swept.sweep).told


def test_what_was_confirmed_before_on_the_same_windows_counts_in_the_correction(swept):
    alone = winning.company(swept.sweep)
    assert alone.comparisons == 3
    configs = [{"training": {"seed": 9, "learning_rate": rate}, "judged_on": on}
               for rate, on in ((0.7, "fresh"), (0.8, "search"), (0.2, "fresh"))]  # fmt: skip
    more = tuple(
        Trial(number, "COMPLETE", 0.5, {}, config, ((1, 0.5),), derived=Derived(1, "confirm"))
        for number, config in enumerate(configs, 3)
    )
    swept.sweep = replace(swept.sweep, trials=(*swept.sweep.trials, *more))
    found = winning.company(swept.sweep)
    assert found.comparisons == 4  # 0.8 was judged on other windows, and 0.2 is compared already
    assert found.base.difference.low < alone.base.difference.low


def test_a_refit_is_of_the_winner_and_a_prediction_says_if_the_best_trial_is_another(swept):
    ended = replace(swept.sweep, facts={**swept.sweep.facts, "complete": True})
    assert refitting.parent_of(ended, None).number == 1
    newer = replace(trial(2, 0.3), number=3, config={"training": {"seed": 1, "learning_rate": 0.4}})
    with pytest.raises(BadInput) as error:
        refitting.parent_of(replace(ended, trials=(*ended.trials, newer)), None)
    (fault,) = error.value.faults
    assert (fault.code, fault.values["best"], fault.values["winner"]) == ("refit-before-confirm", 3, 1)
    assert refitting.parent_of(replace(ended, trials=(*ended.trials, newer)), 3).number == 3
    said = []
    with_checkpoints = replace(ended, trials=tuple(replace(each, checkpoint="a.pt") for each in ended.trials))
    assert [each.number for each in predicting.choose_all(with_checkpoints, None, None, said.append)] == [2]
    assert [(each.code, each.values["best"], each.values["number"]) for each in said] == [
        ("winner-does-not-predict", 2, 1)
    ]
    said.clear()
    predicting.choose_all(with_checkpoints, 2, None, said.append)
    assert said == [], "who asks for a trial knows which"

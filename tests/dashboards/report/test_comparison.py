import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from searches import searched

from dashboards.report.comparison import compare
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial


def sweep(name: str, trials: list[Trial], direction: Any = "minimize", metric: str = "val/loss") -> Sweep:
    return Sweep(name, metric, direction, len(trials), tuple(trials))


def test_a_sweep_in_a_line(make: SimpleNamespace) -> None:
    trials = [make.trial(n, v) for n, v in enumerate([0.4, 0.1, 0.3, 0.2, 0.5])]
    trials += [make.trial(5, 0.01, "PRUNED"), make.trial(6, None, "FAIL"), make.trial(7, 9.0, diverged=True)]
    (row,) = compare([sweep("co2", trials)]).sweeps
    assert row.states == {"COMPLETE": 6, "PRUNED": 1, "FAIL": 1}
    assert (row.best, row.best_trial, row.median, row.quartiles) == (0.1, 1, 0.3, (0.2, 0.4))
    assert (row.epochs, row.seconds, row.seconds_per_trial) == (35, 32.0, 4.0)


@pytest.mark.parametrize(("direction", "order"), [("minimize", [1, 2, 0, 3]), ("maximize", [0, 2, 1, 3])])
def test_trials_come_best_first_and_those_without_a_value_last(
    make: SimpleNamespace, direction: str, order: list[int]
) -> None:
    trials = [make.trial(0, 0.3), make.trial(1, 0.1), make.trial(2, 0.2), make.trial(3, math.nan)]
    assert [row.trial for row in compare([sweep("co2", trials, direction)]).trials] == order


def test_only_parameters_that_differ_are_columns(make: SimpleNamespace) -> None:
    config = {"model": {"cell": "lstm", "hidden_size": 1}, "data": {"target": ["a"]}}
    settings = [{"model.hidden_size": 8}, {"model.hidden_size": 16}, {"model.hidden_size": 8, "x": 1}]
    trials = [make.trial(n, 0.1 + n, settings=s, config=config) for n, s in enumerate(settings)]
    other = {"model": {"cell": "gru", "hidden_size": 8}, "data": {"target": ["a"]}}
    result = compare([sweep("one", trials), sweep("two", [make.trial(0, 1.0, settings={}, config=other)])])
    assert result.trial_parameters == ("model.cell", "model.hidden_size", "x")
    assert result.sweep_parameters == ("model.cell",)
    assert [dict(row.parameters) for row in result.sweeps] == [{"model.cell": "lstm"}, {"model.cell": "gru"}]


def test_sweeps_are_ranked_by_their_best(make: SimpleNamespace) -> None:
    sweeps = [sweep("a", [make.trial(0, 0.5)]), sweep("empty", []), sweep("b", [make.trial(0, 0.2)])]
    result = compare(sweeps)
    assert [row.sweep for row in result.sweeps] == ["b", "a", "empty"]
    assert result.problem == ""


def test_sweeps_that_search_for_different_things_are_not_ranked(make: SimpleNamespace) -> None:
    first = sweep("a", [make.trial(0, 0.5), make.trial(1, 0.4)])
    second = sweep("b", [make.trial(0, 0.1)], metric="val/mae")
    result = compare([first, second])
    assert "a: minimize val/loss; b: minimize val/mae" in result.problem
    assert [(row.sweep, row.trial) for row in result.trials] == [("a", 1), ("a", 0), ("b", 0)]


def test_only_completed_trials_of_the_search_have_a_rank() -> None:
    one = searched("a", 40)
    rows = {row.trial: row for row in compare([one], every=True).trials}
    assert [row.rank for row in rows.values() if row.rank is not None] == list(range(1, len(one.leaders(99)) + 1))
    assert [t.number for t in one.leaders(99)] == [row.trial for row in rows.values() if row.rank is not None]
    best = one.leaders(1)[0].number
    kinds = {row.kind: row for row in rows.values() if row.kind != "search"}
    assert {kind: row.parent for kind, row in kinds.items() if kind != "confirm"} == {
        "base": None,
        "extend": best,
        "refit": best,
    }
    assert {row.rank for row in kinds.values()} == {None}
    seen = {row.kind for row in compare([one]).trials}
    assert seen == {"search", "base", "extend"}, "confirm and refits are on the page alone"
    other = replace(one, name="b", metric="val/mae")
    ranks = [row.rank for row in compare([one, other]).trials if row.rank is not None]
    assert ranks == 2 * ranks[: len(ranks) // 2], "each has its own"


def judged_by(name: str, backtest: dict[str, Any] | None, **settings: Any) -> Sweep:
    data = {"lookback": 3} | ({"backtest": backtest} if backtest else {})
    return replace(sweep(name, [], **settings), facts={"base": {"data": data}})


def test_sweeps_with_unlike_backtests_are_ranked_and_a_doubt_says_so(make: SimpleNamespace) -> None:
    plain, folds = judged_by("a", None), judged_by("b", {"folds": 4})
    assert compare([plain, judged_by("c", None)]).doubt == compare([folds]).doubt == compare([]).doubt == ""
    assert "(a: no backtest; b: data.backtest of folds 4)" in compare([plain, folds]).doubt
    assert compare([folds, judged_by("c", {"folds": 4})]).doubt == ""
    windows = {"windows": 4, "length": None, "refit": True}
    shorter = compare([judged_by("a", windows), judged_by("b", windows | {"length": 9})])
    assert "(a: data.backtest of windows 4, refit true; b: data.backtest of windows 4, length 9, refit" in shorter.doubt
    assert shorter.problem == ""
    other = compare([plain, judged_by("b", {"folds": 4}, metric="val/f1")])
    assert (bool(other.problem), other.doubt) == (True, "")


def judged_as(name: str, fingerprint: str = "f" * 64, task: str = "forecast", **data: Any) -> Sweep:
    section = {"path": "a.csv", "target": "load", "split": {"validation": 0.2, "test": 0.2, "train": None}, **data}
    facts = {"base": {"task": task, "data": section}, "data_fingerprint": fingerprint}
    return replace(sweep(name, []), facts=facts)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"target": "wind"}, "(a: data.target load; b: data.target wind)"),
        ({"horizon": 7}, "(a: no data.horizon; b: data.horizon 7)"),
        ({"scaling": "none"}, "b: data.scaling none"),
        ({"split": {"validation": 0.1, "test": 0.2}}, 'b: data.split {"validation": 0.1, "test": 0.2})'),
        ({"path": "b.csv", "fingerprint": "e" * 64}, "b: digest of the data eeeeeeeeeeee)"),
        ({"task": "classify"}, "(a: task forecast; b: task classify)"),
        ({"target": ["load"], "path": "copy.csv", "split": {"validation": 0.2, "test": 0.2}}, ""),
        ({"lookback": 9, "past_covariates": ["wind"], "calendar": ["day_of_year"]}, ""),
    ],
)
def test_sweeps_judged_on_other_data_are_ranked_and_a_doubt_says_so(other: dict[str, Any], said: str) -> None:
    found = compare([judged_as("a"), judged_as("b", **other)])
    assert found.problem == ""
    assert said in found.doubt if said else found.doubt == ""
    assert compare([judged_as("a"), sweep("unknown", [])]).doubt == "", "nothing is known of the other"


def test_nothing_to_compare() -> None:
    assert compare([]).sweeps == ()
    assert compare([sweep("a", [])]).trials == ()


def test_the_plain_form_is_json(make: SimpleNamespace) -> None:
    trials = [make.trial(0, 0.5, settings={"x": math.inf}), make.trial(1, math.nan, settings={"x": None})]
    document = json.loads(json.dumps(compare([sweep("a", trials)]).to_json(), allow_nan=False))
    assert document["sweeps"][0]["best_trial"] == 0
    assert [row["value"] for row in document["trials"]] == [0.5, None]
    assert document["trials"][0]["parameters"] == {"x": None}


def test_ten_thousand_trials_are_all_there(make: SimpleNamespace) -> None:
    config = {"model": {f"field{i}": i for i in range(40)}}
    trials = [make.trial(n, n * 1.0, config=config) for n in range(10_000)]
    result = compare([sweep("big", trials)])
    assert len(result.trials) == 10_000
    assert result.trial_parameters == ("model.hidden_size", "training.learning_rate")


@pytest.mark.parametrize(
    ("metric", "direction", "other", "said"),
    [
        ("val/loss", "minimize", {"units": "bpe"}, "(a: data.units characters; b: data.units bpe)"),
        ("val/loss", "minimize", {"vocabulary_size": 90}, "(a: no data.vocabulary_size; b: data.vocabulary_size 90)"),
        ("val/loss", "minimize", {"translated": 10}, ""),
        ("val/character_nats", "minimize", {"units": "bpe"}, ""),
        ("val/bleu", "maximize", {"units": "bpe"}, ""),
        ("val/bleu", "maximize", {"translated": 10}, "(a: data.translated 1000; b: data.translated 10)"),
    ],
)
def test_units_change_what_a_loss_means_and_not_a_bleu(metric, direction, other, said):
    data = {"units": "characters", "translated": 1000}
    made = [judged_as("a", task="translate", **data), judged_as("b", task="translate", **{**data, **other})]
    found = compare([replace(each, metric=metric, direction=direction) for each in made])
    assert found.problem == ""
    assert said in found.doubt if said else found.doubt == ""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from lstm.judging.items import Blocks, Items
from lstm.verdict.sentences import beside_base, sentence
from lstm.verdict.store import Entry, Judgements, dumps, loads
from lstm.verdict.verdict import as_row, of_row, verdict

COUNT = 60


def errors(mean, seed=0):
    return mean * (1 + 0.05 * np.random.default_rng(seed).standard_normal(COUNT))


def entry(name, validation, test, role="rival", metric="loss", figures=None, **made):
    """What one did, its errors all alike but for five per cent."""
    parts = {"validation": errors(validation, 1 + len(name)), "test": errors(test, len(name))}
    items = {p: Items(p, name, np.arange(COUNT), np.ones(COUNT), {metric: e}) for p, e in parts.items()}
    return Entry(name, role, items, figures or {}, **made)


NETWORK = entry("trial 3", 1.0, 2.0, "network", trial=3)
BASE = entry("trial 0", 1.3, 1.8, "base", trial=0)
RIDGE = entry("ridge on 104 changes", 1.2, 2.4, rival="ridge")
NAIVE = entry("seasonal naive", 5.0, 6.0, rival="naive")


def judged(*entries, metric="loss", **made):
    return Judgements("s", "d", metric, Blocks(2), entries, **made)


def test_a_row_for_each_with_its_figures_and_how_much_better_the_network_is():
    found = verdict(judged(NAIVE, RIDGE, BASE, NETWORK))
    assert [row.name for row in found.rows] == ["trial 3", "trial 0", "seasonal naive", "ridge on 104 changes"]
    assert (found.metric, found.direction, found.judged_by, found.length) == ("loss", "minimize", "loss", 2)
    ridge = found.best_rival
    assert ridge.name == "ridge on 104 changes"
    assert ridge.test == RIDGE.items["test"].mean("loss")
    assert ridge.validation == RIDGE.items["validation"].mean("loss")
    ratio = NETWORK.items["test"].mean("loss") / ridge.test
    assert ridge.difference.value == pytest.approx(100 * (1 - ratio))
    assert ridge.difference.low < ridge.difference.value < ridge.difference.high
    assert (ridge.difference.blocks, ridge.difference.unit) == (30, "%")
    assert ridge.gain == pytest.approx(100 * (1 - NETWORK.items["validation"].mean("loss") / ridge.validation))
    assert (found.network.difference, found.network.gain) == (None, None)
    assert found.base.difference.answer == "worse"
    assert found.answer == "better"


def test_the_best_rival_is_that_of_validation_and_a_better_one_on_test_is_named():
    other = entry("mean of two years", 1.5, 1.9)
    found = verdict(judged(NETWORK, NAIVE, RIDGE, other))
    assert (found.best, found.best_on_test) == ("ridge on 104 changes", "mean of two years")
    assert found.answer == "better"
    assert found.row("mean of two years").difference.answer == "worse"
    assert verdict(judged(NETWORK, NAIVE, RIDGE)).best_on_test == ""


def test_of_metrics_that_are_better_when_higher_the_highest_is_best_and_differences_are_points():
    rows = [
        entry("trial 3", 0.5, 0.6, "network", "accuracy", trial=3),
        entry("commonest class", 0.1, 0.1, metric="accuracy"),
        entry("nearest neighbour", 0.4, 0.45, metric="accuracy"),
    ]
    found = verdict(judged(*rows, metric="accuracy", direction="maximize", mean="accuracy"))
    assert (found.best, found.direction, found.answer) == ("nearest neighbour", "maximize", "better")
    assert found.best_rival.difference.unit == "points"
    wanted = 100 * (found.network.test - found.best_rival.test)
    assert found.best_rival.difference.value == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("metric", "mean"),
    [("rmse_original", "loss"), ("nrmse", "loss"), ("perplexity", "loss"), ("f1", "accuracy"), ("mae", "mae")],
)
def test_a_metric_that_is_no_mean_is_judged_by_the_nearest_that_is(metric, mean):
    value = {"validation": {metric: 0.5}, "test": {metric: 0.7}}
    network = entry("trial 3", 0.5, 0.6, "network", mean, value)
    rival = entry("other", 0.4, 0.45, metric=mean, figures=value)
    found = verdict(judged(network, rival, metric=metric, mean=mean))
    assert (found.metric, found.judged_by, found.best_rival.difference.metric) == (metric, mean, mean)
    assert (found.best_rival.validation, found.best_rival.test) == (0.5, 0.7)
    assert found.best_rival.difference.value is not None


def test_rules_that_coincide_are_one_row():
    bitwise = replace(NAIVE, name="last value", rival="last")
    rounded = replace(
        NAIVE,
        name="mean of one season",
        items={p: replace(i, errors={"loss": i.errors["loss"] * (1 + 1e-9)}) for p, i in NAIVE.items.items()},
    )
    found = verdict(judged(NETWORK, bitwise, RIDGE, NAIVE, rounded))
    assert [row.name for row in found.rivals] == [
        "last value = seasonal naive = mean of one season",
        "ridge on 104 changes",
    ]
    assert found.rivals[0].rivals == ("last", "naive", "naive")
    one_item = {p: replace(i, errors={"loss": i.errors["loss"].copy()}) for p, i in NAIVE.items.items()}
    one_item["test"].errors["loss"][7] *= 1.001
    apart = verdict(judged(NETWORK, NAIVE, replace(NAIVE, name="other", items=one_item)))
    assert len(apart.rivals) == 2


def test_a_network_that_does_what_a_rule_does_keeps_its_row():
    found = verdict(judged(NETWORK, replace(NETWORK, name="rule", role="rival", trial=None)))
    assert [row.name for row in found.rows] == ["trial 3", "rule"]
    assert (found.answer, found.best_rival.difference.value) == ("alike", 0)


def test_what_failed_or_was_left_out_stands_last_with_its_reason_and_is_never_best():
    failed = replace(RIDGE, why="failed: out of memory")
    found = verdict(judged(failed, NETWORK, NAIVE))
    assert [row.name for row in found.rows][-1] == "ridge on 104 changes"
    assert found.best == "seasonal naive"
    assert [row.why for row in found.absent] == ["failed: out of memory"]


def test_a_rival_without_a_finite_figure_is_never_best():
    broken = entry("broken", 1.0, 2.0)
    broken.items["validation"].errors["loss"][3] = math.nan
    found = verdict(judged(NETWORK, broken, NAIVE))
    assert found.best == "seasonal naive"
    assert found.row("broken").validation is None


def test_a_rival_judged_on_other_values_is_told_and_not_fatal():
    heavier = {p: replace(i, weights=i.weights * 2) for p, i in RIDGE.items.items()}
    found = verdict(judged(NETWORK, replace(RIDGE, items=heavier)))
    assert found.best_rival.difference.value is None
    assert "other values" in found.best_rival.difference.why


def test_without_a_completed_trial_base_and_rivals_stand_there():
    found = verdict(judged(RIDGE, BASE, NAIVE))
    assert found.network is None
    assert (found.best, found.answer) == ("ridge on 104 changes", "none")
    assert found.base.test is not None
    assert all(row.difference is None for row in found.rows)
    assert verdict(judged(replace(NETWORK, why="its weights are lost"), RIDGE)).network is None


def test_members_of_the_front_stand_beside_the_winner_with_both_figures():
    front = entry("trial 5", 1.1, 2.2, "front", trial=5, second=0.1)
    found = verdict(judged(replace(NETWORK, second=0.3), RIDGE, front))
    assert [(row.name, row.second) for row in found.rows[:2]] == [("trial 3", 0.3), ("trial 5", 0.1)]
    assert found.best == "ridge on 104 changes"


def test_an_error_next_to_nothing_gives_no_silly_per_cent():
    """Data without noise: a rule is as near as computing goes, and the network good for every purpose."""
    naive, exact = entry("last value", 1.0, 1.0, rival="last"), entry("ridge", 1e-9, 1e-9, rival="ridge")
    network = entry("trial 3", 1e-5, 1e-5, "network", trial=3)
    found = verdict(judged(network, naive, exact))
    difference = found.best_rival.difference
    assert (found.best, difference.unit, difference.answer) == ("ridge", "metric", "worse")
    assert difference.value == pytest.approx(-1e-5, rel=0.1)
    assert difference.why
    assert found.best_rival.gain_unit == "metric"
    assert found.row("last value").difference.unit == "%"
    told = sentence(found)
    assert "%" not in told
    assert "e-05 in loss" in told or "e-06 in loss" in told
    # The other way round: what the network is better by is of a rival's figure that is something.
    found = verdict(judged(replace(network, items=exact.items), naive, entry("ridge", 1e-3, 1e-3, rival="ridge")))
    assert (found.best_rival.difference.unit, found.answer) == ("%", "better")
    # Nor is a network that has come to nothing so many per cent worse.
    found = verdict(judged(entry("trial 3", 9e3, 9e3, "network", trial=3), naive))
    assert found.best_rival.difference.unit == "metric"


def test_data_that_no_rule_gets_wrong_have_differences_in_the_metric():
    zero = replace(NAIVE, items={p: replace(i, errors={"loss": np.zeros(COUNT)}) for p, i in NAIVE.items.items()})
    found = verdict(judged(entry("trial 3", 1e-4, 1e-4, "network", trial=3), zero, entry("ridge", 1e-15, 1e-15)))
    assert {row.difference.unit for row in found.rivals} == {"metric"}


def test_members_of_the_front_stand_beside_the_base_by_both_objectives():
    base = replace(BASE, second=0.2)
    kept = entry("trial 5", 1.1, 1.62, "front", trial=5, second=0.1)
    bare = Entry("trial 6", "front", {}, {"validation": {"loss": 1.43}}, trial=6, second=0.22, why="not kept")
    found = verdict(judged(replace(NETWORK, second=0.3), RIDGE, kept, bare, base, second=("probe/x", "minimize")))
    assert [row.name for row in found.rows][:4] == ["trial 3", "trial 5", "trial 6", "trial 0"]
    assert found.second == "probe/x"
    told = {row.name: [(each.metric, round(each.value)) for each in row.beside_base] for row in found.rows}
    assert told == {
        "trial 3": [("loss on the test part", round(-100 / 9)), ("probe/x", -50)],
        "trial 5": [("loss on the test part", 10), ("probe/x", 50)],
        "trial 6": [("loss on validation", -11), ("probe/x", -10)],
        "trial 0": [],
        RIDGE.name: [],
    }
    assert found.rows[1].beside_base[0].low is not None
    assert "by probe/x" in beside_base(found.rows[1])
    assert of_row(json.loads(json.dumps(as_row(found)))) == found
    assert {row.beside_base for row in verdict(judged(NETWORK, RIDGE, BASE)).rows} == {()}
    higher = verdict(judged(replace(NETWORK, second=0.3), base, second=("probe/y", "maximize"))).rows[0]
    assert [(each.unit, round(each.value, 3)) for each in higher.beside_base][1] == ("metric", 0.1)


def test_it_is_json_and_comes_back_the_same():
    failed = Entry("n-grams", "rival", why="failed")
    found = verdict(judged(NETWORK, BASE, RIDGE, NAIVE, replace(NAIVE, name="last value"), failed, no_base="x"))
    text = json.dumps(as_row(found), allow_nan=False)
    assert of_row(json.loads(text)) == found
    assert json.loads(text)["answer"] == found.answer
    nothing = verdict(judged())
    assert of_row(json.loads(json.dumps(as_row(nothing), allow_nan=False))) == nothing


def test_it_comes_to_the_same_numbers_from_the_file():
    what = judged(NETWORK, BASE, RIDGE, NAIVE)
    assert verdict(loads(dumps(what))) == verdict(what)

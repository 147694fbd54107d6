from dataclasses import asdict

import numpy as np
import pytest

from lstm.checkpoint import Checkpoint
from lstm.config.memory import MemoryData
from lstm.records.errors import BadInput
from lstm.rivals.rival import Fitted, LeftOut
from lstm.tasks import registry as tasks
from lstm.tasks.registry import TASKS
from lstm.training.loop import train
from lstm.verdict import fitting

CASES = ["forecast", "classify", "characters", "words", "adding", "copy", "mackey_glass", "dates"]
NETWORKS_ONLY = {"dates": {"loss", "character_nats"}}  # metrics of probabilities, which rivals that write don't have


@pytest.fixture(scope="module")
def outcomes(cases):
    """What became of the rivals of each case, run once."""
    found = {}

    def of(case):
        if case not in found:
            data, config = cases[case]
            found[case] = list(fitting.run_some([each.name for each in TASKS[config.task].rivals()], data, config, 0))
        return found[case]

    return of


ALWAYS = {
    "forecast": ["last value", "seasonal naive", "last season and change", "mean of two seasons", "ridge"],
    "memory": ["constant", "ridge"],
    "classify": ["commonest class", "logistic regression", "nearest neighbour"],
    "language_model": ["n-grams"],
    "translate": ["copy of the source", "nearest sentence", "word by word"],
    "video": ["last frame", "black frame", "mean frame", "shift", "ridge"],
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_names_its_rivals_those_that_always_run_first(task):
    rivals = TASKS[task].rivals()
    assert [each.name for each in rivals if not each.needs] == ALWAYS[task]
    assert [each.name for each in rivals][: len(ALWAYS[task])] == ALWAYS[task]
    assert all(each.about.endswith(".") for each in rivals)


@pytest.mark.parametrize("case", CASES)
def test_a_networks_items_add_up_to_what_its_task_evaluates(cases, case):
    data, config = cases[case]
    [*_, last] = train(config, data)
    checkpoint = Checkpoint(config, asdict(data.facts), last.state)
    for part in ("validation", "test"):
        wanted = tasks.of(config).feed(data, config, "cpu").evaluate(tasks.best_network(checkpoint), part)
        found = tasks.judge_items(checkpoint, data, part, "trial 0")
        assert found.items.name == "trial 0"
        assert dict(found.metrics) == pytest.approx(wanted, rel=1e-5)
        for metric in found.items.metrics:
            assert found.items.mean(metric) == pytest.approx(wanted[metric], rel=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_rivals_are_judged_on_the_same_items_as_a_network_in_its_metrics(cases, outcomes, case):
    data, config = cases[case]
    [*_, last] = train(config, data)
    checkpoint = Checkpoint(config, asdict(data.facts), last.state)
    judged = [each for each in outcomes(case) if each.fitted]
    assert judged
    for part in ("validation", "test"):
        network = tasks.judge_items(checkpoint, data, part, "trial 0")
        for each in judged:
            found = each.judgements[part]
            assert set(network.metrics) - set(found.metrics) == NETWORKS_ONLY.get(case, set())
            assert set(network.items.metrics) - set(found.items.metrics) == NETWORKS_ONLY.get(case, set())
            np.testing.assert_array_equal(found.items.places, network.items.places)
            np.testing.assert_array_equal(found.items.weights, network.items.weights)
            for metric in found.items.metrics:
                assert found.items.mean(metric) == pytest.approx(found.metrics[metric], rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_of_a_rival_judges_alike_when_it_is_read_again(cases, outcomes, case, tmp_path):
    data, config = cases[case]
    for each in outcomes(case):
        if not each.fitted:
            continue
        np.savez(tmp_path / "a.npz", **each.fitted.arrays)
        with np.load(tmp_path / "a.npz", allow_pickle=False) as read:
            again = Fitted(each.name, each.fitted.title, dict(each.fitted.settings), dict(read))
        found = TASKS[config.task].rival(again.name).judge(again, data, config, "test")
        items = each.judgements["test"].items
        for before, after in ((items.errors, found.items.errors), (items.sums, found.items.sums)):
            for metric, values in before.items():
                np.testing.assert_array_equal(after[metric], values)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("forecast", "seasonal naive"),
        ("adding", "constant"),
        ("copy", "constant"),
        ("mackey_glass", "constant"),
        ("dates", "copy of the source"),
    ],
)
def test_the_baseline_is_among_the_rivals(cases, outcomes, case, name):
    data, config = cases[case]
    found = next(each for each in outcomes(case) if each.name == name)
    for part in ("validation", "test"):
        wanted = tasks.of(config).baseline_metrics(data, config, part)
        assert dict(found.judgements[part].metrics) == pytest.approx(wanted, rel=1e-6)


def test_a_rival_that_raises_is_told_and_stops_nothing(cases, monkeypatch):
    data, config = cases["adding"]

    class Broken:
        name, about, needs = "broken", "It raises.", ()

        def fit(self, *_):
            raise ZeroDivisionError("no number")

    class Senseless(Broken):
        name = "senseless"

        def fit(self, *_):
            raise LeftOut("these data have nothing for it")

    others = TASKS["memory"].rivals()
    monkeypatch.setattr(type(TASKS["memory"]), "rivals", lambda _: (Broken(), Senseless(), *others))
    names = ["broken", "senseless", *(each.name for each in others)]
    broken, senseless, *rest = fitting.run_some(names, data, config, 0)
    assert broken.fitted is None
    assert "ZeroDivisionError" in broken.why
    assert "no number" in broken.why
    assert (senseless.fitted, senseless.why) == (None, "these data have nothing for it")
    assert [each.name for each in rest if each.fitted] == [each.name for each in others]


def test_a_name_that_no_rival_has_is_refused_with_those_that_there_are():
    with pytest.raises(BadInput, match="constant, ridge"):
        TASKS["memory"].rival("rige")


def test_long_inputs_are_averaged_over_stretches_for_the_ridge(cases):
    section = MemoryData(problem="adding", length=2_000, sizes={"train": 30, "validation": 5, "test": 5})
    from lstm.data.memory import generate
    from lstm.rivals import memory

    config = cases["adding"][1].model_copy(update={"data": section})
    fitted = memory.Ridge().fit(generate(section), config)
    assert fitted.arrays["weights"].shape[0] <= memory.MOST_INPUTS

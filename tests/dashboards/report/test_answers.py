from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from searches import searched

from dashboards.report.answers import answers, capital, gap, left_out, superior
from dashboards.report.comparison import compare
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial


def told(sweeps: list[Sweep], importances: Any = None, verdicts: Any = None) -> dict[str, str]:
    known = verdicts or {sweep.name: (None, "`sweep rivals a` tells it") for sweep in sweeps}
    found = answers(compare(sweeps, every=True), sweeps, importances or {}, known)
    return {each.question: "\n".join(each.lines) for each in found}


def sweep(name: str, trials: list[Trial], **more: Any) -> Sweep:
    return Sweep(name, "val/loss", more.pop("direction", "minimize"), len(trials), tuple(trials), **more)


def test_the_best_trial_by_how_much_and_with_what_settings(make: SimpleNamespace) -> None:
    trials = [make.trial(0, 0.5), make.trial(1, 0.4), replace(make.trial(2, 0.8), is_base=True)]
    said = told([sweep("a", trials)])["Which trial is the best?"]
    assert said == (
        "Trial 1: val/loss 0.4, at epoch 5.\n"
        "It is 20.0 % (0.1) better than the next, trial 0; 50.0 % (0.4) better than the base, the spec's own settings."
        "\n"
        "Its settings: hidden_size 17, learning_rate 0.002."
    )


def test_a_base_that_is_better_is_said_to_be(make: SimpleNamespace) -> None:
    search, found = [make.trial(0, 0.5)], searched("a", 16)
    base = replace(found.base or search[0], number=1, value=0.25)
    said = told([sweep("a", [*search, base])])["Which trial is the best?"]
    assert "It is 100.0 % (0.25) worse than the base, the spec's own settings." in said
    assert said.startswith("Trial 0: ")


def test_a_value_over_windows_says_so(make: SimpleNamespace) -> None:
    trial = replace(make.trial(0, 0.5), best_epochs=(5, 3))
    one = sweep("a", [trial], facts={"windows": {"count": 2, "longest": 9, "refit": True}})
    said = told([one])
    assert "val/loss 0.5, the mean over 2 windows, at epochs 5, 3." in said["Which trial is the best?"]
    assert "5 epochs of window 1 in" in said["What did it cost?"]


def test_which_of_three_sweeps_is_better(make: SimpleNamespace) -> None:
    one = sweep("a", [make.trial(0, 0.5), make.trial(1, 0.3)])
    other = sweep("b", [make.trial(0, 0.4), make.trial(1, 0.6)])
    said = told([other, one, sweep("none", [])])["Which sweep is the best?"]
    assert "The best of a is 25.0 % (0.1) better than that of b. " in said
    assert "that of a is better in 75 %." in said
    assert "none: no trial has completed yet." in said
    assert "validation" in said.splitlines()[-1]


@pytest.mark.parametrize(("direction", "share"), [("minimize", 0.625), ("maximize", 0.375)])
def test_a_tie_is_half_a_pair(direction: Any, share: float) -> None:
    assert superior([1.0, 2.0], [2.0, 1.5], direction) == share
    assert superior([1.0], [1.0], direction) == 0.5


@pytest.mark.parametrize(
    ("value", "than", "direction", "text"),
    [
        (0.9, 0.8, "maximize", "12.5 % (0.1) better than"),
        (-1.0, 1.0, "minimize", "2 better than"),
        (0.0, 0.0, "minimize", "as good as"),
        (0.2, 0.0, "minimize", "0.2 worse than"),
    ],
)
def test_a_share_is_told_where_it_means_something(value: float, than: float, direction: Any, text: str) -> None:
    assert gap(value, than, direction) == text


def test_a_setting_without_an_importance_is_named_with_the_reason(make: SimpleNamespace) -> None:
    here: Any = {"training.method": "gradient", "model.cell": "lstm"}
    evolved = {**here, "training.population": 8}
    trials = [make.trial(n, 0.1 * n, settings={**here, "training.learning_rate": n}) for n in range(3)]
    shares = {"training.learning_rate": 1.0}
    found = left_out(sweep("a", trials), shares)
    assert found == (
        "without an importance, which needs two values: method (searched in 3 completed trials, always gradient), "
        "cell (searched in 3 completed trials, always lstm)"
    )
    cut = make.trial(3, 0.9, "PRUNED", settings=evolved)
    assert "population (searched in no completed trial)" in left_out(sweep("a", [*trials, cut]), shares)
    one = make.trial(3, 0.9, settings=evolved)
    assert "population (searched in 1 completed trial)" in left_out(sweep("a", [*trials, one]), shares)
    assert left_out(sweep("a", trials), {}) == ""
    assert told([sweep("a", trials)], {"a": shares})["Which setting matters?"].endswith(f" {capital(found)}.")


def test_pruning_convergence_cost_and_importance(make: SimpleNamespace) -> None:
    cut = tuple((e, 1 / e) for e in range(1, 4))
    trials = [make.trial(0, 0.5), make.trial(1, 0.4, best_epoch=3), make.trial(2, 0.9, "PRUNED", curve=cut)]
    trials.append(make.trial(3, 9.0, "PRUNED", diverged=True, curve=cut[:1]))
    said = told([sweep("a", trials)], {"a": {"model.hidden_size": 0.25, "training.learning_rate": 0.75}})
    assert said["Which setting matters?"] == (
        "By importance learning_rate 75 %, hidden_size 25 % (PED-ANOVA on 2 completed trials, a rough estimate)."
    )
    assert told([sweep("a", trials)])["Which setting matters?"] == (
        "Too few completed trials to say: 2, and PED-ANOVA needs 11."
    )
    many = [make.trial(number, 0.5) for number in range(11)]
    assert told([sweep("a", many)])["Which setting matters?"].startswith("Not known, since importances need")
    plain = [make.trial(0, 0.5, settings={})]
    assert told([sweep("a", plain)])["Which setting matters?"] == "No setting was searched."
    assert said["Where did pruning cut?"] == (
        "1 of 4 trials was stopped early, after 3 epochs at the median; they had 21 % of all epochs."
    )
    assert said["Did the curves converge?"] == (
        "1 of 2 completed trials did: they were best before their last epoch. The best was best at epoch 3 of 5. "
        "1 trial diverged."
    )
    assert said["What did it cost?"] == "14 epochs in 16.0 s of trial time, over 4 ended trials."
    assert said["Is the network worth it?"] == "`sweep rivals a` tells it."


def test_a_best_trial_that_was_best_in_its_last_epoch_may_need_more(make: SimpleNamespace) -> None:
    said = told([sweep("a", [make.trial(0, 0.5)])])["Did the curves converge?"]
    assert "0 of 1 completed trial did" in said
    assert said.endswith("The best was best at epoch 5 of 5, its last: more epochs may make it better.")


def test_nothing_has_completed(make: SimpleNamespace) -> None:
    said = told([sweep("a", [make.trial(0, 0.5, "RUNNING")]), sweep("b", [])])
    assert said["Which trial is the best?"] == said["Which sweep is the best?"] == "No trial has completed yet."
    assert said["Did the curves converge?"].splitlines()[0] == "a: no trial has completed yet."


def test_what_is_beside_the_search_is_counted_apart() -> None:
    one = searched("a", 16)
    said = told([one])
    assert "over 16 ended trials; " in said["What did it cost?"]
    assert "for 6 trials beside the search." in said["What did it cost?"]
    best = min((t for t in one.counted if t.compared_value is not None), key=lambda t: t.value or 0.0)
    assert said["Which trial is the best?"].startswith(f"Trial {best.number}: "), (
        "no extension or confirm, however good"
    )

"""A look at the test part counts if more trials have ended since the last one."""

from dataclasses import replace

from lstm.records import looks
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial


def sweep(count, **facts):
    trials = tuple(Trial(n, "COMPLETE", 1.0 - n / 100, {}, {}, ()) for n in range(count))
    return Sweep("a", "val/loss", "minimize", 99, trials, facts=facts)


def look(swept, at_ms):
    return replace(swept, facts={**swept.facts, looks.LOOKS: looks.with_look(swept, at_ms)})


def test_a_look_after_more_trials_counts_and_is_said():
    once = look(sweep(16), 1)
    assert once.facts[looks.LOOKS] == [{"trials": 16, "best": 15, "at_ms": 1}]
    assert looks.said(once) == ""
    again = look(once, 2)
    assert again.facts == once.facts, "the same trials: nothing new was seen"
    more = look(replace(sweep(32), facts=once.facts), 3)
    third = look(replace(sweep(48), facts=more.facts), 4)
    assert looks.said(more).startswith("The test part was looked at 2 times (after 16 and 32 trials): ")
    assert looks.said(third).startswith("The test part was looked at 3 times (after 16, 32 and 48 trials): ")


def test_trials_beside_the_search_are_no_reason_for_a_new_look():
    once = look(sweep(16), 1)
    extension = Trial(16, "COMPLETE", 0.1, {}, {}, (), derived=Derived(3, "extend", {"training.max_epochs": 9}, 4))
    assert look(replace(once, trials=(*once.trials, extension)), 2).facts == once.facts


def test_what_an_earlier_version_judged_is_one_look():
    earlier = sweep(16, judged={"trial": 15, "base": 0, "metrics": {}})
    assert [row["trials"] for row in look(earlier, 5).facts[looks.LOOKS]] == [16], "the same winner: the same look"
    found = look(replace(earlier, facts={"judged": {"trial": 3, "base": 0, "metrics": {}}}), 5)
    assert [row["trials"] for row in found.facts[looks.LOOKS]] == [None, 16]
    assert looks.said(found).startswith("The test part was looked at 2 times: ")


def test_a_sweep_without_a_look():
    assert (list(looks.looks({})), looks.said(sweep(3))) == ([], "")


def test_mlflow_keeps_after_how_many_trials_each_look_was():
    kept = {looks.LOOKS: [{"trials": 16, "best": 15, "at_ms": 1}, {"trials": 32, "best": 20, "at_ms": 2}]}
    figures = looks.figures(kept)
    assert figures == {"test_looks": 2, "test_looks/1": 16, "test_looks/2": 32}
    again = [{"trials": trials, "best": 20, "at_ms": None} for trials in (16, 32)]
    assert looks.of_figures(figures | {"other": 1.0}, 20) == again
    assert looks.of_figures({"test_looks": 2.0}, 20) == [{"trials": None, "best": 20, "at_ms": None}] * 2
    assert looks.of_figures({}, None) == []
    assert looks.figures({}) == {}
    earlier = {looks.LOOKS: [{"trials": None, "best": 1, "at_ms": None}, {"trials": 16, "best": 1, "at_ms": 2}]}
    assert looks.figures(earlier) == {"test_looks": 2, "test_looks/2": 16}

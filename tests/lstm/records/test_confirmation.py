"""What is to be confirmed of a search, which trials that needs, and what they have found."""

from dataclasses import replace

import pytest

from lstm.records.confirmation import (
    CONFIRM,
    RIVAL,
    Request,
    best_settings,
    errors_of,
    is_left,
    lacking,
    remembered,
    row_of,
    seed_of,
    setting_of,
    settings_tried,
    to_confirm,
)
from lstm.records.objective import Objective
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

REQUEST = Request(2, 2, "fresh", 7)


def trial(number, value=None, rate=0.1, seed=1, state="COMPLETE", **more):
    config = {"data": {}, "training": {"learning_rate": rate, "seed": seed}}
    curve = () if value is None else ((1, value),)
    return Trial(number, state, value, {}, config | more.pop("config", {}), curve, best_epoch=1, **more)


def sweep(*trials, **facts):
    base = trial(0, 0.5, rate=0.01, derived=Derived(None, "base"), is_base=True)
    return Sweep("a", "val/loss", "minimize", 4, (base, *trials), facts=facts)


SEARCHED = (trial(1, 0.4), trial(2, 0.3, rate=0.2), trial(3, 0.2, seed=9), trial(4, 0.1, rate=0.3, state="PRUNED"))


def confirmed(searched, row, values):
    """The sweep after its trials of confirm have had these values, one for each."""
    made = [
        trial(
            len(searched.trials) + place,
            value,
            rate={t.number: t for t in searched.trials}[derived.parent].config["training"]["learning_rate"],
            seed=derived.changes["training.seed"],
            config={"judged_on": "fresh"} if "judged_on" in derived.changes else {},
            derived=derived,
            state="COMPLETE" if value is not None else "FAIL",
        )
        for place, (derived, value) in enumerate(zip(lacking(searched, row), values, strict=False))
    ]
    return replace(searched, trials=(*searched.trials, *made), facts={**searched.facts, CONFIRM: row})


def test_a_setting_is_a_configuration_without_its_seed_and_its_windows():
    one, same, other = trial(1), trial(2, seed=9), trial(3, rate=0.2)
    assert setting_of(one.config) == setting_of(same.config) == setting_of({**one.config, "judged_on": "fresh"})
    assert setting_of(one.config) != setting_of(other.config)
    assert setting_of(one.config) == "c7a66b10ce707819", "as the tags of earlier versions have it"


def test_seeds_are_the_same_everywhere_and_differ():
    seeds = [seed_of(7, "c7a66b10ce707819", place) for place in range(50)]
    assert seeds[:2] == [159759456, 1205811070]
    assert len({*seeds, *(seed_of(8, "c7a66b10ce707819", place) for place in range(50))}) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_two_trials_with_one_setting_are_one_and_have_the_lower_number():
    found = sweep(*SEARCHED)
    assert [t.number for t in best_settings(found).values()] == [1, 2], "by the best of 1 and 3, named after 1"
    assert [t.number for t in settings_tried(found).values()] == [0, 1, 2, 4], (
        "pruned ones and the base were tried, too"
    )


def test_it_takes_the_base_and_the_best_but_not_more_than_there_are():
    found = sweep(*SEARCHED)
    assert [number for _, number in row_of(found, REQUEST)["settings"]] == [0, 1, 2]
    assert [number for _, number in row_of(found, REQUEST._replace(top=1))["settings"]] == [0, 1]
    assert [number for _, number in row_of(found, REQUEST._replace(top=9))["settings"]] == [0, 1, 2]
    unended = replace(found, trials=(replace(found.trials[0], state="FAIL"), *SEARCHED))
    assert [number for _, number in row_of(unended, REQUEST)["settings"]] == [1, 2], (
        "a base that has failed is left out"
    )


def test_with_two_objectives_it_takes_the_front():
    seconds = {1: 5.0, 2: 4.0, 3: 6.0}
    trials = [replace(t, second=seconds.get(t.number)) for t in SEARCHED]
    found = replace(sweep(*trials), second=Objective("probe/x", "minimize"))
    assert [t.number for t in found.front] == [3, 2]
    assert [number for _, number in row_of(found, REQUEST)["settings"]] == [0, 3, 2]
    assert [number for _, number in row_of(found, REQUEST._replace(top=1))["settings"]] == [0, 3]


def test_only_what_is_missing_is_queued():
    found = sweep(*SEARCHED)
    row = row_of(found, REQUEST)
    assert [derived.parent for derived in lacking(found, row)] == [0, 0, 1, 1, 2, 2]
    assert all(derived.changes["judged_on"] == "fresh" for derived in lacking(found, row))
    half = confirmed(found, row, [0.6, 0.5, 0.4])
    assert [derived.parent for derived in lacking(half, row)] == [1, 2, 2]
    assert [derived.parent for derived in lacking(half, {**row, "seeds": 3})] == [0, 1, 1, 2, 2, 2]
    assert len(lacking(half, {**row, "windows": "search"})) == 6, "on other windows they are others"
    failed = confirmed(found, row, [0.6, None, 0.4, 0.5, 0.3, 0.2])
    assert lacking(failed, row) == []
    assert [derived.parent for derived in lacking(failed, row, is_asked=True)] == [0]
    assert not is_left(failed, REQUEST)
    assert is_left(failed, REQUEST._replace(is_asked=True))


def test_what_was_asked_for_stays_unless_more_is_wanted():
    found = sweep(*SEARCHED)
    row = row_of(found, REQUEST)
    done = confirmed(found, row, [0.6, 0.5, 0.4, 0.4, 0.3, 0.2])
    assert to_confirm(found, None) is None
    assert to_confirm(done, None) == row
    assert to_confirm(done, REQUEST._replace(top=1, seeds=1)) == row
    assert to_confirm(done, REQUEST._replace(top=1, seeds=1, is_asked=True))["seeds"] == 1
    assert to_confirm(done, REQUEST._replace(seeds=3))["seeds"] == 3
    assert to_confirm(done, REQUEST._replace(windows="search"))["windows"] == "search"
    chosen = to_confirm(done, REQUEST._replace(windows="search", is_asked=True, is_chosen=True))
    kept = replace(done, facts={**done.facts, CONFIRM: chosen})
    assert to_confirm(kept, REQUEST) == chosen, "the spec does not change the windows of --windows"
    assert to_confirm(kept, REQUEST._replace(is_asked=True))["windows"] == REQUEST.windows
    more = replace(done, trials=(*done.trials, trial(11, 0.05, rate=0.7)))
    assert [number for _, number in to_confirm(more, REQUEST)["settings"]] == [0, 11, 1]
    assert [is_left(each, REQUEST) for each in (found, done, more)] == [True, False, True]


def test_what_was_found():
    searched = sweep(*SEARCHED)
    assert searched.confirmation is None
    row = row_of(searched, REQUEST)
    half = confirmed(searched, row, [0.6, 0.5, 0.4]).confirmation
    assert half.open == 3
    assert [each.trials for each in half.settings] == [(5, 6), (7,), ()]
    done = confirmed(searched, row, [0.6, 0.5, 0.4, None, 0.3, 0.2])
    rival = {"rival": "ridge", "title": "ridge on 9", "windows": "fresh", "errors": [0.7]}
    found = replace(done, facts={**done.facts, RIVAL: rival}).confirmation
    assert (found.open, found.tried, found.count, found.windows) == (0, 4, 1, "fresh")
    assert [(each.name, each.number, each.errors) for each in found.settings] == [
        ("base", 0, ((0.6,), (0.5,))),
        ("trial 1", 1, ((0.4,), (None,))),
        ("trial 2", 2, ((0.3,), (0.2,))),
        ("ridge on 9", None, ((0.7,),)),
    ]
    assert [each.mean for each in found.settings] == pytest.approx([0.55, None, 0.25, 0.7])
    elsewhere = {**done.facts, RIVAL: {**rival, "windows": "search"}}
    assert len(replace(done, facts=elsewhere).confirmation.settings) == 3, "a rival on other windows is none of these"
    assert done.confirming == done.trials[5:]
    assert remembered(done, 7)[CONFIRM] == row


def test_the_errors_of_each_window_come_from_the_means_so_far():
    facts = {"windows": {"count": 3, "longest": 2, "refit": True}}
    whole = replace(trial(5, 2.0), curve=((1, 3.0), (2, 1.5)), later=((3, 2.0), (4, 2.5)))
    assert errors_of(sweep(**facts), whole) == pytest.approx((1.5, 2.5, 3.5))
    diverged = replace(whole, state="PRUNED", diverged=True, value=None, later=((3, 2.0),))
    assert errors_of(sweep(**facts), diverged) == pytest.approx((1.5, 2.5, None))
    at_once = replace(diverged, later=())
    assert errors_of(sweep(**facts), at_once) == (None, None, None)
    assert errors_of(sweep(**facts), replace(whole, state="FAIL")) == (None, None, None)
    assert errors_of(sweep(**facts), replace(whole, state="RUNNING")) == (None, None, None)

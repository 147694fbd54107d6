import json

import pytest

from cluster.decisions import Decisions, End, EndIsDecided, derived_of, is_base
from lstm.records.goodput import Spent
from lstm.records.state import Derived, again

# What the versions before this one have stored: attributes of trials out of their studies.
STORED = {
    "first": 1,
    "base": True,
    "derived": {"parent": 3, "purpose": "retry"},
    "attempt": 2,
    "losses": 1,
    "start": {"worker": "a (b) pid 1", "at_ms": 5},
    "pruned_after": 4,
    "end": {
        "state": "PRUNED",
        "value": 0.25,
        "best_epoch": 3,
        "reason": "pruned after epoch 4",
        "diverged": False,
        "checkpoint": "/c",
        "at_ms": 9,
        "epochs_s": 1.5,
        "spent": Spent(start=1.0).row(),
        "probed": {"numbers": {"delay/half_life": 2.0}, "best_epoch": 3, "at_ms": 8},
        "lost_epochs": 1,
    },
}


def stored(change):
    return json.loads(json.dumps(change))


def test_what_is_decided_is_read_as_it_was_stored_and_stored_as_it_was():
    found = Decisions.of(STORED)
    assert (found.derived, found.first, found.base, found.attempt, found.losses) == (Derived(3, "retry"), 1, True, 2, 1)
    assert (found.worker, found.started_at_ms, found.pruned_after) == ("a (b) pid 1", 5, 4)
    assert found.end.spent == Spent(start=1.0)
    assert found.end.row(has_second=False) == STORED["end"]
    assert found.asked() == {name: STORED[name] for name in ("derived", "first", "base")}
    two = STORED["end"] | {"second": None}
    assert End.of(two).row(has_second=True) == two, "what has no figure says so"


def test_the_least_that_an_end_was_ever_stored_with():
    end = End.of({"state": "FAIL", "value": None, "diverged": False, "reason": "x"})
    assert (end.best_epoch, end.checkpoint, end.at_ms, end.spent, end.lost_epochs) == (0, "", None, None, 0)
    assert Decisions.of({}) == Decisions()


def test_the_best_epoch_of_each_window_is_kept_apart_from_the_value():
    one = End("COMPLETE", 0.5, (3,), at_ms=1)
    assert "best_epochs" not in one.row(has_second=False), "one window has the form that it always had"
    two = End("COMPLETE", 0.5, (3, 7), at_ms=1)
    assert End.of(stored(two.row(has_second=False))) == two


def test_a_trials_way_through_its_decisions():
    attributes = {}
    for change, value in [
        (lambda d: d.begun(), {"attempt": 1}),
        (lambda d: d.started("one", 5), {"start": {"worker": "one", "at_ms": 5}}),
        (lambda d: d.lost(), {"losses": 1}),
        (lambda d: d.begun(), {"attempt": 2}),
        (lambda d: d.started("other", 9), {"start": {"worker": "other", "at_ms": 5}}),
        (lambda d: d.pruned(3), {"pruned_after": 3}),
        (lambda d: d.ended(End("PRUNED", 0.5, (2,)), has_second=False), None),
    ]:
        made = change(Decisions.of(attributes))
        assert value is None or made == value
        attributes |= stored(made)
    found = Decisions.of(attributes)
    assert (found.attempt, found.losses, found.pruned_after, found.end.state) == (2, 1, 3, "PRUNED")
    assert found.ended(found.end, has_second=False) == {}, "the same end again costs nothing"
    assert found.ended(End("FAIL"), has_second=False) != {}, "until it is told another driver may decide anew"


@pytest.mark.parametrize(
    "change",
    [lambda d: d.begun(), lambda d: d.started("w", 1), lambda d: d.lost(), lambda d: d.pruned(1)],
    ids=["begun", "started", "lost", "pruned"],
)
def test_after_its_end_nothing_else_is_decided(change):
    with pytest.raises(EndIsDecided, match="COMPLETE"):
        change(Decisions.of({"end": {"state": "COMPLETE"}}))


@pytest.mark.parametrize(
    ("derived", "base", "expected"),
    [
        (None, False, False),
        (None, True, True),
        (Derived(None, "base"), False, True),
        (Derived(1, "retry"), False, False),
    ],
)
def test_whose_settings_are_the_specs_own(derived, base, expected):
    attributes = Decisions(derived, base=base).asked()
    assert is_base(attributes) is Decisions.of(attributes).is_base is expected
    assert derived_of(attributes) == derived


def test_what_runs_a_trial_again_stands_where_that_stood():
    assert again(4, None) == Derived(4, "retry")
    assert again(4, Derived(2, "retry")) == Derived(4, "retry")
    assert again(4, Derived(None, "base")) == Derived(4, "base")

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm.records.objective import Objective
from lstm.records.state import Derived
from lstm.records.sweep import EXHAUSTED, REFIT, Sweep
from lstm.records.trial import Trial

FIGURE = st.integers(0, 5).map(float)
STATES = st.sampled_from(["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "FAIL", "RUNNING"])
DIRECTIONS = st.sampled_from(["minimize", "maximize"])


def trial(number, state, value, second):
    return Trial(number, state, value, {}, {}, (), second=second)


@given(st.lists(st.tuples(STATES, FIGURE, st.none() | FIGURE), max_size=12), DIRECTIONS, DIRECTIONS)
def test_the_front_is_what_no_trial_dominates(rows, first, second):
    trials = tuple(trial(number, *row) for number, row in enumerate(rows))
    sweep = Sweep("s", "val/loss", first, len(rows), trials, second=Objective("probe/x", second))
    signs = [1 if direction == "minimize" else -1 for direction in (first, second)]
    done = {
        t.number: (signs[0] * t.value, signs[1] * t.second)
        for t in trials
        if t.state == "COMPLETE" and t.second is not None
    }
    wanted = {
        number
        for number, mine in done.items()
        if not any(other != mine and all(o <= m for o, m in zip(other, mine, strict=True)) for other in done.values())
    }
    assert {t.number for t in sweep.front} == wanted
    assert [done[t.number] for t in sweep.front] == sorted(done[t.number] for t in sweep.front)
    assert replace(sweep, second=None).front == []


def swept(*trials, n_trials=4, **facts):
    return Sweep("s", "val/loss", "minimize", n_trials, trials, facts=facts)


def made(number, state, parent=None, purpose="retry"):
    derived = None if parent is None else Derived(parent, purpose)
    return replace(trial(number, state, 1.0, None), derived=derived)


def test_a_retry_counts_in_the_place_of_its_parent_and_what_was_made_for_else_in_none():
    sweep = swept(made(0, "FAIL"), made(1, "COMPLETE"), made(2, "FAIL", 0), made(3, "COMPLETE", 2), n_trials=2)
    assert (sweep.replaced, [t.number for t in sweep.counted], sweep.done) == ({0, 2}, [1, 3], 2)
    assert sweep.over()
    other = swept(*sweep.trials, replace(made(4, "COMPLETE", 1, "confirm"), value=0.1), n_trials=2)
    assert (other.counted, other.best.number) == (sweep.counted, 1)
    assert [e.place for e in other.endings()] == [1, 2, 3, 4, 5], "what has ended has ended"


def test_a_sweep_with_a_retry_that_waits_is_not_over_whatever_its_number():
    sweep = swept(made(0, "FAIL"), made(1, "COMPLETE"), made(2, "WAITING", 0), n_trials=1)
    assert (sweep.done, sweep.over()) == (1, False)


@pytest.mark.parametrize("purpose", ["base", "extend", "confirm", "refit", "fork"])
@pytest.mark.parametrize("state", ["WAITING", "RUNNING"])
def test_a_sweep_with_a_trial_beside_its_search_that_has_not_ended_is_not_over(purpose, state):
    beside = replace(trial(2, state, None, None), derived=Derived(1, purpose))
    sweep = swept(made(0, "COMPLETE"), made(1, "COMPLETE"), beside, n_trials=2)
    assert (sweep.done, sweep.over()) == (2, False)
    assert swept(*sweep.trials[:2], replace(beside, state="COMPLETE"), n_trials=2).over()


def test_a_sweep_without_anything_new_is_over_when_what_was_asked_for_has_ended():
    fact = {"tried": 2, "combinations": 2, "trials": 2}
    done = swept(made(0, "COMPLETE"), made(1, "PRUNED"), **{EXHAUSTED: fact})
    assert (done.over(), done.over(9)) == (True, True)
    assert not swept(*done.trials).over()
    assert not swept(done.trials[0], **{EXHAUSTED: fact}).over(), "a trial is missing"
    assert not swept(done.trials[0], made(1, "RUNNING"), **{EXHAUSTED: fact}).over()
    assert not swept(*done.trials, made(2, "WAITING", 0), **{EXHAUSTED: fact}).over()
    assert "2" in done.exhausted
    assert "981" in swept(**{EXHAUSTED: fact | {"tried": 981, "combinations": 20_000}}).exhausted


def test_the_refit_that_was_asked_for_last_predicts_also_if_it_is_an_older_one():
    def fitted(number, parent, state="COMPLETE", count=9):
        derived = Derived(parent, "refit", fitted={"seeds": 1, "count": count})
        return replace(made(number, state), derived=derived, config={"training": {"seed": 1}})

    trials = (made(0, "COMPLETE"), made(1, "COMPLETE"), fitted(2, 0), fitted(3, 1), fitted(4, 0, "RUNNING", 10))
    assert [t.number for t in swept(*trials).refit] == [3]
    assert [t.number for t in swept(*trials, **{REFIT: [2]}).refit] == [2]
    assert [t.number for t in swept(*trials, **{REFIT: [4]}).refit] == [3], "as long as that one is not whole"

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lstm.records import Objective, Sweep, Trial

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

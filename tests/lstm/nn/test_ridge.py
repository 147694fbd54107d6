"""Ridge regression in blocks."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Independent

from lstm.nn import ridge

PENALTIES = (1e-3, 0.1, 1.0, 100.0)


def _data(rows=500, inputs=20, outputs=3, level=0.0):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, inputs)).cumsum(axis=1) + level
    y = x @ rng.normal(size=(inputs, outputs)) + rng.normal(size=(rows, outputs)) + 7.0
    return x, y


def _cut(x, y, size):
    return lambda: ((x[start : start + size], y[start : start + size]) for start in range(0, len(x), size))


@pytest.mark.parametrize("size", [1, 7, 64, 500])
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_each_penalty_gives_what_scikit_learn_gives(size, level):
    x, y = _data(level=level)
    for found in ridge.fit(_cut(x, y, size), PENALTIES):
        wanted = Independent(alpha=found.penalty, solver="svd").fit(x, y)
        assert found.weights == pytest.approx(wanted.coef_.T, abs=1e-6)
        assert found.predict(x) == pytest.approx(wanted.predict(x), abs=1e-5 if level else 1e-6)


def test_more_inputs_than_rows_and_constant_columns_have_a_solution():
    x, y = _data(rows=30, inputs=60)
    x[:, 5], x[:, 7] = 0.1, x[:, 6]
    for found in ridge.fit(_cut(x, y, 8), PENALTIES):
        wanted = Independent(alpha=found.penalty, solver="svd").fit(x, y)
        assert found.predict(x) == pytest.approx(wanted.predict(x), abs=1e-6)
        assert not found.weights[5].any()
        assert found.weights[6] == pytest.approx(found.weights[7])


def test_the_same_blocks_give_the_same_bits_whatever_their_floats():
    x, y = (array.astype(np.float32) for array in _data())
    once, again = (ridge.fit(_cut(x, y, 64), PENALTIES) for _ in range(2))
    wide = ridge.fit(_cut(x.astype(np.float64), y.astype(np.float64), 64), PENALTIES)
    for a, b, c in zip(once, again, wide, strict=True):
        assert a.weights.tobytes() == b.weights.tobytes() == c.weights.tobytes()
        assert a.intercept.tobytes() == b.intercept.tobytes() == c.intercept.tobytes()


def test_the_least_error_on_other_rows_decides():
    x, y = _data(rows=600)
    candidates = ridge.fit(_cut(x[:100], y[:100], 64), PENALTIES)
    found = ridge.errors(candidates, _cut(x[100:], y[100:], 64))
    by_hand = [np.square(each.predict(x[100:]) - y[100:]).mean() for each in candidates]
    assert found == pytest.approx(by_hand)
    assert ridge.choose(candidates, found) is candidates[int(np.argmin(by_hand))]
    assert ridge.choose(candidates, [np.nan] * 4) is candidates[-1]
    assert ridge.choose(candidates, [2.0, 1.0, 1.0, np.nan]) is candidates[2]
    assert np.isnan(ridge.errors(candidates, list)).all()


@pytest.mark.parametrize("penalties", [(0.0,), (1.0, -1.0), (float("nan"),)])
def test_no_solution_is_made_up(penalties):
    x, y = _data()
    with pytest.raises(ValueError, match="penalty"):
        ridge.fit(_cut(x, y, 64), penalties)
    with pytest.raises(ValueError, match="no row"):
        ridge.fit(_cut(x[:0], y[:0], 64), PENALTIES)

import math

import pytest

from lstm.records.objective import best, is_better, sort_key

NONE = (None, math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_any_finite_value_is_better_than_none(direction):
    for nothing in NONE:
        assert is_better(1e300, nothing, direction)
        assert is_better(-1e300, nothing, direction)
        assert not is_better(nothing, 0.0, direction)
        assert not is_better(nothing, None, direction)


def test_less_or_more_is_better_as_the_direction_says():
    assert is_better(1.0, 2.0, "minimize")
    assert not is_better(1.0, 2.0, "maximize")
    assert not is_better(1.0, 1.0, "minimize")
    assert not is_better(1.0, 1.0, "maximize")
    assert sorted([0.5, None, 2.0, math.nan], key=lambda v: sort_key(v, "maximize"))[:2] == [2.0, 0.5]


def test_the_best_is_the_first_of_equals_and_none_without_a_finite_value():
    items = [("a", None), ("b", 2.0), ("c", 1.0), ("d", 1.0), ("e", math.nan)]
    assert best(items, lambda item: item[1], "minimize") == ("c", 1.0)
    assert best(items, lambda item: item[1], "maximize") == ("b", 2.0)
    assert best([("x", value) for value in NONE], lambda item: item[1], "minimize") is None
    assert best([], lambda item: item, "minimize") is None

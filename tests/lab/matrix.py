"""Wide tests, of which `make test` runs a part and `make faults` the whole.

Of a matrix of cases, the part is a diagonal: each value of each axis. Of many cases of one kind, it is a third. Of
drawn examples, it is the first of them.
"""

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest

CASE = type(pytest.param())  # pytest has no public name for it


def diagonal(**axes: Sequence[Any]) -> pytest.MarkDecorator:
    """Parametrize a test over every combination; an axis that is shorter than the longest begins again.

    A value is its place in its axis, so that equal values are told apart.
    """
    longest = max(map(len, axes.values()))
    chosen = {tuple(number % len(axis) for axis in axes.values()) for number in range(longest)}
    cases = [
        pytest.param(
            *(axis[place] for axis, place in zip(axes.values(), places, strict=True)),
            marks=() if places in chosen else pytest.mark.faults,
        )
        for places in itertools.product(*(range(len(axis)) for axis in axes.values()))
    ]
    return pytest.mark.parametrize(tuple(axes), cases)


def third(
    names: str | Sequence[str], cases: Iterable[Any], also: Collection[int] = (), **more: Any
) -> pytest.MarkDecorator:
    """Parametrize a test over cases of one kind: the first, and each third after it; over one or two, all.

    `also` has the places of cases that are kinds of their own, which no other test has: `make test` runs them, too.
    """
    every = [each if isinstance(each, CASE) else _case(names, each) for each in cases]
    left = [
        each if len(every) < 3 or not place % 3 or place in also else _fault(each) for place, each in enumerate(every)
    ]
    return pytest.mark.parametrize(names, left, **more)


def _case(names: str | Sequence[str], each: Any) -> Any:
    return pytest.param(each) if isinstance(names, str) and "," not in names else pytest.param(*each)


def _fault(case: Any) -> Any:
    return pytest.param(*case.values, marks=(*case.marks, pytest.mark.faults), id=case.id)


def examples(few: int, many: int) -> pytest.MarkDecorator:
    """Parametrize a test over `count`, of the examples that hypothesis draws: `few` of them, or `many`."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.faults)])

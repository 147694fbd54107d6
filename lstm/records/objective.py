"""Metrics and what a sweep optimizes; which of two values is better, and which of many is the best; scalars."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, TypeVar

Scalar = bool | int | float | str | None
Direction = Literal["minimize", "maximize"]
T = TypeVar("T")


def sort_key(value: float | None, direction: Direction) -> float:
    """Orders values: less is better. Infinity where there is no value, or it is not finite."""
    if value is None or not math.isfinite(value):
        return math.inf
    return value if direction == "minimize" else -value


def is_better(value: float | None, than: float | None, direction: Direction) -> bool:
    """Whether a value is better than another; any finite value is better than none."""
    return sort_key(value, direction) < sort_key(than, direction)


def best(among: Iterable[T], value: Callable[[T], float | None], direction: Direction) -> T | None:
    """What has the best value, the first of equals; None where nothing has a finite one."""
    least = min(among, key=lambda each: sort_key(value(each), direction), default=None)
    return least if least is not None and math.isfinite(sort_key(value(least), direction)) else None


class Metric(NamedTuple):
    """A metric of a task, on a part of the data."""

    name: str  # without the part: "loss", "mae_original/load"
    direction: Direction = "minimize"
    unit: str = ""  # "nats", "%", the data's own; "" where it has none
    about: str = ""  # what it is, in a sentence
    nearest: str = "loss"  # where it is no mean over items: the nearest metric that is one


class Objective(NamedTuple):
    """A figure that is searched for, and which way it is better."""

    metric: str
    direction: Direction

    def figure(self, numbers: Mapping[str, float]) -> float | None:
        """The figure among a probe's numbers; None where the network has none."""
        return numbers.get(self.metric.removeprefix("probe/"))

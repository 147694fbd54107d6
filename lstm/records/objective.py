"""Metrics and what a sweep optimizes; scalars."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Scalar = bool | int | float | str | None
Direction = Literal["minimize", "maximize"]


def sign_of(direction: Direction) -> int:
    """What a value is multiplied with, so that less is better."""
    return 1 if direction == "minimize" else -1


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

"""What a sweep optimizes: a metric with its direction; scalars."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Scalar = bool | int | float | str | None
Direction = Literal["minimize", "maximize"]


def sign_of(direction: Direction) -> int:
    """What a value is multiplied with, so that less is better."""
    return 1 if direction == "minimize" else -1


class Objective(NamedTuple):
    """A figure that is searched for, and which way it is better."""

    metric: str
    direction: Direction

    def figure(self, numbers: Mapping[str, float]) -> float | None:
        """The figure among a probe's numbers; None where the network has none."""
        return numbers.get(self.metric.removeprefix("probe/"))

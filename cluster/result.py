"""What an actor tells the driver in a step's result; Tune flattens mappings, so these are records."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt has begun."""

    worker: str  # host, pid and GPU numbers, for people
    at_ms: int
    broken: tuple[str, ...]  # checkpoints that could not be used


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial can't go on: out of memory alone (diverged), it would fail again (broken), or it may pass."""

    kind: Literal["diverged", "broken", "passing"]
    text: str

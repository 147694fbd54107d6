"""Worker time, by what it was spent on."""

import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass

BESIDE = "beside"  # the fact that holds what workers spent and no trial's end tells


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of workers that went into something else than epochs, by what it was."""

    start: float = 0.0  # a process, from its birth until it could take a trial
    data: float = 0.0  # the series fetched, the network and its batches made
    waiting: float = 0.0  # for a trial, until the sweep's last has ended
    checkpoint: float = 0.0  # read, copied, written; waited for while the storage fails
    report: float = 0.0  # until the driver and its study had taken a result
    probe: float = 0.0  # of its network, at a trial's end
    lost: float = 0.0  # what came to nothing: the process died, the trial raised, the sweep was stopped

    def __add__(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Spent") -> "Spent":
        """What is more than in the other."""
        return Spent(*(max(0.0, a - b) for a, b in zip(astuple(self), astuple(other), strict=True)))

    def at_least(self, other: "Spent") -> "Spent":
        """Of each part the longer of two accounts of the same time."""
        return Spent(*map(max, astuple(self), astuple(other)))

    @property
    def total(self) -> float:
        """All parts together."""
        return float(sum(astuple(self)))

    def row(self) -> dict[str, float]:
        """By part, to the millisecond, as a study keeps it."""
        return {part: round(seconds, 3) for part, seconds in asdict(self).items()}


NOTHING = Spent()


@dataclass(frozen=True, slots=True)
class Goodput:
    """Where the time of a sweep's workers went."""

    seconds: Mapping[str, float]  # by part, `training` (epochs that count) first; they add up to the workers' time
    trials: int  # how many had ended
    at_ms: int  # when the latest of it was measured

    @property
    def worker_s(self) -> float:
        """The workers' time."""
        return math.fsum(self.seconds.values())

    @property
    def shares(self) -> dict[str, float]:
        """Each part's share of the workers' time."""
        return {part: seconds / self.worker_s for part, seconds in self.seconds.items()}

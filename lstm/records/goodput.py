"""Accounts of worker time by what it was spent on."""

import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass

BESIDE = "beside"  # the study's fact with the worker time that is in no ended trial's account


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that workers spent on other things than epochs, by part."""

    start: float = 0.0  # starting a process, until it could take a trial
    data: float = 0.0  # fetching the data, building the network and its batches
    waiting: float = 0.0  # waiting for a trial, until the sweep's last trial had ended
    checkpoint: float = 0.0  # reading, copying and writing checkpoints, and waiting while the storage fails
    report: float = 0.0  # waiting until the driver and the study had taken a result
    probe: float = 0.0  # probing the network at a trial's end
    lost: float = 0.0  # work without a result: the process died, the trial raised, or the sweep was stopped

    def __add__(self, other: "Spent") -> "Spent":
        """Return the sum by part."""
        return Spent(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Spent") -> "Spent":
        """Return the difference by part, at least 0."""
        return Spent(*(max(0.0, a - b) for a, b in zip(astuple(self), astuple(other), strict=True)))

    def at_least(self, other: "Spent") -> "Spent":
        """Return the larger value of each part, for two accounts of the same time."""
        return Spent(*map(max, astuple(self), astuple(other)))

    @property
    def total(self) -> float:
        """The sum of all parts, in seconds."""
        return float(sum(astuple(self)))

    def row(self) -> dict[str, float]:
        """Return the seconds by part, rounded to milliseconds, as a study keeps them."""
        return {part: round(seconds, 3) for part, seconds in asdict(self).items()}


NOTHING = Spent()


@dataclass(frozen=True, slots=True)
class Goodput:
    """How a sweep's workers spent their time."""

    seconds: Mapping[str, float]  # by part, `training` (epochs that count) first; the sum is the workers' time
    trials: int  # number of trials that had ended
    at_ms: int  # when the latest part was measured
    epochs: int | None = None  # epochs that count, over all windows; None if an earlier version has ended a trial

    @property
    def worker_s(self) -> float:
        """The workers' time, in seconds."""
        return math.fsum(self.seconds.values())

    @property
    def shares(self) -> dict[str, float]:
        """Each part's share of the workers' time, 0 to 1."""
        return {part: seconds / self.worker_s for part, seconds in self.seconds.items()}

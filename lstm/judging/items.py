"""What was judged, item by item: windows, sequences, or characters; and how items that are alike go together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lstm.records.epoch import Judged

MOST_ALIKE = 0.45  # a moving average of the first order ends at one half
PARTS: tuple[Judged, ...] = ("validation", "test")  # what is judged, in this order


@dataclass(frozen=True, slots=True)
class Items:
    """What one network or rival did on a part of the data, item by item."""

    part: Judged
    name: str  # "trial 3", "base", or a rival's name: "ridge", "seasonal naive"
    places: np.ndarray  # (item,) int64, rising: the origin's row, the sequence's number, the symbol's place
    weights: np.ndarray  # (item,) float64: how many values each item's mean was taken over; 0 = not judged
    errors: Mapping[str, np.ndarray]  # by metric without the part: (item,) float64, means; NaN at weight 0

    def mean(self, metric: str) -> float:
        """The mean over the items by their weights, as the task's own metric is; NaN where none was judged."""
        judged = self.weights > 0
        if not judged.any():
            return float("nan")
        weights = self.weights[judged]
        return float(np.dot(weights, self.errors[metric][judged]) / weights.sum())


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well one did on a part: item by item, and in the metrics of the task, named without the part."""

    items: Items
    metrics: Mapping[str, float]  # with those that are no mean over items, as rmse is


@dataclass(frozen=True, slots=True)
class Blocks:
    """What makes a block, in steps of the items' places."""

    length: int = 1  # horizon + season; 1 for sequences, a stretch for texts
    overlap: int = 1  # steps that an item was judged over, the horizon: neighbours share all but one of them

    @classmethod
    def of_windows(cls, horizon: int, season: int) -> "Blocks":
        """Those of a forecast: a window of errors and a season beside it."""
        return cls(horizon + season, horizon)

    @property
    def alike(self) -> float:
        """The correlation of neighbouring blocks' means when items are moving averages over the overlap.

        With h the overlap and L the length, the sums of autocovariances h - |k| over one block and over two.
        """
        shared = self.overlap**2 - 1
        return min(shared / (6 * self.length * self.overlap - 2 * shared), MOST_ALIKE)

"""What was judged, item by item: windows, sequences, or characters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lstm.records.epoch import Judged

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

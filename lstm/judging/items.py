"""Results item by item (windows, sequences or symbols), and the blocks into which correlated items are grouped."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lstm.judging.corpus import rule
from lstm.records.epoch import Judged

MOST_ALIKE = 0.45  # largest correlation of neighbouring blocks; a first-order moving average has at most one half
PARTS: tuple[Judged, ...] = ("validation", "test")  # the parts that are judged, in this order


@dataclass(frozen=True, slots=True)
class Items:
    """The results of one network or rival on a part of the data, item by item."""

    part: Judged
    name: str  # "trial 3", "base", or a rival's name: "ridge", "seasonal naive"
    places: np.ndarray  # (item,) int64, increasing: the origin's row, the sequence's number, the symbol's place
    weights: np.ndarray  # (item,) float64: the number of values in each item's mean; 0 = not judged
    errors: Mapping[str, np.ndarray]  # by metric without the part: (item,) float64, means; NaN at weight 0
    # By metric that is no mean over items: (item, statistic) float64; `corpus.rule` computes the metric from sums.
    sums: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def metrics(self) -> set[str]:
        """The metrics that are known for any selection of the items."""
        return {*self.errors, *self.sums}

    def mean(self, metric: str) -> float:
        """Return a metric over the items as the task has it; NaN if none was judged.

        It is the weighted mean of the items' errors, or what the metric's rule computes from the sums over the items.
        """
        judged = self.weights > 0
        if not judged.any():
            return float("nan")
        if metric in self.sums:
            return float(rule(metric)(self.sums[metric][judged].sum(axis=0)))
        weights = self.weights[judged]
        return float(np.dot(weights, self.errors[metric][judged]) / weights.sum())


@dataclass(frozen=True, slots=True)
class Judgement:
    """The results of one network or rival on a part: items, and the task's metrics, named without the part."""

    items: Items
    metrics: Mapping[str, float]  # also the metrics that are not a mean over items, such as rmse


@dataclass(frozen=True, slots=True)
class Blocks:
    """The size of the blocks into which items are grouped, in steps of the items' places."""

    length: int = 1  # horizon + season for windows, 1 for sequences, a stretch for texts
    overlap: int = 1  # steps that one item was judged over, the horizon: neighbours share all but one of them

    @classmethod
    def of_windows(cls, horizon: int, season: int) -> "Blocks":
        """Return the blocks of a forecast: horizon + season steps each."""
        return cls(horizon + season, horizon)

    @property
    def alike(self) -> float:
        """The correlation of neighbouring blocks' means if items are moving averages over the overlap.

        With h the overlap and L the length, it follows from the sums of the autocovariances h - |k| over one block and
        over two blocks. At most `MOST_ALIKE`.
        """
        shared = self.overlap**2 - 1
        return min(shared / (6 * self.length * self.overlap - 2 * shared), MOST_ALIKE)

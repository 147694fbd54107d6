"""Compares a network with another on the same items: the difference of their errors and its 95 % interval.

The interval is Student's t over the means of blocks of horizon + season steps that do not overlap. The alternative was
a HAC interval with fixed-b critical values (Kiefer and Vogelsang 2005, bandwidth half of the sample). In simulations
without a difference (`tests/bench/intervals.py`, table in `tests/bench/intervals.csv`) with five blocks or more, our
interval says "better" in 1.3 to 2.7 % of the cases, HAC in 2.2 to 4.0 %. From 14 blocks on, our interval is as long or
up to a seventh shorter; with five blocks it is a fifth to a quarter longer. It stays valid if the spread differs from
block to block (Ibragimov and Müller 2010), can be checked with pencil and paper, and is the same for windows, sequences
and texts.

There is one addition. The first windows of a block share steps with the last windows of the block before it, so the
means of neighbours are correlated, and plain t says "better" in up to 5.1 % of the cases. The variance is therefore
that of a first-order moving average. The correlation of neighbours is the one that the overlap causes (`Blocks.alike`),
or the one that the blocks themselves show if it is larger, as with an error that drifts for about as long as a block.
An error that drifts over several blocks is not covered: any interval from so few blocks is then too short.

A percentage is relative to the rival's error, which is estimated as well. Its interval is Fieller's (1954) on the
blocks' means. It excludes zero exactly if the interval of the plain difference does.

A metric that is no mean over items, such as BLEU, is compared by the paired bootstrap (`lstm/verdict/bootstrap.py`).
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from lstm.judging.corpus import rule
from lstm.judging.items import MOST_ALIKE, Blocks, Items
from lstm.records.objective import POINTS, Direction
from lstm.verdict import bootstrap

LEAST = 5  # least number of blocks for an interval
LEVEL = 0.95
THIN = 0.5  # share of the heaviest block's weight; a block with less is joined with its neighbour
Unit = Literal["%", "points", "metric"]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better a network is than another: above 0 if it is better, for either direction of the metric."""

    metric: str  # a mean over items
    unit: Unit  # % of the other's error; points if higher is better; else the metric's own unit
    value: float | None  # None if one of the two has no finite figure
    low: float | None = None
    high: float | None = None
    blocks: int = 0
    length: int = 1  # steps of a block
    why: str = ""  # why there is no interval, or no percentage
    left_out: int = 0  # items that one of the two was not judged on

    @property
    def answer(self) -> Literal["better", "worse", "alike", "unknown"]:
        """The answer by the interval; "unknown" without one."""
        if self.low is None or self.high is None:
            return "unknown"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "alike"


def compare(
    network: Items,
    other: Items,
    metric: str,
    direction: Direction,
    blocks: Blocks,
    least: float = 0.0,
    points: float = POINTS,
) -> Difference:
    """Compute how much better a network is than another, over the items on which both were judged.

    Args:
        network: The items of the network.
        other: The items of the network or rival that it is compared with, on the same part.
        metric: The metric without its part; both have it by item.
        direction: The metric's direction.
        blocks: The size of the blocks.
        least: If the other's error is not above this, the difference is in the metric's unit and not a percentage.
        points: How many points a value of 1 is, for a metric to maximize.

    Raises:
        ValueError: the items are of different parts, or an item has different weights in the two.
    """
    if metric in network.sums and metric in other.sums:
        return _of_sums(network, other, metric, direction, blocks, least, points)
    places, weights, ours, theirs, left_out = _paired(network, other, metric)
    unit: Unit = "%" if direction == "minimize" else "points"
    if not (len(places) and np.isfinite(ours).all() and np.isfinite(theirs).all()):
        why = "no item was judged for both" if not len(places) else "a figure is not a finite number"
        return Difference(metric, unit, None, length=blocks.length, why=why, left_out=left_out)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = _Sums.over(places, weights, ours, theirs, blocks)
        gain = sums.gain(unit, least, points)
    if not np.isfinite(gain.value):
        why = "a figure is not a finite number"
        return Difference(metric, unit, None, length=blocks.length, why=why, left_out=left_out)
    few = f"{sums.count} independent blocks of {blocks.length:,} steps, {LEAST} are needed"
    why = few if sums.count < LEAST else gain.why
    return Difference(
        metric, gain.unit, gain.value, gain.low, gain.high, sums.count, blocks.length, why, left_out=left_out
    )


def _of_sums(
    network: Items, other: Items, metric: str, direction: Direction, blocks: Blocks, least: float, points: float
) -> Difference:
    """Compute how much better a network is by a metric that is computed from sums over the items."""
    places, weights, one, two, left_out = _in_both(network, other)
    unit: Unit = "%" if direction == "minimize" else "points"
    told = {"length": blocks.length, "left_out": left_out}
    if not len(places):
        return Difference(metric, unit, None, why="no item was judged for both", **told)
    starts, figure = block_starts(places, weights, blocks.length), rule(metric)
    ours, theirs = (bootstrap.grouped(each, starts) for each in (network.sums[metric][one], other.sums[metric][two]))
    counted = (ours != 0).any(axis=1) | (theirs != 0).any(axis=1)  # only some items may count in this metric
    ours, theirs = ours[counted], theirs[counted]
    mine, others = float(figure(ours.sum(axis=0))), float(figure(theirs.sum(axis=0)))
    why = ""
    if unit == "%" and not others > least:
        unit, why = "metric", "the other's error is nearly 0" if others > 0 else "the other's error is 0"

    def gain(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.asarray(theirs - ours if direction == "minimize" else points * (ours - theirs))
        return 100 * found / theirs if unit == "%" else found

    value = float(gain(np.array(mine), np.array(others)))
    if not np.isfinite(value):
        return Difference(metric, unit, None, why="a figure is not a finite number", **told)
    if len(ours) < bootstrap.LEAST:
        few = f"{len(ours)} independent {'items' if blocks.length == 1 else 'blocks'}, {bootstrap.LEAST} are needed"
        return Difference(metric, unit, value, blocks=len(ours), why=few, **told)
    found = bootstrap.ends(gain(*bootstrap.differences(ours, theirs, figure)), len(ours), LEVEL)
    if found is None:
        return Difference(metric, unit, value, blocks=len(ours), why="a draw of items has no finite figure", **told)
    return Difference(metric, unit, value, *found, len(ours), why=why, **told)


def _paired(network: Items, other: Items, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Return places, weights and both errors of the items on which both were judged, and how many one of them lacks."""
    places, weights, one, two, left_out = _in_both(network, other)
    return places, weights, network.errors[metric][one], other.errors[metric][two], left_out


def _in_both(network: Items, other: Items) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Return places and weights of the items on which both were judged, where each has them, and how many one lacks."""
    if network.part != other.part:
        raise ValueError(f"{network.name} was judged on {network.part}, {other.name} on {other.part}")
    mine, theirs = network.weights > 0, other.weights > 0
    places, one, two = np.intersect1d(
        network.places[mine], other.places[theirs], assume_unique=True, return_indices=True
    )
    one, two = np.flatnonzero(mine)[one], np.flatnonzero(theirs)[two]
    weights = network.weights[one]
    if not np.array_equal(weights, other.weights[two]):
        raise ValueError(f"{network.name} and {other.name} were judged on other values of the same items")
    left_out = int(mine.sum() + theirs.sum() - 2 * len(places))
    return places, weights, one, two, left_out


@dataclass(frozen=True, slots=True)
class _Gain:
    unit: Unit
    value: float
    low: float | None = None
    high: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Sums:
    """The weights and the weighted errors of all blocks, and the computation of the gain."""

    weights: np.ndarray  # (block,)
    ours: np.ndarray  # (block,) sums of weighted errors
    theirs: np.ndarray  # (block,) sums of weighted errors
    count: int  # number of blocks; 0 if all items together are shorter than one block
    alike: float  # least correlation of neighbouring blocks

    @classmethod
    def over(
        cls, places: np.ndarray, weights: np.ndarray, ours: np.ndarray, theirs: np.ndarray, blocks: Blocks
    ) -> "_Sums":
        """Return the sums of items that are in the order of their places."""
        starts = block_starts(places, weights, blocks.length)
        return cls(
            np.add.reduceat(weights, starts),
            np.add.reduceat(weights * ours, starts),
            np.add.reduceat(weights * theirs, starts),
            len(starts) if places[-1] - places[0] + 1 >= blocks.length else 0,
            blocks.alike,
        )

    def gain(self, unit: Unit, least: float = 0.0, points: float = POINTS) -> _Gain:
        """Return the gain in `unit`, or in the metric's own unit if the other's error is, or may be, nearly 0."""
        total = self.weights.sum()
        ours, theirs = float(self.ours.sum() / total), float(self.theirs.sum() / total)
        half = self._half()
        if unit == "points":
            return _around("points", points * (ours - theirs), None if half is None else points * half)
        if not theirs > least:
            why = "the other's error is nearly 0" if theirs > 0 else "the other's error is 0"
            return _around("metric", theirs - ours, half, why)
        value = 100 * (1 - ours / theirs)
        if half is None or not np.isfinite(value):
            return _Gain("%", value)
        if (ratios := self._ratios(ours / theirs, theirs)) is not None:
            return _Gain("%", value, 100 * (1 - ratios[1]), 100 * (1 - ratios[0]))
        return _around(
            "metric", theirs - ours, half, "the other's error varies too much between blocks for a percentage"
        )

    def _ratios(self, ratio: float, theirs: float) -> tuple[float, float] | None:
        """Return the ends of Fieller's interval of a ratio of means; None if the denominator may be 0."""
        mine, other = self._rest(self.ours) / theirs, self._rest(self.theirs) / theirs
        factor = self._factor(mine - other)
        a = 1 - factor * float(np.dot(other, other))
        b = ratio - factor * float(np.dot(mine, other))
        c = ratio**2 - factor * float(np.dot(mine, mine))
        if a <= 0:
            return None
        root = max(b * b - a * c, 0.0) ** 0.5
        return (b - root) / a, (b + root) / a

    def _half(self) -> float | None:
        """Return half the width of the plain difference's interval; None with too few blocks."""
        if self.count < LEAST:
            return None
        rest = self._rest(self.ours - self.theirs)
        return float(np.sqrt(self._factor(rest) * np.dot(rest, rest)))

    def _rest(self, sums: np.ndarray) -> np.ndarray:
        """Return the deviation of each block's sum from its weight times the mean, divided by the total weight."""
        total = self.weights.sum()
        rest: np.ndarray = (sums - self.weights * (sums.sum() / total)) / total
        return rest

    def _factor(self, rest: np.ndarray) -> float:
        """Return the factor on the sum of squared deviations: t squared, widened by the correlation of neighbours."""
        t, squares = students_t(self.count - 1), float(np.dot(rest, rest))
        seen = float(np.dot(rest[1:], rest[:-1])) / squares + 1 / self.count if squares > 0 else 0.0
        alike = float(np.clip(seen, self.alike, MOST_ALIKE))
        # The variance of the mean of a first-order moving average, divided by its estimate from the squares.
        wider = (1 + 2 * alike * (self.count - 1) / self.count) / (1 - 2 * alike / self.count)
        return t * t * self.count / (self.count - 1) * wider


@cache
def students_t(freedom: int, comparisons: int = 1) -> float:
    """Return how many standard errors half an interval is, by Student's t; Bonferroni's for several comparisons."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - (1 - LEVEL) / 2 / comparisons))


def _around(unit: Unit, value: float, half: float | None, why: str = "") -> _Gain:
    return _Gain(unit, value, why=why) if half is None else _Gain(unit, value, value - half, value + half, why)


def block_starts(places: np.ndarray, weights: np.ndarray, length: int) -> np.ndarray:
    """Return the index of each block's first item, (block,), for items in the order of their places.

    The places from the first to the last are cut into as many equal stretches of at least `length` steps as possible,
    so nothing is left over. t gives every block the same weight. A stretch with less than half of the heaviest
    stretch's weight, for example next to a gap in the data, is therefore joined with the next one, or at the end with
    the one before it.
    """
    span = int(places[-1] - places[0]) + 1
    stretch = (places - places[0]).astype(np.int64) * max(span // length, 1) // span
    first = np.flatnonzero(np.diff(stretch, prepend=-1))
    weight = np.add.reduceat(weights, first)
    least, starts, filled = THIN * weight.max(), [], 0.0
    for start, more in zip(first.tolist(), weight.tolist(), strict=True):
        if filled == 0:
            starts.append(start)
        filled = filled + more if filled + more < least else 0.0
    return np.array(starts[:-1] if filled and len(starts) > 1 else starts)

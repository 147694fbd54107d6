"""The windows of a backtest: a trial's value over them, and the steps under which Optuna knows them.

A trial without a backtest has one window. The epochs of the first window are steps 1, 2, ... of Optuna. A later window
`k` is one step, `longest + k - 1`, the same in every trial; its value is the mean over the windows so far, each at its
own best epoch. After the last window, the best trial and the base are trained once more on everything before the test
part: these epochs have the number of windows + 1 as their window, and are no steps.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from lstm.records.epoch import Epoch, Place, best_epoch
from lstm.records.objective import Direction

FACT = "windows"  # the study's fact about its windows; a study without a backtest has none


class Result(NamedTuple):
    """The result of a trial over its windows."""

    value: float | None  # None: no epoch had a finite value, or the trial ended before its last window
    best_epochs: tuple[int, ...]  # of each window that was begun; 0 if no epoch was finite

    @property
    def epochs(self) -> int:
        """The median of the best epochs, a half rounded up: how long the training before the test part lasts."""
        return math.floor(median(self.best_epochs) + 0.5)


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows that the trials of a sweep are judged on."""

    count: int = 1
    longest: int = 0  # the most epochs that a trial may have in one window
    refit: bool = True  # whether each window is trained anew

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Windows":
        """Return the windows of a study by its facts."""
        return cls(**facts.get(FACT, {}))

    def facts(self) -> dict[str, Any]:
        """Return what a study remembers; empty without a backtest."""
        row = {"count": self.count, "longest": self.longest, "refit": self.refit}
        return {FACT: row} if self.count > 1 else {}

    def is_over(self, epoch: Epoch) -> bool:
        """Return whether the search trains a trial no further after an epoch."""
        return epoch.stop is not None and (epoch.stop == "diverged" or epoch.window >= self.count)

    def is_final(self, epoch: Epoch) -> bool:
        """Return whether an epoch belongs to the training before the test part."""
        return epoch.window > self.count

    def of_weights(self, epoch: Epoch) -> int:
        """Return the window that the best weights after an epoch are of.

        Until its last epoch, the training before the test part keeps those of the last window.
        """
        return self.count if self.is_final(epoch) and epoch.stop is None else epoch.window

    def judged(self, history: Iterable[Epoch]) -> list[Epoch]:
        """Return the epochs of the windows, without the training before the test part."""
        return [epoch for epoch in history if not self.is_final(epoch)]

    def bests(self, history: Iterable[Epoch], direction: Direction) -> list[Epoch | None]:
        """Return the best epoch of each window that was begun."""
        by_window = _by_window(self.judged(history))
        return [best_epoch(by_window[window], direction) for window in sorted(by_window)]

    def result(self, history: Iterable[Epoch], direction: Direction) -> Result:
        """Return a trial's value, the mean over all its windows, and the best epoch of each."""
        epochs = self.judged(history)
        bests = self.bests(epochs, direction)
        numbers = tuple(best.number if best else 0 for best in bests) or (0,)
        if self.count == 1:
            return Result(bests[0].value if bests and bests[0] else None, numbers)
        means = _means(epochs, direction)
        return Result(means.get(self.count), numbers)

    def steps(self, history: Iterable[Epoch], direction: Direction) -> list[tuple[int, float]]:
        """Return the steps of Optuna and their values, in order."""
        epochs = self.judged(history)
        first = [(epoch.number, epoch.value) for epoch in epochs if epoch.window == 1]
        if self.count == 1:
            return first
        later = {window: mean for window, mean in _means(epochs, direction).items() if window > 1}
        return [*first, *((self.longest + window - 1, mean) for window, mean in later.items())]

    def named(self, place: Place) -> dict[str, int]:
        """Return a place as the columns of a table; without a backtest there is no column `window`."""
        return ({"window": place.window} if self.count > 1 else {}) | {"epoch": place.epoch}

    def epochs(self, best_epochs: Sequence[int]) -> dict[str, list[int]]:
        """Return the best epoch of each window as plain data; without a backtest nothing."""
        return {"epochs": list(best_epochs)} if self.count > 1 else {}

    def window_of(self, step: int) -> int:
        """Return the window that a step of Optuna belongs to."""
        return 1 if self.count == 1 or step <= self.longest else step - self.longest + 1

    def is_whole(self, history: Sequence[Epoch], last: Place) -> bool:
        """Return whether no epoch is missing in a history that ends with the epoch at `last`."""
        if not history:
            return last.epoch == 0
        by_window = _by_window(history)
        if [epoch.place for epoch in history] != sorted({epoch.place for epoch in history}):
            return False
        if sorted(by_window) != list(range(1, len(by_window) + 1)) or history[-1].place != last:
            return False
        if any(epochs[-1].stop in (None, "diverged") for window, epochs in by_window.items() if window < last.window):
            return False
        return all(
            [epoch.number for epoch in epochs] == list(range(1, len(epochs) + 1))
            for window, epochs in by_window.items()
            if window == 1 or self.refit or window > self.count
        )


def mean(values: Sequence[float]) -> float:
    """Return the mean over windows: each counts as one, however many forecasts it has."""
    return math.fsum(values) / len(values)


def mean_metrics(some: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over windows."""
    return {name: mean([each[name] for each in some]) for name in some[0]}


def _by_window(history: Iterable[Epoch]) -> dict[int, list[Epoch]]:
    found: dict[int, list[Epoch]] = {}
    for epoch in history:
        found.setdefault(epoch.window, []).append(epoch)
    return found


def _means(epochs: Iterable[Epoch], direction: Direction) -> dict[int, float]:
    """Return, for each window that has ended, the mean over the windows up to it, each at its best epoch."""
    found, values = dict[int, float](), list[float]()
    for window, some in sorted(_by_window(epochs).items()):
        best = best_epoch(some, direction)
        if best is None or some[-1].stop in (None, "diverged"):
            break
        values.append(best.value)
        found[window] = mean(values)
    return found

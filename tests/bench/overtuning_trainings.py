"""What `overtuning_curves.py` records: the trainings of a table, over windows, placements of the test part and seeds.

What the rows of a table are for is in the docstring there.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from curves import TABLES, Cell, Table

from cluster.space import suggest
from lstm.config.forecast import ForecastData, Split
from lstm.config.shared.backtest import SeriesBacktest
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.data.forecast import Series
from lstm.records.epoch import Judged
from lstm.tasks import registry as tasks
from lstm.training.loop import train

CELLS, SEEDS, WINDOWS, PLACEMENTS = 96, (1, 2, 3), 4, 4
Curves = Mapping[str, tuple[float, ...]]  # by stretch, the loss after each epoch
Span = tuple[int, int]  # rows, the end not included


class Unit(NamedTuple):
    """What is trained together: a cell from one seed."""

    cell: Cell
    seed: int


class Diverged(Exception):
    """A training has diverged; no replay knows of such a cell."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows of a table with windows."""

    first: int  # of the first window
    step: int  # rows of a window, and of a placement of the test part

    @property
    def test(self) -> int:
        """The first row of the test part."""
        return self.first + WINDOWS * self.step

    @property
    def rows(self) -> int:
        """The number of rows of the whole table."""
        return self.test + PLACEMENTS * self.step

    def windows(self) -> Iterator[tuple[int, dict[str, Span]]]:
        """Yield each border before the test part, with the stretches that are judged by a training before it."""
        for place in range(WINDOWS):
            border = self.first + place * self.step
            stretches = {f"window {place}": (border, border + self.step)}
            if place == 0:
                stretches |= {"plain": (border, self.test), "plain test": (self.test, self.rows)}
            yield border, stretches

    def placements(self) -> Iterator[tuple[int, dict[str, Span]]]:
        """Yield the same for the placements of the test part."""
        for place in range(PLACEMENTS):
            border = self.test + place * self.step
            yield border, {f"test {place}": (border, border + self.step)}


# co2: the parts of co2_confirmed.yaml, a fifth each. sunspots: those of front.yaml.
LAYOUTS: Mapping[str, Layout | None] = {
    "sunspots": Layout(first=189, step=15),
    "co2": Layout(first=1372, step=114),
    "seattle": None,
    "digits": None,
}


def ended(values: Sequence[float], patience: int | None, most: int) -> int | None:
    """Return after how many epochs a training ends, as `lstm.training.loop` has it; None if it goes on."""
    best = 0
    for number, value in enumerate(values, 1):
        if best == 0 or value < values[best - 1]:
            best = number
        if (patience is not None and number - best >= patience) or number == most:
            return number
    return None


@dataclass(frozen=True)
class Recorder:
    """The trainings of one table."""

    table: Table
    layout: Layout | None
    cells: int = CELLS
    seeds: Sequence[int] = SEEDS

    @classmethod
    def of(cls, name: str) -> "Recorder":
        """Return the recorder of a table."""
        return cls(TABLES[name], LAYOUTS[name])

    @cached_property
    def wanted(self) -> list[Cell]:
        """The cells in the order of the work: the base's, those of the first settings, then others at random."""
        table = self.table
        given = [table.start, *({**table.start, **first} for first in table.search.first_settings)]
        drawn = np.random.default_rng(17).permutation(len(table.cells)).tolist()
        ordered = [*map(table.cell, given), *(table.cells[place] for place in drawn)]
        return list(dict.fromkeys(ordered))[: self.cells]

    @property
    def units(self) -> list[Unit]:
        """All units in the order of the work."""
        return [Unit(cell, seed) for cell in self.wanted for seed in self.seeds]

    @property
    def patience(self) -> int | None:
        """The spec's patience, in epochs."""
        return self.table.base.training.patience

    @property
    def most(self) -> int:
        """The most epochs of a training."""
        return self.table.base.training.max_epochs

    @cached_property
    def digest(self) -> str:
        """A digest of all that decides what is recorded, but for the code and the libraries."""
        base = self.table.base.model_dump(mode="json", exclude_defaults=True)  # a later field changes nothing
        rows = [base, str(self.layout), self.table.levels, self.wanted, self.seeds, self.data.fingerprint]
        return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def data(self) -> Dataset:
        """The data, for all cells."""
        base = self.table.base
        if self.layout is not None:
            base = base.model_copy(update={"data": self._section(base.data_as(ForecastData))})
        reach = max(self.config(Unit(cell, 1)).data.reach for cell in self.table.cells)
        found = tasks.load(base, self.table.loaded.location, reach)
        assert not isinstance(found, Series) or self.layout is None or len(found.values) == self.layout.rows
        return found

    def _section(self, section: ForecastData) -> ForecastData:
        """Return the section with a window at each border, so that no filled-in value knows of rows after one."""
        assert self.layout is not None
        first, rows, step = self.layout.first, self.layout.rows, self.layout.step
        split = Split(train=first, validation=rows - first - step, test=step)
        backtest = SeriesBacktest(windows=(rows - first) // step - 1, length=step)
        return section.model_copy(update={"split": split, "backtest": backtest})

    def config(self, unit: Unit) -> TrialConfig:
        """Return what is trained, without patience: several curves decide when it ends."""
        found = suggest.resolve(self.table.base, dict(zip(self.table.levels, unit.cell, strict=True)))
        training = found.training.model_copy(update={"patience": None, "seed": unit.seed})
        return found.model_copy(update={"training": training})

    def curves(self, unit: Unit) -> Curves:
        """Train a unit.

        Raises:
            Diverged: a training diverged.
        """
        config, data, layout = self.config(unit), self.data, self.layout
        if layout is None:
            return self._trained(config, {"plain": data, "plain test": data}, self._is_judged)
        assert isinstance(data, Series)
        found = dict[str, tuple[float, ...]]()
        for border, stretches in layout.windows():
            found |= self._trained(config, _cut(data, border, stretches), self._is_judged)
        most = max(epochs_of(found, way, self.patience, self.most) for way in WAYS)
        for border, stretches in layout.placements():
            found |= self._trained(config, _cut(data, border, stretches), lambda so_far: _longest(so_far) >= most)
        return found

    def _is_judged(self, so_far: Mapping[str, Sequence[float]]) -> bool:
        """Return whether no curve of a search goes on."""
        searched = [values for name, values in so_far.items() if not name.endswith("test")]
        return all(ended(values, self.patience, self.most) is not None for values in searched)

    def _trained(
        self, config: TrialConfig, stretches: Mapping[str, Dataset], is_over: Callable[[Mapping[str, Any]], bool]
    ) -> Curves:
        """Train on the training part of the first stretch; judge each epoch on the validation part of each stretch.

        The stretch `plain test` of data without windows is their test part.
        """
        (first, data), *others = stretches.items()
        task = tasks.of(config)
        network = task.network(config, task.facts(data))
        feeds = {name: task.feed(of, config, "cpu") for name, of in others}
        part: Judged = "test" if self.layout is None else "validation"
        values: dict[str, list[float]] = {name: [] for name in stretches}
        for epoch in train(config, data):
            assert epoch.state is not None
            values[first].append(epoch.value)
            if others:
                network.load_state_dict(dict(epoch.state.model))
            for name, feed in feeds.items():
                values[name].append(feed.evaluate(network, part)["loss"])
            if not all(math.isfinite(some[-1]) for some in values.values()):
                raise Diverged
            if is_over(values):
                break
        return {name: tuple(some) for name, some in values.items()}


def _cut(series: Series, border: int, stretches: Mapping[str, Span]) -> dict[str, Dataset]:
    """Return the series for each stretch: trained on all before the border, judged on the stretch."""
    start, found = series.bounds["train"][0], dict[str, Dataset]()
    for name, span in stretches.items():
        found[name] = replace(
            series, bounds={"train": (start, border), "validation": span, "test": span}, windows=(), fresh=()
        )
    return found


def _longest(so_far: Mapping[str, Sequence[float]]) -> int:
    return max(map(len, so_far.values()))


# How a trial may be judged: the stretches whose mean is its value. `early` and `fresh` are the windows of a backtest
# that sets as many aside as the search has.
WAYS: Mapping[str, tuple[str, ...]] = {
    "plain": ("plain",),
    "windows": tuple(f"window {place}" for place in range(WINDOWS)),
    "early": tuple(f"window {place}" for place in range(WINDOWS // 2)),
    "fresh": tuple(f"window {place}" for place in range(WINDOWS // 2, WINDOWS)),
}


def is_of_test(name: str, layout: Layout | None) -> bool:
    """Return whether a setting is judged on a stretch in the end."""
    return name == "plain test" if layout is None else name.startswith("test ")


def epochs_of(curves: Curves, way: str, patience: int | None, most: int) -> int:
    """Return the epochs of the training before the test part: the median of the best ones, a half rounded up."""
    bests = list[int]()
    for name in WAYS[way]:
        values = curves[name][: ended(curves[name], patience, most)]
        bests.append(values.index(min(values)) + 1)
    return math.floor(median(bests) + 0.5)

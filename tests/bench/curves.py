"""Tables of learning curves, recorded once by our own trainer, so that a search can be replayed without training.

    python tests/bench/curves.py co2 --minutes 4        # again until it says that all are there

A table is a shipped spec whose space is cut into cells: each searched parameter has a few levels, and every
combination of them was trained for `max_epochs` without patience. A suggestion gets the curve of the cell that it
lies in, so to a search the recorded objective is one of the same parameters, constant within a cell. Beside each
epoch's objective stands the same metric on the test part, by that epoch's weights; no search sees it.
"""

import argparse
import csv
import gzip
import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import torch

from cluster.config import CategoricalDimension, SearchConfig
from cluster.space import suggest
from experiments.spec import loader as spec_file
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch
from lstm.records.objective import Scalar
from lstm.tasks import registry as tasks
from lstm.training.loop import train

HERE = Path(__file__).parent
SPECS = HERE.parents[1] / "experiments"
# The sampler's own default, as the peer's: the specs' fewer are for their few trials, and a replay has many.
STARTUP = "search.sampler.n_startup_trials=10"
Cell = tuple[Scalar, ...]  # a level of each parameter


@dataclass(frozen=True, slots=True)
class Curve:
    """What a configuration's training was."""

    epoch_s: float  # the median epoch's
    values: tuple[float, ...]  # val/loss by epoch, from 1
    test: tuple[float, ...]  # the test part's, of the same epochs


@dataclass(frozen=True)
class Table:
    """A spec and the levels of what is searched in it; parameters that have none stay at the base."""

    name: str
    spec: str
    overrides: tuple[str, ...]
    levels: Mapping[str, Sequence[Scalar]]

    @cached_property
    def loaded(self) -> spec_file.Spec:
        """The spec as it is shipped, but for the overrides."""
        return spec_file.load(SPECS / self.spec, (*self.overrides, STARTUP), {})

    @cached_property
    def base(self) -> TrialConfig:
        """The base configuration."""
        return self.loaded.experiment.base

    @cached_property
    def search(self) -> SearchConfig:
        """The spec's own search, its first settings too, over those parameters that have levels."""
        search = self.loaded.experiment.search
        assert search is not None
        first = [{path: value for path, value in each.items() if path in self.levels} for each in search.first]
        return search.model_copy(update={"space": {path: search.space[path] for path in self.levels}, "first": first})

    @cached_property
    def start(self) -> dict[str, Scalar]:
        """The base's own settings of the parameters that have levels."""
        tree = self.base.model_dump()
        return {path: tree[section][field] for path in self.levels for section, field in [path.split(".")]}

    @property
    def cells(self) -> list[Cell]:
        """Every combination of levels."""
        return list(itertools.product(*self.levels.values()))

    def cell(self, settings: Mapping[str, Scalar]) -> Cell:
        """The cell that settings lie in."""
        return tuple(self._level(path, settings[path]) for path in self.levels)

    def _level(self, path: str, value: Scalar) -> Scalar:
        dimension, levels = self.search.space[path], self.levels[path]
        if isinstance(dimension, CategoricalDimension):
            return value
        scale = math.log if dimension.log else float
        inside = min(max(float(value), dimension.low), dimension.high)  # a base may lie outside
        return min(levels, key=lambda level: abs(scale(level) - scale(inside)))  # type: ignore[arg-type] # numbers

    @cached_property
    def curves(self) -> dict[Cell, Curve]:
        """What was recorded, by cell."""
        if not self._path.exists():
            return {}
        with gzip.open(self._path, "rt", newline="") as file:
            rows = list(csv.reader(file))[1:]
        known = {tuple(str(level) for level in cell): cell for cell in self.cells}
        count, epochs = len(self.levels), self.base.training.max_epochs
        curves = dict[Cell, Curve]()
        for row in rows:
            numbers = tuple(map(float, row[count:]))
            curves[known[tuple(row[:count])]] = Curve(numbers[0], numbers[1 : epochs + 1], numbers[epochs + 1 :])
        return curves

    def write(self, curves: Mapping[Cell, Curve]) -> None:
        """Replaces what was recorded."""
        epochs = range(1, self.base.training.max_epochs + 1)
        head = [*self.levels, "epoch_s", *epochs, *(f"test {epoch}" for epoch in epochs)]
        rows = [[*cell, f"{c.epoch_s:.4f}", *(f"{v:.5g}" for v in c.values + c.test)] for cell, c in curves.items()]
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped:
            zipped.write("".join(",".join(map(str, row)) + "\n" for row in [head, *rows]).encode())
        fresh.replace(self._path)

    @property
    def _path(self) -> Path:
        return HERE / "curves" / f"{self.name}.csv.gz"


def _spread(low: float, high: float, count: int, digits: int = 3) -> tuple[float, ...]:
    """The middles of cells of one width on a logarithmic scale."""
    width = math.log(high / low) / count
    return tuple(float(f"{low * math.exp((i + 0.5) * width):.{digits}g}") for i in range(count))


def _sizes(low: int, high: int, count: int) -> tuple[int, ...]:
    return tuple(round(value) for value in _spread(low, high, count))


TABLES = {
    table.name: table
    for table in (
        Table(
            "co2",
            "co2.yaml",
            (
                "data.lookback=78",  # the spec's own are longer
                "search.space.data.lookback.high=78",
                "search.space.model.residual.choices=[none, last]",  # as it was when first recorded
                "data.split.test=0.15",  # likewise
                "search.first.0.data.lookback=78",
                "search.first.1.data.lookback=78",
            ),
            {
                "data.lookback": (26, 52, 78),
                "model.hidden_size": _sizes(16, 64, 3),
                "model.residual": ("none", "last"),
                "model.normalization": ("none", "window"),
                "training.learning_rate": _spread(3e-4, 3e-2, 8),
            },
        ),
        Table(
            "seattle",
            "weather.yaml",
            ("search.metric=val/loss", "training.max_epochs=16"),
            {
                "data.lookback": (7, 14, 21, 28),
                "model.hidden_size": _sizes(8, 32, 3),
                "model.residual": ("none", "last"),
                "training.learning_rate": _spread(5e-4, 2e-2, 6),
                "training.weight_decay": _spread(1e-4, 0.3, 3),
            },
        ),
        Table(
            "digits",
            "digits.yaml",
            (
                "search.metric=val/loss",
                "search.direction=minimize",
                "training.max_epochs=12",
                "search.pruner.min_resource=3",
            ),
            {
                "model.hidden_size": _sizes(32, 96, 3),
                "model.cell": ("lstm", "gru"),
                "model.bidirectional": (True, False),
                "training.learning_rate": _spread(2e-3, 2e-2, 6),
                "training.weight_decay": _spread(1e-3, 0.3, 4),
            },
        ),
        Table(
            "sunspots",
            "front.yaml",
            (
                "probe.every_trial=false",
                "search.second_objective=null",
                "training.max_epochs=24",
                "training.patience=8",
                "search.pruner.type=successive_halving",
                "search.pruner.min_resource=3",
                "search.pruner.reduction_factor=3",
            ),
            {
                "model.hidden_size": _sizes(4, 48, 4),
                "model.num_layers": (1, 2),
                "training.learning_rate": _spread(1e-3, 0.1, 6),
                "training.input_noise": (0.1, 0.3, 0.5),
                "training.weight_decay": _spread(1e-6, 1e-2, 3),
            },
        ),
    )
}


def main() -> None:
    """Records what is missing of a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--minutes", type=float, default=4)
    options = parser.parse_args()
    record(TABLES[options.table], until_s=time.monotonic() + 60 * options.minutes)


def record(table: Table, until_s: float) -> None:
    """Trains the cells that are missing, a minute's work written at a time, until the clock says so."""
    torch.set_num_threads(1)
    reach = max(cell_config.data.reach for cell_config in (_config(table, cell) for cell in table.cells))
    data = tasks.load(table.base, table.loaded.location, reach)
    curves, missing = dict(table.curves), [cell for cell in table.cells if cell not in table.curves]
    written_s = time.monotonic()
    for cell in missing:
        if time.monotonic() > until_s:
            break
        curves[cell] = _curve(_config(table, cell), data)
        if time.monotonic() - written_s > 60:
            table.write(curves)
            written_s = time.monotonic()
    table.write(curves)
    print(f"{table.name}: {len(curves)} of {len(table.cells)} cells are there")


def _curve(config: TrialConfig, data: Dataset) -> Curve:
    """Trains a configuration for `max_epochs`, each epoch judged on both parts."""
    task = tasks.of(config)
    feed, network = task.feed(data, config, "cpu"), task.network(config, task.facts(data))
    part, name = config.metric.split("/")
    assert part == "val"
    epochs, test = list[Epoch](), list[float]()
    for epoch in train(config, data):
        assert epoch.state is not None
        network.load_state_dict(dict(epoch.state.model))
        test.append(feed.evaluate(network, "test")[name])
        epochs.append(epoch)
    assert len(epochs) == config.training.max_epochs, "it diverged, which no replay knows of: take another level"
    return Curve(median(e.metrics["epoch_s"] for e in epochs), tuple(e.value for e in epochs), tuple(test))


def _config(table: Table, cell: Cell) -> TrialConfig:
    config = suggest.resolve(table.base, dict(zip(table.levels, cell, strict=True)))
    return config.model_copy(update={"training": config.training.model_copy(update={"patience": None})})


if __name__ == "__main__":
    main()

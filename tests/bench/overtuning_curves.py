"""Records what `overtuning.py` replays: settings trained on several windows, from several seeds, with test values.

    python tests/bench/overtuning_curves.py record FOLDER --share 1 2    # and in another process --share 2 2
    python tests/bench/overtuning_curves.py status FOLDER
    python tests/bench/overtuning_curves.py collect FOLDER               # into tests/bench/overtuning/

`record` goes on with what is in FOLDER, and may be killed at any time: a training that was not whole is made again.
The work is cut into units, a setting from one seed. A unit costs up to a minute of one core.

Settings are cells of the recorded tables (`curves.py`), 96 of each table: the spec's own settings, its first ones, then
others in a seeded order. So each beginning of a recording is a random subset, too. One table comes after another: those
with windows, the quicker first (sunspots, co2), then those of which seeds alone are recorded (seattle, digits).

**The rows** of a table with windows: a training part, four windows, and four placements of the test part, one after
another. A training on all rows before a border serves all purposes. After each epoch it is judged on each stretch that
begins there:

    window 0..3  a window of a backtest, by a training on all before it
    plain        the whole validation part, which is the four windows, as it is without a backtest
    plain test   the whole test part, by the same training as `plain`; `overtuning.py` does not use it
    test 0..3    a placement of the test part, by a training on all before it

Values are the loss on scaled data. All trainings of a table have one scale, that of the rows before the first window;
the product fits the scale of a later test part to more rows. Trainings stop where the spec's patience ends the last of
their curves. Those of the test part stop after as many epochs as any search can ask for (`epochs_of`).

With seeds alone there are `plain` and `plain test`: the spec's own validation and test part.
"""

import argparse
import csv
import fcntl
import gzip
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
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

COLLECTED = Path(__file__).with_suffix("").with_name("overtuning")
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


# --- What was recorded: lines of JSON in a folder, and files in the tree ---------------------------------------------


def read(recorder: Recorder, folder: Path | None = None, collected: Path = COLLECTED) -> dict[Unit, Curves | None]:
    """Return what was recorded of a table, in the order of the work; None of a unit that diverged.

    Raises:
        SystemExit: it was recorded with other settings, data or rows.
    """
    found = dict[Unit, Curves | None]()
    for path in [collected / f"{recorder.table.name}.csv.gz", *_files(recorder, folder)]:
        if path.exists():
            rows = _collected(path) if path.suffix == ".gz" else _lines(path)
            head = next(rows, None)
            if head is not None and head != [recorder.digest]:
                raise SystemExit(f"{path}: recorded with other settings, data or rows; move it away to record anew")
            for row in rows:
                found |= _unit(recorder, row)
    return {unit: found[unit] for unit in recorder.units if unit in found}


def _files(recorder: Recorder, folder: Path | None) -> list[Path]:
    return sorted(folder.glob(f"{recorder.table.name}-*.jsonl")) if folder else []


def _lines(path: Path) -> Iterator[list[Any]]:
    """Yield the rows of a file of lines; a last one that was cut by a kill is left out."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def _collected(path: Path) -> Iterator[list[Any]]:
    """Yield the rows of a file in the tree as those of a file of lines: the digest, then units."""
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        yield next(csv.reader(file))
        units: dict[tuple[str, ...], dict[str, list[float]]] = {}
        for *cell, seed, name, values in csv.reader(file):
            curves = units.setdefault((*cell, seed), {})
            if name:
                curves[name] = [float(value) for value in values.split()]
    for (*levels, seed), curves in units.items():
        yield [levels, int(seed), curves or None]


def _unit(recorder: Recorder, row: Sequence[Any]) -> dict[Unit, Curves | None]:
    levels, seed, curves = row[:3]
    by_text = {tuple(map(str, cell)): cell for cell in recorder.wanted}
    told: Curves | None = {name: tuple(values) for name, values in curves.items()} if curves else None
    return {Unit(by_text[tuple(map(str, levels))], seed): told}


def collect(recorder: Recorder, folder: Path, into: Path = COLLECTED) -> int:
    """Write all that was recorded of a table into the tree; return the number of units."""
    found = read(recorder, folder, into)
    if not found:
        return 0
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([recorder.digest])
    for unit, curves in found.items():
        for name, values in (curves or {"": ()}).items():
            rows.writerow([*unit.cell, unit.seed, name, " ".join(f"{value:.5g}" for value in values)])
    into.mkdir(exist_ok=True)
    fresh = into / f"{recorder.table.name}.new"
    with fresh.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped:
        zipped.write(text.getvalue().encode())
    fresh.replace(into / f"{recorder.table.name}.csv.gz")
    return len(found)


def record(recorders: Sequence[Recorder], folder: Path, share: tuple[int, int] = (1, 1)) -> None:
    """Record one share of the work, unit by unit; what is there already is not trained again.

    Raises:
        SystemExit: another process records this share, or other settings, data or rows were recorded there.
    """
    number, of = share
    for recorder in recorders:
        known, units = read(recorder, folder), recorder.units
        path = folder / f"{recorder.table.name}-{number}.jsonl"
        with path.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SystemExit(f"{path}: another process records this share") from None
            _begin(file, path, recorder.digest)
            for place, unit in enumerate(units):
                if unit in known or place % of != number - 1:
                    continue
                began_s = time.process_time()
                try:
                    curves: Curves = recorder.curves(unit)
                except Diverged:
                    curves = {}
                spent_s = time.process_time() - began_s
                rounded = {name: [float(f"{value:.5g}") for value in some] for name, some in curves.items()}
                _append(file, [unit.cell, unit.seed, rounded or None, round(spent_s, 2)])
                print(f"{recorder.table.name} {place + 1} of {len(units)}: {spent_s:.1f} s", flush=True)


def _begin(file: Any, path: Path, digest: str) -> None:
    """Cut off a line that a kill left unfinished, and write the digest into an empty file."""
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        file.truncate(whole)
    if whole == 0:
        _append(file, [digest])


def _append(file: Any, row: Sequence[Any]) -> None:
    file.write((json.dumps(row) + "\n").encode())
    file.flush()
    os.fsync(file.fileno())


def status(recorder: Recorder, folder: Path | None) -> str:
    """Return how far the recording of a table is."""
    found = read(recorder, folder)
    spent = [row[3] for path in _files(recorder, folder) for row in [*_lines(path)][1:]]
    cells = len(whole_cells(recorder, found))
    lost = len({unit.cell for unit, curves in found.items() if curves is None})
    told = (
        f"{recorder.table.name}: {len(found)} of {len(recorder.units)} units, {cells} of {recorder.cells} cells whole"
    )
    if lost:
        told += f", {lost} cells diverged"
    if spent:
        left_s = (len(recorder.units) - len(found)) * sum(spent) / len(spent)
        told += f"; {sum(spent) / 3600:.2f} core-hours spent, about {left_s / 3600:.2f} left"
    return told


def whole_cells(recorder: Recorder, found: Mapping[Unit, Curves | None]) -> list[Cell]:
    """Return the cells that were recorded from all seeds, in the order of the work."""
    return [cell for cell in recorder.wanted if all(found.get(Unit(cell, seed)) for seed in recorder.seeds)]


def main() -> None:
    """Records, says how far it is, or writes the files of the tree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("record", "status", "collect"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--share", nargs=2, type=int, default=(1, 1), metavar=("NUMBER", "OF"))
    options = parser.parse_args()
    recorders = [Recorder.of(name) for name in options.tables]
    if options.verb == "record":
        torch.set_num_threads(1)
        options.folder.mkdir(parents=True, exist_ok=True)
        record(recorders, options.folder, tuple(options.share))
    for recorder in recorders:
        if options.verb == "collect":
            collect(recorder, options.folder)
        print(status(recorder, options.folder), flush=True)


if __name__ == "__main__":
    main()

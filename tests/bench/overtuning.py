"""How often a search picks a setting that is worse than the base, and what backtests and confirm do about it.

    python tests/bench/overtuning.py [--tables co2 sunspots] [--sweeps 100] [--folder FOLDER]
    python tests/bench/overtuning.py --write     # into tests/bench/overtuning.csv and docs/benchmarks.md

Whole sweeps are replayed on recorded trainings (`overtuning_curves.py`), one trial at a time, by our own study with the
spec's sampler and pruner (but 10 random starts), first settings, base, patience and number of trials. A suggestion gets
the recorded setting that is nearest to it. A sweep trains from one of the recorded seeds, and confirm from the others.

    plain           the search is judged on the whole validation part; its best trial is picked
    backtests       it is judged on the four windows of that part
    confirm         plain, then the base and the best five again from the other seeds, on the same part
    both            backtests, then the same over the search's own windows
    both, fresh     backtests on the first two windows, then the same over the two that the search has not seen

What confirm picks is the product's own winner (lstm/verdict/company.py), however sure it is.

**How good a setting is** is the mean of its loss over four placements of the test part and all seeds. Each is judged by
a training on all rows before it, for as many epochs as the median of the windows' best. So a setting is as good
whichever method has picked it. With seeds alone it is the mean over the seeds on the one test part, at the best epoch.

    worse    the share of sweeps whose pick has a mean more than 1 % above the base's
    regret   how far the pick's mean lies from that of the best recorded setting: 0 is the best, 1 the median setting
    epochs   what search and confirm have taken, the base too; the trainings for the test part are not counted

**Equal epochs**: the plain search goes on until it has taken as many epochs as the method took in the same sweep (same
seeds), and its best completed trial is picked. The difference is the method less that, with its 95 % interval
(percentile bootstrap over the sweeps). It says how sure it is for these recorded trainings. Another series or other
seeds may give another answer.
"""

import argparse
import csv
import itertools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from curves import Cell, Table
from overtuning_curves import (
    COLLECTED,
    LAYOUTS,
    WAYS,
    Curves,
    Recorder,
    Unit,
    ended,
    epochs_of,
    is_of_test,
    read,
    whole_cells,
)
from search import Ours, interval

from cluster.config import CategoricalDimension
from cluster.space import combinations
from lstm.config.shared.backtest import SeriesBacktest
from lstm.config.trial import TrialConfig
from lstm.records.confirmation import Confirmation, Confirmed, JudgedOn
from lstm.records.objective import Scalar
from lstm.verdict.company import company

TOP, WORSE = 5, 1.01
KEPT, PAGE = Path(__file__).with_suffix(".csv"), Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- overtuning: written by tests/bench/overtuning.py -->", "<!-- /overtuning -->"
FIGURES = ("worse", "regret")
# fmt: off
FIELDS = ("table", "cells", "of", "diverged", "sweeps", "method", "worse", "regret", "epochs", "worse, equal epochs",
          "regret, equal epochs", *(f"{what}, {end}" for what in FIGURES for end in ("less", "low", "high")))
# fmt: on


class Trial(NamedTuple):
    """A trial of a replayed search."""

    cell: Cell
    value: float | None  # None: pruned
    epochs: int
    counts: bool  # the base, where it is beside the search, does not


class Answer(NamedTuple):
    """What a sweep picks, and what that has cost."""

    pick: Cell
    epochs: int


@dataclass(frozen=True)
class Recorded:
    """What was recorded of a table, as far as it is whole."""

    recorder: Recorder
    curves: Mapping[Unit, Curves | None]

    @classmethod
    def of(cls, recorder: Recorder, folder: Path | None = None, collected: Path = COLLECTED) -> "Recorded":
        """Return what is in the tree and in a folder."""
        return cls(recorder, read(recorder, folder, collected))

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells that were recorded from all seeds; the base's is the first."""
        return whole_cells(self.recorder, self.curves)

    @property
    def done(self) -> int:
        """The number of cells that nothing is left to record of, those among them that diverged too."""
        recorder = self.recorder
        return sum(all(Unit(cell, seed) in self.curves for seed in recorder.seeds) for cell in recorder.wanted)

    @property
    def base(self) -> Cell:
        """The cell of the spec's own settings."""
        return self.recorder.wanted[0]

    def trained(self, cell: Cell, seed: int, way: str) -> list[tuple[float, ...]]:
        """Return the curves of a trial that nothing prunes, as patience ends them."""
        curves, recorder = self.curves[Unit(cell, seed)], self.recorder
        assert curves is not None
        return [curves[name][: ended(curves[name], recorder.patience, recorder.most)] for name in WAYS[way]]

    def nearest(self, settings: Mapping[str, Scalar]) -> Cell:
        """Return the recorded cell that is nearest to settings, each parameter scaled to its range."""
        table = self.recorder.table
        found = np.array(_places(table, table.cell({**table.start, **settings})))
        return self.cells[int(np.square(self._places - found).sum(axis=1).round(9).argmin())]

    @cached_property
    def _places(self) -> np.ndarray:
        return np.array([_places(self.recorder.table, cell) for cell in self.cells])

    @cached_property
    def losses(self) -> dict[Cell, float]:
        """How good each cell is: its mean loss on the test part."""
        return {cell: float(np.mean([self._test(cell, seed) for seed in self.recorder.seeds])) for cell in self.cells}

    def _test(self, cell: Cell, seed: int) -> float:
        """Return the mean loss over the placements of the test part."""
        curves, recorder = self.curves[Unit(cell, seed)], self.recorder
        assert curves is not None
        way = "plain" if recorder.layout is None else "windows"
        epochs = epochs_of(curves, way, recorder.patience, recorder.most)
        placements = [values for name, values in curves.items() if is_of_test(name, recorder.layout)]
        return float(np.mean([values[epochs - 1] for values in placements]))

    def worse(self, cell: Cell) -> bool:
        """Return whether a cell is worse than the base."""
        return self.losses[cell] > WORSE * self.losses[self.base]

    def regret(self, cell: Cell) -> float:
        """Return how far a cell is from the best one."""
        every = list(self.losses.values())
        return float((self.losses[cell] - min(every)) / (np.median(every) - min(every)))


def _places(table: Table, cell: Cell) -> list[float]:
    """Return the place of each level in its range, from 0 to 1; another choice is a whole range away."""
    found = list[float]()
    for (path, levels), value in zip(table.levels.items(), cell, strict=True):
        dimension = table.search.space[path]
        if isinstance(dimension, CategoricalDimension):
            found += [0.5**0.5 * (value == each) for each in levels]
        else:
            scale = math.log if dimension.log else float
            low, high = scale(dimension.low), scale(dimension.high)
            found.append((scale(float(str(value))) - low) / (high - low))
    return found


# --- Sweeps ----------------------------------------------------------------------------------------------------------


def search(recorded: Recorded, way: str, seed: int, sampler_seed: int) -> Iterator[Trial]:
    """Yield the trials of a search without end, one after another."""
    table = recorded.recorder.table
    base = judged_on(table.base, len(WAYS[way]))
    side = Ours(table, sampler_seed, base)
    has_base = combinations.base_among(table.search.first_settings, base, table.search.space) is not None
    for number in itertools.count():
        cell = recorded.nearest(side.ask(number))
        curves, epochs, is_over = recorded.trained(cell, seed, way), 0, False
        places = [(window, *each) for window, curve in enumerate(curves, 1) for each in enumerate(curve, 1)]
        while not is_over:
            window, epoch, value = places[epochs]
            epochs += 1
            is_last = epoch == len(curves[window - 1])
            is_over = side.report(number, epoch, value, "patience" if is_last else None, window)
        mean = sum(map(min, curves)) / len(curves) if epochs == len(places) else None
        yield Trial(cell, mean, epochs, has_base or number > 0)


def judged_on(base: TrialConfig, windows: int) -> TrialConfig:
    """Return the base with a backtest of so many windows; one window is no backtest."""
    if windows == 1:
        return base
    data = base.data.model_copy(update={"backtest": SeriesBacktest(windows=windows)})
    return base.model_copy(update={"data": data})


def best(trials: Sequence[Trial]) -> list[Cell]:
    """Return the cells of the completed trials, the best first."""
    completed = [(trial.value, trial.cell) for trial in trials if trial.value is not None and trial.counts]
    return list(dict.fromkeys(cell for _, cell in sorted(completed, key=operator.itemgetter(0))))


def picked(trials: Sequence[Trial]) -> Answer:
    """Return the best completed trial, and the epochs of all."""
    return Answer(best(trials)[0], sum(trial.epochs for trial in trials))


def confirmed(recorded: Recorded, trials: Sequence[Trial], way: str, windows: JudgedOn, seed: int) -> Answer:
    """Judge the base and the best again from the other seeds, and return the winner with all epochs."""
    epochs, settings = picked(trials).epochs, list[Confirmed]()
    cells = list(dict.fromkeys([recorded.base, *best(trials)[:TOP]]))
    for number, cell in enumerate(cells):
        made = [recorded.trained(cell, other, way) for other in recorded.recorder.seeds if other != seed]
        epochs += sum(len(curve) for curves in made for curve in curves)
        errors = tuple(tuple(map(min, curves)) for curves in made)
        settings.append(Confirmed(str(number), number, f"trial {number}" if number else "base", (), errors))
    tried = len({trial.cell for trial in trials})
    found = company(Confirmation("val/loss", "minimize", windows, len(WAYS[way]), tried, tuple(settings))).winner
    assert found is not None
    assert found.number is not None
    return Answer(cells[found.number], epochs)


def sweep(recorded: Recorded, number: int) -> dict[str, tuple[Answer, Answer]]:
    """Return what each method picks in one sweep, and what the plain search picks with as many epochs."""
    seed, most = recorded.recorder.seeds[number % len(recorded.recorder.seeds)], recorded.recorder.table.search.n_trials
    plain = search(recorded, "plain", seed, number)
    trials = first(plain, most)
    answers = {"plain": picked(trials), "confirm": confirmed(recorded, trials, "plain", "search", seed)}
    if recorded.recorder.layout is not None:
        windows = first(search(recorded, "windows", seed, number), most)
        early = first(search(recorded, "early", seed, number), most)
        answers["backtests"] = picked(windows)
        answers["both"] = confirmed(recorded, windows, "windows", "search", seed)
        answers["both, fresh"] = confirmed(recorded, early, "fresh", "fresh", seed)
    return {
        method: (answers[method], equal(trials, plain, answers[method].epochs))
        for method in METHODS
        if method in answers
    }


METHODS = ("plain", "backtests", "confirm", "both", "both, fresh")


def first(trials: Iterator[Trial], count: int) -> list[Trial]:
    """Return the trials of a sweep: as many as count, and the base beside them; more if none of them completed."""
    found = list[Trial]()
    while sum(trial.counts for trial in found) < count or not best(found):
        found.append(next(trials))
    return found


def equal(trials: list[Trial], more: Iterator[Trial], epochs: int) -> Answer:
    """Return what a search picks that goes on until it has taken so many epochs; `trials` grows by what is needed.

    A trial that the last epoch cuts has not completed.
    """
    while sum(trial.epochs for trial in trials) < epochs:
        trials.append(next(more))
    spent = itertools.accumulate(trial.epochs for trial in trials)
    return Answer(best([t for t, after in zip(trials, spent, strict=True) if after <= epochs])[0], epochs)


def rows(recorded: Recorded, sweeps: Sequence[Mapping[str, tuple[Answer, Answer]]]) -> list[dict[str, Any]]:
    """Return a row for each method, over all sweeps."""
    recorder, found = recorded.recorder, list[dict[str, Any]]()
    head = {"table": recorder.table.name, "cells": recorded.done, "of": recorder.cells, "sweeps": len(sweeps)}
    head["diverged"] = recorded.done - len(recorded.cells)
    for method in sweeps[0]:
        row = {**head, "method": method, "epochs": f"{np.mean([each[method][0].epochs for each in sweeps]):.0f}"}
        for what, figure in (("worse", recorded.worse), ("regret", recorded.regret)):
            ours, theirs = (np.array([figure(each[method][place].pick) for each in sweeps], float) for place in (0, 1))
            less = ours - theirs
            row |= {what: f"{ours.mean():.4f}", f"{what}, equal epochs": f"{theirs.mean():.4f}"}
            told = (float(less.mean()), *interval(less))
            row |= {f"{what}, {end}": f"{value:.4f}" for end, value in zip(("less", "low", "high"), told, strict=True)}
        found.append({field: row[field] for field in FIELDS})
    return found


# --- The table -------------------------------------------------------------------------------------------------------


def kept() -> list[dict[str, Any]]:
    """Return the rows of earlier calls."""
    if not KEPT.exists():
        return []
    with KEPT.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_whole(row: Mapping[str, Any]) -> bool:
    """Return whether a row is of a table that was recorded whole."""
    return int(row["cells"]) == int(row["of"])


def document(every: Sequence[Mapping[str, Any]], cells: Mapping[str, int]) -> str:
    """Return the text of the page: the figures of whole recordings, and how far the others are.

    Args:
        every: Rows of all tables.
        cells: How many cells of each table are recorded in the tree.
    """
    whole, lines = [row for row in every if is_whole(row)], list[str]()
    if whole:
        lines += [f"| {' | '.join(HEADS)} |", f"| {' | '.join('---' for _ in HEADS)} |", *map(line, whole), ""]
    for name, diverged in {row["table"]: int(row["diverged"]) for row in whole}.items():
        lines += [f"Of {name} {diverged} settings are left out, because a training diverged.", ""] if diverged else []
    if left := [name for name in cells if name not in {row["table"] for row in whole}]:
        told = ", ".join(f"{name} {cells[name]} of {Recorder.of(name).cells}" for name in left)
        lines += [f"No figures yet; settings recorded: {told}."]
    return "\n".join(lines).strip()


HEADS = ("table", "sweeps", "method", "worse than the base", "regret", "epochs", "plain search with as many epochs",
         "the method less that: worse", "regret")  # fmt: skip


def line(row: Mapping[str, Any]) -> str:
    """Return a row of the page, or of the screen."""
    ends = {what: [float(row[f"{what}, {end}"]) for end in ("less", "low", "high")] for what in FIGURES}
    cells = (
        row["table"],
        row["sweeps"],
        row["method"],
        f"{float(row['worse']):.0%}",
        f"{float(row['regret']):.3f}",
        row["epochs"],
        f"{float(row['worse, equal epochs']):.0%}, {float(row['regret, equal epochs']):.3f}",
        "{:+.0f} % [{:.0f}, {:.0f}]".format(*(100 * end for end in ends["worse"])),
        "{:+.3f} [{:.3f}, {:.3f}]".format(*ends["regret"]),
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Replays, prints the table, and writes it where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="*", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--sweeps", type=int, default=99)
    parser.add_argument("--folder", type=Path, help="of a recording under way, beside what is in the tree")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="keep the figures, and write the page's table anew")
    options = parser.parse_args()
    if options.write and options.folder:
        parser.error("--write is for what is in the tree: collect the folder first (overtuning_curves.py collect)")
    every = [row for row in kept() if row["table"] not in options.tables]
    with ProcessPoolExecutor(options.processes) as pool:
        for name in options.tables:
            every += replayed(name, options.sweeps, options.folder, pool)
    if options.write:
        write(sorted(every, key=lambda row: list(LAYOUTS).index(row["table"])))  # the sort is stable


def write(every: Sequence[Mapping[str, Any]]) -> None:
    """Replace the figures that are kept, and the page's table."""
    if whole := list(filter(is_whole, every)):
        with KEPT.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(whole)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    text = f"{before}{BEGIN}\n\n{document(whole, in_tree())}\n\n{END}{rest.partition(END)[2]}"
    PAGE.write_text(text, encoding="utf-8")


def in_tree() -> dict[str, int]:
    """Return how many cells of each table are recorded whole in the tree."""
    return {name: loaded(name, None).done for name in LAYOUTS}


def replayed(name: str, sweeps: int, folder: Path | None, pool: ProcessPoolExecutor) -> list[dict[str, Any]]:
    """Replay a table, print its rows, and return them; none where less is recorded than a sweep may confirm."""
    recorded = loaded(name, folder)
    told = f"{name}: {recorded.done} of {recorded.recorder.cells} settings are recorded"
    if len(recorded.cells) <= TOP or recorded.base not in recorded.cells:
        print(f"{told}: too few for a replay")
        return []
    found = rows(recorded, list(pool.map(_sweep, [(name, folder, number) for number in range(sweeps)], chunksize=3)))
    print(f"{told}{'' if is_whole(found[0]) else '. From a part nothing follows for the whole'}")
    print(f"| {' | '.join(HEADS)} |", *map(line, found), sep="\n", flush=True)
    return found


@cache
def loaded(name: str, folder: Path | None) -> Recorded:
    """Return what was recorded of a table."""
    return Recorded.of(Recorder.of(name), folder)


def _sweep(job: tuple[str, Path | None, int]) -> dict[str, tuple[Answer, Answer]]:
    """One sweep, in a process of the pool."""
    name, folder, number = job
    return sweep(loaded(name, folder), number)


if __name__ == "__main__":
    main()

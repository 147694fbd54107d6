"""Replays whole sweeps on recorded trainings (`overtuning_curves.py`): what each method picks, and what that takes.

What the methods are is in the docstring of `overtuning.py`.
"""

import itertools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from curves import Cell, Table
from overtuning_curves import COLLECTED, read, whole_cells
from overtuning_trainings import WAYS, Curves, Recorder, Unit, ended, epochs_of, is_of_test
from search import Ours

from cluster.config import CategoricalDimension
from cluster.space import combinations
from lstm.config.shared.backtest import SeriesBacktest
from lstm.config.trial import TrialConfig
from lstm.records.confirmation import Confirmation, Confirmed, JudgedOn
from lstm.records.objective import Scalar
from lstm.verdict.company import company

TOP, WORSE = 5, 1.01
METHODS = ("plain", "backtests", "confirm", "both", "both, told", "both, fresh")


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


def confirmed(
    recorded: Recorded, trials: Sequence[Trial], way: str, windows: JudgedOn, seed: int
) -> tuple[Answer, Answer]:
    """Judge the base and the best again from the other seeds.

    Returns:
        The winner with all epochs; and the same, but the base where the winner is not told to be better.
    """
    epochs, settings = picked(trials).epochs, list[Confirmed]()
    cells = list(dict.fromkeys([recorded.base, *best(trials)[:TOP]]))
    for number, cell in enumerate(cells):
        made = [recorded.trained(cell, other, way) for other in recorded.recorder.seeds if other != seed]
        epochs += sum(len(curve) for curves in made for curve in curves)
        errors = tuple(tuple(map(min, curves)) for curves in made)
        settings.append(Confirmed(str(number), number, f"trial {number}" if number else "base", (), errors))
    tried = len({trial.cell for trial in trials})
    found = company(Confirmation("val/loss", "minimize", windows, len(WAYS[way]), tried, tuple(settings)))
    assert found.winner is not None
    assert found.winner.number is not None
    winner = cells[found.winner.number]
    return Answer(winner, epochs), Answer(winner if found.answer == "better" else recorded.base, epochs)


def sweep(recorded: Recorded, number: int) -> dict[str, tuple[Answer, Answer]]:
    """Return what each method picks in one sweep, and what the plain search picks with as many epochs."""
    seed, most = recorded.recorder.seeds[number % len(recorded.recorder.seeds)], recorded.recorder.table.search.n_trials
    plain = search(recorded, "plain", seed, number)
    trials = first(plain, most)
    answers = {"plain": picked(trials), "confirm": confirmed(recorded, trials, "plain", "search", seed)[0]}
    if recorded.recorder.layout is not None:
        windows = first(search(recorded, "windows", seed, number), most)
        early = first(search(recorded, "early", seed, number), most)
        answers["backtests"] = picked(windows)
        answers["both"], answers["both, told"] = confirmed(recorded, windows, "windows", "search", seed)
        answers["both, fresh"] = confirmed(recorded, early, "fresh", "fresh", seed)[0]
    return {
        method: (answers[method], equal(trials, plain, answers[method].epochs))
        for method in METHODS
        if method in answers
    }


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

"""How much a setting's error varies from window to window and from seed to seed, measured on co2 and weather.

    python tests/bench/company_cells.py --minutes 9     # again until it says that all are there

Of each recorded table (tests/bench/curves.py), eight cells of the best quarter on validation are drawn: what a search
would confirm. Each is trained from two seeds over the four windows of a backtest, each window anew, without patience.
Kept is the metric at the best epoch of each window (`company_cells.csv`). The logarithm of an error is taken as

    setting + window + interaction of setting and window + seed

with a seed drawn anew in each window, and `spreads` estimates the standard deviation of each part. So few windows give
an uncertain estimate of the interaction, which may come out as 0. The recorded curves have one of their own: how much
the ratio of the errors on validation and test part varies over the cells of the best quarter. The larger one is taken.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from curves import SPECS, TABLES, Cell

from cluster.space import suggest
from experiments.spec import loader as spec_file
from lstm.config.trial import TrialConfig
from lstm.tasks import registry as tasks
from lstm.training.loop import train

RECORDED = Path(__file__).with_suffix(".csv")
NAMES = {"co2": "co2", "seattle": "weather"}  # of the tables, and of the specs
CELLS, WINDOWS, SEEDS = 8, 4, (1, 2)
FIELDS = ("table", "cell", "window", "seed", "loss")
Key = tuple[str, str, int]  # table, cell, seed


class Spreads(NamedTuple):
    """The standard deviation of each part of an error's logarithm."""

    setting: float
    window: float
    interaction: float
    seed: float


def main() -> None:
    """Trains what is missing until the clock says so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9)
    options = parser.parse_args()
    until_s, kept = time.monotonic() + 60 * options.minutes, read()
    torch.set_num_threads(1)
    for name in reversed(NAMES):
        for cell, seed in list(missing(name, kept)):
            if time.monotonic() > until_s:
                break
            kept[name, told(cell), seed] = trained(name, cell, seed)
            write(kept)
    wanted = len(NAMES) * CELLS * len(SEEDS)
    print(f"{len(kept)} of {wanted} trainings are there")
    if len(kept) == wanted:
        for name in NAMES:
            print(name, spreads(name))


def missing(name: str, kept: dict[Key, tuple[float, ...]]) -> Iterator[tuple[Cell, int]]:
    """Yields the cells and seeds of a table that are not recorded yet."""
    ranked = ranking(name)
    drawn = np.random.default_rng(17).permutation(len(ranked) // 4)[:CELLS]
    for seed in SEEDS:
        for place in drawn.tolist():
            if (name, told(ranked[place]), seed) not in kept:
                yield ranked[place], seed


def trained(name: str, cell: Cell, seed: int) -> tuple[float, ...]:
    """Returns the loss in each window, at the best epoch there."""
    base, location = backtest(name)
    config = suggest.resolve(base, dict(zip(TABLES[name].levels, cell, strict=True)))
    training = config.training.model_copy(update={"patience": None, "seed": seed})
    config = config.model_copy(update={"training": training})
    reach = max(suggest.resolve(base, dict(zip(TABLES[name].levels, c, strict=True))).data.reach
                for c in TABLES[name].cells)  # fmt: skip
    epochs = list(train(config, tasks.load(base, location, reach)))
    bests = config.windows.bests(epochs, "minimize")
    assert len(bests) == WINDOWS, "it diverged"
    return tuple(best.value for best in bests if best is not None)


def backtest(name: str) -> tuple[TrialConfig, str]:
    """Returns the base of a table's spec with a backtest over its validation part, and where the data are."""
    table = TABLES[name]
    path = SPECS / table.spec
    spec = spec_file.load(path, (*table.overrides, "search.pruner.type=none", f"data.backtest.windows={WINDOWS}"), {})
    return spec.experiment.base, spec.location


def told(cell: Cell) -> str:
    """Returns a cell as one text."""
    return " ".join(map(str, cell))


def read() -> dict[Key, tuple[float, ...]]:
    """Returns what was recorded: the losses over the windows."""
    kept: dict[Key, list[float]] = {}
    if RECORDED.exists():
        with RECORDED.open(newline="") as file:
            for row in csv.DictReader(file):
                kept.setdefault((row["table"], row["cell"], int(row["seed"])), []).append(float(row["loss"]))
    return {key: tuple(losses) for key, losses in kept.items()}


def write(kept: dict[Key, tuple[float, ...]]) -> None:
    """Replaces what was recorded."""
    fresh = RECORDED.with_suffix(".new")
    with fresh.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(FIELDS)
        for (name, cell, seed), losses in sorted(kept.items()):
            rows.writerows([name, cell, window, seed, f"{loss:.5g}"] for window, loss in enumerate(losses, 1))
    fresh.replace(RECORDED)


def spreads(name: str) -> Spreads:
    """Estimates the spreads of a table by the moments of a layout with two factors and the seeds as repetitions."""
    kept = read()
    cells = sorted({cell for table, cell, _ in kept if table == name})
    logs = np.log([[kept[name, cell, seed] for seed in SEEDS] for cell in cells])  # (cell, seed, window)
    within = float(logs.var(axis=1, ddof=1).mean())
    means = logs.mean(axis=1)
    rows, columns = means.mean(axis=1), means.mean(axis=0)
    rest = means - rows[:, None] - columns + means.mean()
    left = float((rest**2).sum()) / ((len(rows) - 1) * (len(columns) - 1))  # interaction and a share of the seeds
    parts = (
        float(rows.var(ddof=1)) - left / len(columns),
        float(columns.var(ddof=1)) - left / len(rows),
        left - within / len(SEEDS),
        within,
    )
    setting, window, interaction, seed = (max(part, 0.0) ** 0.5 for part in parts)
    return Spreads(setting, window, max(interaction, of_parts(name)), seed)


def of_parts(name: str) -> float:
    """Estimates the interaction by the two parts of the recorded curves, each cell at its best epoch on validation."""
    curves = TABLES[name].curves
    ratios = []
    for cell in ranking(name)[: len(curves) // 4]:
        values, test = curves[cell].values, curves[cell].test
        ratios.append(np.log(min(values) / test[values.index(min(values))]))
    return float(np.std(ratios, ddof=1)) / 2**0.5


def ranking(name: str) -> list[Cell]:
    """Returns the cells of a table, the best on validation first."""
    curves = TABLES[name].curves
    return sorted(curves, key=lambda cell: min(curves[cell].values))


if __name__ == "__main__":
    main()

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
    both, told      both, but the base unless confirm says that the winner is better, as `best` does
    both, fresh     backtests on the first two windows, then the same over the two that the search has not seen

What confirm picks is the product's own winner (lstm/verdict/company.py), however sure it is, except in "both, told".

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
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from overtuning_replays import TOP, Answer, Recorded, sweep
from overtuning_trainings import LAYOUTS, Recorder
from search import interval

KEPT, PAGE = Path(__file__).with_suffix(".csv"), Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- overtuning: written by tests/bench/overtuning.py -->", "<!-- /overtuning -->"
FIGURES = ("worse", "regret")
# fmt: off
FIELDS = ("table", "cells", "of", "diverged", "sweeps", "method", "worse", "regret", "epochs", "worse, equal epochs",
          "regret, equal epochs", "regret of the base",
          *(f"{what}, {end}" for what in FIGURES for end in ("less", "low", "high")))
# fmt: on


def rows(recorded: Recorded, sweeps: Sequence[Mapping[str, tuple[Answer, Answer]]]) -> list[dict[str, Any]]:
    """Return a row for each method, over all sweeps."""
    recorder, found = recorded.recorder, list[dict[str, Any]]()
    head = {"table": recorder.table.name, "cells": recorded.done, "of": recorder.cells, "sweeps": len(sweeps)}
    head["regret of the base"] = f"{recorded.regret(recorded.base):.4f}"
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
    if whole:
        bases = {row["table"]: float(row["regret of the base"]) for row in whole}
        told = ", ".join(f"{name} {regret:.3f}" for name, regret in bases.items())
        lines += [f"The regret of who always takes the base: {told}.", ""]
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

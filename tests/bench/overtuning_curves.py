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
import io
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from curves import Cell
from overtuning_trainings import LAYOUTS, Curves, Diverged, Recorder, Unit

COLLECTED = Path(__file__).with_suffix("").with_name("overtuning")


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

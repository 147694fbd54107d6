import fcntl
import itertools
import json
import math
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import overtuning
import overtuning_curves
import overtuning_trainings
import pytest
import scipy.stats
import torch
from curves import SPECS, TABLES
from overtuning import BEGIN, END, document, in_tree, rows
from overtuning_curves import collect, read, record
from overtuning_replays import METHODS, TOP, Answer, Recorded, Trial, first, search, sweep
from overtuning_trainings import LAYOUTS, SEEDS, WAYS, Curves, Recorder, Unit, ended, epochs_of

from experiments.spec import loader as spec_file
from lstm.tasks import registry as tasks
from lstm.training.loop import train

STRETCHES = ("window 0", "plain", "plain test", *(f"window {i}" for i in (1, 2, 3)), *(f"test {i}" for i in range(4)))
PATIENCE, MOST = 6, 20  # of co2


def made_up(cells: int, curve: Callable[[Unit, str, int], Sequence[float]], of: int = 96) -> Recorded:
    """A recording of so many cells of co2, with one curve after another from a function."""
    recorder = replace(Recorder.of("co2"), cells=of)
    units = [Unit(cell, seed) for cell in recorder.wanted[:cells] for seed in SEEDS]
    curves = {u: {s: tuple(curve(u, s, recorder.wanted.index(u.cell))) for s in STRETCHES} for u in units}
    return Recorded(recorder, curves)


@pytest.fixture(scope="module")
def noisy() -> Recorded:
    """Curves that come down and then wander; settings differ, and differ from window to window."""
    random = np.random.default_rng(4)

    def curve(unit: Unit, stretch: str, place: int) -> Sequence[float]:
        random_setting = np.random.default_rng([place, *stretch.encode()])
        level = math.exp(0.3 * np.random.default_rng(place).standard_normal() + 0.2 * random_setting.standard_normal())
        return tuple(level * (1 + np.exp(-np.arange(MOST) / 3) + 0.1 * random.standard_normal(MOST)))

    return made_up(40, curve)


@pytest.fixture(scope="module")
def swept(noisy: Recorded) -> list[dict[str, tuple[Answer, Answer]]]:
    """Two sweeps on these curves."""
    return [sweep(noisy, number) for number in range(2)]


# --- A loop of our own: what a sweep is, from nothing but the curves and the settings that were suggested ------------


def cut(curve: Sequence[float]) -> list[float]:
    """A curve up to where nothing better has come for six epochs."""
    found: list[float] = []
    for value in curve:
        found.append(value)
        if len(found) - 1 - found.index(min(found)) == PATIENCE:
            break
    return found


def searched(recorded: Recorded, trials: Sequence[Trial], way: str, seed: int) -> list[tuple[float | None, int]]:
    """Each trial's value and epochs by successive halving: rungs at epochs 3 and 9, and in a backtest at 27, which is
    the end of the second window. The base comes first, and is on no rung.
    """
    rungs: dict[tuple[int, int], list[float]] = {}
    found = list[tuple[float | None, int]]()
    for number, trial in enumerate(trials):
        epochs, bests, is_pruned = 0, list[float](), False
        for window, name in enumerate(WAYS[way], 1):
            curve = cut(recorded.curves[Unit(trial.cell, seed)][name])  # type: ignore[index] # nothing diverged
            for epoch, value in enumerate(curve, 1):
                epochs += 1
                if number and window == 1 and epoch in (3, 9) and is_beaten(rungs.setdefault((1, epoch), []), value):
                    is_pruned = True
                    break
            bests.append(min(curve))
            if number and not is_pruned and window == 2:
                is_pruned = is_beaten(rungs.setdefault((2, 0), []), sum(bests) / 2)
            if is_pruned and (window < len(WAYS[way]) or epoch < len(curve)):
                break
        is_pruned = is_pruned and not (window == len(WAYS[way]) and epoch == len(curve))
        found.append((None if is_pruned else sum(bests) / len(bests), epochs))
    return found


def is_beaten(rung: list[float], value: float) -> bool:
    """Puts a value on a rung; whether it is not among the best third there."""
    rung.append(value)
    return value > sorted(rung)[max(len(rung) // 3 - 1, 0)]


def confirmed(recorded: Recorded, best: Sequence[tuple], way: str, seed: int) -> tuple[tuple, int]:
    """The least mean of the logarithms over windows, of means over the other two seeds; and the epochs."""
    cells = list(dict.fromkeys([recorded.base, *best[:TOP]]))
    scores, epochs = dict[tuple, float](), 0
    for cell in cells:
        windows = list[float]()
        for name in WAYS[way]:
            curves = [cut(recorded.curves[Unit(cell, other)][name]) for other in SEEDS if other != seed]  # type: ignore[index]
            epochs += sum(map(len, curves))
            windows.append(math.log(sum(map(min, curves)) / 2))
        scores[cell] = sum(windows) / len(windows)
    return min(scores, key=scores.__getitem__), epochs


def better(recorded: Recorded, one: tuple, other: tuple, seed: int, tried: int) -> bool:
    """Whether the logarithms of one's errors are less over the four windows, by a t-test at 5 % / tried."""
    logs = {
        cell: [
            math.log(sum(min(cut(recorded.curves[Unit(cell, each)][name])) for each in SEEDS if each != seed) / 2)  # type: ignore[index]
            for name in WAYS["windows"]
        ]
        for cell in (one, other)
    }
    if one == other:
        return False
    found = scipy.stats.ttest_rel(logs[one], logs[other])
    return bool(found.statistic < 0 and found.pvalue < 0.05 / max(tried, TOP))


def ranked(trials: Sequence[Trial], values: Sequence[float | None]) -> list[tuple]:
    """The settings of the completed trials, the best first."""
    done = [(value, n) for n, value in enumerate(values) if value is not None]
    return list(dict.fromkeys(trials[n].cell for _, n in sorted(done)))


@pytest.mark.parametrize("number", range(2))
def test_a_sweep_agrees_with_a_loop_over_the_curves(
    noisy: Recorded, swept: list[dict[str, tuple[Answer, Answer]]], number: int
) -> None:
    seed, found = SEEDS[number], swept[number]
    trials, values, spent = {}, {}, {}
    for way in ("plain", "windows", "early"):
        trials[way] = list(itertools.islice(search(noisy, way, seed, number), 16))
        told = searched(noisy, trials[way], way, seed)
        assert [(trial.value, trial.epochs) for trial in trials[way]] == [(pytest.approx(v), n) for v, n in told]
        values[way], spent[way] = [value for value, _ in told], sum(n for _, n in told)
        assert any(value is None for value in values[way])
        assert trials[way][0].cell == noisy.base
    best = {way: ranked(trials[way], values[way]) for way in trials}
    expected = {"plain": (best["plain"][0], spent["plain"]), "backtests": (best["windows"][0], spent["windows"])}
    for method, way, on in (
        ("confirm", "plain", "plain"),
        ("both", "windows", "windows"),
        ("both, fresh", "early", "fresh"),
    ):
        winner, epochs = confirmed(noisy, best[way], on, seed)
        expected[method] = (winner, spent[way] + epochs)
        if method == "both":
            is_sure = better(noisy, winner, noisy.base, seed, len({trial.cell for trial in trials[way]}))
            expected["both, told"] = (winner if is_sure else noisy.base, spent[way] + epochs)
    assert {method: tuple(ours) for method, (ours, _) in found.items()} == expected
    assert tuple(found) == METHODS


def test_the_plain_search_goes_on_for_as_many_epochs(
    noisy: Recorded, swept: list[dict[str, tuple[Answer, Answer]]]
) -> None:
    _, theirs = swept[1]["backtests"]
    trials = list(itertools.islice(search(noisy, "plain", SEEDS[1], 1), 60))
    told = searched(noisy, trials, "plain", SEEDS[1])
    ends = list(itertools.accumulate(epochs for _, epochs in told))
    there = [value if end <= theirs.epochs else None for (value, _), end in zip(told, ends, strict=True)]
    assert ends[16] < theirs.epochs < ends[-1]
    assert theirs.pick == ranked(trials, there)[0]
    assert swept[1]["plain"][0] == swept[1]["plain"][1]


def test_how_good_a_setting_is_and_the_figures_of_all_sweeps(
    noisy: Recorded, swept: list[dict[str, tuple[Answer, Answer]]]
) -> None:
    losses = {}
    for cell in noisy.cells:
        tests = []
        for seed in SEEDS:
            curves = noisy.curves[Unit(cell, seed)]
            assert curves is not None
            bests = sorted(cut(curves[f"window {i}"]).index(min(cut(curves[f"window {i}"]))) + 1 for i in range(4))
            epochs = (bests[1] + bests[2] + 1) // 2  # a half is rounded up
            tests += [curves[f"test {placement}"][epochs - 1] for placement in range(4)]
        losses[cell] = sum(tests) / 12
    assert noisy.losses == pytest.approx(losses)
    low, median = min(losses.values()), float(np.median([*losses.values()]))
    for row in rows(noisy, swept):
        picks = [losses[each[row["method"]][0].pick] for each in swept]
        assert float(row["worse"]) == sum(pick > 1.01 * losses[noisy.base] for pick in picks) / 2
        assert float(row["regret"]) == pytest.approx(sum((p - low) / (median - low) for p in picks) / 2, abs=1e-4)
        assert float(row["worse, low"]) <= float(row["worse, less"]) <= float(row["worse, high"])
        assert (row["cells"], row["of"], row["diverged"], row["sweeps"]) == (40, 96, 0, 2)


def test_where_validation_lies_the_plain_search_is_worse_and_backtests_are_not() -> None:
    """The better a setting is on the whole validation part, the worse it is in the windows and on the test part."""

    def curve(_: Unit, stretch: str, place: int) -> list[float]:
        return [100.0 - place if stretch == "plain" else 10.0 + place] * MOST

    recorded = made_up(20, curve)
    told = {row["method"]: row for row in rows(recorded, [sweep(recorded, 7)])}
    assert told["plain"]["worse"] == told["confirm"]["worse"] == "1.0000"  # other seeds on the same part say the same
    assert told["backtests"]["worse"] == told["both"]["worse"] == told["both, fresh"]["worse"] == "0.0000"
    assert told["backtests"]["regret"] == "0.0000"  # the base is the best setting
    assert told["backtests"]["worse, less"] == told["backtests"]["worse, high"] == "-1.0000"


def test_a_suggestion_gets_the_nearest_recorded_setting() -> None:
    recorded = made_up(12, lambda *_: [1.0] * MOST)
    table = recorded.recorder.table
    for cell in recorded.cells:
        assert recorded.nearest(dict(zip(table.levels, cell, strict=True))) == cell
    assert recorded.nearest({}) == recorded.base == table.cell(table.start)
    kinds = {cell[2:4] for cell in recorded.cells}
    rest = [cell for cell in table.cells if cell not in recorded.cells and cell[2:4] in kinds]
    assert len(rest) > 20
    for cell in rest:  # a number's range at most, against a whole range for another choice
        near = recorded.nearest(dict(zip(table.levels, cell, strict=True)))
        assert math.dist(ranges(cell), ranges(near)) == min(math.dist(ranges(cell), ranges(c)) for c in recorded.cells)


def ranges(cell: tuple) -> list[float]:
    """The place of each of co2's parameters in its range."""
    lookback, size, residual, normalization, rate = cell
    places = [(lookback - 26) / 52, math.log(size / 16) / math.log(4), math.log(rate / 3e-4) / math.log(100)]
    return [round(each, 9) for each in (*places, float(residual == "last"), float(normalization == "window"))]


# --- The recorder ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Recorder:
    """Two settings of sunspots for two epochs."""
    torch.set_num_threads(1)
    table = TABLES["sunspots"]
    shorter = {
        "training.max_epochs=24": "training.max_epochs=2",
        "training.patience=8": "training.patience=1",
        "search.pruner.min_resource=3": "search.pruner.min_resource=1",
    }
    table = replace(table, name="small", overrides=tuple(shorter.get(each, each) for each in table.overrides))
    recorder = replace(Recorder(table, LAYOUTS["sunspots"]), cells=2, seeds=(1, 3))
    assert recorder.data is not None
    return recorder


@pytest.fixture(scope="module")
def whole(small: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its recording, which nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    record([small], folder)
    return folder


def in_child(act: Callable[[], object]) -> int:
    """Runs in a forked child; how it ended."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def test_a_recording_that_was_killed_goes_on_and_equals_one_that_was_not(
    small: Recorder, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, lines = overtuning_curves._append, itertools.count()

    def kill_in_a_line(file, row):
        if next(lines) == 2:  # after the digest and a unit
            file.write(json.dumps(row).encode()[:100])
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        append(file, row)

    with monkeypatch.context() as patched:
        patched.setattr(overtuning_curves, "_append", kill_in_a_line)
        assert in_child(lambda: record([small], tmp_path)) == signal.SIGKILL
    (path,) = tmp_path.iterdir()
    assert not path.read_text().endswith("\n")
    assert len(read(small, tmp_path, tmp_path)) == 1
    assert "1 of 4 units, 0 of 2 cells whole" in overtuning_curves.status(small, tmp_path)
    trained = list[Unit]()
    monkeypatch.setattr(Recorder, "curves", lambda self, unit: trained.append(unit) or curves(self, unit))
    record([small], tmp_path)
    assert trained == small.units[1:]
    assert read(small, tmp_path, tmp_path) == read(small, whole, tmp_path)
    assert [row[:3] for row in overtuning_curves._lines(path)] == [
        row[:3] for row in overtuning_curves._lines(whole / path.name)
    ]


curves = Recorder.curves


def test_shares_make_the_whole_and_what_is_in_the_tree_is_not_trained_again(
    small: Recorder, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = read(small, whole, tmp_path)
    monkeypatch.setattr(Recorder, "curves", lambda _, unit: known[unit])
    record([small], tmp_path, (2, 2))
    assert list(read(small, tmp_path, tmp_path)) == small.units[1::2]
    record([small], tmp_path, (1, 2))
    assert collect(small, tmp_path, tmp_path / "tree") == len(small.units)
    assert read(small, None, tmp_path / "tree") == known
    assert [path.name for path in (tmp_path / "tree").iterdir()] == ["small.csv.gz"]
    assert Recorded.of(small, None, tmp_path / "tree").cells == small.wanted


def test_a_recording_of_other_settings_is_refused(small: Recorder, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="recorded with other settings"):
        read(replace(small, cells=3), whole, tmp_path)


def test_one_process_at_a_time_records_a_share(small: Recorder, tmp_path: Path) -> None:
    with (tmp_path / "small-1.jsonl").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SystemExit, match="another process"):
            record([small], tmp_path)


def test_a_setting_that_diverged_is_kept_as_such(
    small: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(_: Recorder, unit: Unit) -> Curves:
        if unit == small.units[1]:
            raise overtuning_trainings.Diverged
        return {"plain": (1.0,)}

    monkeypatch.setattr(Recorder, "curves", diverge)
    record([small], tmp_path)
    collect(small, tmp_path, tmp_path)
    found = read(small, None, tmp_path)
    assert list(found) == small.units
    assert [unit for unit, of in found.items() if of is None] == [small.units[1]]
    recorded = Recorded.of(small, None, tmp_path)
    assert (recorded.cells, recorded.done) == ([small.wanted[1]], 2)
    assert "1 cells diverged" in overtuning_curves.status(small, tmp_path)


def test_the_trainings_are_the_products_own(small: Recorder, whole: Path) -> None:
    """A backtest of the product over the same rows, the training before its test part, and one without a backtest."""
    unit, layout = small.units[-1], small.layout
    assert layout is not None
    recorded = small.curves(unit)
    sizes = {"train": layout.first, "validation": 4 * layout.step, "test": layout.step}
    words = [f"data.split.{part}={size}" for part, size in sizes.items()]
    spec = spec_file.load(SPECS / small.table.spec, (*small.table.overrides, *words, "data.backtest.windows=4"), {})
    settings = dict(zip(small.table.levels, unit.cell, strict=True)) | {"training.seed": unit.seed}
    config = overtuning_trainings.suggest.resolve(spec.experiment.base, settings)
    data = tasks.load(config, spec.location)
    epochs = list(train(config, data, to_test=True))
    for window in range(4):
        values = recorded[f"window {window}"]
        values = values[: ended(values, small.patience, small.most)]
        assert values == tuple(epoch.value for epoch in epochs if epoch.window == window + 1)
    final = [epoch for epoch in epochs if epoch.window == 5]
    task, last = tasks.of(config), final[-1].state
    assert last is not None
    assert len(final) == epochs_of(recorded, "windows", small.patience, small.most)
    network = task.network(config, task.facts(data))
    network.load_state_dict(dict(last.model))
    judged = task.feed(data.at_window(5), config, "cpu").evaluate(network, "test")["loss"]
    assert recorded["test 0"][len(final) - 1] == judged
    plain = config.model_copy(update={"data": config.data.model_copy(update={"backtest": None})})
    assert recorded["plain"] == tuple(epoch.value for epoch in train(plain, tasks.load(plain, spec.location)))


def test_patience_ends_a_curve_as_the_trainer_does() -> None:
    assert [ended(values, 2, 5) for values in ([3, 2, 2, 2], [3, 2, 1], [1, 2, 0.5, 0.4, 0.3])] == [4, None, 5]
    assert ended([1.0] * 7, None, 7) == 7
    assert first(iter([Trial((1,), None, 3, counts=True), Trial((2,), 1.0, 3, counts=True)]), 1)[-1].cell == (2,)


# --- What is in the tree ---------------------------------------------------------------------------------------------


def test_the_page_has_what_is_recorded_in_the_tree() -> None:
    text = overtuning.PAGE.read_text(encoding="utf-8")
    kept = overtuning.kept()
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == document(kept, in_tree())
    for row in kept:
        assert int(row["cells"]) == in_tree()[row["table"]]


def test_a_page_says_nothing_of_a_part() -> None:
    told = {"table": "co2", "cells": "12", "of": "96", "diverged": "0", "method": "plain"}
    row = dict.fromkeys(overtuning.FIELDS, "0.1") | told
    assert document([row], {"co2": 12}) == "No figures yet; settings recorded: co2 12 of 96."
    whole = document([row | {"cells": "96", "diverged": "2"}], {"co2": 96})
    assert "| co2 | 0.1 | plain | 10% | 0.100 |" in whole
    assert whole.endswith("Of co2 2 settings are left out, because a training diverged.")

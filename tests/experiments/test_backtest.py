"""A sweep whose trials are judged over the windows of a backtest, from its plan to its verdict, killed and mended."""

import json
import math
import os
import re
import shutil
import signal
from dataclasses import replace
from types import SimpleNamespace

import moving
import optuna
import pytest
import twin
from audit import audit

from cluster.study import stored
from experiments import load
from experiments.cli import main
from lstm import checkpoint
from lstm.records.epoch import Place

SPEC = """\
name: tiny
data:
  path: tiny.csv
  time: day
  target: load
  lookback: 14
  horizon: 7
  split: {validation: 63, test: 60}
  backtest: {windows: 3}
model: {hidden_size: 4}
training: {max_epochs: 3, batch_size: 32, learning_rate: 1e-2}
search:
  n_trials: 2
  sampler: {type: random, seed: 3}
  pruner: {type: none}
  space:
    training.learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
"""
END = Place(4, 1)  # the first epoch of the training before the test part


@pytest.fixture(scope="module")
def ended(tmp_path_factory, near, tiny):
    """A folder with a sweep that has ended, and what `run` answered; look, don't touch."""
    folder = tmp_path_factory.mktemp("backtest")
    write(folder, tiny)
    run = near("run", "tiny.yaml", "--json", cwd=folder, drawn=True)
    return SimpleNamespace(folder=folder, home=folder / "runs", run=run)


@pytest.fixture
def own(ended, tmp_path):
    """The same in a folder of one's own, which the sweep takes for the one that it was run in."""
    shutil.copytree(ended.folder, tmp_path, dirs_exist_ok=True)
    moving.readdress(tmp_path / "runs", ended.home)
    return tmp_path


def write(folder, tiny, spec=SPEC):
    (folder / "tiny.yaml").write_text(spec)
    (folder / "tiny.csv").write_text(tiny.rows(240))


def sweep_of(folder):
    return stored.read(f"sqlite:///{folder / 'runs' / 'study.db'}", "tiny")


def results(folder):
    """What must be the same however often a driver was killed: values, steps and the final weights' metrics."""
    sweep = sweep_of(folder)
    trials = [(t.number, t.state, t.value, t.best_epochs, t.steps) for t in sweep.trials]
    return trials, sweep.facts["judged"]["metrics"]


def test_it_ends_sound_in_every_store(ended):
    assert ended.run.code == 0, ended.run.err
    assert audit(ended.home, "tiny") == []


def test_a_trials_value_is_the_mean_over_its_windows_each_at_its_own_best_epoch(ended, near):
    curves = load("tiny", home=ended.home).curves()
    for trial in sweep_of(ended.folder).trials:
        mine = curves[curves["trial"] == trial.number]
        bests = [mine[mine["window"] == window]["val/loss"].min() for window in (1, 2, 3)]
        assert trial.value == pytest.approx(sum(bests) / 3, rel=1e-12)
        assert trial.told == (() if trial.is_base else (trial.value,))
        assert [step for step, _ in trial.steps] == [1, 2, 3, 4, 5]  # two later windows after three epochs
        assert trial.later[-1][1] == trial.value


def test_base_and_rivals_are_judged_over_the_same_windows(ended):
    document = json.loads(ended.run.out)
    rows = {row["name"]: row for row in document["verdict"]["rows"]}
    assert rows["base"]["validation"] == document["base"]["value"]
    last = rows["last value"]
    values = [float(line.split(",")[1]) for line in (ended.folder / "tiny.csv").read_text().split()[1:]]
    first, losses = values[: 240 - 60 - 63], []
    mean = sum(first) / len(first)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in first) / len(first))
    for window in range(3):
        start, errors = 117 + 21 * window, []
        for origin in range(start, start + 21 - 7 + 1):
            errors += [((values[origin - 1] - v) / deviation) ** 2 for v in values[origin : origin + 7]]
        losses.append(sum(errors) / len(errors))
    assert last["validation"] == pytest.approx(sum(losses) / 3, rel=1e-5)


def test_base_and_winner_alone_are_trained_before_the_test_part(ended):
    sweep = sweep_of(ended.folder)
    for trial in sweep.trials:
        history = checkpoint.load(trial.checkpoint).state.history
        final = [epoch for epoch in history if epoch.window == 4]
        wanted = trial.is_base or trial is sweep.best
        assert len(final) == (sorted(trial.best_epochs)[1] if wanted else 0)
    metrics = sweep.facts["judged"]["metrics"]
    assert {"test/loss", "base/test/loss", "baseline/loss"} <= metrics.keys()


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(Place(2, 2), id="in a window"),
        pytest.param(END, id="before the test part", marks=pytest.mark.faults),
        pytest.param(Place(3, 3), id="after the windows", marks=pytest.mark.faults),
    ],
)
def test_killed_in_a_window_it_goes_on_to_the_bit(ended, tmp_path, tiny, place):
    write(tmp_path, tiny)

    twin.killed_at(tmp_path, "tiny.yaml", "runs", place)
    assert twin.run(tmp_path, "tiny.yaml", "runs") == 0, (tmp_path / "driver.log").read_text()
    assert results(tmp_path) == results(ended.folder)
    assert audit(tmp_path / "runs", "tiny") == []
    assert twin.verify(tmp_path, "runs", "tiny") == 0, (tmp_path / "driver.log").read_text()


@pytest.mark.faults
@pytest.mark.parametrize("step", range(5, 380, 15))
def test_killed_before_any_durable_step_it_ends_as_if_nothing_had_happened(ended, tmp_path, tiny, step):
    write(tmp_path, tiny)
    twin.run(tmp_path, "tiny.yaml", "runs", at=step.__eq__)
    assert twin.run(tmp_path, "tiny.yaml", "runs") == 0, (tmp_path / "driver.log").read_text()
    assert results(tmp_path) == results(ended.folder)
    assert audit(tmp_path / "runs", "tiny") == []
    assert twin.verify(tmp_path, "runs", "tiny") == 0, (tmp_path / "driver.log").read_text()


def test_mlflow_is_written_again_with_all_windows(own, near):
    (own / "runs" / "mlflow.db").unlink()
    done = near("rebuild", "tiny", cwd=own)
    assert done.code == 0, done.err
    assert audit(own / "runs", "tiny") == []


@pytest.mark.parametrize("lost", ["trials", pytest.param("nothing", marks=pytest.mark.faults)])
def test_a_lost_study_comes_back_from_checkpoints_and_mlflow(own, near, ended, lost):
    if lost == "trials":  # then MLflow alone knows the windows of the trial that is not judged
        sweep = sweep_of(own)
        other = next(t for t in sweep.trials if not t.is_base and t.number != sweep.best.number)
        shutil.rmtree(other.checkpoint)
    (own / "runs" / "study.db").unlink()
    done = near("rebuild", "tiny", "--study", cwd=own)
    assert done.code == 0, done.err
    values = [(t.number, t.value, t.best_epochs, t.steps) for t in sweep_of(own).trials]
    assert values == [(t.number, t.value, t.best_epochs, t.steps) for t in sweep_of(ended.folder).trials]


def test_it_is_complete_and_a_second_run_changes_nothing(own, near, ended):
    again = near("run", "tiny.yaml", cwd=own)
    assert again.code == 0
    assert "nothing was left to do" in again.out + again.err
    assert results(own) == results(ended.folder)


def test_no_trial_is_extended(ended, near):
    answer = near("extend", "tiny", "0", "--epochs", "9", "--json", cwd=ended.folder)
    (told,) = json.loads(answer.out)["errors"]
    assert (answer.code, told["code"]) == (2, "extend-in-backtest")


def test_ctrl_c_in_the_training_before_the_test_part_ends_the_run_at_once(ended, tmp_path, tiny):
    write(tmp_path, tiny)
    log = tmp_path / "driver.log"

    def act():
        def written(*arguments):
            name = kept(*arguments)
            if arguments[2].state.place == END:
                checkpoint.write = kept
                os.kill(os.getpid(), signal.SIGINT)
            return name

        kept, checkpoint.write = checkpoint.write, written
        os.chdir(tmp_path)
        main(["run", "tiny.yaml", "--in-process", "--home", "runs"])

    assert twin.forked(act, log) == 130, log.read_text()
    assert "Stopped (interrupted)" in log.read_text()
    assert "test part  " not in log.read_text()
    assert twin.run(tmp_path, "tiny.yaml", "runs") == 0, log.read_text()
    assert results(tmp_path) == results(ended.folder)
    assert audit(tmp_path / "runs", "tiny") == []


def test_status_and_compare_say_which_windows_their_epochs_are_of(ended, near):
    epochs = ", ".join(map(str, sweep_of(ended.folder).best.best_epochs))
    assert f"epochs {epochs}" in near("status", "tiny", cwd=ended.folder).out
    assert json.loads(near("status", "tiny", "--json", cwd=ended.folder).out)["best"]["epochs"]
    assert near("compare", "tiny", cwd=ended.folder).out.count("(window 1)") == 2
    assert "epochs in window 1" in (ended.folder / "runs" / "tiny" / "report.html").read_text()


@pytest.mark.parametrize(
    ("steps", "told", "named"),
    [
        (3, {"window": 1, "epoch": 3, "value": 0.25}, "3 of window 1"),
        (4, {"window": 3, "epoch": 3, "value": 0.125}, "window 3"),
    ],
)
def test_status_names_the_window_of_a_running_trial(own, near, steps, told, named):
    """Step 4 is the end of the second window, with the mean so far."""
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{own / 'runs' / 'study.db'}")
    trial = study.ask()
    trial.set_user_attr("start", {"worker": "vm pid 1", "at_ms": 0})
    for step in range(1, steps + 1):
        trial.report(0.125 if step > 3 else 0.25, step)
    (row,) = json.loads(near("status", "tiny", "--json", cwd=own).out)["running"]
    assert {name: row[name] for name in told} == told
    assert re.search(rf"^{trial.number} +{named} +0\.\d+ ", near("status", "tiny", cwd=own).out, flags=re.M)


def test_a_network_that_has_learnt_from_fewer_rows_says_so_when_it_forecasts(ended, near):
    sweep = sweep_of(ended.folder)
    other = next(t.number for t in sweep.trials if not t.is_base and t is not sweep.best)
    said = "its network was trained for the windows"
    assert said in near("predict", "tiny", "--trial", str(other), cwd=ended.folder).err
    assert said not in near("predict", "tiny", cwd=ended.folder).err


def test_a_training_before_the_test_part_that_diverged_is_said_and_not_tried_again(own, near):
    base = sweep_of(own).base
    found = checkpoint.load(base.checkpoint)
    *before, last = found.state.history
    diverged = replace(last, stop="diverged", metrics={**last.metrics, "train/loss": math.nan})
    state = replace(found.state, history=(*before, diverged), best_epoch=0, best_weights={})
    checkpoint.write(base.checkpoint, base.attempt, replace(found, state=state))
    (own / "runs" / "tiny" / "judged.npz").unlink()
    run = near("run", "tiny", "--set", "search.n_trials=3", "--json", cwd=own)
    assert run.code == 0, run.err
    assert "trial 0: diverged when it was trained on all that stands before the test part" in run.err
    assert "trial 0: is trained on all" not in run.err
    assert "trained again" not in run.err
    (row,) = [row for row in json.loads(run.out)["verdict"]["rows"] if row["name"] == "base"]
    assert "it diverged when it was trained" in row["why"]
    assert row["validation"] == base.value


@pytest.mark.faults
def test_more_trials_go_on_and_only_a_new_winner_is_trained_once_more(own, near):
    before = sweep_of(own)
    done = near("run", "tiny.yaml", "--set", "search.n_trials=3", cwd=own)
    assert done.code == 0, done.err
    told = done.out + done.err
    sweep = sweep_of(own)
    assert ("trained on all that stands before" in told) is (sweep.best.number != before.best.number)
    assert audit(own / "runs", "tiny") == []


def test_the_plan_says_which_step_is_what_and_what_it_costs(ended, near):
    plan = json.loads(near("plan", "tiny.yaml", "--json", cwd=ended.folder).out)
    windows = plan["backtest"]["windows"]
    assert [row["steps"] for row in windows] == [[1, 3], [4, 4], [5, 5]]
    assert [row["judged"] for row in windows] == [15, 15, 15]
    assert plan["windows"]["validation"] == 45
    assert all(min(row["seconds"]) > 0 for row in windows)
    told = near("plan", "tiny.yaml", cwd=ended.folder).out
    assert "steps 1 to 3, its epochs" in told
    assert "step 5, the mean so far" in told


def test_a_single_training_has_the_windows_and_the_test_part_too(tmp_path, tiny, near):
    write(tmp_path, tiny)
    done = near("train", "tiny.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    document = json.loads(done.out)
    history = document["history"]
    bests = [min(e["val/loss"] for e in history if e["window"] == window) for window in (1, 2, 3)]
    assert document["best"]["value"] == pytest.approx(sum(bests) / 3, rel=1e-12)
    assert "test/loss" in document["best"]["metrics"]
    assert near("train", "tiny.yaml", cwd=tmp_path).out.count("epoch 1 of window 2") == 0  # it was complete


WRONG = {
    "shorter than a forecast": ("{windows: 3, length: 6}", "length: is 6, but a window must have room for"),
    "more than the part has": ("{windows: 4, length: 16}", "4 windows of 16 steps are 64 steps, but"),
    "shared out too thinly": ("{windows: 10}", "give at most 9 windows"),
    "one": ("{windows: 1}", "windows: is 1; make it at least 2"),
    "no number": ("{windows: many}", 'windows: is "many"'),
    "of another kind": ("{windows: 3, refit: sometimes}", 'refit: is "sometimes"'),
    "folds": ("{folds: 3}", "folds: is no field of this section"),
    "searched": ("{windows: 3}\n#", "data.backtest.windows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_windows_that_can_not_be_are_refused(folder, tiny, sweep, name):
    backtest, told = WRONG[name]
    write(folder, tiny, SPEC.replace("{windows: 3}", backtest))
    if name == "searched":
        with (folder / "tiny.yaml").open("a") as spec:
            spec.write("    data.backtest.windows: {type: int, low: 2, high: 4}\n")
    done = sweep("run", "tiny.yaml")
    assert done.code == 2
    assert done.err.startswith("tiny.yaml:")
    assert told in done.err
    assert not (folder / "runs").exists()

"""A sweep whose trials are judged over folds or stretches of a text; the mechanism is that of `test_backtest.py`."""

import json
import shutil
from types import SimpleNamespace

import moving
import numpy as np
import pandas as pd
import pytest
import twin
from audit import audit
from sklearn.model_selection import StratifiedKFold

from cluster.study import stored
from experiments import load
from lstm import checkpoint
from lstm.records.epoch import Place

SEARCH = """\
model: {hidden_size: 3}
training: {max_epochs: 3, batch_size: 8, learning_rate: 1e-2}
search:
  n_trials: 2
  sampler: {type: random, seed: 3}
  pruner: {type: none}
  space:
    training.learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
"""
CLASSIFY = """\
name: tiny
task: classify
data:
  path: tiny.csv
  id: id
  columns: [x, y]
  label: kind
  split: {test: 0.2, seed: 1}
  backtest: {folds: 3}
"""
TEXT = """\
name: tiny
task: language_model
data: {path: tiny.txt, lookback: 6, split: {validation: 0.3, test: 0.3}, backtest: {windows: 3}}
"""
SPECS = {"folds": CLASSIFY + SEARCH, "text": TEXT + SEARCH}
BEFORE_TEST = Place(4, 1)  # the first epoch of the training before the test part


def write(folder, kind):
    (folder / "tiny.yaml").write_text(SPECS[kind])
    rng = np.random.default_rng(3)
    (folder / "tiny.txt").write_text("".join(rng.choice(list("ab a\n"), 800)))
    rows = [(f"s{n}", f"{rng.normal(n % 3, 1):.3f}", f"{rng.normal():.3f}", n % 3) for n in range(30) for _ in range(3)]
    pd.DataFrame(rows, columns=["id", "x", "y", "kind"]).to_csv(folder / "tiny.csv", index=False)


@pytest.fixture(scope="module")
def ended(tmp_path_factory, near):
    """By kind: a folder with a sweep that has ended, and what `run` answered; look, don't touch."""
    found = {}

    def make(kind="folds"):
        if kind not in found:
            folder = tmp_path_factory.mktemp(kind)
            write(folder, kind)
            run = near("run", "tiny.yaml", "--json", cwd=folder)
            found[kind] = SimpleNamespace(folder=folder, home=folder / "runs", run=run)
        return found[kind]

    return make


@pytest.fixture
def own(ended, tmp_path):
    """The sweep over folds in a folder of one's own, which the sweep takes for the one that it was run in."""
    shutil.copytree(ended().folder, tmp_path, dirs_exist_ok=True)
    moving.readdress(tmp_path / "runs", ended().home)
    return tmp_path


def sweep_of(folder):
    return stored.read(f"sqlite:///{folder / 'runs' / 'study.db'}", "tiny")


def results(folder):
    """What must be the same however often a driver was killed: values, steps and the final weights' metrics."""
    sweep = sweep_of(folder)
    trials = [(t.number, t.state, t.value, t.best_epochs, t.steps) for t in sweep.trials]
    return trials, sweep.facts["judged"]["metrics"]


def dealt(folder):
    """The sequences outside the test part, and each fold, by scikit-learn on the labels as pandas reads them."""
    labels = pd.read_csv(folder / "tiny.csv").drop_duplicates("id")["kind"].to_numpy()
    generator, test = np.random.default_rng(1), []
    for kind in range(3):
        test += generator.permutation(np.flatnonzero(labels == kind))[:2].tolist()
    before = np.setdiff1d(np.arange(len(labels)), test)
    folds = StratifiedKFold(3, shuffle=True, random_state=1).split(before, labels[before])
    return labels, before, [before[judged] for _, judged in folds]


@pytest.mark.parametrize("kind", SPECS)
def test_it_ends_sound_with_the_mean_over_windows_as_the_value(ended, kind):
    folder = ended(kind).folder
    assert ended(kind).run.code == 0, ended(kind).run.err
    assert audit(ended(kind).home, "tiny") == []
    curves = load("tiny", home=ended(kind).home).curves()
    for trial in sweep_of(folder).trials:
        mine = curves[curves["trial"] == trial.number]
        bests = [mine[mine["window"] == window]["val/loss"].min() for window in (1, 2, 3)]
        assert trial.value == pytest.approx(sum(bests) / 3, rel=1e-12)
        assert [step for step, _ in trial.steps] == [1, 2, 3, 4, 5]
    rows = {row["name"]: row for row in json.loads(ended(kind).run.out)["verdict"]["rows"]}
    assert rows["base"]["validation"] == sweep_of(folder).base.value
    assert all(row.get("validation") for name, row in rows.items() if name != "random kernels")


def test_rivals_are_judged_over_the_same_folds(ended):
    labels, before, folds = dealt(ended().folder)
    losses = []
    for fold in folds:
        counts = np.bincount(labels[np.setdiff1d(before, fold)]) + 1
        losses.append(-np.log(counts / counts.sum())[labels[fold]].mean())
    rows = {row["name"]: row for row in json.loads(ended().run.out)["verdict"]["rows"]}
    assert rows["commonest class"]["validation"] == pytest.approx(np.mean(losses), rel=1e-9)
    counts = np.bincount(labels[before]) + 1
    test = np.setdiff1d(np.arange(len(labels)), before)
    wanted = -np.log(counts / counts.sum())[labels[test]].mean()
    assert rows["commonest class"]["test"] == pytest.approx(wanted, rel=1e-9)


def test_a_network_predicts_with_the_scale_of_what_it_was_trained_on(ended):
    """The winner's is that of all folds; another trial's is that of all but the last, which it was judged on."""
    table = pd.read_csv(ended().folder / "tiny.csv")
    ids = table.drop_duplicates("id")["id"].to_numpy()
    _, before, folds = dealt(ended().folder)
    sweep = sweep_of(ended().folder)
    for trial in sweep.trials:
        whole = trial.is_base or trial.number == sweep.best.number
        seen = before if whole else np.setdiff1d(before, folds[-1])
        found = checkpoint.load(trial.checkpoint)
        wanted = table[table["id"].isin(ids[seen])][["x", "y"]]
        assert found.facts["scale"]["mean"] == pytest.approx(wanted.mean().tolist(), rel=1e-12)
        assert found.facts["scale"]["deviation"] == pytest.approx(wanted.std(ddof=0).tolist(), rel=1e-12)
        assert found.state.history[-1].window == (4 if whole else 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("data.backtest.folds=4", "data.backtest.folds: was 3, is 4"),
        ("data.split.seed=2", "data.split.seed: was 1, is 2"),
    ],
)
def test_a_begun_sweep_keeps_its_folds(ended, near, change, told):
    answer = near("run", "tiny.yaml", "--set", change, cwd=ended().folder)
    assert answer.code == 2
    assert told in answer.err
    assert "read otherwise" not in answer.err


def test_folds_that_are_dealt_otherwise_by_another_scikit_learn_are_refused(own, near):
    """As the study would have it that another version had dealt."""
    url = f"sqlite:///{own / 'runs' / 'study.db'}"
    reading = sweep_of(own).facts["data_reading"]
    assert len(reading["folds"]) == len(reading["labels"])
    stored.remember(url, "tiny", data_reading=reading | {"folds": "0" * len(reading["folds"])})
    answer = near("run", "tiny.yaml", cwd=own)
    assert answer.code == 2
    assert "the file is read otherwise now than when the sweep began (folds)" in answer.err


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("folds", Place(2, 2)),
        pytest.param("folds", BEFORE_TEST, marks=pytest.mark.faults),
        pytest.param("text", Place(2, 2), marks=pytest.mark.faults),
        pytest.param("text", BEFORE_TEST, marks=pytest.mark.faults),
    ],
)
def test_killed_in_a_window_it_goes_on_to_the_bit(ended, tmp_path, kind, place):
    write(tmp_path, kind)

    twin.killed_at(tmp_path, "tiny.yaml", "runs", place)
    assert twin.run(tmp_path, "tiny.yaml", "runs") == 0, (tmp_path / "driver.log").read_text()
    assert results(tmp_path) == results(ended(kind).folder)
    assert audit(tmp_path / "runs", "tiny") == []
    assert twin.verify(tmp_path, "runs", "tiny") == 0, (tmp_path / "driver.log").read_text()


def test_mlflow_and_a_lost_study_come_back_with_all_folds(own, near, ended):
    (own / "runs" / "mlflow.db").unlink()
    done = near("rebuild", "tiny", cwd=own)
    assert done.code == 0, done.err
    (own / "runs" / "study.db").unlink()
    done = near("rebuild", "tiny", "--study", cwd=own)
    assert done.code == 0, done.err
    values = [(t.number, t.value, t.best_epochs, t.steps) for t in sweep_of(own).trials]
    assert values == [(t.number, t.value, t.best_epochs, t.steps) for t in sweep_of(ended().folder).trials]


@pytest.mark.parametrize("kind", ["folds", pytest.param("text", marks=pytest.mark.faults)])
def test_the_plan_says_what_a_window_is_and_what_it_costs(ended, near, kind):
    plan = json.loads(near("plan", "tiny.yaml", "--json", cwd=ended(kind).folder).out)
    windows = plan["backtest"]["windows"]
    assert [row["steps"] for row in windows] == [[1, 3], [4, 4], [5, 5]]
    assert sum(row["judged"] for row in windows) == plan["windows"]["validation"]
    assert plan["windows"]["train"] == windows[0]["train"]
    assert all(min(row["seconds"]) > 0 for row in windows)
    if kind == "folds":
        told = near("plan", "tiny.yaml", cwd=ended(kind).folder).out
        assert [row["train"] for row in windows] == [16, 16, 16]
        assert "each window is a fold, whose network is trained on all other folds, from the same seed" in told
        assert "window 3: step 5, the mean so far; 8 sequences judged" in told
        assert "24 in 3 folds, test 6" in told, "the parts add up to all sequences"
        assert "are trained on all sequences but those of the test part" in told
    else:
        assert [(row["first"], row["last"]) for row in windows] == [(321, 400), (401, 480), (481, 560)]
        assert [row["train"] for row in windows] == [320, 400, 480]
        assert plan["backtest"]["item"] == "symbol"


WRONG = {
    "one fold": ("folds", "folds: 3", "folds: 1", "data.backtest.folds: is 1; make it at least 2"),
    "more than the smallest class has": ("folds", "folds: 3", "folds: 9", "has 8 of the 9 sequences outside the test"),
    "windows of labelled sequences": ("folds", "folds: 3", "windows: 3", "windows: is no field of this section, did"),
    "not trained anew": ("folds", "folds: 3", "folds: 3, refit: false", "refit: is no field of this section"),
    "none": ("folds", "{folds: 3}", "{}", "data.backtest.folds: is missing"),
    "a validation part too": ("folds", "test: 0.2", "validation: 0.2, test: 0.2", "would do nothing beside data.back"),
    "no validation part at all": ("folds", "  backtest: {folds: 3}\n", "", "data.split.validation: is missing"),
    "beside the backtest": (
        "folds",
        "backtest: {folds: 3}",
        "folds: 3",
        "data.folds: is no field of this section; mov",
    ),
    "folds of a text": ("text", "windows: 3", "folds: 3", "folds: is no field of this section, did you mean windows"),
    "more than the text has": ("text", "windows: 3", "windows: 3, length: 90", "3 windows of 90 characters are 270"),
    "searched": ("folds", "  space:\n", "  space:\n    data.backtest.folds: {type: int, low: 2, high: 4}\n", "folds"),
}


@pytest.mark.parametrize("name", WRONG)
def test_folds_and_stretches_that_can_not_be_are_refused(folder, sweep, name):
    kind, before, after, told = WRONG[name]
    write(folder, kind)
    assert SPECS[kind].count(before) == 1
    (folder / "tiny.yaml").write_text(SPECS[kind].replace(before, after))
    done = sweep("run", "tiny.yaml")
    assert done.code == 2
    assert told in done.err
    assert not (folder / "runs").exists()


def test_generated_sequences_have_no_windows(folder, sweep):
    (folder / "other.yaml").write_text("name: a\ntask: memory\ndata: {backtest: {windows: 3}}\n")
    done = sweep("plan", "other.yaml")
    assert done.code == 2
    assert "data.backtest: can't be given: the task memory generates its sequences from seeds" in done.err

"""The spec's own settings are a trial beside the search, and what it has gained is said against them."""

import functools
import json
import shutil
from collections import Counter

import pytest
import sqlalchemy
from audit import audit

from dashboards.tracking import runs
from lstm import checkpoint

SPEC = """\
name: tiny
data: {{path: tiny.csv, time: day, target: load, lookback: 14, horizon: 7, split: {{validation: 0.2, test: 0.2}}}}
model: {{hidden_size: {hidden}}}
training: {{max_epochs: {epochs}, batch_size: {batch}, learning_rate: {rate}, {training}}}
search:
  n_trials: {trials}
  sampler: {{type: random, seed: 3}}
  {more}
  space: {space}
"""
SIZE = "model.hidden_size: {type: int, low: 2, high: 8}"
SPACE = "{" + SIZE + ", training.learning_rate: {type: float, low: 1e-3, high: 1e-1}}"
DIVERGES = "optimizer: sgd, gradient_clip: null"
PRUNES = "pruner: {type: successive_halving, min_resource: 1, reduction_factor: 2}"

FIRST = "first: [{model.hidden_size: 3, training.learning_rate: 0.02}, "
FIRST += "{model.hidden_size: 4, training.learning_rate: 0.01}]"  # the second is the base

PARTS = {"hidden": 4, "batch": 16, "rate": 1e-2, "epochs": 2, "training": "seed: 1", "trials": 2, "more": ""}
PARTS["space"] = SPACE


@pytest.fixture
def sweep(near_sweep):
    """The command line without Ray."""
    return near_sweep


def swept(sweep, folder, *, looks=True, fails=(), drawn=False, **different):
    """Runs a spec with such parts, which both judges then look at; the document of the last screen.

    Where a sweep goes on in another test, that one's judges look at its first part, too.
    """
    (folder / "tiny.yaml").write_text(SPEC.format(**PARTS | different))
    answer = sweep("run", "tiny.yaml", "--json", fails=fails, drawn=drawn)
    assert answer.code == 0, answer.err
    if looks:
        check(sweep, folder)
    return json.loads(answer.out)


@pytest.fixture
def run(sweep, folder):
    """`swept` in the working folder."""
    return functools.partial(swept, sweep, folder)


@pytest.fixture
def plain(stage):
    """A sweep that is better than its base and prunes: its folder, the command line, the last screen's document."""

    def better(folder, sweep):
        return swept(sweep, folder, epochs=4, trials=4, more=PRUNES, hidden=40, rate=1e-4, looks=False, drawn=True)

    return stage(better)


@pytest.fixture
def hasty(stage):
    """The same of one that is worse than its base, and has reached its target at once."""
    low = "{training.learning_rate: {type: float, low: 1e-6, high: 1e-5}}"

    def worse(folder, sweep):
        return swept(sweep, folder, more="stop: {target: 1e6}", trials=6, epochs=3, space=low)

    return stage(worse)


@pytest.fixture
def with_base_first(stage):
    """The same of one whose base is one of the first settings."""

    def base_first(folder, sweep):
        return swept(sweep, folder, more=FIRST, looks=False)

    return stage(base_first)


def check(sweep, folder):
    answer = sweep("verify", "tiny")
    assert answer.code == 0, answer.out
    assert audit(folder / "runs", "tiny") == []


def rows(sweep):
    return {row["trial"]: row for row in json.loads(sweep("compare", "tiny", "--json", "--trials", "0").out)["trials"]}


def test_the_base_comes_first_and_neither_counts_nor_is_pruned(plain):
    folder, sweep, found = plain
    base, trials = found["base"], rows(sweep)
    assert (base["trial"], base["state"], base["is_best"]) == (0, "COMPLETE", False)
    assert trials[0]["is_base"]
    assert trials[0]["epochs"] == 4
    assert trials[0]["parameters"]["model.hidden_size"] == 40, "outside of the space"
    assert found["n_trials"] == sum(found["states"].values()) == len(trials) - 1 == 4
    assert found["states"]["PRUNED"] > 0
    status = json.loads(sweep("status", "tiny", "--json").out)
    assert (status["done"], status["base"]["trial"], status["base"]["state"]) == (4, 0, "COMPLETE")
    with sqlalchemy.create_engine(f"sqlite:///{folder}/runs/study.db").connect() as database:
        (told,) = database.execute(sqlalchemy.text("select state from trials where number = 0"))
        settings = database.execute(sqlalchemy.text("select count(*) from trial_params where trial_id = 1")).scalar()
    assert (told[0], settings) == ("FAIL", 0), "no sampler and no pruner reads it"


def test_what_was_gained_is_said_in_best_report_and_mlflow(plain, tmp_path):
    folder, sweep, found = plain
    base, metrics = found["base"], found["best"]["metrics"]
    assert metrics["base/val/loss"] == base["value"]
    assert metrics["base/test/loss"] == base["metrics"]["test/loss"]
    shall = {
        "validation": 1 - found["best"]["value"] / base["value"],
        "test": 1 - metrics["test/loss"] / metrics["base/test/loss"],
    }
    assert base["gained"] == pytest.approx(shall)
    assert min(shall.values()) > 0
    text = sweep("best", "tiny").out
    assert f"{base['metrics']['test/loss']:.5g}" in text
    assert "worse" not in text.splitlines()[0]
    shutil.copy(folder / "runs" / "mlflow.db", tmp_path)  # else MLflow keeps the stage's in mind, for all children
    client = runs.connect(f"sqlite:///{tmp_path}/mlflow.db")
    by_trial = {run.data.tags.get("sweep.trial"): run for run in runs.of_sweep(client, "tiny", study_id(folder))}
    assert (by_trial["0"].data.tags["sweep.kind"], by_trial["0"].data.tags["sweep.base"]) == ("base", "true")
    assert "sweep.parent" not in by_trial["0"].data.tags
    assert by_trial[None].data.metrics["base/test/loss"] == metrics["base/test/loss"]
    assert "spec's own settings" in (folder / "runs" / "tiny" / "report.html").read_text()


def study_id(folder):
    with sqlalchemy.create_engine(f"sqlite:///{folder}/runs/study.db").connect() as database:
        found = database.execute(sqlalchemy.text("select value_json from study_user_attributes where key = 'id'"))
        return json.loads(found.scalar())


def test_a_winner_that_is_worse_than_the_base_is_said_first(hasty):
    _, sweep, found = hasty
    assert max(found["base"]["gained"].values()) < 0
    first = sweep("best", "tiny").out.splitlines()[0]
    assert "worse" in first
    assert "trial 0" in first
    assert "nothing was left to do" not in sweep("run", "tiny.yaml").out.splitlines()[0]


def test_one_of_the_first_settings_that_is_the_base_is_trained_once(with_base_first):
    folder, sweep, found = with_base_first
    assert (found["base"]["trial"], found["states"]) == (0, {"COMPLETE": 2})
    assert len(rows(sweep)) == 2
    assert Counter((folder / "trained").read_text().split()) == {"0": 2, "1": 2}
    plan = json.loads(sweep("plan", "tiny.yaml", "--json").out)
    assert plan["base_is_first"]


def test_a_base_that_diverges_is_said(run, sweep):
    slow = "{training.learning_rate: {type: float, low: 1e-5, high: 1e-4}}"
    found = run(hidden=32, batch=4, rate=10, training=DIVERGES, space=slow, trials=1)
    assert (found["base"]["state"], found["base"]["diverged"], found["base"]["gained"]) == ("PRUNED", True, {})
    assert "diverged" in sweep("best", "tiny").out


def test_a_base_that_fails_is_retried_as_the_base(run, sweep, folder):
    found = run(trials=1, fails=(0,), looks=False)
    assert (found["base"]["state"], found["states"]) == ("FAIL", {"COMPLETE": 1})
    assert sweep("retry", "tiny", "--failed").code == 0
    best = json.loads(sweep("best", "tiny", "--json").out)
    assert (best["base"]["trial"], best["base"]["state"], best["states"]) == (2, "COMPLETE", {"COMPLETE": 1})
    assert best["base"]["gained"].keys() == {"validation", "test"}
    check(sweep, folder)


def test_the_base_keeps_its_weights(plain):
    folder, sweep, found = plain
    spec = (folder / "tiny.yaml").read_text() + "storage: {keep: best}\n"
    (folder / "tiny.yaml").write_text(spec.replace("n_trials: 4", "n_trials: 5"))
    assert sweep("run", "tiny.yaml").code == 0
    check(sweep, folder)
    folders = {int(path.name[-4:]): path for path in folder.glob("runs/tiny/*/trial-*")}
    kept = {number: bool(checkpoint.load(str(path)).state.best_weights) for number, path in folders.items()}
    assert kept[found["base"]["trial"]]
    assert not all(kept.values())
    assert sweep("predict", "tiny", "--trial", "0", "--output", "f.csv").code == 0


def test_a_sweep_that_reaches_its_target_ends_with_the_base(hasty):
    _, sweep, found = hasty
    assert sum(found["states"].values()) < 6
    assert found["base"]["state"] == "COMPLETE"
    assert rows(sweep)[0]["epochs"] == 3


@pytest.mark.parametrize(
    ("lost", "which"),
    [
        pytest.param(("study.db",), "with_base_first", id="study, base first"),
        pytest.param(("study.db",), "plain", id="study", marks=pytest.mark.faults),
        pytest.param(("study.db", "mlflow.db"), "plain", id="both", marks=pytest.mark.faults),
        pytest.param(("study.db", "mlflow.db"), "with_base_first", id="both, base first", marks=pytest.mark.faults),
    ],
)
def test_a_lost_study_is_restored_with_its_base(request, lost, which):
    folder, sweep, _ = request.getfixturevalue(which)
    before = rows(sweep)
    for name in lost:
        (folder / "runs" / name).unlink()
    assert sweep("rebuild", "tiny", "--study").code == 0
    after = rows(sweep)
    # Only Optuna and MLflow knew that a trial was pruned; from its checkpoint it goes on.
    cut = {n for n, row in before.items() if row["state"] == "PRUNED"} if "mlflow.db" in lost else set()
    assert {n for n, row in after.items() if row["state"] == "RUNNING"} == cut
    assert {n: (r["value"], r["is_base"]) for n, r in after.items() if n not in cut} == {
        n: (r["value"], r["is_base"]) for n, r in before.items() if n not in cut
    }
    assert sweep("run", "tiny.yaml", "--set", "search.n_trials=3").code == 0
    check(sweep, folder)
    assert sum(row["is_base"] for row in rows(sweep).values()) == 1


def test_every_point_of_a_grid_is_tried_beside_the_base_and_the_bases_own_takes_its_epochs(sweep, folder):
    points = "{model.hidden_size: {type: categorical, choices: [3, 4]}, "
    points += "model.cell: {type: categorical, choices: [lstm, gru]}}"
    text = SPEC.replace("sampler: {{type: random, seed: 3}}", "sampler: {{type: grid, seed: 3}}")
    (folder / "tiny.yaml").write_text(text.format(**PARTS | {"epochs": 1, "trials": 4, "space": points}))
    assert sweep("run", "tiny.yaml", "--set", "search.n_trials=2").code == 0
    (folder / "runs" / "study.db").unlink()
    assert sweep("rebuild", "tiny", "--study").code == 0
    assert sweep("run", "tiny.yaml").code == 0
    check(sweep, folder)
    trials = rows(sweep)
    points = {
        number: (row["parameters"].get("model.hidden_size"), row["parameters"].get("model.cell"))
        for number, row in trials.items()
        if not row["is_base"]
    }
    assert len(set(points.values())) == len(points) == 4
    (mine,) = [number for number, point in points.items() if point == (4, "lstm")]
    assert trials[mine]["value"] == trials[0]["value"]
    trained = Counter((folder / "trained").read_text().split())
    assert trained == {str(number): 1 for number in trials if number != mine}
    assert sweep("rebuild", "tiny").code == 0
    check(sweep, folder)

"""What was filled in counts in no loss from now on; what was begun when it did keeps its loss to its end."""

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace
from unittest import mock

import inside
import mlflow.tracking  # noqa: F401 # takes its time: once here, not in each child
import pytest
import twin
from audit import audit

from experiments.cli import main
from lstm import checkpoint

FILLED = 21  # rows of the training part, after the look-back


@pytest.fixture
def gaps(folder):
    """The tiny spec on data of which some weeks are missing."""
    return with_gaps(folder)


def with_gaps(folder):
    lines = (folder / "tiny.csv").read_text().splitlines()
    for row in [*range(40, 54), *range(90, 97), *range(200, 203)]:
        lines[1 + row] = lines[1 + row].partition(",")[0] + ","
    (folder / "tiny.csv").write_text("\n".join(lines) + "\n")
    spec = (folder / "tiny.yaml").read_text().replace("target: load", "target: load\n  missing: interpolate")
    spec = re.sub(r"batch_size: \d+", "batch_size: 32", spec).replace("n_trials: 4", "n_trials: 2")
    (folder / "tiny.yaml").write_text(spec)
    return folder


@pytest.fixture
def sweep(gaps):
    """The command line without Ray; with `before` as the version that counted what was filled in."""
    return sweep_in(gaps)


def sweep_in(folder):
    def sweep(*arguments, before=False):
        if arguments[0] in inside.LOOKS:
            return inside.call(arguments, folder)

        def act():
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            here = ["--in-process"] if arguments[0] == "run" else []
            with mock.patch("experiments.spec.experiment.LOSS_ON", "all" if before else "measured"):
                main([*map(str, arguments), *here], prog_name="sweep")

        code = twin.forked(act, folder / "log")
        return SimpleNamespace(code=code, out=(folder / "out").read_text(), err=(folder / "err").read_text())

    return sweep


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return tmp_path_factory.mktemp("stages")


@pytest.fixture
def begun(stages, tiny, monkeypatch):
    """A sweep of the base and a trial in the working folder, where it is run once: `sweep, folder = begun(before)`."""

    def begun(before):
        folder, kept = stages / "work", stages / f"begun-{before}"
        sweep = sweep_in(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if kept.exists():
            shutil.copytree(kept, folder)
            monkeypatch.chdir(folder)
            return sweep, folder
        folder.mkdir()
        monkeypatch.chdir(folder)
        (folder / "tiny.yaml").write_text(tiny.spec)
        (folder / "tiny.csv").write_text(tiny.data)
        with_gaps(folder)
        answer = sweep("run", "tiny.yaml", "--set", "search.n_trials=1", before=before)
        assert answer.code == 0, answer.err
        shutil.copytree(folder, kept)
        return sweep, folder

    monkeypatch.delenv("SWEEP_HOME", raising=False)
    return begun


def losses(folder, name="tiny"):
    """Of each trial, and of the single training, the loss that its checkpoint says; None where it does not."""
    files = (folder / "runs" / name).rglob("attempt-*.pt")
    found = [(path.parent, checkpoint.load(str(path.parent))) for path in files]
    return {path.name: each.config.model_dump().get("loss_on") for path, each in found}


def params(folder):
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as database:
        rows = database.execute(
            "SELECT name, value FROM runs LEFT JOIN params ON params.run_uuid = runs.run_uuid "
            "AND key = 'loss_on' WHERE lifecycle_stage = 'active' AND name LIKE 'trial-%'"
        )
        return dict(rows.fetchall())


def told(sweep, verb, *more):
    answer = sweep(verb, *more, "--json")
    assert answer.code == 0, answer.err
    return [each for each in json.loads(answer.out)["warnings"] if each["code"] == "earlier-loss-kept"]


def judge(sweep, folder):
    answer = sweep("verify", "tiny")
    assert answer.code == 0, answer.out
    assert audit(folder / "runs", "tiny") == []


@pytest.mark.parametrize("further", [False, pytest.param(True, marks=pytest.mark.faults)])
def test_a_sweep_begun_before_keeps_its_loss_and_says_so(begun, further):
    sweep, gaps = begun(before=True)
    assert losses(gaps) == {f"trial-000{number}": None for number in range(2)}, "the base and a trial"
    assert params(gaps) == losses(gaps)
    best = json.loads(sweep("best", "tiny", "--json").out)["best"]
    for named in ("tiny.yaml", "tiny"):
        [note] = told(sweep, "plan", named)
        assert (note["path"], note["values"]["sweep"]) == ("name", "tiny")
        assert str(FILLED) in note["values"]["counted"]
    assert not told(sweep, "plan", "tiny.yaml", "--set", "name=other")
    assert len(told(sweep, "run", "tiny.yaml")) == 1
    assert losses(gaps) == {f"trial-000{number}": None for number in range(3)}
    judge(sweep, gaps)
    rows = {row["trial"]: row for row in json.loads(sweep("compare", "tiny", "--json").out)["trials"]}
    assert best["value"] == rows[1]["value"]
    assert not further or sweep("probe", "tiny").code == 0
    assert sweep("predict", "tiny").code == 0
    assert sweep("rebuild", "tiny").code == 0
    assert set(params(gaps).values()) == {None}
    judge(sweep, gaps)
    [_] = told(sweep, "train", "tiny.yaml")
    assert losses(gaps)["train"] is None
    if further:
        assert sweep("run", "tiny.yaml", "--set", "name=other", "--set", "search.n_trials=1").code == 0
        assert losses(gaps, "other") == {"trial-0000": "measured", "trial-0001": "measured"}


@pytest.mark.parametrize(
    ("kept", "before"),
    [("checkpoints", True), *(pytest.param("runs", each, marks=pytest.mark.faults) for each in (True, False))],
)
def test_a_lost_study_comes_back_with_its_loss(begun, before, kept):
    sweep, gaps = begun(before)
    (gaps / "runs" / "study.db").unlink()
    if kept == "runs":
        for path in (gaps / "runs" / "tiny").rglob("attempt-*.pt"):
            path.unlink()
    answer = sweep("rebuild", "tiny", "--study")
    assert answer.code == 0, answer.err
    assert "left out" not in answer.err + answer.out
    assert bool(told(sweep, "plan", "tiny")) is before
    assert sweep("run", "tiny", "--set", "search.n_trials=2").code == 0
    loss_on = None if before else "measured"
    assert set(losses(gaps).values()) == {loss_on}
    assert set(params(gaps).values()) == {loss_on}
    if kept == "checkpoints":
        judge(sweep, gaps)


def test_a_new_sweep_says_its_loss_wherever_its_configuration_stands(sweep, gaps):
    assert not told(sweep, "plan", "tiny.yaml")
    assert not told(sweep, "run", "tiny.yaml", "--set", "search.n_trials=1")
    assert set(losses(gaps).values()) == {"measured"}
    assert set(params(gaps).values()) == {"measured"}
    assert json.loads(sweep("best", "tiny", "--json").out)["best"]["config"]["loss_on"] == "measured"
    judge(sweep, gaps)


def test_a_single_training_goes_on_with_the_loss_that_it_has(sweep, gaps):
    assert sweep("train", "tiny.yaml", before=True).code == 0
    whole = json.loads(sweep("train", "tiny.yaml", "--json", before=True).out)["history"]
    [note] = told(sweep, "train", "tiny.yaml")
    assert str(FILLED) in note["values"]["counted"]
    assert "nothing was left to do" in sweep("train", "tiny.yaml").out
    assert losses(gaps) == {"train": None}
    assert not told(sweep, "train", "tiny.yaml", "--set", "name=other")
    [new, *_] = (gaps / "runs" / "other").rglob("attempt-*.pt")
    found = checkpoint.load(str(new.parent))
    assert found.config.loss_on == "measured"
    assert found.state.history[0].metrics["train/loss"] != whole[0]["train/loss"]


@pytest.mark.parametrize("where", ["", "training.", "data.", "model."])
def test_no_spec_says_which_loss_it_is(sweep, gaps, where):
    answer = sweep("plan", "tiny.yaml", "--set", f"{where}loss_on=all")
    assert (answer.code, answer.out) == (2, "")
    assert f"{where}loss_on" in answer.err
    space = "search.space.loss_on={type: categorical, choices: [all, measured]}"
    assert sweep("plan", "tiny.yaml", "--set", space).code == 2
    assert not (gaps / "runs").exists()


def test_where_nothing_was_measured_there_is_nothing_to_learn(sweep, gaps):
    lines = (gaps / "tiny.csv").read_text().splitlines()
    lines[15:181] = [line.partition(",")[0] + "," for line in lines[15:181]]
    (gaps / "tiny.csv").write_text("\n".join(lines) + "\n")
    for verb in ("run", "train"):
        answer = sweep(verb, "tiny.yaml", "--set", "data.missing=forward_fill")
        assert (answer.code, answer.out) == (2, "")
        assert "measured" in answer.err
    assert not (gaps / "runs").exists()

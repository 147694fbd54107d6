"""Sweeps that earlier versions made go on, where they were made and elsewhere: the second opinion judges them, too."""

import itertools
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import blank
import pytest
import twin
from audit import audit
from click.testing import CliRunner

import experiments
from dashboards.tracking import server
from experiments.cli import main

HERE = Path(__file__).parent
NAMES = ("forecast", "classify", "front", "killed", "relative")
# Part of `make test`: of the oldest version one sweep elsewhere, of the newest another where it was made.
MOVED_OF = ({"forecast": True}, {"relative": False})
TRIALS = {"forecast": 4, "classify": 3, "front": 4, "killed": 4, "relative": 4}
SPEC = {name: f"{name}.yaml" for name in NAMES} | {"relative": "specs/relative.yaml"}


def cases():
    """One of the oldest and one of the newest version here, all in the full matrix."""
    found = []
    every = (HERE / "versions.txt").read_text().split()  # in the order in which they were added
    for version in every:
        quick = MOVED_OF[version == every[-1]] if version in (every[0], every[-1]) else {}
        for name, moved in itertools.product(NAMES, (False, True)):
            marks = () if quick.get(name) is moved else pytest.mark.faults
            case = f"{version}-{name}-{'elsewhere' if moved else 'where it was made'}"
            found.append(pytest.param(version, name, moved, marks=marks, id=case))
    return found


def sweep(*arguments):
    """A verb in this process: its code and what it printed."""
    done = CliRunner().invoke(main, list(arguments), prog_name="sweep")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def judge(name):
    """Both judges, on the home in the working folder."""
    code, out, _ = sweep("verify", name)
    assert code == 0, out
    # Where the command was called, or beside its spec, as the version has it.
    study = str(next(Path.cwd().rglob("relative.db"))) if name == "relative" else None
    assert audit(Path("runs").absolute(), name, study=study) == []


@pytest.mark.parametrize(("version", "name", "moved"), cases())
def test_it_goes_on(unpack, monkeypatch, version, name, moved):
    folder = unpack(version, name, moved=moved)
    blank.pictures(monkeypatch)
    monkeypatch.chdir(folder)
    before = compared(name)
    if name != "killed":
        assert sweep("verify", name)[0] == 0, "a home that was moved is no damage"
    best = json.loads(sweep("best", name, "--json")[1])["best"]
    if moved and name != "relative":
        assert best["checkpoint"].startswith(str(folder))
    data = ["--input", "digits.csv"] if name == "classify" else []
    assert sweep("predict", name, *data)[0] == 0
    more = f"search.n_trials={TRIALS[name] + 1}"
    code = twin.run(folder, SPEC[name], "runs", more=["--set", more], drawn=True)
    assert code == 0, (folder / "driver.log").read_text()
    judge(name)
    after = compared(name, "--trials", "0")
    ended = [row for row in before["trials"] if row["state"] not in ("RUNNING", "WAITING")]
    assert experiments.load(name).to_frame()["counts"].sum() == TRIALS[name] + 1
    assert all(row in after["trials"] for row in ended), "what had ended stays what it was"
    assert sweep("probe", name)[0] == 0
    assert sweep("predict", name, *data)[0] == 0
    assert sweep("rebuild", name)[0] == 0
    judge(name)
    assert {len(config) for config in settings_of_runs()} == {16}
    assert {"mlflow.sharedViewState.sweep", "mlflow.sharedViewState.settings"} <= experiment_tags()


@pytest.mark.parametrize(
    ("version", "name", "moved"),
    [case for case in cases() if case.values[1] in ("forecast", "front")],
)
def test_its_weights_can_be_freed(unpack, monkeypatch, version, name, moved):
    folder = unpack(version, name, moved=moved)
    monkeypatch.chdir(folder)
    told = json.loads(sweep("clean", name, "--keep", "best", "--json")[1])
    assert told["freed"]
    assert not told["failed"]
    code, out, _ = sweep("verify", name)
    assert code == 0, out
    assert json.loads(sweep("clean", name, "--keep", "best", "--json")[1])["freed"] == []
    assert sweep("best", name)[0] == 0


def compared(name, *options):
    """What `compare` says, without the ranks: a better trial changes those of all others."""
    told = json.loads(sweep("compare", name, "--json", *options)[1])
    return {**told, "trials": [{k: v for k, v in row.items() if k != "rank"} for row in told["trials"]]}


@pytest.mark.parametrize("verb", ["rebuild", "ui"])
def test_the_data_of_a_moved_home_are_found_after_its_addresses_were_changed(unpack, monkeypatch, verb):
    def failed(*_):
        raise server.ServerFailed("it does not start")

    folder = unpack("0afb8a9", "forecast", moved=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(server, "serve", failed)
    code, _, told = sweep(verb, "forecast")
    assert (code, "can't be read again" in told) == (int(verb == "ui"), False)
    place = str(folder / "runs")
    assert all(place in row for (row,) in stored("SELECT artifact_location FROM experiments WHERE experiment_id > 0"))
    code, out, told = sweep("predict", "forecast", "--json")
    assert code == 0, told
    assert json.loads(out)
    if verb == "rebuild":
        record = json.loads((folder / "runs" / "home.json").read_text())
        assert record["place"] == place
        assert record["before"] == [f"/srv/lstm-sweeps-old/{folder.name}/runs"]
        (sets,) = stored("SELECT count(*) FROM inputs")[0]
        assert sets == 5 * 3, "the sweep's and each trial's"


def settings_of_runs():
    """The tag with the setting of each trial's run, "" where it is missing."""
    runs = "runs LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'sweep.config'"
    trials = "SELECT run_uuid FROM tags WHERE key = 'sweep.trial'"
    where = f"lifecycle_stage = 'active' AND runs.run_uuid IN ({trials})"
    return [value or "" for (value,) in stored(f"SELECT tags.value FROM {runs} WHERE {where}")]


def experiment_tags():
    return {key for (key,) in stored("SELECT key FROM experiment_tags WHERE value LIKE '%createdAt%'")}


def stored(query):
    """What MLflow's store has."""
    with closing(sqlite3.connect(next(Path("runs").glob("mlflow.db")))) as database:
        return database.execute(query).fetchall()

"""Whose checkpoints, which study, where the home is: nothing of one sweep is taken for another's, or trained over."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import inside
import mlflow.tracking  # noqa: F401 # takes its time: once here, not in each child
import pytest
import twin
from audit import audit

from cluster.study import moved
from dashboards.tracking import relocate, runs
from experiments.cli import main
from experiments.home import FORMAT, RECORD
from lstm import checkpoint, ownership
from lstm.messages.message import note
from lstm.storage import files
from lstm.training import loop

SPEC = """\
name: tiny
data: {path: tiny.csv, time: day, target: load, lookback: 14, horizon: 7, split: {validation: 0.2, test: 0.2}}
model: {hidden_size: 4}
training: {max_epochs: 2, batch_size: 32, learning_rate: 1e-2}
search:
  n_trials: 2
  sampler: {type: tpe, seed: 3, n_startup_trials: 1}
  pruner: {type: successive_halving, min_resource: 1, reduction_factor: 2}
  first: [{model.hidden_size: 3}]
  space:
    model.hidden_size: {type: int, low: 2, high: 8}
    training.learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
"""
TRIALS = 2
MORE = ("--set", f"search.n_trials={TRIALS + 1}")
ELSEWHERE = "storage: {{checkpoints: {}/shared}}\n"
BESIDE = "storage: {study: 'sqlite:///rel.db', checkpoints: kept}\ntracking: {uri: 'sqlite:///flow.db'}\n"


def run(folder, *more, spec="tiny.yaml", home="runs"):
    """`sweep run` without Ray; its exit code, and what it said in `driver.log`."""
    (folder / "driver.log").unlink(missing_ok=True)
    return twin.run(folder, spec, home, more=more)


def said(folder):
    return (folder / "driver.log").read_text()


@pytest.fixture
def sweep(tmp_path):
    """The command line, in a child unless it looks."""

    def sweep(*arguments):
        if arguments[0] in inside.LOOKS:
            return inside.call(arguments, Path.cwd())
        out, err = tmp_path / "out", tmp_path / "err"

        def act():
            for number, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            main(list(map(str, arguments)), prog_name="sweep")

        code = twin.forked(act, tmp_path / "log")
        return SimpleNamespace(code=code, out=out.read_text(), err=err.read_text())

    return sweep


@pytest.fixture(scope="module")
def finished_twin(tmp_path_factory, tiny):
    """Puts a finished sweep into one and the same folder: each kind is run there once, and copied back from then on."""
    root = tmp_path_factory.mktemp("twin")
    folder = root / "work"

    def put(kind, text=SPEC, spec="tiny.yaml"):
        shutil.rmtree(folder, ignore_errors=True)
        if not (root / kind).exists():
            (folder / spec).parent.mkdir(parents=True)
            (folder / spec).write_text(text)
            (folder / spec).with_name("tiny.csv").write_text(tiny.data)
            assert run(folder, spec=spec) == 0, said(folder)
            folder.rename(root / kind)
        shutil.copytree(root / kind, folder)
        return folder

    put.folder = folder
    return put


@pytest.fixture
def work(finished_twin, monkeypatch):
    """The finished sweep's folder, as it was when the sweep had ended; the working folder."""
    finished_twin("plain")
    return _working(finished_twin.folder, monkeypatch)


@pytest.fixture
def apart(finished_twin, monkeypatch):
    """The same of a sweep whose checkpoints are in `shared`, not in its home."""
    finished_twin("apart", SPEC + ELSEWHERE.format(finished_twin.folder))
    return _working(finished_twin.folder, monkeypatch)


@pytest.fixture
def beside(finished_twin, monkeypatch):
    """The same of `specs/tiny.yaml`, of which study, checkpoints and MLflow's database have relative addresses.

    It is of one trial beside the base.
    """
    text = SPEC.replace(f"n_trials: {TRIALS}", "n_trials: 1").replace(
        "type: tpe, seed: 3, n_startup_trials: 1", "type: random"
    )
    finished_twin("beside", text + BESIDE, spec="specs/tiny.yaml")
    return _working(finished_twin.folder, monkeypatch)


def _working(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SWEEP_HOME", raising=False)
    return folder


def study_id(home):
    return json.loads((home / "tiny" / "addresses.json").read_text())["study_id"]


def root_of(home):
    return Path(json.loads((home / "tiny" / "addresses.json").read_text())["checkpoints"])


def best_of(sweep, *more):
    return json.loads(sweep("best", "tiny", "--json", *more).out)["best"]


def state_of(folder):
    """Every file below a folder, with its content."""
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def judge(sweep, home):
    answer = sweep("verify", "tiny", "--home", home)
    assert answer.code == 0, answer.out
    assert audit(home, "tiny") == []


# --- Whose checkpoints -----------------------------------------------------------------------------------


def test_two_people_with_one_place_for_checkpoints_do_not_touch_each_others(apart, sweep):
    before = state_of(apart / "shared")
    (apart / "ben").mkdir()
    (apart / "ben" / "tiny.yaml").write_text((apart / "tiny.yaml").read_text().replace("seed: 3", "seed: 2"))
    shutil.copy("tiny.csv", apart / "ben")
    assert run(apart / "ben", "--set", "search.n_trials=1") == 0, said(apart / "ben")
    assert before.items() <= state_of(apart / "shared").items()
    for person in (apart, apart / "ben"):
        judge(sweep, person / "runs")
        assert study_id(person / "runs") in best_of(sweep, "--home", person / "runs")["checkpoint"]


def test_a_folder_of_another_study_is_refused_and_stays_as_it_is(work, sweep):
    mark = root_of(work / "runs") / ownership.MARK
    mark.write_text(json.dumps({"study": "f" * 32, "sweep": "tiny", "where": "elsewhere", "form": 1}))
    before = state_of(work / "runs")
    assert run(work, *MORE) == 2
    assert "f" * 32 in said(work)
    assert "elsewhere" in said(work)
    assert state_of(work / "runs") == before
    answer = sweep("verify", "tiny")
    assert answer.code == 1
    assert "f" * 32 in answer.out
    assert any("f" * 32 in finding for finding in audit(work / "runs", "tiny"))


@pytest.mark.parametrize("named", [True, False], ids=["names its study", "of an earlier version"])
def test_no_loader_takes_another_studys_checkpoint(work, sweep, named):
    best = best_of(sweep)
    newest = checkpoint.names(best["checkpoint"])[-1]
    found = checkpoint.load(best["checkpoint"])
    other = found.config.model_copy(update={"model": found.config.model.model_copy(update={"hidden_size": 9})})
    foreign = checkpoint.Checkpoint(
        found.config if named else other,
        found.facts,
        found.state,
        found.spent,
        "e" * 32 if named else "",
        best["trial"],
    )
    files.put(best["checkpoint"], newest, checkpoint.dumps(foreign))
    before = state_of(work / "runs")
    for verb in (("predict", "tiny"), ("probe", "tiny")):
        answer = sweep(*verb)
        assert (answer.code, answer.out) == (2, "")
        assert best["checkpoint"] in answer.err
        assert ("e" * 32 if named else "hidden_size") in answer.err
    assert run(work, *MORE) == 2
    assert best["checkpoint"] in said(work)
    answer = sweep("verify", "tiny")
    assert answer.code == 1
    assert best["checkpoint"] in answer.out
    assert audit(work / "runs", "tiny")
    assert sweep("rebuild", "tiny").code == 1
    after = state_of(work / "runs")
    assert {p for p in before if before[p] != after.get(p)} <= {work / "runs" / "study.db"}, "which has the lease"


def test_a_mark_can_be_made_by_one_alone(tmp_path):
    mine, other = ownership.Mark("a" * 32, "tiny"), ownership.Mark("b" * 32, "tiny", "sqlite:///there.db of ben")
    ownership.claim(str(tmp_path / "kept"), mine)
    (tmp_path / "kept" / ".study.json.0129285bbb2c").write_text("of a driver that was killed with the mark in place")
    ownership.claim(str(tmp_path / "kept"), mine)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["study.json"]
    with pytest.raises(ownership.ForeignCheckpoint, match="a" * 32):
        ownership.claim(str(tmp_path / "kept"), other)
    assert ownership.mark_of(str(tmp_path / "kept")) == mine
    assert [p.name for p in (tmp_path / "kept").iterdir()] == [ownership.MARK]


def killed_once_marked(work, pattern="study.json"):
    """A new sweep of one trial in `work`, its driver killed at the first durable step after a mark is there.

    Answers the folders that have a mark.
    """
    shutil.rmtree(work / "runs")
    (work / "tiny.yaml").write_text(f"{SPEC[: SPEC.index('search:')]}{ELSEWHERE.format(work)}")

    def marks():
        return [path.parent for path in (work / "shared").glob(f"tiny/*/{pattern}")]

    (work / "driver.log").unlink(missing_ok=True)
    assert twin.run(work, "tiny.yaml", "runs", at=lambda _: bool(marks())) == -9, said(work)
    return marks()


def followed_by_one_that_leaves_none_that_is_nobodys(work, marked):
    assert run(work) == 0, said(work)
    assert root_of(work / "runs") == marked
    assert [path.name for path in (work / "shared" / "tiny").iterdir()] == [study_id(work / "runs")]
    assert not list(marked.glob(".*"))


def test_a_driver_killed_when_it_has_half_marked_a_folder_leaves_none_that_is_nobodys(work, sweep):
    (marked,) = killed_once_marked(work, ".study.json.*")
    followed_by_one_that_leaves_none_that_is_nobodys(work, marked)
    judge(sweep, work / "runs")


@pytest.mark.faults
def test_a_copy_of_a_study_whose_driver_was_killed_when_it_had_marked_a_folder_gets_an_id_of_its_own(work, sweep):
    (marked,) = killed_once_marked(work)
    shutil.copytree(work / "runs", work / "copied")
    followed_by_one_that_leaves_none_that_is_nobodys(work, marked)
    assert run(work, home="copied") == 0, said(work)
    assert study_id(work / "runs") == marked.name
    assert study_id(work / "copied") != marked.name
    judge(sweep, work / "runs")
    judge(sweep, work / "copied")


# --- Which version made it -------------------------------------------------------------------------------


def test_what_a_newer_version_made_is_refused_with_its_version(work, sweep):
    before = state_of(work / "runs")
    (work / "runs" / RECORD).write_text(json.dumps({"form": FORMAT + 6}))
    for verb in (("status", "tiny"), ("plan", "tiny.yaml"), ("best", "tiny"), ("verify", "tiny")):
        answer = sweep(*verb)
        assert (answer.code, answer.out) == (2, "")
        assert str(FORMAT + 6) in answer.err
    (work / "runs" / RECORD).unlink()
    with closing(sqlite3.connect(work / "runs" / "study.db")) as study, study:
        study.execute("UPDATE study_user_attributes SET value_json = '9' WHERE key = 'form'")
    assert (sweep("best", "tiny").code, run(work)) == (2, 2)
    assert " 9" in said(work)
    after = state_of(work / "runs")
    assert {p for p in before if before[p] != after.get(p)} == {work / "runs" / RECORD, work / "runs" / "study.db"}


def test_a_newer_versions_checkpoint_is_refused_and_not_trained_over(work, sweep, monkeypatch):
    best = best_of(sweep)
    newest = checkpoint.names(best["checkpoint"])[-1]
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "FORMAT", 8)
        files.put(best["checkpoint"], newest, checkpoint.dumps(checkpoint.load(best["checkpoint"])))
    before = state_of(root_of(work / "runs"))
    assert run(work, *MORE) == 2
    for verb in ("predict", "verify"):
        answer = sweep(verb, "tiny")
        assert answer.code == 2
        assert newest in answer.err
        assert " 8" in answer.err
    assert state_of(root_of(work / "runs")) == before


# --- Which study -----------------------------------------------------------------------------------------


def test_a_lost_study_is_told_and_restored_and_goes_on_as_if_nothing_had_been(work, sweep, finished_twin, monkeypatch):
    best, trials = best_of(sweep), json.loads(sweep("compare", "tiny", "--json").out)
    (work / "runs" / "study.db").rename(work / "study.lost")
    kept = state_of(work / "runs")
    for verb in ("status", "best", "compare", "verify", "stop", "predict", "probe"):
        answer = sweep(verb, "tiny")
        assert (answer.code, answer.out) == (2, ""), verb
        assert f"{TRIALS + 1} trials in {root_of(work / 'runs')}" in answer.err
    assert run(work) == 2
    assert state_of(work / "runs") == kept, "nothing was trained over, nothing written"
    answer = sweep("rebuild", "tiny", "--study", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["study"] == study_id(work / "runs")
    assert (json.loads(answer.out)["unknown"], json.loads(answer.out)["notes"]) == ([], [])
    assert json.loads(sweep("compare", "tiny", "--json").out) == trials
    assert {**best_of(sweep), "metrics": best["metrics"]} == best
    assert sweep("rebuild", "tiny", "--study").code == 2, "it is there"
    assert run(work, *MORE) == 0, said(work)
    judge(sweep, work / "runs")
    restored = json.loads(sweep("compare", "tiny", "--json").out)["trials"]
    monkeypatch.chdir(finished_twin("plain"))
    assert run(work, *MORE) == 0, said(work)
    anew = json.loads(sweep("compare", "tiny", "--json").out)["trials"]
    assert [r["parameters"] for r in restored] == [r["parameters"] for r in anew], "the same suggestions"
    assert [(r["state"], r["value"]) for r in restored] == [(r["state"], r["value"]) for r in anew]


def test_a_study_is_restored_as_far_as_the_other_stores_go(work, sweep):
    (work / "runs" / "study.db").unlink()
    (work / "runs" / "mlflow.db").unlink()
    shutil.rmtree(root_of(work / "runs") / "trial-0001")
    answer = sweep("rebuild", "tiny", "--study", "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert document["unknown"] == [1]
    assert document["states"]["RUNNING"] >= 1
    assert run(work) == 0, said(work)
    judge(sweep, work / "runs")
    assert len(json.loads(sweep("compare", "tiny", "--json").out)["trials"]) == TRIALS + 1


@pytest.fixture
def wholly_lost(apart):
    """A sweep that has ended, with its checkpoints elsewhere and the whole home gone; the folder of those."""
    checkpoints = root_of(apart / "runs")
    shutil.rmtree(apart / "runs")
    (apart / "driver.log").unlink()
    return checkpoints


def test_a_wholly_lost_home_whose_checkpoints_lie_elsewhere_is_told_and_restored(apart, sweep, wholly_lost):
    kept = state_of(apart)
    assert run(apart) == 2
    assert str(wholly_lost) in said(apart)
    assert wholly_lost.name in said(apart) or "study.json" in said(apart)
    assert "sweep rebuild tiny.yaml --study" in said(apart)
    assert {**state_of(apart), apart / "driver.log": ""} == {**kept, apart / "driver.log": ""}, "nothing was written"
    answer = sweep("rebuild", "tiny.yaml", "--study", "--json")
    assert (answer.code, json.loads(answer.out)["study"]) == (0, wholly_lost.name), answer.err
    assert run(apart, *MORE) == 0, said(apart)
    assert (study_id(apart / "runs"), root_of(apart / "runs")) == (wholly_lost.name, wholly_lost)
    assert sweep("rebuild", "tiny").code == 0
    judge(sweep, apart / "runs")


def test_checkpoints_of_another_home_are_told_and_left_and_restored_by_force_alone(apart, sweep, wholly_lost):
    kept = state_of(apart / "shared")
    assert run(apart, "--set", "search.n_trials=1", home="mine") == 0, said(apart)
    warnings = json.loads(said(apart)[said(apart).index("{") :])["warnings"]
    (note,) = [each for each in warnings if str(wholly_lost) in each["place"]]
    assert (note["code"], note["values"]["study"]) == ("checkpoints-of-another-study-left", wholly_lost.name)
    assert f"the home {apart / 'runs'} of " in note["values"]["home"]
    assert "rebuild tiny.yaml --study --force" in note["values"]["restores"]
    assert kept.items() <= state_of(apart / "shared").items()
    judge(sweep, apart / "mine")
    assert sweep("rebuild", "tiny.yaml", "--study", "--home", apart / "theirs").code == 2
    several = sweep("rebuild", "tiny.yaml", "--study", "--force", "--home", apart / "theirs")
    assert several.code == 2
    assert study_id(apart / "mine") in several.err
    assert not (apart / "theirs").exists()
    shutil.rmtree(root_of(apart / "mine"))
    answer = sweep("rebuild", "tiny.yaml", "--study", "--force", "--json", "--home", apart / "theirs")
    assert (answer.code, json.loads(answer.out)["study"]) == (0, wholly_lost.name), answer.err
    assert str(apart / "theirs") in ownership.mark_of(str(wholly_lost)).where
    assert run(apart, home="theirs") == 0, said(apart)
    judge(sweep, apart / "theirs")


def test_another_home_of_the_same_study_lacks_nothing_of_what_was_judged(beside, sweep):
    def verified(home):
        return sweep("verify", "specs/tiny.yaml", "--home", beside / home).code

    assert (beside / "runs" / "tiny" / "judged.npz").is_file()
    assert verified("other") == 0
    assert run(beside, "--set", "search.n_trials=2", spec="specs/tiny.yaml", home="other") == 0, said(beside)
    assert (verified("runs"), verified("other")) == (0, 0)
    judged = beside / "other" / "tiny" / "judged.npz"
    before = judged.read_bytes()
    judged.unlink()
    assert verified("other") == 1, "it was judged there last"
    assert sweep("rivals", "tiny", "--home", beside / "other").code == 0
    assert judged.read_bytes() == before


def test_relative_addresses_start_at_the_spec(beside, sweep, monkeypatch):
    assert {"rel.db", "kept", "flow.db"} <= {p.name for p in (beside / "specs").iterdir()}
    best = best_of(sweep)
    monkeypatch.chdir(beside / "specs")
    assert best_of(sweep, "--home", beside / "runs") == best
    answer = sweep("run", "tiny.yaml", "--home", beside / "runs", "--json")
    assert "nothing was left to do" in json.loads(answer.out)["message"]
    assert answer.code == 0


def test_a_file_of_an_earlier_version_in_the_working_folder_is_used_and_said(work, sweep):
    (work / "specs").mkdir()
    shutil.copy("tiny.csv", "specs")
    (work / "specs" / "tiny.yaml").write_text(SPEC + "storage: {study: 'sqlite:///rel.db'}\n")
    shutil.move("runs/study.db", "rel.db")
    (work / "runs" / "tiny" / "addresses.json").unlink()
    answer = sweep("best", "specs/tiny.yaml", "--json")
    assert answer.code == 0
    assert str(work / "rel.db") in answer.err
    shutil.copy("rel.db", "specs/rel.db")
    answer = sweep("best", "specs/tiny.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert str(work / "rel.db") in answer.err
    assert str(work / "specs" / "rel.db") in answer.err
    assert "storage.study" in answer.err


def test_the_checkpoints_of_a_study_that_does_not_say_where_they_are(work, sweep):
    """The first versions kept them beside the study, in a folder of the sweep's name, and did not say it."""
    for trial in root_of(work / "runs").glob("trial-*"):
        trial.rename(work / "runs" / "tiny" / trial.name)
    with closing(sqlite3.connect(work / "runs" / "study.db")) as study, study:
        study.execute("DELETE FROM study_user_attributes WHERE key IN ('checkpoints', 'place', 'form')")
    best = best_of(sweep)
    assert Path(best["checkpoint"]).parent == work / "runs" / "tiny"
    assert sweep("predict", "tiny").code == 0
    assert run(work, *MORE) == 0, said(work)
    assert sweep("rebuild", "tiny").code == 0
    judge(sweep, work / "runs")


def test_a_mend_names_the_home_that_it_is_for(work, sweep, monkeypatch):
    with closing(sqlite3.connect(work / "runs" / "mlflow.db")) as database, database:
        database.execute("UPDATE tags SET value = 'FAIL' WHERE key = 'sweep.state'")
    monkeypatch.chdir("/")
    answer = sweep("verify", "tiny", "--home", work / "runs")
    assert answer.code == 1
    assert f"`sweep rebuild tiny --home {work / 'runs'}`" in answer.out


# --- Where the home is -----------------------------------------------------------------------------------


def test_a_home_that_was_moved_is_whole_and_goes_on(work, sweep, monkeypatch):
    there = work.with_name("else where")
    shutil.rmtree(there, ignore_errors=True)
    work.rename(there)
    monkeypatch.chdir(there)
    before = state_of(there / "runs")
    assert sweep("verify", "tiny").code == 0
    assert best_of(sweep)["checkpoint"].startswith(str(there))
    assert sweep("predict", "tiny").code == 0
    assert state_of(there / "runs") == before, "who looks writes nothing"
    assert run(there, *MORE) == 0, said(there)
    judge(sweep, there / "runs")
    assert not work.exists()
    assert json.loads((there / "runs" / RECORD).read_text())["place"] == str(there / "runs")


@pytest.mark.parametrize("verbs", [(), pytest.param(("probe", "refit", "rebuild"), marks=pytest.mark.faults)])
def test_a_copy_becomes_a_sweep_of_its_own_and_leaves_the_first_as_it_is(work, sweep, monkeypatch, verbs):
    before = state_of(work / "runs")
    there = work / "copy"
    there.mkdir()
    for name in ("tiny.csv", "tiny.yaml"):
        shutil.copy(name, there)
    shutil.copytree("runs", there / "runs")
    monkeypatch.chdir(there)
    assert sweep("verify", "tiny").code == 0
    assert run(there, *MORE) == 0, said(there)
    judge(sweep, there / "runs")
    assert run(there, "--set", f"search.n_trials={TRIALS + 2}") == 0, "it goes on in the folder that was copied"
    judge(sweep, there / "runs")
    for verb in verbs:
        assert sweep(verb, "tiny").code == 0
        judge(sweep, there / "runs")
    assert study_id(there / "runs") != study_id(work / "runs")
    assert state_of(work / "runs") == before


def test_a_copy_whose_checkpoints_are_elsewhere_gets_its_own(apart, sweep, monkeypatch):
    before = state_of(apart / "shared")
    there = apart / "copy"
    there.mkdir()
    for name in ("tiny.csv", "tiny.yaml"):
        shutil.copy(name, there)
    shutil.copytree("runs", there / "runs")
    monkeypatch.chdir(there)
    assert run(there, *MORE) == 0, said(there)
    judge(sweep, there / "runs")
    assert before.items() <= state_of(apart / "shared").items()
    assert root_of(there / "runs") != root_of(apart / "runs")


def test_a_copy_whose_driver_was_killed_when_it_had_only_marked_the_checkpoints_goes_on(work, sweep, monkeypatch):
    there = work / "copy"
    there.mkdir()
    for name in ("tiny.csv", "tiny.yaml"):
        shutil.copy(name, there)
    shutil.copytree("runs", there / "runs")
    first = study_id(work / "runs")
    own = moved._copy_id(first, str(there / "runs"), there / "runs" / "study.db")
    ownership.take_over(str(there / "runs" / "tiny" / first), ownership.Mark(own, "tiny"))
    assert run(there, *MORE) == 0, said(there)
    assert study_id(there / "runs") == own
    monkeypatch.chdir(there)
    judge(sweep, there / "runs")


@pytest.mark.faults
def test_a_driver_killed_while_a_copy_is_made_its_own_is_followed_by_one_that_ends_it(work, sweep, monkeypatch):
    there = work / "copy"
    for step in (2, 6):
        shutil.rmtree(there, ignore_errors=True)
        there.mkdir()
        for name in ("tiny.csv", "tiny.yaml"):
            shutil.copy(name, there)
        shutil.copytree("runs", there / "runs")
        assert twin.run(there, "tiny.yaml", "runs", at=step.__eq__, more=MORE) == -9
        assert run(there, *MORE) == 0, said(there)
        monkeypatch.chdir(there)
        judge(sweep, there / "runs")
        monkeypatch.chdir(work)
        judge(sweep, work / "runs")


def test_rebuild_deletes_nothing_where_it_can_not_write(work, sweep, monkeypatch):
    monkeypatch.setattr(runs, "prove_writable", refuse)
    before = state_of(work / "runs")
    answer = sweep("rebuild", "tiny")
    assert (answer.code, answer.out) == (1, "")
    assert "/somewhere/artifacts" in answer.err
    assert state_of(work / "runs").keys() == before.keys()
    monkeypatch.undo()
    monkeypatch.chdir(work)
    judge(sweep, work / "runs")


def refuse(*_):
    raise PermissionError(13, "Permission denied", "/somewhere/artifacts")


def test_every_column_of_mlflow_that_may_hold_an_address_is_known(work):
    """A newer MLflow may keep addresses in a new column: then `relocate.ADDRESSES` has to name it, or this list."""
    others = {
        ("runs", "source_type"),
        ("runs", "source_name"),
        ("runs", "source_version"),
        ("inputs", "source_type"),
        ("inputs", "source_id"),
        ("datasets", "dataset_source_type"),
        ("datasets", "dataset_source"),  # where the data were read, which no home holds
        ("logged_models", "source_run_id"),
        ("entity_associations", "source_type"),
        ("entity_associations", "source_id"),
        ("evaluation_dataset_records", "source"),
        ("evaluation_dataset_records", "source_id"),
        ("evaluation_dataset_records", "source_type"),
        ("endpoint_bindings", "resource_type"),
        ("endpoint_bindings", "resource_id"),
        ("issues", "source_run_id"),
        ("issues", "root_causes"),
        ("webhooks", "url"),
        ("mcp_access_endpoints", "url"),
        ("assessments", "source_type"),
        ("assessments", "source_id"),
    }
    found, holding = set(), set()
    with closing(sqlite3.connect(work / "runs" / "mlflow.db")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                if any(word in column for word in ("uri", "location", "path", "artifact", "source", "root", "url")):
                    found.add((table, column))
                where = f"CAST({column} AS TEXT) LIKE ?"
                if database.execute(f"SELECT 1 FROM {table} WHERE {where}", (f"%{work / 'runs'}%",)).fetchone():
                    holding.add((table, column))
    known = {(table, column) for table, columns in relocate.ADDRESSES.items() for column in columns}
    assert found - others <= known, "a new column"
    assert holding <= known | {("tags", "value")}
    assert len(holding) == 3


# --- The best trial's checkpoint ------------------------------------------------------------------------


def test_the_best_trials_lost_checkpoint_comes_back_from_mlflow(work, sweep):
    best = best_of(sweep)
    newest = checkpoint.names(best["checkpoint"])[-1]
    data = files.get(best["checkpoint"], newest)
    shutil.rmtree(best["checkpoint"])
    assert sweep("verify", "tiny").code == 1
    assert run(work) == 0, said(work)
    assert files.get(best["checkpoint"], newest) == data
    log = (work / "runs" / "tiny" / "sweep.log").read_text()
    alike = "it equals the lost one to the bit by the values of its epochs"
    assert str(note("checkpoint-taken-from-mlflow", at=f"trial {best['trial']}", alike=alike)) in log
    judge(sweep, work / "runs")


def test_where_mlflow_has_none_it_is_trained_again_to_the_bit_whenever_that_is_killed(work, sweep, monkeypatch):
    def killed_after_one(*arguments, **named):
        yield next(trained(*arguments, **named))
        twin.kill()

    best = best_of(sweep)
    before = checkpoint.load(best["checkpoint"]).state
    shutil.rmtree(best["checkpoint"])
    for artifact in (work / "runs" / "artifacts").rglob("checkpoint.pt"):
        artifact.unlink()
    trained = loop.train
    with monkeypatch.context() as patched:
        patched.setattr(loop, "train", killed_after_one)
        assert run(work) == -signal.SIGKILL, said(work)
    assert checkpoint.names(best["checkpoint"]) == [], "the first of its epochs are not the trial"
    twin.killed_at(work, "tiny.yaml", "runs", before.place)  # MLflow has the lost epochs still
    assert run(work) == 0, said(work)
    after = checkpoint.load(best["checkpoint"]).state
    assert [e.value for e in after.history] == [e.value for e in before.history]
    assert all((after.best_weights[name] == tensor).all() for name, tensor in before.best_weights.items())
    assert best_of(sweep) == best
    judge(sweep, work / "runs")
    assert os.path.basename(best["checkpoint"]) == f"trial-{best['trial']:04d}"  # noqa: PTH119

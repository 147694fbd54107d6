"""`sweep verify` against a second opinion: tests/lab/audit.py, which shares no code with the product.

Both must find nothing wrong with a sound sweep, and both must find and name each damage of tests/lab/damage.py.
"""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import moving
import pytest
from audit import audit
from damage import DAMAGES, HOSTILE
from mlflow.tracking._tracking_service import utils as mlflow_client

from dashboards.tracking import runs
from lstm.messages.catalog import CATALOG

# Each eighth in every run of the tests, all with `-m faults`.
SOME = [
    name if number % 8 == 0 else pytest.param(name, marks=pytest.mark.faults) for number, name in enumerate(DAMAGES)
]

KEYS = {"trial", "store", "what", "mend", "code", "values"}


@pytest.fixture(scope="module")
def sound(finished, tmp_path_factory):
    """A finished sweep in a home of its own, as it is before each test, and `restore`, which makes it so again."""
    assert finished.second.code == 0, finished.second.shown
    folder = tmp_path_factory.mktemp("sound")
    home, kept = folder / "runs", folder / "kept"
    shutil.copytree(finished.home, home)
    # Addresses are absolute: left as they are, a damage would be done to the sweep that other tests look at.
    moving.readdress(home, finished.home)
    shutil.copytree(home, kept)

    def restore():
        for path in sorted(kept.iterdir()):
            if path.suffix == ".db":
                # Not a new file: who has the old one open in this process would go on with the damaged one.
                with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(home / path.name)) as target:
                    source.backup(target)
            elif path.is_dir():
                shutil.rmtree(home / path.name)
                shutil.copytree(path, home / path.name)
        (home / HOSTILE).unlink(missing_ok=True)

    return SimpleNamespace(home=home, restore=restore)


@pytest.fixture
def home(sound):
    """The home of the finished sweep; whatever a test does to it is undone."""
    yield sound.home
    sound.restore()


def _verified(sweep, home):
    done = sweep("--home", home, "verify", "tiny", "--json")
    return done.code, json.loads(done.out)


def test_the_second_opinion_finds_nothing_wrong_with_a_sound_sweep(home, finished):
    assert audit(home, "tiny") == []
    # And it looked at this home: nothing in it leads to the one it was copied from.
    for name, columns in moving.ADDRESSES.items():
        with closing(sqlite3.connect(home / name)) as database:
            for table, column in columns:
                sql = f"SELECT count(*) FROM {table} WHERE instr({column}, ?)"
                assert database.execute(sql, (str(finished.home),)).fetchone() == (0,)


def test_verify_finds_nothing_wrong_with_a_sound_sweep(home, sweep):
    code, document = _verified(sweep, home)
    assert (code, document["sweep"], document["clean"], document["findings"]) == (0, "tiny", True, [])


def test_a_sweep_recorded_before_there_was_a_field_is_sound(home, sweep):
    files = list(home.rglob("artifacts/config.yaml"))
    for file in files:
        lines = file.read_text().splitlines()
        kept = [line for line in lines if line.split(":")[0].strip() not in ("variant", "forget_bias", "bidirectional")]
        assert len(kept) == len(lines) - 3
        file.write_text("\n".join(kept))
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        younger = "DELETE FROM params WHERE key IN ('model.variant', 'model.forget_bias', 'model.bidirectional')"
        assert database.execute(younger).rowcount == 3 * len(files) > 0
    assert _verified(sweep, home)[1]["findings"] == []


def test_there_are_damages_of_each_store():
    for some in (DAMAGES, [name for name in SOME if isinstance(name, str)]):
        families = {name.partition("_")[0] for name in some}
        assert families == {"study", "mlflow", "artifact", "checkpoint", "judged"}
    assert len(DAMAGES) >= 16


@pytest.mark.parametrize("damage", SOME)
def test_both_find_each_damage_and_name_it_and_verify_says_how_to_mend_it(damage, home, sweep):
    number = DAMAGES[damage](home, "tiny")
    found = audit(home, "tiny")
    named = "the sweep: " if number is None else f"trial {number}: "
    assert any(sentence.startswith(named) for sentence in found), found
    assert not (home / HOSTILE).exists(), "the code in a checkpoint was run by the second opinion"
    code, document = _verified(sweep, home)
    assert code == 1
    assert document["sweep"] == "tiny"
    assert document["clean"] is False
    assert any(finding["trial"] == number for finding in document["findings"]), document
    for finding in document["findings"]:
        assert set(finding) == KEYS
        assert finding["store"] in ("study", "checkpoint", "mlflow")
        assert finding["what"]
        assert finding["mend"]
        assert finding["code"] in CATALOG or ".npz" in finding["what"]  # what was judged has no codes yet
    assert not (home / HOSTILE).exists(), "the code in a checkpoint was run by verify"
    # Neither blames a trial that the other does not.
    verified = {finding["trial"] for finding in document["findings"]} - {None}
    audited = {int(m[1]) for sentence in found if (m := re.match(r"trial (\d+): ", sentence))}
    assert verified == audited, document


def test_each_damage_is_undone_after_its_test(home):
    assert audit(home, "tiny") == []


@pytest.fixture
def rebuilt(home, near):
    """Rebuilds MLflow's records in a process that knows nothing of the same runs in the homes of other tests.

    MLflow keeps in memory where a run's artifacts are.
    """

    def rebuilt():
        mlflow_client._artifact_repos_cache.clear()
        return near("rebuild", "tiny", "--home", home, cwd=home).code == 0

    return rebuilt


def test_what_users_rename_in_mlflows_pages_is_no_damage(home, sweep, rebuilt):
    client = runs.connect(f"sqlite:///{home / 'mlflow.db'}")
    for name in ("sweeps", "tiny"):
        found = client.get_experiment_by_name(name)
        client.rename_experiment(found.experiment_id, f"{name} of last year")
        for run in client.search_runs([found.experiment_id]):
            client.set_tag(run.info.run_id, "mlflow.runName", "the blue one")
    assert _verified(sweep, home)[0] == 0
    assert audit(home, "tiny") == []
    # What is written next goes there, too: nothing is made a second time.
    assert rebuilt()
    assert _verified(sweep, home)[0] == 0
    assert audit(home, "tiny") == []
    assert {each.name for each in client.search_experiments()} == {
        "Default",
        "sweeps of last year",
        "tiny of last year",
    }


def test_an_experiment_in_mlflows_bin_is_taken_out_of_it(home, sweep, rebuilt):
    client = runs.connect(f"sqlite:///{home / 'mlflow.db'}")
    sweeps, tiny = (client.get_experiment_by_name(name).experiment_id for name in ("sweeps", "tiny"))
    client.delete_experiment(sweeps)
    assert _verified(sweep, home)[0] == 1
    assert audit(home, "tiny") != []
    client.restore_experiment(sweeps)
    client.delete_experiment(tiny)
    assert _verified(sweep, home)[0] == 1
    assert audit(home, "tiny") != []
    client.delete_experiment(sweeps)
    assert rebuilt()
    assert _verified(sweep, home)[0] == 0
    assert audit(home, "tiny") == []
    assert {each.name for each in client.search_experiments()} == {"Default", "sweeps", "tiny"}


def test_what_mlflow_refuses_for_good_fails_the_run_and_is_found_until_it_is_mended(home, sweep, near, finished):
    """The trigger stands for whatever a store may refuse."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("DELETE FROM tags WHERE key = 'sweep.recorded'")
        database.execute("DELETE FROM metrics WHERE key = 'val/loss' AND step = 2")
        refuse = "WHEN NEW.key = 'val/loss' AND NEW.step = 2 BEGIN SELECT RAISE(ABORT, 'no'); END"
        database.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON metrics {refuse}")
    with closing(sqlite3.connect(home / "study.db")) as database, database:
        database.execute("UPDATE study_user_attributes SET value_json = 'false' WHERE key = 'recorded'")
    done = near("run", "tiny.yaml", "--home", home, "--json", cwd=finished.folder)
    document = json.loads(done.out)
    assert (done.code, document["exit_code"], document["states"]) == (1, 1, {"COMPLETE": 4})
    assert all(f"trial {number}" in document["message"] or "more" in document["message"] for number in range(4))
    assert done.err.count("note: MLflow refuses") == 1
    assert _verified(sweep, home)[0] == 1
    assert audit(home, "tiny") != []
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("DROP TRIGGER refuse")
    assert near("run", "tiny.yaml", "--home", home, "--json", cwd=finished.folder).code == 0
    assert _verified(sweep, home)[0] == 0
    assert audit(home, "tiny") == []

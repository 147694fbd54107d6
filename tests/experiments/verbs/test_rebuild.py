"""MLflow's records are made again from the study and the checkpoints; the second opinion in `audit.py` judges them."""

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from audit import audit

from cluster.study.lease import Lease

pytestmark = pytest.mark.usefixtures("blank_pages")


def rows(home, query):
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        return database.execute(query).fetchall()


def curves(home):
    """All points of runs that were not deleted, by the run's name; not what was so at the end of an earlier run."""
    return rows(
        home,
        "SELECT runs.name, key, step, value, is_nan, timestamp FROM metrics JOIN runs USING (run_uuid) "
        "WHERE lifecycle_stage = 'active' AND key NOT LIKE 'test/%' AND key NOT LIKE 'baseline/%' "
        "AND key NOT LIKE 'goodput/%' AND key NOT LIKE 'base/%' AND key NOT LIKE 'rival/%' "
        "AND key NOT LIKE 'test_looks%' ORDER BY 1, 2, 3, 6",
    )


def goodput(home):
    """Where workers' time went, as the sweep's run shows it."""
    found = rows(
        home,
        "SELECT key, step, value, timestamp FROM latest_metrics JOIN runs USING (run_uuid) "
        "WHERE lifecycle_stage = 'active' AND key LIKE 'goodput/%' ORDER BY 1",
    )
    assert len(found) == 9
    return found


def verified(sweep, home):
    return sweep("verify", "tiny", "--home", home).code


def test_damaged_runs_are_made_again_in_the_same_store(home, sweep):
    before, worked = curves(home), goodput(home)
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("DELETE FROM metrics WHERE key = 'val/loss' AND step = 2")
        database.execute("UPDATE params SET value = '99' WHERE key = 'model.hidden_size'")
    assert verified(sweep, home) == 1
    answer = sweep("rebuild", "tiny", "--home", home)
    assert (answer.code, answer.out) == (0, "tiny: 5 trials are in MLflow again; 6 earlier runs were deleted\n")
    assert (curves(home), goodput(home)) == (before, worked)
    assert audit(home, "tiny") == []
    assert verified(sweep, home) == 0
    assert "nothing was left to do" in json.loads(sweep("run", "tiny", "--home", home, "--json").out)["message"]


def test_an_empty_store_is_filled(home, sweep):
    before, worked = curves(home), goodput(home)
    (home / "mlflow.db").unlink()
    shutil.rmtree(home / "artifacts")
    [finding] = json.loads(sweep("verify", "tiny", "--home", home, "--json").out)["findings"]
    assert (finding["code"], finding["store"]) == ("mlflow-store-missing", "mlflow")
    assert finding["values"]["file"] == str(home / "mlflow.db")
    answer = sweep("rebuild", "tiny", "--home", home, "--json")
    assert answer.code == 0
    document = {"sweep": "tiny", "trials": 5, "deleted_runs": 0, "undelivered": 0, "rebuilt": True, "errors": []}
    assert json.loads(answer.out) == document
    assert (curves(home), goodput(home)) == (before, worked)
    assert audit(home, "tiny") == []
    assert verified(sweep, home) == 0


def saved_views(home):
    query = "SELECT experiments.name, key, value FROM experiment_tags JOIN experiments USING (experiment_id)"
    return sorted(rows(home, f"{query} WHERE key LIKE 'mlflow.sharedViewState.%'"))


@pytest.mark.parametrize("lost", ["views", "everything"])
def test_a_view_that_was_lost_is_found_and_made_again(home, sweep, lost):
    before = saved_views(home)
    assert [(name, key.rpartition(".")[2]) for name, key, _ in before] == [
        ("sweeps", "sweeps"),
        ("tiny", "settings"),
        ("tiny", "sweep"),
    ]
    if lost == "views":
        with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
            database.execute("DELETE FROM experiment_tags WHERE key LIKE '%.sweep' OR key LIKE '%.sweeps'")
        found = json.loads(sweep("verify", "tiny", "--home", home, "--json").out)["findings"]
        assert [(each["code"], each["values"]["view"]) for each in found] == [
            ("view-missing", "sweep"),
            ("view-missing", "sweeps"),
        ]
    else:
        (home / "mlflow.db").unlink()
    assert sweep("rebuild", "tiny", "--home", home).code == 0
    assert saved_views(home) == before
    assert verified(sweep, home) == 0


def test_what_may_be_the_last_copy_is_not_thrown_away(home, sweep):
    before = curves(home)
    with closing(sqlite3.connect(home / "study.db")) as study, study:
        study.execute("DELETE FROM trial_intermediate_values WHERE step = 2")
    answer = sweep("rebuild", "tiny", "--home", home)
    assert (answer.code, answer.out) == (1, "")
    assert re.search("^trial 0: study: .*1 epochs, .* 2$", answer.err, re.MULTILINE)
    assert "nothing was changed, because MLflow may hold the last copy of what is damaged" in answer.err
    assert curves(home) == before
    assert sweep("rebuild", "tiny", "--home", home, "--force").code == 0


def test_while_a_driver_is_at_work_nothing_is_rebuilt(home, sweep):
    before = curves(home)
    with Lease(f"sqlite:///{home / 'study.db'}", "tiny", lost=print, stop=print):
        answer = sweep("rebuild", "tiny", "--home", home)
    assert answer.code == 3
    assert f"process {os.getpid()} on " in answer.err
    assert curves(home) == before


def test_a_store_that_is_away_is_told(home, sweep):
    addresses = json.loads((home / "tiny" / "addresses.json").read_text())
    (home / "tiny" / "addresses.json").write_text(json.dumps({**addresses, "tracking": "http://127.0.0.1:9"}))
    answer = sweep("rebuild", "tiny", "--home", home)
    assert (answer.code, answer.out) == (1, "")
    assert "MLflow does not answer" in answer.err
    answer = sweep("verify", "tiny", "--home", home)
    assert answer.code == 1
    assert "MLflow does not answer" in answer.out


def test_a_sweep_that_is_not_there(sweep, folder):
    for verb in ("verify", "rebuild"):
        answer = sweep(verb, "nobody")
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith(f"nobody: {folder / 'runs'} ")
    assert not (folder / "runs").exists()

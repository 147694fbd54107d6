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
from dashboards.tracking.contents import without_addresses

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
    assert len(found) == 10
    return found


def pages(home):
    """What a run's page shows beside curves and parameters: description without addresses, who, and data sets."""
    tags = rows(
        home,
        "SELECT runs.name, key, value FROM tags JOIN runs USING (run_uuid) WHERE lifecycle_stage = 'active' AND "
        "(key LIKE 'mlflow.note%' OR key LIKE 'mlflow.source%' OR key = 'mlflow.user') ORDER BY 1, 2",
    )
    data = rows(
        home,
        "SELECT runs.name, input_tags.value, datasets.name, digest, dataset_source, dataset_schema, dataset_profile "
        "FROM inputs JOIN datasets ON source_id = dataset_uuid JOIN runs ON destination_id = run_uuid "
        "JOIN input_tags USING (input_uuid) WHERE lifecycle_stage = 'active' ORDER BY 1, 2",
    )
    return [(run, key, without_addresses(value)) for run, key, value in tags], data


def changed(home, *statements):
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        for statement in statements:
            database.execute(statement)


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
    before, worked, shown = curves(home), goodput(home), pages(home)
    assert any(key == "system/system_memory_usage_megabytes" for _, key, *_ in before)
    assert len(shown[1]) == 3 * 6  # of the sweep's run and of each trial's
    (home / "mlflow.db").unlink()
    shutil.rmtree(home / "artifacts")
    [finding] = json.loads(sweep("verify", "tiny", "--home", home, "--json").out)["findings"]
    assert (finding["code"], finding["store"]) == ("mlflow-store-missing", "mlflow")
    assert finding["values"]["file"] == str(home / "mlflow.db")
    answer = sweep("rebuild", "tiny", "--home", home, "--json")
    assert answer.code == 0
    document = {"sweep": "tiny", "trials": 5, "deleted_runs": 0, "undelivered": 0, "rebuilt": True, "errors": []}
    assert json.loads(answer.out) == document
    assert (curves(home), goodput(home), pages(home)) == (before, worked, shown)
    assert audit(home, "tiny") == []
    assert verified(sweep, home) == 0


def test_a_page_that_lacks_something_or_says_something_else_is_found(home, sweep):
    def codes(*statements):
        changed(home, *statements)
        findings = json.loads(sweep("verify", "tiny", "--home", home, "--json").out)["findings"]
        return {(finding["code"], finding["trial"]) for finding in findings}

    of_trial = "(SELECT run_uuid FROM runs WHERE name = 'trial-{:04d}')".format
    note = "UPDATE tags SET value = {} WHERE key = 'mlflow.note.content' AND run_uuid = {}".format
    assert codes(note("value || ' and mine'", of_trial(0)), note("'mine'", of_trial(1))) == set()
    assert codes(note("replace(value, 'complete', 'pruned')", of_trial(2))) == {("description-differs", 2)}
    tests = "SELECT input_uuid FROM input_tags WHERE value = 'test'"
    assert codes(f"DELETE FROM inputs WHERE input_uuid IN ({tests}) AND destination_id = {of_trial(3)}") == {
        ("description-differs", 2),
        ("data-set-missing", 3),
    }
    changes = "UPDATE datasets SET digest = digest || 'x' WHERE experiment_id = (SELECT experiment_id FROM runs WHERE "
    assert ("data-set-differs", 4) in codes(f"{changes} name = 'trial-0004')")
    assert sweep("rebuild", "tiny", "--home", home).code == 0
    assert verified(sweep, home) == 0


def test_runs_of_an_earlier_version_lack_nothing_and_get_their_pages(home, sweep):
    shown = pages(home)
    changed(
        home,
        "DELETE FROM inputs",
        "DELETE FROM tags WHERE key IN ('mlflow.note.content', 'mlflow.user')",
        "UPDATE tags SET value = 'sweep run' WHERE key = 'mlflow.source.name'",
    )
    with closing(sqlite3.connect(home / "study.db")) as study, study:
        study.execute("DELETE FROM study_user_attributes WHERE key IN ('data_parts', 'drivers')")
    assert verified(sweep, home) == 0
    answer = sweep("rebuild", "tiny", "--home", home)
    assert answer.code == 0
    assert pages(home)[1] == shown[1]
    are, were = (
        {(run, text) for run, key, text in each[0] if key == "mlflow.note.content"} for each in (pages(home), shown)
    )
    assert are == were
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


def test_a_lost_report_is_taken_from_mlflow_before_its_run_is_deleted(home, sweep):
    report = home / "tiny" / "report.html"
    before = report.read_bytes()
    report.unlink()
    answer = sweep("rebuild", "tiny", "--home", home)
    assert (answer.code, report.read_bytes()) == (0, before)
    assert "report.html: was not there and was taken from MLflow" in answer.err
    assert verified(sweep, home) == 0


def test_a_lost_picture_is_found_and_drawn_again(home, sweep):
    (picture,) = home.glob("artifacts/*/artifacts/search.svg")
    before = picture.read_bytes()
    picture.unlink()
    answer = sweep("verify", "tiny", "--home", home)
    assert (answer.code, "search.svg" in answer.out) == (1, True), answer.out
    assert sweep("rebuild", "tiny", "--home", home).code == 0
    (picture,) = home.glob("artifacts/*/artifacts/search.svg")
    assert picture.read_bytes() == before
    assert verified(sweep, home) == 0


def test_the_next_run_writes_a_report_that_nobody_has(home, sweep, monkeypatch):
    monkeypatch.chdir(home.parent)
    report = home / "tiny" / "report.html"
    report.unlink()
    (home / "mlflow.db").unlink()
    answer = sweep("rebuild", "tiny", "--home", home)
    assert answer.code == 0
    assert "`sweep run tiny` writes it again" in answer.err
    assert sweep("run", "tiny", "--home", home, "--in-process").code == 0
    assert report.is_file()
    assert verified(sweep, home) == 0

import math
import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy.exc
from mlflow.exceptions import MlflowException

from dashboards.tracking import runs
from dashboards.views import views

MACHINE_LEARNING = "&workflowType=machine_learning"


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("val/loss", "val/loss"),
        ("val/mae_original/CO2 (ppm)", "val/mae_original/CO2 _ppm_"),
        ("val/mae/Temperatur_°C", "val/mae/Temperatur__C"),
        ("val//x", "val/_/x"),
        ("../x", "_/x"),
        ("a" * 300, "a" * 250),
    ],
)
def test_metric_names_are_made_acceptable(name: str, accepted: str) -> None:
    assert runs.metric_name(name) == accepted


def test_two_names_that_would_become_one_are_told_apart() -> None:
    names = runs.metric_names(["val/a(b", "val/a)b", "val/loss"])
    assert sorted(names.values()) == ["val/a_b", "val/a_b_2", "val/loss"]


@pytest.mark.parametrize("name", ["°", "..", "/", "", " a ", "a/", "a/ ", "x[0]", "%", "a\n", "é" * 400, "日本/語"])
def test_mlflow_takes_every_name(uri: str, name: str) -> None:
    client = runs.connect(uri)
    run_id = client.create_run("0").info.run_id
    short = runs.metric_names([name])[name]
    runs.log(client, run_id, metrics=[(short, 1.0, 1, 1)], params={name: "x"})
    assert client.get_run(run_id).data.metrics == {short: 1.0}


def test_more_metrics_than_one_call_takes(uri: str) -> None:
    client = runs.connect(uri)
    run_id = client.create_run("0").info.run_id
    runs.log(client, run_id, metrics=[("loss", 1.0, step, step) for step in range(2500)])
    assert len(client.get_metric_history(run_id, "loss")) == 2500


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.1])
def test_the_same_point_twice_is_one_point(uri: str, value: float) -> None:
    client = runs.connect(uri)
    run_id = client.create_run("0").info.run_id
    for _ in range(2):
        runs.log(client, run_id, metrics=[("loss", value, 5, 1)])
    (point,) = client.get_metric_history(run_id, "loss")
    assert point.value == value or not math.isfinite(value)
    assert abs(point.value) < 1e300 or math.isnan(point.value)


def test_flatten_gives_dotted_paths_and_lists_as_json() -> None:
    config = {"task": "forecast", "data": {"target": ["a", "ü"], "season": None}, "model": {"dropout": 0.0}}
    assert runs.flatten(config) == {
        "task": "forecast",
        "data.target": '["a", "ü"]',
        "data.season": "null",
        "model.dropout": "0.0",
    }


def test_an_experiment_is_made_once_and_restored(uri: str, tmp_path: object) -> None:
    client = runs.connect(uri)
    first = runs.trials_experiment(client, "co2", "s1", str(tmp_path))
    client.delete_experiment(first)
    assert runs.trials_experiment(client, "co2", "s1", str(tmp_path)) == first
    assert client.get_experiment(first).lifecycle_stage == "active"


def test_two_drivers_that_make_an_experiment_at_once_get_the_same(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = runs.connect(uri)
    there = client.create_experiment("co2")
    real = client.get_experiment_by_name
    calls: list[str] = []
    monkeypatch.setattr(  # it is not there yet when we look first
        client, "get_experiment_by_name", lambda name: real(name) if calls else calls.append(name)
    )
    assert runs.experiment(client, "co2", None).experiment_id == there


def test_another_study_of_the_same_name_has_its_own_experiment(uri: str) -> None:
    client = runs.connect(uri)
    ids = [runs.trials_experiment(client, "co2", study, None) for study in ("one-12345", "two-12345")]
    assert len(set(ids)) == 2
    assert [client.get_experiment(i).name for i in ids] == ["co2", "co2 (two-1234)"]


@pytest.mark.parametrize("study", ["s1", "it's", 'a "b"'])
def test_experiments_that_were_renamed_or_deleted_are_found_by_their_tags(uri: str, study: str) -> None:
    client = runs.connect(uri)
    home, trials = runs.sweeps_experiment(client, None), runs.trials_experiment(client, "co2", study, None)
    client.rename_experiment(home, "all that we swept")
    client.rename_experiment(trials, "CO2 of last year")
    client.create_experiment("co2")  # somebody's own
    client.create_experiment("sweeps")
    assert (runs.find_sweeps_experiment(client), runs.find_trials_experiment(client, "co2", study)) == (home, trials)
    assert (runs.sweeps_experiment(client, None), runs.trials_experiment(client, "co2", study, None)) == (home, trials)
    for known in (study, ""):
        assert f"/experiments/{trials}/" in str(runs.find_chart(uri, "co2", known, "http://h:5000"))
    for each in (home, trials):
        client.delete_experiment(each)
    assert (runs.find_trials_experiment(client, "co2", study), runs.find_chart(uri, "co2", study, "")) == (None, None)
    assert (runs.sweeps_experiment(client, None), runs.trials_experiment(client, "co2", study, None)) == (home, trials)
    assert client.get_experiment(trials).lifecycle_stage == "active"
    assert len(client.search_experiments()) == 5  # Default, ours, and the two that are not


def test_what_an_earlier_version_made_is_found_when_it_was_renamed(uri: str) -> None:
    client = runs.connect(uri)
    home = client.create_experiment("sweeps")  # without a tag
    client.create_run(home, tags={"sweep.name": "co2", "sweep.study": "s1", "sweep.experiment": "7"})
    client.rename_experiment(home, "old")
    assert runs.find_sweeps_experiment(client) == home
    assert runs.sweeps_experiment(client, None) == home
    assert client.get_experiment(home).tags["sweep.holds"] == "sweeps"  # so that it is found at once from now on
    # It made a second one, which has all, where the first was renamed.
    tags = {"sweep.name": "co2", "sweep.study": "s1"}
    client.create_experiment("co2 of last year", tags=tags)
    second = client.create_experiment("co2", tags=tags)
    assert runs.find_trials_experiment(client, "co2", "s1") == second


def test_what_somebody_else_put_into_the_bin_stays_there(uri: str) -> None:
    client = runs.connect(uri)
    other = client.create_experiment("co2")
    client.delete_experiment(other)
    ours = runs.trials_experiment(client, "co2", "one-12345", None)
    assert client.get_experiment(ours).name == "co2 (one-1234)"
    assert client.get_experiment(other).lifecycle_stage == "deleted"


@pytest.mark.parametrize("name", ["sweeps", "Default"])
def test_a_sweep_named_as_a_room_of_its_own_stays_apart(uri: str, name: str) -> None:
    client = runs.connect(uri)
    home = runs.sweeps_experiment(client, None)
    assert runs.trials_experiment(client, name, "-", None) not in {home, "0"}


def test_a_run_whose_making_was_not_answered_is_found_again(uri: str) -> None:
    client = runs.connect(uri)
    for start_ms in (20, 10):  # two lost answers
        client.create_run("0", start_time=start_ms, tags={"sweep.trial": "7"})
    run_id, old = runs.find_or_create(
        client, "0", identity={"sweep.trial": "7"}, name="trial-0007", start_ms=30, tags={}
    )
    (left,) = runs.search(client, "0", {"sweep.trial": "7"})
    assert (old, left.info.run_id, left.info.start_time) == (True, run_id, 10)


@pytest.mark.parametrize("name", ["it's", 'a "b"', """it's "b" """, "a`b"])
def test_tags_with_quotes_can_be_searched(uri: str, name: str) -> None:
    client = runs.connect(uri)
    made = client.create_run("0", tags={"sweep.name": name, "x": "1"})
    client.create_run("0", tags={"sweep.name": "other", "x": "1"})
    found = runs.search(client, "0", {"sweep.name": name, "x": "1"})
    assert [run.info.run_id for run in found] == [made.info.run_id]


def test_find_chart_makes_nothing(uri: str) -> None:
    assert runs.find_chart(uri, "co2", "-", "http://h:5000/") is None
    assert runs.find_sweeps(uri, "http://h:5000") is None
    experiment_id = runs.trials_experiment(runs.connect(uri), "co2", "-", None)
    address = runs.find_chart(uri, "co2", "-", "http://h:5000/")
    assert address == f"http://h:5000/#/experiments/{experiment_id}/runs?compareRunsMode=CHART{MACHINE_LEARNING}"


def test_an_address_names_a_view_only_where_there_is_one(uri: str) -> None:
    client = runs.connect(uri)
    home = runs.sweeps_experiment(client, None)
    assert "viewStateShareKey" not in str(runs.find_sweeps(uri, "http://h:5000"))  # of an earlier version
    runs.save_views(client, home, [views.of_sweeps([])])
    address = runs.find_sweeps(uri, "http://h:5000")
    shown = f"compareRunsMode=CHART&viewStateShareKey=sweeps{MACHINE_LEARNING}"
    assert address == f"http://h:5000/#/experiments/{home}/runs?{shown}"


@pytest.mark.parametrize(
    ("raised", "refused", "words"),
    [
        (
            sqlalchemy.exc.OperationalError("x", {}, sqlite3.OperationalError("hunter2")),
            False,
            "TEMPORARILY_UNAVAILABLE",
        ),
        (sqlalchemy.exc.InterfaceError("x", {}, Exception("connection already closed")), False, "BAD_REQUEST"),
        (sqlalchemy.exc.TimeoutError("all connections are taken"), False, "BAD_REQUEST"),
        (sqlalchemy.exc.IntegrityError("x", {}, Exception("hunter2")), True, "BAD_REQUEST"),
        (OverflowError("hunter2"), True, "INTERNAL_ERROR"),
        (OSError(5, "hunter2"), False, "INTERNAL_ERROR"),
    ],
)
def test_trouble_of_the_database_is_waited_for_and_a_no_is_not(
    uri: str, raised: Exception, refused: bool, words: str
) -> None:
    """As MLflow's own store wraps what its database raises."""
    with pytest.raises(MlflowException) as told, runs.connect(uri)._tracking_client.store.ManagedSessionMaker():
        raise raised
    assert runs.is_refusal(told.value) == refused
    assert runs.cause(told.value) == words


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("sqlite:////home/a@b/study.db", "sqlite:////home/a@b/study.db"),
        ("/home/a@b", "/home/a@b"),
        ("postgresql://me:hunter2@host:5432/db", "postgresql://host:5432/db"),
        ("postgresql://me:hun/ter2@host/db", "postgresql://host/db"),
        ("postgresql://me:hunter@2@host/db", "postgresql://host/db"),
        ("postgresql://host/db?user=me&password=hunter2", "postgresql://host/db"),
        ("https://hunter2@host/mlflow", "https://host/mlflow"),
        ("http://host:5000", "http://host:5000"),
        ("s3://key:hunter2@bucket/sweeps", "s3://bucket/sweeps"),
    ],
)
def test_addresses_are_shown_without_passwords(address: str, shown: str) -> None:
    assert runs.without_password(address) == shown


@pytest.mark.parametrize("folder", ["{b}", "#[1]* 50% ü;'@:&=+", "a%zz"])
def test_a_path_is_taken_as_it_is_written(tmp_path: Path, empty_store: Path, folder: str) -> None:
    home = tmp_path / folder
    home.mkdir()
    new = runs.connect(f"sqlite:///{home}/new[1].db")
    shutil.copy(empty_store, home / "mlflow.db")
    client = runs.connect(f"sqlite:///{home}/mlflow.db")
    for each in (client, new):
        experiment = runs.trials_experiment(each, "co2", "s1", str(home / "artifacts"))
        run = each.create_run(experiment)
        runs.attach(each, run.info.run_id, "a.txt", b"x", "deep")
        (tmp_path / "fetched").mkdir()
        found = runs.fetch(each, each.get_run(run.info.run_id), "deep/a.txt", str(tmp_path / "fetched"))
        assert found is not None
        assert found.read_bytes() == b"x"
        shutil.rmtree(tmp_path / "fetched")
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert sorted(path.name for path in home.iterdir()) == ["artifacts", "mlflow.db", "new[1].db"]

import inspect
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
import sqlalchemy
from mlflow.store.db import utils
from mlflow.utils import credentials, rest_utils

from dashboards.tracking import preflight, private_patches, runs, store
from dashboards.views import views
from lstm import patches


def schema(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {version for (version,) in database.execute("SELECT version_num FROM alembic_version")}


# --- while these pass, the patches fit the MLflow that is installed; where one fails, try that, then add its version


def test_they_were_tried_with_the_mlflow_that_is_installed() -> None:
    assert private_patches.TABLES.fits(mlflow.__version__), mlflow.__version__
    assert private_patches.REQUEST.fits(mlflow.__version__), mlflow.__version__
    assert private_patches.POINTS.fits(mlflow.__version__), mlflow.__version__


def test_mlflow_can_still_be_called_so() -> None:
    assert list(inspect.signature(utils._initialize_tables).parameters) == ["engine"]
    names = list(inspect.signature(rest_utils.http_request).parameters)
    assert names[:3] == ["host_creds", "endpoint", "method"]
    assert "raise_on_status" in names
    assert list(inspect.signature(credentials.get_default_host_creds).parameters) == ["store_uri"]


def test_a_store_whose_tables_we_make_is_mlflows_own(tmp_path: Path) -> None:
    client = runs.connect(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.search_experiments()[0].name == "Default"
    assert schema(tmp_path / "mlflow.db") <= private_patches.known_schemas()


def test_a_runs_points_are_those_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = runs.connect(f"sqlite:///{tmp_path}/mlflow.db")
    run_id, other = (client.create_run("0").info.run_id for _ in range(2))
    nan = float("nan")
    points = [("loss", 0.5, 20, 2), ("loss", 0.75, 10, 1), ("loss", 0.25, 20, 2), ("loss", nan, 20, 2)]
    points += [
        ("loss", -1e300, 20, 1),
        ("val/mae", nan, 5, 0),
        ("Loss", 3.0, 5, 0),
        ("LOSS", 1.0, 9_999_999_999_999, -1),
    ]
    runs.log(client, run_id, metrics=points)
    runs.log(client, other, metrics=[("loss", 9.0, 1, 1)])
    asked: list[str] = []
    real = client.get_metric_history
    monkeypatch.setattr(client, "get_metric_history", lambda run, name: asked.append(name) or real(run, name))
    names = ["loss", "val/mae", "Loss", "LOSS", "none"]
    ours = runs.curves(client, run_id, [*names, "loss"])
    assert asked == []
    monkeypatch.setenv(patches.SWITCH, "mlflow")
    assert repr(runs.curves(client, run_id, names)) == repr(ours)  # where NaN is NaN
    assert asked == sorted(names)
    assert [len(ours[name]) for name in names] == [5, 1, 1, 1, 0]


def made_by(make: Callable[[object], None], path: Path) -> list[str]:
    """What a database holds then, as SQL; the indices, which MLflow makes in any order, at the end."""
    engine = store.database(f"sqlite:///{path}")
    make(engine)
    engine.dispose()
    with closing(sqlite3.connect(path)) as database:
        made = list(database.iterdump())
    indices = [each for each in made if each.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX"))]
    return [each for each in made[:-1] if each not in indices] + sorted(indices) + made[-1:]


def unordered(made: list[str]) -> list[list[str]]:
    """The same with the lines of each statement sorted: MLflow writes a table's constraints in any order."""
    return [sorted(line.strip().rstrip(",") for line in each.splitlines()) for each in made]


def test_the_tables_in_our_file_are_those_that_mlflows_migrations_end_with(tmp_path: Path) -> None:
    theirs = made_by(private_patches.migrate, tmp_path / "mlflows.db")
    if os.environ.get("RENEW"):
        private_patches.SCHEMA.write_text("\n".join([f"-- MLflow {mlflow.__version__}", *theirs]) + "\n")
    assert private_patches.SCHEMA.read_text().startswith(f"-- MLflow {mlflow.__version__}\n")
    ours = made_by(private_patches.make_tables, tmp_path / "ours.db")
    assert unordered(ours) == unordered(theirs)


def test_another_version_of_mlflow_does_its_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrated: list[object] = []
    monkeypatch.setattr(private_patches, "migrate", migrated.append)
    monkeypatch.setattr(mlflow, "__version__", "3.17.99")
    engine = store.database(f"sqlite:///{tmp_path}/mlflow.db")
    private_patches.make_tables(engine)
    assert migrated == [engine]


def test_mlflows_pages_still_know_each_field_of_our_views() -> None:
    """MLflow saves a view of its pages as a tag, and documents neither; `make pages` looks at what they show."""
    scripts = [path.read_text() for path in (Path(mlflow.__file__).parent / "server/js/build/static/js").glob("*.js")]
    of_trials = views.of_trials("val/loss", "minimize", ["model.cell"])
    states = [dict(view.state) for view in (*of_trials, views.of_sweeps(["test/loss"]))]
    parts = [part for state in states for key in ("compareRunCharts", "compareRunSections") for part in state[key]]
    known = {name for each in (*states, *parts) for name in each} | {"viewStateShareKey", views.TAG}
    known |= {chart["type"] for state in states for chart in state["compareRunCharts"]}
    known |= {"createdAt", "updatedAt", "workflowType", "compareRunsMode", "groupByKeys", "aggregateFunction"}
    unknown = {name for name in known if not any(name in script for script in scripts)}
    assert unknown == set()


# --- where this fails MLflow does by itself what a patch does: the patch is to go


def test_a_store_of_mlflows_whose_making_was_cut_short_never_opens(tmp_path: Path) -> None:
    def killed(statement: str) -> None:
        if "CREATE TABLE spans" in statement:
            raise KeyboardInterrupt

    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/mlflow.db")
    sqlalchemy.event.listen(engine, "after_cursor_execute", lambda *given: killed(given[2]))
    with pytest.raises(KeyboardInterrupt):
        private_patches.migrate(engine)
    engine.dispose()
    with pytest.raises(Exception, match="spans already exists"):
        runs.connect(f"sqlite:///{tmp_path}/mlflow.db").search_experiments()


def test_mlflow_offers_one_curve_a_call() -> None:
    assert [name for name in dir(mlflow.MlflowClient) if "metric_history" in name] == ["get_metric_history"]


# --- left out


@pytest.mark.parametrize("off", ["mlflow", "all"])
def test_the_switch_leaves_mlflow_as_it_is(monkeypatch: pytest.MonkeyPatch, off: str) -> None:
    assert (private_patches.makes_tables(), private_patches.may_ask()) == (True, True)
    monkeypatch.setenv(patches.SWITCH, off)
    assert (private_patches.makes_tables(), private_patches.may_ask()) == (False, False)


@pytest.mark.parametrize(
    "how", ["another version", *(pytest.param(n, marks=pytest.mark.faults) for n in ("mlflow", "all"))]
)
def test_where_they_are_left_out_mlflow_makes_its_store_and_no_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    if how == "another version":
        monkeypatch.setattr(mlflow, "__version__", "99.1.0")
        monkeypatch.setattr(patches, "_told", set())
    else:
        monkeypatch.setenv(patches.SWITCH, how)
    monkeypatch.setattr(store, "request", lambda *_, **__: pytest.fail("asked"))
    assert preflight.ask("http://127.0.0.1:9", "tracking.uri") is None
    monkeypatch.setattr(private_patches, "make_tables", lambda _: pytest.fail("made"))
    client = runs.connect(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.search_experiments()[0].name == "Default"
    assert ("99.1.0" in caplog.text) is (how == "another version")

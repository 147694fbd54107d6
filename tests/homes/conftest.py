"""Homes that earlier versions made, unpacked."""

import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import migrations
import pytest
import statements
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service import utils as mlflow_client

HERE = Path(__file__).parent
MADE_IN = Path("/srv/lstm-sweeps-old")  # their databases hold it


@pytest.fixture(scope="session", autouse=True)
def _migrations():
    """Read once, not for each database."""
    migrations.read_once()
    statements.shared()


@pytest.fixture
def unpack(tmp_path):
    """Unpacks a home where it was made, or elsewhere; answers the folder that its sweep was run in."""
    made = []

    def act(version, name, *, moved):
        place = tmp_path if moved else MADE_IN
        try:
            place.mkdir(parents=True, exist_ok=True)
            folder = place / f"{version}-{name}"
            shutil.rmtree(folder, ignore_errors=True)
            with tarfile.open(HERE / f"{version}-{name}.tar.xz") as archive:
                safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not before Python 3.11.4
                archive.extractall(place, **safe)
        except OSError as error:
            pytest.skip(f"{place}: can't be written to: {error.strerror}")
        made.append(folder)
        # As long as a process lives, MLflow remembers by a run's id where its artifacts are, and holds its databases
        # open; here both were others.
        mlflow_client._artifact_repos_cache.clear()
        for engine in SqlAlchemyStore._engine_map.values():
            engine.dispose()
        _add_reports(folder / "runs", folder)
        return folder

    yield act
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


def _add_reports(home, folder):
    """The archives leave reports out, which are large."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        rows = database.execute(
            "SELECT artifact_uri, end_time FROM runs JOIN experiments e USING (experiment_id) WHERE e.name = 'sweeps'"
        ).fetchall()
    for uri, ended in rows:
        there = Path(unquote(urlsplit(uri).path)).relative_to(MADE_IN / folder.name)
        if ended:
            (folder / there / "report.html").write_text("left out of the archive")

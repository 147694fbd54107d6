"""All uses of MLflow's private parts: a store's tables, requests to a server, the places of addresses.

A call is left out with a version of MLflow that it was not tried with, or if `SWEEP_WITHOUT_PATCHES` names mlflow; its
`Patch` says what happens then. Homes contain the names of tables: a table that is missing is not touched, and a test
finds columns that are not named here. MLflow's variables are set with every version.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

from lstm.patches import Patch

TRIED = ("3.17",)
TABLES = Patch("mlflow", "make_tables", TRIED, "a store may not open again if its first start was interrupted")
SCHEMA = Path(__file__).with_name("mlflow_tables.sql")  # its first line names the version of MLflow
REQUEST = Patch("mlflow", "request", TRIED, "a server is not checked before the sweep begins")
POINTS = Patch("mlflow", "points", TRIED, "`sweep verify` asks a database for each curve by itself")

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # for one try; the recorder tries again by itself
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the address may hold a password
    "PGCONNECT_TIMEOUT": "15",  # PostgreSQL's driver would wait for a dead host as long as TCP does
}
# MLflow would repeat a request with a lost answer, even the creation of a run: two runs from one call. The caller
# must look first, so users must not override this.
NO_RETRIES = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

# The columns in which MLflow stores addresses of files, by table of its database.
ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "mcp_server_versions": ("source",),
    "workspaces": ("default_artifact_root", "trace_archival_location"),
    "trace_tags": ("value",),
}
TAGS = {"tags": "run_uuid", "experiment_tags": "experiment_id"}  # tables of tags, and the column with a tag's owner


def set_environment() -> None:
    """Set MLflow's variables that the environment does not set; call it before MLflow is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.update(NO_RETRIES)


def may_ask() -> bool:
    """Return whether `request` can be used."""
    import mlflow

    return REQUEST.fits(mlflow.__version__)


def request(uri: str, method: str, endpoint: str, **content: Any) -> Any:
    """Return a server's answer to a call, whatever its status; MLflow's variables say who asks."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    return http_request(get_default_host_creds(uri), endpoint, method, raise_on_status=False, **content)


def makes_tables() -> bool:
    """Return whether `make_tables` can be used."""
    import mlflow

    return TABLES.fits(mlflow.__version__)


def make_tables(engine: Any) -> None:
    """Create the tables of an empty SQLite store, as MLflow does when it first opens one.

    MLflow needs more than a second of CPU for its 60 migrations of an empty database. So the tables that they end with
    are kept in a file, for one version of MLflow; any other version does its migrations.
    """
    import mlflow

    version, _, statements = SCHEMA.read_text().partition("\n")
    if version == f"-- MLflow {mlflow.__version__}":
        with engine.connect() as connection:
            connection.connection.driver_connection.executescript(statements)
    else:
        migrate(engine)


def migrate(engine: Any) -> None:
    """Create an empty store's tables by MLflow's own migrations."""
    from mlflow.store.db.utils import _initialize_tables

    _initialize_tables(engine)


def points(client: Any, run_id: str) -> dict[str, list[tuple[int, float, int]]] | None:
    """Return all points of a run in MLflow's database, by metric: (step, value, timestamp in ms), as MLflow sorts them.

    MLflow offers one metric a call, each with five statements. None if the store is no database, or without the patch.
    """
    import mlflow

    engine = getattr(client._tracking_client.store, "engine", None) if POINTS.fits(mlflow.__version__) else None
    if engine is None:
        return None
    from mlflow.store.tracking.dbmodels.models import SqlMetric

    table = SqlMetric.__table__
    rows = table.select().where(table.c.run_uuid == run_id).order_by(table.c.timestamp, table.c.step, table.c.value)
    found: dict[str, list[tuple[int, float, int]]] = {}
    with engine.connect() as connection:
        for row in connection.execute(rows):
            value = float("nan") if row.is_nan else row.value
            found.setdefault(row.key, []).append((row.step, value, row.timestamp))
    return found


def known_schemas() -> set[str]:
    """Return the versions of tables that the installed MLflow can update, without importing it."""
    spec = importlib.util.find_spec("mlflow")
    places = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    steps = [Path(place) / "store" / "db_migrations" / "versions" for place in places]
    return {file.name.partition("_")[0] for folder in steps for file in folder.glob("*.py")}

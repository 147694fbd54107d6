"""All that reaches into MLflow: how an empty store's tables are made, how a server is asked, where addresses are kept.

Each call is left out with a version of MLflow that it was not tried with, and where `SWEEP_WITHOUT_PATCHES` names
mlflow; beside each is said what is then. The names of tables are a form that homes hold: what is not there is not
touched, and a test finds columns that are not named. MLflow's variables are set with every version.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

from lstm.patches import Patch

TRIED = ("3.17",)
TABLES = Patch("mlflow", "make_tables", TRIED, "a store whose first start is cut short may not open again")
REQUEST = Patch("mlflow", "request", TRIED, "a server is not looked at before the sweep begins")

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # of one try; the recorder has patience of its own
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the address may hold a password
    "PGCONNECT_TIMEOUT": "15",  # of PostgreSQL's driver, which waits for a host that is off as long as TCP does
}
# MLflow would send a request again whose answer was lost, the making of a run, too: two runs from one call.
# Who calls must look first. So this is not the user's to set.
NO_RETRIES = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

# By table of its database, the columns in which MLflow keeps addresses of files.
ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "mcp_server_versions": ("source",),
    "workspaces": ("default_artifact_root", "trace_archival_location"),
    "trace_tags": ("value",),
}
TAGS = {"tags": "run_uuid", "experiment_tags": "experiment_id"}  # tables of tags, and whose a tag is


def set_environment() -> None:
    """What MLflow reads, where the environment says nothing; before it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.update(NO_RETRIES)


def may_ask() -> bool:
    """Whether `request` can be used."""
    import mlflow

    return REQUEST.fits(mlflow.__version__)


def request(uri: str, method: str, endpoint: str, **content: Any) -> Any:
    """What a server answers to a call, whatever its status; who asks is what MLflow's variables say."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    return http_request(get_default_host_creds(uri), endpoint, method, raise_on_status=False, **content)


def makes_tables() -> bool:
    """Whether `make_tables` can be used."""
    import mlflow

    return TABLES.fits(mlflow.__version__)


def make_tables(engine: Any) -> None:
    """Makes an empty store's tables, as MLflow does when it first opens one."""
    from mlflow.store.db.utils import _initialize_tables

    _initialize_tables(engine)


def known_schemas() -> set[str]:
    """The versions of tables that the MLflow which is installed can bring up to date; it is not imported for it."""
    spec = importlib.util.find_spec("mlflow")
    places = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    steps = [Path(place) / "store" / "db_migrations" / "versions" for place in places]
    return {file.name.partition("_")[0] for folder in steps for file in folder.glob("*.py")}

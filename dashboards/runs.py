"""How sweeps and trials lie in MLflow, and how they are found again.

The experiment `sweeps` holds one run per sweep; the experiment named after the sweep holds one run per
trial, flat, so that MLflow's chart view lays all loss curves over each other. `mlflow.parentRunId` links a
trial's run to its sweep's. Runs are found by their tags, never by a remembered id: an answer that was lost
may have made one.
"""

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

SWEEPS = "sweeps"
# MLflow shows the curves of the first ten runs only; its "shared view" of this name shows them all, and not
# first the charts of test metrics, which have a single point.
_VIEW = "sweep"
_VIEW_STATE = {
    "runsHiddenMode": "SHOW_ALL",
    "searchFilter": "",
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
    "chartsSearchFilter": "train/|val/",
    "selectedColumns": ["metrics.`best`", "tags.`sweep.state`", "attributes.`Source`"],
    "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
}
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # of one try; the recorder has patience of its own
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the address may hold a password
}
_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST"}
_BUGS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_MAX_METRICS = 1000  # in one call
_NAME_LENGTH = 250


def connect(uri: str) -> Any:
    """An MlflowClient that gives up soon and keeps quiet; takes seconds, for MLflow is imported here."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):  # its import configures them anew
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri)


def is_refusal(error: Exception) -> bool:
    """Whether the store understood and said no (sending it again won't help), rather than being away."""
    code = getattr(error, "error_code", None)
    if code == "INTERNAL_ERROR" and error.__context__ is not None:  # its own store wraps whatever happened
        error = error.__context__ if isinstance(error.__context__, Exception) else error
    elif code is not None:
        return code in _REFUSALS
    return isinstance(error, _BUGS) and not isinstance(error, OSError)


def cause(error: Exception) -> str:
    """What went wrong, in a word: never the message, which may hold the store's address and password."""
    return str(getattr(error, "error_code", None) or type(error).__name__)


def metric_name(name: str) -> str:
    """The name with what MLflow refuses replaced: `val/mae/ppm (°C)` becomes `val/mae/ppm _°C_`."""
    parts = [re.sub(r"[^\w\-. :]", "_", part).strip(" ") for part in name.split("/")]
    path = "/".join("_" if set(part) <= {"."} else part for part in parts)
    return path[:_NAME_LENGTH].rstrip("/ ")


def metric_names(names: Iterable[str]) -> dict[str, str]:
    """Each name as MLflow takes it; two that would become one are told apart by a number."""
    taken: dict[str, str] = {}
    for name in sorted(names):
        short = metric_name(name)
        numbered = (f"{short[: _NAME_LENGTH - 6]}_{i}" for i in count(2))
        taken[next(each for each in chain([short], numbered) if each not in taken)] = name
    return {name: short for short, name in taken.items()}


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted paths; lists as JSON."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{path}.")
        else:
            flat[path] = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return flat


def trials_experiment(client: Any, sweep: str, study: str, artifacts: str | None) -> str:
    """The id of the experiment that holds the sweep's trials; made where it is missing.

    Another study's sweep of the same name (another user of the same server, a home that was deleted)
    keeps its experiment; this one's then carries the start of its study's id in its name.
    """
    tags = {"sweep.name": sweep, "sweep.study": study}
    tags[f"mlflow.sharedViewState.{_VIEW}"] = json.dumps(_VIEW_STATE)
    names = [sweep] if sweep not in (SWEEPS, "Default") else []
    for name in [*names, f"{sweep} ({study[:8] or 'trials'})"]:
        experiment_id = experiment(client, name, artifacts, tags)
        if client.get_experiment(experiment_id).tags.get("sweep.study", "") == study:
            return experiment_id
    raise ValueError(f"the experiments named {sweep} belong to other studies")


def experiment(client: Any, name: str, artifacts: str | None, tags: Mapping[str, str] | None = None) -> str:
    """The id of the experiment of this name: found, restored where it was deleted, or made."""
    found = client.get_experiment_by_name(name)
    if found is None:
        every = {"mlflow.experimentKind": "custom_model_development", **(tags or {})}
        try:
            return str(client.create_experiment(name, artifact_location=_location(artifacts), tags=every))
        except Exception as error:
            if cause(error) != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # somebody was quicker
    if found.lifecycle_stage == "deleted":  # its name can't be taken again while it is in the bin
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _location(artifacts: str | None) -> str | None:
    if artifacts is None or "://" in artifacts:
        return artifacts
    return Path(artifacts).resolve().as_uri()


def search(client: Any, experiment_id: str, tags: Mapping[str, str]) -> Iterator[Any]:
    """Runs (not deleted ones) that have all these tags, the oldest first, over all pages."""
    quotable = {key: value for key, value in tags.items() if not {"'", '"'} <= set(value)}
    clauses = (f"tags.`{k}` = " + (f'"{v}"' if "'" in v else f"'{v}'") for k, v in quotable.items())
    query = " AND ".join(clauses)
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], query, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
        )
        # Some databases compare without regard to case, and MLflow can't quote both kinds of quotes.
        yield from (run for run in page if tags.items() <= run.data.tags.items())
        token = page.token
        if not token:
            return


def find_or_create(
    client: Any,
    experiment_id: str,
    *,
    identity: Mapping[str, str],
    name: str,
    start_ms: int,
    tags: Mapping[str, str],
) -> tuple[str, bool]:
    """The run that has the identity's tags, and whether it was there before.

    Where a lost answer made several, the oldest is it and the others are deleted.
    """
    found = list(search(client, experiment_id, identity))
    for extra in found[1:]:
        client.delete_run(extra.info.run_id)
    if found:
        return str(found[0].info.run_id), True
    every = {"mlflow.source.name": "sweep run", "mlflow.source.type": "LOCAL", **tags, **identity}
    run = client.create_run(experiment_id, start_time=start_ms, tags=every, run_name=name)
    return str(run.info.run_id), False


def log(
    client: Any,
    run_id: str,
    *,
    metrics: Iterable[tuple[str, float, int, int]] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log metrics (name, value, timestamp_ms, step; see `metric_names`), params and tags in few calls."""
    from mlflow.entities import Metric, Param, RunTag

    points = [Metric(name, finite(value), at_ms, step) for name, value, at_ms, step in metrics]
    chunks = [points[i : i + _MAX_METRICS] for i in range(0, len(points), _MAX_METRICS)]
    for chunk in chunks:
        client.log_batch(run_id, metrics=chunk)
    if params:
        client.log_batch(run_id, params=[Param(metric_name(k), v[:6000]) for k, v in params.items()])
    if tags:
        client.log_batch(run_id, tags=[RunTag(k, v[:5000]) for k, v in tags.items()])


def finite(value: float) -> float:
    """A value as MLflow is given it."""
    # MLflow keeps infinity as 1.8e308, beside which every other point of a chart is a flat line.
    return float("nan") if value in (float("inf"), float("-inf")) else value


def attach(client: Any, run_id: str, name: str, content: bytes, folder: str | None = None) -> None:
    """Log bytes as an artifact file."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as temporary:
        path = Path(temporary) / name
        path.write_bytes(content)
        client.log_artifact(run_id, str(path), folder)


def chart_address(base_url: str, experiment_id: str) -> str:
    """The address of MLflow's chart view in which all curves of the experiment lie over each other."""
    view = f"compareRunsMode=CHART&viewStateShareKey={_VIEW}&workflowType=machine_learning"
    return f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs?{view}"


def find_chart(uri: str, sweep: str, base_url: str) -> str | None:
    """The address of a sweep's chart view, or None where the store has no such sweep; makes nothing."""
    found = connect(uri).get_experiment_by_name(sweep)
    return chart_address(base_url, found.experiment_id) if found else None

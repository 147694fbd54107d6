"""How sweeps and trials lie in MLflow, and how they are found again.

The experiment `sweeps` holds one run per sweep; the experiment named after the sweep holds one run per
trial, flat, so that MLflow's chart view lays all loss curves over each other. `mlflow.parentRunId` links a
trial's run to its sweep's. Experiments and runs are found by their tags, never by a remembered id, for an answer
that was lost may have made one, nor by their names, which users may change.
"""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from dashboards.tracking.store import (
    bars,
    cause,
    connect,
    full_disk,
    is_outage,
    is_refusal,
    missing_file,
    readable,
    with_driver,
    without_password,
)

__all__ = [
    "bars",
    "cause",
    "connect",
    "full_disk",
    "is_outage",
    "is_refusal",
    "missing_file",
    "readable",
    "with_driver",
    "without_password",
]

SWEEPS = "sweeps"
_HOLDS_SWEEPS = {"sweep.holds": "sweeps"}  # by which that experiment is found when it was renamed
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
    "chartsSearchFilter": "^(train|val)/",  # not base/val/…, a single point
    "selectedColumns": ["metrics.`best`", "tags.`sweep.state`", "attributes.`Source`"],
    "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
}
_MAX_ENTITIES = 1000  # in one call
_MAX_EXPERIMENTS = 100  # searched in one call
_NAME_LENGTH = 250


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
    """The id of the experiment that holds the sweep's trials, restored where it was deleted; made where it is missing.

    Another study's sweep of the same name (another user of the same server, a home that was deleted)
    keeps its experiment; this one's then carries the start of its study's id in its name.
    """
    tags = {"sweep.name": sweep, "sweep.study": study}
    if found := _tagged(client, tags, _trials_names(sweep, study), deleted=True):
        return _restored(client, found)
    tags[f"mlflow.sharedViewState.{_VIEW}"] = json.dumps(_VIEW_STATE)
    for name in _trials_names(sweep, study):
        made = experiment(client, name, artifacts, tags)
        if made.tags.get("sweep.study", "") == study:
            return _restored(client, made)
    raise ValueError(f"the experiments named {sweep} belong to other studies")


def find_trials_experiment(client: Any, sweep: str, study: str) -> str | None:
    """The id of the experiment that holds the sweep's trials, or None; makes nothing."""
    found = _tagged(client, {"sweep.name": sweep, "sweep.study": study}, _trials_names(sweep, study))
    return str(found.experiment_id) if found else None


def sweeps_experiment(client: Any, artifacts: str | None) -> str:
    """The id of the experiment of all sweeps' own runs, restored where it was deleted; made where it is missing."""
    found = _sweeps(client, deleted=True) or experiment(client, SWEEPS, artifacts, _HOLDS_SWEEPS)
    experiment_id = _restored(client, found)
    for key, value in _HOLDS_SWEEPS.items():
        if found.tags.get(key) != value:  # an earlier version's
            client.set_experiment_tag(experiment_id, key, value)
    return experiment_id


def find_sweeps_experiment(client: Any) -> str | None:
    """The id of the experiment of all sweeps' own runs, or None; makes nothing."""
    found = _sweeps(client)
    return str(found.experiment_id) if found else None


def of_sweep(client: Any, sweep: str, study: str) -> list[Any]:
    """All runs of a sweep, its own and those in its trials' experiment."""
    home, trials = find_sweeps_experiment(client), find_trials_experiment(client, sweep, study)
    found = [*search(client, home, {"sweep.name": sweep, "sweep.study": study})] if home else []
    return [*found, *(search(client, trials, {"sweep.name": sweep}) if trials else ())]


def prove_writable(client: Any, sweep: str, study: str, artifacts: str | None) -> None:
    """Writes a run and a file where a sweep's runs will lie, and removes the run; raises what the store raises."""
    for experiment_id in (sweeps_experiment(client, artifacts), trials_experiment(client, sweep, study, artifacts)):
        run = client.create_run(experiment_id, run_name="sweep rebuild: can it write?")
        try:
            client.log_text(run.info.run_id, "", "writable.txt")
        finally:
            client.delete_run(run.info.run_id)


def count_trials(client: Any, sweep: str, study: str) -> tuple[int, str]:
    """How many runs of trials there are of a sweep's study, and its id.

    Where the id is not known it is that of the one study of this name that the store has; of several none is chosen.
    """
    if not study:
        home = find_sweeps_experiment(client)
        found = list(search(client, home, {"sweep.name": sweep})) if home else []
        ids = {run.data.tags.get("sweep.study", "") for run in found}
        study = ids.pop() if len(ids) == 1 else ""
    experiment_id = find_trials_experiment(client, sweep, study) if study else None
    numbered = (
        [run for run in search(client, experiment_id, {}) if "sweep.trial" in run.data.tags] if experiment_id else []
    )
    return len(numbered), study


def _trials_names(sweep: str, study: str) -> list[str]:
    names = [sweep] if sweep not in (SWEEPS, "Default") else []
    return [*names, f"{sweep} ({study[:8] or 'trials'})"]


def _sweeps(client: Any, *, deleted: bool = False) -> Any:
    """By its tag; an earlier version's, which has none, by its name, or by what is in it."""
    if found := _tagged(client, _HOLDS_SWEEPS, [SWEEPS], deleted=deleted):
        return found
    found = client.get_experiment_by_name(SWEEPS)
    if found and (deleted or found.lifecycle_stage == "active"):
        return found
    ids = [str(each.experiment_id) for each in _experiments(client, "")]
    for start in range(0, len(ids), _MAX_EXPERIMENTS):
        # No other run has this tag.
        page = client.search_runs(ids[start : start + _MAX_EXPERIMENTS], "tags.`sweep.experiment` != ''", max_results=1)
        if page:
            return client.get_experiment(page[0].info.experiment_id)
    return None


def _tagged(client: Any, tags: Mapping[str, str], names: Sequence[str], *, deleted: bool = False) -> Any:
    """The experiment with these tags, whatever it is called now: users may rename it.

    Where an earlier version did not find one that was renamed and made another, the one with the name is it.
    """
    every = _experiments(client, _where(tags), deleted=deleted)
    found = [each for each in every if tags.items() <= each.tags.items()]
    return min(
        found,
        key=lambda each: (each.lifecycle_stage != "active", each.name not in names, each.creation_time or 0),
        default=None,
    )


def _experiments(client: Any, query: str, *, deleted: bool = False) -> Iterator[Any]:
    from mlflow.entities import ViewType

    view, token = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY, None
    while True:
        page = client.search_experiments(view, 1000, query, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def experiment(client: Any, name: str, artifacts: str | None, tags: Mapping[str, str] | None = None) -> Any:
    """The experiment of this name: found as it is, in the bin, too, or made."""
    found = client.get_experiment_by_name(name)
    if found is None:
        every = {"mlflow.experimentKind": "custom_model_development", **(tags or {})}
        try:
            client.create_experiment(name, artifact_location=_location(artifacts), tags=every)
        except Exception as error:  # somebody was quicker
            if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(name)
    return found


def _restored(client: Any, found: Any) -> str:
    if found.lifecycle_stage == "deleted":  # its name can't be taken again while it is in the bin
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _location(artifacts: str | None) -> str | None:
    if artifacts is None or "://" in artifacts:
        return artifacts
    return Path(artifacts).resolve().as_uri()


def search(client: Any, experiment_id: str, tags: Mapping[str, str]) -> Iterator[Any]:
    """Runs (not deleted ones) that have all these tags, the oldest first, over all pages."""
    query, token = _where(tags), None
    while True:
        page = client.search_runs(
            [experiment_id], query, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
        )
        # Some databases compare without regard to case, and MLflow can't quote both kinds of quotes.
        yield from (run for run in page if tags.items() <= run.data.tags.items())
        token = page.token
        if not token:
            return


def _where(tags: Mapping[str, str]) -> str:
    quotable = {key: value for key, value in tags.items() if not {"'", '"'} <= set(value)}
    clauses = (f"tags.`{k}` = " + (f'"{v}"' if "'" in v else f"'{v}'") for k, v in quotable.items())
    return " AND ".join(clauses)


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

    Where lost answers made several, the fullest is it, and of those the oldest; the others are deleted.
    """
    found = list(search(client, experiment_id, identity))
    if found:
        return keep_one(client, found), True
    every = {"mlflow.source.name": "sweep run", "mlflow.source.type": "LOCAL", **tags, **identity}
    run = client.create_run(experiment_id, start_time=start_ms, tags=every, run_name=name)
    return str(run.info.run_id), False


def keep_one(client: Any, found: Sequence[Any], ours: str | None = None) -> str:
    """Of several runs of one thing the id of the one that stays, `ours` or the fullest; the others are deleted."""
    by_id = {str(run.info.run_id): run for run in found}  # the oldest first
    kept = ours if ours in by_id else max(by_id, key=lambda run_id: len(by_id[run_id].data.metrics))
    for extra in by_id.keys() - {kept}:
        client.delete_run(extra)
    return kept


def log(
    client: Any,
    run_id: str,
    *,
    metrics: Iterable[tuple[str, float, int, int]] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log metrics (name, value, timestamp_ms, step; see `metric_names`), params and tags in as few calls as can be."""
    from mlflow.entities import Metric, Param, RunTag

    points = [Metric(name, finite(value), at_ms, step) for name, value, at_ms, step in metrics]
    named = [Param(metric_name(k), v[:6000]) for k, v in (params or {}).items()]
    marks = [RunTag(k, v[:5000]) for k, v in (tags or {}).items()]
    while len(points) + len(named) + len(marks) > _MAX_ENTITIES and points:
        client.log_batch(run_id, metrics=points[:_MAX_ENTITIES])
        points = points[_MAX_ENTITIES:]
    if points or named or marks:
        client.log_batch(run_id, metrics=points, params=named, tags=marks)


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


def fetch(client: Any, run: Any, name: str, folder: str) -> Path | None:
    """An artifact file of a run, copied into a folder; None where the run has none of this name."""
    parent = name.rpartition("/")[0]
    if name not in {each.path for each in client.list_artifacts(run.info.run_id, parent or None)}:
        return None
    return Path(client.download_artifacts(run.info.run_id, name, folder))


def chart_address(base_url: str, experiment_id: str) -> str:
    """The address of MLflow's chart view in which all curves of the experiment lie over each other."""
    view = f"compareRunsMode=CHART&viewStateShareKey={_VIEW}&workflowType=machine_learning"
    return f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs?{view}"


def find_chart(uri: str, sweep: str, study: str, base_url: str) -> str | None:
    """The address of a sweep's chart view, or None where the store has no such sweep; makes nothing.

    Where it is not known which study is the sweep's, the one of its name is shown.
    """
    tags = {"sweep.name": sweep} | ({"sweep.study": study} if study else {})
    found = _tagged(connect(readable(uri)), tags, _trials_names(sweep, study))
    return chart_address(base_url, str(found.experiment_id)) if found else None

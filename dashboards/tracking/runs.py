"""The runs of sweeps and trials in MLflow: how they are stored, and how they are found again.

The experiment `sweeps` has one run for each sweep. The experiment named after the sweep has one run for each trial,
flat, so that MLflow's chart view shows all loss curves together. `mlflow.parentRunId` links a trial's run to its
sweep's. Experiments and runs are found by their tags. A remembered id is not enough, because a lost answer may have
created another one; nor is a name, because users may change names.
"""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from dashboards.tracking import private_patches
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
from dashboards.views import views

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
_HOLDS_SWEEPS = {"sweep.holds": "sweeps"}  # finds that experiment after it was renamed
_MAX_ENTITIES = 1000  # in one call
_MAX_EXPERIMENTS = 100  # searched in one call
_NAME_LENGTH = 250


def metric_name(name: str) -> str:
    """Return a metric's name as MLflow takes it: `val/mae/ppm (°C)` becomes `val/mae/ppm _°C_`."""
    parts = [re.sub(r"[^\w\-. :]", "_", part).strip(" ") for part in name.split("/")]
    path = "/".join("_" if set(part) <= {"."} else part for part in parts)
    return path[:_NAME_LENGTH].rstrip("/ ")


def metric_names(names: Iterable[str]) -> dict[str, str]:
    """Return each name as MLflow takes it; if two would become equal, one gets a number."""
    taken: dict[str, str] = {}
    for name in sorted(names):
        short = metric_name(name)
        numbered = (f"{short[: _NAME_LENGTH - 6]}_{i}" for i in count(2))
        taken[next(each for each in chain([short], numbered) if each not in taken)] = name
    return {name: short for short, name in taken.items()}


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested mappings as one mapping with dotted paths; lists become JSON."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{path}.")
        else:
            flat[path] = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return flat


def trials_experiment(client: Any, sweep: str, study: str, artifacts: str | None) -> str:
    """Return the id of the experiment of the sweep's trials; restore it if it was deleted, create it if it is missing.

    If another study has a sweep of the same name (another user of the server, a home that was deleted), that one keeps
    its experiment, and the name of this one contains the start of its study's id.
    """
    tags = {"sweep.name": sweep, "sweep.study": study}
    if found := _tagged(client, tags, _trials_names(sweep, study), deleted=True):
        return _restored(client, found)
    for name in _trials_names(sweep, study):
        made = experiment(client, name, artifacts, tags)
        if made.tags.get("sweep.study", "") == study:
            return _restored(client, made)
    raise ValueError(f"the experiments named {sweep} belong to other studies")


def find_trials_experiment(client: Any, sweep: str, study: str) -> str | None:
    """Return the id of the experiment of the sweep's trials, or None; creates nothing."""
    found = _tagged(client, {"sweep.name": sweep, "sweep.study": study}, _trials_names(sweep, study))
    return str(found.experiment_id) if found else None


def sweeps_experiment(client: Any, artifacts: str | None) -> str:
    """Return the id of the experiment of the sweeps' runs; restore it if it was deleted, create it if it is missing."""
    found = _sweeps(client, deleted=True) or experiment(client, SWEEPS, artifacts, _HOLDS_SWEEPS)
    experiment_id = _restored(client, found)
    for key, value in _HOLDS_SWEEPS.items():
        if found.tags.get(key) != value:  # an earlier version's
            client.set_experiment_tag(experiment_id, key, value)
    return experiment_id


def find_sweeps_experiment(client: Any) -> str | None:
    """Return the id of the experiment of all sweeps' own runs, or None; creates nothing."""
    found = _sweeps(client)
    return str(found.experiment_id) if found else None


def of_sweep(client: Any, sweep: str, study: str) -> list[Any]:
    """Return all runs of a sweep: its own and those in its trials' experiment."""
    home, trials = find_sweeps_experiment(client), find_trials_experiment(client, sweep, study)
    found = [*search(client, home, {"sweep.name": sweep, "sweep.study": study})] if home else []
    return [*found, *(search(client, trials, {"sweep.name": sweep}) if trials else ())]


def prove_writable(client: Any, sweep: str, study: str, artifacts: str | None) -> None:
    """Write a run and a file in each experiment of a sweep, then remove the run; raises what the store raises."""
    for experiment_id in (sweeps_experiment(client, artifacts), trials_experiment(client, sweep, study, artifacts)):
        run = client.create_run(experiment_id, run_name="sweep rebuild: can it write?")
        try:
            client.log_text(run.info.run_id, "", "writable.txt")
        finally:
            client.delete_run(run.info.run_id)


def count_trials(client: Any, sweep: str, study: str) -> tuple[int, str]:
    """Return how many runs of trials a sweep's study has, and the study's id.

    If the id is not known, it is that of the only study of this name in the store; if there are several, it is "".
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
    """Find the experiment by its tag; an earlier version's, without the tag, by its name or by its runs."""
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
    """Return the experiment with these tags, whatever its name is now: users may rename it.

    If an earlier version did not find a renamed one and created another, the one with the name is returned.
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
    """Return the experiment of this name as it is, even if deleted; create it if it is missing."""
    found = client.get_experiment_by_name(name)
    if found is None:
        every = {"mlflow.experimentKind": "custom_model_development", **(tags or {})}
        try:
            client.create_experiment(name, artifact_location=_location(artifacts), tags=every)
        except Exception as error:  # somebody else has just created it
            if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
                raise
        found = client.get_experiment_by_name(name)
    return found


def _restored(client: Any, found: Any) -> str:
    if found.lifecycle_stage == "deleted":  # a deleted experiment's name can't be used again
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _location(artifacts: str | None) -> str | None:
    if artifacts is None or "://" in artifacts:
        return artifacts
    return Path(artifacts).resolve().as_uri()


def search(client: Any, experiment_id: str, tags: Mapping[str, str]) -> Iterator[Any]:
    """Yield the runs (not deleted ones) with all these tags, the oldest first, over all pages."""
    query, token = _where(tags), None
    while True:
        page = client.search_runs(
            [experiment_id], query, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
        )
        # Some databases ignore case, and MLflow can't quote a text with both kinds of quotes: compare again.
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
    may_be_there: bool = True,
) -> tuple[str, bool]:
    """Return the id of the run with the identity's tags, and whether it existed before.

    If lost answers created several, the one with the most metrics stays, of equals the oldest; the others are deleted.
    Where it can't be there, it is not searched.
    """
    found = list(search(client, experiment_id, identity)) if may_be_there else []
    if found:
        return keep_one(client, found), True
    every = {"mlflow.source.name": "sweep run", "mlflow.source.type": "LOCAL", **tags, **identity}
    run = client.create_run(experiment_id, start_time=start_ms, tags=every, run_name=name)
    return str(run.info.run_id), False


def keep_one(client: Any, found: Sequence[Any], ours: str | None = None) -> str:
    """Keep one of several runs, `ours` or the one with the most metrics; delete the others and return its id."""
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
    """Log metrics (name, value, timestamp_ms, step; see `metric_names`), params and tags in as few calls as it can."""
    from mlflow.entities import Metric, Param, RunTag

    points = [Metric(name, finite(value), at_ms, step) for name, value, at_ms, step in metrics]
    named = [Param(metric_name(k), v[:6000]) for k, v in (params or {}).items()]
    marks = [RunTag(k, v[:5000]) for k, v in (tags or {}).items()]
    while len(points) + len(named) + len(marks) > _MAX_ENTITIES and points:
        client.log_batch(run_id, metrics=points[:_MAX_ENTITIES])
        points = points[_MAX_ENTITIES:]
    if len(marks) == 1 and not points and not named:
        client.set_tag(run_id, marks[0].key, marks[0].value)  # costs a third of a batch, which has three transactions
    elif points or named or marks:
        client.log_batch(run_id, metrics=points, params=named, tags=marks)


def finite(value: float) -> float:
    """Return a value as MLflow gets it: infinity becomes NaN."""
    # MLflow stores infinity as 1.8e308, which would make every other point of a chart a flat line.
    return float("nan") if value in (float("inf"), float("-inf")) else value


def curves(client: Any, run_id: str, names: Iterable[str]) -> dict[str, list[tuple[int, float, int]]]:
    """Return a run's curves by metric: (step, value, timestamp in ms), in the order of time; [] if there is none."""
    stored, every = private_patches.points(client, run_id), sorted(set(names))
    if stored is not None:
        return {name: stored.get(name, []) for name in every}
    return {name: [(p.step, p.value, p.timestamp) for p in client.get_metric_history(run_id, name)] for name in every}


def attach(client: Any, run_id: str, name: str, content: bytes, folder: str | None = None) -> None:
    """Log bytes as an artifact file."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as temporary:
        path = Path(temporary) / name
        path.write_bytes(content)
        client.log_artifact(run_id, str(path), folder)


def fetch(client: Any, run: Any, name: str, folder: str) -> Path | None:
    """Copy an artifact file of a run into a folder and return its path; None if the run has no such file."""
    import mlflow.artifacts

    # Given the run's id, MLflow would ask its store six times: for the run, and for models, which nobody logs here.
    address = f"{run.info.artifact_uri}/{name}"
    beside = mlflow.artifacts.list_artifacts(address.rpartition("/")[0], tracking_uri=client.tracking_uri)
    if Path(name).name not in {Path(each.path).name for each in beside}:
        return None
    return Path(mlflow.artifacts.download_artifacts(address, dst_path=folder, tracking_uri=client.tracking_uri))


def save_views(client: Any, experiment_id: str, every: Sequence[views.View]) -> bool:
    """Save views of an experiment's runs, as far as they are missing or ours; another's view stays.

    Returns whether the store has them. A server that takes no text of that length, or gives no permission, has none: a
    run is worth more.
    """
    tags = client.get_experiment(experiment_id).tags
    for key, value in views.changes(tags, every).items():
        try:
            client.set_experiment_tag(experiment_id, key, value)
        except Exception as error:
            if not is_refusal(error) and getattr(error, "error_code", None) != "PERMISSION_DENIED":
                raise
            return False
    return True


def show_sweeps(client: Any, home: str) -> None:
    """Save the view of all sweeps, in their experiment, with the figures on the test part that they have by now."""
    found = list(search(client, home, {}))
    metrics = {name for run in found for name in run.data.metrics}
    judged = views.judged(metrics, {metric_name(run.data.params.get("metric", "")) for run in found})
    save_views(client, home, [views.of_sweeps(judged)])


def find_chart(uri: str, sweep: str, study: str, base_url: str) -> str | None:
    """Return the address of a sweep's chart view, or None if the store has no such sweep; creates nothing.

    If the sweep's study is not known, the one of the sweep's name is shown.
    """
    tags = {"sweep.name": sweep} | ({"sweep.study": study} if study else {})
    found = _tagged(connect(readable(uri)), tags, _trials_names(sweep, study))
    return page(found, base_url, views.TRIALS)


def find_sweeps(uri: str, base_url: str) -> str | None:
    """Return the address of the page of all sweeps, or None if the store has none; creates nothing."""
    return page(_sweeps(connect(readable(uri))), base_url, views.SWEEPS)


def page(found: Any, base_url: str, key: str) -> str | None:
    """Return an experiment's address, in its view if it has one: an earlier version made none of all sweeps."""
    if found is None:
        return None
    return views.address(base_url, str(found.experiment_id), key if views.TAG + key in found.tags else "")

"""How sweeps and trials lie in MLflow, and how they are found again.

The experiment `sweeps` holds one run per sweep; the experiment named after the sweep holds one run per
trial, flat, so that MLflow's chart view lays all loss curves over each other. `mlflow.parentRunId` links a
trial's run to its sweep's. Runs are found by their tags, never by a remembered id: an answer that was lost
may have made one.
"""

import errno
import json
import logging
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from lstm import disk

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
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the address may hold a password
}
# MLflow would send a request again whose answer was lost, the making of a run, too: two runs from one call.
# Who calls must look first. So this is not the user's to set.
_NO_RETRIES = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST"}
_REFUSAL_STATUSES = {400, 413, 415, 422}  # of an artifact; what else a server answers may be another tomorrow
_BUGS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# MLflow calls every trouble of its database but one a bad request; these are the database's.
_DATABASE_TROUBLE = {"DatabaseError", "InterfaceError", "InternalError", "OperationalError", "TimeoutError"}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_WORDS = {  # by the class of an error or SQLite's name of it; the first that is found says the most
    "SQLITE_BUSY": "its database is locked",
    "SQLITE_LOCKED": "its database is locked",
    "SQLITE_READONLY": "its database is read-only",
    "SQLITE_CANTOPEN": "its database can't be opened",
    "Timeout": "no answer in time",
    "ReadTimeoutError": "no answer in time",
    "NameResolutionError": "its host is not known",
    "ConnectionRefusedError": "nothing listens at its address",
    "ConnectionError": "the connection broke",
}
_DISK_FULL = "53100"  # PostgreSQL's
_MAX_ENTITIES = 1000  # in one call
_NAME_LENGTH = 250


def _prepare() -> None:
    """Imports MLflow, which takes seconds; so that what comes next is quick, and quiet."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.update(_NO_RETRIES)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    import mlflow.tracking  # noqa: F401 # so that it is there

    for name in ("mlflow", "alembic"):  # its import configures them anew
        logging.getLogger(name).setLevel(logging.CRITICAL)


def connect(uri: str) -> Any:
    """An MlflowClient that gives up soon and keeps quiet."""
    _prepare()
    from mlflow.tracking import MlflowClient

    if (path := missing_file(uri)) and "?" not in uri and path != ":memory:":
        _make_database(Path(path))
    return MlflowClient(tracking_uri=with_driver(uri))


def with_driver(uri: str) -> str:
    """A PostgreSQL's address with the driver that is installed with us; SQLAlchemy would look for another."""
    scheme, mark, rest = uri.partition("://")
    return f"postgresql+psycopg2{mark}{rest}" if scheme in ("postgres", "postgresql") else uri


def without_password(address: str) -> str:
    """An address as it may be shown: nobody's name and password, and no query, which may hold them too."""
    scheme, mark, rest = address.partition("://")
    if not mark or scheme.startswith(("sqlite", "file")):
        return address
    rest = re.sub(r"^[^:/@]*(:[^@]*)?@", "", rest).partition("?")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _make_database(path: Path) -> None:
    """Make an empty store's tables under another name, and give the file its own when they are whole.

    MLflow makes them in many steps. A store in which a kill or a full disk ended them would never open again.
    """
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.new*"):
        if time.time() - left.stat().st_mtime > 3600:  # a killed driver's; a younger one may be at work
            left.unlink(missing_ok=True)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    engine = create_sqlalchemy_engine(f"sqlite:///{new}")
    try:
        _initialize_tables(engine)
        engine.dispose()
        try:
            os.link(new, path)
        except FileExistsError:  # somebody was quicker
            pass
        except OSError:  # a file system without links
            new.rename(path)
    finally:
        engine.dispose()  # a file that is open keeps its place on the disk
        for left in path.parent.glob(f"{new.name}*"):  # SQLite's journal, too
            left.unlink(missing_ok=True)


def is_refusal(error: Exception) -> bool:
    """Whether the store understood and said no (sending it again won't help), rather than being away."""
    code = getattr(error, "error_code", None)
    if code == "INTERNAL_ERROR" and error.__context__ is not None:  # its own store wraps whatever happened
        error = error.__context__ if isinstance(error.__context__, Exception) else error
    elif code is not None:
        return code in _REFUSALS and type(error.__cause__).__name__ not in _DATABASE_TROUBLE
    if (status := getattr(getattr(error, "response", None), "status_code", None)) is not None:
        return status in _REFUSAL_STATUSES
    return isinstance(error, _BUGS) and not isinstance(error, OSError)


def is_outage(error: Exception) -> bool:
    """Whether it is the store that failed, and not our own code."""
    return hasattr(error, "error_code") or isinstance(error, OSError) or not isinstance(error, _BUGS)


def readable(uri: str) -> str:
    """The address under which a store can be read, though nobody may write there: that of a copy, if need be."""
    scheme, _, path = uri.partition("?")[0].partition(":///")
    if scheme != "sqlite" or not path:
        return uri
    found = disk.readable(Path(path))
    return uri if str(found) == path else f"sqlite:///{found}"


def missing_file(uri: str) -> str | None:
    """The file of a store that is a SQLite database and not there; None otherwise."""
    scheme, _, path = uri.partition("?")[0].partition(":///")
    return path if scheme == "sqlite" and not Path(path).exists() else None


def cause(error: Exception) -> str:
    """What went wrong, in a few words: never the message, which may hold the store's address and password."""
    every = list(_chain(error))
    for each in every:
        if isinstance(each, OSError) and each.filename is not None and each.strerror:
            return f"{each.strerror}: {os.fsdecode(each.filename)}"
    kinds = {kind.__name__ for each in every for kind in type(each).__mro__}
    kinds |= {str(getattr(each, "sqlite_errorname", "")) for each in every}
    statuses = [getattr(getattr(each, "response", None), "status_code", None) for each in every]
    # Not text from the far end: urllib3's own sentence.
    statuses += [found[1] for each in every if (found := re.fullmatch(r"too many (\d+) error responses", str(each)))]
    words = [f"error {status}" for status in statuses if status]
    words += [words for kind, words in _WORDS.items() if kind in kinds]
    return next(iter(words), str(getattr(error, "error_code", None) or type(error).__name__))


def full_disk(error: Exception, uri: str, artifacts: str | None) -> str | None:
    """The folder whose disk is full, where that is what went wrong; "" where it is not of this host."""
    here = [Path(tempfile.gettempdir()), *([Path(artifacts)] if artifacts and "://" not in artifacts else [])]
    for each in _chain(error):
        if getattr(each, "sqlite_errorname", None) == "SQLITE_FULL":
            return str(Path(uri.partition("?")[0].partition(":///")[2]).parent)
        if getattr(each, "pgcode", None) == _DISK_FULL:
            return ""
        if isinstance(each, OSError) and each.errno in _FULL:
            # A write does not say which file it was for; the fullest disk is it.
            named = each.filename2 or each.filename
            return str(Path(os.fsdecode(named)).parent if named else min(here, key=_free))
    return None


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was made of: causes, what a database's driver and urllib3 raised."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            inner = [each.__cause__, each.__context__, getattr(each, "orig", None), getattr(each, "reason", None)]
            waiting += [*inner, *each.args]


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
    for name in _trials_names(sweep, study):
        experiment_id = experiment(client, name, artifacts, tags)
        if client.get_experiment(experiment_id).tags.get("sweep.study", "") == study:
            return experiment_id
    raise ValueError(f"the experiments named {sweep} belong to other studies")


def find_trials_experiment(client: Any, sweep: str, study: str) -> str | None:
    """The id of the experiment that holds the sweep's trials, or None; makes nothing."""
    found = (client.get_experiment_by_name(name) for name in _trials_names(sweep, study))
    mine = (e for e in found if e and e.lifecycle_stage == "active" and e.tags.get("sweep.study", "") == study)
    return next((str(e.experiment_id) for e in mine), None)


def of_sweep(client: Any, sweep: str, study: str) -> list[Any]:
    """All runs of a sweep, its own and those in its trials' experiment."""
    home = client.get_experiment_by_name(SWEEPS)
    trials = find_trials_experiment(client, sweep, study)
    found = [*search(client, home.experiment_id, {"sweep.name": sweep, "sweep.study": study})] if home else []
    return [*found, *(search(client, trials, {"sweep.name": sweep}) if trials else ())]


def prove_writable(client: Any, sweep: str, study: str, artifacts: str | None) -> None:
    """Writes a run and a file where a sweep's runs will lie, and removes the run; raises what the store raises."""
    for experiment_id in (experiment(client, SWEEPS, artifacts), trials_experiment(client, sweep, study, artifacts)):
        run = client.create_run(experiment_id, run_name="sweep rebuild: can it write?")
        try:
            client.log_text(run.info.run_id, "", "writable.txt")
        finally:
            client.delete_run(run.info.run_id)


def count_trials(client: Any, sweep: str, study: str) -> tuple[int, str]:
    """How many runs of trials there are of a sweep's study, and its id; of the newest study where it is not known."""
    if not study:
        home = client.get_experiment_by_name(SWEEPS)
        found = list(search(client, home.experiment_id, {"sweep.name": sweep})) if home else []
        study = found[-1].data.tags.get("sweep.study", "") if found else ""
    experiment_id = find_trials_experiment(client, sweep, study) if study else None
    numbered = (
        [run for run in search(client, experiment_id, {}) if "sweep.trial" in run.data.tags] if experiment_id else []
    )
    return len(numbered), study


def _trials_names(sweep: str, study: str) -> list[str]:
    names = [sweep] if sweep not in (SWEEPS, "Default") else []
    return [*names, f"{sweep} ({study[:8] or 'trials'})"]


def experiment(client: Any, name: str, artifacts: str | None, tags: Mapping[str, str] | None = None) -> str:
    """The id of the experiment of this name: found, restored where it was deleted, or made."""
    found = client.get_experiment_by_name(name)
    if found is None:
        every = {"mlflow.experimentKind": "custom_model_development", **(tags or {})}
        try:
            return str(client.create_experiment(name, artifact_location=_location(artifacts), tags=every))
        except Exception as error:
            if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
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


def find_chart(uri: str, sweep: str, base_url: str) -> str | None:
    """The address of a sweep's chart view, or None where the store has no such sweep; makes nothing."""
    found = connect(readable(uri)).get_experiment_by_name(sweep)
    return chart_address(base_url, found.experiment_id) if found else None

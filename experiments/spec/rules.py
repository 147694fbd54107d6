"""The rules across sections: what no section can check alone, on those that are valid in themselves.

Above all: an option that would do nothing in this combination is an error.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cluster.config import (
    AnyDimension,
    CategoricalDimension,
    GpSampler,
    GridSampler,
    HyperbandPruner,
    IntDimension,
    MedianPruner,
    PatientPruner,
    SearchConfig,
    SuccessiveHalvingPruner,
    TpeSampler,
)
from cluster.space import rules
from cluster.study.database import address_fault as database_fault
from dashboards.config import address_fault
from dashboards.report.glossary import MEANINGS, meaning
from experiments.spec import messages
from experiments.spec.experiment import largest
from experiments.spec.yaml_document import Document
from lstm.config import trial as lstm_config
from lstm.config.section import Data
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, Idle, did_you_mean
from lstm.records.objective import Direction
from lstm.tasks.registry import named

# Names of MLflow's experiments, and of what lies in the home folder beside the sweeps' own folders.
RESERVED = ("sweeps", "artifacts", "default", "ui.log")
RESERVED_STARTS = ("mlflow.db", "study.db")  # SQLite writes files beside its databases
SCHEMES = ("s3", "gs", "gcs", "hdfs", "file")  # what pyarrow opens
_REMOTE = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"  # what pyarrow reads there
MAX_GRID = 1_000_000  # the grid is held in memory


def is_reserved(name: str) -> bool:
    """Whether a sweep may not have this name."""
    return name.lower() in RESERVED or name.lower().startswith(RESERVED_STARTS)


def is_text(path: str) -> bool:
    """Whether a path is UTF-8; Python holds what is not as halves of characters, which no database takes."""
    return not any("\ud800" <= c <= "\udfff" for c in path)


def faults(parts: Mapping[str, Any], document: Document) -> Iterator[Fault]:
    """All rules across fields, on the sections that are valid in themselves."""
    data, model, training = (parts.get(name) for name in ("data", "model", "training"))
    yield from lstm_config.faults(data, model, training)
    if (name := parts.get("name")) and is_reserved(name):
        yield Fault("name", f"is {name}, which is reserved; take another")
    if name and name.endswith((".yaml", ".yml", ".json")):
        yield Fault("name", f"is {name}, which would be taken for a file; leave the ending out")
    if name and (".." in name or name.endswith(".")):
        yield Fault("name", f"is {name}, may not hold '..' or end with '.'")
    yield from _address_faults(parts)
    yield from _second_rules(parts)
    if "search" in document.filled and document.filled["search"] is None:
        yield Fault("search", "is empty; leave it out for one training run without a search")
    elif search := parts.get("search"):
        base = {n: s for n, s in (("data", data), ("model", model), ("training", training)) if s is not None}
        yield from rules.faults(search, base)
        yield from _search_rules(search, data, training, document)
    elif "search" in parts:
        yield from _idle_without_search(parts)


def _address_faults(parts: Mapping[str, Any]) -> Iterator[Fault]:
    storage, tracking = parts.get("storage"), parts.get("tracking")
    if storage and storage.checkpoints and (wrong := _folder_fault(storage.checkpoints)):
        yield Fault("storage.checkpoints", wrong)
    if storage and storage.study and (wrong := database_fault(storage.study)):
        yield Fault("storage.study", wrong)
    if tracking and tracking.uri and (wrong := address_fault(tracking.uri)):
        yield Fault("tracking.uri", wrong)
    if storage and tracking and storage.study and storage.study == tracking.uri:
        yield Fault("tracking.uri", "is the study's database; MLflow needs one of its own: name another")
    if storage and tracking and storage.keep == "best" and tracking.checkpoints == "all":
        message = "can't be best where tracking.checkpoints is all: MLflow would keep what is removed; use one of both"
        yield Fault("storage.keep", message)


def _folder_fault(address: str) -> str | None:
    """What is wrong with the address of checkpoints, told without any of it."""
    scheme, mark, rest = address.partition("://")
    if not is_text(address):
        return "holds what is no UTF-8; stores could not keep it"
    if not mark:
        given = next((scheme for scheme in SCHEMES if address.startswith(f"{scheme}:")), None)
        return f"looks like an address; write {given}:// with two slashes" if given else None
    if scheme not in SCHEMES:
        return f"has no known scheme; use a folder or one of {messages.listed(SCHEMES)}"
    return next(_place_faults(scheme, *rest.partition("/")[::2]), None)


def _place_faults(scheme: str, host: str, path: str) -> Iterator[str]:
    if "@" in host:  # it would be kept in the study and in MLflow
        yield "may hold no keys; give them by the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
    if "?" in host + path:
        yield "may hold no options; give them by the environment (AWS_DEFAULT_REGION, AWS_ENDPOINT_URL)"
    if scheme == "file" and (host not in ("", "localhost") or not path.strip("/")):
        yield "names no folder of this host; write file:///FOLDER, or the folder alone"
    if scheme in ("s3", "gs", "gcs") and not host:
        yield f"names no bucket; write {scheme}://BUCKET/FOLDER"
    if "#" in path or (scheme != "file" and not re.fullmatch(_REMOTE, f"{host}/{path}")):
        yield "holds a character that an address may not; write it as % and two digits, a blank as %20"


def _second_rules(parts: Mapping[str, Any]) -> Iterator[Fault]:
    """What a second objective needs of the other sections."""
    search, probe, storage = parts.get("search"), parts.get("probe"), parts.get("storage")
    if search is None or search.second_objective is None:
        return
    metric = search.second_objective.metric
    names = [f"probe/{name}" for name in MEANINGS]
    if not metric.startswith("probe/") or not meaning(metric.removeprefix("probe/")):
        message = f"is {messages.quoted(metric)}, must be a number of a probe: one of {messages.listed(names)}"
        yield Fault("search.second_objective.metric", message + did_you_mean(metric, names))
    elif probe and not probe.every_trial:
        message = f"is {metric}, which no trial has unless each is probed; set probe.every_trial: true"
        yield Fault("search.second_objective.metric", message)
    if search.pruner.type != "none":
        message = f"is {search.pruner.type}, which can't compare trials by two objectives; leave it out, or leave out "
        yield Fault("search.pruner.type", message + "search.second_objective")
    if storage and storage.keep == "best":
        message = "can't be best with search.second_objective: no trial of the Pareto front is the best; use all"
        yield Fault("storage.keep", message)


def _idle_without_search(parts: Mapping[str, Any]) -> Iterator[Fault]:
    idle = "would do nothing: there is no search, so there is one trial; leave it out, or add search"
    resources, storage = parts.get("resources"), parts.get("storage")
    if resources and resources.max_concurrent != "auto" and resources.max_concurrent > 1:
        yield Fault("resources.max_concurrent", idle)
    if storage and storage.keep == "best":
        yield Fault("storage.keep", idle)


def _search_rules(
    search: SearchConfig, data: Data | None, training: TrainingConfig | None, document: Document
) -> Iterator[Fault]:
    task = named(document.filled.get("task"))
    names = [f"val/{each.name}" for each in task.metrics_of(data)] if task and data else []
    if names and search.metric not in names:
        message = f"is {messages.quoted(document.hide(search.metric))}, must be one of {messages.listed(names)}"
        yield Fault("search.metric", message + did_you_mean(search.metric, names))
    wanted = direction_of(document.filled.get("task"), search.metric)
    if wanted and search.direction != wanted:
        what = "is an error, better when lower" if wanted == "minimize" else "is better when higher"
        message = f"would search for the worst: {search.metric} {what}; use {wanted}"
        yield Fault("search.direction", message)
    if training:
        yield from _pruner_rules(search, training)
    yield from _sampler_rules(search)


def direction_of(task: Any, metric: str) -> Direction | None:
    """Which way a task's metric is better; None of one that it does not have."""
    known = named(task)
    name = metric.removeprefix("val/").partition("/")[0]  # what follows is a column's
    return next((each.direction for each in known.metrics if each.name == name), None) if known else None


def _pruner_rules(search: SearchConfig, training: TrainingConfig) -> Iterator[Fault]:
    """A pruner whose first decision is at the last epoch, or after it, would do nothing."""
    pruner = search.pruner
    match pruner:
        case MedianPruner():
            name, first = "n_warmup_steps", max(pruner.n_warmup_steps, 1)
        case SuccessiveHalvingPruner():
            first = pruner.min_resource * pruner.reduction_factor**pruner.min_early_stopping_rate
            name = "min_resource" if pruner.min_resource == first else "min_early_stopping_rate"
        case HyperbandPruner():
            name, first = "min_resource", pruner.min_resource
        case PatientPruner():
            name, first = "patience", pruner.patience + 2  # Optuna compares patience + 1 epochs with those before
        case _:
            return
    epochs = int(largest("training.max_epochs", training.max_epochs, search))
    if first >= epochs:
        # Until issue 13 the patient pruner was taken to decide two epochs earlier.
        kind = Idle if isinstance(pruner, PatientPruner) and max(pruner.patience, 1) < epochs else Fault
        message = f"can never act: it first decides at epoch {first} and trials end at epoch {epochs}"
        yield kind(f"search.pruner.{name}", f"{message}; make it smaller, or use pruner: {{type: none}}")
    if isinstance(pruner, MedianPruner) and "n_startup_trials" in pruner.model_fields_set:
        yield from _startup_rule("pruner", pruner.n_startup_trials, search.n_trials)


def _sampler_rules(search: SearchConfig) -> Iterator[Fault]:
    sampler = search.sampler
    conditional = [path for path, dimension in search.space.items() if dimension.when]
    if conditional and sampler.type in ("gp", "grid"):
        message = f"is {sampler.type}, which can't search where a parameter has a condition ({conditional[0]} has "
        yield Fault("search.sampler.type", message + "`when`); use tpe or random")
    if isinstance(sampler, TpeSampler | GpSampler) and "n_startup_trials" in sampler.model_fields_set:
        yield from _startup_rule("sampler", sampler.n_startup_trials, search.n_trials)
    if isinstance(sampler, GridSampler):
        yield from _grid_rules(search)


def _startup_rule(who: str, n_startup_trials: int, n_trials: int) -> Iterator[Fault]:
    if n_startup_trials >= n_trials:
        other = "sampler: {type: random}" if who == "sampler" else "pruner: {type: none}"
        message = f"is {n_startup_trials} of n_trials: {n_trials}, so the {who} would never act; make it smaller"
        yield Idle(f"search.{who}.n_startup_trials", f"{message}, or use {other}")


def _grid_rules(search: SearchConfig) -> Iterator[Fault]:
    sizes = {path: _size(dimension) for path, dimension in search.space.items()}
    for path in (path for path, size in sizes.items() if size is None):
        is_log = getattr(search.space[path], "log", False)
        mend = "a step instead of log" if is_log else "a step"
        yield Fault(f"search.space.{path}", f"has no list of values for the grid; give it {mend}, or choices")
    if (size := grid_size(search)) is None:
        return
    if size > MAX_GRID:
        message = f"makes a grid of {size:,} combinations; {MAX_GRID:,} is the most, so take larger steps"
        yield Fault("search.space", message)
    elif search.n_trials > size:
        yield Fault("search.n_trials", f"is {search.n_trials}, but the grid has {size} combinations; use {size}")


def grid_size(search: SearchConfig) -> int | None:
    """How many combinations the space has; None where it has no list of them."""
    sizes = [_size(dimension) for dimension in search.space.values()]
    known = [size for size in sizes if size is not None and size >= 1]
    return math.prod(known) if len(known) == len(sizes) else None


def _size(dimension: AnyDimension) -> int | None:
    """How many values a dimension has; counted, not listed: a seed has two thousand million."""
    if isinstance(dimension, CategoricalDimension):
        return len(dimension.choices)
    if dimension.log or (dimension.step is None and not isinstance(dimension, IntDimension)):
        return None
    steps = (dimension.high - dimension.low) / (dimension.step or 1)
    return math.floor(min(steps, 1e18) + 1e-9) + 1

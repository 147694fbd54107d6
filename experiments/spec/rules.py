"""The rules across sections, which no section can check alone. They apply to sections that are valid by themselves.

The main rule: an option that would do nothing in this combination is an error.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
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
from dashboards.config import address_fault, webhook_fault
from dashboards.report.glossary import MEANINGS, meaning
from experiments.spec.experiment import largest
from experiments.spec.yaml_document import Document
from lstm.config import trial as lstm_config
from lstm.config.section import Data
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault, nearest
from lstm.records.objective import Direction
from lstm.storage import address
from lstm.tasks.registry import named

# Names that MLflow's experiments and other files and folders of the home have.
RESERVED = ("sweeps", "artifacts", "default", "ui.log")
RESERVED_STARTS = ("mlflow.db", "study.db")  # SQLite writes more files next to its databases
MAX_GRID = 1_000_000  # the grid is kept in memory


def is_reserved(name: str) -> bool:
    """Return whether the name is reserved, so that no sweep may have it."""
    return name.lower() in RESERVED or name.lower().startswith(RESERVED_STARTS)


def faults(parts: Mapping[str, Any], document: Document) -> Iterator[Fault]:
    """Yield the faults of all rules across sections, for the sections that are valid by themselves."""
    data, model, training = (parts.get(name) for name in ("data", "model", "training"))
    space = search.space if (search := parts.get("search")) else {}
    yield from (f for f in lstm_config.faults(data, model, training) if not rules.acts_elsewhere(f, space))
    if (name := parts.get("name")) and is_reserved(name):
        yield fault("name-reserved", "name", name=name)
    if name and name.endswith((".yaml", ".yml", ".json")):
        yield fault("name-like-a-file", "name", name=name)
    if name and (".." in name or name.endswith(".")):
        yield fault("name-with-dots", "name", name=name)
    yield from _reward_rules(data, training, parts.get("search"), document)
    yield from _address_faults(parts)
    yield from _data_faults(data, document)
    yield from _second_rules(parts)
    if "search" in document.filled and document.filled["search"] is None:
        yield fault("search-empty", "search")
    elif search := parts.get("search"):
        base = {n: s for n, s in (("data", data), ("model", model), ("training", training)) if s is not None}
        yield from rules.faults(search, base)
        yield from _search_rules(search, data, training, document)
        yield from _confirm_rules(search, data)
    elif "search" in parts:
        yield from _idle_without_search(parts)


def _reward_rules(
    data: Data | None, training: TrainingConfig | None, search: SearchConfig | None, document: Document
) -> Iterator[Fault]:
    """Yield a fault for each metric that evolution shall improve, or may in a search, and that the task lacks."""
    task = named(document.filled.get("task"))
    names = [each.name for each in task.metrics_of(data)] if task and data else []
    rewards: dict[str, Any] = {}
    if training is not None and training.method == "evolution":
        rewards["training.reward"] = training.rewarded
    if search and isinstance(searched := search.space.get("training.reward"), CategoricalDimension):
        at = "search.space.training.reward.choices"
        rewards |= {f"{at}.{place}": reward for place, reward in enumerate(searched.choices) if reward is not None}
    for at, reward in rewards.items():
        if names and isinstance(reward, str) and reward not in names:
            yield _unknown_metric(at, reward, names)


def _address_faults(parts: Mapping[str, Any]) -> Iterator[Fault]:
    storage, tracking = parts.get("storage"), parts.get("tracking")
    if storage and storage.checkpoints:
        yield from address.faults_of_folder("storage.checkpoints", storage.checkpoints)
    if storage and storage.study and (wrong := database_fault(storage.study)):
        yield wrong
    if tracking and tracking.uri and (wrong := address_fault(tracking.uri)):
        yield wrong
    if tracking and tracking.notify and (wrong := webhook_fault(tracking.notify, tracking.notify_form)):
        yield wrong
    if tracking and tracking.notify is None and tracking.notify_form != "json":
        yield fault("form-without-webhook", "tracking.notify_form")
    if storage and tracking and storage.study and storage.study == tracking.uri:
        yield fault("one-database-for-both", "tracking.uri")
    if storage and tracking and storage.keep != "all" and tracking.checkpoints == "all":
        yield fault("keep-best-and-log-all", "storage.keep")


def _data_faults(data: Data | None, document: Document) -> Iterator[Fault]:
    """Yield the faults of the addresses of data in an object store."""
    task = named(document.filled.get("task"))
    for name in task.location.model_fields if task and data else ():
        if isinstance(given := getattr(data, name, None), str):
            yield from address.faults_of_file(f"data.{name}", given)


def _second_rules(parts: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what a second objective needs from the other sections and does not find."""
    search, probe, storage = parts.get("search"), parts.get("probe"), parts.get("storage")
    if search is None or search.second_objective is None:
        return
    metric = search.second_objective.metric
    names = [f"probe/{name}" for name in MEANINGS]
    if not metric.startswith("probe/") or not meaning(metric.removeprefix("probe/")):
        yield _unknown_metric("search.second_objective.metric", metric, names)
    elif probe and not probe.every_trial:
        yield fault("metric-not-probed", "search.second_objective.metric", metric=metric)
    if search.pruner.type != "none":
        yield fault("pruner-of-two-objectives", "search.pruner.type", pruner=search.pruner.type)
    if storage and storage.keep != "all":
        yield fault("keep-best-of-a-front", "storage.keep")


def _idle_without_search(parts: Mapping[str, Any]) -> Iterator[Fault]:
    resources, storage = parts.get("resources"), parts.get("storage")
    if resources and resources.max_concurrent != "auto" and resources.max_concurrent > 1:
        yield fault("no-search", "resources.max_concurrent")
    if storage and storage.keep != "all":
        yield fault("no-search", "storage.keep")


def _search_rules(
    search: SearchConfig, data: Data | None, training: TrainingConfig | None, document: Document
) -> Iterator[Fault]:
    task = named(document.filled.get("task"))
    names = [f"val/{each.name}" for each in task.metrics_of(data)] if task and data else []
    if names and search.metric not in names:
        yield _unknown_metric("search.metric", search.metric, names)
    wanted = direction_of(document.filled.get("task"), search.metric)
    if wanted and search.direction != wanted:
        better = "lower" if wanted == "minimize" else "higher"
        yield fault("direction-to-the-worst", "search.direction", metric=search.metric, better=better, right=wanted)
    if training:
        yield from _pruner_rules(search, training)
    yield from _sampler_rules(search)


def _unknown_metric(at: str, metric: str, names: Sequence[str]) -> Fault:
    """Return the fault of a metric that is not there. Metrics of a part, as of a step ahead, may be hundreds."""
    parts = [name for name in names if any(name.startswith(f"{other}/") for other in names)]
    whole = [name for name in names if name not in parts]
    near = nearest(metric, names) or nearest(metric.lower(), names) or nearest(f"val/{metric.lower()}", names)
    return fault("unknown-metric", at, metric=metric, near=near, allowed=whole, part=parts[0] if parts else None)


def _confirm_rules(search: SearchConfig, data: Data | None) -> Iterator[Fault]:
    """Yield the faults of a confirmation on windows that are not there, or of more settings than there are trials."""
    confirm = search.confirm
    if confirm is None:
        return
    if confirm.windows == "fresh" and data is not None and not data.fresh_windows:
        able = "backtest" in type(data).model_fields
        yield fault("no-fresh-windows", "search.confirm.windows", able=able or None)
    if "top" in confirm.model_fields_set and confirm.top > search.n_trials:
        told = {"top": confirm.top, "trials": search.n_trials}
        yield fault("confirm-more-than-trials", "search.confirm.top", idle=True, **told)


def direction_of(task: Any, metric: str) -> Direction | None:
    """Return in which direction a task's metric is better; None if the task has no such metric."""
    known = named(task)
    name = metric.removeprefix("val/").partition("/")[0]  # a column's name may follow
    return next((each.direction for each in known.metrics if each.name == name), None) if known else None


def _pruner_rules(search: SearchConfig, training: TrainingConfig) -> Iterator[Fault]:
    """Yield a fault for a pruner that does nothing: its first decision is at the last epoch or later."""
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
        # Earlier versions took the patient pruner to decide two epochs earlier.
        idle = isinstance(pruner, PatientPruner) and max(pruner.patience, 1) < epochs
        yield fault("pruner-never-acts", f"search.pruner.{name}", idle=idle, first=first, epochs=epochs)
    if isinstance(pruner, MedianPruner) and "n_startup_trials" in pruner.model_fields_set:
        yield from _startup_rule("pruner", pruner.n_startup_trials, search.n_trials)


def _sampler_rules(search: SearchConfig) -> Iterator[Fault]:
    sampler = search.sampler
    conditional = [path for path, dimension in search.space.items() if dimension.when]
    if conditional and sampler.type in ("gp", "grid"):
        yield fault("sampler-with-conditions", "search.sampler.type", sampler=sampler.type, field=conditional[0])
    if isinstance(sampler, TpeSampler | GpSampler) and "n_startup_trials" in sampler.model_fields_set:
        yield from _startup_rule("sampler", sampler.n_startup_trials, search.n_trials)
    if isinstance(sampler, GridSampler):
        yield from _grid_rules(search)


def _startup_rule(who: str, n_startup_trials: int, n_trials: int) -> Iterator[Fault]:
    if n_startup_trials >= n_trials:
        at, other = f"search.{who}.n_startup_trials", "random" if who == "sampler" else "none"
        named = {"startup": n_startup_trials, "trials": n_trials, "who": who, "other": other}
        yield fault("startup-never-ends", at, idle=True, **named)


def _grid_rules(search: SearchConfig) -> Iterator[Fault]:
    sizes = {path: _size(dimension) for path, dimension in search.space.items()}
    for path in (path for path, size in sizes.items() if size is None):
        is_log = getattr(search.space[path], "log", False)
        yield fault("grid-of-a-range", f"search.space.{path}", instead_of="log" if is_log else None)
    if (size := grid_size(search)) is None:
        return
    if size > MAX_GRID:
        yield fault("grid-too-large", "search.space", size=size, most=MAX_GRID)
    elif search.n_trials > size:
        yield fault("more-trials-than-grid", "search.n_trials", trials=search.n_trials, size=size)


def grid_size(search: SearchConfig) -> int | None:
    """Return the number of combinations in the space; None if a dimension is continuous or logarithmic."""
    sizes = [_size(dimension) for dimension in search.space.values()]
    known = [size for size in sizes if size is not None and size >= 1]
    return math.prod(known) if len(known) == len(sizes) else None


def _size(dimension: AnyDimension) -> int | None:
    """Return the number of values of a dimension; None if it is continuous or logarithmic.

    The values are counted without a list of them: a seed has 2 billion.
    """
    if isinstance(dimension, CategoricalDimension):
        return len(dimension.choices)
    if dimension.log or (dimension.step is None and not isinstance(dimension, IntDimension)):
        return None
    steps = (dimension.high - dimension.low) / (dimension.step or 1)
    return math.floor(min(steps, 1e18) + 1e-9) + 1

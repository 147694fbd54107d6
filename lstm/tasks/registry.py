"""The tasks by name, and uses of the best epoch's network for any task.

A new task needs a class with a line here, a section of the spec with a name and a line in `lstm/config/tasks.py`, data,
networks, the judging of its items, rivals, and drafts for files that it recognises. Only the default task is also named
elsewhere.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.section import Data, Location
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Before, Dataset, Facts, Part, Warm, Whole
from lstm.own_code import find, is_reference, latest
from lstm.records.epoch import Judged
from lstm.records.errors import Fault, fault, refused
from lstm.records.events import DIGITS, DataPart
from lstm.records.figures import Example, Predicted
from lstm.records.objective import RECORD, Direction, TaskRecord
from lstm.records.sweep import Sweep
from lstm.storage import objects
from lstm.tasks.base import Task
from lstm.tasks.classify import Classify
from lstm.tasks.drafts.draft import Recognition
from lstm.tasks.forecast import Forecast
from lstm.tasks.language_model import LanguageModel
from lstm.tasks.memory import Memory
from lstm.tasks.translate import Translate
from lstm.tasks.video import Video

if TYPE_CHECKING:
    from torch import nn

    from lstm.checkpoint import Checkpoint
    from lstm.data.profile.files import GivenFile
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Judgement
    from lstm.rivals.rival import Fitted

TASKS: Mapping[str, Task[Any, Any]] = {
    "forecast": Forecast(),
    "memory": Memory(),
    "classify": Classify(),
    "language_model": LanguageModel(),
    "translate": Translate(),
    "video": Video(),
}

# MLflow's words for what data are used for.
CONTEXTS: Mapping[Part, str] = {"train": "training", "validation": "validation", "test": "test"}


def of(config: TrialConfig) -> Task[Any, Any]:
    """Return the task of a configuration.

    Raises:
        BadInput: the task is a user's own, and its file was not executed in this process.
    """
    return own(config.task, config.code) if is_reference(config.task) else TASKS[config.task]


def own(reference: str, code: Mapping[str, str]) -> Task[Any, Any]:
    """Return a user's own task.

    Raises:
        BadInput: the task's file was not executed in this process, or the class is not a complete task.
    """
    made = find(reference, code)
    if not issubclass(made, Task):
        raise refused("task-of-another-class", "task", at=reference)
    lacking = sorted(getattr(made, "__abstractmethods__", ()))
    if lacking := lacking or [name for name in ("section", "metrics") if not hasattr(made, name)]:
        raise refused("task-lacks", "task", at=reference, names=lacking)
    if not issubclass(made.section, Data):
        raise refused("task-section-of-another-class", "task", at=reference)
    return made()


def named(task: object) -> Task[Any, Any] | None:
    """Return the task that a spec names while it is read. None: there is no such task, or its file was not executed."""
    if not is_reference(task):
        return TASKS.get(str(task or "forecast"))
    made = latest(str(task))
    return made() if made is not None and issubclass(made, Task) else None


def recognising(files: "Sequence[GivenFile]") -> dict[str, Recognition]:
    """Return what each built-in task recognises in files, by the task's name."""
    return {name: task.recognise(files) for name, task in TASKS.items()}


def direction_of(config: TrialConfig, metric: str) -> Direction:
    """Return in which direction a metric of a configuration's task is better; the metric is named without val/."""
    return next(each.direction for each in of(config).metrics_of(config.data) if each.name == metric)


def record_of(config: TrialConfig) -> TaskRecord:
    """Return what a study keeps of a configuration's task."""
    return of(config).record(config.data)


def record_in(sweep: Sweep) -> TaskRecord:
    """Return what a sweep's study has kept of its task. A sweep of an earlier version has a built-in task."""
    if row := sweep.facts.get(RECORD):
        return TaskRecord.of_row(row)
    tree = sweep.facts.get("base") or (sweep.best.config if sweep.best else {})
    return record_of(TrialConfig.model_validate(tree)) if tree else TaskRecord((), "", "", {})


def of_other_unit(one: TrialConfig, other: TrialConfig) -> tuple[str, ...]:
    """Return the metrics that mean another thing in one configuration of a task than in the other."""
    fields = [path.removeprefix("data.") for path in one.data.changes_unit if path.startswith("data.")]
    if all(getattr(one.data, name) == getattr(other.data, name) for name in fields):
        return ()
    return tuple(metric.name for metric in of(one).metrics if metric.name not in one.data.same_for_all)


def unfit(config: TrialConfig, data: Dataset) -> Iterator[Fault]:
    """Yield the faults of a configuration that can't be seen without its data, or without a feed of a user's task."""
    task = of(config)
    faults = [*task.unfit(config, data)]
    yield from faults
    if faults or config.training.method != "evolution" or not is_reference(config.task):
        return
    if not hasattr(task.feed(as_read(config, data), config, "cpu"), "measure"):
        yield fault("task-without-measure", "training.method", task=config.task)


def load(config: TrialConfig, location: Location, reach: int | None = None) -> Dataset:
    """Read or generate the data of a configuration. All trials share the arrays and never write to them.

    `reach` is the largest look-back of all configurations that will be compared; by default this configuration's own.

    Raises:
        BadInput: a file is wrong, or too small for the configuration.
    """
    with _here(location) as there:
        data: Dataset = of(config).load(config, there, reach or config.data.reach)
    return data


def load_all(config: TrialConfig, location: Location, reach: int, before: Before, until: str | None = None) -> Whole:
    """Read all data of a configuration as the training part, for a refit; see `Task.load_all`.

    Raises:
        BadInput: the task has no refit, the data have changed, or `until` does not fit them.
    """
    with _here(location) as there:
        return of(config).load_all(config, there, reach, before, until)


def load_warm(
    config: TrialConfig,
    location: Location,
    reach: int,
    before: Before,
    until: str | None,
    found: "Checkpoint",
    window: int = 1,
) -> Warm:
    """Read all data of a configuration for a refit that may go on from a checkpoint; see `Task.load_warm`.

    Raises:
        BadInput: what `load_all` raises, the task's data have no order in time, or too few of them are newer.
    """
    task = of(config)
    with _here(location) as there:
        return task.load_warm(config, there, reach, before, until, task.facts_of(found.facts), window)


@contextmanager
def _here(location: Location) -> Iterator[Location]:
    """Yield a location with the path of a local copy in place of each address of an object."""
    given = {name: path for name, path in location if path is not None}
    with objects.local(given.values()) as there:
        yield location.model_copy(update={name: there.get(path, path) for name, path in given.items()})


def judge_held(checkpoint: "Checkpoint", data: Dataset, as_in: Dataset) -> float:
    """Return the metric of a refit's network on the rows that its training held back; see `Task.judge_held`."""
    return of(checkpoint.config).judge_held(best_network(checkpoint), data, checkpoint.config, as_in)


def judge(checkpoint: "Checkpoint", data: Dataset) -> dict[str, float]:
    """Return the test metrics of the best epoch (`test/...`) and of the baseline on the test part (`baseline/...`).

    Raises:
        BadInput: the checkpoint has no weights.
    """
    task, config = of(checkpoint.config), checkpoint.config
    data = before_test(config, data)
    found = task.feed(data, config, "cpu").evaluate(best_network(checkpoint), "test")
    naive = task.baseline_metrics(data, config, "test")
    return {f"test/{k}": v for k, v in found.items()} | {f"baseline/{k}": v for k, v in naive.items()}


def judge_items(checkpoint: "Checkpoint", data: Dataset, part: Judged, name: str) -> "Judgement":
    """Judge the best epoch's network on a part item by item, under a name."""
    config = checkpoint.config
    data = before_test(config, data) if part == "test" else as_read(config, data)
    return of(config).judge(best_network(checkpoint), data, config, part, name)


def before_test(config: TrialConfig, data: Dataset) -> Dataset:
    """Return the data as the training before the test part has them; the data themselves without a backtest."""
    return at_window(config, data, config.windows.count + 1)


def facts_row(config: TrialConfig, data: Dataset, window: int) -> dict[str, Any]:
    """Return what a checkpoint keeps of the data, by the window that its best weights are of."""
    return of(config).facts_row(at_window(config, data, window))


def windows_of(config: TrialConfig, data: Dataset) -> list[Dataset]:
    """Return the data as each window has them that a configuration is judged on; [] without a backtest."""
    count = config.windows.count
    return [at_window(config, data, window) for window in range(1, count + 1)] if count > 1 else []


def data_parts(config: TrialConfig, data: Dataset, place: str) -> list[DataPart]:
    """Return the parts of the data of a sweep, as MLflow shows them; `place` is that of the file, "" without one."""
    task, found = of(config), list[DataPart]()
    sizes, section = task.part_sizes(data, config), config.data.model_dump(mode="json")
    # Parts of one size may be others: elsewhere in the file, or drawn from another seed.
    dealt = [data.fingerprint, dict(sizes), *(section.get(name) for name in ("split", "backtest"))]
    for part, count in sizes.items():
        said = hashlib.sha256(json.dumps([part, *dealt], sort_keys=True).encode()).hexdigest()
        name = place.rpartition("/")[2] or config.task
        unit, columns = task.part_unit(config.data), dict(task.column_types(config.data))
        found.append(DataPart(CONTEXTS[part], name, said[:DIGITS], count, unit, columns, place))
    return found


def at_window(config: TrialConfig, data: Dataset, window: int) -> Dataset:
    """Return the data as a window of a trial's own windows has them, from 1.

    A trial of confirm may be judged on the windows that are set aside. The window after the last one is the training
    before the test part.
    """
    section = config.data
    number = window + (section.judged_windows if config.judged_on == "fresh" else 0)
    if window > config.windows.count:
        number = section.judged_windows + section.fresh_windows + 1
    return as_read(config, of(config).at_window(data, number))


def as_read(config: TrialConfig, data: Dataset) -> Dataset:
    """Return the data as a configuration reads them; see `Task.as_read`."""
    found: Dataset = of(config).as_read(data, config)
    return found


def examples(checkpoint: "Checkpoint", data: Dataset) -> Sequence[Example]:
    """Return the answers of the best epoch's network to a few test sequences."""
    config = checkpoint.config
    return of(config).examples(best_network(checkpoint), before_test(config, data), config)


def subject(checkpoint: "Checkpoint", data: Dataset) -> "Subject":
    """Return the best epoch's network in the form that probes measure."""
    config = checkpoint.config
    window = config.windows.of_weights(checkpoint.state.history[-1])
    return of(config).subject(best_network(checkpoint), at_window(config, data, window), config)


def predict(
    checkpoint: "Checkpoint", path: str | None, folder: Path, *others: "Checkpoint", **options: Any
) -> Predicted:
    """Return the best epoch's prediction for a file, or without one for the task's own data.

    With other checkpoints, of the same setting and data from other seeds, it is that of all together, by their mean.

    Raises:
        BadInput: the file is wrong, or an option belongs to another task.
    """
    task = of(checkpoint.config)
    if idle := [name for name in options if name not in task.options]:
        raise refused("flag-of-another-task", at=f"--{idle[0]}", task=checkpoint.config.task)
    network, facts = best_network(checkpoint), task.facts_of(checkpoint.facts)
    with objects.local([path]) as there:
        path = there.get(path or "", path)
        if others:
            networks = [network, *map(best_network, others)]
            return task.predict_together(networks, checkpoint.config, facts, path, folder, **options)
        return task.predict(network, checkpoint.config, facts, path, folder, **options)


def predict_by_rival(fitted: "Fitted", config: TrialConfig, facts: Facts, path: str, folder: Path) -> Predicted:
    """Return a fitted rival's prediction for a file; see `Task.predict_by_rival`."""
    with objects.local([path]) as there:
        return of(config).predict_by_rival(fitted, config, facts, there.get(path, path), folder)


def best_network(checkpoint: "Checkpoint") -> "nn.Module":
    """Return the network with the best epoch's weights, in evaluation mode.

    Raises:
        BadInput: the checkpoint has no weights (no epoch was finite, or the weights were not kept).
    """
    if not checkpoint.state.best_weights:
        raise refused("checkpoint-without-weights", "storage.keep")
    task = of(checkpoint.config)
    network = task.network(checkpoint.config, task.facts_of(checkpoint.facts))
    network.load_state_dict(dict(checkpoint.state.best_weights))
    return network.eval()


def parameter_count(config: TrialConfig, data: Dataset) -> int:
    """Count the network's parameters without allocating them."""
    import torch

    task, data = of(config), as_read(config, data)
    with torch.device("meta"):
        return sum(p.numel() for p in task.network(config, task.facts(data)).parameters())


def unshared_parameter_count(config: TrialConfig, data: Dataset) -> int:
    """Count the parameters that the network would have if each step had its own recurrent weights."""
    import torch

    task, data = of(config), as_read(config, data)
    facts = task.facts(data)
    with torch.device("meta"):
        network = task.network(config, facts)
    repeats = task.repeats(config, facts).items()
    more = sum(p.numel() * (times - 1) for name, times in repeats for p in network.get_submodule(name).parameters())
    return sum(p.numel() for p in network.parameters()) + more

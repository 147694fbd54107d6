"""Metrics and objectives, comparisons of their values, and what a study keeps of a task: its metrics and words."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeVar

Scalar = bool | int | float | str | None
Direction = Literal["minimize", "maximize"]
T = TypeVar("T")
POINTS = 100.0  # a share of 1 is so many points
RECORD = "task"  # the study's fact with the record of its task


def sort_key(value: float | None, direction: Direction) -> float:
    """Return a key that sorts better values first; infinity for None or a value that is not finite."""
    if value is None or not math.isfinite(value):
        return math.inf
    return value if direction == "minimize" else -value


def is_better(value: float | None, than: float | None, direction: Direction) -> bool:
    """Return whether a value is better than another; any finite value is better than None or a value not finite."""
    return sort_key(value, direction) < sort_key(than, direction)


def best(among: Iterable[T], value: Callable[[T], float | None], direction: Direction) -> T | None:
    """Return the element with the best value, the first one of equals; None if no element has a finite value."""
    least = min(among, key=lambda each: sort_key(value(each), direction), default=None)
    return least if least is not None and math.isfinite(sort_key(value(least), direction)) else None


class Metric(NamedTuple):
    """A metric of a task."""

    name: str  # without the part of the data: "loss", "mae_original/load"
    direction: Direction = "minimize"
    unit: str = ""  # "nats", "%", or the data's own unit; "" if the metric has none
    about: str = ""  # a sentence that explains the metric
    # The metric of the same part by which a network is compared if this one is not known by item, or not of rivals.
    nearest: str = "loss"
    points: float = POINTS  # for a metric to maximize: how many points a value of 1 is; 1 for a scale from 0 to 100

    @property
    def scale(self) -> tuple[Direction, float]:
        """Which way is better, and how many points a value of 1 is."""
        return self.direction, self.points


def whole(names: Sequence[str]) -> list[str]:
    """Return the names of metrics without those of a part of another one, such as `mse/step_3` beside `mse`."""
    return [name for name in names if name.rpartition("/")[0] not in names]


class Objective(NamedTuple):
    """A figure that a sweep optimizes, and its direction."""

    metric: str
    direction: Direction

    def figure(self, numbers: Mapping[str, float]) -> float | None:
        """Return the objective's figure among a probe's numbers; None if the probe has no such number."""
        return numbers.get(self.metric.removeprefix("probe/"))


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as a study keeps it, so that a sweep can be shown without the user's own files."""

    metrics: tuple[Metric, ...]  # the loss first
    baseline: str  # the name of the baseline that every result is compared with; "" if there is none
    baseline_note: str  # a sentence that explains the baseline
    rivals: Mapping[str, str]  # by the rival's name, a sentence that explains the rival

    def metric(self, name: str) -> Metric:
        """Return the metric of a name without its part; if the task has none, an error of that name to minimize."""
        return next((each for each in self.metrics if each.name == name), Metric(name))

    def row(self) -> dict[str, Any]:
        """Return the record as plain JSON."""
        usual = ("points", POINTS)  # earlier versions do not know the field
        rows = [dict(item for item in each._asdict().items() if item != usual) for each in self.metrics]
        return {**asdict(self), "metrics": rows}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "TaskRecord":
        """Return the record from what `row` returned."""
        return cls(
            tuple(Metric(**each) for each in row["metrics"]),
            str(row["baseline"]),
            str(row["baseline_note"]),
            dict(row["rivals"]),
        )


def points_of(facts: Mapping[str, Any], metric: str) -> float:
    """Return how many points a value of 1 of a metric is, with its part or without, by a study's facts."""
    name = metric.removeprefix("val/")
    return TaskRecord.of_row(facts[RECORD]).metric(name).points if RECORD in facts else POINTS

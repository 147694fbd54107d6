"""The record of a task that can be read without the task's code: its metrics and the words for its results."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lstm.records.objective import Metric

RECORD = "task"  # the study's fact with the record


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
        return {**asdict(self), "metrics": [each._asdict() for each in self.metrics]}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "TaskRecord":
        """Return the record from what `row` returned."""
        return cls(
            tuple(Metric(**each) for each in row["metrics"]),
            str(row["baseline"]),
            str(row["baseline_note"]),
            dict(row["rivals"]),
        )

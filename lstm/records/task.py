"""What is known of a task without its code: its metrics, and the words in which its results are told."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lstm.records.objective import Metric

RECORD = "task"  # a fact of a study


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as a study keeps it, so that whoever looks at a sweep needs no file of its user."""

    metrics: tuple[Metric, ...]  # the loss first
    baseline: str  # what every result is held against, in words; "" where there is none
    baseline_note: str  # and what that is, in a sentence
    rivals: Mapping[str, str]  # by name, what each is, in a sentence

    def metric(self, name: str) -> Metric:
        """A metric, named without its part; an error where the task does not name it."""
        return next((each for each in self.metrics if each.name == name), Metric(name))

    def row(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {**asdict(self), "metrics": [each._asdict() for each in self.metrics]}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "TaskRecord":
        """What `row` gave."""
        return cls(
            tuple(Metric(**each) for each in row["metrics"]),
            str(row["baseline"]),
            str(row["baseline_note"]),
            dict(row["rivals"]),
        )

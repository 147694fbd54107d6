"""The results of the Python API, but for a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.operations import frames
from experiments.operations.summary import Best
from lstm.messages.message import Message
from lstm.records.objective import Direction

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Plan:
    """What `run` would do. A pair of values is of the smallest and the largest trial."""

    name: str
    task: str
    trials: int
    max_epochs: int
    metric: str
    direction: Direction
    windows: Mapping[str, int]  # the size of each part of the data, in windows, sequences or characters
    parameters: tuple[int, int]
    memory_mb: tuple[float, float]  # of one trial, without the libraries
    sweep_s: tuple[float, float]  # training time if no trial stops early, least and most; measured on this machine
    slots: int  # trials at once on this machine
    device: str
    kept: Mapping[str, str]  # where study, checkpoints and MLflow's runs are
    warnings: tuple[Message, ...]
    document: Mapping[str, Any] = field(repr=False)  # the whole plan, as printed by `sweep plan --json`


@dataclass(frozen=True)
class Trained:
    """One training of a spec's own settings."""

    name: str
    metric: str
    best: Best | None  # None if no epoch had a finite value
    warnings: tuple[Message, ...]
    history: tuple[Mapping[str, float], ...] = field(repr=False)  # the number and the metrics of each epoch

    def curves(self) -> "DataFrame":
        """Return a table with a row for each epoch and a column for each metric."""
        return frames.of_history(self.history)

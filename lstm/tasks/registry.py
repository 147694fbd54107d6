"""The tasks that a spec may name, each a file of its own, and what is the same for all of them.

A new task is its file with a line in `TASKS`, its data with a line in `lstm/data/load.py`, and its section in a
file of `lstm/config/`, named in `lstm/config/tasks.py`: what other rooms say of a task stands in its section.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from lstm.checkpoint import Checkpoint
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset, Shape
from lstm.diagnostics.subject import Subject
from lstm.records.epoch import Judged
from lstm.records.errors import BadInput
from lstm.records.figures import Example, Passage
from lstm.tasks import classify, forecast, language_model, memory


class Feed(Protocol):
    """What the trainer takes of a task: batches, their loss, the judgement."""

    items: int  # sequences in a pass over the training part
    step_numbers: int  # numbers that a step of a sequence holds in memory beside the cell's: inputs and answers
    judged_steps: int  # steps that are judged at once

    def order(self, generator: np.random.Generator, /) -> Callable[[int], Any]:
        """The batches of a pass by their place in it; whatever is random about them comes from the generator.

        It is asked for at the start of each pass, and again at the start of each epoch, then for the pass under way.
        """
        ...

    def loss(self, network: nn.Module, batch: Any, /) -> tuple[Tensor, int]:
        """The loss of a batch, a mean, and over how many it was taken."""
        ...

    def judged(self, part: Judged, /) -> int:
        """Sequences that a part is judged on."""
        ...

    def evaluate(self, network: nn.Module, part: Judged, some: int | None = None, /) -> dict[str, float]:
        """The metrics of a network over a part, or over some of its sequences, named without the part; with `loss`."""
        ...


class Task(Protocol):
    """What each task's file has."""

    def build(self, config: TrialConfig, shape: Shape, /) -> nn.Module:
        """The network, its weights from torch's generator."""
        ...

    def span(self, config: TrialConfig, shape: Shape, /) -> int:
        """Steps that the network is unrolled over."""
        ...

    def Feed(self, data: Any, config: TrialConfig, device: str, /) -> Feed:  # noqa: N802 # a class
        """What the trainer takes."""
        ...

    def baseline(self, data: Any, config: TrialConfig, part: Judged, /) -> dict[str, float]:
        """The metrics of what anyone would do without a network."""
        ...

    def describe(self, data: Any, config: TrialConfig, /) -> dict[str, Any]:
        """`data` (with a `text` for people, and `notes`) and `windows` of each part, for `sweep plan`."""
        ...

    def examples(self, network: nn.Module, data: Any, config: TrialConfig, /) -> Sequence[Example]:
        """What the network makes of a few test sequences, for pictures."""
        ...

    def subject(self, network: nn.Module, data: Any, config: TrialConfig, /) -> Subject:
        """The network as probes ask it."""
        ...

    def predict(
        self, network: nn.Module, checkpoint: Checkpoint, path: str | None, folder: Path, /, **options: Any
    ) -> dict[str, list[Any]] | Passage:
        """What the network makes of a file, or of data that need none: columns, or a text."""
        ...


TASKS: dict[str, Task] = {
    "forecast": cast("Task", forecast),
    "memory": cast("Task", memory),
    "classify": cast("Task", classify),
    "language_model": cast("Task", language_model),
}


def of(config: TrialConfig) -> Task:
    """The task of a configuration."""
    return TASKS[config.task]


def judge(checkpoint: Checkpoint, data: Dataset) -> dict[str, float]:
    """Test metrics of the best epoch, `test/...`, and the baseline's on the same part, `baseline/...`."""
    task, config = of(checkpoint.config), checkpoint.config
    found = task.Feed(data, config, "cpu").evaluate(best_network(checkpoint), "test")
    naive = task.baseline(data, config, "test")
    return {f"test/{k}": v for k, v in found.items()} | {f"baseline/{k}": v for k, v in naive.items()}


def examples(checkpoint: Checkpoint, data: Dataset) -> Sequence[Example]:
    """What the best epoch makes of a few test sequences."""
    return of(checkpoint.config).examples(best_network(checkpoint), data, checkpoint.config)


def subject(checkpoint: Checkpoint, data: Dataset) -> Subject:
    """The best epoch's network as probes ask it."""
    return of(checkpoint.config).subject(best_network(checkpoint), data, checkpoint.config)


def predict(checkpoint: Checkpoint, path: str | None, folder: Path, **options: Any) -> dict[str, list[Any]] | Passage:
    """What the best epoch makes of a file, or of data that need none: columns, or a text.

    Raises:
        BadInput: the file is wrong, or an option is another task's.
    """
    task = of(checkpoint.config)
    if idle := [name for name in options if name not in getattr(task, "OPTIONS", ())]:
        raise BadInput(f"--{idle[0]}: would do nothing with the task {checkpoint.config.task}; leave it out")
    return task.predict(best_network(checkpoint), checkpoint, path, folder, **options)


def best_network(checkpoint: Checkpoint) -> nn.Module:
    """The network with the best epoch's weights.

    Raises:
        BadInput: the checkpoint holds no weights (no finite epoch, or they were not kept).
    """
    if not checkpoint.state.best_weights:
        raise BadInput("this trial's checkpoint holds no weights: storage.keep: best keeps the best trial's only")
    network = of(checkpoint.config).build(checkpoint.config, checkpoint.facts)
    network.load_state_dict(dict(checkpoint.state.best_weights))
    return network.eval()


def parameter_count(config: TrialConfig, shape: Shape) -> int:
    """Trainable parameters, counted without allocating them."""
    with torch.device("meta"):
        return sum(p.numel() for p in of(config).build(config, shape).parameters())


def unshared_parameter_count(config: TrialConfig, shape: Shape) -> int:
    """What the count would be had each step recurrent weights of its own; all else is the same."""
    task = of(config)
    with torch.device("meta"):
        recurrent = sum(p.numel() for p in task.build(config, shape).get_submodule("cell").parameters())
    return parameter_count(config, shape) + recurrent * (task.span(config, shape) - 1)

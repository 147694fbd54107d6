"""The interface between a probe and a trained network, which any task can provide."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


def _no_gates(_: Tensor) -> Mapping[str, Tensor]:
    return {}


@dataclass(frozen=True)
class Subject:
    """A trained network under measurement, in evaluation mode, on the CPU.

    Inputs are scaled columns, or embeddings if the data are symbols. No call may change the network. Equal inputs must
    give equal answers, and all answers must be finite.
    """

    respond: Callable[[Tensor], Tensor]
    """Returns the final answer `(batch, output)` to inputs `(batch, time, column)` of any length from 1. If autograd
    can follow it, the memory that training needs is measured as well."""
    loss: Callable[[Tensor], float]
    """Returns the mean loss, at least 0, over all `windows` with their true targets but these inputs."""
    windows: Tensor  # typical inputs (count, time, column): a few dozen windows of the validation part
    columns: tuple[str, ...]  # names of the inputs, targets first
    outputs: tuple[str, ...]  # names of the outputs of `respond`
    trace: Callable[[Tensor], Mapping[str, Tensor]] = _no_gates
    """Returns gates and states by name, such as `forget_gate`, each `(layer, batch, time, hidden)`; may be empty."""
    roll: Callable[[Tensor, int], Tensor] | None = None
    """Feeds the network with its own forecasts for n steps after each window and returns them, `(batch, n, target)`.
    Target i is the input's column i. None if the task has no rollout."""
    unit: float | Tensor = 1.0  # a typical size of the inputs, for all or per column; 1 for scaled inputs

    def few(self, count: int) -> Tensor:
        """Return at most `count` windows, spread evenly over all: (window, time, column)."""
        chosen = torch.linspace(0, len(self.windows) - 1, min(count, len(self.windows))).round().long()
        return self.windows[chosen]

    @property
    def units(self) -> Tensor:
        """The typical size of each input: (column,)."""
        return torch.as_tensor(self.unit, dtype=self.windows.dtype).expand(self.windows.shape[2])

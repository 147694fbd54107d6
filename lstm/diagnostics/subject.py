"""What a probe must be able to ask of a network, and nothing else: any task can be such a subject."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


def _no_gates(_: Tensor) -> Mapping[str, Tensor]:
    return {}


@dataclass(frozen=True)
class Subject:
    """A trained network under measurement, in evaluation mode, on the CPU.

    Inputs are what the network computes with: scaled columns, or embeddings where the data are tokens.
    None of the calls may change the network; equal inputs must give equal answers, all of them finite.
    """

    respond: Callable[[Tensor], Tensor]
    """The final answer `(batch, output)` to inputs `(batch, time, column)` of any length from 1. Where autograd
    sees it, the memory that training needs is measured, too."""
    loss: Callable[[Tensor], float]
    """The mean loss, from 0 up, over all `windows` against their true targets, their inputs replaced by these."""
    windows: Tensor  # typical inputs (count, time, column): a few dozen windows of the validation part
    columns: tuple[str, ...]  # names of the inputs, targets first
    outputs: tuple[str, ...]  # names of what `respond` answers
    trace: Callable[[Tensor], Mapping[str, Tensor]] = _no_gates
    """Gates and states by name, each `(layer, batch, time, hidden)`, e.g. `forget_gate`; empty where there are none."""
    roll: Callable[[Tensor, int], Tensor] | None = None
    """Lets the network feed itself on its own forecasts for n steps after each window: `(batch, n, target)`,
    target i being the input's column i; None where the task can't."""
    unit: float | Tensor = 1.0  # a typical size of the inputs, for all or per column: 1 where they are scaled

    def few(self, count: int) -> Tensor:
        """Windows spread evenly over all, at most `count`."""
        chosen = torch.linspace(0, len(self.windows) - 1, min(count, len(self.windows))).round().long()
        return self.windows[chosen]

    @property
    def units(self) -> Tensor:
        """`unit` per column: (column,)."""
        return torch.as_tensor(self.unit, dtype=self.windows.dtype).expand(self.windows.shape[2])

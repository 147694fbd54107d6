"""Networks built by hand, whose properties are known in closed form."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lstm.diagnostics.subject import Subject

SURE = 30.0  # a gate's sum at which its sigmoid is 0 or 1 for float32


def noise(count: int = 12, time: int = 60, columns: int = 1) -> Tensor:
    """Windows of white noise."""
    return torch.randn(count, time, columns, generator=torch.Generator().manual_seed(5))


def subject(respond: Callable[[Tensor], Tensor], windows: Tensor | None = None, **more: Any) -> Subject:
    """A subject whose truth is its own answer, so that its loss is 0, unless `loss` says otherwise."""
    windows = noise() if windows is None else windows
    truth = respond(windows).detach()

    def loss(inputs: Tensor) -> float:
        return float((respond(inputs) - truth).square().mean())

    columns = tuple(f"x{i}" for i in range(windows.shape[2]))
    outputs = tuple(f"y{i}" for i in range(truth.shape[1]))
    return Subject(
        **{"respond": respond, "loss": loss, "windows": windows, "columns": columns, "outputs": outputs} | more
    )


def weighted(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """A linear filter: the sum of the inputs times the weight of their lag; weight 0 is the last input's."""

    def respond(inputs: Tensor) -> Tensor:
        length = min(inputs.shape[1], len(weights))
        return (inputs.flip(1)[:, :length] * weights[:length, None]).sum(dim=1)

    return respond


def identity(inputs: Tensor) -> Tensor:
    return inputs[:, -1]


def shift_register(steps: int) -> Callable[[Tensor], Tensor]:
    """Answers what came exactly so many steps ago."""
    weights = torch.zeros(steps + 1)
    weights[steps] = 1
    return weighted(weights)


def leaky(tau: float, length: int = 2000) -> Callable[[Tensor], Tensor]:
    """A leaky integrator: what came a time constant ago counts 1/e."""
    return weighted(torch.exp(-torch.arange(length) / tau))


def oscillator(period: float, tau: float = math.inf, length: int = 2000) -> Callable[[Tensor], Tensor]:
    """Two states turned by an angle at each step (a rotation matrix); the answer is the first one."""
    lags = torch.arange(length)
    return weighted(torch.cos(2 * math.pi * lags / period) * torch.exp(-lags / tau))


def rolled(step: Callable[[Tensor], Tensor]) -> Callable[[Tensor, int], Tensor]:
    """A rollout of a map from a window to its next step `(batch, target)`."""

    def roll(windows: Tensor, steps: int) -> Tensor:
        inputs = windows
        for _ in range(steps):
            inputs = torch.cat([inputs, step(inputs)[:, None]], dim=1)
        return inputs[:, windows.shape[1] :]

    return roll


class Cell:
    """A real nn.LSTM, one unit per column, set by hand: gates do not look at anything unless they are told to."""

    def __init__(self, columns: int = 1, *, keeps: float = 0.5, input_weight: float = 1.0, reads: bool = True) -> None:
        """Makes a cell that keeps the share `keeps` of its memory at each step.

        Args:
            columns: Columns, and so units.
            keeps: The forget gate's activation, whatever comes.
            input_weight: Of the input in the candidate, before its tanh.
            reads: Whether the input gate is open; else it is shut.
        """
        self.cell = nn.LSTM(columns, columns, batch_first=True)
        open_or_shut = SURE if reads else -SURE
        forget = math.log(keeps / (1 - keeps)) if 0 < keeps < 1 else math.copysign(SURE, keeps - 0.5)
        with torch.no_grad():
            for parameter in self.cell.parameters():
                parameter.zero_()
            candidate = self.cell.weight_ih_l0[2 * columns : 3 * columns]
            candidate.copy_(input_weight * torch.eye(columns))
            gates = torch.tensor([open_or_shut, forget, 0.0, SURE])
            self.cell.bias_ih_l0.copy_(gates.repeat_interleave(columns))

    def respond(self, inputs: Tensor) -> Tensor:
        """The hidden state after the last step."""
        states: Tensor = self.cell(inputs)[0]
        return states[:, -1]

    def trace(self, inputs: Tensor) -> Mapping[str, Tensor]:
        """The equations of nn.LSTM, gate by gate: (1, batch, time, hidden)."""
        weight_ih, weight_hh, bias_ih, bias_hh = (p.detach() for p in self.cell.parameters())
        batch, time, _ = inputs.shape
        hidden = cell = torch.zeros(batch, self.cell.hidden_size)
        names = ("input_gate", "forget_gate", "output_gate", "candidate", "cell", "hidden")
        found: dict[str, list[Tensor]] = {name: [] for name in names}
        for step in range(time):
            sums = inputs[:, step] @ weight_ih.T + bias_ih + hidden @ weight_hh.T + bias_hh
            i, f, g, o = sums.chunk(4, dim=1)
            i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
            cell = f * cell + i * g
            hidden = o * cell.tanh()
            for name, value in zip(names, (i, f, o, g, cell, hidden), strict=True):
                found[name].append(value)
        return {name: torch.stack(values, dim=1)[None] for name, values in found.items()}

    def subject(self, windows: Tensor | None = None, **more: Any) -> Subject:
        """As a subject."""
        windows = noise(columns=self.cell.input_size) if windows is None else windows
        return subject(self.respond, windows, **{"trace": self.trace} | more)

"""The networks: recurrent layers over the steps of a sequence, and a linear head."""

from typing import Protocol

import torch
from torch import Tensor, nn

from lstm.config import ModelConfig

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}
EVALUATION_BATCH = 512  # sequences at most
EVALUATION_CELLS = 2**24  # hidden states of a layer at most (64 MiB), or one sequence's
EPSILON = 1e-5  # below it a window counts as constant


class Forecaster(nn.Module):
    """Reads `(batch, lookback, column)` and forecasts `(batch, horizon, target)`, both scaled."""

    def __init__(
        self, model: ModelConfig, *, inputs: int, targets: int, futures: int, horizon: int, warmup: int
    ) -> None:
        super().__init__()
        self.model, self.targets, self.futures = model, targets, futures
        self.horizon, self.warmup = horizon, warmup
        self.cell = cell(model, inputs)
        self.head = nn.Linear(model.hidden_size, horizon * targets)
        if futures:
            # Weights shared over the steps: what is known ahead of a step acts on it alike at every step.
            self.ahead = nn.Sequential(
                nn.Linear(model.hidden_size + futures, model.hidden_size),
                nn.Tanh(),
                nn.Linear(model.hidden_size, targets),
            )

    def forward(self, past: Tensor, ahead: Tensor) -> Tensor:
        """Forecasts from the look-back `(batch, lookback, column)` and `(batch, horizon, future column)`."""
        target, others = past[..., : self.targets], past[..., self.targets :]
        mean = deviation = None
        if self.model.normalization == "window":
            mean = target.mean(dim=1, keepdim=True)
            deviation = target.std(dim=1, keepdim=True, correction=0) + EPSILON
            target = (target - mean) / deviation
        last = target[:, -1:]
        if self.model.residual == "last":
            target = target - last
        summary = unroll(self.cell, torch.cat([target, others], dim=-1), self.warmup)[:, -1]
        forecast: Tensor = self.head(summary).view(-1, self.horizon, self.targets)
        if self.futures:
            repeated = summary.unsqueeze(1).expand(-1, self.horizon, -1)
            forecast = forecast + self.ahead(torch.cat([repeated, ahead], dim=-1))
        if self.model.residual == "last":
            forecast = forecast + last
        if mean is not None and deviation is not None:
            forecast = forecast * deviation + mean
        return forecast


class Shape(Protocol):
    """What a network must know of its data: a `Series` has it, and so have a checkpoint's `Facts`."""

    @property
    def inputs(self) -> int:
        """Columns that the network sees in its look-back."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Columns that it forecasts."""
        ...

    @property
    def futures(self) -> int:
        """Columns that are known ahead."""
        ...


class SequenceNetwork(nn.Module):
    """Reads `(batch, time, input)`; answers once, `(batch, output)`, or at every step, `(batch, time, output)`.

    What is answered at every step starts after the warm-up.
    """

    def __init__(self, model: ModelConfig, *, inputs: int, outputs: int, every: bool, warmup: int) -> None:
        super().__init__()
        self.model, self.every, self.warmup = model, every, warmup
        self.cell = cell(model, inputs)
        self.head = nn.Linear(model.hidden_size, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs."""
        states = unroll(self.cell, inputs, self.warmup)
        outputs: Tensor = self.head(states if self.every else states[:, -1])
        return outputs


def cell(model: ModelConfig, inputs: int) -> nn.LSTM | nn.GRU:
    """The recurrent layers."""
    return CELLS[model.cell](
        inputs,
        model.hidden_size,
        model.num_layers,
        batch_first=True,
        # torch.nn applies dropout between layers only, and warns where there is one layer.
        dropout=model.dropout if model.num_layers > 1 else 0.0,
    )


def unroll(cell: nn.Module, inputs: Tensor, warmup: int) -> Tensor:
    """States `(batch, time - warmup, hidden)`: the first steps only build the state, no gradient goes through them."""
    state = None
    if warmup:
        with torch.no_grad():
            _, state = cell(inputs[:, :warmup])
    states: Tensor = cell(inputs[:, warmup:], state)[0]
    return states


def evaluation_batch(span: int, model: ModelConfig) -> int:
    """Sequences of a length that are judged at once, so that long ones and wide layers fit in memory."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_CELLS // (span * model.hidden_size)))

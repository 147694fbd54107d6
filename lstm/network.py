"""The forecasting network: a recurrent encoder of the look-back and a linear head over the horizon."""

from typing import Protocol

import torch
from torch import Tensor, nn

from lstm import cells
from lstm.config import ModelConfig, TrialConfig

EPSILON = 1e-5  # below it a window counts as constant


class Forecaster(nn.Module):
    """Reads `(batch, lookback, column)` and forecasts `(batch, horizon, target)`, both scaled."""

    def __init__(
        self, model: ModelConfig, *, inputs: int, targets: int, futures: int, lookback: int, horizon: int
    ) -> None:
        super().__init__()
        self.model, self.targets, self.futures, self.horizon = model, targets, futures, horizon
        self.cell = cells.build(model, inputs, lookback)
        width = (1 + model.bidirectional) * model.hidden_size
        self.head = nn.Linear(width, horizon * targets)
        if futures:
            # Weights shared over the steps: what is known ahead of a step acts on it alike at every step.
            self.ahead = nn.Sequential(
                nn.Linear(width + futures, model.hidden_size),
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
        summary = cells.summary(self.cell, torch.cat([target, others], dim=-1))
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


def build(config: TrialConfig, shape: Shape) -> Forecaster:
    """The network that a configuration describes; its weights come from torch's generator."""
    return Forecaster(
        config.model,
        inputs=shape.inputs,
        targets=len(shape.targets),
        futures=shape.futures,
        lookback=config.data.lookback,
        horizon=config.data.horizon,
    )


def parameter_count(config: TrialConfig, shape: Shape) -> int:
    """Trainable parameters, counted without allocating them."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(config, shape).parameters())


def unshared_parameter_count(config: TrialConfig, shape: Shape) -> int:
    """What the count would be had each step of the look-back recurrent weights of its own; the head is the same."""
    with torch.device("meta"):
        recurrent = sum(p.numel() for p in build(config, shape).cell.parameters())
    return parameter_count(config, shape) + recurrent * (config.data.lookback - 1)

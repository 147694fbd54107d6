"""The forecasting network: a recurrent encoder of the look-back and a linear head over the horizon."""

from typing import Protocol

import torch
from torch import Tensor, nn

from lstm.config import ModelConfig, TrialConfig

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}
EPSILON = 1e-5  # below it a window counts as constant


class Forecaster(nn.Module):
    """Reads `(batch, lookback, column)` and forecasts `(batch, horizon, target)`, both scaled."""

    def __init__(self, model: ModelConfig, *, inputs: int, targets: int, futures: int, horizon: int) -> None:
        super().__init__()
        self.model, self.targets, self.futures, self.horizon = model, targets, futures, horizon
        self.cell = CELLS[model.cell](
            inputs,
            model.hidden_size,
            model.num_layers,
            batch_first=True,
            # torch.nn applies dropout between layers only, and warns where there is one layer.
            dropout=model.dropout if model.num_layers > 1 else 0.0,
        )
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
        states, _ = self.cell(torch.cat([target, others], dim=-1))
        summary = states[:, -1]
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
        horizon=config.data.horizon,
    )


def parameter_count(config: TrialConfig, shape: Shape) -> int:
    """Trainable parameters, counted without allocating them."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(config, shape).parameters())

"""The networks: recurrent layers over the steps of a sequence, and a linear head."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lstm.config.model import ModelConfig
from lstm.nn import cells
from lstm.nn.own_cell import State

EVALUATION_BATCH = 512  # sequences at most
EVALUATION_CELLS = 2**24  # hidden states of a layer at most (64 MiB), or one sequence's
EPSILON = 1e-5  # below it a window counts as constant
LONGEST_MAP = 1024  # steps of a look-back that a linear map sees: those nearest to the forecast
PACE = 0.1  # of a map's weights, beside the network's: its inputs are nearly alike, so that small steps add up


class Forecaster(nn.Module):
    """Reads `(batch, lookback, column)` and forecasts `(batch, horizon, target)`, both scaled."""

    def __init__(
        self,
        model: ModelConfig,
        *,
        inputs: int,
        targets: int,
        futures: int,
        lookback: int,
        horizon: int,
        warmup: int = 0,
        code: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.targets, self.futures = model, targets, futures
        self.horizon, self.warmup = horizon, warmup
        self.cell = cells.build(model, inputs, lookback, code)
        width = (1 + model.bidirectional) * model.hidden_size
        self.head = nn.Linear(width, horizon * targets)
        if futures:
            # Weights shared over the steps: what is known ahead of a step acts on it alike at every step.
            self.ahead = nn.Sequential(
                nn.Linear(width + futures, model.hidden_size),
                nn.Tanh(),
                nn.Linear(model.hidden_size, targets),
            )
        if model.residual == "linear":
            self.linear = LinearMap(targets, lookback, horizon)
            # Of what the map leaves over nothing is forecast at first: training starts at the map's own error.
            for last in [self.head, *([self.ahead[-1]] if futures else [])]:
                for weights in last.parameters():
                    nn.init.zeros_(weights)

    def forward(self, past: Tensor, ahead: Tensor) -> Tensor:
        """Forecasts from the look-back `(batch, lookback, column)` and `(batch, horizon, future column)`."""
        inputs, last, mean, deviation = self.entered(past)
        inputs, state = warm_up(self.cell, inputs, self.warmup)
        summary = cells.summary(self.cell, inputs, state)
        forecast: Tensor = self.head(summary).view(-1, self.horizon, self.targets)
        if self.futures:
            repeated = summary.unsqueeze(1).expand(-1, self.horizon, -1)
            forecast = forecast + self.ahead(torch.cat([repeated, ahead], dim=-1))
        if self.model.residual == "linear":
            # In the data's own scale: that is where it was fitted.
            left_over = forecast if deviation is None else forecast * deviation
            mapped: Tensor = self.linear(past[..., : self.targets])
            return left_over + mapped
        if last is not None:
            forecast = forecast + last
        if mean is not None and deviation is not None:
            forecast = forecast * deviation + mean
        return forecast

    def entered(self, past: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """What enters the cell, and what it is relative to: the last value, the window's mean and deviation."""
        last = mean = deviation = None
        if self.model.residual == "none" and self.model.normalization != "window":
            return past, last, mean, deviation  # as it is, without a copy
        target, others = past[..., : self.targets], past[..., self.targets :]
        if self.model.normalization == "window":
            mean = target.mean(dim=1, keepdim=True)
            deviation = target.std(dim=1, keepdim=True, correction=0) + EPSILON
            target = (target - mean) / deviation
        if self.model.residual != "none":
            last = target[:, -1:]
            target = target - last
        return torch.cat([target, others], dim=-1), last, mean, deviation


class LinearMap(nn.Module):
    """Forecasts each target from the changes of its own look-back to the last value: the last value and what they add.

    Its weights are `fitted`, which `lstm.nn.highway` sets before the first epoch, and `change`, which is trained along.
    So weight decay draws it to what was fitted, not to nothing.
    """

    def __init__(self, targets: int, lookback: int, horizon: int) -> None:
        super().__init__()
        steps = min(lookback, LONGEST_MAP) - 1  # the last value's change is none
        self.fitted = nn.Buffer(torch.zeros(targets, steps, horizon))
        self.intercept = nn.Buffer(torch.zeros(horizon, targets))
        self.change = nn.Parameter(torch.zeros(targets, steps, horizon))

    def forward(self, past: Tensor) -> Tensor:
        """Forecasts `(batch, horizon, target)` from `(batch, time, target)`; of a short look-back what is there."""
        last = past[:, -1:]
        with torch.autocast(past.device.type, enabled=False):  # as the last value is
            count = min(past.shape[1] - 1, self.change.shape[1])
            weights = (self.fitted + PACE * self.change)[:, self.change.shape[1] - count :]
            steps = (past - last)[:, past.shape[1] - 1 - count : -1]
            moved = torch.einsum("bst,tsh->bht", steps, weights)
        return last + self.intercept + moved


class SequenceNetwork(nn.Module):
    """Reads `(batch, time, input)`; answers once, `(batch, output)`, or at every step, `(batch, time, output)`.

    What is answered at every step starts after the warm-up.
    """

    def __init__(
        self,
        model: ModelConfig,
        *,
        inputs: int,
        outputs: int,
        longest: int,
        every: bool,
        warmup: int = 0,
        code: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.every, self.warmup = model, every, warmup
        self.cell = cells.build(model, inputs, longest, code)
        self.head = nn.Linear((1 + model.bidirectional) * model.hidden_size, outputs)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The outputs; `lengths` `(batch,)` where sequences differ in length."""
        inputs, state = warm_up(self.cell, inputs, self.warmup)
        if self.every:
            states, _ = cells.run(self.cell, inputs, state)
        else:
            states = cells.summary(self.cell, inputs, state, lengths)
        outputs: Tensor = self.head(states)
        return outputs


def warm_up(cell: cells.Cell, inputs: Tensor, steps: int) -> tuple[Tensor, State | None]:
    """What is left of `(batch, time, input)` after the first steps, and the state that those built, no gradient."""
    if not steps:
        return inputs, None
    with torch.no_grad():
        _, state = cells.run(cell, inputs[:, :steps])
    return inputs[:, steps:], state


def noisy(inputs: Tensor, deviation: float) -> Tensor:
    """Inputs with Gaussian noise of a deviation, from torch's generator; as they are at 0."""
    return inputs + deviation * torch.randn_like(inputs) if deviation else inputs


def steps_at_once(span: int, model: ModelConfig, sequences: int) -> int:
    """Steps that are judged at once, of so many sequences of a length."""
    return span * min(evaluation_batch(span, model), sequences)


def evaluation_batch(span: int, model: ModelConfig) -> int:
    """Sequences of a length that are judged at once, so that long ones and wide layers fit in memory."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_CELLS // (span * model.hidden_size)))

"""The networks: recurrent layers over the steps of a sequence, followed by a linear head."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lstm.config.model import ModelConfig
from lstm.nn import cells
from lstm.nn.own_cell import State

EVALUATION_BATCH = 512  # most sequences that are judged at once
EVALUATION_CELLS = 2**24  # most hidden values of a layer at once (64 MiB), but at least one sequence
EPSILON = 1e-5  # is added to a window's deviation, which may be 0
LONGEST_MAP = 1024  # most steps of a look-back that a linear map reads, those nearest to the forecast
PACE = 0.1  # slows down the training of a map's weights: its inputs are so alike that small changes add up


class Forecaster(nn.Module):
    """A network that reads `(batch, lookback, column)` and forecasts `(batch, horizon, target)`, both scaled."""

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
            # The weights are shared over the steps: a covariate known in advance acts in the same way at every step.
            self.ahead = nn.Sequential(
                nn.Linear(width + futures, model.hidden_size),
                nn.Tanh(),
                nn.Linear(model.hidden_size, targets),
            )
        if model.residual == "linear":
            self.linear = LinearMap(targets, lookback, horizon)
            # The heads start at 0, so training starts with the error of the map alone.
            for last in [self.head, *([self.ahead[-1]] if futures else [])]:
                for weights in last.parameters():
                    nn.init.zeros_(weights)

    def forward(self, past: Tensor, ahead: Tensor) -> Tensor:
        """Forecast `(batch, horizon, target)` from `past` and `ahead`.

        Args:
            past: The look-back, `(batch, lookback, column)`.
            ahead: The columns known in advance, `(batch, horizon, future column)`.
        """
        inputs, last, mean, deviation = self.entered(past)
        inputs, state = warm_up(self.cell, inputs, self.warmup)
        summary = cells.summary(self.cell, inputs, state)
        forecast: Tensor = self.head(summary).view(-1, self.horizon, self.targets)
        if self.futures:
            repeated = summary.unsqueeze(1).expand(-1, self.horizon, -1)
            forecast = forecast + self.ahead(torch.cat([repeated, ahead], dim=-1))
        if self.model.residual == "linear":
            # The map was fitted on the scaled data, so the sum is taken there and not in the window's normalised scale.
            left_over = forecast if deviation is None else forecast * deviation
            mapped: Tensor = self.linear(past[..., : self.targets])
            return left_over + mapped
        if last is not None:
            forecast = forecast + last
        if mean is not None and deviation is not None:
            forecast = forecast * deviation + mean
        return forecast

    def entered(self, past: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """Return the cell's inputs, and the last value, mean and deviation of the target that they are relative to.

        Shapes: inputs `(batch, time, column)`, the others `(batch, 1, target)`; None for what is not used.
        """
        last = mean = deviation = None
        if self.model.residual == "none" and self.model.normalization != "window":
            return past, last, mean, deviation  # unchanged, without a copy
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
    """A linear map that forecasts each target from its own look-back.

    The forecast is the last value plus a linear function of the differences between the look-back's other values and
    the last one. The weights are the sum of `fitted`, which `lstm.nn.highway` sets before the first epoch, and `PACE`
    times `change`, which is trained. Weight decay therefore pulls the map towards what was fitted, not towards 0.
    """

    def __init__(self, targets: int, lookback: int, horizon: int) -> None:
        super().__init__()
        steps = min(lookback, LONGEST_MAP) - 1  # without the last value: its difference from itself is 0
        self.fitted = nn.Buffer(torch.zeros(targets, steps, horizon))
        self.intercept = nn.Buffer(torch.zeros(horizon, targets))
        self.change = nn.Parameter(torch.zeros(targets, steps, horizon))

    def forward(self, past: Tensor) -> Tensor:
        """Forecast `(batch, horizon, target)` from `(batch, time, target)`; fewer steps than the look-back will do."""
        last = past[:, -1:]
        with torch.autocast(past.device.type, enabled=False):  # in float32, like the last value
            count = min(past.shape[1] - 1, self.change.shape[1])
            weights = (self.fitted + PACE * self.change)[:, self.change.shape[1] - count :]
            steps = (past - last)[:, past.shape[1] - 1 - count : -1]
            moved = torch.einsum("bst,tsh->bht", steps, weights)
        return last + self.intercept + moved


class SequenceNetwork(nn.Module):
    """A network that reads `(batch, time, input)` and answers once, `(batch, output)`, or at every step.

    Answers at every step are `(batch, time - warmup, output)`: the steps of the warm-up have none.
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
        """Return the outputs for `inputs` `(batch, time, input)`.

        `lengths` `(batch,)` are the valid steps if sequences differ in length; they are used for single answers only.
        """
        inputs, state = warm_up(self.cell, inputs, self.warmup)
        if self.every:
            states, _ = cells.run(self.cell, inputs, state)
        else:
            states = cells.summary(self.cell, inputs, state, lengths)
        outputs: Tensor = self.head(states)
        return outputs


def warm_up(cell: cells.Cell, inputs: Tensor, steps: int) -> tuple[Tensor, State | None]:
    """Return `(batch, time, input)` without its first steps, and the state after these steps, without a gradient."""
    if not steps:
        return inputs, None
    with torch.no_grad():
        _, state = cells.run(cell, inputs[:, :steps])
    return inputs[:, steps:], state


def noisy(inputs: Tensor, deviation: float) -> Tensor:
    """Return inputs with Gaussian noise of a standard deviation, from torch's generator; unchanged if it is 0."""
    return inputs + deviation * torch.randn_like(inputs) if deviation else inputs


def steps_at_once(span: int, model: ModelConfig, sequences: int) -> int:
    """Return the number of steps that are judged at once, for `sequences` sequences of `span` steps each."""
    return span * min(evaluation_batch(span, model), sequences)


def evaluation_batch(span: int, model: ModelConfig) -> int:
    """Return how many sequences of `span` steps are judged at once: fewer if they are long or the layers wide."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_CELLS // (span * model.hidden_size)))

"""Networks that read frames and forecast the next ones: an encoding half, and a forecasting half from its last state.

The forecasting half gets no input (Srivastava et al., 2015: unconditional; Shi et al., 2015, figure 3). Each of its
layers begins with the last state of the encoding half's layer.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lstm.config.video import VideoModel
from lstm.nn import cells
from lstm.nn.convlstm import CHANNELS, ConvLstm

Sides = tuple[int, int, int]  # channels, height and width of a frame


class FrameForecaster(nn.Module):
    """The base of both networks. `cell` is the encoding half, `forecaster` the forecasting half."""

    def __init__(self, model: VideoModel, horizon: int) -> None:
        super().__init__()
        self.model, self.horizon = model, horizon

    def logits(self, past: Tensor) -> Tensor:
        """Return the forecast before the output's function, `(batch, horizon, channel, height, width)`."""
        raise NotImplementedError

    def forward(self, past: Tensor) -> Tensor:
        """Forecast frames `(batch, horizon, channel, height, width)` from `(batch, time, channel, height, width)`."""
        return self.output(self.logits(past))

    def output(self, logits: Tensor) -> Tensor:
        """Apply the output's function."""
        return logits if self.model.output == "linear" else torch.sigmoid(logits)

    @torch.no_grad()
    def begin_at(self, brightness: float) -> None:
        """Set the head's bias so that the forecasts of small states are of this brightness, from 0 to 1."""
        head = self.get_submodule("head")
        value = torch.as_tensor(brightness)
        bias = head.get_parameter("bias")
        bias.fill_(value if self.model.output == "linear" else torch.logit(value, eps=1e-4))


class Convolutional(FrameForecaster):
    """Two stacks of ConvLSTM layers, and a 1 x 1 convolution of the forecasting half's hidden states of all layers."""

    def __init__(self, model: VideoModel, frame: Sides, lookback: int, horizon: int) -> None:
        super().__init__(model, horizon)
        channels, height, width = frame
        self.patch = model.patch or 1
        places, inside = (height // self.patch, width // self.patch), channels * self.patch**2
        self.cell = ConvLstm(model, inside, places, lookback)
        self.forecaster = ConvLstm(model, 0, places, horizon)
        self.head = nn.Conv2d(model.num_layers * (model.channels or CHANNELS), inside, 1)

    def logits(self, past: Tensor) -> Tensor:
        """Return the forecast before the output's function."""
        patches = nn.functional.pixel_unshuffle(past, self.patch)
        _, state = self.cell(patches, None, past.shape[1], len(past))
        states, _ = self.forecaster(None, state, self.horizon, len(past))
        made: Tensor = self.head(torch.cat(states, dim=2).flatten(0, 1)).unflatten(0, (len(past), self.horizon))
        return nn.functional.pixel_shuffle(made, self.patch)


class Flat(FrameForecaster):
    """Two fully connected recurrent stacks over flattened frames, and a linear head."""

    def __init__(
        self, model: VideoModel, frame: Sides, lookback: int, horizon: int, code: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(model, horizon)
        self.frame = frame
        pixels = frame[0] * frame[1] * frame[2]
        self.cell = cells.build(model, pixels, lookback, code)
        self.forecaster = cells.build(model, 1, horizon, code)  # a cell needs an input: it is always 0
        self.head = nn.Linear(model.hidden_size, pixels)

    def logits(self, past: Tensor) -> Tensor:
        """Return the forecast before the output's function."""
        _, state = cells.run(self.cell, past.flatten(2))
        states, _ = cells.run(self.forecaster, past.new_zeros(len(past), self.horizon, 1), state)
        made: Tensor = self.head(states)
        return made.reshape(len(past), self.horizon, *self.frame)


def build(
    model: VideoModel, frame: Sides, lookback: int, horizon: int, code: Mapping[str, str] | None = None
) -> FrameForecaster:
    """Build the network that a configuration describes; its weights are drawn from torch's global generator."""
    if model.is_convolutional:
        return Convolutional(model, frame, lookback, horizon)
    return Flat(model, frame, lookback, horizon, code)


def numbers_of_state(model: VideoModel, frame: Sides) -> int:
    """Return the numbers of one layer's hidden state."""
    if not model.is_convolutional:
        return model.hidden_size
    return (model.channels or CHANNELS) * (frame[1] // (model.patch or 1)) * (frame[2] // (model.patch or 1))

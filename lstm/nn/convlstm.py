"""The convolutional LSTM (Shi et al., 2015: Convolutional LSTM Network, equation 3), in layers.

At each step, with `*` a convolution and `o` a product of each place:

    i = sigmoid(W_xi * x + W_hi * h + w_ci o c + b_i)
    f = sigmoid(W_xf * x + W_hf * h + w_cf o c + b_f)
    c' = f o c + i o tanh(W_xc * x + W_hc * h + b_c)
    o = sigmoid(W_xo * x + W_ho * h + w_co o c' + b_o)
    h' = o o tanh(c')

`w_c` are the peepholes, a weight for each channel and place; without them these terms are left out.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lstm.config.model import ForgetBias
from lstm.config.video import VideoModel

CHANNELS, KERNEL = 16, 5  # if the spec does not say them
BLOCKS = ("input_gate", "forget_gate", "candidate", "output_gate")  # in the order of the kernels
State = list[tuple[Tensor, Tensor]]  # of each layer: hidden state and memory cell, (batch, channel, height, width)


class ConvLstmLayer(nn.Module):
    """One layer.

    Args:
        inputs: Channels of the input; 0 if the layer gets none and only goes on from a state.
        channels: Channels of the hidden state and of the memory cell.
        kernel: Height and width of the kernels, an odd number: the frames keep their size.
        sides: Height and width of the frames.
        peepholes: Whether the gates see the memory cell. Their weights begin at 0.
    """

    def __init__(self, inputs: int, channels: int, kernel: int, sides: tuple[int, int], *, peepholes: bool) -> None:
        super().__init__()
        self.channels, self.sides = channels, sides
        blocks = len(BLOCKS) * channels
        self.of_input = nn.Conv2d(inputs, blocks, kernel, padding="same", bias=False) if inputs else None
        self.of_hidden = nn.Conv2d(channels, blocks, kernel, padding="same", bias=False)
        self.bias = nn.Parameter(torch.empty(blocks).uniform_(-1, 1) / (kernel * channels**0.5))
        self.peepholes = nn.Parameter(torch.zeros(3, channels, *sides)) if peepholes else None  # of i, f and o

    def forward(
        self, x: Tensor | None, state: tuple[Tensor, Tensor], steps: int
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over `steps` steps of `x`, `(batch, time, channel, height, width)`, or without an input.

        Returns:
            The hidden states, `(batch, time, channel, height, width)`, and the state after the last step.
        """
        hidden, cell = state
        bias = self.bias.view(-1, 1, 1)
        parts: list[Tensor | None] = [None] * steps
        if x is not None and self.of_input is not None:  # all steps at once, as they don't depend on each other
            parts = [*self.of_input(x.flatten(0, 1)).unflatten(0, x.shape[:2]).unbind(1)]
        found = list[Tensor]()
        for part in parts:
            blocks = self.of_hidden(hidden) + bias
            i, f, g, o = (blocks if part is None else blocks + part).chunk(len(BLOCKS), dim=1)
            if self.peepholes is not None:
                i, f = i + self.peepholes[0] * cell, f + self.peepholes[1] * cell
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            if self.peepholes is not None:
                o = o + self.peepholes[2] * cell
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            found.append(hidden)
        return torch.stack(found, dim=1), (hidden, cell)


class ConvLstm(nn.Module):
    """Stacked layers, all over frames of one size.

    Args:
        model: The section `model`.
        inputs: Channels of the input; 0 if the first layer gets none.
        sides: Height and width of the frames.
        longest: Steps of a sequence, for the chrono initialisation.
    """

    def __init__(self, model: VideoModel, inputs: int, sides: tuple[int, int], longest: int) -> None:
        super().__init__()
        channels, kernel = model.channels or CHANNELS, model.kernel_size or KERNEL
        self.channels, self.sides, self.dropout = channels, sides, model.dropout if model.num_layers > 1 else 0.0
        self._layers = nn.ModuleList(
            ConvLstmLayer(channels if number else inputs, channels, kernel, sides, peepholes=bool(model.peepholes))
            for number in range(model.num_layers)
        )
        if model.forget_bias is not None:
            set_forget_bias(self, model.forget_bias, longest)

    @property
    def layers(self) -> "list[ConvLstmLayer]":
        """The layers, the first one first."""
        return [layer for layer in self._layers if isinstance(layer, ConvLstmLayer)]

    def forward(self, x: Tensor | None, state: State | None, steps: int, batch: int) -> tuple[list[Tensor], State]:
        """Run over `steps` steps.

        Args:
            x: The inputs, `(batch, time, channel, height, width)`; None if the first layer gets none.
            state: The state that an earlier call returned, which may be of another stack of as many layers; None starts
                with zeros.
            steps: The number of steps.
            batch: The number of sequences.

        Returns:
            The hidden states of each layer, `(batch, time, channel, height, width)`, and the state after the last step.
        """
        zeros = self.layers[0].of_hidden.weight.new_zeros((batch, self.channels, *self.sides))
        every, ends = list[Tensor](), State()
        for number, layer in enumerate(self.layers):
            if number and self.dropout:
                x = nn.functional.dropout(x, self.dropout, self.training) if x is not None else None
            x, end = layer(x, state[number] if state else (zeros, zeros), steps)
            assert x is not None
            every.append(x)
            ends.append(end)
        return every, ends


@torch.no_grad()
def set_forget_bias(cell: ConvLstm, bias: ForgetBias | Literal["chrono"], longest: int) -> None:
    """Set the initial bias of the forget gates of each layer: a number, or chrono as in `cells.set_forget_bias`."""
    for layer in cell.layers:
        by_block = layer.bias.view(len(BLOCKS), -1)
        forget = by_block[BLOCKS.index("forget_gate")]
        if bias == "chrono":
            forget.copy_(torch.empty_like(forget).uniform_(1, max(longest - 1, 1)).log())
            by_block[BLOCKS.index("input_gate")] = -forget
        else:
            forget.fill_(bias)

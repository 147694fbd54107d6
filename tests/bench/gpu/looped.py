"""A cell as a user writes one: an LSTM with a gate more, a step at a time in Python."""

import torch
from torch import Tensor, nn


class Looped(nn.Module):
    """An LSTM whose hidden state is mixed with that of the step before by a gate.

    Inputs are `(batch, time, input)`, outputs `(batch, time, hidden)`.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.of_input, self.of_hidden = nn.Linear(inputs, 5 * hidden), nn.Linear(hidden, 5 * hidden, bias=False)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs over all steps."""
        h, c = (x.new_zeros(len(x), self.hidden),) * 2 if state is None else state
        found = []
        for part in self.of_input(x).unbind(1):
            i, f, g, o, m = (part + self.of_hidden(h)).chunk(5, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            mix = torch.sigmoid(m)
            h = mix * torch.sigmoid(o) * torch.tanh(c) + (1 - mix) * h
            found.append(h)
        return torch.stack(found, dim=1), (h, c)

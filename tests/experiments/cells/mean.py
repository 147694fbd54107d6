"""A cell of the user's own, without a state that matters."""

import torch


class Mean(torch.nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.mixed = torch.nn.Linear(input_size, hidden_size)

    def forward(self, inputs, state=None):
        outputs = torch.tanh(self.mixed(inputs))
        return outputs, outputs[:, -1]

"""The variants of "LSTM: A Search Space Odyssey" as switches of one cell, with torch.nn.LSTM's interface."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lstm.nn.recurrence import Recurrence, Switches, gates_of

# Greff, Srivastava, Koutnik, Steunebrink and Schmidhuber: LSTM: A Search Space Odyssey. IEEE Transactions on Neural
# Networks and Learning Systems 28 (10), 2017. Their V, NIG, NFG, NOG, NIAF, NOAF, CIFG, NP, FGR.
VARIANTS: Mapping[str, Switches] = {
    "vanilla": Switches(),
    "no_input_gate": Switches(input_gate=False),
    "no_forget_gate": Switches(forget_gate=False),
    "no_output_gate": Switches(output_gate=False),
    "no_input_activation": Switches(input_activation=False),
    "no_output_activation": Switches(output_activation=False),
    "coupled_gates": Switches(coupled_gates=True),
    "no_peepholes": Switches(peepholes=False),
    "full_gate_recurrence": Switches(full_gate_recurrence=True),
}


class Pass(NamedTuple):
    """The result of one layer in one direction; step t belongs to x at t in both directions."""

    hidden: Tensor  # (time, hidden, batch)
    cell: Tensor  # (time, hidden, batch)
    blocks: Tensor  # (time, blocks, hidden, batch): the activations, in the order of Switches.blocks
    end: tuple[Tensor, ...]  # after the last step: hidden state, cell and, with full gate recurrence, gates


class LstmVariant(nn.Module):
    """A stack of layers of one variant; `no_peepholes` equals torch.nn.LSTM and loads its weights unchanged.

    Weights have torch.nn.LSTM's names, order and initialisation. Further weights are `weight_peephole_l0` `(gates,
    hidden)` and, with full gate recurrence, `weight_gates_l0` `(3 * hidden, 3 * hidden)`. The computation is in the
    weights' precision, also under autocast.

    The table has the time of a training step (forward and backward, batch 64, 4 inputs, one layer) in multiples of
    torch.nn.LSTM's time. It was measured with torch 2.13 on one thread of a shared two-core machine, all cells in turn,
    the best of 25 rounds each:

        length  hidden  no_peepholes  vanilla  the seven others  full_gate_recurrence  torch.nn.GRU
            48      16           2.2      3.0        2.4 to 2.6                   5.0           4.3
            48      32           2.1      2.7        2.0 to 2.2                   4.8           3.0
            48      64           2.1      2.5        1.9 to 2.3                   5.5           2.3
            48     128           2.3      2.5        1.9 to 2.3                   6.1           2.0
           168      16           2.8      3.7        2.9 to 3.2                   6.4           5.6
           168      32           2.4      2.9        2.4 to 3.5                   8.9           3.8
           168      64           2.2      2.5        2.1 to 2.5                   7.4           2.5
           168     128           2.2      2.3        1.4 to 2.6                   6.9           1.6

    full_gate_recurrence is slow because it has more than three times the products of the others at each step.
    `python tests/bench/cells.py` repeats the measurement.
    """

    def __init__(
        self,
        variant: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.switches = VARIANTS[variant]
        self.hidden_size, self.num_layers, self.dropout = hidden_size, num_layers, dropout
        self.bidirectional = bidirectional
        directions, rows = 1 + bidirectional, len(self.switches.blocks) * hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else directions * hidden_size
            for mark in self.marks(layer):
                shapes = {"ih": (rows, inputs), "hh": (rows, hidden_size)}
                for name, shape in shapes.items():
                    self.register_parameter(f"weight_{name}_{mark}", nn.Parameter(torch.empty(shape)))
                for name in shapes:
                    self.register_parameter(f"bias_{name}_{mark}", nn.Parameter(torch.empty(rows)))
                if self.switches.peepholes:
                    peephole = torch.empty(len(self.switches.blocks) - 1, hidden_size)
                    self.register_parameter(f"weight_peephole_{mark}", nn.Parameter(peephole))
                if self.switches.full_gate_recurrence:
                    gates = torch.empty(3 * hidden_size, 3 * hidden_size)
                    self.register_parameter(f"weight_gates_{mark}", nn.Parameter(gates))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise all weights uniformly between -1/sqrt(hidden) and 1/sqrt(hidden), as torch.nn does."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def marks(self, layer: int) -> list[str]:
        """Return the suffix of the names of a layer's weights for each direction, such as `l0` and `l0_reverse`."""
        return [f"l{layer}", f"l{layer}_reverse"] if self.bidirectional else [f"l{layer}"]

    def forward(
        self, x: Tensor, state: tuple[Tensor, ...] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run all layers over all steps.

        Args:
            x: The inputs, `(batch, time, input)`.
            state: The state that an earlier call returned; None starts with zeros.
            lengths: The number of valid steps of each sequence, `(batch,)`, at least 1 each; None if all are valid.
                Later steps have no effect, and their output is 0.

        Returns:
            The last layer's hidden states `(batch, time, directions * hidden)`, and the state after each sequence's
            last valid step: hidden state and cell, both `(layers * directions, batch, hidden)`; with full gate
            recurrence also the gates `(layers * directions, batch, 3 * hidden)`, through which no gradient flows.
        """
        directions = 1 + self.bidirectional
        top, ends = list[Tensor](), list[tuple[Tensor, ...]]()
        for index, done in enumerate(self.passes(x, state, lengths)):
            ends.append(done.end)
            if index >= (self.num_layers - 1) * directions:
                top.append(done.hidden)
        states = torch.cat(top, dim=1).permute(2, 0, 1)
        return states, tuple(torch.stack(part).transpose(1, 2) for part in zip(*ends, strict=True))

    def passes(
        self, x: Tensor, state: tuple[Tensor, ...] | None = None, lengths: Tensor | None = None
    ) -> Iterator[Pass]:
        """Yield the pass of every layer in every direction, in order; arguments as for `forward`."""
        steps = None if lengths is None else _Steps(lengths.to(x.device), x.shape[1])
        sequence = x.to(next(self.parameters()).dtype).permute(1, 2, 0)
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                sequence = nn.functional.dropout(sequence, self.dropout)
            sequence = steps.masked(sequence) if steps else sequence
            outputs = list[Tensor]()
            for mark in self.marks(layer):
                index = layer * (1 + self.bidirectional) + len(outputs)
                done = self._pass(sequence, mark, self._start(sequence, state, index), steps)
                outputs.append(done.hidden)
                yield done
            sequence = torch.cat(outputs, dim=1)

    def _pass(self, sequence: Tensor, mark: str, start: tuple[Tensor, ...], steps: "_Steps | None") -> Pass:
        weights = dict(self.named_parameters())
        backwards = mark.endswith("reverse")
        turn = steps.turn if steps else _flip
        with torch.autocast(sequence.device.type, enabled=False):
            hidden, cell, blocks = Recurrence.apply(  # type: ignore[no-untyped-call] # torch leaves it untyped
                self.switches,
                turn(sequence) if backwards else sequence,
                weights[f"weight_ih_{mark}"],
                weights[f"weight_hh_{mark}"],
                weights[f"bias_ih_{mark}"] + weights[f"bias_hh_{mark}"],
                weights.get(f"weight_peephole_{mark}"),
                weights.get(f"weight_gates_{mark}"),
                start[0],
                start[1],
                start[2] if self.switches.full_gate_recurrence else None,
            )
        last = steps.last if steps else _last
        gates = (
            (gates_of(last(blocks.flatten(1, 2)).view(1, -1, *hidden.shape[1:]))[0],)
            if self.switches.full_gate_recurrence
            else ()
        )
        end = (last(hidden), last(cell), *gates)
        hidden, cell, blocks = (turn(each) if backwards else each for each in (hidden, cell, blocks))
        return Pass(steps.masked(hidden) if steps else hidden, cell, blocks, end)

    def _start(self, sequence: Tensor, state: tuple[Tensor, ...] | None, index: int) -> tuple[Tensor, ...]:
        """Return the states `(feature, batch)` with which a layer starts in one direction."""
        if state is not None:
            return tuple(part[index].t().to(sequence.dtype) for part in state)
        hidden, batch = self.hidden_size, sequence.shape[2]
        sizes = (hidden, hidden, 3 * hidden) if self.switches.full_gate_recurrence else (hidden, hidden)
        return tuple(sequence.new_zeros(size, batch) for size in sizes)


class _Steps:
    """The valid steps of sequences of different lengths; they come before the invalid ones.

    The recurrence therefore needs no mask: it also runs over the invalid steps, and their results are dropped. For the
    backward direction, each sequence is reversed within its own length first.
    """

    def __init__(self, lengths: Tensor, time: int) -> None:
        self.lengths = lengths
        step = torch.arange(time, device=lengths.device).unsqueeze(-1)
        self.counts = step < lengths  # (time, batch)
        self.order = torch.where(self.counts, lengths - 1 - step, step)

    def masked(self, sequence: Tensor) -> Tensor:
        """Set invalid steps to 0, so that nothing there reaches a result or a gradient, not even NaN."""
        return torch.where(self.counts.unsqueeze(1), sequence, 0)

    def turn(self, sequence: Tensor) -> Tensor:
        """Reverse each sequence of `(time, ..., batch)` within its length."""
        order = self.order.view(len(sequence), *[1] * (sequence.ndim - 2), -1)
        return sequence.gather(0, order.expand_as(sequence))

    def last(self, sequence: Tensor) -> Tensor:
        """Return `(feature, batch)` at each sequence's last valid step."""
        index = (self.lengths - 1).expand(1, sequence.shape[1], -1)
        return sequence.gather(0, index).squeeze(0)


def _flip(sequence: Tensor) -> Tensor:
    return sequence.flip(0)


def _last(sequence: Tensor) -> Tensor:
    return sequence[-1]

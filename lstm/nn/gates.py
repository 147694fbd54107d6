"""Reads the gates and states inside a trained cell at every step."""

import copy

import torch
from torch import Tensor, nn

from lstm.nn.cells import Cell
from lstm.nn.own_cell import OwnCell, State
from lstm.nn.variants import LstmVariant

Inside = dict[str, Tensor]


@torch.no_grad()
def trace(cell: Cell, x: Tensor, state: State | None = None) -> Inside:
    """Return the gates and states of every layer by name, as the cell computes them in evaluation mode (no dropout).

    Args:
        cell: Any of `lstm.nn.cells.CELLS`, or a user's own cell.
        x: The inputs, `(batch, time, input)`.
        state: The initial state in the cell's own form; None starts with zeros.

    Returns:
        Tensors `(layer * direction, batch, time, hidden)`; step t belongs to x at t in both directions.

        - LSTM: input_gate, forget_gate, output_gate, candidate, cell, hidden, without the gates that a variant lacks.
          With coupled gates, forget_gate is 1 - input_gate.
        - GRU, in torch.nn.GRU's equations: reset_gate, update_gate, candidate, hidden.
        - RNN: hidden.
        - A user's own cell: empty, because nothing is known about its inside.
    """
    if isinstance(cell, OwnCell):
        return {}
    if isinstance(cell, nn.LSTM | LstmVariant):
        found = _lstm(_variant(cell), x, state)
    else:
        found = _simple(cell, x, state if isinstance(state, Tensor) else None)
    return {name: torch.stack([each[name] for each in found]) for name in found[0]}


def _variant(cell: nn.LSTM | LstmVariant) -> LstmVariant:
    """Return an LSTM cell as an `LstmVariant` with the same weights, which gives access to its gates."""
    if isinstance(cell, LstmVariant):
        return copy.deepcopy(cell).eval()
    same = LstmVariant(
        "no_peepholes", cell.input_size, cell.hidden_size, cell.num_layers, bidirectional=cell.bidirectional
    )
    same.to(next(cell.parameters())).load_state_dict(cell.state_dict())
    return same.eval()


def _lstm(cell: LstmVariant, x: Tensor, state: State | None) -> list[Inside]:
    found = []
    for done in cell.passes(x, None if state is None else tuple(state)):
        inside = dict(zip(cell.switches.blocks, done.blocks.unbind(1), strict=True))
        if cell.switches.coupled_gates:
            inside["forget_gate"] = 1 - inside["input_gate"]
        inside |= {"cell": done.cell, "hidden": done.hidden}
        found.append({name: value.permute(2, 0, 1) for name, value in inside.items()})
    return found


def _simple(cell: nn.RNNBase, x: Tensor, state: Tensor | None) -> list[Inside]:
    step = _gru_step if isinstance(cell, nn.GRU) else _rnn_step
    directions = 1 + cell.bidirectional
    found: list[Inside] = []
    sequence = x
    for layer in range(cell.num_layers):
        for direction in range(directions):
            mark = f"l{layer}{'_reverse' if direction else ''}"
            of_input, of_hidden = (
                (cell.get_parameter(f"weight_{kind}_{mark}"), cell.get_parameter(f"bias_{kind}_{mark}"))
                for kind in ("ih", "hh")
            )
            h = x.new_zeros(len(x), cell.hidden_size) if state is None else state[layer * directions + direction]
            parts = nn.functional.linear(sequence, *of_input)
            steps: list[Inside] = []
            for part in parts.flip(1).unbind(1) if direction else parts.unbind(1):
                steps.append(step(part, nn.functional.linear(h, *of_hidden), h))
                h = steps[-1]["hidden"]
            in_order = steps[::-1] if direction else steps
            found.append({name: torch.stack([each[name] for each in in_order], dim=1) for name in steps[0]})
        sequence = torch.cat([each["hidden"] for each in found[-directions:]], dim=-1)
    return found


def _rnn_step(of_input: Tensor, of_hidden: Tensor, _: Tensor) -> Inside:
    return {"hidden": torch.tanh(of_input + of_hidden)}


def _gru_step(of_input: Tensor, of_hidden: Tensor, h: Tensor) -> Inside:
    (reset_x, update_x, new_x), (reset_h, update_h, new_h) = of_input.chunk(3, -1), of_hidden.chunk(3, -1)
    reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
    candidate = torch.tanh(new_x + reset * new_h)
    hidden = (1 - update) * candidate + update * h
    return {"reset_gate": reset, "update_gate": update, "candidate": candidate, "hidden": hidden}

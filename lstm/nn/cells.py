"""The recurrent cells by name: how each is built, initialised, and run over sequences of any length.

A new cell is a class with torch.nn's interface (batch_first) and a line in `CELLS`. Users' own cells are in
`own_cell.py`.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm.config.model import ModelConfig
from lstm.device import is_out_of_memory
from lstm.nn.own_cell import OwnCell, State
from lstm.nn.variants import VARIANTS, LstmVariant
from lstm.own_code import find, is_reference

Cell = nn.RNNBase | LstmVariant | OwnCell
CELLS: Mapping[str, Callable[..., Cell]] = {
    "rnn": partial(nn.RNN, batch_first=True),  # tanh
    "gru": partial(nn.GRU, batch_first=True),
    "lstm": partial(nn.LSTM, batch_first=True),
    **{name: partial(LstmVariant, name) for name in VARIANTS},
}


def build(model: ModelConfig, inputs: int, lookback: int, code: Mapping[str, str] | None = None) -> Cell:
    """Build the cell that a configuration describes; its weights are drawn from torch's global generator.

    Args:
        model: The section `model`.
        inputs: Number of input columns.
        lookback: Steps of the longest sequence, for the chrono initialisation.
        code: The digest of each of the user's files by its name.

    Raises:
        BadInput: the cell is a user's own, and its file was not executed in this process.
    """
    dropout = model.dropout if model.num_layers > 1 else 0.0
    if is_reference(model.cell):
        made = find(model.cell, code or {})
        return OwnCell(made, inputs, model.hidden_size, model.num_layers, dropout, bidirectional=model.bidirectional)
    # A search may draw a variant for another cell than lstm: then the variant does nothing, like dropout in one layer.
    name = model.variant if model.variant and model.cell == "lstm" else model.cell
    cell = CELLS[name](
        inputs,
        model.hidden_size,
        model.num_layers,
        # torch.nn applies dropout between layers only, and warns if there is only one layer.
        dropout=dropout,
        bidirectional=model.bidirectional,
    )
    if model.forget_bias is not None and model.cell == "lstm" and name != "no_forget_gate":
        set_forget_bias(cell, model.forget_bias, lookback)
    return cell


@torch.no_grad()
def set_forget_bias(cell: Cell, bias: float | Literal["chrono"], longest: int) -> None:
    """Set the initial bias of the forget gates in every layer and direction.

    A number is the gate's bias. `chrono` draws it for memories of 1 to `longest` steps (Tallec and Ollivier: Can
    recurrent neural networks warp time? ICLR 2018, equation 16): the forget bias is log(u) with u uniform between 1 and
    longest - 1, and the input bias is its negative. With coupled gates, i = sigmoid(a) and f = 1 - i = sigmoid(-a), so
    there the input gate's bias is the negative of the wanted forget bias, for a number as well.

    A bias in torch.nn is the sum of two: the value is put into bias_ih, and bias_hh is set to 0.

    Raises:
        ValueError: the cell has no forget gate.
    """
    switches = cell.switches if isinstance(cell, LstmVariant) else VARIANTS["no_peepholes"]
    if isinstance(cell, nn.RNN | nn.GRU | OwnCell) or not switches.forget_gate:
        raise ValueError("this cell has no forget gate")
    for name, parameter in cell.named_parameters():
        if not name.startswith("bias_ih"):
            continue
        by_block = parameter.view(len(switches.blocks), -1)
        other = cell.get_parameter(name.replace("bias_ih", "bias_hh")).view_as(by_block)
        if bias == "chrono":
            forget = torch.empty_like(by_block[0]).uniform_(1, max(longest - 1, 1)).log()
        else:
            forget = torch.full_like(by_block[0], bias)
        wanted = {"forget_gate": forget}
        if bias == "chrono" or switches.coupled_gates:
            wanted["input_gate"] = -forget
        for block, value in wanted.items():
            if block in switches.blocks:
                index = switches.blocks.index(block)
                by_block[index], other[index] = value, 0


def run(cell: Cell, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
    """Run a cell over sequences that may differ in length.

    Args:
        cell: Any of `CELLS`, or a user's own cell.
        x: The inputs, `(batch, time, input)`. Steps beyond a sequence's length have no effect.
        state: The state that an earlier call returned; None starts with zeros.
        lengths: The number of valid steps of each sequence, `(batch,)`, at least 1 each; None if all steps are valid.

    Returns:
        The last layer's hidden states `(batch, time, directions * hidden)`, 0 beyond a sequence's length, and the state
        after each sequence's last valid step. The backward direction starts at the last valid step.
    """
    if isinstance(cell, LstmVariant | OwnCell):
        return cell(x, state, lengths)  # type: ignore[no-any-return] # torch leaves it untyped
    precision = _precision(cell, x.device.type)
    return _run(cell, x, state, lengths) if precision is None else _run_in(precision, cell, x, state, lengths)


Call = Callable[[Tensor | PackedSequence, State | None], tuple[Any, State]]


def _run(call: Call, x: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
    if lengths is None:
        return call(x, state)
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    states, end = call(packed, state)
    return pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0], end


def _precision(cell: nn.RNNBase, kind: str) -> torch.dtype | None:
    """Return the precision in which a cell is computed outside of autocast; None if autocast does it right.

    On a GPU autocast runs torch.nn's cells in float16, whatever its own precision is. Small gradients vanish there, and
    nothing scales them.
    """
    if kind not in ("cpu", "cuda") or not torch.is_autocast_enabled(kind):
        return None
    if kind == "cpu":
        return torch.float32 if isinstance(cell, nn.LSTM) and not cpu_has_bfloat16_lstm() else None
    return torch.bfloat16 if runs_in_bfloat16(kind) else torch.float32


def _run_in(
    precision: torch.dtype, cell: nn.RNNBase, x: Tensor, state: State | None, lengths: Tensor | None
) -> tuple[Tensor, State]:
    """Run a cell outside of autocast in a precision. Its weights stay float32, and get their gradients."""

    def call(inputs: Tensor | PackedSequence, start: State | None) -> Any:
        if precision == torch.float32:
            return cell(inputs, start)
        weights = {name: weight.to(precision) for name, weight in cell.named_parameters()}
        with warnings.catch_warnings():  # cuDNN puts the converted weights into one piece of memory at each call
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
            return functional_call(cell, weights, (inputs, start))

    start = tuple(part.to(precision) for part in state) if isinstance(state, tuple) else state
    start = start.to(precision) if isinstance(start, Tensor) else start
    with torch.autocast(x.device.type, enabled=False):
        return _run(call, x.to(precision), start, lengths)


@cache
def runs_in_bfloat16(kind: str) -> bool:
    """Return whether PyTorch can train its cells in bfloat16 on the devices of a kind."""
    with torch.random.fork_rng(devices=[]):  # drawing the weights must not change any other draws
        tiny = [made(1, 1, batch_first=True).to(kind) for made in (nn.RNN, nn.GRU, nn.LSTM)]
    try:
        with torch.enable_grad():
            for each in tiny:
                states, _ = _run_in(torch.bfloat16, each, torch.zeros(1, 1, 1, device=kind), None, None)
                torch.autograd.backward(states.sum())
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        return False
    return True


@cache
def cpu_has_bfloat16_lstm() -> bool:
    """Return whether PyTorch can run an LSTM in bfloat16 on this CPU; oneDNN raises without AVX-512 or AMX."""
    with torch.random.fork_rng(devices=[]):  # drawing the weights must not change any other draws
        tiny = nn.LSTM(1, 1)
    try:
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            tiny(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def summary(cell: Cell, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> Tensor:
    """Return the last layer's hidden state after each whole sequence, `(batch, directions * hidden)`.

    The forward direction ends at a sequence's last valid step, the backward direction at its first step. Arguments as
    for `run`.
    """
    if lengths is None:
        states, _ = run(cell, x, state)
        last = states[:, -1]
    else:
        lengths = lengths.to(x.device)
        if cell.bidirectional:
            states, _ = run(cell, x, state, lengths)
        else:  # later steps can't change an earlier state, so the faster way of torch.nn, without packing, is enough
            counts = torch.arange(x.shape[1], device=x.device) < lengths.unsqueeze(-1)
            states, _ = run(cell, torch.where(counts.unsqueeze(-1), x, 0), state)
        last = states[torch.arange(len(x), device=x.device), lengths - 1]
    size = cell.hidden_size
    return torch.cat([last[:, :size], states[:, 0, size:]], dim=1) if cell.bidirectional else last

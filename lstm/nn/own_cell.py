"""Networks of a user's own cell: the user writes one layer in one direction; stacking and dropout are added here."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lstm.own_code import place_of, raised
from lstm.records.errors import BadInput, refused

State = Tensor | tuple[Any, ...]  # tensors for our cells; nested tuples of tensors for a user's cell
TOLERANCE = 1e-4  # allowed difference between a sequence read at once and read in two parts


class OwnCell(nn.Module):
    """A stack of layers of a user's cell, in one direction or in both.

    A layer is built as `made(input_size, hidden_size)`. It is called with inputs `(batch, time, input)` and a state,
    which is None at the start, and returns outputs `(batch, time, hidden)` and a state.
    """

    def __init__(
        self,
        made: Callable[[int, int], nn.Module],
        input_size: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        *,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.dropout, self.bidirectional = dropout, bidirectional
        ways = 1 + bidirectional
        widths = [input_size] + [ways * hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(made(width, hidden_size) for width in widths for _ in range(ways))

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over sequences that may differ in length; see `cells.run` for arguments and results.

        A state is a tuple with the state of each layer, and within a layer of each direction. If the sequences differ
        in length, `state` must be None and the returned state is empty: it is not known which dimension of a user's
        state is the batch.
        """
        if lengths is None or bool((lengths == x.shape[1]).all()):
            return self._of_one_length(x, state)
        assert state is None
        # Nothing is known about a user's cell, so only sequences of the same length can be run together.
        outputs = x.new_zeros(len(x), x.shape[1], (1 + self.bidirectional) * self.hidden_size)
        for length in sorted(set(lengths.tolist())):
            rows = (lengths == length).nonzero().to(x.device)
            found, _ = self._of_one_length(x[rows[:, 0], :length], None)
            outputs = outputs.index_put((rows, torch.arange(length, device=x.device)), found)
        return outputs, ()

    def _of_one_length(self, x: Tensor, state: State | None) -> tuple[Tensor, tuple[Any, ...]]:
        ways, ends = 1 + self.bidirectional, list[Any]()
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = nn.functional.dropout(x, self.dropout, self.training)
            outputs = []
            for way in range(ways):
                number = layer * ways + way
                found, end = self.layers[number](x.flip(1) if way else x, None if state is None else state[number])
                outputs.append(found.flip(1) if way else found)
                ends.append(end)
            x = torch.cat(outputs, dim=-1) if ways > 1 else outputs[0]
        return x, tuple(ends)


def detached(state: Any) -> Any:
    """Return a state, nested tuples included, detached from the graph so that no gradient flows through it."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple | list):
        return tuple(detached(part) for part in state)
    return state


def check(made: Callable[[int, int], nn.Module], name: str) -> None:
    """Check on a small input that a class is a valid cell.

    The cell must be a torch.nn.Module, return outputs of the right shape and a state, give the same outputs for a
    sequence read in two parts, and have something to train.

    Raises:
        BadInput: the cell is not valid; the message says why, with the line if the cell's own code raises.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            cell = made(3, 4)
            if not isinstance(cell, nn.Module):
                raise _refused("cell-of-another-class", name, kind=type(cell).__name__)
            cell.eval()
            x = torch.linspace(-1, 1, 2 * 6 * 3).reshape(2, 6, 3)
            with torch.no_grad():
                outputs = _pair(cell(x, None), name)
                first = _pair(cell(x[:, :4], None), name)
                second = _pair(cell(x[:, 4:], first[1]), name)
            trained = cell(x, None)[0]
    except BadInput:
        raise
    except Exception as error:
        raise raised(error, place_of(error) or name, "model.cell") from error
    if (shape := list(outputs[0].shape)) != (wanted := [2, 6, 4]):
        raise _refused("cell-outputs-of-another-shape", name, shape=shape, wanted=wanted)
    if not bool(torch.isfinite(outputs[0]).all()):
        raise _refused("cell-outputs-not-finite", name)
    whole = torch.cat([first[0], second[0]], dim=1)
    if not torch.allclose(outputs[0], whole, atol=TOLERANCE, rtol=TOLERANCE):
        raise _refused("cell-state-lacks-something", name)
    if not trained.requires_grad:
        raise _refused("cell-without-training", name)


def _pair(answer: Any, name: str) -> tuple[Tensor, Any]:
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[0], Tensor):
        raise _refused("cell-returns-no-pair", name)
    return answer


def _refused(code: str, name: str, **values: Any) -> BadInput:
    return refused(code, "model.cell", at=name, **values)

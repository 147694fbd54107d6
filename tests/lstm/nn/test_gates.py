import pytest
import torch

from lstm.nn.cells import CELLS, run
from lstm.nn.gates import trace

GATES = {
    "rnn": set(),
    "gru": {"reset_gate", "update_gate", "candidate"},
    "no_input_gate": {"forget_gate", "output_gate", "candidate", "cell"},
    "no_forget_gate": {"input_gate", "output_gate", "candidate", "cell"},
    "no_output_gate": {"input_gate", "forget_gate", "candidate", "cell"},
}
ALL = {"input_gate", "forget_gate", "output_gate", "candidate", "cell"}


def made(name, bidirectional=True):
    torch.manual_seed(2)
    cell = CELLS[name](3, 4, 2, dropout=0.5, bidirectional=bidirectional)
    return cell, torch.randn(5, 7, 3)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_its_hidden_state_is_the_cells_own(name, bidirectional):
    cell, x = made(name, bidirectional)
    start = run(cell.eval(), x)[1]
    for state in (None, start):
        cell.train()  # no dropout in a trace all the same
        inside = trace(cell, x, state)
        assert inside.keys() == GATES.get(name, ALL) | {"hidden"}
        assert cell.training
        states, end = run(cell.eval(), x, state)
        directions = 1 + bidirectional
        assert all(each.shape == (2 * directions, 5, 7, 4) for each in inside.values())
        assert not any(each.requires_grad for each in inside.values())
        torch.testing.assert_close(torch.cat([*inside["hidden"][-directions:]], dim=-1), states)
        hidden, *cells = [end] if isinstance(end, torch.Tensor) else end
        last = [each[:, 0] if n % directions else each[:, -1] for n, each in enumerate(inside["hidden"])]
        torch.testing.assert_close(torch.stack(last), hidden)
        if cells:
            last = [each[:, 0] if n % directions else each[:, -1] for n, each in enumerate(inside["cell"])]
            torch.testing.assert_close(torch.stack(last), cells[0])


def test_the_parts_make_the_cell_and_the_hidden_state():
    cell, x = made("lstm", bidirectional=False)
    inside = trace(cell, x)
    before = torch.nn.functional.pad(inside["cell"], (0, 0, 1, 0))[:, :, :-1]
    wanted = inside["forget_gate"] * before + inside["input_gate"] * inside["candidate"]
    torch.testing.assert_close(inside["cell"], wanted)
    torch.testing.assert_close(inside["hidden"], inside["output_gate"] * wanted.tanh())


def test_coupled_gates_show_what_is_kept():
    cell, x = made("coupled_gates")
    inside = trace(cell, x)
    torch.testing.assert_close(inside["forget_gate"], 1 - inside["input_gate"])

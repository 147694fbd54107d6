"""A user's own cell: stacked, reversed and dropped out by us; what is no cell is refused."""

from pathlib import Path

import pytest
import torch
from pages import blocks
from torch import nn

from lstm import own_code as code
from lstm.config.model import ModelConfig
from lstm.nn import cells
from lstm.nn.gates import trace
from lstm.nn.own_cell import OwnCell, check
from lstm.records.errors import BadInput

PAGE = Path(__file__).parents[3] / "docs" / "how_to" / "own_cell.md"


class Plain(nn.Module):
    """torch.nn's own LSTM of one layer, as a user would wrap it."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)

    def forward(self, x, state=None):
        return self.lstm(x, state)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_and_directions_are_torchs(layers, bidirectional):
    torch.manual_seed(1)
    mine = OwnCell(Plain, 3, 4, layers, 0.0, bidirectional=bidirectional)
    theirs = nn.LSTM(3, 4, layers, batch_first=True, bidirectional=bidirectional)
    ways = 1 + bidirectional
    for number, layer in enumerate(mine.layers):
        end = f"_l{number // ways}" + "_reverse" * (number % ways)
        for name, weights in layer.lstm.named_parameters():
            theirs.get_parameter(name.removesuffix("_l0") + end).data.copy_(weights)
    x = torch.randn(5, 7, 3)
    lengths = torch.tensor([7, 2, 5, 1, 2])
    torch.testing.assert_close(mine(x)[0], theirs(x)[0])
    torch.testing.assert_close(cells.run(mine, x, None, lengths)[0], cells.run(theirs, x, None, lengths)[0])
    torch.testing.assert_close(cells.summary(mine, x, None, lengths), cells.summary(theirs, x, None, lengths))
    if not bidirectional:
        first, state = mine(x[:, :3])
        second, _ = mine(x[:, 3:], state)
        torch.testing.assert_close(torch.cat([first, second], dim=1), mine(x)[0])
    assert trace(mine, x) == {}


def test_dropout_acts_between_layers_in_training_alone():
    cell, x = OwnCell(Plain, 3, 4, 2, 0.5, bidirectional=False), torch.randn(2, 5, 3)
    assert not torch.equal(cell(x)[0], cell(x)[0])
    cell.eval()
    assert torch.equal(cell(x)[0], cell(x)[0])


def test_the_cell_in_the_documentation_is_one(tmp_path):
    (text,) = [block.text for block in blocks(PAGE.read_text()) if block.file == "minimal.py"]
    (tmp_path / "mine.py").write_text(text)
    read = code.read(tmp_path / "mine.py", "mine.py")
    code.execute(read)
    check(code.find("mine.py:Minimal", {"mine.py": read.digest}), "mine.py:Minimal")
    model = ModelConfig(cell="mine.py:Minimal", hidden_size=4, num_layers=2, bidirectional=True)
    cell = cells.build(model, 3, 8, {"mine.py": read.digest})
    assert cell(torch.randn(2, 5, 3))[0].shape == (2, 5, 8)
    with pytest.raises(BadInput) as error:
        cells.build(model, 3, 8, {"mine.py": "f" * 64})
    [wrong] = error.value.faults
    assert wrong.code == "code-not-executed"
    assert wrong.values == {"name": "mine.py:Minimal", "digest": "f" * 12}


class Wrong(Plain):
    def forward(self, x, state=None):
        return self.answer(*self.lstm(x, state))


def of(answer):
    return type("Of", (Wrong,), {"answer": staticmethod(answer)})


class Forgets(Plain):
    def forward(self, x, state=None):
        return self.lstm(x)


class Looks(Plain):
    def forward(self, x, state=None):
        outputs, state = self.lstm(x, state)
        return outputs + outputs.mean(dim=1, keepdim=True), state


class Raises(nn.Module):
    def __init__(self, input_size):
        super().__init__()


@pytest.mark.parametrize(
    ("made", "code", "values"),
    [
        (of(lambda outputs, state: outputs), "cell-returns-no-pair", {}),
        (
            of(lambda outputs, state: (outputs[:, -1], state)),
            "cell-outputs-of-another-shape",
            {"shape": [2, 4], "wanted": [2, 6, 4]},
        ),
        (of(lambda outputs, state: (outputs / 0, state)), "cell-outputs-not-finite", {}),
        (of(lambda outputs, state: (outputs.detach(), state)), "cell-without-training", {}),
        (Forgets, "cell-state-lacks-something", {}),
        (Looks, "cell-state-lacks-something", {}),
        (Raises, "code-raises", {"kind": "TypeError"}),
        (lambda a, b: object(), "cell-of-another-class", {"kind": "object"}),
    ],
)
def test_what_is_no_cell_is_refused_with_what_is_wrong(made, code, values):
    with pytest.raises(BadInput) as error:
        check(made, "mine.py:Cell")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.path) == (code, "mine.py:Cell", "model.cell")
    assert {name: wrong.values[name] for name in values} == values

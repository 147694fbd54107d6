import numpy as np
import pytest
import torch
from matrix import diagonal

from lstm.config.model import ModelConfig
from lstm.nn import cells
from lstm.nn.cells import CELLS, build, run, set_forget_bias, summary

NAMES = list(CELLS)


def made(name, layers=2, bidirectional=False, **more):
    torch.manual_seed(3)
    return CELLS[name](3, 4, layers, bidirectional=bidirectional, **more).double()


def test_a_configuration_says_which_cell():
    for name in ("rnn", "gru", "lstm"):
        assert type(build(ModelConfig(cell=name), 1, 9)) is getattr(torch.nn, name.upper())
    cell = build(ModelConfig(variant="no_input_gate", hidden_size=3, num_layers=2, bidirectional=True), 2, 9)
    assert not cell.switches.input_gate
    assert (cell.hidden_size, cell.num_layers, cell.bidirectional) == (3, 2, True)
    assert cell.weight_ih_l1_reverse.shape == (9, 6)


def test_the_rnn_follows_its_equation():
    cell = made("rnn", 1)
    p = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    x, h = torch.randn(1, 6, 3, dtype=torch.float64), np.zeros(4)
    for step, found in zip(x[0].numpy(), cell(x)[0][0].detach().numpy(), strict=True):
        h = np.tanh(p["weight_ih_l0"] @ step + p["bias_ih_l0"] + p["weight_hh_l0"] @ h + p["bias_hh_l0"])
        np.testing.assert_allclose(found, h, atol=1e-12)


# --- Lengths ----------------------------------------------------------------------------------------------

LENGTHS = torch.tensor([4, 7, 1, 6])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_padded_sequence_is_what_it_is_alone(name, bidirectional):
    cell = made(name, bidirectional=bidirectional)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    start = run(cell, x)[1]
    start = start if isinstance(start, torch.Tensor) else tuple(part.detach() for part in start)
    for state in (None, start):
        states, end = run(cell, x, state, LENGTHS)
        assert states.shape == (4, 9, 8 if bidirectional else 4)
        for n, length in enumerate(LENGTHS):
            own = at(state, n, keep=True)
            alone, alone_end = run(cell, x[n : n + 1, :length], own)
            torch.testing.assert_close(states[n, :length], alone[0])
            assert (states[n, length:] == 0).all()
            torch.testing.assert_close(at(end, n, keep=True), alone_end)


def at(state, n, keep):
    if state is None or isinstance(state, torch.Tensor):
        return state if state is None else state[:, n : n + 1]
    return tuple(at(part, n, keep) for part in state)


@diagonal(name=tuple(NAMES), bidirectional=[False, True])
def test_padding_reaches_neither_results_nor_gradients(name, bidirectional):
    cell = made(name, bidirectional=bidirectional)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    spoiled = x.clone()
    for n, length in enumerate(LENGTHS):
        spoiled[n, length:] = torch.nan
    for of in (lambda x: run(cell, x, lengths=LENGTHS)[0].mean(), lambda x: summary(cell, x, lengths=LENGTHS).mean()):
        clean, spoilt = ([of(each), *torch.autograd.grad(of(each), cell.parameters())] for each in (x, spoiled))
        torch.testing.assert_close(clean, spoilt)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_summary_is_the_last_layers_state_after_the_last_step(name, bidirectional, lengths):
    cell = made(name, bidirectional=bidirectional)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    _, end = run(cell, x, lengths=lengths)
    hidden = end if isinstance(end, torch.Tensor) else end[0]
    top = hidden[-2:] if bidirectional else hidden[-1:]
    torch.testing.assert_close(summary(cell, x, lengths=lengths), torch.cat([*top], dim=1))


# --- Where the gates start --------------------------------------------------------------------------------

FORGETFUL = [name for name in NAMES if name not in ("rnn", "gru", "no_forget_gate")]


def biases(cell, mark):
    """The biases of each block, both added up, and what bias_hh has of them."""
    names = cell.switches.blocks if hasattr(cell, "switches") else ("input_gate", "forget_gate", "candidate", "output")
    other = cell.get_parameter(f"bias_hh_{mark}")
    both = (cell.get_parameter(f"bias_ih_{mark}") + other).view(len(names), -1)
    return dict(zip(names, both, strict=True)), dict(zip(names, other.view(len(names), -1), strict=True))


@pytest.mark.parametrize("name", FORGETFUL)
def test_a_number_is_the_forget_gates_whole_bias(name):
    cell = made(name, bidirectional=True)
    before = {mark: biases(cell, mark) for mark in ("l0", "l0_reverse", "l1", "l1_reverse")}
    set_forget_bias(cell, 1.5, 10)
    set_to = {"input_gate": -1.5} if name == "coupled_gates" else {"forget_gate": 1.5}
    for mark, (was, _) in before.items():
        now, other = biases(cell, mark)
        for block, value in now.items():
            if block in set_to:
                assert (value == set_to[block]).all()
                assert (other[block] == 0).all()
            else:
                assert torch.equal(value, was[block])


@pytest.mark.parametrize("name", FORGETFUL)
def test_chrono_draws_memories_up_to_the_sequences_length(name):
    torch.manual_seed(0)
    cell = CELLS[name](1, 1000)
    set_forget_bias(cell, "chrono", 101)
    now, _ = biases(cell, "l0")
    forget = now.get("forget_gate", -now.get("input_gate", torch.zeros(())))
    memories = forget.exp()
    assert 1 <= memories.min() < 3
    assert 98 < memories.max() <= 100.001
    assert memories.mean().item() == pytest.approx(50.5, abs=3)
    if "input_gate" in now:
        assert torch.equal(now["input_gate"], -forget)


@pytest.mark.parametrize("name", ["rnn", "gru", "no_forget_gate"])
def test_without_a_forget_gate_there_is_no_bias_to_set(name):
    with pytest.raises(ValueError, match="no forget gate"):
        set_forget_bias(made(name), 1.0, 10)


def test_the_configurations_bias_is_set():
    cell = build(ModelConfig(forget_bias=2.0), 1, 9)
    assert (biases(cell, "l0")[0]["forget_gate"] == 2).all()


def test_what_a_search_draws_beside_a_cell_that_lacks_it_does_nothing():
    gru = ModelConfig(cell="gru", variant="vanilla", forget_bias=1.0, hidden_size=4)
    assert isinstance(build(gru, 2, 8), torch.nn.GRU)
    open_gate = ModelConfig(variant="no_forget_gate", forget_bias="chrono", hidden_size=4)
    assert build(open_gate, 2, 8).switches.forget_gate is False


@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 5])], ids=["whole", "padded"])
def test_where_the_cpu_has_no_bfloat16_lstm_it_is_computed_in_float32(monkeypatch, lengths):
    cell = build(ModelConfig(hidden_size=4), 2, 5)
    x = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(1))
    _, (hidden, memory) = run(cell, x, lengths=lengths)
    again, _ = run(cell, x, (hidden, memory), lengths)
    monkeypatch.setattr("lstm.nn.cells.cpu_has_bfloat16_lstm", lambda: False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, end = run(cell, x.bfloat16().float(), lengths=lengths)
        from_state, _ = run(cell, x, tuple(part.bfloat16() for part in end), lengths)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, run(cell, x.bfloat16().float(), lengths=lengths)[0], rtol=0, atol=0)
    torch.testing.assert_close(from_state, again, rtol=0, atol=1e-2)


def test_asking_what_the_cpu_can_do_draws_nothing_from_torchs_generator():
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    cells.cpu_has_bfloat16_lstm.cache_clear()
    cells.cpu_has_bfloat16_lstm()
    assert torch.rand(1) == wanted


@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 5])], ids=["whole", "padded"])
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_a_gpus_cell_is_computed_in_bfloat16_outside_of_autocast_which_would_take_float16(monkeypatch, name, lengths):
    if name == "lstm" and not cells.cpu_has_bfloat16_lstm():
        pytest.skip("oneDNN has no LSTM in bfloat16 on this CPU")
    cell, x = made(name, layers=2).float(), torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    plain, _ = run(cell, x, lengths=lengths)
    plain.sum().backward()
    wanted = {path: weight.grad.clone() for path, weight in cell.named_parameters()}
    cell.zero_grad()
    monkeypatch.setattr(cells, "_precision", lambda *_: torch.bfloat16)  # as on a GPU
    with torch.autocast("cpu", dtype=torch.float16):
        found, after = run(cell, x, lengths=lengths)
        again, _ = run(cell, x, after, lengths)
    found.float().sum().backward()
    assert (found.dtype, again.dtype) == (torch.bfloat16, torch.bfloat16)
    torch.testing.assert_close(found.float(), plain, rtol=0, atol=2e-2)
    assert not torch.equal(again, found), "the state of the first call is used"
    for path, weight in cell.named_parameters():
        assert (weight.dtype, weight.grad.dtype) == (torch.float32, torch.float32)
        torch.testing.assert_close(weight.grad, wanted[path], rtol=0.1, atol=0.1)
    monkeypatch.undo()
    torch.testing.assert_close(run(cell, x, lengths=lengths)[0], plain, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "on", "able", "precision"),
    [
        ("cpu", False, True, None),
        ("cpu", True, True, None),
        ("cpu", True, False, torch.float32),
        ("cuda", False, True, None),
        ("cuda", True, True, torch.bfloat16),
        ("cuda", True, False, torch.float32),
        ("meta", True, True, None),  # no data, so no autocast
    ],
)
def test_the_precision_of_a_cell_by_device(monkeypatch, kind, on, able, precision):
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda asked: on and asked == kind)
    monkeypatch.setattr(cells, "cpu_has_bfloat16_lstm", lambda: able)
    monkeypatch.setattr(cells, "runs_in_bfloat16", lambda *_: able)
    assert cells._precision(torch.nn.LSTM(1, 1), kind) is precision


def test_a_device_that_can_not_train_a_cell_in_bfloat16_is_found_out_without_a_draw(monkeypatch):
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    assert cells.runs_in_bfloat16.__wrapped__("cpu") == cells.cpu_has_bfloat16_lstm()

    def fails(error):
        def raises(*_):
            raise error

        monkeypatch.setattr(cells, "_run_in", raises)
        return cells.runs_in_bfloat16.__wrapped__("cpu")

    assert not fails(RuntimeError("\"_thnn_fused_gru_cell_cuda\" not implemented for 'BFloat16'"))
    with pytest.raises(torch.OutOfMemoryError):  # says nothing of the device
        fails(torch.OutOfMemoryError("CUDA out of memory"))
    assert torch.rand(1) == wanted

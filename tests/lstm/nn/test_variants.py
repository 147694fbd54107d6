import numpy as np
import pytest
import torch

from lstm.config.model import ModelConfig
from lstm.nn.variants import VARIANTS, LstmVariant

NAMES = list(VARIANTS)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loop(variant, p, x, h, c, gates, mark):
    """One layer in one direction over one sequence, from Greff et al. (2017), as it stands there."""
    lacks = {"no_input_gate": "i", "no_forget_gate": "f", "coupled_gates": "f", "no_output_gate": "o"}.get(variant)
    names = [name for name in "ifzo" if name != lacks]
    per_gate = {}
    for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        per_gate[key] = dict(zip(names, np.split(p[f"{key}_{mark}"], len(names)), strict=True))
    peepholes = dict.fromkeys("ifo", 0.0)
    if variant != "no_peepholes":
        peepholes |= dict(zip([n for n in names if n != "z"], p[f"weight_peephole_{mark}"], strict=True))
    full = dict.fromkeys("ifo", np.zeros((len(h), 3 * len(h))))
    if variant == "full_gate_recurrence":
        full = dict(zip("ifo", np.split(p[f"weight_gates_{mark}"], 3), strict=True))
    outputs = []
    for step in x:

        def before(name, step=step, h=h):
            kinds = (per_gate[key][name] for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            w, r, b, d = kinds
            return w @ step + r @ h + b + d

        def gate(name, cell, before=before, gates=gates):
            return sigmoid(before(name) + peepholes[name] * cell + full[name] @ gates) if name in names else 1.0

        z = before("z") if variant == "no_input_activation" else np.tanh(before("z"))
        i = gate("i", c)
        f = 1 - i if variant == "coupled_gates" else gate("f", c)
        c = z * i + c * f
        o = gate("o", c)
        h = (c if variant == "no_output_activation" else np.tanh(c)) * o
        gates = np.concatenate([i, f, o]) if variant == "full_gate_recurrence" else gates
        outputs.append(h)
    return np.array(outputs), h, c, gates


def in_numpy(cell, variant, x, state):
    """The stack over one sequence `(time, input)`; state is of arrays `(layers * directions, feature)`."""
    p = {name: value.detach().numpy().astype(np.float64) for name, value in cell.named_parameters()}
    ends, size = [], cell.hidden_size
    for layer in range(cell.num_layers):
        outputs = []
        for mark in cell.marks(layer):
            h, c, *gates = (part[len(ends)] for part in state)
            backwards = mark.endswith("reverse")
            found = loop(variant, p, x[::-1] if backwards else x, h, c, gates[0] if gates else np.zeros(3 * size), mark)
            outputs.append(found[0][::-1] if backwards else found[0])
            ends.append(found[1:])
        x = np.concatenate(outputs, axis=1)
    return x, [np.array(part) for part in zip(*ends, strict=True)]


def made(variant, layers=2, bidirectional=True, dtype=torch.float64, hidden=4):
    torch.manual_seed(5)
    cell = LstmVariant(variant, 3, hidden, layers, bidirectional=bidirectional).to(dtype)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(2)  # so that no gate stays near its middle
    sizes = [hidden, hidden] + [3 * hidden] * (variant == "full_gate_recurrence")
    count = layers * (1 + bidirectional)
    return cell, torch.randn(5, 7, 3, dtype=dtype), tuple(torch.randn(count, 5, size, dtype=dtype) for size in sizes)


def test_the_spec_offers_them_all():
    assert [ModelConfig(variant=name).variant for name in NAMES] == NAMES


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("variant", NAMES)
def test_each_variant_follows_the_papers_equations(variant, bidirectional):
    cell, x, state = made(variant, bidirectional=bidirectional)
    states, end = cell(x, state)
    assert states.shape == (5, 7, 8 if bidirectional else 4)
    for n in range(5):
        wanted, ends = in_numpy(cell, variant, x[n].numpy(), [part[:, n].numpy() for part in state])
        np.testing.assert_allclose(states[n].detach().numpy(), wanted, atol=1e-12)
        for found, each in zip(end, ends, strict=False):
            np.testing.assert_allclose(found[:, n].detach().numpy(), each, atol=1e-12)


@pytest.mark.parametrize("fast", [True, pytest.param(False, marks=pytest.mark.faults)])
@pytest.mark.parametrize("variant", NAMES)
def test_gradients_are_those_of_the_equations(variant, fast):
    """Fast: along a direction that is drawn at random, not along each axis."""
    cell, x, state = made(variant, hidden=2)
    names = [name for name, _ in cell.named_parameters()]
    fixed = state[2:]  # gates carry no gradient from one call to the next

    def of(x, h, c, *weights):
        weighed = dict(zip(names, weights, strict=True))
        states, (h, c, *_) = torch.func.functional_call(cell, weighed, (x, (h, c, *fixed)))
        return states, h, c

    inputs = [x[:2, :4], *(part[:, :2] for part in state[:2])]
    fixed = tuple(part[:, :2] for part in fixed)
    assert torch.autograd.gradcheck(
        of, (*(each.requires_grad_() for each in inputs), *cell.parameters()), fast_mode=fast
    )


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (3, False), (2, True)])
def test_without_peepholes_it_is_torchs_lstm(layers, bidirectional, dtype, limit):
    torch.manual_seed(1)
    theirs = torch.nn.LSTM(3, 6, layers, batch_first=True, bidirectional=bidirectional).to(dtype)
    torch.manual_seed(1)
    ours = LstmVariant("no_peepholes", 3, 6, layers, bidirectional=bidirectional).to(dtype)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(map(torch.equal, ours.parameters(), theirs.parameters())), "drawn otherwise"
    x, state = torch.randn(4, 9, 3, dtype=dtype), torch.randn(2, layers * (1 + bidirectional), 4, 6, dtype=dtype)
    found = []
    for cell in (ours, theirs):
        inputs = [x.clone().requires_grad_(), *(part.clone().requires_grad_() for part in state)]
        states, (h, c) = cell(inputs[0], (inputs[1], inputs[2]))
        loss = states.square().mean() + h.sin().mean() + c.cos().mean()
        found.append([states, h, c, *torch.autograd.grad(loss, [*inputs, *cell.parameters()])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=limit, rtol=0)


@pytest.mark.parametrize("variant", NAMES)
def test_in_two_parts_it_is_the_same(variant):
    cell, x, state = made(variant, bidirectional=False)
    whole, end = cell(x, state)
    first, middle = cell(x[:, :3], state)
    second, last = cell(x[:, 3:], middle)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


@pytest.mark.parametrize("variant", NAMES)
def test_the_state_alone_has_a_gradient_too(variant):
    cell, x, _ = made(variant)
    _, (_, c, *_) = cell(x)
    c.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in cell.parameters())


def test_dropout_acts_between_layers_in_training_only():
    torch.manual_seed(0)
    cell, x = LstmVariant("vanilla", 3, 8, 2, dropout=0.5), torch.randn(2, 5, 3)
    assert not torch.equal(cell(x)[0], cell(x)[0])
    cell.eval()
    assert torch.equal(cell(x)[0], cell(x)[0])


@pytest.mark.parametrize("variant", ["vanilla", "full_gate_recurrence"])
def test_under_autocast_it_computes_in_its_weights_precision(variant):
    cell, x, _ = made(variant, dtype=torch.float32)
    exact = cell(x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = cell(x.bfloat16())[0]
        rough.sum().backward()
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0)
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in cell.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("variant", NAMES)
def test_a_gpu_gives_the_same(variant):
    cell, x, state = made(variant)
    here = cell(x, state)[0]
    there = cell.cuda()(x.cuda(), tuple(part.cuda() for part in state))[0]
    torch.testing.assert_close(there.cpu(), here)
    there.sum().backward()


def test_parameters_are_as_many_as_the_papers_equations_have():
    counts = {name: sum(p.numel() for p in LstmVariant(name, 3, 5).parameters()) for name in NAMES}
    block = 5 * (3 + 5 + 2)
    assert counts["no_peepholes"] == 4 * block
    assert counts["vanilla"] == counts["no_input_activation"] == counts["no_output_activation"] == 4 * block + 15
    for name in ("no_input_gate", "no_forget_gate", "no_output_gate", "coupled_gates"):
        assert counts[name] == 3 * block + 10
    assert counts["full_gate_recurrence"] == 4 * block + 15 + 9 * 25

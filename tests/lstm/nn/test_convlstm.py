"""The ConvLSTM against a loop from the paper's equations: outputs and gradients."""

import pytest
import torch

from lstm.config.video import VideoModel
from lstm.nn.convlstm import BLOCKS, ConvLstm
from lstm.nn.frame_forecasters import Convolutional, Flat, build, numbers_of_state

SIDES, KERNEL, CHANNELS = (3, 4), 3, 2


def convolved(kernel, frame):
    """`kernel * frame` place by place: (out, in, k, k) and (in, height, width), zeros beyond the borders."""
    reach, (height, width) = kernel.shape[-1] // 2, frame.shape[1:]
    rows = []
    for row in range(height):
        places = []
        for column in range(width):
            total = kernel.new_zeros(len(kernel))
            for down in range(-reach, reach + 1):
                for right in range(-reach, reach + 1):
                    y, x = row + down, column + right
                    if 0 <= y < height and 0 <= x < width:
                        total = total + kernel[:, :, down + reach, right + reach] @ frame[:, y, x]
            places.append(total)
        rows.append(torch.stack(places, dim=1))
    return torch.stack(rows, dim=1)


def of_paper(layer, frames, hidden, cell):
    """Equation 3 of Shi et al. (2015) for one sequence of frames (time, channel, height, width), or so many steps."""
    w_x = None if layer.of_input is None else dict(zip(BLOCKS, layer.of_input.weight.chunk(4), strict=True))
    w_h = dict(zip(BLOCKS, layer.of_hidden.weight.chunk(4), strict=True))
    b = dict(zip(BLOCKS, layer.bias.chunk(4), strict=True))
    w_ci, w_cf, w_co = layer.peepholes if layer.peepholes is not None else torch.zeros(3, *hidden.shape).double()
    states = []
    for x in frames:
        of = {}
        for name in BLOCKS:
            of[name] = convolved(w_h[name], hidden) + b[name][:, None, None]
            of[name] = of[name] if w_x is None else of[name] + convolved(w_x[name], x)
        i = torch.sigmoid(of["input_gate"] + w_ci * cell)
        f = torch.sigmoid(of["forget_gate"] + w_cf * cell)
        cell = f * cell + i * torch.tanh(of["candidate"])
        o = torch.sigmoid(of["output_gate"] + w_co * cell)
        hidden = o * torch.tanh(cell)
        states.append(hidden)
    return torch.stack(states), (hidden, cell)


def model(**changes):
    return VideoModel(**{"cell": "convlstm", "channels": CHANNELS, "kernel_size": KERNEL} | changes)


@pytest.mark.parametrize("peepholes", [True, False])
def test_outputs_and_gradients_are_those_of_the_papers_equations(peepholes):
    torch.manual_seed(1)
    stack = ConvLstm(model(num_layers=2, peepholes=peepholes), 3, SIDES, 4).double()
    for layer in stack.layers:
        if peepholes:  # they begin at 0, which would hide them
            torch.nn.init.normal_(layer.peepholes)
    frames = torch.randn(2, 2, 3, *SIDES).double().requires_grad_()
    weights = torch.randn(2, 2, CHANNELS, *SIDES).double()
    inputs = [frames, *stack.parameters()]

    (_, top), state = stack(frames, None, 2, 2)
    ours = torch.autograd.grad((top * weights).sum() + state[0][1].sum(), inputs)

    zeros, total, tops = torch.zeros(CHANNELS, *SIDES).double(), 0, []
    for number, sequence in enumerate(frames):
        below, end = of_paper(stack.layers[0], sequence, zeros, zeros)
        found, _ = of_paper(stack.layers[1], below, zeros, zeros)
        tops.append(found)
        total = total + (found * weights[number]).sum() + end[1].sum()
    theirs = torch.autograd.grad(total, inputs)

    torch.testing.assert_close(top, torch.stack(tops), rtol=1e-10, atol=1e-12)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    assert all(each.abs().max() > 0 for each in ours)


def test_the_forecasting_half_goes_on_from_each_layers_state_without_an_input():
    torch.manual_seed(2)
    network = build(model(num_layers=2, patch=2), (1, 4, 6), 3, 2)
    assert isinstance(network, Convolutional)
    past = torch.rand(2, 3, 1, 4, 6)
    _, state = network.cell(torch.nn.functional.pixel_unshuffle(past, 2), None, 3, 2)
    found = []
    for sequence in range(2):
        frames, hidden = [None, None], []
        for layer, (h, c) in zip(network.forecaster.layers, state, strict=True):
            frames, _ = of_paper(layer.double(), frames, h[sequence].double(), c[sequence].double())
            hidden.append(frames)
        found.append(network.head.double()(torch.cat(hidden, dim=1)))
    wanted = torch.sigmoid(torch.nn.functional.pixel_shuffle(torch.stack(found), 2)).float()
    torch.testing.assert_close(network.float()(past), wanted, rtol=1e-5, atol=1e-6)


def test_initial_forget_biases_are_those_asked_for():
    for layer in ConvLstm(model(forget_bias=2.5), 1, SIDES, 9).layers:
        assert layer.bias.view(4, -1)[BLOCKS.index("forget_gate")].tolist() == [2.5] * CHANNELS
    torch.manual_seed(3)
    for layer in ConvLstm(model(forget_bias="chrono"), 1, SIDES, 9).layers:
        i, f, _, _ = layer.bias.view(4, -1)
        assert torch.equal(i, -f)
        assert ((f.exp() >= 1) & (f.exp() <= 8)).all()


def test_the_head_begins_at_a_brightness_and_the_output_is_in_range_or_linear():
    past = torch.rand(1, 2, 1, 4, 6)
    for output, low in (("sigmoid", 0.0), ("linear", -9.0)):
        for cell, kind in (("convlstm", Convolutional), ("lstm", Flat)):
            network = build(VideoModel(cell=cell, output=output, hidden_size=4), (1, 4, 6), 2, 3)
            assert isinstance(network, kind)
            network.begin_at(0.1)
            found = network(past)
            assert found.shape == (1, 3, 1, 4, 6)
            assert abs(found.mean().item() - 0.1) < 0.1
            network.begin_at(0.0 if output == "sigmoid" else -5.0)
            assert found.min() > low
            assert (network(past).mean() < 0.05).item()
    assert numbers_of_state(model(patch=2), (1, 4, 6)) == CHANNELS * 2 * 3
    assert numbers_of_state(VideoModel(hidden_size=7), (1, 4, 6)) == 7

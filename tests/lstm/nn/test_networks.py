from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lstm.nn.networks import EPSILON, PACE
from lstm.tasks.networks.forecast import build
from lstm.tasks.registry import parameter_count, unshared_parameter_count


class Shape:
    def __init__(self, inputs, targets=1, futures=0):
        self.inputs, self.futures = inputs, futures
        self.targets = tuple(f"y{i}" for i in range(targets))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(weights, x, state):
    h, c = state
    i, f, g, o = np.split(weights["wi"] @ x + weights["bi"] + weights["wh"] @ h + weights["bh"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def rnn_step(weights, x, state):
    h, _ = state
    return np.tanh(weights["wi"] @ x + weights["bi"] + weights["wh"] @ h + weights["bh"]), None


def gru_step(weights, x, state):
    h, _ = state
    ri, zi, ni = np.split(weights["wi"] @ x + weights["bi"], 3)
    rh, zh, nh = np.split(weights["wh"] @ h + weights["bh"], 3)
    r, z = sigmoid(ri + rh), sigmoid(zi + zh)
    return (1 - z) * np.tanh(ni + r * nh) + z * h, None


def forecast_in_numpy(network, past, ahead):
    """The equations of torch.nn.LSTM, GRU and RNN, the head, and what is known ahead, for one window."""
    p = {name: value.detach().numpy().astype(np.float64) for name, value in network.named_parameters()}
    step = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}[network.model.cell]
    sequence, size = past, network.model.hidden_size
    for layer in range(network.model.num_layers):
        outputs = []
        for direction in ("", "_reverse") if network.model.bidirectional else ("",):
            short = {"wi": "weight_ih", "wh": "weight_hh", "bi": "bias_ih", "bh": "bias_hh"}
            weights = {key: p[f"cell.{name}_l{layer}{direction}"] for key, name in short.items()}
            state, states = (np.zeros(size), np.zeros(size)), []
            for x in sequence[::-1] if direction else sequence:
                state = step(weights, x, state)
                states.append(state[0])
            outputs.append(states[::-1] if direction else states)
        sequence = [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
    summary = np.concatenate([sequence[-1][:size], sequence[0][size:]])  # each direction's last state
    forecast = (p["head.weight"] @ summary + p["head.bias"]).reshape(network.horizon, network.targets)
    if network.futures:
        for i, known in enumerate(ahead):
            hidden = np.tanh(p["ahead.0.weight"] @ np.concatenate([summary, known]) + p["ahead.0.bias"])
            forecast[i] += p["ahead.2.weight"] @ hidden + p["ahead.2.bias"]
    return forecast


CASES = [
    ({"cell": "lstm"}, 1, 0, 1),
    ({"cell": "gru"}, 1, 0, 1),
    ({"cell": "rnn"}, 1, 0, 1),
    ({"cell": "lstm", "num_layers": 3, "dropout": 0.5}, 2, 2, 5),
    ({"cell": "lstm", "num_layers": 2, "bidirectional": True}, 2, 1, 4),
    ({"cell": "gru", "bidirectional": True}, 1, 0, 2),
    ({"cell": "gru", "num_layers": 2}, 3, 1, 4),
]


def network_and_window(trial_config, model, targets, futures, inputs, lookback=7, horizon=3):
    torch.manual_seed(3)
    config = trial_config({"lookback": lookback, "horizon": horizon}, {"hidden_size": 5} | model)
    network = build(config, Shape(inputs, targets, futures)).eval()
    past, ahead = torch.randn(2, lookback, inputs), torch.randn(2, horizon, futures)
    return network, past, ahead


@pytest.mark.parametrize(("model", "targets", "futures", "inputs"), CASES)
def test_the_network_follows_the_equations(trial_config, model, targets, futures, inputs):
    network, past, ahead = network_and_window(trial_config, model, targets, futures, inputs)
    found = network(past, ahead).detach().numpy()
    assert found.shape == (2, 3, targets)
    for i in range(2):
        wanted = forecast_in_numpy(network, past[i].double().numpy(), ahead[i].double().numpy())
        np.testing.assert_allclose(found[i], wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("model", "targets", "futures", "inputs"), CASES)
@pytest.mark.parametrize("residual", ["none", "last", "linear"])
@pytest.mark.parametrize("normalization", ["none", "window"])
def test_residual_and_normalisation_follow_their_definition(
    trial_config, model, targets, futures, inputs, residual, normalization
):
    options = {"residual": residual, "normalization": normalization}
    network, past, ahead = network_and_window(trial_config, model | options, targets, futures, inputs)
    past[..., :targets] = past[..., :targets] * 3 + 7
    if residual == "linear":
        for weights in (*network.parameters(), *network.buffers()):
            nn.init.uniform_(weights, -0.4, 0.4)  # what starts at 0 would hide what it is multiplied with
    found = network(past, ahead).detach().numpy()
    for i in range(2):
        window = past[i].double().numpy().copy()
        mean, deviation, last = 0.0, 1.0, 0.0
        if normalization == "window":
            mean = window[:, :targets].mean(axis=0)
            deviation = np.sqrt(((window[:, :targets] - mean) ** 2).mean(axis=0)) + EPSILON
            window[:, :targets] = (window[:, :targets] - mean) / deviation
        if residual != "none":
            last = window[-1, :targets].copy()
            window[:, :targets] -= last
        if residual == "linear":
            last, mean = 0.0, linear_in_numpy(network, past[i].double().numpy())
        wanted = (forecast_in_numpy(network, window, ahead[i].double().numpy()) + last) * deviation + mean
        np.testing.assert_allclose(found[i], wanted, atol=2e-5, rtol=0)


def linear_in_numpy(network, past):
    """The last value, an intercept, and a sum over the steps before: for each target and step ahead."""
    p = {name: value.detach().numpy().astype(np.float64) for name, value in network.linear.state_dict().items()}
    weights, found = p["fitted"] + PACE * p["change"], np.zeros((network.horizon, network.targets))
    for target, step in np.ndindex(network.targets, network.horizon):
        changes = past[:-1, target] - past[-1, target]
        found[step, target] = past[-1, target] + p["intercept"][step, target] + changes @ weights[target, :, step]
    return found


def test_normalised_by_the_window_a_forecast_moves_with_the_data(trial_config):
    network, past, ahead = network_and_window(trial_config, {"normalization": "window"}, 1, 0, 1)
    torch.testing.assert_close(network(past * 5 + 100, ahead), network(past, ahead) * 5 + 100, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("residual", ["none", "last", "linear"])
def test_a_constant_window_gives_a_forecast_and_gradients_that_are_finite(trial_config, residual):
    options = {"normalization": "window", "residual": residual}
    network, past, ahead = network_and_window(trial_config, options, 1, 0, 1, lookback=1)
    forecast = network(torch.full_like(past, 4.0), ahead)
    forecast.square().sum().backward()
    assert torch.allclose(forecast, torch.tensor(4.0), atol=1e-3)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("model", "targets", "futures", "inputs"), CASES)
def test_parameters_are_as_many_as_the_closed_form_says(trial_config, model, targets, futures, inputs):
    horizon, hidden, layers = 3, 5, model.get("num_layers", 1)
    gates, ways = {"lstm": 4, "gru": 3, "rnn": 1}[model["cell"]], 1 + model.get("bidirectional", False)
    seen = [inputs] + [ways * hidden] * (layers - 1)
    cell = sum(ways * gates * hidden * (each + hidden + 2) for each in seen)
    head = horizon * targets * (ways * hidden + 1)
    ahead = hidden * (ways * hidden + futures + 1) + targets * (hidden + 1) if futures else 0
    config = trial_config({"horizon": horizon}, {"hidden_size": hidden} | model)
    shape = Shape(inputs, targets, futures)
    data = SimpleNamespace(facts=shape)
    assert parameter_count(config, data) == cell + head + ahead
    linear = config.model_copy(update={"model": config.model.model_copy(update={"residual": "linear"})})
    assert parameter_count(linear, data) == cell + head + ahead + targets * 7 * horizon
    assert sum(p.numel() for p in build(config, shape).parameters()) == cell + head + ahead
    assert unshared_parameter_count(config, data) == 8 * cell + head + ahead  # the look-back has eight steps


def test_counting_parameters_allocates_none(trial_config):
    config = trial_config({"horizon": 100_000}, {"hidden_size": 8192, "num_layers": 16, "forget_bias": "chrono"})
    assert parameter_count(config, SimpleNamespace(facts=Shape(1, 10))) > 8e9


def test_what_is_known_ahead_acts_on_its_own_step_only(trial_config):
    network, past, ahead = network_and_window(trial_config, {}, 1, 2, 3)
    before = network(past, ahead)
    ahead[:, 1] += 1
    changed = (network(past, ahead) - before).abs().amax(dim=(0, 2))
    assert changed[1] > 1e-4
    assert changed[0] == changed[2] == 0

"""`residual: linear`: a ridge regression, fitted once, that the network's forecast starts from."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from matrix import diagonal
from sklearn.linear_model import Ridge as Independent

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.diagnostics.probe import probe
from lstm.nn import highway, networks
from lstm.nn.highway import PENALTIES, fit, start
from lstm.tasks.networks import forecast
from lstm.tasks.registry import best_network, judge, parameter_count, subject, unshared_parameter_count
from lstm.training.estimates import memory_bytes, seconds_to_begin
from lstm.training.loop import train

LINEAR = {"residual": "linear"}
GAPS = {"missing": "interpolate", "split": {"validation": 40, "test": 40}}


def wave(rows=300, columns=1, seed=1):
    rng = np.random.default_rng(seed)
    steps = np.arange(rows)[:, None] / np.array([7.0, 11.0, 5.0, 13.0])[:columns]
    return np.sin(steps * 2 * np.pi) + 0.05 * steps + 0.1 * rng.normal(size=(rows, columns))


def started(config, series):
    torch.manual_seed(1)
    made = forecast.build(config, series)
    start(made, series, config)
    return made


def windows(config, series, target, origins):
    """Changes of the look-back, and ahead, to the last value, one window at a time."""
    values, lookback, horizon = series.values[:, target].astype(np.float64), config.data.lookback, config.data.horizon
    past = [values[o - lookback : o - 1] - values[o - 1] for o in origins]
    return np.array(past), np.array([values[o : o + horizon] - values[o - 1] for o in origins])


# --- Where it starts ---------------------------------------------------------------------------------------


@diagonal(
    data=[{}, {"scaling": "none"}, GAPS, GAPS | {"missing": "forward_fill"}],
    targets=[["y"], ["a", "b"]],
    model=[{}, {"normalization": "window"}, {"variant": "vanilla"}],
)
def test_it_is_the_ridge_regression_that_is_best_on_validation(trial_config, series_of, data, targets, model):
    config = trial_config(data | {"target": targets}, model | LINEAR, loss_on="measured")
    values = wave(columns=len(targets))
    if "missing" in data:
        values[1:][np.random.default_rng(2).random(values[1:].shape) < 0.1] = np.nan
    series = series_of(config.data, values)
    made = started(config, series)
    for target in range(len(targets)):
        known = [o for o in series.train_origins(config.data) if not np.isnan(values[o : o + 3, target]).any()]
        x, y = windows(config, series, target, known)
        judged, wanted = windows(config, series, target, series.origins("validation", config.data))
        models = [Independent(alpha=p * np.square(x).mean(), solver="svd").fit(x, y) for p in PENALTIES]
        errors = [np.square(each.predict(judged) - wanted).mean() for each in models]
        best = models[int(np.argmin(errors))]
        assert made.linear.fitted[target].numpy() == pytest.approx(best.coef_.T, abs=1e-6)
        past, ahead, _ = forecast.Windows(series, config.data, "cpu").at(torch.tensor(known[:5]))
        found = made(past, ahead)[:, :, target].detach().numpy() - past[:, -1:, target].numpy()
        assert found == pytest.approx(best.predict(x[:5]), rel=1e-4, abs=1e-4 * np.abs(y).max())


def test_a_target_is_forecast_from_its_own_look_back_and_in_any_unit_alike(trial_config, series_of):
    config = trial_config({"target": ["a", "b"], "scaling": "none"}, LINEAR)
    values = wave(columns=2)
    one = started(config, series_of(config.data, values))
    other = started(config, series_of(config.data, values * [1e6, 1e-6]))
    assert other.linear.fitted.numpy() == pytest.approx(one.linear.fitted.numpy(), rel=1e-3, abs=1e-5)
    values[:, 1] = np.random.default_rng(3).normal(size=300)
    changed = started(config, series_of(config.data, values))
    assert torch.equal(changed.linear.fitted[0], one.linear.fitted[0])
    assert not torch.equal(changed.linear.fitted[1], one.linear.fitted[1])


HARD = {
    "a constant validation part": lambda v: np.concatenate([v[:180], np.full((60, 1), v[179, 0]), v[240:]]),
    "exact zeros for a year": lambda v: np.concatenate([np.zeros((100, 1)), v[100:]]),
    "a straight line": lambda v: np.arange(len(v))[:, None] * 1.0,
    "huge values": lambda v: v * 1e30,
    "tiny values": lambda v: v * 1e-30,
}


@pytest.mark.parametrize("case", HARD)
@pytest.mark.parametrize("settings", [{}, {"lookback": 1}, {"lookback": 150, "horizon": 20}], ids=str)
def test_hard_data_give_a_finite_map_that_trains(trial_config, series_of, case, settings):
    config = trial_config(settings | {"scaling": "standard"}, LINEAR, {"max_epochs": 2})
    series = series_of(config.data, HARD[case](wave()))
    made = started(config, series)
    assert all(weights.isfinite().all() for weights in made.state_dict().values())
    *_, last = train(config, series)
    assert np.isfinite(last.metrics["val/loss"])


def test_where_no_window_is_measured_whole_it_starts_from_the_last_value(trial_config, series_of):
    config = trial_config(GAPS | {"missing": "forward_fill", "horizon": 4}, LINEAR, loss_on="measured")
    values = wave()
    values[2:220:3] = np.nan
    series = series_of(config.data, values)
    assert fit(series, config.data, 0) is None
    made = started(config, series)
    past, ahead, _ = forecast.Windows(series, config.data, "cpu").at(torch.tensor([250]))
    assert torch.equal(made(past, ahead), past[:, -1:].expand(-1, 4, -1))
    *_, last = train(config, series)
    assert np.isfinite(last.metrics["train/loss"])


def test_the_fit_is_in_blocks_and_the_same_to_the_bit(trial_config, series_of, monkeypatch):
    config = trial_config({"lookback": 20}, LINEAR)
    series = series_of(config.data, wave())
    whole, again = (started(config, series).linear.fitted for _ in range(2))
    assert torch.equal(whole, again)
    monkeypatch.setattr(highway, "BLOCK", 100)
    sizes = [len(x) for x, _ in highway._blocks(series.values[:, 0], series.train_origins(config.data), config.data)()]
    assert max(sizes) == 4
    assert torch.allclose(started(config, series).linear.fitted, whole, atol=1e-6)
    monkeypatch.setattr(highway, "FITTED", 50)
    assert not torch.allclose(started(config, series).linear.fitted, whole, atol=1e-6)


def test_of_a_long_look_back_its_last_steps_are_seen(trial_config, series_of, monkeypatch):
    for module in (networks, highway):
        monkeypatch.setattr(module, "LONGEST_MAP", 8)
    long, short = (
        trial_config({"lookback": n, "split": {"train": 150, "validation": 60, "test": 60}}, LINEAR) for n in (30, 8)
    )
    made = [started(config, series_of(config.data, wave(), reach=30)) for config in (long, short)]
    assert made[0].linear.change.shape == (1, 7, 3)
    past = torch.randn(2, 30, 1)
    assert torch.allclose(made[0].linear(past), made[0].linear(past[:, -8:]))


# --- Trained along -----------------------------------------------------------------------------------------


def test_it_is_fitted_once_kept_in_the_checkpoint_and_read_by_a_resumed_training(trial_config, series_of, monkeypatch):
    config = trial_config({}, LINEAR)
    series = series_of(config.data, wave())
    whole = list(train(config, series))
    assert whole[0].state.model["linear.change"].abs().max() > 0
    monkeypatch.setattr(highway, "fit", lambda *_: pytest.fail("fitted again"))
    saved = loads(dumps(Checkpoint(config, asdict(series.facts), whole[1].state)))
    rest = list(train(saved.config, series, saved.state))
    for name, weights in whole[-1].state.model.items():
        assert torch.equal(rest[-1].state.model[name], weights), name
    assert torch.equal(whole[-1].state.model["linear.fitted"], whole[0].state.model["linear.fitted"])
    kept = Checkpoint(config, asdict(series.facts), whole[-1].state)
    assert judge(kept, series)["test/loss"] > 0
    assert torch.equal(best_network(kept).linear.fitted, whole[0].state.model["linear.fitted"])


PLAIN, DEEP, BOTH_WAYS = {}, {"cell": "gru", "num_layers": 2, "dropout": 0.5}, {"bidirectional": True}


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        (PLAIN, "float32"),
        (DEEP, "bfloat16"),
        (BOTH_WAYS, "float32"),
        pytest.param(PLAIN, "bfloat16", marks=pytest.mark.faults),
        pytest.param(DEEP, "float32", marks=pytest.mark.faults),
        pytest.param(BOTH_WAYS, "bfloat16", marks=pytest.mark.faults),
    ],
)
def test_training_starts_at_the_maps_own_error_and_betters_it(trial_config, series_of, model, precision):
    options = {"learning_rate": 1e-9, "max_epochs": 1, "precision": precision}
    config = trial_config({"calendar": ["day_of_week"], "time": "t"}, model | LINEAR, options)
    series = series_of(config.data, wave(), step="D")
    at_first = forecast.Feed(series, config, "cpu").evaluate(started(config, series), "validation")["loss"]
    [epoch] = train(config, series)
    assert epoch.metrics["val/loss"] == pytest.approx(at_first, rel=1e-3)
    rough = wave() + 0.8 * np.sign(np.sin(np.arange(300) / 9))[:, None]
    longer = trial_config(
        {"calendar": ["day_of_week"], "time": "t"}, model | LINEAR | {"hidden_size": 16}, {"max_epochs": 15}
    )
    losses = [e.metrics["train/loss"] for e in train(longer, series_of(longer.data, rough, step="D"))]
    assert min(losses[1:]) < losses[0]


def test_weight_decay_draws_the_map_to_where_it_started(trial_config, series_of):
    strong = {"optimizer": "adamw", "weight_decay": 10.0, "learning_rate": 0.1, "max_epochs": 1}
    config = trial_config({}, LINEAR, strong)
    [epoch] = train(config, series_of(config.data, wave()))
    free = config.model_copy(update={"training": config.training.model_copy(update={"weight_decay": 0.0})})
    [other] = train(free, series_of(config.data, wave()))
    assert epoch.state.model["linear.change"].norm() < other.state.model["linear.change"].norm()
    assert torch.equal(epoch.state.model["linear.fitted"], other.state.model["linear.fitted"])


def test_it_is_counted_and_needs_memory(trial_config, series_of):
    last, linear = (trial_config({"target": ["a", "b"]}, {"residual": name}) for name in ("last", "linear"))
    series = series_of(last.data, wave(columns=2))
    assert parameter_count(linear, series) - parameter_count(last, series) == 2 * 7 * 3
    assert unshared_parameter_count(linear, series) - unshared_parameter_count(last, series) == 2 * 7 * 3
    assert memory_bytes(linear, series) - memory_bytes(last, series) > 4 * 17 * 2 * 7 * 3
    assert seconds_to_begin(linear, series) > seconds_to_begin(last, series) == 0
    wide = trial_config({"target": ["a", "b"], "lookback": 60}, LINEAR)
    assert memory_bytes(wide, series) - memory_bytes(linear, series) > 8 * (60**2 - 8**2)


def test_it_is_probed_with_inputs_of_any_length(trial_config, series_of):
    config = trial_config({"lookback": 12}, LINEAR | {"normalization": "window"})
    series = series_of(config.data, wave())
    *_, last = train(config, series)
    looked_at = subject(Checkpoint(config, asdict(series.facts), last.state), series)
    for length in (1, 2, 11, 12, 40):
        assert looked_at.respond(torch.randn(2, length, 1)).shape == (2, 3)
    assert probe(looked_at).numbers["delay/strongest"] > 0


# --- What it is worth --------------------------------------------------------------------------------------


def test_beside_the_same_network_without_it_a_linear_series_is_forecast_better(trial_config, series_of):
    losses = {}
    for name in ("none", "last", "linear"):
        config = trial_config({"lookback": 30, "horizon": 10}, {"residual": name}, {"max_epochs": 10})
        losses[name] = min(e.metrics["val/loss"] for e in train(config, series_of(config.data, wave(500))))
    assert losses["linear"] < 0.5 * min(losses["none"], losses["last"])

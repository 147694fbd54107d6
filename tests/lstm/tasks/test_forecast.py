from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.data.seasonal_naive import naive_error, seasonal_naive
from lstm.nn.networks import evaluation_batch
from lstm.records.errors import BadInput
from lstm.rivals.forecast import naive_metrics
from lstm.tasks import registry as tasks
from lstm.tasks.networks import forecast
from lstm.tasks.networks.forecast import Windows, build, evaluate, follow
from lstm.tasks.registry import best_network, examples, judge
from lstm.training import run
from lstm.training.loop import train


def metrics_of(config):
    return [f"val/{each.name}" for each in tasks.of(config).metrics_of(config.data)]


EVERYTHING = {
    "target": ["a", "b"],
    "past_covariates": ["p"],
    "future_covariates": ["f"],
    "time": "t",
    "calendar": ["day_of_week"],
    "lookback": 6,
    "horizon": 3,
}


def random_network(config, series):
    torch.manual_seed(1)
    return build(config, series)


def facts_of(checkpoint):
    return tasks.of(checkpoint.config).facts_of(checkpoint.facts)


def predict(checkpoint, source):
    return follow(best_network(checkpoint), checkpoint.config.data, facts_of(checkpoint), source)


def trained(config, series):
    [*_, last] = train(config, series)
    return Checkpoint(config, asdict(series.facts), last.state)


# --- Windows ----------------------------------------------------------------------------------------------


def test_windows_are_views_of_the_series(data_config, series_of, walk):
    config = data_config(lookback=8, horizon=3)
    series = series_of(config, walk(100))
    windows = Windows(series, config, "cpu")
    assert windows._windows.data_ptr() == series.values.ctypes.data
    assert windows._windows.untyped_storage().nbytes() == series.values.nbytes
    assert windows._windows.shape == (90, 11, 1)


def test_windows_leave_a_read_only_series_as_it_is(data_config, series_of, walk, recwarn):
    config = data_config()
    series = series_of(config, walk(100))
    series.values.flags.writeable = False
    past, _, _ = Windows(series, config, "cpu").at(torch.tensor([50]))
    past += 1  # a batch is a copy
    assert past[0, 0, 0] == series.values[42, 0] + 1
    assert not recwarn.list


def test_a_window_is_the_lookback_what_is_known_ahead_and_the_targets(data_config, series_of, walk):
    config = data_config(**EVERYTHING)
    series = series_of(config, walk(100, 4), step="D")
    origins = np.array([6, 50, 97])
    past, ahead, target = Windows(series, config, "cpu").at(torch.from_numpy(origins))
    for i, origin in enumerate(origins):
        np.testing.assert_array_equal(past[i], series.values[origin - 6 : origin])
        np.testing.assert_array_equal(ahead[i], series.values[origin : origin + 3, 3:])
        np.testing.assert_array_equal(target[i], series.values[origin : origin + 3, :2])


@pytest.mark.parametrize(("column", "reaches"), [("a", False), ("b", False), ("p", False), ("f", True)], ids=str)
def test_of_the_horizon_only_future_covariates_reach_the_network(trial_config, series_of, walk, column, reaches):
    config = trial_config(EVERYTHING | {"scaling": "none"})
    values = walk(100, 4)
    planted = values.copy()
    planted[60:, config.data.columns.index(column)] += 10
    forecasts = []
    for rows in (values, planted):
        series = series_of(config.data, rows, step="D")
        past, ahead, _ = Windows(series, config.data, "cpu").at(torch.tensor([60]))
        forecasts.append(random_network(config, series)(past, ahead))
    assert torch.equal(*forecasts) is not reaches


@pytest.mark.parametrize(("role", "perfect"), [("future_covariates", True), ("past_covariates", False)])
def test_the_target_itself_as_a_covariate_is_an_oracle_only_if_known_ahead(trial_config, series_of, role, perfect):
    noise = np.random.default_rng(4).normal(size=400)
    data = {role: ["oracle"], "lookback": 2, "horizon": 2}
    config = trial_config(data, {"hidden_size": 16}, {"learning_rate": 0.02, "max_epochs": 12})
    losses = [e.metrics["val/loss"] for e in train(config, series_of(config.data, np.column_stack([noise, noise])))]
    assert (min(losses) < 0.02) is perfect
    assert perfect or min(losses) > 0.8  # the noise has variance 1


# --- Targets that were filled in --------------------------------------------------------------------------

GAPS = {"lookback": 4, "horizon": 3, "split": {"validation": 30, "test": 30}}


def gappy(walk, columns=1, share=0.3):
    """A walk of which a share of the training part is missing, in each column somewhere else."""
    values = walk(140, columns)
    values[1:80][np.random.default_rng(5).random((79, columns)) < share] = np.nan
    return values


@pytest.mark.parametrize("mode", ["interpolate", "forward_fill"])
@pytest.mark.parametrize("targets", [["y"], ["a", "b"]], ids=str)
def test_the_loss_is_the_mean_over_the_targets_that_were_measured(trial_config, series_of, walk, mode, targets):
    config = trial_config(GAPS | {"missing": mode, "target": targets}, {}, {"batch_size": 16}, loss_on="measured")
    values = gappy(walk, len(targets))
    series = series_of(config.data, values)
    feed, network = forecast.Feed(series, config, "cpu"), random_network(config, series)
    for place in range(-(-feed.items // 16)):
        origins = feed.order(np.random.default_rng(1))(place)
        loss, count = feed.loss(network, origins)
        past, ahead, target = feed._windows.at(origins)
        errors = (network(past, ahead) - target).square()
        there = torch.from_numpy(~np.isnan(values)[origins[:, None] + torch.arange(3)])
        assert 0 < count == int(there.sum()) < errors.numel()
        assert loss.item() == pytest.approx(errors[there].mean().item(), rel=1e-5)


def test_an_epochs_loss_is_the_mean_over_all_measured_targets(trial_config, series_of, walk):
    still = {"batch_size": 16, "learning_rate": 1e-12, "max_epochs": 1}  # the network stays what it is
    config = trial_config(GAPS | {"missing": "forward_fill", "target": ["a", "b"]}, {}, still, loss_on="measured")
    values = gappy(walk, 2)
    series = series_of(config.data, values)
    [epoch] = train(config, series)
    torch.manual_seed(run.seed_of(config.training.seed, run.WEIGHTS))
    network, windows = build(config, series), Windows(series, config.data, "cpu")
    squares = []
    for origin in series.train_origins(config.data):
        past, ahead, _ = windows.at(torch.tensor([origin]))
        with torch.no_grad():
            found = network(past, ahead)[0].numpy()
        wanted = series.values[origin : origin + 3]
        squares += [
            float(found[step, column] - wanted[step, column]) ** 2
            for step in range(3)
            for column in range(2)
            if not np.isnan(values[origin + step, column])
        ]
    assert epoch.metrics["train/loss"] == pytest.approx(np.mean(squares), rel=1e-5)


@pytest.mark.parametrize("loss_on", ["measured", "all"])
def test_what_a_filled_in_target_is_moves_nothing(trial_config, series_of, walk, loss_on):
    config = trial_config(GAPS | {"missing": "forward_fill"}, loss_on=loss_on)
    series = series_of(config.data, gappy(walk))
    origin = next(int(o) for o in series.train_origins(config.data) if series.holes[o] and not series.holes[o + 1])
    gradients = []
    for filled in (0.0, 1e6):
        values = series.values.copy()
        values[origin] = filled
        other = replace(series, values=values)
        network = random_network(config, other)
        loss, _ = forecast.Feed(other, config, "cpu").loss(network, torch.tensor([origin]))
        loss.backward()
        gradients.append([p.grad for p in network.parameters()])
    same = all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert same is (loss_on == "measured")


@pytest.mark.parametrize("mode", ["interpolate", "forward_fill"])
def test_a_window_without_any_measured_target_is_not_drawn(trial_config, series_of, walk, mode):
    config = trial_config(GAPS | {"missing": mode}, {}, {"batch_size": 1, "max_epochs": 1}, loss_on="measured")
    values = walk(140)
    values[30:50] = np.nan
    series = series_of(config.data, values)
    every, drawn = series.train_origins(config.data), series.train_origins(config.data, measured=True)
    wanted = [o for o in every if not np.isnan(values[o : o + 3]).all()]
    assert drawn.tolist() == wanted != every.tolist()
    feed = forecast.Feed(series, config, "cpu")
    assert feed.items == len(wanted) == tasks.of(config).describe(series, config)["windows"]["train"]
    assert sorted(int(feed.order(np.random.default_rng(0))(place)) for place in range(feed.items)) == wanted
    [epoch] = train(config, series)
    assert np.isfinite(epoch.metrics["train/loss"])


@pytest.mark.parametrize(
    ("settings", "gaps"),
    [
        ({}, []),
        ({"missing": "interpolate"}, []),
        ({"missing": "skip"}, [(20, 0), (50, 0)]),
        ({"missing": "forward_fill"}, [(2, 0), (90, 0), (120, 0)]),  # no training window forecasts these
        ({"missing": "interpolate"}, [(30, 1), (31, 1)]),  # of a covariate
    ],
    ids=str,
)
def test_where_no_target_was_filled_in_training_is_as_it_was_to_the_bit(trial_config, series_of, walk, settings, gaps):
    data = GAPS | {"past_covariates": ["p"]} | settings
    values = walk(140, 2)
    for place in gaps:
        values[place] = np.nan
    ends = []
    for loss_on in ("all", "measured"):
        config = trial_config(data, {}, {"input_noise": 0.1}, loss_on=loss_on)
        *_, last = train(config, series_of(config.data, values))
        ends.append(last)
    assert all(torch.equal(ends[0].state.model[name], ends[1].state.model[name]) for name in ends[0].state.model)
    for name in ("train/loss", "grad_norm", "val/loss"):
        assert ends[0].metrics[name] == ends[1].metrics[name]


@pytest.mark.parametrize("loss_on", ["measured", "all"])
def test_with_gaps_a_training_that_is_resumed_is_the_same_to_the_bit(trial_config, series_of, walk, loss_on):
    config = trial_config(GAPS | {"missing": "interpolate"}, {}, {"batch_size": 16}, loss_on=loss_on)
    series = series_of(config.data, gappy(walk))
    whole = list(train(config, series))
    saved = loads(dumps(Checkpoint(config, asdict(series.facts), whole[1].state)))
    assert saved.config == config
    rest = list(train(saved.config, series, saved.state))
    assert [e.metrics["train/loss"] for e in rest] == [e.metrics["train/loss"] for e in whole[2:]]
    assert all(torch.equal(rest[-1].state.model[name], weights) for name, weights in whole[-1].state.model.items())


# --- Metrics ----------------------------------------------------------------------------------------------


def metrics_by_loop(config, series, part, forecast_of):
    """Every metric from its definition, a window, a step and a target at a time, in original units."""
    names, deviation = series.targets, series.scale.deviation
    scaled, errors = [], {name: [] for name in names}
    for origin in series.origins(part, config):
        forecast = forecast_of(origin)
        for step in range(config.horizon):
            for column, name in enumerate(names):
                error = float(forecast[step, column]) - float(series.values[origin + step, column])
                scaled.append(error)
                errors[name].append(error * deviation[column])
    found = {"loss": np.mean(np.square(scaled)), "mae": np.mean(np.abs(scaled))}
    found["mase"] = np.mean([np.mean(np.abs(errors[n])) / naive_error(series)[i] for i, n in enumerate(names)])
    for name in names:
        suffix = f"/{name}" if len(names) > 1 else ""
        found[f"mae_original{suffix}"] = np.mean(np.abs(errors[name]))
        found[f"rmse_original{suffix}"] = np.sqrt(np.mean(np.square(errors[name])))
    return found


@pytest.mark.parametrize("settings", [{}, EVERYTHING, EVERYTHING | {"missing": "interpolate"}], ids=str)
@pytest.mark.parametrize("part", ["validation", "test"])
def test_metrics_agree_with_a_plain_loop(trial_config, series_of, walk, settings, part):
    config = trial_config(settings, {"num_layers": 2, "dropout": 0.5})
    values = walk(200, len(config.data.columns)) * np.arange(1, len(config.data.columns) + 1) * 50
    if settings.get("missing"):
        values[np.random.default_rng(0).random(values.shape) < 0.03] = np.nan
    series = series_of(config.data, values, step="D")
    network = random_network(config, series).train()  # dropout must be off all the same
    windows = Windows(series, config.data, "cpu")

    def forecast(origin):
        past, ahead, _ = windows.at(torch.tensor([origin]))
        with torch.no_grad():
            return network.eval()(past, ahead)[0].numpy()

    network.train()
    found = evaluate(network, windows, series, config.data, part)
    assert found == pytest.approx(metrics_by_loop(config.data, series, part, forecast), rel=1e-5)


KINDS = {
    "1e12": lambda values: values * 1e12,
    "1e-9": lambda values: values * 1e-9,
    "1e20": lambda values: values * 1e20 + 3e20,
    "zeros": lambda values: np.where(np.arange(len(values))[:, None] % 10, 0, np.abs(values)),
    "constant parts": lambda values: np.where(np.arange(len(values))[:, None] // 15 % 2, 7.5, values),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_metrics_are_those_of_the_forecasts_from_each_origin(trial_config, table_of, series_of, walk, kind):
    config = trial_config({"time": "t"}, {}, {"max_epochs": 1})
    values = KINDS[kind](walk(150))
    series, source = series_of(config.data, values, step="h"), table_of(values, step="h")
    checkpoint = trained(config, series)
    origins = series.origins("test", config.data)
    assert len(origins) > 20
    errors = [
        np.array(predict(checkpoint, replace(source, times=source.times[:origin], values=values[:origin]))["y"])
        - values[origin : origin + config.data.horizon, 0]
        for origin in origins
    ]
    found = evaluate(best_network(checkpoint), Windows(series, config.data, "cpu"), series, config.data, "test")
    assert found["mae_original"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-6)
    assert found["rmse_original"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-6)


def test_what_is_in_the_test_part_moves_no_loss_of_validation(trial_config, series_of, walk):
    config = trial_config({}, {}, {"max_epochs": 2})
    values = walk(150)
    series = series_of(config.data, values)
    other = values.copy()
    other[series.bounds["test"][0] :] *= -9
    both = [
        [e.metrics["val/loss"].hex() for e in train(config, each)] for each in (series, series_of(config.data, other))
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize("settings", [{"season": 7}, EVERYTHING, EVERYTHING | {"missing": "forward_fill"}], ids=str)
def test_the_baseline_agrees_with_a_plain_loop(data_config, series_of, walk, settings):
    config = data_config(**settings)
    values = walk(200, len(config.columns))
    if config.missing != "refuse":
        values[1:][np.random.default_rng(0).random(values[1:].shape) < 0.03] = np.nan
    series = series_of(config, values, step="D")
    wanted = metrics_by_loop(
        config, series, "test", lambda origin: seasonal_naive(series, np.array([origin]), config.horizon)[0]
    )
    assert naive_metrics(series, config, "test") == pytest.approx(wanted, rel=1e-6)


def test_mase_is_the_error_over_the_naive_ones_within_the_training_part(data_config, series_of, walk):
    config = data_config(season=4, horizon=2, split={"validation": 50, "test": 50})
    y = walk(200)[:, 0]
    errors = [abs(y[o + s] - y[o + s - 4]) for o in range(150, 199) for s in range(2)]
    usual = [abs(y[t] - y[t - 4]) for t in range(4, 100)]
    found = naive_metrics(series_of(config, y), config, "test")
    assert found["mase"] == pytest.approx(np.mean(errors) / np.mean(usual), rel=1e-4)
    assert found["mae_original"] == pytest.approx(np.mean(errors), rel=1e-4)


@pytest.mark.parametrize("settings", [{}, EVERYTHING], ids=str)
def test_the_metrics_that_can_be_searched_for_are_those_that_are_measured(trial_config, series_of, walk, settings):
    config = trial_config(settings)
    series = series_of(config.data, walk(100, len(config.data.columns)), step="D")
    found = evaluate(random_network(config, series), Windows(series, config.data, "cpu"), series, config.data, "test")
    assert sorted(metrics_of(config)) == sorted(f"val/{name}" for name in found)


def test_wide_networks_and_long_lookbacks_are_judged_in_smaller_batches(trial_config, series_of, walk, monkeypatch):
    config = trial_config()
    assert evaluation_batch(8, config.model) == 512
    wide = trial_config({"lookback": 2000}, {"hidden_size": 512})
    assert evaluation_batch(2000, wide.model) == 16
    huge = trial_config({"lookback": 100_000}, {"hidden_size": 8192})
    assert evaluation_batch(100_000, huge.model) == 1
    series = series_of(config.data, walk(200))
    network, windows = random_network(config, series), Windows(series, config.data, "cpu")
    whole = evaluate(network, windows, series, config.data, "test")
    monkeypatch.setattr("lstm.nn.networks.EVALUATION_CELLS", 7 * 8 * 4)
    assert evaluate(network, windows, series, config.data, "test") == pytest.approx(whole, rel=1e-6)


def test_judging_names_the_test_metrics_and_the_baselines(trial_config, series_of, walk):
    config = trial_config()
    series = series_of(config.data, walk(150))
    checkpoint = trained(config, series)
    found = judge(checkpoint, series)
    windows = Windows(series, config.data, "cpu")
    wanted = evaluate(best_network(checkpoint), windows, series, config.data, "test")
    assert {k: v for k, v in found.items() if k.startswith("test/")} == {f"test/{k}": v for k, v in wanted.items()}
    assert found["baseline/loss"] == naive_metrics(series, config.data, "test")["loss"]


def test_a_checkpoint_without_weights_says_so(trial_config, series_of, walk):
    config = trial_config()
    series = series_of(config.data, walk(150))
    checkpoint = trained(config, series)
    bare = replace(checkpoint, state=replace(checkpoint.state, best_weights={}))
    for use in (best_network, lambda c: judge(c, series), lambda c: examples(c, series)):
        with pytest.raises(BadInput) as error:
            use(bare)
        assert [wrong.code for wrong in error.value.faults] == ["checkpoint-without-weights"]


# --- Examples ---------------------------------------------------------------------------------------------


def test_examples_show_forecast_truth_and_baseline_in_original_units(trial_config, series_of, walk):
    config = trial_config(EVERYTHING | {"missing": "forward_fill"})
    values = walk(200, 4) * 100
    values[150, 0] = np.nan
    series = series_of(config.data, values, step="D")
    checkpoint = trained(config, series)
    found = forecast.examples(best_network(checkpoint), series, config, count=4)
    origins = series.origins("test", config.data)
    assert [f.target for f in found] == ["a", "b"] * 4
    for shown, origin in ((found[0], origins[0]), (found[-2], origins[-1])):
        np.testing.assert_allclose(shown.truth, values[origin : origin + 3, 0], rtol=1e-5)
        np.testing.assert_allclose(shown.past, values[origin - 6 : origin, 0], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(shown.baseline, values[origin - 7 : origin - 4, 0], rtol=1e-4, atol=1e-3)
        past, ahead, _ = Windows(series, config.data, "cpu").at(torch.tensor([origin]))
        with torch.no_grad():
            scaled = best_network(checkpoint)(past, ahead)[0].numpy()
        np.testing.assert_allclose(shown.forecast, series.original(scaled)[:, 0], rtol=1e-5)
        assert shown.times[0] == str(pd.Timestamp("2020-01-01") + pd.Timedelta(days=int(origin)))[:10]
        assert len(shown.past_times) == len(shown.past) == 6


def test_examples_are_as_many_as_there_are_origins(trial_config, series_of, walk):
    config = trial_config({"horizon": 9, "split": {"validation": 20, "test": 10}})
    series = series_of(config.data, walk(100))
    found = forecast.examples(best_network(trained(config, series)), series, config, count=5)
    assert [f.times[0] for f in found] == ["90", "91"]


# --- Forecasts of what comes next -------------------------------------------------------------------------


def by_hand(checkpoint, values, future=None):
    """The forecast after the last row of targets, from the network and the scale alone."""
    scale, config = facts_of(checkpoint).scale, checkpoint.config.data
    scaled = ((values - np.array(scale.mean)) / np.array(scale.deviation)).astype(np.float32)
    past = torch.from_numpy(scaled[None, -config.lookback :])
    ahead = torch.zeros(1, config.horizon, 0) if future is None else torch.from_numpy(future[None])
    with torch.no_grad():
        forecast = best_network(checkpoint)(past, ahead)[0].numpy()
    count = len(facts_of(checkpoint).targets)
    return forecast * np.array(scale.deviation[:count]) + np.array(scale.mean[:count])


@pytest.mark.parametrize(
    ("step", "start", "last", "times"),
    [
        ("7D", "2020-01-06", "2022-11-14", ["2022-11-21", "2022-11-28", "2022-12-05"]),
        ("MS", "2010-01-01", "2022-06-01", ["2022-07-01", "2022-08-01", "2022-09-01"]),
        ("ME", "2010-01-31", "2022-06-30", ["2022-07-31", "2022-08-31", "2022-09-30"]),
        ("h", "2020-01-01", "2020-01-07T05:00:00", [f"2020-01-07T{h:02d}:00:00" for h in (6, 7, 8)]),
        ("250ms", "2020-01-01", "", [f"2020-01-01T00:00:{s}0000" for s in ("37.50", "37.75", "38.00")]),
        ("B", "2020-01-01", "2020-07-28", ["2020-07-29", "2020-07-30", "2020-07-31"]),
        ("", "", "149", ["150", "151", "152"]),
    ],
)
def test_a_forecast_is_the_networks_on_the_last_window_and_its_times_go_on(
    trial_config, table_of, series_of, walk, step, start, last, times
):
    config = trial_config({"time": "t" if step else None})
    values = walk(150) * 10 + 300
    table = {"step": step, "start": start}
    checkpoint = trained(config, series_of(config.data, values, **table))
    source = table_of(values, **table)
    found = predict(checkpoint, source)
    assert list(found) == ["t" if step else "step", "y"]
    assert found[next(iter(found))] == times
    np.testing.assert_allclose(found["y"], by_hand(checkpoint, values)[:, 0], rtol=1e-5)
    assert not last or last in str(source.times[-1]).replace(" ", "T")


def test_whole_numbers_as_time_go_on_by_their_step(trial_config, table_of, series_of, walk):
    config = trial_config({"time": "t"})
    source = replace(table_of(walk(150)), times=pd.RangeIndex(1000, 2500, 10), step="10")
    checkpoint = trained(config, series_of(config.data, walk(150)))
    checkpoint = replace(checkpoint, facts={**checkpoint.facts, "step": "10"})
    assert predict(checkpoint, source)["t"] == ["2500", "2510", "2520"]


def test_rows_without_targets_give_the_future_covariates(trial_config, table_of, series_of, walk):
    config = trial_config(EVERYTHING | {"calendar": []})
    values = walk(150, 4)
    checkpoint = trained(config, series_of(config.data, values[:140], step="D"))
    ahead = values[140:145].copy()  # five rows, the horizon is three
    ahead[:, :3] = np.nan
    found = predict(checkpoint, table_of(np.concatenate([values[:140], ahead]), config.data.columns, step="D"))
    scale = facts_of(checkpoint).scale
    future = ((ahead[:3, 3:] - scale.mean[3]) / scale.deviation[3]).astype(np.float32)
    wanted = by_hand(checkpoint, values[:140], future)
    np.testing.assert_allclose(found["a"], wanted[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found["b"], wanted[:, 1], rtol=1e-5)
    assert found["t"] == ["2020-05-20", "2020-05-21", "2020-05-22"]


@pytest.mark.parametrize("rows", [0, 2])
def test_future_covariates_are_needed_over_the_whole_horizon(trial_config, table_of, series_of, walk, rows):
    config = trial_config(EVERYTHING)
    values = walk(140, 4)
    checkpoint = trained(config, series_of(config.data, values, step="D"))
    ahead = np.column_stack([np.full((rows, 3), np.nan), np.zeros(rows)])
    with pytest.raises(BadInput) as error:
        predict(checkpoint, table_of(np.concatenate([values, ahead]), config.data.columns, step="D"))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("horizon-without-covariates", {"horizon": 3, "covariates": ["f"]})


def test_the_calendar_needs_no_rows_ahead(trial_config, table_of, series_of, walk):
    config = trial_config({"time": "t", "calendar": ["day_of_week"]})
    values = walk(140)
    checkpoint = trained(config, series_of(config.data, values, step="D"))
    assert len(predict(checkpoint, table_of(values, step="D"))["y"]) == 3


@pytest.mark.parametrize("mode", ["refuse", "interpolate", "forward_fill", "skip"])
def test_gaps_in_the_lookback_are_filled_as_in_training_or_refused(trial_config, table_of, series_of, walk, mode):
    config = trial_config({"missing": mode, "past_covariates": ["p"]})
    whole = walk(150, 2)
    checkpoint = trained(config, series_of(config.data, whole))
    values = whole.copy()
    values[145:147, 0] = np.nan
    values[149, 1] = np.nan
    source = table_of(values, config.data.columns)
    if mode in ("refuse", "skip"):
        with pytest.raises(BadInput) as error:
            predict(checkpoint, source)
        [wrong] = error.value.faults
        assert (wrong.code, wrong.values) == ("look-back-with-gap", {"column": "y", "time": "145"})
        return
    line = np.linspace(whole[144, 0], whole[147, 0], 4)[1:3]
    values[145:147, 0] = line if mode == "interpolate" else whole[144, 0]
    values[149, 1] = values[148, 1]
    np.testing.assert_allclose(predict(checkpoint, source)["y"], by_hand(checkpoint, values)[:, 0], rtol=1e-5)


def test_a_covariate_after_the_last_target_fills_nothing_before_it(trial_config, table_of, series_of, walk):
    config = trial_config({"missing": "interpolate", "past_covariates": ["p"]})
    values = walk(150, 2)
    checkpoint = trained(config, series_of(config.data, values))
    values[149, 1] = np.nan
    source = table_of(np.concatenate([values, [[np.nan, 1000.0]]]), config.data.columns)
    values[149, 1] = values[148, 1]
    np.testing.assert_allclose(predict(checkpoint, source)["y"], by_hand(checkpoint, values)[:, 0], rtol=1e-5)


def test_a_gap_before_the_lookback_does_no_harm(trial_config, table_of, series_of, walk):
    config = trial_config()
    values = walk(150)
    checkpoint = trained(config, series_of(config.data, values))
    values[100] = np.nan
    found = predict(checkpoint, table_of(values))["y"]
    np.testing.assert_allclose(found, by_hand(checkpoint, values)[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("rows", "code", "told"),
    [
        (5, "too-few-rows-to-look-back", {"rows": 5, "lookback": 8}),
        (0, "no-target-known", {"targets": ["y"]}),
    ],
)
def test_too_few_rows_are_told(trial_config, table_of, series_of, walk, rows, code, told):
    config = trial_config()
    checkpoint = trained(config, series_of(config.data, walk(150)))
    values = np.concatenate([walk(150)[:rows], np.full((20, 1), np.nan)])
    with pytest.raises(BadInput) as error:
        predict(checkpoint, table_of(values))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == (code, told)


def test_a_lookback_that_starts_with_a_gap_is_told(trial_config, table_of, series_of, walk):
    config = trial_config({"missing": "forward_fill"})
    checkpoint = trained(config, series_of(config.data, walk(150)))
    values = walk(8)
    values[0] = np.nan
    with pytest.raises(BadInput) as error:
        predict(checkpoint, table_of(values))
    assert [wrong.code for wrong in error.value.faults] == ["look-back-starts-with-gap"]


def test_another_step_than_the_training_datas_is_refused(trial_config, table_of, series_of, walk):
    config = trial_config({"time": "t"})
    checkpoint = trained(config, series_of(config.data, walk(150), step="h"))
    with pytest.raises(BadInput) as error:
        predict(checkpoint, table_of(walk(150), step="D"))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("step-of-another-length", {"step": "D", "wanted": "h"})

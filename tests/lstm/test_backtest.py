"""A training over the windows of a backtest: against a plain loop, resumed anywhere, and blind for what comes after."""

from dataclasses import replace
from itertools import accumulate
from statistics import median

import numpy as np
import pytest
import torch
from trainings import run, same_weights, told, windows

from lstm.config.forecast import ForecastData
from lstm.data.forecast import prepare
from lstm.nn.networks import Forecaster
from lstm.records.errors import BadInput
from lstm.rivals import forecast as forecast_rivals
from lstm.rivals import others
from lstm.tasks import registry as tasks
from lstm.verdict import fitting

ROWS, WINDOWS, LENGTH, TEST = 160, 3, 15, 30
FIRST = ROWS - TEST - WINDOWS * LENGTH  # the first row of the first window
BACKTEST = {"windows": WINDOWS, "length": LENGTH}
SPLIT = {"validation": 50, "test": TEST}  # the windows leave five rows of the validation part to the training


@pytest.fixture(scope="module")
def case(trial_config, series_of, walk):
    """A configuration with a backtest and its series; `case(refit=False)` trains the first window only."""

    def make(model=None, values=None, **backtest):
        data = {"split": SPLIT, "backtest": BACKTEST | backtest, "season": 5}
        config = trial_config(data, {"residual": "last"} | (model or {}), {"max_epochs": 6, "patience": 2})
        return config, series_of(config.data, walk(ROWS) if values is None else values)

    return make


def test_each_window_is_what_a_plain_training_on_all_before_it_gives(case):
    """The plain loop cuts the table after each window, and trains there without a backtest, on the same scale."""
    config, series = case()
    epochs = run(config, series)
    plain = config.model_copy(update={"data": config.data.model_copy(update={"backtest": None})})
    for number, mine in enumerate(windows(epochs)):
        start = FIRST + number * LENGTH
        bounds = {"train": (0, start), "validation": (start, start + LENGTH), "test": (ROWS - TEST, ROWS)}
        cut = replace(series, windows=(), window=0, bounds=bounds)
        for one, other in zip(mine, run(plain, cut), strict=True):
            assert (one.number, one.stop, one.value) == (other.number, other.stop, other.value)
            assert same_weights(one.state.model, other.state.model)
            assert same_weights(one.state.best_weights, other.state.best_weights)


def test_a_window_is_judged_on_every_origin_whose_horizon_lies_in_it(case):
    """A loop over rows in NumPy, with the network of the best epoch."""
    config, series = case()
    section, values = config.data_as(ForecastData), series.values[:, 0]
    for number, epochs in enumerate(windows(run(config, series))):
        start, stop = FIRST + number * LENGTH, FIRST + (number + 1) * LENGTH
        state = epochs[-1].state
        network = tasks.of(config).network(config, series.facts)
        assert isinstance(network, Forecaster)
        network.load_state_dict(dict(state.best_weights))
        network.eval()
        errors = []
        for origin in range(start, stop - section.horizon + 1):
            past = torch.from_numpy(series.values[None, origin - section.lookback : origin])
            ahead = torch.zeros(1, section.horizon, 0)
            with torch.no_grad():
                forecast = network(past, ahead)[0, :, 0].numpy()
            errors.append(np.square(forecast - values[origin : origin + section.horizon]))
        assert len(errors) == LENGTH - section.horizon + 1
        assert np.mean(errors) == pytest.approx(state.best_value, rel=1e-5)


def test_the_scale_is_that_of_the_rows_before_the_first_window(case, walk):
    _, series = case()
    before = walk(ROWS)[:FIRST, 0]
    assert series.scale.mean[0] == pytest.approx(before.mean(), rel=1e-12)
    assert series.scale.deviation[0] == pytest.approx(before.std(), rel=1e-12)
    assert series.bounds == {"train": (0, FIRST), "validation": (FIRST, ROWS - TEST), "test": (ROWS - TEST, ROWS)}


def test_a_window_that_is_not_trained_anew_is_judged_with_the_first_windows_best_epoch(case):
    config, series = case(refit=False)
    first, *later = windows(run(config, series))
    anew, *_ = windows(run(*case()))
    assert told(first) == told(anew)
    state = first[-1].state
    for number, [epoch] in enumerate(later, 2):
        assert (epoch.number, epoch.stop) == (state.best_epoch, "judged")
        assert same_weights(epoch.state.best_weights, state.best_weights)
        network = tasks.of(config).network(config, series.facts)
        network.load_state_dict(dict(state.best_weights))
        judged = tasks.of(config).feed(series.at_window(number), config, "cpu").evaluate(network, "validation")
        assert epoch.value == judged["loss"]


@pytest.mark.parametrize(
    ("refit", "residual"),
    [
        (True, "linear"),
        (False, "last"),
        pytest.param(True, "last", marks=pytest.mark.faults),
        pytest.param(False, "linear", marks=pytest.mark.faults),
    ],
)
def test_resumed_after_any_epoch_it_goes_on_to_the_bit(case, refit, residual):
    config, series = case({"residual": residual}, refit=refit)
    whole = run(config, series, to_test=True)
    assert [e.window for e in whole] == sorted(e.window for e in whole)
    for place, epoch in enumerate(whole):
        rest = run(config, series, epoch.state, to_test=True)
        assert told(rest) == told(whole[place + 1 :])
        if rest:
            assert same_weights(rest[-1].state.model, whole[-1].state.model)
            assert same_weights(rest[-1].state.best_weights, whole[-1].state.best_weights)


def test_before_the_test_part_it_is_trained_on_all_rows_for_the_median_of_the_windows(case):
    config, series = case()
    *judged, final = windows(run(config, series, to_test=True))
    assert len(judged) == WINDOWS
    bests = [min(epochs, key=lambda e: e.value).number for epochs in judged]
    assert len(final) == median(bests)
    assert final[-1].stop == "max_epochs"
    assert not any(name.startswith("val/") for epoch in final for name in epoch.metrics)
    # A plain training on the rows before the test part, without patience, for as many epochs.
    training = config.training.model_copy(update={"patience": None})
    data = config.data.model_copy(update={"backtest": None})
    plain = config.model_copy(update={"data": data, "training": training})
    bounds = {"train": (0, ROWS - TEST), "validation": (FIRST, ROWS - TEST), "test": (ROWS - TEST, ROWS)}
    other = run(plain, replace(series, windows=(), window=0, bounds=bounds))[len(final) - 1]
    assert same_weights(final[-1].state.best_weights, other.state.model)
    assert final[-1].metrics["train/loss"] == other.metrics["train/loss"]


def test_until_its_last_epoch_the_weights_of_the_last_window_are_kept(case):
    config, series = case()
    epochs = run(config, series, to_test=True)
    *judged, final = windows(epochs)
    assert len(final) > 1
    for epoch in final[:-1]:
        assert same_weights(epoch.state.best_weights, judged[-1][-1].state.best_weights)
    assert same_weights(final[-1].state.best_weights, final[-1].state.model)


@pytest.mark.parametrize(
    ("missing", "residual"),
    [
        ("refuse", "last"),
        ("interpolate", "linear"),
        pytest.param("refuse", "linear", marks=pytest.mark.faults),
        pytest.param("interpolate", "last", marks=pytest.mark.faults),
        pytest.param("forward_fill", "last", marks=pytest.mark.faults),
        pytest.param("forward_fill", "linear", marks=pytest.mark.faults),
    ],
)
def test_what_comes_after_a_window_changes_nothing_in_it(case, data_config, table_of, walk, missing, residual):
    """Every later value is another, and every window up to there is the same to the bit."""
    values = walk(ROWS)
    if missing != "refuse":
        values[[20, 21, FIRST - 1, FIRST + LENGTH - 1, FIRST + LENGTH, FIRST + 2 * LENGTH - 1]] = np.nan
    config, _ = case({"residual": residual})
    section = data_config(split=SPLIT, backtest=BACKTEST, season=5, missing=missing)
    config = config.model_copy(update={"data": section})

    def trained(table):
        return windows(run(config, prepare(table_of(table), section, section.lookback)))

    right = trained(values)
    for number in range(WINDOWS):
        end = FIRST + (number + 1) * LENGTH
        other = values.copy()
        other[end:] = 1e3 - other[end:]
        changed = trained(other)
        assert told(changed[number]) == told(right[number])
        assert [told(each) for each in changed[: number + 1]] == [told(each) for each in right[: number + 1]]
        if number + 1 < WINDOWS:
            assert told(changed[number + 1]) != told(right[number + 1])


def test_windows_share_out_the_validation_part_evenly(data_config, series_of, walk):
    section = data_config(split={"validation": 50, "test": 30}, backtest={"windows": 4})
    spans = series_of(section, walk(160)).windows
    assert spans[0][0] == 80
    assert spans[-1][1] == 130
    assert [start for start, _ in spans[1:]] == [stop for _, stop in spans[:-1]]
    lengths = [stop - start for start, stop in spans]
    assert max(lengths) - min(lengths) <= 1
    assert list(accumulate(lengths))[-1] == 50


REFUSED = {
    "a window that is one gap": ({"missing": "skip"}, {"windows": 3, "length": 15}, "no-forecast-in-window"),
    "more steps than the part has": ({}, {"windows": 4, "length": 15}, "windows-do-not-fit"),
    "windows without room for a forecast": ({"horizon": 13}, {"windows": 4}, "windows-too-short"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_windows_that_do_not_fit_the_data_are_refused(data_config, series_of, walk, name):
    settings, backtest, code = REFUSED[name]
    values = walk(ROWS)
    if settings.get("missing"):
        values[FIRST + LENGTH : FIRST + 2 * LENGTH - 1] = np.nan
    share = 50 / ROWS
    section = data_config(split={"validation": share, "test": TEST / ROWS}, backtest=backtest, **settings)
    with pytest.raises(BadInput) as error:
        series_of(section, values)
    assert [each.code for each in error.value.faults] == [code]
    assert "data.backtest" in {each.path for each in error.value.faults}


# --- Rivals


def ridge_map(inputs, outputs, penalty):
    """The closed form of ridge regression with an intercept that is not penalised."""
    x, y = inputs - inputs.mean(axis=0), outputs - outputs.mean(axis=0)
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    return lambda rows: (rows - inputs.mean(axis=0)) @ weights + outputs.mean(axis=0)


def cut(values, origins, lookback, horizon):
    """Windows of one column: the look-back's changes from the last value, and the changes over the horizon."""
    past = np.stack([values[origin - lookback : origin] for origin in origins])
    ahead = np.stack([values[origin : origin + horizon] for origin in origins])
    return past[:, :-1] - past[:, -1:], ahead - past[:, -1:]


def test_ridge_is_fitted_for_each_window_and_chosen_by_the_mean_over_windows(case):
    """A loop in NumPy over look-backs, penalties and windows."""
    config, series = case()
    values, horizon = series.values[:, 0].astype(np.float64), config.data.horizon
    starts = [FIRST + window * LENGTH for window in range(WINDOWS)]
    found = {}
    for lookback in forecast_rivals.lookbacks(series.at_window(1), config.data):
        for penalty in forecast_rivals.PENALTIES:
            losses = []
            for start in starts:
                trained = cut(values, range(lookback, start - horizon + 1), lookback, horizon)
                inputs, truth = cut(values, range(start, start + LENGTH - horizon + 1), lookback, horizon)
                losses.append(np.square(ridge_map(*trained, penalty)(inputs) - truth).mean())
            found[lookback, penalty] = np.mean(losses)
    lookback, penalty = min(found, key=found.__getitem__)
    outcome = fitting.run("ridge", series, config)
    assert outcome.fitted.settings["lookback"] == lookback
    assert outcome.fitted.settings["penalty"] == penalty
    assert outcome.over_windows["validation"]["loss"] == pytest.approx(found[lookback, penalty], rel=1e-5)
    # On the test part stands a fit on all rows before it.
    trained = cut(values, range(lookback, ROWS - TEST - horizon + 1), lookback, horizon)
    inputs, truth = cut(values, range(ROWS - TEST, ROWS - horizon + 1), lookback, horizon)
    wanted = np.square(ridge_map(*trained, penalty)(inputs) - truth).mean()
    assert outcome.judgements["test"].metrics["loss"] == pytest.approx(wanted, rel=1e-5)
    assert outcome.judgements.keys() == {"test"}


@pytest.mark.parametrize("name", [rival.name for rival in forecast_rivals.RIVALS])
def test_a_rival_that_is_judged_again_has_the_same_figures(case, name):
    config, series = case()
    once = fitting.run(name, series, config)
    again = fitting.judge_again(once.fitted, series, config)
    assert once.why == again.why == ""
    assert again.over_windows == once.over_windows
    assert again.judgements["test"].metrics == once.judgements["test"].metrics


def test_a_rival_without_a_backtest_is_what_it_was(case):
    config, series = case()
    plain = config.model_copy(update={"data": config.data.model_copy(update={"backtest": None})})
    for rival in forecast_rivals.RIVALS:
        outcome = fitting.run(rival.name, replace(series, windows=()), plain)
        assert outcome.judgements.keys() == {"validation", "test"}
        assert not outcome.over_windows


@pytest.mark.parametrize("name", [rival.name for rival in others.RIVALS])
def test_the_extra_rivals_are_fitted_for_each_window(case, name):
    config, series = case()
    if missing := fitting.lacking(tasks.of(config).rival(name)):
        pytest.skip(f"{missing[0]} is not installed")
    outcome = fitting.run(name, series, config)
    assert outcome.why == ""
    rival, views = tasks.of(config).rival(name), tasks.windows_of(config, series)
    judged = [rival.judge(rival.refit(outcome.fitted, view, config), view, config, "validation") for view in views]
    losses = [each.metrics["loss"] for each in judged]
    assert outcome.over_windows["validation"]["loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    again = fitting.judge_again(outcome.fitted, series, config)
    assert again.judgements["test"].metrics == outcome.judgements["test"].metrics

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge as Independent

from lstm.data import forecast as forecast_data
from lstm.data.seasonal_naive import seasonal_naive
from lstm.records.errors import BadInput
from lstm.rivals import forecast
from lstm.rivals.rival import Fitted
from lstm.tasks.registry import TASKS
from lstm.verdict import fitting

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
CO2 = EXPERIMENTS / "data" / "co2.csv"


def outcome(name, series, config):
    found = fitting.run(name, series, config)
    assert found.fitted, found.why
    return found


def by_hand(name, values, origin, season, horizon, levels):
    """The rule's forecast for one origin, step by step, and its mean absolute error's rows."""
    found = []
    for step in range(horizon):
        so = []
        for number in range({"last value": 0, "last season and change": 1, "mean of two seasons": 2}[name]):
            back = season * (step // season + 1 + number)
            change = np.mean([values[origin - n] - values[origin - n - back] for n in range(1, levels + 1)], axis=0)
            so.append(values[origin + step - back] + change)
        found.append(np.mean(so, axis=0) if so else values[origin - 1])
    return np.array(found)


@pytest.mark.parametrize("horizon", [3, 17])
@pytest.mark.parametrize("name", ["last value", "last season and change", "mean of two seasons"])
def test_a_rule_forecasts_as_its_sentence_says(trial_config, series_of, seasonal, name, horizon):
    config = trial_config({"target": ["y", "z"], "season": 7, "horizon": horizon})
    series = series_of(config.data, seasonal(300, 7))
    found = outcome(name, series, config)
    origins, level = series.origins("test", config.data), found.fitted.settings["level"]
    values = series.values.astype(float)
    wanted = [by_hand(name, values, o, 7, horizon, level) - values[o : o + horizon] for o in origins]
    np.testing.assert_allclose(
        found.judgements["test"].items.errors["mae"], np.abs(wanted).mean(axis=(1, 2)), rtol=1e-4, atol=1e-6
    )


def test_a_rule_with_too_few_rows_falls_back_to_fewer_seasons_then_to_the_last_value(trial_config, series_of, seasonal):
    config = trial_config({"season": 20, "horizon": 2, "split": {"validation": 20, "test": 20}})
    series = series_of(config.data, seasonal(60, 20, 1))
    [rule] = [each for each in forecast.RIVALS if each.name == "mean of two seasons"]
    values, one = series.values[:, :1], forecast.Rule("one", "", 1)
    origins = np.array([10, 20, 21, 30, 41])
    found = rule._from(values, origins, 2, 20, 1)
    np.testing.assert_array_equal(found[:2, :, 0], values[origins[:2] - 1].repeat(2, axis=1))
    np.testing.assert_array_equal(found[2:4], one._from(values, origins, 2, 20, 1)[2:4])
    assert not np.array_equal(found[4:], one._from(values, origins, 2, 20, 1)[4:])


@pytest.mark.parametrize("horizon", [4, 15])
def test_the_seasonal_naive_needs_no_more_than_a_season(trial_config, series_of, seasonal, horizon):
    config = trial_config({"season": 7, "horizon": horizon})
    series = series_of(config.data, seasonal(300, 7, 1))
    fitted = outcome("seasonal naive", series, config).fitted
    assert fitted.settings["lookback"] == 7
    past = series.values[None, 193:200]
    found = TASKS["forecast"].rival(fitted.name).forecast(fitted, past, np.empty((1, horizon, 0)))
    np.testing.assert_array_equal(found, seasonal_naive(series, np.array([200]), horizon))


@pytest.mark.parametrize("lookback", [1, 2])
def test_the_shortest_look_back_has_a_ridge_too(trial_config, series_of, walk, lookback):
    config = trial_config({"lookback": lookback, "season": 1})
    found = outcome("ridge", series_of(config.data, walk(200)), config)
    assert found.fitted.settings["lookback"] >= 1
    assert np.isfinite(found.judgements["test"].items.errors["loss"]).all()


def test_without_a_season_the_rules_coincide_or_make_no_sense(trial_config, series_of, walk):
    config = trial_config({"season": 1})
    names = [each.name for each in TASKS["forecast"].rivals()]
    ran = fitting.run_some(names, series_of(config.data, walk(200)), config, 0)
    found = {each.name: each for each in ran}
    last, seasonal = (found[name].judgements["test"].items for name in ("last value", "seasonal naive"))
    np.testing.assert_array_equal(last.errors["loss"], seasonal.errors["loss"])
    assert found["last season and change"].fitted is None
    assert "season" in found["last season and change"].why


@pytest.mark.parametrize("case", ["plain", "everything"])
def test_the_ridge_is_scikit_learns_on_the_same_matrix(trial_config, series_of, walk, case):
    extra = {
        "past_covariates": ["p"],
        "future_covariates": ["f"],
        "time": "t",
        "calendar": ["day_of_week", "day_of_year"],
    }
    config = trial_config({"target": ["y", "z"], "lookback": 6, "horizon": 3} | (extra if case == "everything" else {}))
    series = series_of(
        config.data, walk(300, 4 if case == "everything" else 2), step="D" if case == "everything" else ""
    )
    found = outcome("ridge", series, config)
    settings = found.fitted.settings
    lookback = settings["lookback"]
    values, start, stop = series.values.astype(float), *series.bounds["train"]

    def pair(o):
        past, rest = values[o - lookback : o], values[o : o + 3]
        pieces = [past[:-1, :2] - past[-1, :2]]
        if case == "everything":
            pieces += [past[:, 2:4], rest[:, 3:4], rest[:1, 4:]]
        return np.concatenate([piece.ravel() for piece in pieces]), (rest[:, :2] - past[-1, :2]).ravel()

    x, y = map(np.array, zip(*[pair(o) for o in range(start + lookback, stop - 2)], strict=True))
    independent = Independent(alpha=settings["penalty"], solver="svd").fit(x, y)
    np.testing.assert_allclose(found.fitted.arrays["weights"], independent.coef_.T, atol=1e-6)
    origins = series.origins("test", config.data)
    inputs, truth = map(np.array, zip(*[pair(o) for o in origins], strict=True))
    errors = np.square(independent.predict(inputs) - truth).mean(axis=1)
    np.testing.assert_allclose(found.judgements["test"].items.errors["loss"], errors, atol=1e-6)


def test_no_target_that_was_filled_in_is_fitted_or_judged(trial_config, series_of, walk):
    config = trial_config({"missing": "forward_fill", "lookback": 4, "horizon": 3})
    values = walk(200)
    values[[20, 60, 90, 130, 170]] = np.nan
    series = series_of(config.data, values)
    layout = forecast.Layout.of(series, config.data, 4)
    origins, count = forecast.training_origins(series, config.data, layout)
    assert count == len(origins) > 50
    assert not any(np.isnan(values[o : o + 3]).any() for o in origins)
    assert len(origins) == sum(not np.isnan(values[o : o + 3]).any() for o in range(4, series.bounds["train"][1] - 2))
    for part in ("validation", "test"):
        places = outcome("ridge", series, config).judgements[part].items.places
        assert not any(np.isnan(values[o : o + 3]).any() for o in places)


def test_what_follows_the_training_part_changes_no_fit(trial_config, series_of, walk):
    config = trial_config({"lookback": 4})
    values = walk(300)
    changed = values.copy()
    changed[250:] += 5  # the test part
    one, other = (outcome("ridge", series_of(config.data, each), config).fitted for each in (values, changed))
    assert one.settings == other.settings
    np.testing.assert_array_equal(one.arrays["weights"], other.arrays["weights"])


def test_look_backs_are_judged_on_the_same_windows_within_what_the_data_allow(trial_config, series_of, walk):
    config = trial_config({"season": 12, "lookback": 10})
    series = series_of(config.data, walk(400), reach=30)
    found = forecast.lookbacks(series, config.data)
    assert {5, 10, 12, 24, 30, 36} <= set(found)
    assert max(found) <= series.bounds["validation"][0]
    skipping = trial_config({"season": 12, "lookback": 10, "missing": "skip"})
    values = walk(400)
    values[50] = np.nan
    assert max(forecast.lookbacks(series_of(skipping.data, values, reach=30), skipping.data)) == 30


def test_a_long_series_is_sampled_and_the_note_says_so(trial_config, series_of, walk, monkeypatch):
    monkeypatch.setattr(forecast, "MOST_WINDOWS", 50)
    config = trial_config()
    series = series_of(config.data, walk(500))
    one, other = (outcome("ridge", series, config).fitted for _ in range(2))
    assert one.settings["windows"] == 50
    assert "50 of 2" in one.note
    np.testing.assert_array_equal(one.arrays["weights"], other.arrays["weights"])


def test_a_small_block_changes_no_figure(trial_config, series_of, walk, monkeypatch):
    config = trial_config()
    series = series_of(config.data, walk(300))
    whole = outcome("ridge", series, config).judgements["test"].metrics
    monkeypatch.setattr(forecast, "BLOCK", 100)
    assert dict(outcome("ridge", series, config).judgements["test"].metrics) == pytest.approx(dict(whole), rel=1e-6)


@pytest.mark.parametrize("name", [each.name for each in forecast.RIVALS])
def test_a_forecast_from_a_window_is_the_one_that_was_judged(cases, name):
    series, config = cases["forecast"]
    found = outcome(name, series, config)
    origins = series.origins("test", config.data)
    lookback = found.fitted.settings["lookback"]
    layout = forecast.Layout.of(series, config.data, lookback)
    past, ahead, _ = forecast.windows(series, layout, origins)
    rows = origins[:, None] + np.arange(config.data.horizon)
    errors = TASKS["forecast"].rival(found.fitted.name).forecast(found.fitted, past, ahead) - series.values[rows, :2]
    np.testing.assert_allclose(
        found.judgements["test"].items.errors["mae"], np.abs(errors).mean(axis=(1, 2)), rtol=1e-4, atol=1e-6
    )
    if name == "seasonal naive":
        np.testing.assert_allclose(errors, seasonal_naive(series, origins, 4) - series.values[rows, :2], atol=1e-6)


@pytest.mark.parametrize("name", ["seasonal naive", "mean of two seasons", "ridge"])
def test_a_rival_predicts_what_follows_a_file(trial_config, series_of, seasonal, tmp_path, name):
    config = trial_config({"time": "t", "season": 7, "lookback": 9, "horizon": 4, "calendar": ["day_of_week"]})
    values = seasonal(300, 7, 1)
    series = series_of(config.data, values, step="1D")
    fitted = outcome(name, series, config).fitted
    times = pd.date_range("2020-01-01", periods=200, freq="D")
    pd.DataFrame({"t": times, "y": values[:200, 0]}).to_csv(tmp_path / "b.csv", index=False)
    found = TASKS["forecast"].predict_by_rival(fitted, config, series.facts, "b.csv", tmp_path)
    layout = forecast.Layout.of(series, config.data, fitted.settings["lookback"])
    past, ahead, _ = forecast.windows(series, layout, np.array([200]))
    wanted = series.original(TASKS["forecast"].rival(fitted.name).forecast(fitted, past, ahead))[0, :, 0]
    np.testing.assert_allclose(found["y"], wanted, rtol=1e-4)
    assert found["t"] == [str(time)[:10] for time in pd.date_range("2020-01-01", periods=204, freq="D")[200:]]
    pd.DataFrame({"t": times[:3], "y": values[:3, 0]}).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(BadInput) as error:
        TASKS["forecast"].predict_by_rival(fitted, config, series.facts, "c.csv", tmp_path)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("too-few-rows-to-look-back", str(tmp_path / "c.csv"))
    assert wrong.values == {"rows": 3, "lookback": fitted.settings["lookback"]}


def test_a_rival_that_is_judged_only_predicts_nothing(trial_config, series_of, walk, tmp_path):
    config = trial_config()
    facts = series_of(config.data, walk(100)).facts
    with pytest.raises(BadInput) as error:
        TASKS["forecast"].predict_by_rival(Fitted("AutoETS", "AutoETS", {}, {}), config, facts, "b.csv", tmp_path)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["name"]) == ("rival-judged-only", "AutoETS")
    assert "ridge" in wrong.values["able"]
    assert "AutoETS" not in wrong.values["able"]


@pytest.mark.parametrize(("name", "near"), [("rigde", "ridge"), ("Seasonal naive", "seasonal naive"), ("zzz", None)])
def test_a_rival_that_the_task_does_not_have_is_refused_with_those_it_has(name, near):
    with pytest.raises(BadInput) as error:
        TASKS["forecast"].check_predicts(name)
    [wrong] = error.value.faults
    known = [each.name for each in TASKS["forecast"].rivals()]
    assert (wrong.code, wrong.values) == ("rival-unknown", {"name": name, "near": near, "known": known})


@pytest.mark.skipif(not CO2.is_file(), reason="experiments/data/co2.csv is not there")
def test_co2s_rivals_are_as_good_as_those_made_by_hand(trial_config):
    section = {
        "time": "week",
        "target": "ppm",
        "calendar": ["day_of_year"],
        "lookback": 104,
        "horizon": 26,
        "split": {"validation": 0.15, "test": 0.15},
        "missing": "interpolate",
    }
    config = trial_config(section)
    series = forecast_data.load(config.data, CO2, 130)
    ran = fitting.run_some([each.name for each in TASKS["forecast"].rivals()], series, config, 0)
    found = {each.name: each.judgements["test"] for each in ran if each.fitted}
    figures = {name: each.metrics["mae_original"] for name, each in found.items()}
    assert figures["seasonal naive"] == pytest.approx(1.693, abs=1e-3)
    assert figures["last season and change"] == pytest.approx(0.679, abs=1e-3)
    assert figures["mean of two seasons"] < 0.51
    assert figures["ridge"] < 0.431
    assert len(found["ridge"].items.places) == 318

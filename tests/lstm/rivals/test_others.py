"""The rivals of the extra `rivals`, where it is installed."""

import json

import numpy as np
import pytest

from lstm.rivals import forecast
from lstm.rivals.rival import Fitted
from lstm.tasks.registry import TASKS
from lstm.verdict import fitting


def again(fitted, folder):
    """What is read of a rival after it was written."""
    np.savez(folder / "a.npz", **fitted.arrays)
    with np.load(folder / "a.npz", allow_pickle=False) as read:
        return Fitted(fitted.name, fitted.title, json.loads(json.dumps(dict(fitted.settings))), dict(read))


@pytest.mark.parametrize("name", ["AutoETS", "MSTL", "AutoARIMA"])
def test_statsforecasts_models_are_led_on_to_each_origin(trial_config, series_of, seasonal, tmp_path, name):
    models = pytest.importorskip("statsforecast.models")
    config = trial_config({"season": 7, "horizon": 3, "split": {"validation": 20, "test": 20}})
    series = series_of(config.data, seasonal(120, 7, 1) + 50)
    found = fitting.run(name, series, config)
    assert found.fitted, found.why
    values = series.original(series.values[:, :1])[:, 0]
    model = getattr(models, name)(season_length=7).fit(values[: series.bounds["train"][1]])
    origins = series.origins("test", config.data)
    wanted = [np.abs(model.forward(values[:o], 3)["mean"] - values[o : o + 3]).mean() for o in origins]
    np.testing.assert_allclose(found.judgements["test"].items.errors["mae_original"], wanted, rtol=1e-5)
    read = TASKS[config.task].rival(name).judge(again(found.fitted, tmp_path), series, config, "test")
    np.testing.assert_array_equal(read.items.errors["loss"], found.judgements["test"].items.errors["loss"])


def test_boosted_trees_forecast_from_a_window_what_was_judged(cases, tmp_path):
    pytest.importorskip("lightgbm")
    series, config = cases["forecast"]
    found = fitting.run("LightGBM", series, config)
    assert found.fitted, found.why
    read = again(found.fitted, tmp_path)
    origins = series.origins("test", config.data)
    layout = forecast.Layout.of(series, config.data, read.settings["lookback"])
    past, ahead, _ = forecast.windows(series, layout, origins)
    truth = series.values[origins[:, None] + np.arange(4), :2]
    errors = np.abs(TASKS["forecast"].rival(read.name).forecast(read, past, ahead) - truth).mean(axis=(1, 2))
    np.testing.assert_allclose(found.judgements["test"].items.errors["mae"], errors, rtol=1e-5)
    assert found.judgements["test"].items.mean("loss") < fitting.run("last value", series, config).judgements[
        "test"
    ].items.mean("loss")


def test_random_kernels_tell_digits_apart(cases, tmp_path):
    pytest.importorskip("sktime")
    pytest.importorskip("numba")
    data, config = cases["classify"]
    found = fitting.run("random kernels", data, config)
    assert found.fitted, found.why
    assert found.judgements["test"].metrics["accuracy"] > 0.9
    read = TASKS[config.task].rival("random kernels").judge(again(found.fitted, tmp_path), data, config, "test")
    np.testing.assert_array_equal(read.items.errors["loss"], found.judgements["test"].items.errors["loss"])

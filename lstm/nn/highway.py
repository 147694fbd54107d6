"""Fits the initial weights of a forecaster's linear map: a ridge regression on the training part.

Its penalty is chosen on the validation part; in the training before the test part, which follows a backtest, by the
mean over its windows. A refit takes the penalty of the trial whose setting it trains. The map is fitted once, before
the first epoch; afterwards the checkpoint contains it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from lstm.config.forecast import ForecastData
from lstm.config.trial import TrialConfig
from lstm.data.forecast import Series
from lstm.nn import ridge
from lstm.nn.networks import LONGEST_MAP, Forecaster

PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-6, 11))  # relative to the mean square of the inputs
FITTED, CHOSEN_ON = 65_536, 8_192  # most windows that are used, spread evenly: neighbours are nearly equal
BLOCK = 2**20  # most numbers in a block of windows (8 MiB), but at least one window


def start(network: nn.Module, series: Series, trial: TrialConfig) -> None:
    """Fit and set the linear map of a network that has one, for each target separately.

    The map of a target that can't be fitted stays 0, so it forecasts the last value.
    """
    if trial.model.residual != "linear":
        return
    assert isinstance(network, Forecaster)
    config, linear = trial.data_as(ForecastData), network.linear
    # Always on one thread: with more threads sums are taken in another order, and their last bits differ.
    with threadpool_limits(1, user_api="blas"):
        for target in range(len(series.targets)):
            found = _with_penalty(series, config, target) if series.penalties else fit(series, config, target)
            if found is not None:
                linear.fitted[target] = torch.from_numpy(found.weights)
                linear.intercept[:, target] = torch.from_numpy(found.intercept)


def fit(series: Series, config: ForecastData, target: int) -> ridge.Ridge | None:
    """Fit the ridge regression of a target over the horizon on its look-back, both as differences from the last value.

    Windows are left out if a value of the target was filled in within their horizon. At most `FITTED` windows are used
    for the fit and `CHOSEN_ON` for the choice of the penalty. Returns None if no window remains or values are not
    finite.
    """
    chosen = _chosen(series, config, target)
    return chosen[0] if chosen else None


def penalties(series: Series, trial: TrialConfig) -> tuple[float | None, ...]:
    """Return by target the penalty that a trial's map has, relative to the inputs' mean square; None for no map.

    `series` are the data of the sweep. After a backtest, the penalty is that of the training before the test part.
    """
    if trial.model.residual != "linear":
        return ()
    view = series.at_window(len(series.windows) + len(series.fresh) + 1)  # the series itself without a backtest
    config = trial.data_as(ForecastData)
    with threadpool_limits(1, user_api="blas"):
        found = [_chosen(view, config, target) for target in range(len(series.targets))]
    return tuple(each[1] if each else None for each in found)


def _with_penalty(series: Series, config: ForecastData, target: int) -> ridge.Ridge | None:
    """Fit a refit's map of a target, with the penalty that its series names; None if the target has no map."""
    penalty = series.penalties[target]
    with np.errstate(all="ignore"):
        return next(iter(_candidates(series, config, target, [penalty])), None) if penalty is not None else None


def _chosen(series: Series, config: ForecastData, target: int) -> tuple[ridge.Ridge, float] | None:
    """Return the map of a target and its penalty relative to the inputs' mean square; None as `fit`."""
    with np.errstate(all="ignore"):
        candidates = _candidates(series, config, target, PENALTIES)
        if not candidates:
            return None
        if series.is_before_test:  # nothing may be judged on what it was trained on: the windows choose
            views = [series.at_window(number) for number in range(1, len(series.windows) + 1)]
            fits = [(view, _candidates(view, config, target, PENALTIES)) for view in views]
            found = [_errors(view, config, target, each) for view, each in fits if each]
            errors = np.mean(found, axis=0) if found else np.full(len(candidates), np.nan)
        else:
            errors = _errors(series, config, target, candidates)
        best = ridge.choose(candidates, errors)
    if not (np.isfinite(best.weights).all() and np.isfinite(best.intercept).all()):
        return None
    return best, next(penalty for penalty, each in zip(PENALTIES, candidates, strict=True) if each is best)


def _candidates(series: Series, config: ForecastData, target: int, relative: Sequence[float]) -> list[ridge.Ridge]:
    """Return a map for each relative penalty; none if no window remains or values are not finite."""
    origins = _measured(series, config, target)
    if not len(origins):
        return []
    trained = _blocks(series.values[:, target], _some(origins, FITTED), config)
    total, count = np.add.reduce([(np.square(inputs).sum(), inputs.size) for inputs, _ in trained()])
    usual = float(total / max(count, 1))
    if not np.isfinite(usual):
        return []
    # Penalties are relative to the inputs' mean square, so that the choice does not depend on the data's unit.
    return ridge.fit(trained, [penalty * (usual or 1.0) for penalty in relative])


def _errors(series: Series, config: ForecastData, target: int, candidates: list[ridge.Ridge]) -> np.ndarray:
    """Return each map's mean squared error on the validation part: (candidate,)."""
    judged = _blocks(series.values[:, target], _some(series.origins("validation", config), CHOSEN_ON), config)
    return ridge.errors(candidates, judged)


def start_bytes(series: Series, trial: TrialConfig) -> int:
    """Estimate the bytes that a linear map needs in addition to its trained weights; 0 if there is no map.

    They are the fitted weights, in memory and in checkpoints, and the memory of the fit.
    """
    if trial.model.residual != "linear":
        return 0
    config = trial.data_as(ForecastData)
    steps = min(config.lookback, LONGEST_MAP)
    kept = 5 * 4 * len(series.targets) * steps * config.horizon
    block = min(max(BLOCK, steps + config.horizon), len(series.values) * (steps + config.horizon))
    return kept + 8 * (4 * block + 6 * steps**2 + 2 * len(PENALTIES) * steps * config.horizon)


def _measured(series: Series, config: ForecastData, target: int) -> np.ndarray:
    """Return the origins of the training windows with the target measured at every step of the horizon."""
    origins = series.train_origins(config)
    if series.holes is None:
        return origins
    ahead = np.lib.stride_tricks.sliding_window_view(series.holes[:, target], config.horizon)
    kept: np.ndarray = origins[~ahead[origins].any(axis=1)]
    return kept


def _some(origins: np.ndarray, most: int) -> np.ndarray:
    if len(origins) <= most:
        return origins
    chosen: np.ndarray = origins[np.linspace(0, len(origins) - 1, most).round().astype(np.int64)]
    return chosen


def _blocks(values: np.ndarray, origins: np.ndarray, config: ForecastData) -> ridge.Blocks:
    """Return the blocks of the windows at some origins, float64: differences from the last value.

    Inputs are of the look-back (window, step), outputs of the horizon (window, step).
    """
    steps = min(config.lookback, LONGEST_MAP)
    windows = np.lib.stride_tricks.sliding_window_view(values, steps + config.horizon)
    size = max(1, BLOCK // (steps + config.horizon))

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first in range(0, len(origins), size):
            window = windows[origins[first : first + size] - steps].astype(np.float64)
            window -= window[:, steps - 1 : steps].copy()
            yield window[:, : steps - 1], window[:, steps:]

    return blocks

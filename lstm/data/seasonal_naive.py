"""The seasonal naive: what was one season ago, repeated."""

import numpy as np

from lstm.data.forecast import Series
from lstm.data.tables import reader


def seasonal_naive(series: Series, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Each step forecast by the same step of the last season before the origin: (window, horizon, target), scaled.

    Where the series has no whole season before an origin, the last value is repeated.
    """
    steps = np.arange(horizon)
    season = series.season
    back = season * (steps // season + 1)
    rows = origins[:, None] + steps - back
    rows = np.where(origins[:, None] >= season, rows, origins[:, None] - 1)
    forecast: np.ndarray = series.values[rows, : len(series.targets)]
    return forecast


def naive_error(series: Series) -> np.ndarray:
    """Mean absolute error of the seasonal naive within the training part, original units: (target,).

    It scales MASE (Hyndman & Koehler, 2006, equation 2).
    """
    error = _lagged_error(series, series.season)
    # A season that repeats itself exactly, or has no two measured values, scales nothing: take the last value.
    return np.where(error > 0, error, _lagged_error(series, 1))


def _lagged_error(series: Series, lag: int) -> np.ndarray:
    """Mean absolute difference of the training part's values `lag` steps apart, 0 where there are none: (target,)."""
    (start, stop), total, count = series.bounds["train"], np.zeros(len(series.targets)), np.zeros(len(series.targets))
    for rows in reader.spans(max(stop - start - lag, 0)):
        known = series.truth(slice(start + rows.start, start + rows.stop + lag))
        error = np.abs(known[lag:] - known[:-lag])
        both = ~np.isnan(error)
        total += np.where(both, error, 0).sum(axis=0)
        count += both.sum(axis=0)
    found: np.ndarray = total / np.maximum(count, 1)
    return found

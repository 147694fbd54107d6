"""The seasonal naive forecast, which repeats the last season."""

import numpy as np

from lstm.data.forecast import Series
from lstm.data.tables import reader


def seasonal_naive(series: Series, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Forecast each step by the same step of the last season before the origin: (window, horizon, target), scaled.

    If the series has no whole season before an origin, the last value is repeated.
    """
    steps = np.arange(horizon)
    season = series.season
    back = season * (steps // season + 1)
    rows = origins[:, None] + steps - back
    rows = np.where(origins[:, None] >= season, rows, origins[:, None] - 1)
    forecast: np.ndarray = series.values[rows, : len(series.targets)]
    return forecast


def naive_error(series: Series) -> np.ndarray:
    """Return the mean absolute error of the seasonal naive in the training part, in original units: (target,).

    MASE divides by this error (Hyndman & Koehler, 2006, equation 2).
    """
    error = _lagged_error(series, series.season)
    # The error is 0 if the season repeats exactly or has no two measured values. MASE can't divide by 0, so the
    # error of repeating the last value is used.
    return np.where(error > 0, error, _lagged_error(series, 1))


def _lagged_error(series: Series, lag: int) -> np.ndarray:
    """Return the mean absolute difference of training values `lag` steps apart: (target,), 0 if there are none."""
    (start, stop), total, count = series.bounds["train"], np.zeros(len(series.targets)), np.zeros(len(series.targets))
    for rows in reader.spans(max(stop - start - lag, 0)):
        known = series.truth(slice(start + rows.start, start + rows.stop + lag))
        error = np.abs(known[lag:] - known[:-lag])
        both = ~np.isnan(error)
        total += np.where(both, error, 0).sum(axis=0)
        count += both.sum(axis=0)
    found: np.ndarray = total / np.maximum(count, 1)
    return found

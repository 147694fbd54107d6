"""Inputs that are computed from the times of a series: the hour, the day, the month, each as a sine and a cosine."""

import numpy as np
import pandas as pd

from lstm.config.forecast import ForecastData

PERIODS = {"hour_of_day": 24, "day_of_week": 7, "day_of_month": 31, "day_of_year": 366}
PERIODS |= {"week_of_year": 53, "month_of_year": 12}


def calendar(times: pd.Index, config: ForecastData) -> np.ndarray:
    """Return sine and cosine of each calendar feature: (time, 2 * feature) float64."""
    if not config.calendar:
        return np.empty((len(times), 0))
    assert isinstance(times, pd.DatetimeIndex)
    positions = {
        "hour_of_day": times.hour + times.minute / 60 + times.second / 3600,
        "day_of_week": times.day_of_week,
        "day_of_month": times.day - 1,
        "day_of_year": times.day_of_year - 1,
        "week_of_year": times.isocalendar().week.to_numpy() - 1,
        "month_of_year": times.month - 1,
    }
    angles = [2 * np.pi * np.asarray(positions[f], dtype=np.float64) / PERIODS[f] for f in config.calendar]
    return np.column_stack([wave(angle) for angle in angles for wave in (np.sin, np.cos)])

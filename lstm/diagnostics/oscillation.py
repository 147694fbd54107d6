"""Finds the period of a short oscillation, which may decay or grow."""

import torch
from torch import Tensor

CLEAR = 0.5  # least cosine between a series and itself one period later that counts as an oscillation


def period(series: Tensor) -> float | None:
    """Return the steps after which a series `(time,)` around zero repeats itself; None if it does not.

    The period is the lag of the first clear peak, after the first value below zero, of the cosine between the series
    and the shifted series. Each part is normalised by its own energy, so a decaying oscillation counts like a lasting
    one. The series must contain two periods.
    """
    length = len(series) // 2 + 2  # one lag more than half, so that a peak at the half is recognised
    likeness = [_cosine(series, lag) for lag in range(min(length, len(series) - 1))]
    trough = next((lag for lag, value in enumerate(likeness) if value < 0), None)
    if trough is None:
        return None
    for lag in range(trough + 1, len(likeness) - 1):
        before, here, after = likeness[lag - 1 : lag + 2]
        if here >= CLEAR and here >= before and here > after:
            # The vertex of the parabola through three points, because a period need not be a whole number of steps.
            return lag + 0.5 * (before - after) / (before - 2 * here + after)
    return None


def _cosine(series: Tensor, lag: int) -> float:
    early, late = series[: len(series) - lag].double(), series[lag:].double()
    scale = float(torch.sqrt(early.square().sum() * late.square().sum()))
    return float((early * late).sum()) / scale if scale > 0 else 0.0

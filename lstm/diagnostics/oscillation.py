"""The period of a short, perhaps dying or growing, oscillation."""

import torch
from torch import Tensor

CLEAR = 0.5  # likeness to itself, a period later, from which a series counts as oscillating


def period(series: Tensor) -> float | None:
    """Steps after which a series `(time,)` around zero repeats itself, None where it does not within its length.

    That is the first clear peak, beyond the first trough below zero, of the cosine between the series and itself
    shifted. Each part is normalised by its own energy, so an oscillation that dies away counts like one that lasts.
    Two periods must be seen.
    """
    length = len(series) // 2 + 2  # one beyond, so that a peak at the half is seen as one
    likeness = [_cosine(series, lag) for lag in range(min(length, len(series) - 1))]
    trough = next((lag for lag, value in enumerate(likeness) if value < 0), None)
    if trough is None:
        return None
    for lag in range(trough + 1, len(likeness) - 1):
        before, here, after = likeness[lag - 1 : lag + 2]
        if here >= CLEAR and here >= before and here > after:
            # The vertex of the parabola through three points: a period need not be whole steps.
            return lag + 0.5 * (before - after) / (before - 2 * here + after)
    return None


def _cosine(series: Tensor, lag: int) -> float:
    early, late = series[: len(series) - lag].double(), series[lag:].double()
    scale = float(torch.sqrt(early.square().sum() * late.square().sum()))
    return float((early * late).sum()) / scale if scale > 0 else 0.0

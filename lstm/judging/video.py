"""Turns forecasts of frames into metrics and items: errors of pixels between 0 and 1, and structural similarity."""

from collections.abc import Iterable, Iterator

import numpy as np

from lstm.config.video import METRICS, step_name
from lstm.judging.items import Items, Judgement
from lstm.records.epoch import Judged

WINDOW = 7  # height and width of the windows of SSIM; in smaller frames the largest odd number that fits
K1, K2 = 0.01, 0.03  # the constants of SSIM
LEAST = 1e-7  # a forecast's distance from 0 and 1 at least, for its cross-entropy
Losses = Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]  # forecasts, truth and each item's loss, in blocks


def ssim(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean structural similarity of frames whose values range over 1 (Wang et al., 2004).

    The means, variances and covariances are those of windows of 7 x 7 pixels that lie within the frame, the variances
    with 49 - 1 in the denominator, as in scikit-image's `structural_similarity`. Several channels give their mean.

    Args:
        forecast: (…, channel, height, width).
        truth: The same shape.

    Returns:
        (…) float64, at most 1.
    """
    x, y = forecast.astype(np.float64), truth.astype(np.float64)
    side = min(WINDOW, *(size - (size + 1) % 2 for size in x.shape[-2:]))
    count = side * side
    unbiased = count / max(count - 1, 1)
    mean_x, mean_y = _boxed(x, side), _boxed(y, side)
    var_x = unbiased * (_boxed(x * x, side) - mean_x * mean_x)
    var_y = unbiased * (_boxed(y * y, side) - mean_y * mean_y)
    both = unbiased * (_boxed(x * y, side) - mean_x * mean_y)
    c1, c2 = K1**2, K2**2
    above = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    found: np.ndarray = (above / below).mean(axis=(-3, -2, -1))
    return found


def _boxed(values: np.ndarray, side: int) -> np.ndarray:
    """Return the mean of each window of `side` x `side` that lies within (…, height, width)."""
    found: np.ndarray = values
    for axis in (-2, -1):
        sums = np.cumsum(found, axis=axis)
        start = np.zeros_like(np.take(sums, [0], axis=axis))
        sums = np.concatenate([start, sums], axis=axis)
        size = sums.shape[axis]
        found = (np.take(sums, range(side, size), axis=axis) - np.take(sums, range(size - side), axis=axis)) / side
    return found


def cross_entropy(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean cross-entropy of each item's pixels in nats: (item,). Forecasts are taken as at most 1 - 1e-7."""
    likely = np.clip(forecast.astype(np.float64), LEAST, 1 - LEAST)
    losses = -(truth * np.log(likely) + (1 - truth) * np.log1p(-likely))
    found: np.ndarray = losses.reshape(len(losses), -1).mean(axis=1)
    return found


def squared(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each item's pixels: (item,)."""
    found: np.ndarray = np.square(forecast.astype(np.float64) - truth).reshape(len(truth), -1).mean(axis=1)
    return found


def by_item(blocks: Losses) -> dict[str, np.ndarray]:
    """Return each metric of each item, (item,): the loss, and MSE, MAE and SSIM as a mean and by step ahead.

    `blocks` are forecasts and truth (item, step, channel, height, width), between 0 and 1, and losses (item,).
    """
    found = dict[str, list[np.ndarray]]()
    for forecast, truth, losses in blocks:
        for name, values in _figures(forecast, truth, losses):
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(each) for name, each in found.items()}


def _figures(forecast: np.ndarray, truth: np.ndarray, losses: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    with np.errstate(over="ignore", invalid="ignore"):  # a network that diverges has such values
        errors = forecast.astype(np.float64) - truth
        steps = {
            "mse": np.square(errors).mean(axis=(2, 3, 4)),
            "mae": np.abs(errors).mean(axis=(2, 3, 4)),
            "ssim": ssim(forecast, truth),
        }
    yield "loss", losses.astype(np.float64)
    for name in METRICS:
        yield name, steps[name].mean(axis=1)
    for name in METRICS:
        for step in range(steps[name].shape[1]):
            yield step_name(name, step + 1), steps[name][:, step]


def means(found: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the mean of each metric over the items."""
    return {name: float(values.mean()) for name, values in found.items()}


def judged(name: str, part: Judged, places: np.ndarray, blocks: Losses) -> Judgement:
    """Judge forecasts of a part's items, whose numbers are `places`, under a name."""
    found = by_item(blocks)
    items = Items(part, name, places.astype(np.int64), np.ones(len(places)), found)
    return Judgement(items, means(found))

"""Measures the loss on noisy, missing and shifted inputs, and on inputs in another order."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lstm.diagnostics.subject import Subject
from lstm.records.figures import Curve, Probe

NOISE = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)  # standard deviations of the inputs
MISSING = (0.05, 0.1, 0.2, 0.4, 0.8)  # share of the values
SHIFT = (0.1, 0.25, 0.5, 1.0, 2.0)  # standard deviations of the inputs, up or down
NOISE_AT, MISSING_AT, SHIFT_AT = 0.5, 0.2, 0.5  # the levels of the reported ratios: bad, but not extreme
DRAWS = 4  # random draws of noise and of gaps, the same ones at every level
MOST = 1e6  # largest value of a ratio that has no bound


def reliability(subject: Subject) -> Probe:
    """Measure the loss on disturbed inputs, as a ratio to the loss on the same undisturbed windows (at most 1e6).

    A unit is a standard deviation of the input.

    - `reliability/loss`: the loss on undisturbed inputs.
    - `reliability/noise`: ratio with Gaussian noise of 0.5 units on every input.
    - `reliability/missing`: ratio with 20 % of the values missing, each filled with the last value before it in its
      window, as if a sensor had failed (0, the mean of a scaled column, if the window starts with a gap).
    - `reliability/shift`: ratio with every input shifted by 0.5 units, up or down, whichever is worse.
    - `reliability/worst`: the largest of these three ratios.
    - `reliability/shuffled`: ratio with the steps of all windows in one random order, the mean of four orders. It is
      no fault that happens, so it does not count in `worst`: it says what the order of the steps is worth.
    - `reliability/noise_doubling`: the noise, in units, that doubles the loss. Between levels it is interpolated along
      a power of the noise; below the first level along the square, because a loss grows with the variance. At most 4,
      which means that not even noise of 4 units doubles the loss.

    All numbers are left out if the undisturbed loss is not finite. If the undisturbed loss is 0, a ratio is 1 or 1e6,
    and `noise_doubling` is 0 if even the smallest noise changes the loss.
    """
    with torch.no_grad():
        clean = float(subject.loss(subject.windows))
    if not math.isfinite(clean):
        return Probe({})
    disturbances = {"noise": (_noisy, NOISE), "missing": (_gappy, MISSING), "shift": (_shifted, SHIFT)}
    ratios = {
        name: [_ratio(_loss(subject, disturb, level), clean) for level in levels]
        for name, (disturb, levels) in disturbances.items()
    }
    told = {
        "noise": ratios["noise"][NOISE.index(NOISE_AT)],
        "missing": ratios["missing"][MISSING.index(MISSING_AT)],
        "shift": ratios["shift"][SHIFT.index(SHIFT_AT)],
    }
    doubling = _doubling(NOISE, ratios["noise"])
    shuffled = _ratio(_loss(subject, _shuffled, 0), clean)
    numbers = {"loss": clean, **told, "worst": max(told.values()), "shuffled": shuffled, "noise_doubling": doubling}
    pictures = tuple(
        Curve(title, note, label, "loss, 1 = undisturbed", (0.0, *levels), {name: (1.0, *ratios[name])}, log_y=True)
        for (name, (_, levels)), (title, note, label) in zip(disturbances.items(), _WORDS, strict=True)
    )
    return Probe({f"reliability/{name}": value for name, value in numbers.items()}, pictures)


_WORDS = (
    ("Noisy inputs", "How many times larger the loss is with noise on every input.", "noise, standard deviations"),
    (
        "Missing inputs",
        "How many times larger the loss is if values are missing and each is replaced by the last value before it.",
        "share of values missing",
    ),
    (
        "Shifted inputs",
        "How many times larger the loss is if all inputs are shifted by the same amount, up or down (the worse one).",
        "shift, standard deviations",
    ),
)

Disturb = Callable[[Subject, float], Sequence[Tensor]]


@torch.no_grad()
def _loss(subject: Subject, disturb: Disturb, level: float) -> float:
    losses = [float(subject.loss(inputs)) for inputs in disturb(subject, level)]
    # For a shift, the worse direction counts; for random draws, the mean.
    return max(losses) if disturb is _shifted else sum(losses) / len(losses)


def _noisy(subject: Subject, level: float) -> list[Tensor]:
    return [
        subject.windows
        + level * subject.units * torch.randn(subject.windows.shape, generator=_generator(draw)).to(subject.windows)
        for draw in range(DRAWS)
    ]


def _gappy(subject: Subject, level: float) -> list[Tensor]:
    draws = (torch.rand(subject.windows.shape, generator=_generator(draw)) for draw in range(DRAWS))
    return [_held(subject.windows, draw < level) for draw in draws]


def _held(windows: Tensor, missing: Tensor) -> Tensor:
    """Return windows with each missing value replaced by the last known value before it, or by 0 if there is none."""
    steps = torch.arange(windows.shape[1])[:, None].expand_as(missing)
    last = torch.where(missing, -1, steps).cummax(dim=1).values
    return torch.where(last < 0, 0.0, windows.gather(1, last.clamp(min=0)))


def _shifted(subject: Subject, level: float) -> list[Tensor]:
    return [subject.windows + sign * level * subject.units for sign in (1, -1)]


def _shuffled(subject: Subject, _: float) -> list[Tensor]:
    length = subject.windows.shape[1]
    return [subject.windows[:, torch.randperm(length, generator=_generator(draw))] for draw in range(DRAWS)]


def _generator(draw: int) -> torch.Generator:
    return torch.Generator().manual_seed(draw)


def _ratio(loss: float, clean: float) -> float:
    if not math.isfinite(loss):
        return MOST
    if clean > 0:
        return min(loss / clean, MOST)
    return MOST if loss > 0 else 1.0


def _doubling(levels: Sequence[float], ratios: Sequence[float]) -> float:
    """Return the level at which the ratio first reaches 2, interpolated; the highest level if it never does."""
    excess = [ratio - 1 for ratio in ratios]
    place = next((i for i, value in enumerate(excess) if value >= 1), None)
    if place is None:
        return levels[-1]
    high = levels[place]
    if excess[place] >= MOST - 1:
        return 0.0 if place == 0 else levels[place - 1]
    if place == 0:
        return high / math.sqrt(excess[0])
    low, before = levels[place - 1], excess[place - 1]
    if before <= 0:
        return low + (high - low) * (1 - before) / (excess[place] - before)
    return float(low * (high / low) ** (math.log(1 / before) / math.log(excess[place] / before)))

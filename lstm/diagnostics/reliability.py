"""How the loss bears noisy, missing and shifted inputs."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lstm.diagnostics.subject import Subject
from lstm.records.figures import Curve, Probe

NOISE = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)  # standard deviations of the inputs
MISSING = (0.05, 0.1, 0.2, 0.4, 0.8)  # share of the values
SHIFT = (0.1, 0.25, 0.5, 1.0, 2.0)  # standard deviations of the inputs, up or down
NOISE_AT, MISSING_AT, SHIFT_AT = 0.5, 0.2, 0.5  # a bad day, not a catastrophe: what the worst is judged at
DRAWS = 4  # of noise and of gaps, the same ones at every level
MOST = 1e6  # of a ratio that has no bound


def reliability(subject: Subject) -> Probe:
    """The loss on disturbed inputs, as a ratio to the loss on the same windows undisturbed (at most 1e6).

    - `reliability/loss`: undisturbed.
    - `reliability/noise`: ratio with Gaussian noise of 0.5 units on every input.
    - `reliability/missing`: ratio with 20 % of the values missing, each filled with the last one before it in its
      window, as data are when a sensor is silent (0, a scaled column's mean, where the window starts with a gap).
    - `reliability/shift`: ratio with every input moved by 0.5 units, up or down, whichever is worse.
    - `reliability/worst`: the largest of these three.
    - `reliability/noise_doubling`: the noise, in units, that doubles the loss; between levels along a power of the
      noise, for small noise a square's: a loss grows with the variance. At most 4, which means "not even that".

    All are left out where the undisturbed loss is not finite. A subject without any error has ratio 1 or 1e6, and 0 as
    the noise that doubles it if noise touches it at all.
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
    numbers = {"loss": clean, **told, "worst": max(told.values()), "noise_doubling": doubling}
    pictures = tuple(
        Curve(title, note, label, "loss, 1 = undisturbed", (0.0, *levels), {name: (1.0, *ratios[name])}, log_y=True)
        for (name, (_, levels)), (title, note, label) in zip(disturbances.items(), _WORDS, strict=True)
    )
    return Probe({f"reliability/{name}": value for name, value in numbers.items()}, pictures)


_WORDS = (
    ("Noisy inputs", "How many times larger the loss is with noise on every input.", "noise, standard deviations"),
    (
        "Missing inputs",
        "How many times larger the loss is when values are missing and the last one before stands in.",
        "share of values missing",
    ),
    (
        "Shifted inputs",
        "How many times larger the loss is when every input is off by the same amount, up or down, whichever is worse.",
        "shift, standard deviations",
    ),
)

Disturb = Callable[[Subject, float], Sequence[Tensor]]


@torch.no_grad()
def _loss(subject: Subject, disturb: Disturb, level: float) -> float:
    losses = [float(subject.loss(inputs)) for inputs in disturb(subject, level)]
    # Of the two directions of a shift the worse one counts, of random draws the mean.
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
    """Each missing value as the last one before it that is there, else 0."""
    steps = torch.arange(windows.shape[1])[:, None].expand_as(missing)
    last = torch.where(missing, -1, steps).cummax(dim=1).values
    return torch.where(last < 0, 0.0, windows.gather(1, last.clamp(min=0)))


def _shifted(subject: Subject, level: float) -> list[Tensor]:
    return [subject.windows + sign * level * subject.units for sign in (1, -1)]


def _generator(draw: int) -> torch.Generator:
    return torch.Generator().manual_seed(draw)


def _ratio(loss: float, clean: float) -> float:
    if not math.isfinite(loss):
        return MOST
    if clean > 0:
        return min(loss / clean, MOST)
    return MOST if loss > 0 else 1.0


def _doubling(levels: Sequence[float], ratios: Sequence[float]) -> float:
    """The level at which the ratio first reaches 2."""
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

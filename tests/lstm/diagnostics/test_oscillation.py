import math

import pytest
import torch

from lstm.diagnostics.oscillation import period


def wave(steps, length, tau=math.inf):
    lags = torch.arange(length)
    return torch.sin(2 * math.pi * lags / steps + 0.3) * torch.exp(-lags / tau)


@pytest.mark.parametrize("tau", [math.inf, 15.0, -15.0])
@pytest.mark.parametrize("steps", [2.0, 7.0, 24.0, 37.5])
def test_the_period_of_a_wave_that_lasts_dies_or_grows(steps, tau):
    assert period(wave(steps, 100, tau)) == pytest.approx(steps, rel=0.02)


@pytest.mark.parametrize(
    "series",
    [
        torch.zeros(50),
        torch.ones(50),
        torch.exp(-torch.arange(50) / 7),
        torch.randn(200, generator=torch.Generator().manual_seed(1)),
        wave(70.0, 100),
        torch.ones(1),
        torch.empty(0),
    ],
    ids=["silence", "constant", "decay", "noise", "less than two periods", "a step", "nothing"],
)
def test_what_does_not_swing_has_no_period(series):
    assert period(series) is None

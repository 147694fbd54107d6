import math

import pytest
import torch
from handmade import identity, noise, subject, weighted

from lstm.diagnostics.reliability import reliability

WINDOWS = noise(200, 30)


def off_by(error, respond=identity, windows=WINDOWS):
    """A subject whose truth is its own answer plus a constant: without disturbance its loss is the error squared."""
    truth = respond(windows) + error
    return subject(respond, windows, loss=lambda inputs: float((respond(inputs) - truth).square().mean()))


@pytest.mark.parametrize("error", [0.02, 0.3, 1.3])
def test_an_identitys_loss_doubles_when_the_noise_is_as_large_as_its_error(error):
    found = reliability(off_by(error)).numbers
    assert found["reliability/loss"] == pytest.approx(error**2, rel=1e-4)
    assert found["reliability/noise_doubling"] == pytest.approx(error, rel=0.15)
    # The noise of independent draws adds its variance.
    assert found["reliability/noise"] == pytest.approx(1 + 0.5**2 / error**2, rel=0.15)


@pytest.mark.parametrize("error", [0.3, 1.0])
def test_a_shift_adds_to_an_error_in_the_worse_direction(error):
    found = reliability(off_by(error)).numbers
    assert found["reliability/shift"] == pytest.approx((error + 0.5) ** 2 / error**2, rel=1e-3)


def test_averaging_over_many_steps_takes_noise_off():
    one = reliability(off_by(0.3)).numbers["reliability/noise_doubling"]
    sixteen = reliability(off_by(0.3, weighted(torch.full((16,), 1 / 16)))).numbers["reliability/noise_doubling"]
    assert sixteen == pytest.approx(4 * one, rel=0.15)


def test_missing_values_are_the_last_ones_before():
    # Steps 0, 1, 2, ...: a gap before the end leaves the answer one behind for each step of it.
    ramp = torch.arange(30.0).expand(2000, 30)[..., None]
    found = reliability(off_by(1.0, windows=ramp)).numbers["reliability/missing"]
    # Of the truth, 1 above, it is 1 + k away, where the gap of k steps has a chance of 0.8 * 0.2 ** k.
    wanted = sum(0.8 * 0.2**k * (1 + k) ** 2 for k in range(40))
    assert found == pytest.approx(wanted, rel=0.02)


def test_a_gap_at_the_start_of_the_window_is_the_mean():
    found = reliability(off_by(1.0, windows=torch.full((4000, 1, 1), 2.0))).numbers["reliability/missing"]
    assert found == pytest.approx(0.8 + 0.2 * 9, rel=0.05)


def test_a_constant_answer_bears_everything():
    found = reliability(off_by(0.3, lambda x: 0 * x[:, -1])).numbers
    ratios = {name: value for name, value in found.items() if name != "reliability/loss"}
    assert ratios.pop("reliability/noise_doubling") == 4
    assert ratios == pytest.approx(dict.fromkeys(ratios, 1.0))


def test_the_order_of_the_steps_is_worth_what_the_answer_makes_of_it():
    # The last of 30 steps, each of variance 1: a random order puts another step there 29 times of 30.
    last = reliability(off_by(0.3)).numbers["reliability/shuffled"]
    assert last == pytest.approx(1 + 2 / 0.3**2 * 29 / 30, rel=0.2)
    mean = reliability(off_by(0.3, weighted(torch.full((30,), 1 / 30)))).numbers["reliability/shuffled"]
    assert mean == pytest.approx(1, rel=1e-4)


def test_the_worst_is_the_largest_of_the_three():
    found = reliability(off_by(0.3)).numbers
    assert found["reliability/worst"] == max(found[f"reliability/{name}"] for name in ("noise", "missing", "shift"))


def test_an_answer_without_any_error_can_only_get_worse():
    found = reliability(subject(identity)).numbers
    assert found["reliability/loss"] == found["reliability/noise_doubling"] == 0
    assert found["reliability/worst"] == 1e6


def test_a_loss_that_is_no_number_under_noise_is_the_worst_there_is():
    def loss(inputs):
        return 1.0 if torch.equal(inputs, WINDOWS) else math.nan

    found = reliability(subject(identity, WINDOWS, loss=loss)).numbers
    assert found["reliability/worst"] == 1e6
    assert found["reliability/noise_doubling"] == 0
    assert not reliability(subject(identity, WINDOWS, loss=lambda inputs: math.nan)).numbers


def test_noise_is_in_units_of_each_column():
    windows = noise(400, 5, 2)
    truth = windows[:, -1].sum(dim=1) + 1

    def loss(inputs):
        return float((inputs[:, -1].sum(dim=1) - truth).square().mean())

    found = reliability(subject(identity, windows, loss=loss, unit=torch.tensor([3.0, 4.0]))).numbers
    assert found["reliability/noise"] == pytest.approx(1 + (0.5 * 5) ** 2, rel=0.1)


def test_the_same_is_measured_each_time():
    assert reliability(off_by(0.3)) == reliability(off_by(0.3))


def test_the_pictures_start_at_the_undisturbed_loss():
    pictures = reliability(off_by(0.3)).pictures
    assert [each.title for each in pictures] == ["Noisy inputs", "Missing inputs", "Shifted inputs"]
    for each in pictures:
        (series,) = each.series.values()
        assert (each.x[0], series[0]) == (0.0, 1.0)
        assert len(series) == len(each.x)

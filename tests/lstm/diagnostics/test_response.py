import math

import pytest
import torch
from handmade import Cell, identity, leaky, noise, oscillator, shift_register, subject, weighted

from lstm.diagnostics.response import delay, feedback


def numbers_of(measure, respond, windows=None, **more):
    return measure(subject(respond, windows, **more)).numbers


# --- Delay ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "time"), [(0, 60), (1, 60), (7, 60), (58, 60), (300, 600), (419, 1100), (100, 2500)])
def test_what_remembers_exactly_k_steps_has_a_delay_of_k(steps, time):
    found = numbers_of(delay, shift_register(steps), noise(4, time))
    wanted = {"strongest": 1, "peak": steps, "half_life": steps, "one_percent": steps, "oldest": 0}
    assert found == pytest.approx({f"delay/{name}": value for name, value in wanted.items()}, abs=1e-6)


@pytest.mark.parametrize(("tau", "time"), [(2.0, 60), (5.5, 60), (12.0, 100), (40.0, 600), (90.0, 2100)])
def test_a_leaky_integrators_influence_is_halved_after_its_time_constant_times_ln_2(tau, time):
    found = numbers_of(delay, leaky(tau, 4000), noise(8, time))
    assert found["delay/peak"] == 0
    assert found["delay/half_life"] == pytest.approx(tau * math.log(2), rel=1e-3)
    assert found["delay/one_percent"] == pytest.approx(tau * math.log(100), rel=1e-3)
    assert found["delay/oldest"] == pytest.approx(math.exp(-(time - 1) / tau), rel=0.2, abs=1e-5)


def test_an_integrator_remembers_the_whole_window():
    found = numbers_of(delay, weighted(torch.ones(2000)), noise(4, 50))
    assert found["delay/half_life"] == found["delay/one_percent"] == 49
    assert found["delay/oldest"] == pytest.approx(1, rel=1e-4)


def test_influence_counts_all_columns_and_outputs():
    def respond(inputs):  # the second column three steps late, twice as strong, in one of two outputs
        return torch.stack([inputs[:, -1, 0], 2 * inputs[:, -4, 1]], dim=1)

    found = numbers_of(delay, respond, noise(columns=2))
    assert found["delay/strongest"] == pytest.approx(2 / math.sqrt(2), rel=1e-4)
    assert found["delay/peak"] == found["delay/one_percent"] == found["delay/half_life"] == 3


def test_the_perturbation_is_one_unit_of_each_column():
    found = numbers_of(delay, lambda x: x[:, -1], noise(columns=2), unit=torch.tensor([3.0, 4.0]))
    assert found["delay/strongest"] == pytest.approx(5 / math.sqrt(2), rel=1e-4)


def test_a_latch_remembers_although_its_gradient_has_vanished():
    def respond(inputs):  # a unit that excites itself: the first input sets it, later ones can't turn it
        state = torch.zeros(len(inputs))
        for step in range(inputs.shape[1]):
            state = torch.tanh(3 * state + 1.5 * inputs[:, step, 0])
        return state[:, None]

    windows = torch.cat([torch.full((12, 1, 1), 0.9), torch.zeros(12, 29, 1)], dim=1)
    found = numbers_of(delay, respond, windows)
    assert found["delay/peak"] == found["delay/one_percent"] == 29
    assert found["delay/strongest"] > 0.9
    leaf = windows.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(respond(leaf).sum(), leaf)
    assert gradient[:, 0].abs().max() < 1e-20


def test_a_network_that_nothing_moves_has_no_delay():
    shut = Cell(reads=False, keeps=1.0).subject()
    found = delay(shut)
    assert found.numbers["delay/strongest"] == 0
    assert not {"delay/peak", "delay/half_life", "delay/one_percent"} & found.numbers.keys()
    assert not found.pictures


def test_rounding_is_not_an_influence():
    found = numbers_of(delay, lambda x: 1000 + x[:, -1] + 1e-6 * x.sum(dim=1))
    assert found["delay/one_percent"] == 0


def test_windows_of_one_step():
    one = subject(identity, noise(3, 1))
    assert delay(one).numbers["delay/half_life"] == 0
    assert feedback(one).numbers == pytest.approx({"feedback/gain": 1, "feedback/settling": 0, "feedback/overshoot": 0})


@pytest.mark.parametrize("keeps", [0.2, 0.5, 0.9, 0.98])
def test_a_real_lstm_that_forgets_at_a_known_rate(keeps):
    # With small inputs every tanh is nearly straight: the cell is a leaky integrator.
    found = delay(Cell(2, keeps=keeps, input_weight=0.01).subject(noise(8, 400, 2))).numbers
    tau = -1 / math.log(keeps)
    assert found["delay/forget_time_constant_median"] == pytest.approx(tau, rel=1e-4)
    assert found["delay/forget_time_constant_p90"] == pytest.approx(tau, rel=1e-4)
    assert found["delay/half_life"] == pytest.approx(tau * math.log(2), rel=0.02)
    assert found["delay/one_percent"] == pytest.approx(tau * math.log(100), rel=0.02)


def test_a_gate_that_never_forgets_has_the_longest_time_constant_there_is():
    found = delay(Cell(keeps=1.0).subject()).numbers
    assert found["delay/forget_time_constant_median"] == pytest.approx(1e6, rel=1e-3)


def test_a_gru_forgets_by_its_update_gate():
    gates = {"update_gate": torch.tensor([0.5, 0.9, 0.9]).expand(1, 2, 5, 3)}
    found = numbers_of(delay, identity, trace=lambda inputs: gates)
    assert found["delay/forget_time_constant_median"] == pytest.approx(-1 / math.log(0.9), rel=1e-5)
    assert "delay/forget_time_constant_median" not in numbers_of(delay, identity)


def test_the_curve_of_a_long_window_is_drawn_from_fewer_points():
    (curve,) = delay(subject(shift_register(1300), noise(4, 2000))).pictures
    assert 500 <= len(curve.x) <= 512
    assert curve.series["influence"][curve.x.index(1300.0)] == 1
    assert sorted(curve.x) == list(curve.x)


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("swings", [False, True])
def test_lags_looked_at_together_give_what_each_would(width, swings, monkeypatch):
    monkeypatch.setattr("lstm.diagnostics.response.LAGS", 240 // width)
    lags = torch.arange(240)
    weights = torch.exp(-(lags - 70).abs() / 30) * (torch.cos(lags * 0.9) if swings else 1)
    found = numbers_of(delay, weighted(weights), noise(16, 240))
    size = (weights.abs() / weights.abs().max()).tolist()
    assert size[int(found["delay/peak"])] == 1
    for name, share in (("half_life", 0.5), ("one_percent", 0.01)):
        last = max(i for i, value in enumerate(size) if value >= share)
        assert last <= found[f"delay/{name}"] + 1e-3 < last + 1


# --- Feedback ---------------------------------------------------------------------------------------------


def test_an_identity_follows_at_once():
    found = numbers_of(feedback, identity)
    assert found == pytest.approx({"feedback/gain": 1, "feedback/settling": 0, "feedback/overshoot": 0}, abs=1e-5)


@pytest.mark.parametrize("steps", [1, 9, 40])
def test_a_shift_register_settles_after_its_steps(steps):
    found = numbers_of(feedback, shift_register(steps))
    assert found == pytest.approx({"feedback/gain": 1, "feedback/settling": steps, "feedback/overshoot": 0}, abs=1e-5)


def test_a_leaky_integrator_settles_after_three_time_constants():
    found = numbers_of(feedback, leaky(8.0), noise(4, 100))
    assert found["feedback/gain"] == pytest.approx(1 / (1 - math.exp(-1 / 8)), rel=1e-4)
    # After n steps exp(-(n + 1) / tau) is missing.
    assert found["feedback/settling"] == math.ceil(8 * math.log(20) - 1)
    assert found["feedback/overshoot"] == pytest.approx(0, abs=1e-4)
    assert "feedback/period" not in found


def test_an_integrator_never_settles_within_the_window():
    found = numbers_of(feedback, weighted(torch.ones(2000)), noise(4, 80))
    assert found["feedback/gain"] == pytest.approx(80, rel=1e-4)
    assert found["feedback/settling"] == 80


def test_an_answer_that_dies_away_settles_too():
    found = numbers_of(feedback, lambda x: x[:, -1] - x[:, -6])
    assert found["feedback/gain"] == pytest.approx(0, abs=1e-5)
    assert found["feedback/settling"] == 5
    assert found["feedback/overshoot"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("period", "tau"), [(12.0, math.inf), (12.0, 20.0), (17.3, 60.0)])
def test_an_oscillator_swings_with_its_period(period, tau):
    found = numbers_of(feedback, oscillator(period, tau), noise(4, 97))
    assert found["feedback/period"] == pytest.approx(period, rel=0.02)
    assert found["feedback/overshoot"] > 0.2
    assert (found["feedback/settling"] == 97) == (tau > 20)


def test_a_network_that_nothing_moves_stands_still():
    found = feedback(Cell(reads=False).subject()).numbers
    assert found == {"feedback/gain": 0, "feedback/settling": 0, "feedback/overshoot": 0}


def test_each_column_answers_for_itself_and_the_output_that_answers_most_is_taken():
    def respond(inputs):
        return torch.stack([inputs[:, -1, 0], -2 * inputs[:, -3, 1], inputs[:, -1, 1]], dim=1)

    probe = feedback(subject(respond, noise(columns=2)))
    assert probe.numbers["feedback/gain/x0"] == pytest.approx(1, rel=1e-5)
    assert probe.numbers["feedback/gain/x1"] == pytest.approx(-2, rel=1e-5)
    assert probe.numbers["feedback/settling/x1"] == 2
    assert [list(curve.series) for curve in probe.pictures] == [["x0 → y0", "x1 → y1"]] * 2


def test_a_long_window_is_measured_at_fewer_points():
    probe = feedback(subject(leaky(50.0), noise(2, 1000)))
    assert len(probe.pictures[0].x) == 125
    assert probe.numbers["feedback/settling"] == pytest.approx(50 * math.log(20), abs=8)

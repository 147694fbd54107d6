import math

import pytest
import torch
from handmade import Cell, identity, noise, subject

from lstm.diagnostics import scalability
from lstm.diagnostics.scalability import _exponent


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    monkeypatch.setattr(scalability, "LENGTHS", (32, 64, 128, 256))
    monkeypatch.setattr(scalability, "REPEATS", 2)
    monkeypatch.setattr(scalability, "BUDGET_S", 0.0)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("overhead", [0.0, 1e3, 1e6])
def test_the_exponent_is_the_powers_whatever_the_overhead(power, overhead):
    lengths = [32, 64, 128, 256, 512]
    assert _exponent(lengths, [overhead + 3 * n**power for n in lengths]) == pytest.approx(power, rel=1e-3)


def test_what_costs_nothing_more_has_no_exponent():
    assert _exponent([32, 64, 128], [5.0, 5.0, 5.0]) is None
    assert _exponent([32, 64, 128], [5.0, 6.0, 5.0]) is None


@pytest.mark.parametrize("columns", [1, 16])
def test_a_recurrent_networks_memory_grows_with_the_length(columns):
    found = scalability.scalability(Cell(columns).subject()).numbers
    assert found["scalability/memory_exponent"] == pytest.approx(1, abs=0.02)
    # At least the input and the hidden state of every step, in float32.
    assert found["scalability/step_bytes"] >= 8 * columns


def test_attention_over_all_pairs_is_told_from_it_by_its_memory():
    def respond(inputs):
        return (inputs @ inputs.transpose(1, 2)).softmax(dim=2).mean(dim=(1, 2))[:, None]

    found = scalability.scalability(subject(respond)).numbers
    assert found["scalability/memory_exponent"] == pytest.approx(2, abs=0.1)


def test_time_is_measured_and_reported():
    probe = scalability.scalability(Cell(4).subject())
    assert math.isfinite(probe.numbers["scalability/step_us"])
    assert all(math.isfinite(value) for value in probe.numbers.values())
    time, memory = probe.pictures
    assert time.x == memory.x == (32, 64, 128, 256)
    assert all(value > 0 for value in time.series["time"])


@pytest.mark.parametrize("respond", [lambda x: x[:, -1].detach(), lambda x: x[:, -1].round().sign(), identity])
def test_what_keeps_nothing_has_no_memory_to_report(respond):
    found = scalability.scalability(subject(respond, noise(3, 10))).numbers
    assert found.keys() <= {"scalability/time_exponent", "scalability/step_us"}


def test_measuring_leaves_no_gradients_behind():
    cell = Cell(2)
    scalability.scalability(cell.subject())
    assert all(parameter.grad is None for parameter in cell.cell.parameters())


def test_a_slow_network_ends_the_ladder_early(monkeypatch):
    monkeypatch.setattr(scalability, "PATIENCE_S", 0.0)
    monkeypatch.setattr(scalability, "FEWEST", 3)
    (curve,) = scalability.scalability(subject(identity)).pictures
    assert curve.x == (32, 64, 128)


@pytest.mark.parametrize(("count", "time"), [(1, 5), (3, 40), (50, 500)])
def test_inputs_of_any_length_are_made_of_windows(count, time):
    made = scalability._inputs(subject(identity, noise(count, time, 2)), 128)
    assert made.shape == (8, 128, 2)
    torch.testing.assert_close(made[0, : min(time, 128)], noise(count, time, 2)[0, :128])

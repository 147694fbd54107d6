import math

import pytest
import torch
from handmade import SURE, Cell, identity, noise, rolled, subject

from lstm.diagnostics.activation import activation, gate_maps


def waves(count=8, time=64, period=12.0):
    phases = torch.linspace(0, 6, count)[:, None]
    return torch.sin(2 * math.pi * torch.arange(time) / period + phases)[..., None]


def turned(period, growth=1.0):
    """The next step of a wave: a rotation by its angle, from the last two steps."""
    angle = 2 * math.pi / period
    return lambda x: 2 * growth * math.cos(angle) * x[:, -1] - growth**2 * x[:, -2]


def rollout_of(step, windows):
    return activation(subject(identity, windows, roll=rolled(step))).numbers


def test_an_oscillator_keeps_swinging_as_the_data_do():
    found = rollout_of(turned(12.0), waves())
    assert found["activation/variance"] == pytest.approx(1, rel=0.05)
    assert found["activation/period"] == pytest.approx(12, rel=0.01)
    assert found["activation/rest"] == found["activation/runaway"] == 0


def test_a_damped_oscillator_is_seen_swinging_and_falling_silent():
    found = rollout_of(turned(12.0, growth=0.95), waves())
    # Its amplitude: 0.95 per step, so the variance has fallen by 0.95 ** 128 when the second half begins.
    assert found["activation/variance"] == pytest.approx(0.95**128 / (1 - 0.95**2) / 64, rel=0.2)
    assert found["activation/period"] == pytest.approx(12, rel=0.02)


def test_what_repeats_the_last_value_has_come_to_rest():
    found = rollout_of(lambda x: x[:, -1], waves())
    assert found["activation/variance"] == 0
    assert found["activation/rest"] == 1
    assert found["activation/runaway"] == 0
    assert "activation/period" not in found


@pytest.mark.parametrize("growth", [1.1, 1e9])
def test_what_explodes_runs_away_and_its_variance_is_capped(growth):
    found = rollout_of(lambda x: growth * x[:, -1], waves())
    assert found["activation/runaway"] == 1
    assert found["activation/variance"] == 1e6
    assert found["activation/rest"] == 0
    assert all(math.isfinite(value) for value in found.values())


def test_the_rollout_is_held_against_the_targets_alone():
    windows = torch.cat([waves(), 100 * noise(8, 64)], dim=2)

    def next_target(inputs):
        return turned(12.0)(inputs[..., :1])

    def roll(inputs, steps):
        return rolled(next_target)(inputs[..., :1], steps)

    found = activation(subject(identity, windows, roll=roll)).numbers
    assert found["activation/variance"] == pytest.approx(1, rel=0.05)


def test_data_that_do_not_vary_leave_nothing_to_compare_with():
    assert rollout_of(turned(12.0), torch.ones(4, 20, 1)) == {}


def test_a_task_without_rollout_and_a_network_without_gates_have_no_numbers():
    probe = activation(subject(identity))
    assert not probe.numbers
    assert not probe.pictures


def test_long_windows_are_rolled_no_longer_than_needed():
    asked = []

    def roll(inputs, steps):
        asked.append((inputs.shape, steps))
        return rolled(lambda x: x[:, -1])(inputs, steps)

    activation(subject(identity, noise(30, 500), roll=roll))
    assert asked == [((8, 500, 1), 256)]


# --- Gates ------------------------------------------------------------------------------------------------


def test_a_saturated_cell_is_seen_by_its_gates():
    found = activation(Cell(reads=False, keeps=1.0).subject()).numbers
    shares = {"input_gate": 1, "forget_gate": 1, "output_gate": 1, "hidden": 0}
    assert found == {f"activation/saturated/{name}": share for name, share in shares.items()}


def test_a_cell_filled_to_the_brim_is_seen_by_its_hidden_state():
    found = activation(Cell(keeps=1.0, input_weight=SURE).subject(torch.ones(3, 50, 1))).numbers
    # The memory grows by 1 each step; tanh is beyond 0.95 from the second one.
    assert found["activation/saturated/hidden"] == pytest.approx(49 / 50)


def test_half_open_gates_are_not_saturated():
    found = activation(Cell(keeps=0.5).subject()).numbers
    assert found["activation/saturated/forget_gate"] == 0


@pytest.mark.parametrize("value", [0.05, 0.5, 0.95])
def test_a_gate_at_the_border_is_not_saturated(value):
    gates = {"input_gate": torch.full((1, 2, 3, 4), value, dtype=torch.float64)}
    found = activation(subject(identity, trace=lambda inputs: gates)).numbers
    assert found == {"activation/saturated/input_gate": 0}


def test_the_handmade_trace_is_what_the_cell_does():
    cell = Cell(3, keeps=0.7)
    torch.testing.assert_close(cell.trace(noise(columns=3))["hidden"][0, :, -1], cell.respond(noise(columns=3)))


def test_a_map_per_gate_of_the_calmest_and_the_liveliest_window():
    windows = noise(5, 20)
    windows[3] *= 0.1
    windows[1] *= 10
    maps = activation(Cell(keeps=0.9).subject(windows)).pictures
    names = ["Input gate", "Forget gate", "Output gate", "Candidate", "Cell", "Hidden"]
    assert [each.title for each in maps] == [f"{name}, window {n}" for n in (2, 4) for name in names]
    forget, cell = maps[1], maps[4]
    assert forget.x == tuple(range(-19, 1))
    assert forget.values[0] == pytest.approx([0.9] * 20, abs=1e-3)
    assert (forget.low, forget.high) == (0, 1)
    assert cell.low == -cell.high
    assert cell.high >= max(map(abs, cell.values[0]))


def test_rows_are_the_same_units_in_every_map_the_longest_memory_first():
    keeps = torch.tensor([0.2, 0.9, 0.5])
    gates = {"input_gate": torch.tensor([0.1, 0.2, 0.3]), "forget_gate": keeps}
    traced = {name: value.expand(2, 1, 4, 3).clone() for name, value in gates.items()}
    traced["forget_gate"][1] += 0.05
    first, second = gate_maps(subject(identity, trace=lambda inputs: traced), [0])
    assert first.y == second.y == ("1:1", "0:1", "1:2", "0:2", "1:0", "0:0")
    assert [row[0] for row in second.values] == pytest.approx([0.95, 0.9, 0.55, 0.5, 0.25, 0.2])
    assert [row[0] for row in first.values] == pytest.approx([0.2, 0.2, 0.3, 0.3, 0.1, 0.1])


def test_maps_of_wide_networks_and_long_windows_stay_small():
    wide = {"hidden": torch.rand(2, 1, 900, 300)}
    (found,) = gate_maps(subject(identity, trace=lambda inputs: wide), [0])
    assert len(found.y) == len(set(found.y)) == len(found.values) == 64
    assert {len(row) for row in found.values} == {len(found.x)} == {256}
    assert found.low == -1

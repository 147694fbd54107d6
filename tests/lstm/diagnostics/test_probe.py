"""The probes tell known cases apart; each property's own file has its closed forms."""

import math

import pytest
import torch
from handmade import Cell, identity, noise, oscillator, rolled, shift_register, subject
from torch import nn

from lstm.diagnostics import scalability
from lstm.diagnostics.probe import PROPERTIES, probe


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    monkeypatch.setattr(scalability, "LENGTHS", (32, 64, 128, 256))
    monkeypatch.setattr(scalability, "REPEATS", 2)
    monkeypatch.setattr(scalability, "BUDGET_S", 0.0)


KNOWN = {
    "identity": subject(identity, roll=rolled(identity)),
    "shift register of 9": subject(shift_register(9), roll=rolled(shift_register(9))),
    "oscillator of 12": subject(oscillator(12.0)),
    "saturated cell": Cell(reads=False, keeps=1.0).subject(),
}


def test_known_cases_show_what_they_are():
    numbers = {name: probe(case).numbers for name, case in KNOWN.items()}
    held = numbers["identity"]
    assert (held["delay/one_percent"], held["feedback/settling"], held["activation/rest"]) == (0, 0, 1)
    assert held["feedback/gain"] == pytest.approx(1, rel=1e-5)
    late = numbers["shift register of 9"]
    assert late["delay/peak"] == late["delay/half_life"] == late["delay/one_percent"] == 9
    assert late["feedback/settling"] == 9
    # Left alone it repeats its last nine steps and the one before for ever.
    assert late["activation/period"] == pytest.approx(10, abs=0.1)
    assert late["activation/variance"] == pytest.approx(1, abs=0.3)
    swinging = numbers["oscillator of 12"]
    assert swinging["feedback/period"] == pytest.approx(12, rel=0.01)
    assert swinging["feedback/settling"] == 60
    assert swinging["delay/oldest"] > 0.5
    stuck = numbers["saturated cell"]
    assert stuck["delay/strongest"] == stuck["feedback/gain"] == 0
    assert stuck["activation/saturated/input_gate"] == stuck["activation/saturated/forget_gate"] == 1


@pytest.mark.parametrize("case", KNOWN.values(), ids=KNOWN)
def test_every_number_is_finite_and_named_after_its_property(case):
    found = probe(case)
    assert found.numbers
    assert all(math.isfinite(value) for value in found.numbers.values())
    assert {name.split("/")[0] for name in found.numbers} <= {measure.__name__ for measure in PROPERTIES}


def test_all_but_the_times_is_the_same_whenever_it_is_measured():
    def untimed():
        found = probe(Cell(2, keeps=0.8).subject()).numbers
        return {name: value for name, value in found.items() if name.split("/")[1] not in ("time_exponent", "step_us")}

    torch.manual_seed(1)
    first = untimed()
    torch.manual_seed(2)
    assert untimed() == first


def test_probing_draws_nothing_from_torchs_own_stream():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    probe(KNOWN["shift register of 9"])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_trained_to_remember_three_steps_is_found_out():
    torch.manual_seed(0)
    cell, head = nn.LSTM(1, 12, batch_first=True), nn.Linear(12, 1)

    def respond(inputs):
        return head(cell(inputs)[0][:, -1])

    optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()], 0.02)
    for step in range(300):
        windows = torch.randn(64, 12, 1, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (respond(windows) - windows[:, -4]).square().mean().backward()
        optimizer.step()
    windows = noise(40, 12)

    def loss(inputs):
        with torch.no_grad():
            return float((respond(inputs) - windows[:, -4]).square().mean())

    found = probe(subject(respond, windows, loss=loss)).numbers
    assert found["delay/peak"] == 3
    assert 3 <= found["delay/half_life"] < 4
    assert found["feedback/gain"] == pytest.approx(1, abs=0.25)
    assert 0 < found["reliability/noise_doubling"] < 1
    assert found["scalability/memory_exponent"] == pytest.approx(1, abs=0.05)

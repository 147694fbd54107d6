import pytest

from lstm import patches
from lstm.patches import SWITCH, Patch, switched_off
from lstm.records.errors import BadInput

PATCH = Patch("ray", "sooner", ("2.60", "2.61"), "it starts later")


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    monkeypatch.setattr(patches, "_told", set())
    monkeypatch.delenv(SWITCH, raising=False)


@pytest.mark.parametrize("version", ["2.60", "2.60.0", "2.61.3", "2.60.0+cpu", "2.61.0.dev1"])
def test_a_version_that_it_was_tried_with_by_its_first_two_numbers(version, caplog):
    assert PATCH.fits(version)
    assert not caplog.text


@pytest.mark.parametrize("version", ["2.6.0", "2.62.0", "3.60.0", "2", "12.60", ""])
def test_another_version_is_told_of_once(version, caplog):
    assert [PATCH.fits(version), PATCH.fits(version)] == [False, False]
    (note,) = caplog.messages
    assert [part for part in ("ray", version, "sooner", "2.60, 2.61", "it starts later") if part not in note] == []


@pytest.mark.parametrize("off", ["ray", "RAY", " ray ", "torch,ray", "all", "ray,,"])
def test_it_can_be_switched_off(monkeypatch, caplog, off):
    monkeypatch.setenv(SWITCH, off)
    assert not PATCH.fits("2.60.0")
    assert not caplog.text


@pytest.mark.parametrize("off", ["", " ", ",", "torch", "mlflow,optuna"])
def test_the_others_can_be_switched_off(monkeypatch, off):
    monkeypatch.setenv(SWITCH, off)
    assert PATCH.fits("2.60.0")


@pytest.mark.parametrize(
    ("off", "wrong"), [("rai", "rai"), ("ray,1", "1"), ("none", "none"), ("ray;torch", "ray;torch")]
)
def test_a_switch_that_names_nothing_is_refused(monkeypatch, off, wrong):
    monkeypatch.setenv(SWITCH, off)
    with pytest.raises(BadInput) as error:
        switched_off()
    [refused] = error.value.faults
    assert (refused.code, refused.place) == ("switch-of-no-library", SWITCH)
    assert refused.values == {"name": wrong, "known": list(patches.VENDORS)}
    assert [part for part in (SWITCH, wrong, "ray", "all") if part not in str(refused)] == []

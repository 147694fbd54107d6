"""The picture of a sweep: what is in it, and that it is SVG whatever the sweep has."""

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from searches import searched

from dashboards.report.picture import MOST_CURVES, picture
from lstm.records.sweep import Sweep

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</svg><script>alert(1)</script>&"


def parts(sweep: Sweep) -> tuple[list[str], list[Any], list[Any]]:
    """The texts, lines and dots of a picture."""
    drawn = picture(sweep)
    assert drawn is not None
    root = ET.fromstring(drawn)
    return (
        [str(each.text) for each in root.iter(f"{SVG}text")],
        *([*root.iter(f"{SVG}{name}")] for name in ("polyline", "circle")),
    )


def test_each_trial_of_the_search_and_the_base_has_a_line_and_a_dot_and_the_best_stands_out() -> None:
    sweep = searched(EVIL, 16)
    texts, lines, dots = parts(sweep)
    shown = [trial for trial in sweep.trials if trial.curve and (trial.counts or trial.is_base)]
    assert texts[0] == f"{EVIL}: minimize val/loss"
    assert f"Learning curves; trial {sweep.best and sweep.best.number} is the best" in texts
    assert (len(lines), len(dots)) == (len(shown) + 1, len(shown)), "a line more: the best so far"
    bold = [line for line in lines if line.get("stroke-width") == "2.5"]
    assert len(bold) == 2
    assert lines.index(bold[0]) == len(shown) - 1, "on top of the other curves"
    inside = [tuple(map(float, pair.split(","))) for line in lines for pair in line.get("points").split()]
    assert all(0 < x < 1120 and 0 < y < 380 for x, y in inside)


def test_a_large_sweep_has_the_best_curves_and_says_so() -> None:
    texts, lines, dots = parts(searched("a", 400))
    assert any(f"the best {MOST_CURVES} of 40" in text for text in texts)
    assert len(lines) == MOST_CURVES + 1
    assert len(dots) > 380


@pytest.mark.parametrize("value", [0.5, 0.0, -3.0, 1e-12, 1e30, 5e-324, -1e150])
@pytest.mark.parametrize("other", [-1e308, 1e308, 1e-300, 0.0, 0.5])
def test_any_value(make: SimpleNamespace, value: float, other: float) -> None:
    """One trial of one epoch, one that diverged, and one with another value, which may be beyond the axis."""
    trials = [make.trial(0, value, curve=((1, value),), best_epoch=1), make.trial(1, math.inf, curve=((1, math.nan),))]
    trials.append(make.trial(2, other, "PRUNED", curve=((1, other), (2, -other)), diverged=other < 1))
    trials.append(make.trial(3, other, "PRUNED", curve=((1, other), (2, other))))
    texts, _, dots = parts(Sweep("a", "val/loss", "maximize", 2, tuple(trials)))
    assert len(dots) >= 2, "a curve of one point is a dot"
    assert not [text for text in texts if "nan" in text or "inf" in text]


def test_without_a_value_there_is_none(make: SimpleNamespace) -> None:
    assert picture(Sweep("a", "val/loss", "minimize", 2, ())) is None
    one = replace(searched("a", 1), trials=(make.trial(0, None, "FAIL", curve=()),))
    assert picture(one) is None

from dataclasses import replace

import pytest

from lstm.verdict.interval import Difference
from lstm.verdict.sentences import amount, base, lines, number, sentence, table, worse_than_base
from lstm.verdict.verdict import Row, Verdict

RIDGE = "ridge on 104 changes"


def against(value, low=None, high=None, unit="%", why="", metric="mae"):
    return Difference(metric, unit, value, low, high, 12 if low is not None else 4, 78, why)


def made(difference=None, *others, network=True, base_row=None, **more):
    rows = [Row("trial 7", "network", 0.2, 0.4, trial=7)] if network else []
    rows += [base_row] if base_row else []
    rows += [Row(RIDGE, "rival", 0.21, 0.45, difference)] if difference is not None or not network else []
    rows += others
    best = RIDGE if any(row.name == RIDGE for row in rows) else ""
    return Verdict(
        **{
            **{
                "metric": "mae",
                "direction": "minimize",
                "judged_by": "mae",
                "length": 78,
                "searched": True,
                "rows": tuple(rows),
                "best": best,
            },
            **more,
        }
    )


def base_row(value, low=None, high=None, test=0.4, **more):
    row = Row("trial 0", "base", 0.25, test, against(value, low, high, why="4 blocks"), 21.0, trial=0)
    return replace(row, **more)


@pytest.mark.parametrize(
    ("difference", "wanted"),
    [
        (against(11.6, 6.9, 16.2), f"12 % [7, 16] better than the best rival, {RIDGE}"),
        (against(-0.42, -4.1, 3.2), f"not better than {RIDGE}: 0.4 % worse [-3, 4]; use this rival, or search further"),
        (
            against(2.1, -3.0, 7.1),
            f"can't be told apart from {RIDGE}: 2 % better [-3, 7]; use this rival, or search further",
        ),
        (
            against(-8.0, -13.2, -3.1),
            f"8 % [3, 13] worse than the best rival, {RIDGE}; use this rival, or search further",
        ),
        (against(0.9, 0.2, 1.6, "points"), f"0.9 points [0.2, 1.6] better than the best rival, {RIDGE}"),
        (
            against(-0.5, -0.6, -0.4, "metric"),
            f"0.50 in mae [0.40, 0.60] worse than the best rival, {RIDGE}; use this rival",
        ),
        (against(0.0, 0.0, 0.0), f"not better than {RIDGE}: the same on every item; use this rival, or search further"),
    ],
)
def test_the_sentence(difference, wanted):
    assert sentence(made(difference)).startswith(wanted)


def test_too_few_blocks_have_the_figures_and_the_number():
    told = sentence(made(against(12.3, why="4 independent blocks of 78 steps, 5 are needed")))
    assert told.startswith("too few independent blocks to tell")
    for part in ("4 independent blocks of 78", "12 % better", RIDGE):
        assert part in told


def test_another_rival_that_is_better_on_test_stands_in_the_sentence():
    other = Row("mean of two years", "rival", 0.3, 0.41, against(-3.0, -9, 4))
    told = sentence(made(against(12, 7, 16), other, best_on_test="mean of two years"))
    assert "12 % [7, 16] better" in told
    assert "mean of two years" in told
    assert "3 % worse [-4, 9]" in told


def test_without_a_trial_or_a_rival_it_says_so():
    told = sentence(made(network=False))
    assert "no trial has completed" in told
    assert RIDGE in told
    assert "0.45" in told
    assert "no rival" in sentence(made())
    lost = Row("trial 7", "network", why="its weights are lost")
    assert "its weights are lost" in sentence(made(None, lost, network=False))
    assert "search further" not in sentence(made(against(-8, -13, -3), searched=False))


def test_a_winner_that_is_worse_than_the_base_is_told_first():
    worse = made(against(12, 7, 16), base_row=base_row(-8.0, -13, -3, test=0.37))
    assert worse_than_base(worse)
    assert lines(worse)[0].startswith("8 % [3, 13] worse than the base")
    assert "trial 0" in lines(worse)[0]
    assert "21 % better on validation" in lines(worse)[0]
    assert lines(worse)[1] == sentence(worse)
    better = made(against(12, 7, 16), base_row=base_row(8.0, 3, 13, test=0.43))
    assert lines(better)[:2] == (sentence(better), base(better))
    assert "8 % [3, 13] better than the base" in base(better)


def test_worse_by_the_metric_is_worse_whatever_the_nearest_mean_says():
    found = made(against(12, 7, 16), base_row=base_row(1.0, -3, 5, test=0.39), metric="rmse", judged_by="mae")
    assert "worse than the base" in lines(found)[0]
    assert "0.39" in lines(found)[0]
    assert any("rmse" in line and "mae" in line for line in lines(found)[2:])
    higher = replace(found, direction="maximize")
    assert not worse_than_base(higher)


def test_a_base_with_no_interval_no_figures_or_that_is_the_winner():
    assert "4 blocks" in base(made(against(12, 7, 16), base_row=base_row(8.0, test=0.43)))
    diverged = Row("trial 0", "base", trial=0, why="it diverged at epoch 3")
    assert "it diverged at epoch 3" in base(made(against(12, 7, 16), base_row=diverged))
    assert "it diverged at epoch 3" in "\n".join(lines(made(network=False, base_row=diverged)))
    assert "begun before" in base(made(against(12, 7, 16), no_base="this sweep was begun before"))
    same = base_row(0.0, 0.0, 0.0, trial=7)
    assert "nothing better" in base(made(against(12, 7, 16), base_row=same))
    assert base(made(against(12, 7, 16), searched=False)) == ""


def test_rivals_without_figures_are_named_with_the_reason():
    found = made(against(12, 7, 16), Row("AutoARIMA", "rival", why="left out: 30 core-seconds were up"))
    assert "AutoARIMA: left out: 30 core-seconds were up" in lines(found)
    assert [text for row, text in table(found)] == ["", "12 % [7, 16] better", "left out: 30 core-seconds were up"]


@pytest.mark.parametrize(
    ("value", "half", "wanted"),
    [
        (12.3, 4.5, "12"),
        (0.42, 3.6, "0.4"),
        (0.3, 4.4, "0.3"),
        (-0.3, 4.4, "-0.3"),
        (1.44, 0.3, "1.4"),
        (1.44, 0.03, "1.44"),
        (12.3, 0, "12"),
        (4.31, 0, "4.3"),
        (0.431, 0, "0.43"),
        (1234.5, 30, "1,234"),
        (0.0, 3, "0"),
        (0.00012, 0.00005, "0.00012"),
        (1e-20, 0, "1.0e-20"),
        (1.234e-9, 2e-11, "1.23e-09"),
        (3e-12, 2e-9, "3e-12"),
        (float("inf"), 1, "inf"),
    ],
)
def test_numbers_are_as_exact_as_their_interval_and_never_a_zero_that_they_are_not(value, half, wanted):
    assert number(value, half) == wanted


def test_an_interval_that_leaves_out_zero_never_shows_a_zero():
    assert amount(against(5.0, 0.04, 9.9)) == "5 % [0.04, 10] better"
    assert amount(against(0.0, 0.0, 0.0)) == "no better"  # as two networks without a right word

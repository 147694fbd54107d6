import numpy as np
import pytest
from curves import TABLES
from search import BUDGETS, SIDES, interval, regrets, replay


@pytest.mark.parametrize("side", SIDES)
def test_a_search_begins_with_the_base_and_gets_no_worse(side):
    table = TABLES["sunspots"]  # its base is none of the first settings, and lies outside the space
    base = table.curves[table.cell(table.start)]
    course = replay(table, SIDES[side](table, 1), workers=1, most_epochs=60)
    assert course.best[: len(base.values)] == tuple(np.minimum.accumulate(base.values))[:60]
    assert list(course.best) == sorted(course.best, reverse=True)
    assert len(course.best) == 60


def test_a_regret_is_none_at_the_best_and_one_at_the_median_cell():
    table = TABLES["seattle"]
    course = replay(table, SIDES["random"](table, 1), workers=2)
    found = regrets(table, course)
    assert all(mean >= after >= 0 for mean, after in zip(found["mean"], found["after"], strict=True))
    assert found["after"] == sorted(found["after"], reverse=True)
    assert len(found["after"]) == len(BUDGETS)


def test_what_is_near_the_best_is_found_at_its_epoch():
    table = TABLES["seattle"]
    course = replay(table, SIDES["ours"](table, 0), workers=2, near=1.02)
    best = min(min(curve.values) for curve in table.curves.values())
    assert course.found is not None
    assert course.best[course.found - 1] <= 1.02 * best < course.best[course.found - 2]


def test_the_interval_of_a_mean_holds_it():
    low, high = interval(np.random.default_rng(1).normal(0.5, 1, 100))
    assert 0.2 < low < 0.5 < high < 0.8


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_has_every_cell_with_both_parts(table):
    assert len(table.curves) == len(table.cells) >= 288
    epochs = table.base.training.max_epochs
    assert all(len(curve.values) == len(curve.test) == epochs for curve in table.curves.values())
    assert all(np.isfinite(curve.values + curve.test).all() for curve in table.curves.values())

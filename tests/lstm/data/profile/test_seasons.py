import numpy as np
import pandas as pd
import pytest
from waves import waves

from lstm.data.profile import seasons
from lstm.data.profile.seasons import Season


@pytest.fixture
def found(table_of):
    """The seasons of hourly, or other, values."""

    def find(values, step="h"):
        return tuple(seasons.find(table_of(values, step=step), values))

    return find


def test_a_week_wins_over_a_day_only_where_it_is_clearly_stronger(found):
    assert seasons.strongest(found(waves(2000, 24))).steps == 24
    assert seasons.strongest(found(waves(2000, 24) + 3 * waves(2000, 168))).steps == 168


@pytest.mark.parametrize(("kind", "step"), [("noise", "D"), ("walk", "D"), ("line", "D"), ("noise", ""), ("line", "")])
def test_finds_no_season_where_there_is_none(found, kind, step):
    noise = np.random.default_rng(3).normal(size=1500)
    values = {"noise": noise, "walk": noise.cumsum(), "line": np.arange(1500) * 0.5 + 3}[kind]
    assert seasons.strongest(found(values, step)) is None


@pytest.mark.parametrize(
    ("step", "names", "steps"),
    [
        ("h", ["day", "week"], [24, 168]),  # no two years are there
        ("D", ["week", "year"], [7, 365]),
        ("B", ["week", "year"], [5, 261]),
        ("7D", ["year"], [52]),
        ("MS", ["year"], [12]),
        ("3MS", ["year"], [4]),
    ],
)
def test_candidates_are_those_that_are_there_twice(found, step, names, steps):
    candidates = found(waves(900, 7), step)
    assert [season.name for season in candidates] == names
    assert [season.steps for season in candidates] == steps


@pytest.mark.parametrize("step", ["", "YS", "12MS"])
def test_finds_a_cycle_where_no_calendar_has_a_season(found, step):
    [season] = found(waves(200, 17), step)
    assert (season.name, season.steps) == ("cycle", 17)
    assert season.strength > 0.9


def test_gaps_do_not_hide_a_season(found):
    values = waves(500, 24)
    values[::9] = np.nan
    assert seasons.strongest(found(values)).steps == 24


@pytest.mark.parametrize(
    ("names", "features"),
    [
        ([("day", 24, 0.9), ("week", 168, 0.1)], ("hour_of_day",)),
        ([("day", 24, 0.9), ("week", 168, 0.4)], ("hour_of_day", "day_of_week")),
        ([("year", 52, 0.9)], ("day_of_year",)),
        ([("year", 12, 0.9)], ("month_of_year",)),
        ([("cycle", 17, 0.9)], ()),
    ],
)
def test_the_calendar_is_that_of_the_seasons_that_show(table_of, names, features):
    source = table_of(np.zeros(5), step="h")
    assert seasons.calendar_of(source, [Season(*season) for season in names]) == features
    assert seasons.calendar_of(table_of(np.zeros(5)), [Season("day", 24, 0.9)]) == ()


def test_the_trend_is_the_share_that_a_straight_line_explains():
    line = np.arange(100.0)
    assert seasons.trend_of(line) == 1
    assert seasons.trend_of(np.where(np.arange(100) % 3 == 0, np.nan, -line)) == 1
    assert seasons.trend_of(np.ones(100)) == 0
    noisy = line + 30 * np.random.default_rng(0).normal(size=100)
    assert seasons.trend_of(noisy) == pytest.approx(pd.Series(noisy).corr(pd.Series(line)) ** 2, abs=1e-3)

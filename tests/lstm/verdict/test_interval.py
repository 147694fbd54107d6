import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from intervals import CASES, MOST, PROCESSES, ours_by_blocks
from scipy.stats import t

from lstm.judging.items import Blocks, Items
from lstm.verdict.interval import LEAST, block_starts, compare


def items(errors, places=None, weights=None, metric="loss", name="a", part="test"):
    errors = np.asarray(errors, dtype=float)
    places = np.arange(len(errors)) if places is None else np.asarray(places)
    weights = np.ones(len(errors)) if weights is None else np.asarray(weights, dtype=float)
    return Items(part, name, places.astype(np.int64), weights, {metric: errors})


def held(ours, theirs, blocks=None, metric="loss", direction="minimize", **made):
    return compare(
        items(ours, metric=metric, **made), items(theirs, metric=metric, **made), metric, direction, blocks or Blocks()
    )


def alternating(count, mean, by):
    """Values whose neighbours are not alike: the variance is not made wider."""
    return mean + by * np.resize([1.0, -1.0], count)


# --- By hand --------------------------------------------------------------------------------------------------


def test_a_mean_is_taken_by_the_weights_and_over_what_was_judged():
    found = items([1.0, 4.0, math.nan], weights=[3, 1, 0])
    assert found.mean("loss") == pytest.approx(1.75)
    assert math.isnan(items([math.nan], weights=[0]).mean("loss"))


def test_points_are_students_t_over_the_means_of_blocks():
    ours, theirs = np.array([0.9, 0.7, 0.8, 0.6, 0.9, 0.5]), np.full(6, 0.6)
    found = held(ours.repeat(3), theirs.repeat(3), Blocks(3), "accuracy", "maximize")
    means = ours - theirs
    half = t.ppf(0.975, 5) * means.std(ddof=1) / math.sqrt(6)
    assert (found.unit, found.blocks, found.length) == ("points", 6, 3)
    assert found.value == pytest.approx(100 * means.mean())
    assert (found.low, found.high) == pytest.approx((100 * (means.mean() - half), 100 * (means.mean() + half)))


def test_a_constant_rivals_per_cent_are_those_of_the_plain_difference():
    ours = np.array([0.9, 0.7, 0.8, 0.6, 0.9, 0.5])
    found = held(ours, np.full(6, 2.0))
    half = t.ppf(0.975, 5) * ours.std(ddof=1) / math.sqrt(6)
    assert found.unit == "%"
    assert found.value == pytest.approx(100 * (1 - ours.mean() / 2))
    assert (found.low, found.high) == pytest.approx(tuple(100 * (1 - (ours.mean() + s * half) / 2) for s in (1, -1)))


def test_the_rivals_own_uncertainty_is_in_the_per_cent():
    """Fieller's interval by its definition: the ratios R at which mean(ours - R theirs) can't be told from zero."""
    generator = np.random.default_rng(3)
    ours, theirs = alternating(8, 1.0, 0.3), 1.5 + 0.5 * generator.random(8)
    found = held(ours, theirs)

    def outside(ratio):
        rest = ours - ratio * theirs
        # Those of the plain difference are not alike, so nothing is added to t here.
        return abs(rest.mean()) - t.ppf(0.975, 7) * rest.std(ddof=1) / math.sqrt(8)

    assert outside(1 - found.low / 100) == pytest.approx(0, abs=1e-9)
    assert outside(1 - found.high / 100) == pytest.approx(0, abs=1e-9)
    assert found.low < found.value < found.high


def test_neighbours_that_are_alike_widen_the_interval():
    other = np.full(12, 2.0)
    apart, alike = held(alternating(12, 1, 0.1), other), held(np.repeat(alternating(4, 1, 0.1), 3), other)
    assert apart.high - apart.low < 0.8 * (alike.high - alike.low)
    assert apart.value == pytest.approx(alike.value)


def test_the_overlap_of_horizons_widens_it_by_the_moving_averages_correlation():
    length, overlap = 12, 8
    gammas = {k: max(overlap - abs(k), 0) for k in range(-2 * length, 2 * length)}
    within = sum(gammas[i - j] for i in range(length) for j in range(length))
    between = sum(gammas[i - j] for i in range(length) for j in range(length, 2 * length))
    assert Blocks(length, overlap).alike == pytest.approx(between / within)
    assert Blocks(length).alike == 0


def test_blocks_of_uneven_weight_count_by_it():
    """A ratio of sums: the mean of all items, and each block's rest beside what its weight would make it."""
    weights = np.array([3.0, 4, 5, 3, 4, 5])
    ours = np.array([0.9, 0.5, 0.8, 0.4, 0.9, 0.6])
    found = held(ours, np.full(6, 0.5), metric="accuracy", direction="maximize", weights=weights)
    mean = np.average(ours, weights=weights)
    rest = weights * (ours - mean) / weights.sum()
    assert rest[1:] @ rest[:-1] / (rest @ rest) < -1 / 6  # neighbours are not alike
    half = t.ppf(0.975, 5) * math.sqrt(6 / 5 * (rest @ rest))
    assert found.value == pytest.approx(100 * (mean - 0.5))
    assert (found.low, found.high) == pytest.approx((found.value - 100 * half, found.value + 100 * half))


def test_what_neighbours_show_is_their_correlation_with_its_bias_taken_off():
    ours = np.array([0.0, 1, 1, 0, 0, 1, 1, 1])
    rest = ours - ours.mean()
    alike = rest[1:] @ rest[:-1] / (rest @ rest) + 1 / 8
    assert 0.05 < alike < 0.4
    found = held(ours, np.zeros(8), metric="accuracy", direction="maximize")
    wider = (1 + 2 * alike * 7 / 8) / (1 - 2 * alike / 8)
    half = 100 * t.ppf(0.975, 7) * ours.std(ddof=1) / math.sqrt(8) * math.sqrt(wider)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_that_correlation_is_the_least_that_an_interval_is_widened_by():
    ours, theirs = alternating(60, 1, 0.1).repeat(10), np.full(600, 2.0)  # neighbours could not be less alike
    apart, shared = held(ours, theirs, Blocks(10)), held(ours, theirs, Blocks(10, 8))
    alike = Blocks(10, 8).alike
    wanted = math.sqrt((1 + 2 * alike * 59 / 60) / (1 - 2 * alike / 60))
    assert wanted > 1.1
    assert (shared.high - shared.low) / (apart.high - apart.low) == pytest.approx(wanted)


def test_a_difference_in_the_metric_itself_where_the_rival_makes_no_error():
    found = held(alternating(6, 0.5, 0.1), np.zeros(6))
    assert (found.unit, found.answer) == ("metric", "worse")
    assert found.value == pytest.approx(-0.5)
    assert found.why
    both = held(np.zeros(6), np.zeros(6))
    assert (both.unit, both.value, both.low, both.high, both.answer) == ("metric", 0, 0, 0, "alike")


def test_a_rivals_error_that_may_be_zero_gives_no_per_cent():
    theirs = np.array([0.0, 0.0, 0.0, 0.0, 9.0, 0.0])
    found = held(theirs + alternating(6, 0.1, 0.01), theirs)
    assert found.unit == "metric"
    assert found.value == pytest.approx(-0.1)
    assert found.answer == "worse"


# --- Blocks ---------------------------------------------------------------------------------------------------


def test_a_block_has_at_least_its_length_and_none_is_left_over():
    starts = block_starts(np.arange(318), np.ones(318), 52)
    sizes = np.diff([*starts, 318])
    assert len(starts) == 6
    assert sizes.min() >= 52
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(("origins", "horizon", "season", "blocks"), [(318, 26, 52, 4), (269, 7, 365, 0), (4, 1, 0, 4)])
def test_below_five_blocks_there_is_no_interval(origins, horizon, season, blocks):
    generator = np.random.default_rng(0)
    found = held(generator.random(origins), generator.random(origins) + 1, Blocks.of_windows(horizon, season))
    assert (found.blocks, found.low, found.high, found.answer) == (blocks, None, None, "unknown")
    assert str(blocks) in found.why
    assert found.value > 0


@pytest.mark.parametrize(
    ("origins", "horizon", "season", "blocks"), [(269, 7, 7, 19), (2857, 24, 24, 59), (2713, 168, 24, 14)]
)
def test_from_five_on_there_is_one(origins, horizon, season, blocks):
    generator = np.random.default_rng(0)
    found = held(generator.random(origins), generator.random(origins) + 1, Blocks.of_windows(horizon, season))
    assert (found.blocks, found.answer) == (blocks, "better")


def test_a_gap_makes_no_blocks():
    """Two stretches of 250 places far from each other are ten blocks of fifty, not the hundreds that fit between."""
    places = np.concatenate([np.arange(250), 100_000 + np.arange(250)])
    starts = block_starts(places, np.ones(500), 50)
    assert 8 <= len(starts) <= 10
    assert np.diff([*starts, 500]).min() >= 25


def test_blocks_of_little_weight_join_others():
    weights = np.ones(100)
    weights[30:40] = 0.01
    starts = block_starts(np.arange(100), weights, 10)
    assert len(starts) == 9
    assert np.add.reduceat(weights, starts).min() >= 5
    weights[:] = [*np.ones(90), *np.full(10, 0.01)]
    assert len(block_starts(np.arange(100), weights, 10)) == 9


# --- Pairs ----------------------------------------------------------------------------------------------------


def test_items_that_one_was_not_judged_on_are_left_out_and_counted():
    ours, theirs = alternating(12, 1, 0.1), alternating(12, 2, 0.1)
    lacking = np.where(np.arange(12) < 2, math.nan, theirs)
    weights = np.where(np.arange(12) < 2, 0, 1)
    found = compare(items(ours), items(lacking, weights=weights), "loss", "minimize", Blocks())
    assert found.left_out == 2
    same = held(ours[2:], theirs[2:])
    assert (found.value, found.low, found.high) == pytest.approx((same.value, same.low, same.high), rel=1e-12)


def test_other_places_parts_and_values_are_no_pairs():
    one = items(alternating(8, 1, 0.1))
    assert compare(one, items(np.ones(8), places=np.arange(8) + 20), "loss", "minimize", Blocks()).value is None
    with pytest.raises(ValueError, match="other values"):
        compare(one, items(np.ones(8), weights=np.full(8, 2)), "loss", "minimize", Blocks())
    with pytest.raises(ValueError, match="validation"):
        compare(one, items(np.ones(8), part="validation"), "loss", "minimize", Blocks())


@pytest.mark.parametrize("figure", [math.nan, math.inf, 1e308])
def test_what_is_no_number_has_no_difference(figure):
    found = held(np.full(8, figure), np.full(8, 1.0))
    assert (found.value, found.low, found.answer) == (None, None, "unknown")
    assert found.why


# --- Properties -----------------------------------------------------------------------------------------------


def _pair(count, share):
    one = arrays.arrays(float, count, elements=st.floats(0.01, 100, allow_subnormal=False))
    return st.tuples(one, one).map(lambda drawn: (drawn[0] * share, drawn[1]))


ERRORS = st.tuples(st.integers(5, 60), st.sampled_from([0.1, 0.7, 1, 3])).flatmap(lambda drawn: _pair(*drawn))


def close(one, other, sign=1):
    wanted = (other.value, other.low, other.high) if sign > 0 else (-other.value, -other.high, -other.low)
    return (one.value, one.low, one.high) == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@given(ERRORS, st.sampled_from([1e-9, 0.37, 1e6]))
@settings(max_examples=40)
def test_per_cent_do_not_depend_on_the_scale(drawn, scale):
    ours, theirs = drawn
    one, other = held(ours, theirs), held(scale * ours, scale * theirs)
    assert one.unit == other.unit
    if one.unit == "%":
        assert close(one, other)


@given(ERRORS)
@settings(max_examples=40)
def test_an_exchange_turns_points_round(drawn):
    ours, theirs = drawn
    assert close(
        held(ours, theirs, metric="accuracy", direction="maximize"),
        held(theirs, ours, metric="accuracy", direction="maximize"),
        sign=-1,
    )


@given(ERRORS)
@settings(max_examples=40)
def test_an_exchange_turns_the_answer_round(drawn):
    ours, theirs = drawn
    turned = {"better": "worse", "worse": "better", "alike": "alike"}
    assert held(theirs, ours).answer == turned[held(ours, theirs).answer]


@given(ERRORS)
@settings(max_examples=40)
def test_per_cent_and_plain_difference_give_one_answer(drawn):
    ours, theirs = drawn
    plain = held(ours, theirs, metric="accuracy", direction="maximize")
    assert held(ours, theirs).answer == {"better": "worse", "worse": "better", "alike": "alike"}[plain.answer]


@given(ERRORS, st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_windows_of_no_weight_change_nothing(drawn, more, seed):
    ours, theirs = drawn
    wanted = held(ours, theirs, Blocks(3, 2))
    places = np.concatenate([np.arange(len(ours)), np.random.default_rng(seed).integers(-500, 0, more)])
    places, index = np.unique(places, return_index=True)
    fill = np.full(more, math.nan)
    weights = np.concatenate([np.ones(len(ours)), np.zeros(more)])[index]
    found = held(
        np.concatenate([ours, fill])[index],
        np.concatenate([theirs, fill])[index],
        Blocks(3, 2),
        places=places,
        weights=weights,
    )
    assert found == wanted


@given(ERRORS, st.floats(0.5, 50))
@settings(max_examples=40)
def test_only_the_weights_proportions_count(drawn, weight):
    ours, theirs = drawn
    one = held(ours, theirs, Blocks(2))
    other = held(ours, theirs, Blocks(2), weights=np.full(len(ours), weight))
    assert one.unit == other.unit
    if one.low is not None:
        assert close(one, other)


# --- Coverage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [case for case in CASES if case.season < 100], ids=lambda case: case.name)
def test_better_is_seldom_said_where_there_is_no_difference(case):
    """In small, with a fixed seed; `tests/bench/intervals.py` has the whole."""
    generator, blocks = np.random.default_rng(7), Blocks.of_windows(case.horizon, case.season)
    drawn = [d(generator, case.origins, case.horizon, case.season) for d in PROCESSES.values() for _ in range(50)]
    low, high = np.array([ours_by_blocks(*pair, blocks) for pair in drawn]).T
    assert max((low > 0).mean(), (high < 0).mean()) <= MOST
    assert ((low <= 0) & (high >= 0)).mean() < 1  # it does say something


@pytest.mark.parametrize("wrong", [0.005, 0.02, 0.2])
def test_nor_of_sequences_of_which_few_are_told_in_two_ways(wrong):
    generator, repetitions = np.random.default_rng(7), 600
    right = generator.random((repetitions, 2, 450)) >= wrong
    answers = [held(*pair.astype(float), metric="accuracy", direction="maximize").answer for pair in right]
    assert max(answers.count("better"), answers.count("worse")) / repetitions <= MOST
    assert len(set(answers)) > 1


def test_a_real_difference_is_seen():
    generator = np.random.default_rng(1)
    shared = generator.random(269) + 0.5
    ours, theirs = (shared + 0.1 * generator.random(269) + gain for gain in (0.0, 0.2))
    found = held(ours, theirs, Blocks.of_windows(7, 7))
    assert found.blocks >= LEAST
    assert 10 < found.low < found.value < found.high < 20

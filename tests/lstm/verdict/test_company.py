"""The winner and its company: intervals beside SciPy's own, corrections, what is missing, and the sentences."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lstm.records.confirmation import Confirmation, Confirmed
from lstm.verdict.company import LEAST, company
from lstm.verdict.company_sentences import document, lines, sentence, table

RIDGE = "ridge on 104 changes"
OWN = "the base (the spec's own settings, trial 0)"


def confirmed(*settings, rival=None, windows="fresh", tried=16, direction="minimize", metric="val/loss"):
    """A confirmation of the base and trials 1, 2, ...; each has its errors as (seed, window)."""
    arrays = [np.atleast_2d(np.asarray(errors, dtype=object)) for errors in settings]
    rows = [
        Confirmed(f"s{n}", n, f"trial {n}" if n else "base", tuple(range(len(a))), tuple(map(tuple, a.tolist())))
        for n, a in enumerate(arrays)
    ]
    if rival is not None:
        rows.append(Confirmed("", None, RIDGE, (), (tuple(rival),)))
    return Confirmation(metric, direction, windows, arrays[0].shape[1], tried, tuple(rows))


def drawn(windows, seeds, *better, spread=0.1, seed=5, scale=1.0):
    """Errors of the base, and of settings that are better by these shares."""
    generator = np.random.default_rng(seed)
    level = np.exp(generator.normal(0, 0.4, windows))
    return [
        scale * level * (1 - share) * np.exp(generator.normal(0, spread, (seeds, windows))) for share in (0, *better)
    ]


# --- The intervals, beside SciPy's -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("windows", "tried"), [("fresh", 16), ("search", 60)])
def test_an_interval_is_students_t_over_the_windows_corrected_for_all_that_were_compared(windows, tried):
    errors = drawn(7, 3, 0.3, 0.25, 0.2)
    rival = errors[0].mean(axis=0) * 1.2
    found = company(confirmed(*errors, rival=rival, windows=windows, tried=tried))
    assert found.comparisons == (4 if windows == "fresh" else 60)
    logs = {f"trial {n}" if n else "base": np.log([np.mean([row[w] for row in e]) for w in range(7)])
            for n, e in enumerate(errors)} | {RIDGE: np.log(rival)}  # fmt: skip
    winner = min(list(logs)[:-1], key=lambda name: logs[name].mean())
    assert found.winner.name == winner
    for member in found.members[1:]:
        paired = stats.ttest_rel(logs[member.name], logs[winner])
        assert paired.df == 6
        ends = paired.confidence_interval(1 - 0.05 / found.comparisons)
        wanted = [100 * (1 - math.exp(-end)) for end in ((logs[member.name] - logs[winner]).mean(), *ends)]
        difference = member.difference
        assert [difference.value, difference.low, difference.high] == pytest.approx(wanted, rel=1e-9)
        is_better = min(paired.pvalue * found.comparisons, 1) < 0.05 and wanted[0] > 0  # Bonferroni by hand
        assert (difference.answer == "better") == is_better
        assert (difference.unit, difference.blocks) == ("%", 7)


def test_accuracies_are_compared_in_points_and_errors_near_zero_in_their_own_unit():
    right = np.array([[0.9, 0.8, 0.7, 0.85], [0.92, 0.82, 0.68, 0.87]])
    found = company(confirmed(right - 0.1, right, direction="maximize", metric="val/accuracy"))
    assert (found.winner.name, found.base.difference.unit) == ("trial 1", "points")
    assert found.base.difference.value == pytest.approx(10)
    errors = np.array([[1.0, 2.0, 3.0, 1e-6]])
    found = company(confirmed(errors, errors / 2))
    assert found.base.difference.unit == "metric"
    gains = (errors / 2)[0]
    half = stats.t.ppf(0.975, 3) * gains.std(ddof=1) / 2
    assert (found.base.difference.value, found.base.difference.low) == pytest.approx(
        (gains.mean(), gains.mean() - half)
    )


def test_a_rival_without_an_error_has_its_own_unit_and_the_settings_keep_theirs():
    errors = drawn(5, 2, 0.3)
    for rival in (np.zeros(5), np.full(5, 1e-9)):
        found = company(confirmed(*errors, rival=rival))
        assert [(m.name, m.difference.unit) for m in found.members[1:]] == [(RIDGE, "metric"), ("base", "%")]
        assert found.base.difference.value == company(confirmed(*errors)).base.difference.value
        assert found.rival.difference.value == pytest.approx((rival - errors[1].mean(axis=0)).mean())


def test_one_comparison_on_the_searchs_windows_counts_for_all_that_was_tried_there():
    errors = drawn(8, 2, 0.2, spread=0.05)
    fresh, few, many = (company(confirmed(*errors, windows=w, tried=t)).base.difference
                        for w, t in (("fresh", 60), ("search", 2), ("search", 60)))  # fmt: skip
    assert fresh.low > few.low > many.low
    assert fresh.value == few.value == many.value


def test_more_seeds_make_no_more_observations():
    one = drawn(6, 1, 0.1)
    same = [np.repeat(errors, 5, axis=0) for errors in one]
    assert company(confirmed(*one)).base.difference == company(confirmed(*same)).base.difference


def test_a_window_with_large_errors_counts_as_any_other_in_the_comparison_and_the_mean_is_named():
    base = np.array([[1.0, 1.0, 1.0, 1.0, 20.0]])
    other = np.array([[0.8, 0.79, 0.81, 0.8, 21.0]])
    found = company(confirmed(base, other))
    assert found.winner.name == "trial 1"
    assert found.winner.value > found.base.value
    assert any(line.startswith("the base has the lower mean of val/loss, 4.8 against 4.84") for line in lines(found))


# --- What can't be told ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("windows", [1, 2, LEAST - 1])
def test_fewer_than_four_windows_never_say_better(windows):
    found = company(confirmed(*drawn(windows, 9, 0.9, spread=0.001), rival=np.full(windows, 99.0)))
    assert found.answer == "unknown"
    assert not found.beaten
    assert {member.name for member in found.alike} == {"base", RIDGE}
    assert sentence(found).startswith("too few windows to tell (")
    assert company(confirmed(*drawn(LEAST, 9, 0.9, spread=0.001))).answer == "better"


def test_a_setting_that_lacks_a_figure_is_no_winner_and_is_named():
    errors = [list(map(list, each)) for each in drawn(5, 3, 0.1, 0.5, 0.6)]
    errors[2][1][4] = None
    errors[3][0][0] = math.nan
    found = company(confirmed(*errors))
    assert found.winner.name == "trial 1"
    assert [(m.name, m.why) for m in found.absent] == [
        ("trial 2", "it has no figures from 1 of 3 seeds"),
        ("trial 3", "it has no figures from 1 of 3 seeds"),
    ]
    assert found.comparisons == 3  # it was tried
    assert lines(found)[-2:] == tuple(f"trial {n}: it has no figures from 1 of 3 seeds" for n in (2, 3))


def test_without_figures_of_the_base_or_of_all_nothing_is_claimed():
    base, one = drawn(5, 2, 0.4)
    broken = [[None] * 5, base[1].tolist()]
    found = company(confirmed(broken, one))
    assert (found.answer, found.winner.name) == ("none", "trial 1")
    assert sentence(found) == (
        f"trial 1 is the best of 2 settings; it can't be compared with {OWN}: it has no figures from 1 of 2 seeds"
    )
    found = company(confirmed(broken, broken, rival=base[0]))
    assert (found.answer, found.winner) == ("none", None)
    assert lines(found) == (
        "no setting was confirmed: none has figures from all seeds in all windows",
        "base: it has no figures from 1 of 2 seeds",
        "trial 1: it has no figures from 1 of 2 seeds",
    )
    missing = replace(confirmed(base, one), settings=(replace(confirmed(base).settings[0], errors=()),))
    assert company(missing).absent[0].why == "it has no figures"


# --- The sentences ---------------------------------------------------------------------------------------------------


def test_a_base_that_cannot_be_told_apart_is_in_the_first_sentence():
    found = company(confirmed(*drawn(4, 5, 0.05, 0.02)))
    first, *rest = lines(found)
    assert found.answer == "alike"
    assert first.startswith(f"{found.winner.name}, the best of 3 settings, can't be told apart from {OWN}: ")
    assert first.endswith("; the spec's own settings may be enough")
    assert rest[0] == (
        "judged over 4 windows that the search has not seen, each setting from 5 seeds; "
        "the intervals hold for 2 comparisons together"
    )


def test_a_winner_is_told_with_its_interval_and_its_company():
    errors = drawn(8, 5, 0.5, 0.51, 0.1, 0.12, spread=0.05)
    found = company(confirmed(*errors, rival=errors[0].mean(axis=0) * 0.1, windows="search"))
    first, judged, rival, alike, worse = lines(found)
    assert first == f"trial 2 is 50 % [48, 53] better than {OWN}"
    assert rival.startswith("over these windows trial 2 is ")
    assert rival.endswith(f" worse than the best rival, {RIDGE}; use this rival, or search further")
    assert alike == "trial 1 can't be told apart from trial 2"
    assert worse == "trial 4 and trial 3 are worse"
    assert judged == (
        "judged over 8 windows on which the search has chosen, each setting from 5 seeds; "
        "the intervals hold for all 16 settings together that the search has tried there"
    )
    assert [told for member, told in table(found) if member.role == "base"] == ["50 % [48, 53] better"]
    assert table(found)[0] == (found.winner, "the winner")


def test_a_company_without_a_rival_says_so():
    errors = drawn(8, 3, 0.3)
    silent = "no rival was judged over these windows"
    assert lines(company(confirmed(*errors))).count(silent) == 1
    assert silent not in lines(company(confirmed(*errors, rival=errors[0].mean(axis=0))))


def test_folds_and_few_windows_are_said_where_they_weaken_a_sentence():
    errors = drawn(8, 3, 0.3)
    found = company(confirmed(*errors))
    shared = ", and may be too short, because folds share most of what they are trained on"
    assert lines(replace(found, are_folds=True))[1] == lines(found)[1] + shared
    few = drawn(3, 2, 0.3)
    told = lines(company(confirmed(*few, rival=few[0].mean(axis=0) * 9)))
    assert any(line.endswith(f"than the best rival, {RIDGE}: too few windows to tell") for line in told), told


def test_a_base_that_wins_is_said_to_be_the_best():
    found = company(confirmed(*drawn(12, 3, -0.5, -0.6, spread=0.02), rival=np.full(12, 99.0)))
    assert found.answer == "base"
    assert lines(found)[0] == f"nothing that the search found is better than {OWN}: it is the best of 3 settings"
    assert lines(found)[2].startswith("over these windows the base is ")
    assert lines(found)[3] == "trial 1 and trial 2 are worse"


def test_a_company_is_plain_data_with_its_sentences():
    found = company(confirmed(*drawn(5, 2, 0.3, 0.2), rival=np.ones(5)))
    row = json.loads(json.dumps(document(found)))
    assert (row["trial"], row["answer"], row["lines"]) == (found.winner.number, found.answer, list(lines(found)))
    assert [(m["name"], m["told"]) for m in row["members"]] == [(m.name, told) for m, told in table(found)]
    assert row["members"][1]["difference"]["low"] == found.members[1].difference.low


def test_with_a_second_objective_a_sentence_says_that_the_winner_is_by_the_metric_alone():
    found = company(confirmed(*drawn(7, 3, 0.3)))
    told = lines(replace(found, second="probe/reliability/noise"))
    assert "by val/loss alone: probe/reliability/noise, the second objective, is not part of this" in told
    assert len(lines(found)) == len(told) - 1

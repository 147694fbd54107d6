"""A trial's value over windows, the steps that Optuna has of it, and which histories are whole."""

import pytest

from lstm.records.epoch import Epoch, Place
from lstm.records.windows import Windows

MIN = "minimize"


def epochs(*windows, stop="patience"):
    """Epochs of windows from their values; each window but the last has ended, the last one with `stop`."""
    return [
        Epoch(
            number,
            {},
            value,
            0,
            ("patience" if window < len(windows) else stop) if number == len(values) else None,
            window=window,
        )
        for window, values in enumerate(windows, 1)
        for number, value in enumerate(values, 1)
    ]


THREE = Windows(3, longest=10)


def test_a_value_is_the_mean_over_all_windows_each_at_its_own_best_epoch():
    result = THREE.result(epochs([4, 2, 3], [1, 5], [6, 7, 3]), MIN)
    assert result.value == (2 + 1 + 3) / 3
    assert result.best_epochs == (2, 1, 3)
    assert result.epochs == 2


@pytest.mark.parametrize(
    ("numbers", "median"), [((1, 2), 2), ((2, 3, 9), 3), ((4, 4, 5, 5), 5), ((7,), 7), ((1, 3, 4, 10), 4)]
)
def test_half_an_epoch_is_rounded_up(numbers, median):
    made = epochs(*([1.0] * (number - 1) + [0.5] for number in numbers))
    assert Windows(len(numbers), longest=99).result(made, MIN).epochs == median


@pytest.mark.parametrize("stop", [None, "diverged"])
def test_a_trial_that_ended_before_its_last_window_did_has_no_value(stop):
    some = epochs([4, 2], [1, 5], [6], stop=stop)
    assert THREE.result(some, MIN).value is None
    assert THREE.steps(some, MIN) == [(1, 4), (2, 2), (11, 1.5)]


def test_a_later_window_is_one_step_and_the_same_in_every_trial():
    short, long = epochs([1], [3], [5]), epochs([4, 3, 2, 1], [9, 3], [5, 6, 7])
    assert [step for step, _ in THREE.steps(short, MIN)] == [1, 11, 12]
    assert THREE.steps(long, MIN)[4:] == THREE.steps(short, MIN)[1:] == [(11, 2), (12, 3)]
    assert [THREE.window_of(step) for step in (1, 10, 11, 12)] == [1, 1, 2, 3]


def test_the_training_before_the_test_part_is_no_step_and_changes_no_value():
    windows = epochs([4, 2, 3], [1, 5], [6, 7, 3])
    final = [*windows, Epoch(1, {}, float("nan"), 0, None, window=4), Epoch(2, {}, float("nan"), 0, window=4)]
    assert THREE.result(final, MIN) == THREE.result(windows, MIN)
    assert THREE.steps(final, MIN) == THREE.steps(windows, MIN)
    assert THREE.judged(final) == windows


def test_a_single_window_is_what_a_trial_without_a_backtest_always_was():
    one, some = Windows(), epochs([4, 2, 3], stop=None)
    assert one.result(some, MIN) == (2, (2,))
    assert one.steps(some, MIN) == [(1, 4), (2, 2), (3, 3)]
    assert one.result([], MIN) == (None, (0,))
    assert one.facts() == {}


WHOLE = epochs([4, 2], [1, 5, 3])
HISTORIES = {
    "whole": (WHOLE, Place(2, 3), True),
    "nothing yet": ([], Place(1, 0), True),
    "all lost": ([], Place(1, 2), False),
    "the last epoch of a window missing": ([WHOLE[0], *WHOLE[2:]], Place(2, 3), False),
    "the first epoch missing": (WHOLE[1:], Place(2, 3), False),
    "twice": ([*WHOLE, WHOLE[-1]], Place(2, 3), False),
    "a window missing": (WHOLE[2:], Place(2, 3), False),
    "not the state's": (WHOLE, Place(2, 2), False),
    "in another order": ([*WHOLE[2:], *WHOLE[:2]], Place(1, 2), False),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_which_histories_are_whole(name):
    history, last, whole = HISTORIES[name]
    assert Windows(2, longest=9).is_whole(history, last) is whole


def test_a_window_that_is_only_judged_has_the_number_of_the_epoch_that_is_judged():
    judged = [*epochs([4, 2, 3])[:3], Epoch(2, {}, 7.0, 0, "judged", window=2)]
    assert Windows(2, longest=9, refit=False).is_whole(judged, Place(2, 2))
    assert not Windows(2, longest=9, refit=True).is_whole(judged, Place(2, 2))

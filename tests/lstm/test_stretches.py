"""A training over stretches of a text: against a plain loop, resumed anywhere, and blind for what comes after."""

from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from trainings import run, same_weights, told, windows

from lstm.config.language_model import TextData
from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig
from lstm.data import language_model as language_data
from lstm.records.errors import BadInput
from lstm.rivals.language_model import MOST_ORDER, Counts
from lstm.tasks import registry as tasks
from lstm.training.loop import train
from lstm.verdict import fitting

SYMBOLS, WINDOWS, LENGTH, TEST = 600, 3, 40, 450
FIRST = TEST - WINDOWS * LENGTH  # the windows leave 30 symbols of the validation part to the training
SPLIT = {"validation": 0.25, "test": 0.25}


def letters(seed=5, size=SYMBOLS):
    rng = np.random.default_rng(seed)
    return "".join(rng.choice(list("abcd "), size, p=[0.4, 0.2, 0.1, 0.1, 0.2]))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A configuration with a backtest and its text."""
    folder = tmp_path_factory.mktemp("stretches")

    def make(text=None, unit="characters", **backtest):
        (folder / "a.txt").write_text(letters() if text is None else text)
        backtest = {"windows": WINDOWS, "length": LENGTH} | backtest
        section = TextData(lookback=6, unit=unit, split=SPLIT, backtest=backtest)
        training = TrainingConfig(max_epochs=4, patience=2, batch_size=4, learning_rate=0.02)
        config = TrialConfig(task="language_model", data=section, model=ModelConfig(hidden_size=3), training=training)
        return config, language_data.load(section, folder / "a.txt")

    return make


def plain(config, **training):
    data = config.data.model_copy(update={"backtest": None})
    return config.model_copy(update={"data": data, "training": config.training.model_copy(update=training)})


def test_each_window_is_what_a_plain_training_on_all_text_before_it_gives(case):
    """The plain loop ends the text after each window."""
    config, data = case()
    for number, mine in enumerate(windows(run(config, data))):
        start = FIRST + number * LENGTH
        cut = replace(data, ids=data.ids[: start + LENGTH + 1], borders=(start, start + LENGTH), windows=())
        for one, other in zip(mine, run(plain(config), cut), strict=True):
            assert (one.number, one.stop, one.value) == (other.number, other.stop, other.value)
            assert same_weights(one.state.model, other.state.model)
            assert same_weights(one.state.best_weights, other.state.best_weights)


def test_before_the_test_part_it_is_trained_on_all_text_for_the_median_of_the_windows(case):
    config, data = case()
    *judged, final = windows(run(config, data, to_test=True))
    assert len(judged) == WINDOWS
    assert len(final) == median(min(epochs, key=lambda e: e.value).number for epochs in judged)
    cut = replace(data, borders=(TEST, TEST), windows=())
    single = plain(config, patience=None)
    other = train(single, replace(cut, borders=(TEST, TEST + 20)))
    weights = [next(other).state.model for _ in final][-1]
    assert same_weights(final[-1].state.best_weights, weights)


def test_a_window_that_is_not_trained_anew_is_judged_with_the_first_windows_best_epoch(case):
    config, data = case(refit=False)
    first, *later = windows(run(config, data))
    anew, *_ = windows(run(*case()))
    assert told(first) == told(anew)
    state = first[-1].state
    network = tasks.of(config).network(config, data.facts)
    network.load_state_dict(dict(state.best_weights))
    for number, [epoch] in enumerate(later, 2):
        assert (epoch.number, epoch.stop) == (state.best_epoch, "judged")
        judged = tasks.of(config).feed(data.at_window(number), config, "cpu").evaluate(network, "validation")
        assert epoch.value == judged["loss"]


@pytest.mark.parametrize("refit", [True, pytest.param(False, marks=pytest.mark.faults)])
def test_resumed_after_any_epoch_it_goes_on_to_the_bit(case, refit):
    config, data = case(refit=refit)
    whole = run(config, data, to_test=True)
    for place in range(0, len(whole), 3):  # in each window, and in the training before the test part
        epoch = whole[place]
        rest = run(config, data, epoch.state, to_test=True)
        assert told(rest) == told(whole[place + 1 :])
        if rest:
            assert same_weights(rest[-1].state.best_weights, whole[-1].state.best_weights)


def test_what_comes_after_a_window_changes_nothing_in_it(case):
    """Every later symbol is another, also one that the training part lacks."""
    config, data = case()
    right = windows(run(config, data))
    for number in range(WINDOWS):
        end = FIRST + (number + 1) * LENGTH
        _, changed = case(letters()[:end] + letters(9)[end:].replace("d", "z"))
        others = windows(run(config, changed))
        assert [told(each) for each in others[: number + 1]] == [told(each) for each in right[: number + 1]]
        if number + 1 < WINDOWS:
            assert told(others[number + 1]) != told(right[number + 1])


def test_symbols_are_numbered_by_the_text_before_the_first_window(case):
    _, data = case(letters()[:FIRST] + "z" * LENGTH + letters()[FIRST + LENGTH :])
    assert "z" not in data.targets
    assert (data.ids[FIRST : FIRST + LENGTH] == 0).all()


@pytest.mark.parametrize(
    ("backtest", "spans"),
    [({"length": 7}, [(429, 436), (436, 443), (443, 450)]), ({"length": None}, [(300, 350), (350, 400), (400, 450)])],
)
def test_windows_end_where_the_test_part_begins(case, backtest, spans):
    _, data = case(**backtest)
    assert list(data.windows) == spans
    assert data.bounds("train") == (0, spans[0][0])
    assert data.bounds("validation") == (spans[0][0], 450)
    for number, (start, stop) in enumerate(spans, 1):
        view = data.at_window(number)
        assert [view.bounds(part) for part in ("train", "validation", "test")] == [
            (0, start),
            (start, stop),
            (450, 600),
        ]
    assert data.at_window(4).bounds("train") == (0, 450)


def test_each_window_is_described_with_its_symbols(case):
    config, data = case(length=None)
    told = tasks.of(config).describe(data, config)
    assert told["windows"] == {"train": 300, "validation": 150, "test": 150}
    wanted = [(301, 350, 300, 50), (351, 400, 350, 50), (401, 450, 400, 50)]
    assert [tuple(row[name] for name in ("first", "last", "train", "judged")) for row in told["backtest"]] == wanted


@pytest.mark.parametrize("backtest", [{"length": 60}, {"windows": 100, "length": 2}])
def test_windows_that_do_not_fit_the_text_are_refused(case, backtest):
    with pytest.raises(BadInput) as error:
        case(**backtest)
    (found,) = error.value.faults
    assert (found.code, found.path) == ("windows-do-not-fit", "data.backtest")
    assert "characters, but the validation part has 150" in str(found)


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_counts_are_made_for_each_window_and_their_order_chosen_by_the_mean_over_windows(case, unit):
    config, data = case(unit=unit, length=None)
    rival, views = Counts(), tasks.windows_of(config, data)
    losses = {}
    for order in range(1, MOST_ORDER + 1):
        chosen = replace(fitting.Fitted(rival.name, "", {"order": order}, {}))
        judged = [rival.judge(rival.refit(chosen, view, config), view, config, "validation") for view in views]
        losses[order] = np.mean([each.metrics["loss"] for each in judged])
    once = fitting.run(rival.name, data, config)
    assert once.why == ""
    assert once.fitted.settings["order"] == min(losses, key=losses.__getitem__)
    assert once.over_windows["validation"]["loss"] == pytest.approx(min(losses.values()), rel=1e-12)
    assert once.fitted.settings["symbols"] == data.bounds("test")[0]
    again = fitting.judge_again(once.fitted, data, config)
    assert again.over_windows == once.over_windows
    assert again.judgements["test"].metrics == once.judgements["test"].metrics

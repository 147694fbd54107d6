"""A refit learns from all data, old and newer ones, for a fixed number of epochs; nothing judges it."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

from lstm.checkpoint import Checkpoint
from lstm.config.classify import ClassifyData
from lstm.config.forecast import ForecastData
from lstm.config.language_model import TextData
from lstm.config.section import File
from lstm.data import language_model as language_data
from lstm.data.dataset import Before, reading_of
from lstm.nn import highway
from lstm.records.errors import BadInput
from lstm.tasks import registry as tasks
from lstm.training import loop, refit

DAYS = pd.date_range("2020-01-01", periods=240, freq="D")
SPLIT = {"validation": 40, "test": 40}


def walk(rows=240, seed=4):
    return np.random.default_rng(seed).normal(size=rows).cumsum() + 20


def written(folder, times=DAYS, values=None, name="a.csv"):
    values = walk(len(times)) if values is None else values
    pd.DataFrame({"t": times, "y": values}).to_csv(folder / name, index=False)
    return File(path=str(folder / name))


@pytest.fixture
def of_series(trial_config):
    def make(model=None, training=None, **data):
        section = {"time": "t", "target": "y", "split": SPLIT, "season": 7} | data
        return trial_config(section, model or {}, {"max_epochs": 5} | (training or {}))

    return make


def before(config, place):
    """What a study would know of the data that its sweep was begun with."""
    data = tasks.load(config, place)
    return Before(data.fingerprint, reading_of(data))


def loaded(config, place, known, until=None):
    return tasks.load_all(config, place, config.data.reach, known, until)


def refused(config, place, known, until=None):
    with pytest.raises(BadInput) as error:
        loaded(config, place, known, until)
    return [each.code for each in error.value.faults]


def test_all_rows_are_trained_on_and_scaled_by(of_series, tmp_path):
    config, place = of_series(), written(tmp_path)
    whole = loaded(config, place, before(config, place))
    assert (whole.count, whole.new, whole.first, whole.last) == (240, 0, "2020-01-01", "2020-08-27")
    series, values = whole.data, pd.read_csv(tmp_path / "a.csv")["y"].to_numpy()
    section = config.data_as(ForecastData)
    assert (series.scale.mean[0], series.scale.deviation[0]) == pytest.approx((values.mean(), values.std()), rel=1e-12)
    origins = series.train_origins(section)
    assert (origins[0], origins[-1]) == (section.lookback, 240 - section.horizon)
    assert not len(series.origins("validation", section))
    assert not len(series.origins("test", section))


def test_a_training_has_as_many_epochs_as_were_asked_for_and_is_resumed_to_the_bit(of_series, tmp_path):
    config = of_series(training={"patience": 1, "target_loss": 1e9, "schedule": "cosine"})
    place = written(tmp_path)
    data = loaded(config, place, before(config, place)).data
    epochs = list(refit.train(config, data, 4))
    assert [(e.number, e.stop) for e in epochs] == [(1, None), (2, None), (3, None), (4, "max_epochs")]
    assert not [name for epoch in epochs for name in epoch.metrics if name.startswith(("val/", "test/"))]
    rates = [epoch.metrics["lr"] for epoch in epochs]
    wanted = [config.training.learning_rate * (1 + np.cos(np.pi * step / 5)) / 2 for step in range(4)]
    assert rates == pytest.approx(wanted), "the schedule is that of the trial's five epochs"
    for place_in in (1, 2, 3):
        *_, last = refit.train(config, data, 4, epochs[place_in - 1].state)
        for name in last.state.best_weights:
            assert torch.equal(last.state.best_weights[name], epochs[-1].state.best_weights[name])
    assert list(refit.train(config, data, 4, epochs[-1].state)) == []
    assert refit.seeds(7, 3) == refit.seeds(7, 5)[:3]
    assert len(set(refit.seeds(7, 50))) == 50
    assert refit.seeds(7, 1) == [7]


def test_what_comes_after_the_last_row_leaves_no_trace(of_series, tmp_path):
    config, place = of_series(model={"residual": "linear"}), written(tmp_path)
    known = before(config, place)
    longer = pd.date_range("2020-01-01", periods=260, freq="D")
    made = []
    for ahead in (1.0, 50.0):
        written(tmp_path, longer, np.concatenate([walk(), walk(20, seed=9) * ahead]))
        whole = loaded(config, place, known, "2020-08-30")
        assert (whole.count, whole.new, whole.last) == (243, 3, "2020-08-30")
        made.append(whole.data)
    assert made[0].fingerprint != made[1].fingerprint, "the three new rows differ"
    written(tmp_path, longer, np.concatenate([walk(), walk(20, seed=9)[:3], np.full(17, 1e6)]))
    again = loaded(config, place, known, "2020-08-30").data
    assert again.fingerprint == made[0].fingerprint
    assert np.array_equal(again.values, made[0].values)
    assert loaded(config, place, known, "2020-08-30T12:00").count == 243


WRONG_TIMES = {
    "soon": "until-not-a-time",
    "2020": "until-not-a-time",
    "2020-02-31": "until-not-a-time",
    "2019-12-31": "until-outside-data",
    "2020-08-28": "until-outside-data",
    "2020-01-05": "until-too-early",
    "2020-01-01": "until-too-early",
}


def test_a_time_that_does_not_fit_is_refused(of_series, tmp_path):
    config, place = of_series(), written(tmp_path)
    known = before(config, place)
    for until, code in WRONG_TIMES.items():
        assert refused(config, place, known, until) == [code], until
    hours = written(tmp_path, pd.date_range("2020-01-01", periods=240, freq="h"), name="hours.csv")
    assert refused(config, hours, before(config, hours), "2020-01-09") == ["until-is-a-day"]
    assert loaded(config, hours, before(config, hours), "2020-01-09T00:00").count == 193
    numbers = written(tmp_path, np.arange(1000, 1240), name="numbers.csv")
    assert refused(config, numbers, before(config, numbers), "2020-01-09") == ["until-not-a-number"]
    assert loaded(config, numbers, before(config, numbers), "1199").count == 200


def test_old_rows_must_be_the_same(of_series, tmp_path):
    config, place = of_series(), written(tmp_path)
    known = before(config, place)
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text(text + "2020-08-28,3\n")
    assert loaded(config, place, known).new == 1
    assert refused(config, place, Before(known.fingerprint, {})) == ["old-rows-unknown"]
    (tmp_path / "a.csv").write_text(text + "\n")
    assert loaded(config, place, known).new == 0, "the bytes are others, the rows are not"
    line = text.splitlines()[7]
    (tmp_path / "a.csv").write_text(text.replace(line, f"{line[:11]}99"))
    assert refused(config, place, known) == ["old-rows-changed"]


@pytest.mark.parametrize(
    "data",
    [{}, {"backtest": {"windows": 2}}, {"backtest": {"windows": 2, "fresh": True}}],
    ids=["plain", "backtest", "fresh"],
)
def test_a_highway_has_the_penalty_of_its_trial_and_learns_from_all_rows(of_series, tmp_path, data):
    config = of_series(model={"residual": "linear"}, **data)
    place = written(tmp_path)
    parts = tasks.load(config, place)
    whole = loaded(config, place, before(config, place)).data
    section, view = config.data_as(ForecastData), tasks.before_test(config, parts)
    [penalty] = whole.penalties
    of_trial = highway.fit(view, section, 0)

    def pairs(series):
        steps = series.values[:, 0].astype(np.float64)
        origins = series.train_origins(section)
        past = np.array([steps[o - section.lookback : o - 1] - steps[o - 1] for o in origins])
        return past, np.array([steps[o : o + section.horizon] - steps[o - 1] for o in origins])

    assert of_trial.penalty == pytest.approx(penalty * np.square(pairs(view)[0]).mean(), rel=1e-9)
    past, ahead = pairs(whole)
    independent = Ridge(alpha=penalty * np.square(past).mean()).fit(past, ahead)
    torch.manual_seed(1)
    network = tasks.of(config).network(config, whole.facts)
    highway.start(network, whole, config)
    assert network.linear.fitted[0].numpy() == pytest.approx(independent.coef_.T, abs=1e-6)


def kept(config, data, epochs=2):
    """Two networks of one setting from two seeds, as checkpoints."""
    found = []
    for seed in refit.seeds(1, 2):
        mine = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
        *_, last = refit.train(mine, data, epochs)
        found.append(Checkpoint(mine, asdict(data.facts), last.state))
    return found


def sequences(folder, ids, seed=2):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 7, len(ids))
    rows = [(name, value, "ab"[n % 2]) for n, name in enumerate(ids) for value in rng.normal(n % 2, 1, lengths[n])]
    pd.DataFrame(rows, columns=["who", "x", "kind"]).to_csv(folder / "s.csv", index=False)
    return File(path=str(folder / "s.csv"))


def test_all_sequences_are_trained_on_and_seeds_predict_by_their_mean_probability(cases, tmp_path):
    section = ClassifyData(id="who", columns=["x"], label="kind", split={"validation": 0.2, "test": 0.2})
    config = cases["classify"][1].model_copy(update={"data": section})
    place = sequences(tmp_path, [f"s{n}" for n in range(30)])
    known = before(config, place)
    text = (tmp_path / "s.csv").read_text()
    assert (loaded(config, place, known).count, loaded(config, place, known).new) == (30, 0)
    (tmp_path / "s.csv").write_text(text + "new,0.5,a\nnew,0.1,a\n")
    whole = loaded(config, place, known)
    assert (whole.unit, whole.count, whole.new, len(whole.data.parts["train"])) == ("sequences", 31, 1, 31)
    one, two = kept(config, whole.data)
    both, *each = [
        tasks.predict(*some)
        for some in ((one, "s.csv", tmp_path, two), (one, "s.csv", tmp_path), (two, "s.csv", tmp_path))
    ]
    of_class = [
        np.where(np.array(every["kind"]) == "b", every["probability"], 1 - np.array(every["probability"]))
        for every in (both, *each)
    ]
    assert of_class[0] == pytest.approx((of_class[1] + of_class[2]) / 2)
    assert not np.allclose(of_class[1], of_class[2])
    (tmp_path / "s.csv").write_text(text + "s29,0.5,b\n")
    assert refused(config, place, known) == ["old-rows-changed"], "an old sequence has become longer"
    (tmp_path / "s.csv").write_text(text.replace("s1,", "t1,"))
    assert loaded(config, place, known).new == 0, "the name of a sequence is nothing that is learnt from"
    (tmp_path / "s.csv").write_text("\n".join(text.splitlines()[:-1]) + "\n")
    assert refused(config, place, known) == ["old-rows-changed"]
    assert refused(config, place, known, "2020-01-01") == ["flag-of-another-task"]


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_a_whole_text_is_trained_on_and_seeds_go_on_by_their_mean_probability(cases, tmp_path, unit):
    section = TextData(unit=unit, lookback=6, split={"validation": 0.2, "test": 0.2})
    config = next(each for _, each in cases.values() if each.task == "language_model")
    config = config.model_copy(update={"data": section})
    config = config.model_copy(update={"training": config.training.model_copy(update={"batch_size": 2})})
    rng = np.random.default_rng(3)
    text = " ".join(rng.choice(["aa", "bc", "cab", "ba"], 300)) + " "
    (tmp_path / "a.txt").write_text(text)
    place = File(path=str(tmp_path / "a.txt"))
    known = before(config, place)
    (tmp_path / "a.txt").write_text(text + "zz aa zz")
    whole = loaded(config, place, known)
    assert (whole.unit, whole.new) == (unit, 8 if unit == "characters" else 3)
    assert whole.data.bounds("train") == (0, whole.count)
    assert ("z" if unit == "characters" else "zz") in whole.data.targets, "the vocabulary is that of all data"
    one, two = kept(config, whole.data)
    found = tasks.predict(one, "a.txt", tmp_path, two, steps=12, temperature=0.0)
    networks = [tasks.best_network(each) for each in (one, two)]
    ids = language_data.encode(found.prompt, whole.data.targets)
    drawn = list[int]()
    with torch.no_grad():
        for _ in range(12):  # without a state that is carried on
            chances = [
                network(torch.tensor([[*ids, *drawn]]))[0][0, -1].double().softmax(dim=0) for network in networks
            ]
            drawn.append(int(sum(chances).argmax()))
    wanted = language_data.decode([*ids[-1:], *drawn], whole.data.targets)
    assert wanted.endswith(found.text.strip())
    (tmp_path / "a.txt").write_text("x" + text)
    assert refused(config, place, known) == ["old-rows-changed"]
    assert refused(config, place, Before(known.fingerprint, {})) == ["old-rows-unknown"]
    (tmp_path / "a.txt").write_text(text)
    assert loaded(config, place, Before(known.fingerprint, {})).new == 0, "an earlier version's study"


def test_generated_data_have_no_refit(cases):
    data, config = cases["adding"]
    assert refused(config, File(path="none"), Before(data.fingerprint, {})) == ["refit-of-generated-data"]


LONGER = pd.date_range("2020-01-01", periods=275, freq="D")  # 35 newer rows


def warm_parent(config, place):
    """The checkpoint of a trial, as a sweep leaves it."""
    data = tasks.load(config, place)
    *_, last = loop.train(config, data)
    return Checkpoint(config, tasks.facts_row(config, data, 1), last.state)


def test_newer_rows_are_shared_out_to_windows_and_what_follows_one_leaves_no_trace(of_series, tmp_path):
    config, place = of_series(model={"residual": "linear"}, training={"max_epochs": 2}), written(tmp_path)
    known, parent = before(config, place), warm_parent(config, place)
    reach, made = config.data.reach, []
    for last in (1.0, 60.0):  # the newest rows, those of the last window, are others
        values = np.concatenate([walk(), walk(35, seed=9)])
        values[-4:] *= last
        written(tmp_path, LONGER, values)
        made.append(tasks.load_warm(config, place, reach, known, None, parent))
    found, other = made
    horizon, section = config.data_as(ForecastData).horizon, config.data_as(ForecastData)
    assert (found.seen, found.fresh.count, found.fresh.new) == (160, 275, 35), "it had learnt from the training part"
    assert len(found.windows) == min(4, 35 // horizon)
    ends = [240, *(240 + 35 * n // len(found.windows) for n in range(1, len(found.windows) + 1))]
    for held, start, end in zip(found.windows, ends, ends[1:], strict=False):
        origins = held.fresh.origins("validation", section)
        assert (held.count, origins[0], origins[-1]) == (start, start, end - horizon)
        assert np.array_equal(origins, held.warm.origins("validation", section))
        assert held.fresh.train_origins(section)[-1] == start - horizon
        assert held.fresh.scale.mean[0] == pytest.approx(values_before(tmp_path, start).mean())
        assert held.warm.scale == tasks.of(config).facts_of(parent.facts).scale
        assert held.fresh.penalties == found.fresh.data.penalties
    pairs = list(zip(found.windows, other.windows, strict=True))
    assert [one.fresh.fingerprint == two.fresh.fingerprint for one, two in pairs] == [True] * (len(pairs) - 1) + [False]
    assert [one.warm.fingerprint == two.warm.fingerprint for one, two in pairs] == [True] * (len(pairs) - 1) + [False]
    assert other.fresh.data.fingerprint == loaded(config, place, known).data.fingerprint, "a fresh refit is as ever"


def test_after_a_backtest_the_rows_that_the_weights_have_learnt_from_are_known(of_series, tmp_path):
    """40 rows of test part, before them windows of 10: two of the search, then two that are set aside."""
    data = {"backtest": {"windows": 2, "fresh": True}}
    config, place = of_series(training={"max_epochs": 1}, **data), written(tmp_path)
    known, swept = before(config, place), tasks.load(config, place)
    epochs = list(loop.train(config, swept, to_test=True))
    written(tmp_path, LONGER, np.concatenate([walk(), walk(35, seed=9)]))
    seen = []
    for state in (epochs[-2].state, epochs[-1].state):
        parent = Checkpoint(config, asdict(swept.facts), state)
        window = refit.Start.of(parent).window
        seen.append(tasks.load_warm(config, place, config.data.reach, known, None, parent, window).seen)
    assert seen == [170, 200], "all before the second window; all before the test part"


def values_before(folder, row):
    return pd.read_csv(folder / "a.csv")["y"].to_numpy()[:row]


def test_errors_of_both_are_in_the_unit_of_the_sweep(of_series, tmp_path):
    config, place = of_series(training={"max_epochs": 1}), written(tmp_path)
    known, parent = before(config, place), warm_parent(config, place)
    written(tmp_path, LONGER, np.concatenate([walk(), walk(35, seed=9)]))
    held = tasks.load_warm(config, place, config.data.reach, known, None, parent).windows[0]
    *_, last = refit.train(config, held.fresh, 1)
    made = Checkpoint(config, asdict(held.fresh.facts), last.state)
    own, shared = (tasks.judge_held(made, held.fresh, each) for each in (held.fresh, held.warm))
    ratio = held.fresh.scale.deviation[0] / held.warm.scale.deviation[0]
    assert abs(ratio - 1) > 0.01
    assert shared == pytest.approx(own * ratio**2, rel=1e-9)


def test_a_warm_training_begins_with_the_weights_and_the_rate_of_its_parent(of_series, tmp_path):
    config = of_series(training={"schedule": "cosine", "max_epochs": 4})
    place = written(tmp_path)
    known, parent = before(config, place), warm_parent(config, place)
    start = refit.Start.of(parent)
    assert start.rate == parent.state.history[parent.state.best_epoch - 1].metrics["lr"]
    assert start.changes(config) == {"training.learning_rate": start.rate, "training.schedule": "constant"}
    still = config.model_copy(update={"training": config.training.model_copy(update={"learning_rate": 1e-30})})
    data = loaded(config, place, known).data
    for name, weights in next(refit.train(still, data, 2, start=start.weights)).state.model.items():
        assert torch.equal(weights, parent.state.best_weights[name]), "nothing is drawn"
    epochs = list(refit.train(config, data, 3, start=start.weights))
    *_, again = refit.train(config, data, 3, epochs[0].state, start=start.weights)
    for name, weights in epochs[-1].state.best_weights.items():
        assert torch.equal(weights, again.state.best_weights[name])
    # As many steps as a fresh one has, with those that the checkpoint has had.
    assert [refit.warm_epochs(12, seen, 300) for seen in (0, 150, 225, 299)] == [12, 6, 3, 1]


def test_only_a_series_with_enough_newer_rows_can_be_warm(of_series, cases, tmp_path):
    config, place = of_series(training={"max_epochs": 1}), written(tmp_path)
    known, parent = before(config, place), warm_parent(config, place)

    def wrong(until=None):
        with pytest.raises(BadInput) as error:
            tasks.load_warm(config, place, config.data.reach, known, until, parent)
        return [each.code for each in error.value.faults]

    assert wrong() == ["warm-without-new-rows"]
    written(tmp_path, LONGER, np.concatenate([walk(), walk(35, seed=9)]))
    assert wrong("2020-08-27") == ["warm-without-new-rows"]
    assert wrong("2020-05-01") == ["warm-without-new-rows"]
    text = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([*text[:9], f"{text[9]}9", *text[10:]]) + "\n")
    assert wrong() == ["old-rows-changed"]
    data, other = cases["classify"]
    network = Checkpoint(other, tasks.facts_row(other, data, 1), next(loop.train(other, data)).state)
    with pytest.raises(BadInput) as error:
        tasks.load_warm(other, File(path="none"), other.data.reach, Before("", {}), None, network)
    assert [each.code for each in error.value.faults] == ["warm-without-time"]

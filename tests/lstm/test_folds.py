"""A training over folds: against a plain loop and scikit-learn, resumed anywhere, and blind for the fold it judges."""

from dataclasses import replace
from statistics import median

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from trainings import run, same_weights, told, windows

from lstm.config.classify import ClassifyData
from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig
from lstm.data import classify as classify_data
from lstm.records.errors import BadInput
from lstm.rivals import classify as rivals
from lstm.rivals import kernels
from lstm.tasks import registry as tasks
from lstm.verdict import fitting

FOLDS, SEED, SEQUENCES = 3, 4, 32
SECTION = {"id": "id", "columns": ["x", "y"], "label": "kind", "split": {"test": 0.25, "seed": SEED}}


def table():
    """Sequences of two to six rows in three classes, whose rows lie between each other's."""
    rng = np.random.default_rng(2)
    rows = []
    for number in range(SEQUENCES):
        kind = number % 5 % 3
        rows += [
            {"id": f"s{number}", "step": step, "x": rng.normal(kind), "y": rng.normal(0, 3), "kind": kind}
            for step in range(rng.integers(2, 7))
        ]
    return pd.DataFrame(rows).sort_values(["step", "id"], kind="stable").drop(columns="step")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A configuration with folds and its data; `case(rows)` reads another table."""
    folder = tmp_path_factory.mktemp("folds")
    section = ClassifyData(**SECTION, backtest={"folds": FOLDS})
    training = TrainingConfig(max_epochs=5, patience=2, batch_size=8, learning_rate=0.05)
    config = TrialConfig(task="classify", data=section, model=ModelConfig(hidden_size=3), training=training)

    def make(rows=None, **settings):
        (table() if rows is None else rows).to_csv(folder / "a.csv", index=False)
        changed = ClassifyData(**SECTION | {"backtest": {"folds": FOLDS}} | settings)
        return config.model_copy(update={"data": changed}), classify_data.load(changed, folder / "a.csv")

    return make


def plain(config, data, train_part, judged):
    """A configuration and data without folds: one training part, one validation part, scaled by a loop in NumPy."""
    rows = np.concatenate([data.values[data.starts[n] : data.starts[n + 1]] for n in train_part])
    values = ((data.values - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32)
    parts = {"train": train_part, "validation": judged, "test": data.parts["test"]}
    section = config.data.model_copy(update={"backtest": None})
    return config.model_copy(update={"data": section}), replace(data, values=values, parts=parts, folds=(), scales=())


def test_the_folds_are_scikit_learns_on_the_ids_outside_the_test_part(case):
    """By ids and labels as pandas reads them, with the test part of the same spec without folds."""
    _, data = case()
    _, undivided = case(split={"validation": 0.2, "test": 0.25, "seed": SEED}, backtest=None)
    np.testing.assert_array_equal(data.parts["test"], undivided.parts["test"])
    first = table().drop_duplicates("id")
    ids, kinds = first["id"].to_numpy(), first["kind"].to_numpy()
    before = np.setdiff1d(np.arange(SEQUENCES), data.parts["test"])
    dealer = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    wanted = [sorted(ids[before[judged]]) for _, judged in dealer.split(ids[before], kinds[before])]
    assert [sorted(ids[fold]) for fold in data.folds] == wanted
    counts = np.array([np.bincount(kinds[fold], minlength=3) for fold in data.folds])
    assert (counts > 0).all()
    assert (np.ptp(counts, axis=0) <= 1).all()
    for number in range(FOLDS):
        parts = data.at_window(number + 1).parts
        assert not set(parts["train"]) & set(parts["validation"])
        assert sorted([*parts["train"], *parts["validation"]]) == before.tolist()


def test_each_fold_is_what_a_plain_training_on_the_others_gives(case):
    config, data = case()
    for fold, mine in zip(data.folds, windows(run(config, data)), strict=True):
        others = np.setdiff1d(np.concatenate(data.folds), fold)
        for one, other in zip(mine, run(*plain(config, data, others, fold)), strict=True):
            assert (one.number, one.stop, one.value) == (other.number, other.stop, other.value)
            assert same_weights(one.state.model, other.state.model)
            assert same_weights(one.state.best_weights, other.state.best_weights)


def test_before_the_test_part_it_is_trained_on_all_folds_for_the_median_of_their_epochs(case):
    config, data = case()
    *judged, final = windows(run(config, data, to_test=True))
    assert len(judged) == FOLDS
    assert len(final) == median(min(epochs, key=lambda e: e.value).number for epochs in judged)
    assert not any(name.startswith("val/") for epoch in final for name in epoch.metrics)
    training = config.training.model_copy(update={"patience": None})
    every = np.sort(np.concatenate(data.folds))
    single, cut = plain(config.model_copy(update={"training": training}), data, every, every)
    other = run(single, cut)[len(final) - 1]
    assert same_weights(final[-1].state.best_weights, other.state.model)
    network = tasks.of(config).network(config, cut.facts)
    network.load_state_dict(dict(final[-1].state.best_weights))
    views = [tasks.before_test(config, data), data]
    judged = [tasks.of(config).feed(view, config, "cpu").evaluate(network, "test") for view in views]
    assert judged == [tasks.of(single).feed(cut, single, "cpu").evaluate(network, "test")] * 2


def test_no_value_of_a_fold_changes_anything_in_its_training(case):
    """Every value of a fold is another: its network is the same to the bit, and only its judgement is another."""
    config, data = case()
    right = windows(run(config, data))
    rows = table()
    ids = rows.drop_duplicates("id")["id"].to_numpy()
    for number, fold in enumerate(data.folds):
        other = rows.copy()
        mine = other["id"].isin(ids[fold])
        other.loc[mine, ["x", "y"]] = 50 - 3 * other.loc[mine, ["x", "y"]]
        _, changed = case(other)
        others = windows(run(config, changed))
        assert [e.value for e in others[number]] != [e.value for e in right[number]]
        for one, same in zip(others[number], right[number], strict=False):
            assert one.metrics["train/loss"] == same.metrics["train/loss"]
            assert same_weights(one.state.model, same.state.model)
        assert changed.at_window(number + 1).facts.scale == data.at_window(number + 1).facts.scale
        elsewhere = (number + 1) % FOLDS
        assert told(others[elsewhere]) != told(right[elsewhere])


def test_resumed_after_any_epoch_it_goes_on_to_the_bit(case):
    config, data = case()
    whole = run(config, data, to_test=True)
    for place, epoch in enumerate(whole):
        rest = run(config, data, epoch.state, to_test=True)
        assert told(rest) == told(whole[place + 1 :])
        if rest:
            assert same_weights(rest[-1].state.best_weights, whole[-1].state.best_weights)


def test_a_checkpoint_has_the_scale_of_the_window_that_its_weights_are_of(case):
    config, data = case()
    epochs = run(config, data, to_test=True)
    assert [e.window for e in epochs].count(FOLDS + 1) > 1
    for epoch in epochs:
        window = config.windows.of_weights(epoch)
        assert window == min(epoch.window, FOLDS) + (epoch is epochs[-1])
        scale = tasks.facts_row(config, data, window)["scale"]
        assert scale["mean"] == data.scales[window - 1].mean


def test_without_folds_nothing_of_a_configuration_is_new():
    section = ClassifyData(**SECTION | {"split": {"validation": 0.2, "test": 0.2}})
    assert "backtest" not in section.model_dump()
    assert section.model_dump()["split"] == {"validation": 0.2, "test": 0.2, "seed": 0}


@pytest.mark.parametrize("scaling", ["standard", "none"])
def test_a_batch_of_a_fold_is_scaled_by_the_other_folds(case, scaling):
    _, data = case(scaling=scaling)
    view = data.at_window(2)
    rows = np.concatenate([data.values[data.starts[n] : data.starts[n + 1]] for n in view.parts["train"]])
    mean, deviation = (rows.mean(axis=0), rows.std(axis=0)) if scaling == "standard" else (0, 1)
    values, lengths, _ = classify_data.batch_of(view, view.parts["validation"])
    for steps, length, number in zip(values, lengths, view.parts["validation"], strict=True):
        wanted = (data.values[data.starts[number] :][:length] - mean) / deviation
        np.testing.assert_array_equal(steps[:length], wanted.astype(np.float32))
        assert not steps[length:].any()


def few(*ids):
    """The table with a class of its own for these sequences."""
    rows = table()
    rows.loc[rows["id"].isin(ids), "kind"] = 7
    return rows


REFUSED = {
    "more folds than the class has": (("s0", "s1", "s2", "s3"), 4, 3, "at most 3 folds"),
    "a class of two outside the test part": (("s0", "s1", "s2"), 3, 2, "at most 2 folds"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_folds_that_the_smallest_class_is_too_small_for_are_refused(case, name):
    ids, wanted, count, way_out = REFUSED[name]
    with pytest.raises(BadInput) as error:
        case(few(*ids), backtest={"folds": wanted})
    (found,) = error.value.faults
    assert (found.code, found.path, found.values["count"]) == ("class-smaller-than-folds", "data.backtest", count)
    assert way_out in str(found)
    assert "'7'" in str(found)


def test_a_value_that_only_a_folds_scale_makes_too_large_is_refused(case):
    rows = table()
    rows["y"] = 0.0
    rows.loc[rows["id"] == "s1", "y"] = 1e300
    with pytest.raises(BadInput) as error:
        case(rows)
    assert error.value.faults[0].code in ("values-too-large", "values-too-large-to-average")


# --- Rivals


def test_logistic_regression_is_fitted_for_each_fold_and_its_penalty_chosen_by_the_mean_over_folds(case):
    """A loop with scikit-learn over penalties and folds."""
    config, data = case()
    found = {}
    for penalty in rivals.PENALTIES:
        losses = []
        for fold in data.folds:
            others = np.setdiff1d(np.concatenate(data.folds), fold)
            _, cut = plain(config, data, others, fold)
            fitted = LogisticRegression(C=1 / penalty, max_iter=1_000).fit(
                rivals.flattened(cut, others), cut.labels[others]
            )
            likely = fitted.predict_log_proba(rivals.flattened(cut, fold))
            losses.append(-likely[np.arange(len(fold)), cut.labels[fold]].mean())
        found[penalty] = np.mean(losses)
    outcome = fitting.run("logistic regression", data, config)
    assert outcome.fitted.settings["penalty"] == min(found, key=found.__getitem__)
    assert outcome.over_windows["validation"]["loss"] == pytest.approx(min(found.values()), rel=1e-4)
    assert outcome.judgements.keys() == {"test"}
    every = np.sort(np.concatenate(data.folds))
    assert outcome.fitted.settings["sequences"] == len(every)
    _, cut = plain(config, data, every, every)
    fitted = LogisticRegression(C=1 / outcome.fitted.settings["penalty"], max_iter=1_000)
    right = fitted.fit(rivals.flattened(cut, every), cut.labels[every]).score(
        rivals.flattened(cut, cut.parts["test"]), cut.labels[cut.parts["test"]]
    )
    assert outcome.judgements["test"].metrics["accuracy"] == pytest.approx(right)


@pytest.mark.parametrize("name", [rival.name for rival in (*rivals.RIVALS, *kernels.RIVALS)])
def test_a_rival_is_judged_on_each_fold_by_a_fit_on_the_others_and_again_with_the_same_figures(case, name):
    config, data = case()
    rival = tasks.of(config).rival(name)
    if missing := fitting.lacking(rival):
        pytest.skip(f"{missing[0]} is not installed")
    once = fitting.run(name, data, config)
    assert once.why == ""
    losses = []
    for fold in data.folds:
        others = np.setdiff1d(np.concatenate(data.folds), fold)
        single, cut = plain(config, data, others, fold)
        judged = rival.judge(rival.refit(once.fitted, cut, single), cut, single, "validation")
        losses.append(judged.metrics["loss"])
    assert once.over_windows["validation"]["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    again = fitting.judge_again(once.fitted, data, config)
    assert again.why == ""
    assert again.over_windows == once.over_windows
    assert again.judgements["test"].metrics == once.judgements["test"].metrics

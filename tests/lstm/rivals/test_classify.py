import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from lstm.rivals import classify as rivals
from lstm.tasks.networks import classify
from lstm.verdict import fitting


def flat(data, part, unit=1.0):
    values = rivals.flattened(data, data.parts[part]).reshape(-1, data.longest, data.inputs)
    return (values * unit).reshape(len(values), -1)


@pytest.mark.parametrize("block", [rivals.BLOCK, 2_000])
def test_the_nearest_neighbour_is_scikit_learns(cases, monkeypatch, block):
    monkeypatch.setattr(rivals, "BLOCK", block)
    data, config = cases["classify"]
    found = fitting.run("nearest neighbour", data, config)
    unit = np.array(data.scale.deviation) if found.fitted.settings["original_units"] else 1.0
    independent = KNeighborsClassifier(1).fit(flat(data, "train", unit), data.labels[data.parts["train"]])
    for part in ("validation", "test"):
        wanted = independent.score(flat(data, part, unit), data.labels[data.parts[part]])
        assert found.judgements[part].metrics["accuracy"] == pytest.approx(wanted)
    assert found.judgements["test"].metrics["accuracy"] > 0.98


def test_the_logistic_regression_is_scikit_learns_at_the_penalty_that_is_best_on_validation(cases):
    data, config = cases["classify"]
    found = fitting.run("logistic regression", data, config)
    train, labels = flat(data, "train"), data.labels[data.parts["train"]]
    each = {
        penalty: LogisticRegression(C=1 / penalty, max_iter=1_000).fit(train, labels) for penalty in rivals.PENALTIES
    }
    right = {
        penalty: one.score(flat(data, "validation"), data.labels[data.parts["validation"]])
        for penalty, one in each.items()
    }
    chosen = found.fitted.settings["penalty"]
    assert right[chosen] == max(right.values())
    likely = np.log(each[chosen].predict_proba(flat(data, "test")))
    wanted = classify.metrics(likely, data.labels[data.parts["test"]])
    assert dict(found.judgements["test"].metrics) == pytest.approx(wanted, rel=1e-6)


def test_a_regression_of_two_classes_is_told_for_both():
    rng = np.random.default_rng(1)
    inputs, labels = rng.normal(size=(50, 3)), rng.integers(2, size=50)
    independent = LogisticRegression().fit(inputs, labels)
    weights, intercept = rivals._for_all(independent, 2)
    np.testing.assert_allclose(
        np.exp(rivals.softmax(inputs @ weights.T + intercept)), independent.predict_proba(inputs)
    )
    weights, intercept = rivals._for_all(independent, 4)  # two of four were drawn
    likely = np.exp(rivals.softmax(inputs @ weights.T + intercept))
    np.testing.assert_allclose(likely[:, :2], independent.predict_proba(inputs))


def test_the_commonest_class_is_as_likely_as_in_the_training_part(cases):
    data, config = cases["classify"]
    found = fitting.run("commonest class", data, config).judgements["test"]
    counts = np.bincount(data.labels[data.parts["train"]]) + 1
    labels = data.labels[data.parts["test"]]
    np.testing.assert_allclose(found.items.errors["loss"], -np.log(counts / counts.sum())[labels])
    assert found.metrics["accuracy"] == pytest.approx((labels == counts.argmax()).mean())


def test_of_many_sequences_a_sample_is_fitted_and_the_note_says_so(cases, monkeypatch):
    data, config = cases["classify"]
    monkeypatch.setattr(rivals, "MOST_NUMBERS", 64 * 200)
    monkeypatch.setattr(rivals, "MOST_KEPT", 64 * 100)
    for name, count in (("logistic regression", 200), ("nearest neighbour", 100)):
        fitted = fitting.run(name, data, config).fitted
        assert fitted.settings["sequences"] == count
        assert f"{count} of 988" in fitted.note

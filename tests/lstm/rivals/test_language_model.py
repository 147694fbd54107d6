import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from lstm.rivals import language_model as rivals
from lstm.verdict import fitting


def by_dictionary(ids, first, size, order):
    """The loss of each symbol from `first` on, from counts in the symbols before it, one after another."""
    train, judged = ids[: first["train"]], range(*first["judged"])
    counts = [Counter() for _ in range(order + 1)]
    followers = [defaultdict(set) for _ in range(order + 1)]
    for place, symbol in enumerate(train):
        for length in range(min(order, place + 1)):
            context = tuple(train[place - length : place])
            counts[length][context, symbol] += 1
            followers[length][context].add(symbol)
    seen = [Counter() for _ in range(order + 1)]
    for length, each in enumerate(counts):
        for (context, _), count in each.items():
            seen[length][context] += count

    def likely(context, symbol):
        if not context:
            return (counts[0][(), symbol] + 1) / (len(train) + size)
        shorter, length = likely(context[1:], symbol), len(context)
        n, d = seen[length][context], len(followers[length][context])
        return (counts[length][context, symbol] + d * shorter) / (n + d) if n else shorter

    return [-math.log(likely(tuple(ids[max(place - order + 1, 0) : place]), ids[place])) for place in judged]


@pytest.mark.parametrize("unit", ["characters", "words"])
@pytest.mark.parametrize("block", [rivals.BLOCK, 7])
def test_counts_are_those_of_a_loop_over_a_dictionary(cases, unit, block, monkeypatch):
    monkeypatch.setattr(rivals, "BLOCK", block)
    data, config = cases[unit]
    ids, (start, stop) = data.ids.tolist(), data.bounds("test")
    arrays = rivals._counted(np.array(ids[: data.bounds("train")[1]]), data.inputs)
    found = np.concatenate(list(rivals._losses(arrays, data, "test", 6)), axis=1)
    for order in range(1, 7):
        wanted = by_dictionary(ids, {"train": data.bounds("train")[1], "judged": (start, stop)}, data.inputs, order)
        np.testing.assert_allclose(found[order - 1], wanted, rtol=1e-12)
    losses = [each.sum(axis=1) for each in rivals._losses(arrays, data, "validation", 6)]
    fitted = fitting.run("n-grams", data, config).fitted
    assert fitted.settings["order"] == int(np.sum(losses, axis=0).argmin()) + 1
    assert not any(name.endswith(f"/{fitted.settings['order'] + 1}") for name in fitted.arrays)


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_two_in_a_row_are_the_baselines_bigram_and_one_its_unigram(cases, unit):
    data, config = cases[unit]
    arrays = rivals._counted(data.ids[: data.bounds("train")[1]].astype(np.int64), data.inputs)
    found = np.concatenate(list(rivals._losses(arrays, data, "test", 2)), axis=1).mean(axis=1)
    wanted = rivals.baseline(data, config.data, "test")
    assert found == pytest.approx([wanted["unigram/loss"], wanted["loss"]], rel=1e-12)


def test_a_long_text_is_kept_by_stretches_with_the_same_mean(cases, monkeypatch):
    data, config = cases["characters"]
    whole = fitting.run("n-grams", data, config).judgements["test"]
    monkeypatch.setattr("lstm.judging.language_model.MOST_ITEMS", 100)
    found = fitting.run("n-grams", data, config).judgements["test"]
    assert len(found.items.places) <= 100 < len(whole.items.places)
    assert found.items.mean("loss") == pytest.approx(whole.items.mean("loss"), rel=1e-12)
    assert found.items.weights.sum() == len(whole.items.places)
    assert found.metrics == whole.metrics

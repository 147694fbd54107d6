import math

import numpy as np
import pytest

from lstm.data.pairs.numbered import Numbered, numbered, shuffled, spelt
from lstm.data.pairs.pairs import Pairs
from lstm.data.pairs.vocabulary import END, PADDING, of_lines


def test_a_batch_is_filled_up():
    vocabulary = of_lines([["aab", ""]], "characters", None)
    made = Numbered.of(["ab", "", "b"], vocabulary)
    a, b = vocabulary.encode("ab")
    numbers, lengths = made.batch(np.array([0, 1, 2]), after=END)
    assert numbers.tolist() == [[a, b, END], [END, PADDING, PADDING], [b, END, PADDING]]
    assert lengths.tolist() == [3, 1, 2]
    numbers, lengths = made.batch(np.array([2, 0]), before=END)
    assert numbers.tolist() == [[END, b, PADDING], [END, a, b]]
    assert lengths.tolist() == [2, 3]
    assert Numbered.of(["", ""], vocabulary).batch(np.array([1]), before=2, after=3)[0].tolist() == [[2, 3]]


def test_each_pair_is_once_in_a_pass_and_batches_have_one_length():
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, 30, 1_000)
    batches = shuffled(lengths, lengths, 32, np.random.default_rng(2))
    assert sorted(np.concatenate(batches).tolist()) == list(range(1_000))
    assert sorted(map(len, batches)) == [8] + [32] * 31
    assert np.mean([np.ptp(lengths[rows]) for rows in batches]) < 2
    again, other = (shuffled(lengths, lengths, 32, np.random.default_rng(seed)) for seed in (2, 3))
    assert all((one == two).all() for one, two in zip(batches, again, strict=True))
    assert any(len(one) != len(two) or (one != two).any() for one, two in zip(batches, other, strict=True))
    means = [lengths[rows].mean() for rows in batches]
    assert means != sorted(means)


def test_what_is_unknown_is_spelt():
    source, target = of_lines([["x"]], "characters", None), of_lines([["a b a"]], "words", 1)
    pairs = Pairs(["x", "x", "x"], ["a a", "a b", "a é"])
    found = numbered(pairs, source, target, frozenset("ab "))
    assert found.spelling.tolist() == pytest.approx([0, spelt("▁b", frozenset("ab ")), spelt("▁é", frozenset("ab "))])
    assert spelt("ab", frozenset("ab ")) == pytest.approx(2 * math.log(4))
    assert spelt("é", frozenset("ab ")) == pytest.approx(math.log(4) + math.log(1_112_064))

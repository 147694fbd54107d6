import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lstm.config.translate import TranslateData
from lstm.config.trial import TrialConfig
from lstm.data.pairs.pairs import Lines, PairParts, Pairs
from lstm.rivals import translate
from lstm.rivals.translate import RIVALS, best_words, model_1, nearest, translated, words

ONE = {"der": "the", "ein": "a", "hund": "dog", "mann": "man", "läuft": "runs", "schläft": "sleeps", "sieht": "sees"}
GERMAN = [
    "der hund läuft",
    "der mann läuft",
    "ein hund läuft",
    "ein mann schläft",
    "der hund schläft",
    "ein mann sieht",
]
TRAIN = [(f"{text}.", " ".join(ONE[word] for word in text.split()) + ".") for text in GERMAN]
JUDGED = [TRAIN[0], ("ein hund sieht.", "a dog sees.")]


def pairs(rows):
    return Pairs(Lines([one for one, _ in rows]), Lines([two for _, two in rows]))


@pytest.fixture
def data():
    return PairParts({"train": pairs(TRAIN), "validation": pairs(JUDGED), "test": pairs(JUDGED)}, "f")


@pytest.fixture
def config():
    sizes = {"train": 1, "validation": 1, "test": 1}
    return TrialConfig.model_construct(data=TranslateData.model_validate({"generate": "dates", "sizes": sizes}))


def test_each_rival_is_judged_by_what_it_answers(data, config):
    found = {}
    for rival in RIVALS:
        fitted = rival.fit(data, config)
        found[rival.name] = rival.judge(fitted, data, config, "test").metrics
    assert found["copy of the source"]["exact_match"] == 0
    assert found["nearest sentence"]["exact_match"] == 0.5  # the first is among the training sentences
    assert found["word by word"] == {"bleu": pytest.approx(100), "chrf": pytest.approx(100), "exact_match": 1}
    assert translate.baseline(data, config, "test") == found["copy of the source"]


def test_the_nearest_sentence_is_that_of_scikit_learns_tf_idf():
    draw = np.random.default_rng(0)
    syllables = ["ba", "do", "ki", "ru", "se", " ", "lo", "mi"]
    known = ["".join(draw.choice(syllables, draw.integers(2, 20))) for _ in range(200)]
    asked = ["".join(draw.choice(syllables, draw.integers(2, 20))) for _ in range(70)]
    how = TfidfVectorizer(
        analyzer=lambda text: [f" {text} "[n : n + 4] for n in range(len(text) - 1)], sublinear_tf=True
    )
    alike = how.fit_transform(known)
    wanted = np.asarray((how.transform(asked) @ alike.T).todense())
    for place, found in enumerate(nearest(known, asked)):
        assert wanted[place, found] == pytest.approx(wanted[place].max(), abs=1e-5)


def test_the_first_of_equal_sentences_is_taken_and_short_ones_are_compared_too():
    assert nearest(["ab", "x", "x"], ["x", "nothing like it", ""]) == [1, 0, 0]


def test_model_1_is_the_plain_loop_of_brown_and_others():
    sources, targets = ([words(pair[side]) for pair in TRAIN] for side in (0, 1))
    likely = defaultdict(lambda: 1.0)
    for _ in range(translate.ROUNDS):
        counts, totals = Counter(), Counter()
        for source, target in zip(sources, targets, strict=True):
            for word in target:
                chances = {n: likely[(["", *source][n], word)] for n in range(len(source) + 1)}
                for n, chance in chances.items():
                    share = chance / sum(chances.values())
                    counts[(["", *source][n], word)] += share
                    totals[["", *source][n]] += share
        likely = defaultdict(float, {(one, two): count / totals[one] for (one, two), count in counts.items()})
    (one, names), (two, others) = (translate._numbered(side) for side in (sources, targets))
    keys, found = model_1(one, two, len(others))
    assert {
        (names[k // len(others)], others[k % len(others)]): p for k, p in zip(keys.tolist(), found, strict=True)
    } == {pair: pytest.approx(chance) for pair, chance in likely.items()}


def test_each_word_has_its_translation_and_a_full_stop_is_one():
    table = best_words([(words(one), words(two)) for one, two in TRAIN])
    assert table == ONE | {".": "."}
    assert translated("Heute (der hund, 2 mal) läuft.", table) == "Heute (the dog, 2 mal) runs."


def test_of_many_pairs_a_sample_is_taken_and_said(data, config, monkeypatch):
    monkeypatch.setattr(translate, "MOST_KEPT", 2)
    monkeypatch.setattr(translate, "MOST_LINKS", 30)
    for rival in RIVALS[1:]:
        fitted = rival.fit(data, config)
        assert fitted.note == f"fitted on {fitted.settings['pairs']} of 6 training pairs, drawn by lot"
        assert fitted.settings["pairs"] < 6
        assert math.isfinite(rival.judge(fitted, data, config, "test").metrics["bleu"])
        again = rival.fit(data, config)
        assert all(np.array_equal(fitted.arrays[name], again.arrays[name]) for name in fitted.arrays)

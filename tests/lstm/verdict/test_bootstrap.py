import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from lstm.judging.items import Blocks, Items
from lstm.judging.translate import Answers, sentences, statistics
from lstm.verdict import bootstrap
from lstm.verdict.interval import compare

WORDS = "a the man woman dog runs stands in on street grass red two".split()


def texts(count, seed=0, wrong=0.0, of=None):
    """Sentences of some words, or those of others with a share of wrong words."""
    draw = np.random.default_rng(seed)
    if of is None:
        return [" ".join(draw.choice(WORDS, draw.integers(4, 12))) for _ in range(count)]
    return [" ".join(draw.choice(WORDS) if draw.random() < wrong else word for word in each.split()) for each in of]


def judged(answers, references, **named):
    return sentences("a", "test", references, Answers(np.arange(len(answers)), answers), **named).items


def held(ours, theirs, metric="bleu", **named):
    return compare(ours, theirs, metric, named.pop("direction", "maximize"), Blocks(**named), points=1.0)


def test_the_interval_is_that_of_a_plain_loop_over_the_same_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 60)
    references = texts(25)
    ours, theirs = texts(25, 1, 0.2, references), texts(25, 2, 0.3, references)
    found = held(judged(ours, references), judged(theirs, references))
    draws, metric, gains = np.random.default_rng(bootstrap.SEED).integers(25, size=(60, 25)), BLEU(), []
    for chosen in draws.tolist():
        one, two = (
            metric.corpus_score([each[n] for n in chosen], [[references[n] for n in chosen]]).score
            for each in (ours, theirs)
        )
        gains.append(one - two)
    # With 25 sentences the ends are those of 1.5 and 98.5 %, and not of 2.5 and 97.5 % (Hesterberg 2015, table 2).
    each = 0.0175
    assert found.low == pytest.approx(np.quantile(gains, each), abs=0.3)
    assert found.high == pytest.approx(np.quantile(gains, 1 - each), abs=0.3)
    assert found.value == pytest.approx(
        metric.corpus_score(ours, [references]).score - metric.corpus_score(theirs, [references]).score
    )
    assert (found.unit, found.blocks) == ("points", 25)


def test_draws_do_not_depend_on_how_many_are_in_memory(monkeypatch):
    references = texts(50)
    items = [judged(texts(50, seed, 0.3, references), references) for seed in (1, 2)]
    whole = held(*items)
    monkeypatch.setattr(bootstrap, "AT_ONCE", 300)
    assert held(*items) == whole


def test_an_error_is_compared_in_per_cent_of_the_other(monkeypatch):
    nats = np.random.default_rng(0).uniform(5, 15, 200)
    sums = [np.stack([nats * factor, np.full(200, 10.0)], axis=1) for factor in (0.9, 1.0)]
    ours, theirs = (Items("test", "a", np.arange(200), np.ones(200), {}, {"character_nats": each}) for each in sums)
    found = held(ours, theirs, "character_nats", direction="minimize")
    assert (found.unit, found.value) == ("%", pytest.approx(10))
    assert (found.low, found.high) == (pytest.approx(10), pytest.approx(10))
    assert found.answer == "better"


def test_sentences_that_nobody_translated_are_no_items():
    references = texts(60)
    answers = Answers(np.arange(0, 60, 2), texts(30, 1, 0.3, references[::2]))
    others = Answers(np.arange(0, 60, 2), texts(30, 2, 0.3, references[::2]))
    found = held(*(sentences("a", "validation", references, each).items for each in (answers, others)))
    alone = held(judged(answers.texts, references[::2]), judged(others.texts, references[::2]))
    assert (found.blocks, found.low, found.high) == (30, alone.low, alone.high)


def test_equal_answers_are_alike():
    references = texts(30)
    items = judged(texts(30, 1, 0.3, references), references)
    found = held(items, items)
    assert (found.value, found.low, found.high, found.answer) == (0, 0, 0, "alike")


def test_too_few_sentences_have_no_interval():
    references = texts(bootstrap.LEAST - 1)
    found = held(judged(references, references), judged(texts(19, 1, 0.5, references), references))
    assert (found.low, found.answer) == (None, "unknown")
    assert "19 independent items, 20 are needed" in found.why


def test_neighbours_are_drawn_as_one_if_there_are_many(monkeypatch):
    references = texts(100)
    items = [judged(texts(100, seed, 0.2 * seed, references), references) for seed in (1, 2)]
    single = held(*items)
    monkeypatch.setattr(bootstrap, "MOST_GROUPS", 25)
    grouped = held(*items)
    assert (single.blocks, grouped.blocks) == (100, 25)
    assert grouped.value == pytest.approx(single.value)
    assert held(*items, length=4).blocks == 25


@pytest.mark.faults
@pytest.mark.parametrize("count", [20, 50, 500])
def test_as_good_a_system_is_seldom_called_better(count, monkeypatch):
    """Who of both has written an answer is drawn by lot, so neither is better: at most 2.5 % on each side."""
    monkeypatch.setattr(bootstrap, "DRAWS", 1_000)
    draw, wrong, rounds = np.random.default_rng(count), 0, 1_000
    references = texts(2_000)
    found = [statistics(texts(2_000, s, 0.3, references), references, lowercase=False)["bleu"] for s in (1, 2)]
    for _ in range(rounds):
        chosen, side = draw.choice(2_000, count, replace=False), draw.random(count) < 0.5
        one, two = found[0][chosen], found[1][chosen]
        ours, theirs = np.where(side[:, None], one, two), np.where(side[:, None], two, one)
        items = [Items("test", "a", np.arange(count), np.ones(count), {}, {"bleu": each}) for each in (ours, theirs)]
        wrong += held(*items).answer in ("better", "worse")
    assert wrong / rounds < 0.05 + 2 * (0.05 * 0.95 / rounds) ** 0.5

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from lstm.judging.items import PARTS, Blocks, Items
from lstm.judging.translate import Answers, Likelihoods, sentences, statistics
from lstm.verdict import bootstrap
from lstm.verdict import sentences as words
from lstm.verdict.interval import compare
from lstm.verdict.store import Entry, Judgements, dumps, loads
from lstm.verdict.verdict import verdict

WORDS = ["a", "the", "man", "woman", "dog", "runs", "stands", "in", "on", "street", "grass", "red", "two"]


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


# --- In a verdict -------------------------------------------------------------------------------------------


def entry(name, role, wrong, seed, *, loss=None, **named):
    """A network with a loss, or a rival that only writes."""
    references = texts(40)
    likely = None if loss is None else Likelihoods(np.full(40, loss), np.ones(40), np.zeros(40))
    answers = Answers(np.arange(40), texts(40, seed, wrong, references))
    found = {part: sentences(name, part, references, answers, likely) for part in PARTS}
    items = {part: each.items for part, each in found.items()}
    return Entry(name, role, items, {part: each.metrics for part, each in found.items()}, **named)


ENTRIES = (
    entry("trial 3", "network", 0.1, 1, loss=1.5, trial=3),
    entry("base", "base", 0.3, 2, loss=3.0, trial=0),
    entry("copy", "rival", 0.6, 3, rival="copy"),
    entry("nearest", "rival", 0.4, 4, rival="nearest"),
)


def test_a_corpus_metric_is_compared_itself_in_its_own_points():
    found = verdict(Judgements("s", "d", "bleu", Blocks(), ENTRIES, "maximize", points=1.0))
    assert (found.metric, found.judged_by, found.asked, found.best) == ("bleu", "bleu", "", "nearest")
    network, rival = found.network, found.best_rival
    assert rival.difference.unit == "points"
    assert rival.difference.value == pytest.approx(network.test - rival.test)
    assert found.answer == "better"
    assert not words.note(found)


def test_by_a_metric_that_rivals_lack_all_are_compared_by_the_nearest_that_they_have():
    judged = Judgements("s", "d", "loss", Blocks(), ENTRIES, mean="chrf", nearest=("maximize", 1.0))
    found = verdict(judged)
    assert (found.metric, found.judged_by, found.asked) == ("chrf", "chrf", "loss")
    assert (found.best, found.direction) == ("nearest", "maximize")
    assert found.base.difference.value == pytest.approx(found.network.test - found.base.test)
    assert words.note(found) == "all are compared by chrf, because rivals have no loss"
    alone = verdict(Judgements("s", "d", "loss", Blocks(), ENTRIES[:2], mean="chrf", nearest=("maximize", 1.0)))
    assert (alone.metric, alone.base.difference.unit, alone.base.difference.value) == ("loss", "%", 50)


def test_sums_are_kept_and_what_was_kept_before_keeps_its_bytes():
    judged = Judgements("s", "d", "bleu", Blocks(), ENTRIES, "maximize", points=1.0, nearest=("maximize", 1.0))
    again = loads(dumps(judged))
    assert (again.points, again.nearest) == (1.0, ("maximize", 1.0))
    assert verdict(again) == verdict(judged)
    for before, after in zip(judged.entries, again.entries, strict=True):
        sums, kept = before.items["test"].sums, after.items["test"].sums
        assert all(np.array_equal(sums[name], kept[name]) for name in sums)
    plain = Entry("a", "network", {"test": Items("test", "a", np.arange(2), np.ones(2), {"loss": np.ones(2)})})
    assert all(word in dumps(judged) for word in (b'"sums"', b'"points"', b'"nearest"'))
    content = dumps(Judgements("s", "d", "loss", Blocks(), (plain,)))
    assert not any(word in content for word in (b'"sums"', b'"points"', b'"nearest"'))


def test_sums_of_another_metric_are_refused():
    items = Items("test", "a", np.arange(2), np.ones(2), {}, {"bleu": np.ones((2, 3))})
    with pytest.raises(ValueError, match="other sums"):
        dumps(Judgements("s", "d", "bleu", Blocks(), (Entry("a", "network", {"test": items}),)))


@pytest.mark.faults
@pytest.mark.parametrize("count", [20, 50, 200])
def test_as_good_a_system_is_seldom_called_better(count):
    """Who of both has written an answer is drawn by lot, so neither is better: about 2.5 % on each side."""
    draw, wrong, rounds = np.random.default_rng(count), 0, 1_000
    references = texts(2_000)
    found = [statistics(texts(2_000, s, 0.3, references), references, lowercase=False)["bleu"] for s in (1, 2)]
    for _ in range(rounds):
        chosen, side = draw.choice(2_000, count, replace=False), draw.random(count) < 0.5
        one, two = found[0][chosen], found[1][chosen]
        ours, theirs = np.where(side[:, None], one, two), np.where(side[:, None], two, one)
        items = [Items("test", "a", np.arange(count), np.ones(count), {}, {"bleu": each}) for each in (ours, theirs)]
        wrong += held(*items).answer in ("better", "worse")
    assert wrong / rounds < 0.07

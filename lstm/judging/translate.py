"""Turns translations into metrics and items: BLEU, chrF, exact match, and the cross-entropy.

BLEU and chrF are those of sacrebleu (Post 2018), whose tokenizer and n-grams are used here. A sentence keeps its
counts, and the metric is computed from their sums (`lstm/judging/corpus.py`), to the digits of sacrebleu's own command.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from lstm.config.translate import TranslateData
from lstm.judging.corpus import BLEU_ORDER, CHRF_ORDER, WIDTHS, rule
from lstm.judging.items import Items, Judgement
from lstm.records.epoch import Judged

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

TOKENIZER = "13a"  # of BLEU: that of mteval-v13a, which papers report
ANSWERED = ("bleu", "chrf", "exact_match")  # metrics of translations
LIKELY = ("loss", "character_nats")  # metrics of probabilities, which a rival that only writes does not have


@dataclass(frozen=True)
class Answers:
    """Translations of some sentences of a part."""

    places: np.ndarray  # (answer,) int64, increasing: which sentence of the part each one translates
    texts: Sequence[str]  # (answer,)


@dataclass(frozen=True)
class Likelihoods:
    """The cross-entropy of the references of a part, sentence by sentence."""

    nats: np.ndarray  # (sentence,) float64: minus the logarithm of the reference's probability, its end included
    units: np.ndarray  # (sentence,): the units of the reference, its end included
    spelling: np.ndarray  # (sentence,) float64: nats to spell what the units do not know; not in the loss


def answered(part: Judged, count: int, section: TranslateData) -> np.ndarray:
    """Return which of the sentences of a part are translated to be judged, (sentence,) int64: all of the test part.

    Of a large validation part they are `data.translated` sentences, evenly spread, the same ones for all.
    """
    most = section.translated if part == "validation" else count
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).round().astype(np.int64)


def sentences(
    name: str,
    part: Judged,
    references: Sequence[str],
    answers: Answers,
    likelihoods: Likelihoods | None = None,
    *,
    lowercase: bool = False,
) -> Judgement:
    """Judge the translations of a part, and the probabilities of its references if they are known.

    If only some sentences are translated, BLEU, chrF and exact match are those of these sentences, and the
    cross-entropy is that of all.
    """
    count = len(references)
    sums = {each: np.zeros((count, WIDTHS[rule(each)])) for each in ANSWERED}
    wanted = [references[place] for place in answers.places.tolist()]
    for metric, found in statistics(answers.texts, wanted, lowercase=lowercase).items():
        sums[metric][answers.places] = found
    if likelihoods is not None:
        characters = np.array([len(each) + 1 for each in references])  # the end counts as a character
        spelt = likelihoods.nats + likelihoods.spelling
        for metric, nats, unit in zip(LIKELY, (likelihoods.nats, spelt), (likelihoods.units, characters), strict=True):
            sums[metric] = np.stack([nats, unit], axis=1).astype(np.float64)
    items = Items(part, name, np.arange(count, dtype=np.int64), np.ones(count), {}, sums)
    return Judgement(items, {metric: items.mean(metric) for metric in (*LIKELY, *ANSWERED) if metric in sums})


def metrics(answers: Sequence[str], references: Sequence[str], *, lowercase: bool = False) -> dict[str, float]:
    """Return BLEU and chrF from 0 to 100, and the share of exact matches, of translations and their references."""
    found = statistics(answers, references, lowercase=lowercase)
    return {metric: float(rule(metric)(sums.sum(axis=0))) for metric, sums in found.items()}


def statistics(answers: Sequence[str], references: Sequence[str], *, lowercase: bool) -> Mapping[str, np.ndarray]:
    """Return what each metric is computed from, sentence by sentence: (sentence, statistic) float64.

    With lower case, a letter and its capital are the same, in all three metrics.
    """
    found: dict[str, list[list[int]]] = {metric: [] for metric in ANSWERED}
    for answer, reference in zip(answers, references, strict=True):
        one, two = (answer.lower(), reference.lower()) if lowercase else (answer, reference)
        found["bleu"].append(_word_counts(one, two))
        found["chrf"].append(_character_counts(one, two))
        found["exact_match"].append([int(one.strip() == two.strip()), 1])
    widths = {metric: WIDTHS[rule(metric)] for metric in ANSWERED}
    return {metric: np.array(rows, np.float64).reshape(-1, widths[metric]) for metric, rows in found.items()}


def signatures(*, lowercase: bool) -> dict[str, str]:
    """Return sacrebleu's signatures of BLEU and chrF, by which others can compute the same."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    made: dict[str, str] = {}
    for name, metric in (("bleu", BLEU(lowercase=lowercase, tokenize=TOKENIZER)), ("chrf", CHRF(lowercase=lowercase))):
        metric.corpus_score(["a"], [["a"]])  # the signature has the number of references
        made[name] = metric.get_signature().format()
    return made


def _word_counts(answer: str, reference: str) -> list[int]:
    """Return lengths in words, then how many n-grams of one to four words are right, then how many there are."""
    from sacrebleu.metrics.helpers import extract_all_word_ngrams

    tokenize = _bleu().tokenizer
    (ours, made), (theirs, wanted) = (
        extract_all_word_ngrams(tokenize(each.rstrip()), 1, BLEU_ORDER) for each in (answer, reference)
    )
    right, every = [0] * BLEU_ORDER, [0] * BLEU_ORDER
    for gram, often in ours.items():
        every[len(gram) - 1] += often
        right[len(gram) - 1] += min(often, theirs.get(gram, 0))
    return [made, wanted, *right, *every]


def _character_counts(answer: str, reference: str) -> list[int]:
    """Return how many n-grams of one to six characters the answer has, the reference has, and both have."""
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    counts = list[int]()
    ours, theirs = (extract_all_char_ngrams(each, CHRF_ORDER) for each in (answer, reference))
    for one, two in zip(ours, theirs, strict=True):
        # Those of the answer don't count if the reference is too short to have any.
        counts += [one.total() if two else 0, two.total(), _shared(one, two)]
    return counts


def _shared(one: Counter[str], two: Counter[str]) -> int:
    return sum(min(often, two[gram]) for gram, often in one.items() if gram in two)


@cache
def _bleu() -> "BLEU":
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=TOKENIZER)

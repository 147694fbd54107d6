"""Metrics of a whole part that are no mean over items: each is a function of sums over the items.

BLEU of a text is not the mean of its sentences' BLEU. It is computed from counts, summed over the sentences. An item
keeps its counts, so the metric is known for any selection of items, and a bootstrap can draw the items anew.
"""

from collections.abc import Callable, Mapping

import numpy as np

BLEU_ORDER = 4  # words in a row
CHRF_ORDER = 6  # characters in a row
CHRF_BETA = 2  # how many times recall counts as much as precision
Rule = Callable[[np.ndarray], np.ndarray]


def ratio(sums: np.ndarray) -> np.ndarray:
    """Return the first of two sums divided by the second: (…,) from (…, 2); NaN if the second is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = sums[..., 0] / np.where(sums[..., 1] > 0, sums[..., 1], np.nan)
    return found


def bleu(sums: np.ndarray) -> np.ndarray:
    """Return BLEU from 0 to 100: (…,) from sums (…, 10), as sacrebleu computes it with its default, `smooth:exp`.

    The sums are the lengths of the answers and of the references in words, then for one to four words in a row how
    many of the answers' are right, then how many there are. The score is the geometric mean of the four shares that
    are right, times exp(1 - reference / answer) if the answers are shorter (Papineni et al. 2002). A share of 0 counts
    as 1/2, 1/4, … of one n-gram (Chen and Cherry 2014, method 3).
    """
    answered, wanted = sums[..., 0], sums[..., 1]
    right, made = sums[..., 2 : 2 + BLEU_ORDER], sums[..., 2 + BLEU_ORDER :]
    none = (right == 0) & (made > 0)
    halves = 0.5 ** np.cumsum(none, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(none, halves, right) / made).mean(axis=-1)
        brevity = np.where(answered < wanted, 1 - wanted / answered, 0.0)
        score = 100 * np.exp(logs + brevity)
    # Without a right word, or with no four words in a row at all, the score is 0.
    found: np.ndarray = np.where((right.sum(axis=-1) > 0) & (made > 0).all(axis=-1), score, 0.0)
    return found


def chrf(sums: np.ndarray) -> np.ndarray:
    """Return chrF from 0 to 100: (…,) from sums (…, 18), as sacrebleu computes it by default (Popović 2015).

    For one to six characters in a row the sums are how many the answers have, how many the references have, and how
    many are in both. Precision and recall are means over the lengths that occur in both, and recall counts twice.
    """
    counts = sums.reshape(*sums.shape[:-1], CHRF_ORDER, 3)
    answered, wanted, both = counts[..., 0], counts[..., 1], counts[..., 2]
    occur = (answered > 0) & (wanted > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = (np.where(occur, both / of, 0.0).sum(axis=-1) for of in (answered, wanted))
        orders = occur.sum(axis=-1)
        precision, recall = precision / orders, recall / orders
        weight = CHRF_BETA**2
        score = 100 * (1 + weight) * precision * recall / (weight * precision + recall)
    found: np.ndarray = np.where(precision + recall > 0, score, 0.0)
    return found


RULES: Mapping[str, Rule] = {"bleu": bleu, "chrf": chrf}
WIDTHS: Mapping[Rule, int] = {ratio: 2, bleu: 2 + 2 * BLEU_ORDER, chrf: 3 * CHRF_ORDER}  # sums that a rule needs


def rule(metric: str) -> Rule:
    """Return the function that computes a metric from sums: `ratio`, except for BLEU and chrF."""
    return RULES.get(metric, ratio)

"""Turns probabilities of classes into metrics and items."""

import numpy as np

from lstm.data.classify import Sequences
from lstm.judging.items import Items, Judgement
from lstm.records.epoch import Judged


def classes(name: str, part: Judged, data: Sequences, likely: np.ndarray) -> Judgement:
    """Judge a part's sequences by the log probabilities of the classes, `likely` `(sequence, class)`."""
    chosen = data.parts[part]
    labels = data.labels[chosen]
    errors = {
        "loss": -likely[np.arange(len(labels)), labels],
        "accuracy": (likely.argmax(axis=1) == labels).astype(np.float64),
    }
    items = Items(part, name, chosen.astype(np.int64), np.ones(len(chosen)), errors)
    return Judgement(items, metrics(likely, labels))


def metrics(likely: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute loss, accuracy and F1 from log probabilities `(sequence, class)` and true classes `(sequence,)`.

    The loss is the mean cross-entropy in nats. F1 is the mean of 2 right / (occurring + answered) over the classes that
    occur or are answered.
    """
    counts = confusion(likely, labels)
    right, sums = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
    return {
        "loss": float(-likely[np.arange(len(labels)), labels].mean()),
        "accuracy": float(right.sum() / counts.sum()),
        "f1": float((2 * right[sums > 0] / sums[sums > 0]).mean()),
    }


def confusion(likely: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count the sequences of each true class (rows) that were answered with each class (columns): (class, class)."""
    counts = np.zeros((likely.shape[1], likely.shape[1]), dtype=np.int64)
    np.add.at(counts, (labels, likely.argmax(axis=1)), 1)
    return counts

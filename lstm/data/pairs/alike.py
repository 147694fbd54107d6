"""Whether the two sides of one file of pairs are those of another, swapped: by the pairs of letters that are common."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

SAMPLE = 1_000  # sentences of each side, evenly spread
COMMON = 500  # pairs of letters
SURE = 0.1  # how much nearer, as a cosine, the other side must be on average, so that the same language is no case


def are_swapped(one: Sequence[Sequence[str]], other: Sequence[Sequence[str]]) -> bool:
    """Return whether each side of the second pairs is clearly more like the other side of the first ones.

    Args:
        one: Sources and targets.
        other: Sources and targets of other pairs of the same languages.
    """
    counts = [_counted(side) for side in (*one, *other)]
    known = [gram for gram, _ in sum(counts, Counter[str]()).most_common(COMMON)]
    vectors = np.array([[each[gram] for gram in known] for each in counts], np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = (vectors / np.maximum(lengths, 1)) @ (vectors / np.maximum(lengths, 1)).T
    straight, crossed = likeness[0, 2] + likeness[1, 3], likeness[0, 3] + likeness[1, 2]
    return bool((crossed - straight) / 2 > SURE)


def _counted(side: Sequence[str]) -> Counter[str]:
    """Count the pairs of neighbouring letters in a sample of sentences, in lower case."""
    places = np.unique(np.linspace(0, len(side) - 1, SAMPLE).astype(int)).tolist()
    found = Counter[str]()
    for place in places:
        text = side[place].lower()
        found.update(text[start : start + 2] for start in range(len(text) - 1))
    return found

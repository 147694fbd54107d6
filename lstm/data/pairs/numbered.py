"""Pairs as numbered units, packed in arrays, and the batches by length that are made of them."""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lstm.data.pairs.pairs import Pairs
from lstm.data.pairs.vocabulary import PADDING, UNKNOWN, Vocabulary

POOL = 128  # batches whose sentences are sorted by length together
UNICODE = 1_112_064  # characters that there can be
Batch = tuple[np.ndarray, np.ndarray]  # numbers (sentence, longest) int64, filled up with PADDING; lengths (sentence,)


@dataclass(frozen=True)
class Numbered:
    """The units of a side's sentences, one sentence after another."""

    numbers: np.ndarray  # (unit,) int32
    ends: np.ndarray  # (sentence + 1,) int64: where each sentence ends; the first is 0

    @classmethod
    def of(cls, lines: Sequence[str], vocabulary: Vocabulary) -> "Numbered":
        """Number the units of each line."""
        numbers, ends = array("i"), np.zeros(len(lines) + 1, np.int64)
        for place, line in enumerate(lines, 1):
            numbers.extend(vocabulary.encode(line))
            ends[place] = len(numbers)
        return cls(np.frombuffer(numbers, np.int32) if len(numbers) else np.zeros(0, np.int32), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def lengths(self) -> np.ndarray:
        """The number of units of each sentence: (sentence,) int64."""
        return np.diff(self.ends)

    def batch(self, rows: np.ndarray, *, before: int | None = None, after: int | None = None) -> Batch:
        """Return some sentences as one array, with a mark before or after each."""
        starts, lengths = self.ends[rows], self.lengths[rows]
        width = int(lengths.max(initial=0))
        steps = np.arange(width)
        inside = steps < lengths[:, None]
        places = np.where(inside, starts[:, None] + steps, 0)
        numbers = np.where(inside, self.numbers[places] if len(self.numbers) else 0, PADDING).astype(np.int64)
        if before is not None:
            numbers = np.concatenate([np.full((len(rows), 1), before), numbers], axis=1)
        if after is not None:
            numbers = np.concatenate([numbers, np.full((len(rows), 1), PADDING)], axis=1)
            numbers[np.arange(len(rows)), lengths + (before is not None)] = after
        return numbers, lengths + (before is not None) + (after is not None)


@dataclass(frozen=True)
class NumberedPairs:
    """A part: both sides, and what an unknown unit of a target leaves out."""

    sources: Numbered
    targets: Numbered
    spelling: np.ndarray  # (pair,) float64: nats to spell what is written with unknown units

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        sides = (self.sources.numbers, self.sources.ends, self.targets.numbers, self.targets.ends)
        return sum(each.nbytes for each in (*sides, self.spelling))


def numbered(pairs: Pairs, source: Vocabulary, target: Vocabulary, alphabet: frozenset[str]) -> NumberedPairs:
    """Number both sides of a part; `alphabet` are the characters of the training part's targets."""
    targets = Numbered.of(pairs.targets, target)
    spelling = np.zeros(len(targets))
    lacking = np.flatnonzero(np.add.reduceat(np.append(targets.numbers == UNKNOWN, False), targets.ends[:-1]))
    for place in lacking[targets.lengths[lacking] > 0]:
        spelling[place] = spelt(target.unknown(pairs.targets[place]), alphabet)
    return NumberedPairs(Numbered.of(pairs.sources, source), targets, spelling)


def spelt(text: str, alphabet: frozenset[str]) -> float:
    """Return the nats to spell a text: each character of the alphabet is as likely as any other, or as a new one.

    A new character is as likely as all of Unicode. Without this, a vocabulary would be better the more it does not
    know.
    """
    new = sum(character not in alphabet for character in text)
    return len(text) * math.log(len(alphabet) + 1) + new * math.log(UNICODE)


def shuffled(sources: np.ndarray, targets: np.ndarray, size: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Return the rows of each batch of a pass, in a random order. Sentences of a batch are of about the same length.

    Args:
        sources: The length of each source, `(pair,)`.
        targets: The length of each target, `(pair,)`.
        size: Pairs in a batch; one batch has the rest.
        generator: Draws the order of the pairs and of the batches.
    """
    order = generator.permutation(len(sources))
    pool = POOL * size
    pools = [order[start : start + pool] for start in range(0, len(order), pool)]
    by_length = np.concatenate([each[np.lexsort((targets[each], sources[each]))] for each in pools])
    batches = [by_length[start : start + size] for start in range(0, len(by_length), size)]
    return [batches[place] for place in generator.permutation(len(batches))]

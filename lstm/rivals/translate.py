"""The rivals of the task `translate`: the source itself, the nearest training sentence, and word by word by counts."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lstm.config.translate import TranslateData
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Part
from lstm.data.pairs.pairs import Pairs
from lstm.judging.items import Judgement
from lstm.judging.translate import Answers, answered, sentences
from lstm.records.epoch import Judged
from lstm.rivals.rival import Fitted, sample, sampled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

GRAM = 4  # characters in a row by which sentences are compared
FEATURE_BITS = 20
FEATURES = 2**FEATURE_BITS  # different n-grams, by hash
MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio (Knuth, volume 3, 6.4)
WORK = 5 * 10**8  # pairs of a judged and a training sentence: more of them are compared with a sample
MOST_KEPT = 200_000  # training sentences that are compared with: about a gigabyte at most for long ones
AT_ONCE = 64  # judged sentences that are compared at once
WORD = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
CLOSING, OPENING = re.compile(r" ([,.;:!?%)\]}\u2019])"), re.compile(r"([(\[{\u2018]) ")
MOST_LINKS = 2**22  # pairs of a source's and a target's word in one sentence pair: 200 MB; more are a sample
ROUNDS = 5  # of expectation and maximisation; further ones change few words
NO_WORD = ""  # a target's word may come from no word of the source
LONGEST_WORD = 60  # characters; longer words are copied


class Paired(Protocol):
    """The data of the task: the pairs of each part."""

    @property
    def parts(self) -> Mapping[Part, Pairs]:
        """The pairs by part."""
        ...


class Copy:
    """The rival that answers with the source itself. It is also the baseline of every result."""

    name = "copy of the source"
    about = "Answers with the source itself, which is right for names, numbers and words that both languages share."
    needs: tuple[str, ...] = ()

    def fit(self, data: Paired, config: TrialConfig) -> Fitted:
        """Return the fit, for which there is nothing to learn."""
        return Fitted(self.name, self.name, {}, {})

    def judge(self, fitted: Fitted, data: Paired, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the sources as translations."""
        return _judged(self.name, data, config, part, lambda sources: sources)


class Nearest:
    """The rival that answers with the translation of the training sentence that is most like the source.

    Sentences are compared by the cosine of their n-grams of characters. An n-gram counts less if many training
    sentences have it (tf-idf, Salton and Buckley 1988).
    """

    name = "nearest sentence"
    about = (
        f"The translation of the most similar training sentence: the largest cosine of tf-idf over {GRAM} characters "
        "in a row."
    )
    needs: tuple[str, ...] = ()

    def fit(self, data: Paired, config: TrialConfig) -> Fitted:
        """Choose the training sentences to compare with: all, or a sample of many."""
        total, section = len(data.parts["train"]), config.data_as(TranslateData)
        judged = [len(answered(part, len(data.parts[part]), section)) for part in ("validation", "test")]
        kept = sample(np.arange(total), min(max(WORK // max(judged), 1_000), MOST_KEPT))
        note = sampled(len(kept), total, "training pairs")
        return Fitted(self.name, self.name, {"pairs": len(kept)}, {"pairs": kept.astype(np.int64)}, note)

    def judge(self, fitted: Fitted, data: Paired, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the translations of the nearest training sentences."""
        trained, kept = data.parts["train"], fitted.arrays["pairs"].tolist()

        def answers(sources: Sequence[str]) -> list[str]:
            found = nearest([trained.sources[place] for place in kept], sources)
            return [trained.targets[kept[place]] for place in found]

        return _judged(self.name, data, config, part, answers)


class WordByWord:
    """The rival that translates each word by the word that counts most often give it, in the order of the source.

    The probabilities t(target | source) of words are those of IBM model 1 (Brown et al. 1993), found by expectation and
    maximisation: a target's word comes from each word of its source, or from none, in proportion to t. They are found
    in both directions, and the product counts. A word that was never seen is copied.
    """

    name = "word by word"
    about = (
        "Each word by its likeliest translation, in the order of the source: IBM model 1 in both directions, learned "
        "from the training pairs. Unknown words are copied."
    )
    needs: tuple[str, ...] = ()

    def fit(self, data: Paired, config: TrialConfig) -> Fitted:
        """Learn the likeliest translation of each word from the training pairs, or from a sample of many."""
        pairs, total = data.parts["train"], len(data.parts["train"])
        lengths = np.fromiter(_link_counts(pairs), np.int64, total)
        most = total if lengths.sum() <= MOST_LINKS else max(int(total * MOST_LINKS / lengths.sum()), 1)
        chosen = sample(np.arange(total), most)
        table = best_words([(words(pairs.sources[place]), words(pairs.targets[place])) for place in chosen.tolist()])
        known = {source: target for source, target in table.items() if source and len(source) <= LONGEST_WORD}
        arrays = {"sources": _packed(known), "targets": _packed(known.values())}
        note = sampled(len(chosen), total, "training pairs")
        return Fitted(self.name, self.name, {"words": len(known), "pairs": len(chosen)}, arrays, note)

    def judge(self, fitted: Fitted, data: Paired, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the sources with each word translated."""
        sides = (_unpacked(fitted.arrays[name]) for name in ("sources", "targets"))
        table = dict(zip(*sides, strict=True))
        return _judged(self.name, data, config, part, lambda sources: [translated(each, table) for each in sources])


def _judged(name: str, data: Paired, config: TrialConfig, part: Judged, answers: "Answerer") -> Judgement:
    """Judge the answers to the sources of a part that a network is judged on, too."""
    pairs, section = data.parts[part], config.data_as(TranslateData)
    places = answered(part, len(pairs), section)
    texts = answers([pairs.sources[place] for place in places.tolist()])
    return sentences(name, part, pairs.targets, Answers(places, texts), lowercase=section.lowercase)


class Answerer(Protocol):
    """A function that answers sources with translations."""

    def __call__(self, sources: Sequence[str], /) -> Sequence[str]:
        """Return the translation of each source."""
        ...


# --- The nearest sentence


def nearest(known: Sequence[str], sources: Sequence[str]) -> list[int]:
    """Return the place of the most similar known sentence for each source; of equals the first."""
    rows = _grams(known)
    often = np.bincount(rows.indices, minlength=FEATURES)  # known sentences with each n-gram
    weights = np.log((1 + len(known)) / (1 + often)) + 1
    transposed = _weighted(rows, weights).T.tocsr()
    found: list[int] = []
    for start in range(0, len(sources), AT_ONCE):
        alike = _weighted(_grams(sources[start : start + AT_ONCE]), weights) @ transposed
        found += np.asarray(alike.toarray().argmax(axis=1)).ravel().tolist()
    return found


def _grams(texts: Sequence[str]) -> "csr_matrix":
    """Return how often each n-gram of characters is in each text, by hash: (text, n-gram).

    A space stands before and after a text, so that short texts have n-grams, too.
    """
    from scipy.sparse import csr_matrix

    columns, ends = list[np.ndarray](), [0]
    for text in texts:
        codes = np.frombuffer(f" {text} ".lower().ljust(GRAM).encode("utf-32-le"), np.uint32).astype(np.uint64)
        hashed = np.zeros(len(codes) - GRAM + 1, np.uint64)
        for place in range(GRAM):
            hashed = (hashed + codes[place : place + len(hashed)]) * MIXER
        columns.append(hashed >> np.uint64(64 - FEATURE_BITS))
        ends.append(ends[-1] + len(hashed))
    places = np.concatenate(columns).astype(np.int32) if columns else np.empty(0, np.int32)
    made = csr_matrix((np.ones(len(places), np.float32), places, ends), shape=(len(ends) - 1, FEATURES))
    made.sum_duplicates()
    return made


def _weighted(counts: "csr_matrix", weights: np.ndarray) -> "csr_matrix":
    """Return the rows of counts, weighted and with the length 1."""
    found = counts.copy()
    found.data = ((1 + np.log(counts.data)) * weights[counts.indices]).astype(np.float32)
    lengths = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    found.data /= np.repeat(np.maximum(lengths, 1e-12), np.diff(found.indptr)).astype(np.float32)
    return found


# --- Word by word


def words(text: str) -> list[str]:
    """Return the words and punctuation marks of a text."""
    return WORD.findall(text)


def translated(source: str, table: Mapping[str, str]) -> str:
    """Return a source with each word translated by a table; other words are copied."""
    joined = " ".join(table.get(word, word) for word in words(source))
    return OPENING.sub(r"\1", CLOSING.sub(r"\1", joined))


def best_words(pairs: Sequence[tuple[list[str], list[str]]]) -> dict[str, str]:
    """Return the target's word for each source's word: that with the largest product of both directions' t.

    Either direction alone gives a full stop for nearly anything, because one is in nearly every sentence. Of equal
    products, the more frequent word counts, then the first by its letters.
    """
    (sources, one), (targets, two) = (_numbered([pair[side] for pair in pairs]) for side in (0, 1))
    keys, there = model_1(sources, targets, len(two))
    turned, back = model_1(targets, sources, len(one))
    source, target = np.divmod(keys, len(two))
    other = target * len(one) + source
    places = np.minimum(np.searchsorted(turned, other), len(turned) - 1)
    both = np.where(turned[places] == other, there * back[places], 0.0)
    order = np.lexsort((target, -both, source))
    first = order[np.flatnonzero(np.diff(source[order], prepend=-1))]
    return {one[source[place]]: two[target[place]] for place in first.tolist() if both[place] > 0}


def _numbered(side: Sequence[list[str]]) -> tuple[list[np.ndarray], list[str]]:
    """Return the words of sentences as numbers, and the word of each number: 0 is no word, then by frequency."""
    counts = Counter(word for sentence in side for word in sentence)
    names = [NO_WORD, *sorted(counts, key=lambda word: (-counts[word], word))]
    numbers = {word: number for number, word in enumerate(names)}
    return [np.array([numbers[word] for word in sentence], np.int64) for sentence in side], names


def model_1(
    sources: Sequence[np.ndarray], targets: Sequence[np.ndarray], different: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return t(target | source) of the pairs of words that occur together (Brown et al. 1993, equations 15 to 17).

    Args:
        sources: The numbers of each source's words, from 1: (word,) int64.
        targets: The numbers of each target's words.
        different: How many numbers a target's word can have.

    Returns:
        The pairs of words, as source * `different` + target, sorted; the source 0 is no word. And t of each.
    """
    links, slots, count = list[np.ndarray](), list[np.ndarray](), 0
    for source, target in zip(sources, targets, strict=True):
        links.append(((np.append(source, 0) * different)[None, :] + target[:, None]).ravel())
        slots.append(np.repeat(np.arange(count, count + len(target), dtype=np.int32), len(source) + 1))
        count += len(target)  # a slot is one of the target's words, which comes from one of its links
    slot = np.concatenate(slots)
    keys, link = np.unique(np.concatenate(links), return_inverse=True)
    origin = keys // different
    likely = np.ones(len(keys))
    for _ in range(ROUNDS):
        chance = likely[link]
        chance /= np.bincount(slot, weights=chance, minlength=count)[slot]
        expected = np.bincount(link, weights=chance, minlength=len(keys))
        likely = expected / np.bincount(origin, weights=expected)[origin]
    return keys, likely


def _link_counts(pairs: Pairs) -> Iterator[int]:
    """Yield about how many links a pair has, without finding its words."""
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        yield (source.count(" ") + 2) * (target.count(" ") + 1)


def _packed(texts: Iterable[str]) -> np.ndarray:
    """Return words, which have no line breaks, as bytes that can be kept without running code when they are read."""
    return np.frombuffer("\n".join(texts).encode(), np.uint8)


def _unpacked(packed: np.ndarray) -> list[str]:
    return packed.tobytes().decode().split("\n") if len(packed) else []


def baseline(data: Paired, config: TrialConfig, part: Judged) -> dict[str, float]:
    """Return the metrics of the copy of the source."""
    copy = RIVALS[0]
    return dict(copy.judge(copy.fit(data, config), data, config, part).metrics)


RIVALS = (Copy(), Nearest(), WordByWord())

"""The rival of the task `language_model`: counts of up to six symbols in a row."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lstm.config.language_model import TextData
from lstm.config.trial import TrialConfig
from lstm.data.language_model import Text
from lstm.judging.items import Judgement
from lstm.judging.language_model import named, symbols
from lstm.records.epoch import Judged
from lstm.rivals.rival import Fitted

MOST_ORDER = 6  # symbols in a row
MOST_SYMBOLS = 2**23  # most symbols that are counted
BLOCK = 2**18  # symbols judged at once


class Counts:
    """Interpolated n-grams, smoothed by Witten and Bell's rule (1991; method C), which has no parameters.

    After a context that occurred n times, before d different symbols, p(next) = (count + d * p'(next)) / (n + d). Here
    p' is the probability for a context that is one symbol shorter. Each of the unigram's counts is increased by one.
    With two symbols in a row, this is the baseline's bigram.
    """

    name = "n-grams"
    about = (
        "Counts of up to six symbols in a row in the training part, interpolated by Witten and Bell's rule. The number "
        "of symbols in a row is chosen on validation."
    )
    needs: tuple[str, ...] = ()

    def fit(self, data: Text, config: TrialConfig) -> Fitted:
        """Count symbols in a row for all orders, and keep the orders up to the best one on validation."""
        arrays = _counted(_counting(data), data.inputs)
        order = int(_sums(arrays, data).argmin()) + 1
        return self._made(order, arrays, data, config)

    def choose(self, windows: Sequence[Text], config: TrialConfig) -> Fitted:
        """Choose the number of symbols in a row by the mean over windows, each with counts of its own."""
        losses = []
        for view in windows:
            start, stop = view.bounds("validation")
            losses.append(_sums(_counted(_counting(view), view.inputs), view) / (stop - start))
        order = int(np.mean(losses, axis=0).argmin()) + 1
        return Fitted(self.name, self.name, {"order": order}, {})

    def refit(self, chosen: Fitted, data: Text, config: TrialConfig) -> Fitted:
        """Count as many symbols in a row as were chosen."""
        return self._made(int(chosen.settings["order"] or 1), _counted(_counting(data), data.inputs), data, config)

    def _made(self, order: int, arrays: Mapping[str, np.ndarray], data: Text, config: TrialConfig) -> Fitted:
        """Return the fit with the counts of the orders up to one."""
        stop, ids = data.bounds("train")[1], _counting(data)
        kept = {name: array for name, array in arrays.items() if int(name.split("/")[1]) <= order}
        note = f"counted in the last {len(ids):,} of {stop:,} training symbols" if len(ids) < stop else ""
        unit = config.data_as(TextData).unit
        title = f"counts of {order} {unit} in a row" if order > 1 else f"counts of {unit}"
        return Fitted(self.name, title, {"order": order, "symbols": len(ids)}, kept, note)

    def judge(self, fitted: Fitted, data: Text, config: TrialConfig, part: Judged) -> Judgement:
        """Judge each symbol after the symbols before it, which may be in another part."""
        order = int(fitted.settings["order"] or 1)
        losses = np.concatenate([each[-1] for each in _losses(fitted.arrays, data, part, order)])
        return symbols(self.name, part, data.bounds(part)[0], losses, config.data_as(TextData))


def _counting(data: Text) -> np.ndarray:
    """Return the training symbols that are counted: the last ones if there are many."""
    stop = data.bounds("train")[1]
    return data.ids[max(stop - MOST_SYMBOLS, 0) : stop].astype(np.int64)


def _sums(arrays: Mapping[str, np.ndarray], data: Text) -> np.ndarray:
    """Return the loss of each order, summed over the validation part: (order,), in nats."""
    blocks = [each.sum(axis=1) for each in _losses(arrays, data, "validation", MOST_ORDER)]
    found: np.ndarray = np.stack(blocks).sum(axis=0)
    return found


def _counted(ids: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Return the counts of each order n: sorted `keys/n`, (number of the context) * size + symbol, and `counts/n`.

    A context's number is its index in the keys of the order before. `seen/n` counts the occurrences of each context,
    `different/n` the different symbols after it.
    """
    counts = np.bincount(ids, minlength=size)
    found = {"counts/1": _small(counts)}
    grams, contexts = ids, size  # the number of the n-gram that ends at each place, and how many numbers there are
    for order in range(2, MOST_ORDER + 1):
        if len(ids) < order:
            break
        keys, places, counts = np.unique(grams[:-1] * size + ids[order - 1 :], return_inverse=True, return_counts=True)
        found |= {f"keys/{order}": keys, f"counts/{order}": _small(counts)}
        found[f"seen/{order}"] = _small(np.bincount(grams[:-1], minlength=contexts))
        found[f"different/{order}"] = _small(np.bincount(keys // size, minlength=contexts))
        grams, contexts = places, len(keys)
    return found


def _small(counts: np.ndarray) -> np.ndarray:
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def _losses(arrays: Mapping[str, np.ndarray], data: Text, part: Judged, most: int) -> Iterator[np.ndarray]:
    """Yield, block by block, the loss of each symbol by each order: (order, symbol), in nats."""
    start, stop = data.bounds(part)
    for first in range(start, stop, BLOCK):
        last = min(first + BLOCK, stop)
        yield -np.log(_likely(arrays, data.ids, first, last, data.inputs, most))


def _likely(
    arrays: Mapping[str, np.ndarray], ids: np.ndarray, first: int, last: int, size: int, most: int
) -> np.ndarray:
    """Return the probability of each symbol from `first` to `last` by each order: (order, symbol)."""
    begin = max(first - most + 1, 0)
    symbols = ids[begin:last].astype(np.int64)
    own = slice(first - begin, None)
    unigram = (arrays["counts/1"].astype(np.float64) + 1) / (arrays["counts/1"].sum(dtype=np.float64) + size)
    likely = [unigram[symbols[own]]]
    grams = symbols  # the n-gram that ends at each place; -1 if it was never counted or would begin before the text
    for order in range(2, most + 1):
        if f"keys/{order}" not in arrays:
            likely.append(likely[-1])
            continue
        keys, counts = arrays[f"keys/{order}"], arrays[f"counts/{order}"]
        context = np.concatenate([[-1], grams[:-1]])
        wanted = np.where(context >= 0, context * size + symbols, -1)
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        there = keys[places] == wanted
        grams = np.where(there, places, -1)
        count = np.where(there, counts[places], 0)[own].astype(np.float64)
        seen, different = (
            np.where(context >= 0, arrays[f"{name}/{order}"][context], 0)[own].astype(np.float64)
            for name in ("seen", "different")
        )
        with np.errstate(invalid="ignore"):
            longer = (count + different * likely[-1]) / (seen + different)
        likely.append(np.where(seen > 0, longer, likely[-1]))
    return np.stack(likely)


def baseline(data: Text, section: TextData, part: Judged) -> dict[str, float]:
    """Return the metrics of counting pairs of symbols in the training part, and the unigram's loss, in nats.

    The bigram is smoothed by Witten and Bell's rule (1991; method C), which has no parameters: after a symbol that
    occurred n times, before d different ones, p(next) = (count(pair) + d * unigram(next)) / (n + d). Each of the
    unigram's counts is increased by one, so that no symbol is impossible.
    """
    start, stop = data.bounds(part)
    train = data.ids[: data.bounds("train")[1]]
    size = data.inputs
    unigram = (np.bincount(train, minlength=size) + 1) / (len(train) + size)
    pairs, counts = _pairs(train, size)
    seen, different = (np.bincount(pairs // size, weights=w, minlength=size) for w in (counts, None))
    before, after = data.ids[start - 1 : stop - 1].astype(np.int64), data.ids[start:stop].astype(np.int64)
    wanted = before * size + after
    places = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    count = np.where(pairs[places] == wanted, counts[places], 0)
    likely = unigram[after].copy()  # used after a symbol that was never followed by another
    known = different[before] > 0
    n, d = seen[before][known], different[before][known]
    likely[known] = (count[known] + d * unigram[after][known]) / (n + d)
    loss = float(-np.log(likely).mean())
    words = section.unit == "words"
    return {**named(loss, words=words), "unigram/loss": float(-np.log(unigram[after]).mean())}


def _pairs(ids: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs that occur, as sorted `first * size + second`, and their counts. Pieces bound the memory."""
    pairs, counts = np.empty(0, np.int64), np.empty(0, np.float64)
    for start in range(0, len(ids) - 1, 2**22):
        piece = ids[start : start + 2**22 + 1].astype(np.int64)
        found, often = np.unique(piece[:-1] * size + piece[1:], return_counts=True)
        pairs, inverse = np.unique(np.concatenate([pairs, found]), return_inverse=True)
        counts = np.bincount(inverse, weights=np.concatenate([counts, often])).astype(np.float64)
    return pairs, counts


RIVALS = (Counts(),)

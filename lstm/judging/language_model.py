"""Turns losses of symbols into metrics and items."""

import math

import numpy as np

from lstm.config.language_model import TextData
from lstm.judging.items import Items, Judgement
from lstm.records.epoch import Judged

MOST_ITEMS = 2**20  # items of a text; in a longer text each item is a stretch of symbols
# Symbols of a text in a block. Neighbouring passages are correlated: the variance of a stretch's mean, times the
# stretch's length, grows with the length. On our Shakespeare text, between counts over one to four characters, it is 4
# to 21 % below its maximum at 1,000 symbols, which the correlation of neighbours makes up for, and 30 to 62 % below at
# 100 (`tests/bench/intervals.py --text FILE`).
STRETCH = 1_000


def symbols(name: str, part: Judged, start: int, losses: np.ndarray, section: TextData) -> Judgement:
    """Judge a part's symbols by their losses `(symbol,)` in nats; `start` is the place of the first symbol.

    A long part is judged by stretches of symbols.
    """
    size = -(-len(losses) // MOST_ITEMS)
    first = np.arange(0, len(losses), size)
    weights = np.diff(np.append(first, len(losses))).astype(np.float64)
    errors = {"loss": np.add.reduceat(losses, first) / weights}
    if section.unit == "characters":
        errors["bits_per_character"] = errors["loss"] / math.log(2)
    items = Items(part, name, (start + first).astype(np.int64), weights, errors)
    return Judgement(items, named(float(losses.mean()), words=section.unit == "words"))


def named(loss: float, *, words: bool) -> dict[str, float]:
    """Return a mean loss in nats per symbol by name, with perplexity and, for characters, bits per character."""
    bits = {} if words else {"bits_per_character": loss / math.log(2)}
    # Above 709 math.exp raises. The perplexity is also infinite if training diverged to a loss of NaN.
    return {"loss": loss, **bits, "perplexity": math.exp(loss) if loss < 700 else math.inf}

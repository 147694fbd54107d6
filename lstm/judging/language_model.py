"""Losses of symbols become metrics and items."""

import math

import numpy as np

from lstm.config.language_model import TextData
from lstm.judging.items import Items, Judgement
from lstm.records.epoch import Judged

MOST_ITEMS = 2**20  # of a text: a longer one is kept by stretches of symbols
# Symbols of a text in a block. Passages are alike: the variance of a stretch's mean, times its length, grows with it.
# On our Shakespeare, between counts over one to four characters, it is 4 to 21 % below its highest at 1,000, which
# neighbours' likeness makes up for; 30 to 62 % at 100 (`tests/bench/intervals.py --text FILE`).
STRETCH = 1_000


def symbols(name: str, part: Judged, start: int, losses: np.ndarray, section: TextData) -> Judgement:
    """Of a part's symbols, from the loss of each in nats; of a long part by stretches."""
    size = -(-len(losses) // MOST_ITEMS)
    first = np.arange(0, len(losses), size)
    weights = np.diff(np.append(first, len(losses))).astype(np.float64)
    errors = {"loss": np.add.reduceat(losses, first) / weights}
    if section.unit == "characters":
        errors["bits_per_character"] = errors["loss"] / math.log(2)
    items = Items(part, name, (start + first).astype(np.int64), weights, errors)
    return Judgement(items, named(float(losses.mean()), words=section.unit == "words"))


def named(loss: float, *, words: bool) -> dict[str, float]:
    """A mean loss in nats for each symbol, and the same in other words."""
    bits = {} if words else {"bits_per_character": loss / math.log(2)}
    # Beyond it math.exp raises; a training that diverged has no number either.
    return {"loss": loss, **bits, "perplexity": math.exp(loss) if loss < 700 else math.inf}

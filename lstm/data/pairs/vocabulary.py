"""The units of a side: characters, words or pieces of words, each with a number."""

import base64
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sentencepiece

from lstm.config.translate import Units
from lstm.records.errors import refused

PADDING, UNKNOWN, BEGIN, END = range(4)
MARKS = ("<pad>", "<unk>", "<s>", "</s>")  # the units with these numbers
SPACE = "\u2581"  # a space in a unit, as sentencepiece writes it
# A word with its inner apostrophes and hyphens, or a punctuation mark, each with the space before it; or a space.
WORD = re.compile(rf"{SPACE}?(?:\w+(?:['\u2019-]\w+)*|[^\w{SPACE}])|{SPACE}")
MOST_LINES = 500_000  # evenly spread lines from which the pieces are found
MOST_UNITS = 100_000  # of a vocabulary: each is an output of the network
LONGEST = 2**20  # bytes of a line; sentencepiece would leave longer lines out


@dataclass(frozen=True)
class Vocabulary:
    """The units of a side, or of both. A text becomes numbers and, if all its units are known, the same text again."""

    units: Units
    symbols: tuple[str, ...]  # the marks first
    model: str = ""  # sentencepiece's model in base64; "" if units are no pieces

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    @cached_property
    def _pieces(self) -> Any:
        return sentencepiece.SentencePieceProcessor(model_proto=base64.b64decode(self.model))

    def encode(self, text: str) -> list[int]:
        """Return the numbers of a text's units, without marks for its begin and end."""
        if self.model:
            found: list[int] = self._pieces.encode(text)
            return found
        return [self._numbers.get(unit, UNKNOWN) for unit in split(text, self.units)]

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of units; the marks have none, and an unknown unit is U+FFFD."""
        units = ("\ufffd" if n == UNKNOWN else self.symbols[n] for n in numbers if n == UNKNOWN or n > END)
        text = "".join(units)
        return text if self.units == "characters" else text.replace(SPACE, " ").removeprefix(" ")

    def shown(self, numbers: Iterable[int]) -> list[str]:
        """Return the units by themselves, for a picture."""
        return [self.symbols[number].replace(SPACE, " ").strip(" ") or "\u2423" for number in numbers]

    def unknown(self, text: str) -> str:
        """Return all that is written with unknown units, joined."""
        if self.model:
            pieces = self._pieces.encode(text, return_type="proto").pieces
            return "".join(piece.surface for piece in pieces if piece.id == UNKNOWN)
        return "".join(unit for unit in split(text, self.units) if unit not in self._numbers)


def split(text: str, units: Units) -> Sequence[str]:
    """Return the units of a text that are characters or words."""
    return text if units == "characters" or not text else WORD.findall(SPACE + text.replace(" ", SPACE))


def of_lines(sides: Sequence[Sequence[str]], units: Units, size: int | None) -> Vocabulary:
    """Return the vocabulary of the training part's lines, of one side or of both.

    Args:
        sides: The lines of each side that shares the vocabulary.
        units: What a unit is.
        size: Most units, without the marks for characters and words, with them for pieces; None keeps all.

    Raises:
        BadInput: there are too many units, or no texts.
    """
    every = [side[:: -(-sum(map(len, sides)) // MOST_LINES)] if units == "bpe" else side for side in sides]
    counts = Counter[str]()
    for line in itertools.chain(*every):
        counts.update(split(line, "characters" if units == "bpe" else units))
    ranked = sorted(counts, key=lambda unit: (-counts[unit], unit))
    if not ranked:
        raise refused("only-empty-lines", "data")
    if units == "bpe":
        return _of_pieces(every, size or MOST_UNITS, ranked)
    if len(kept := ranked[:size]) > MOST_UNITS:
        raise refused("too-many-units", "data.vocabulary_size", count=len(kept), units=units, limit=MOST_UNITS)
    return Vocabulary(units, (*MARKS, *kept))


def _of_pieces(sides: Sequence[Sequence[str]], size: int, characters: Sequence[str]) -> Vocabulary:
    """Find pieces by byte-pair encoding, the same ones each time; `characters` are all, the most frequent first.

    If there are many characters, as in Chinese, at most half of the pieces are single characters: the others are blank
    here, so they will be unknown.
    """
    rare = dict.fromkeys(map(ord, characters[max(size // 2 - len(MARKS), 1) :]), " ")
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line.translate(rare) for line in itertools.chain(*sides) if line),
        model_writer=written,
        model_type="bpe",
        vocab_size=size,
        hard_vocab_limit=False,  # of few texts there are fewer pieces
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        max_sentence_length=LONGEST,
        num_threads=1,
        minloglevel=2,
        pad_id=PADDING,
        unk_id=UNKNOWN,
        bos_id=BEGIN,
        eos_id=END,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    symbols = tuple(pieces.id_to_piece(number) for number in range(pieces.get_piece_size()))
    return Vocabulary("bpe", (*MARKS, *symbols[len(MARKS) :]), base64.b64encode(written.getvalue()).decode())

"""The data of the task `language_model`: a text file as numbered characters or words, split by position."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lstm.config.language_model import TextData, Unit
from lstm.data.dataset import Before, Facts, Part, Whole
from lstm.data.tables import reader
from lstm.records.errors import BadInput, refused

BLOCK = 2**20  # characters read at once
MOST_BYTES = 2**28  # of a file; each character takes up to 4 bytes while the file is read
MOST_SYMBOLS = 100_000  # of a vocabulary: each is an output of the network
MOST_WORDS = 5_000_000  # different words of a file while they are counted
UNKNOWN = {"characters": "\ufffd", "words": "<unk>"}  # symbol 0
# A word with its inner apostrophes and hyphens, a punctuation mark, a line end, or <unk>, which some corpora contain.
WORD = re.compile(r"<unk>|\w+(?:['\u2019-]\w+)*|[^\w\s]|\n")
CLOSING = re.compile(r" ([.,;:!?)\]}\u2019\u201d])")  # marks without a space before them
OPENING = re.compile(r"([(\[{\u201c]) ")
AROUND_BREAKS = re.compile(r" ?\n ?")


@dataclass(frozen=True, slots=True)
class TextFacts(Facts):
    """The facts about a text that a language model needs."""

    targets: tuple[str, ...]  # the vocabulary, the unknown symbol first


@dataclass(frozen=True, slots=True)
class Text:
    """A text as symbol numbers. 0 means every symbol that is not in the vocabulary."""

    ids: np.ndarray  # (symbol,), the smallest unsigned type that can number the vocabulary
    borders: tuple[int, int]  # positions of the first symbol of the validation part and of the test part
    targets: tuple[str, ...]  # the vocabulary, the unknown symbol first, then by frequency
    fingerprint: str
    windows: tuple[tuple[int, int], ...] = ()  # the positions of each window of a backtest, the end not included
    window: int = 0  # the window that `bounds` are of; 0: all of them are the validation part
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read: the number of symbols

    def at_window(self, number: int) -> "Text":
        """Return the text as window `number` of a backtest has it, from 1; it shares the array.

        The training part is all that stands before the window, the validation part is the window. With the number after
        the last window, the training part is all that stands before the test part: it was trained on, so nothing may be
        judged on the validation part.
        """
        return replace(self, window=number) if self.windows else self

    @property
    def facts(self) -> TextFacts:
        """Facts about the text that a language model needs."""
        return TextFacts(self.fingerprint, self.targets)

    @property
    def inputs(self) -> int:
        """Number of symbols in the vocabulary, the unknown one included."""
        return len(self.targets)

    @property
    def nbytes(self) -> int:
        """Size of `ids` in bytes."""
        return self.ids.nbytes

    def bounds(self, part: Part) -> tuple[int, int]:
        """Return the position of a part's first symbol and the position after its last one."""
        first, second = self.borders
        judged = (first, second)
        if 0 < self.window <= len(self.windows):
            first, _ = judged = self.windows[self.window - 1]
        elif self.window:
            first = second
        return {"train": (0, first), "validation": judged, "test": (second, len(self.ids))}[part]


def load(section: TextData, path: Path) -> Text:
    """Read a text, split it by position, and number its symbols by their frequency in the training part.

    With a backtest, the training part is what stands before the first window: all windows have the same symbols.

    Raises:
        BadInput: the file can't be read as text, is too short or too large, or has too few or too many symbols.
    """
    return _split(section, path, *_numbered(path, section.unit))


def load_all(section: TextData, path: Path, before: Before) -> Whole:
    """Read a text with all its symbols as the training part. It may be longer than the one that the sweep has seen.

    Raises:
        BadInput: the text is wrong, or its old symbols are others or are not known.
    """
    raw, names = _numbered(path, section.unit)
    old = int(before.reading.get("symbols", len(raw)))
    is_same = old <= len(raw) and _split(section, path, raw[:old], names).fingerprint == before.fingerprint
    if not is_same and not before.reading:
        raise refused("old-rows-unknown", "data", at=path)
    if not is_same:
        raise refused("old-rows-changed", "data", at=path, count=old, unit=section.unit)
    data = _made(section, path, raw, names, (len(raw), len(raw)))
    return Whole(data, section.unit, len(raw), len(raw) - old)


def _split(section: TextData, path: Path, raw: np.ndarray, names: list[str]) -> Text:
    """Split a text by position, and number its symbols by their frequency in the training part."""
    first = int(len(raw) * (1 - section.split.validation - section.split.test))
    second = int(len(raw) * (1 - section.split.test))
    if not 0 < first < second < len(raw):
        raise refused("text-too-short", at=path, count=len(raw), unit=section.unit)
    windows = section.backtest.spans(first, second, section.unit) if section.backtest else ()
    return _made(section, path, raw, names, (windows[0][0] if windows else first, second), windows)


def _made(
    section: TextData,
    path: Path,
    raw: np.ndarray,
    names: list[str],
    borders: tuple[int, int],
    windows: tuple[tuple[int, int], ...] = (),
) -> Text:
    """Number the symbols of a text by their frequency in the training part, which ends at the first border."""
    first, second = borders
    counts = np.bincount(raw[:first], minlength=len(names))
    ranked = sorted(np.flatnonzero(counts).tolist(), key=lambda n: (-counts[n], names[n]))
    ranked = [n for n in ranked if names[n] != UNKNOWN["words"]][: section.vocabulary]
    if np.count_nonzero(counts) < 2:
        raise refused("only-one-symbol", at=path, symbol=names[ranked[0]])
    if len(ranked) > MOST_SYMBOLS:
        values = {"count": len(ranked), "unit": section.unit, "limit": MOST_SYMBOLS, "file": str(path)}
        raise refused("too-many-symbols", "data.vocabulary", **values)
    number = np.zeros(len(names), dtype=np.min_scalar_type(len(ranked)))
    number[ranked] = np.arange(1, len(ranked) + 1)
    ids, symbols = number[raw], (UNKNOWN[section.unit], *(names[n] for n in ranked))
    digest = hashlib.sha256(repr((symbols, first, second)).encode())
    digest.update(ids.tobytes())
    return Text(ids, (first, second), symbols, digest.hexdigest(), windows, reading={"symbols": len(raw)})


def encode(text: str, symbols: Sequence[str]) -> list[int]:
    """Return the numbers of a text's symbols. The first symbol of the vocabulary says whether symbols are words."""
    numbers = {symbol: number for number, symbol in enumerate(symbols) if number}
    pieces: Iterable[str] = WORD.findall(text) if symbols[0] == UNKNOWN["words"] else text
    return [numbers.get(piece, 0) for piece in pieces]


def decode(ids: Sequence[int], symbols: Sequence[str]) -> str:
    """Join symbols into a text. Words get a space between them, except around punctuation marks and line ends."""
    if symbols[0] != UNKNOWN["words"]:
        return "".join(symbols[number] for number in ids)
    text = " ".join(symbols[number] for number in ids)
    return AROUND_BREAKS.sub("\n", OPENING.sub(r"\1", CLOSING.sub(r"\1", text)))


def blocks(path: Path) -> Iterator[str]:
    """Yield the text of a UTF-8 file in blocks, so that memory is bounded.

    A byte order mark is left out, and Windows line ends are read as plain ones.

    Raises:
        BadInput: the file does not exist, can't be opened, is too large, has NUL bytes, or is not UTF-8 text.
    """
    try:
        reader.check(path, "a text file")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise refused("text-too-large", at=path, size=size, limit=MOST_BYTES)
        lines = 1
        with path.open(encoding="utf-8-sig") as opened:
            while block := opened.read(BLOCK):
                if (place := block.find("\0")) >= 0:
                    line = lines + block.count("\n", 0, place)
                    raise refused("nul-bytes-in-text", at=f"{path}:{line}")
                lines += block.count("\n")
                yield block
    except PermissionError:
        raise refused("no-permission-to-read", at=path) from None
    except UnicodeDecodeError:
        raise _not_utf8(path) from None


def _not_utf8(path: Path) -> BadInput:
    """Return the error for a file that is not UTF-8, with its first invalid byte."""
    before = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return refused("byte-not-utf8", at=f"{path}:{number}", byte=before + error.start + 1)
            before += len(line)
    return refused("not-utf8", at=path)


def _numbered(path: Path, unit: Unit) -> tuple[np.ndarray, list[str]]:
    """Return a file's symbols as numbers in an arbitrary order, and the symbol of each number."""
    if unit == "words":
        numbers = dict[str, int]()
        found = [_number(words, numbers, path) for words in _words(path)]
        return np.concatenate([np.empty(0, np.int32), *found]), list(numbers)
    codes = [np.frombuffer(block.encode("utf-32-le"), np.uint32) for block in blocks(path)]
    if not codes:
        raise refused("empty-text", at=path)
    table = np.zeros(0x110000, np.int32)
    for block in codes:
        table[block] = 1
    used = np.flatnonzero(table)
    table[used] = np.arange(len(used))
    return np.concatenate([table[block] for block in codes]), [chr(code) for code in used]


def _number(words: Sequence[str], numbers: dict[str, int], path: Path) -> np.ndarray:
    found = np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int32)
    if len(numbers) > MOST_WORDS:
        raise refused("too-many-words", at=path, limit=MOST_WORDS)
    return found


def _words(path: Path) -> Iterator[list[str]]:
    """Yield the words of each block. Blocks are cut at white space; only a word longer than a block is cut in two."""
    left, some = "", False
    for block in blocks(path):
        text = left + block
        cut = max(text.rfind(" "), text.rfind("\n"), text.rfind("\t")) + 1 or len(text)
        left, found = text[cut:], WORD.findall(text[:cut])
        some = some or bool(found or left)
        yield found
    if not some:
        raise refused("empty-text", at=path)
    yield WORD.findall(left)


def chunks(text: Text, streams: int, steps: int) -> int:
    """Return the number of chunks per stream in a pass over the training part.

    A pass may begin anywhere in the first chunk, and this number of chunks fits for each beginning.

    Raises:
        BadInput: the training part is too short for one chunk per stream.
    """
    length = text.bounds("train")[1]
    if (found := (length - steps) // (streams * steps)) > 0:  # negative if the part is shorter than a chunk
        return found
    needed = (streams + 1) * steps
    raise refused("no-chunk-to-train-on", "data.lookback", symbols=length, streams=streams, steps=steps, needed=needed)

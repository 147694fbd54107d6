"""A text file as symbols: characters or words, their vocabulary, the parts by position."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm.config.language_model import TextData, Unit
from lstm.data.dataset import Facts, Part
from lstm.data.tables import reader
from lstm.records.errors import BadInput, refused

BLOCK = 2**20  # characters read at once
MOST_BYTES = 2**28  # of a file; each character takes up to 4 bytes while it is read
MOST_SYMBOLS = 100_000  # of a vocabulary: each is an output of the network
MOST_WORDS = 5_000_000  # different ones, while they are counted
UNKNOWN = {"characters": "\ufffd", "words": "<unk>"}  # symbol 0
# A word with its inner apostrophes and hyphens, a mark, or a line's end; <unk> as some collections write it.
WORD = re.compile(r"<unk>|\w+(?:['\u2019-]\w+)*|[^\w\s]|\n")
CLOSING = re.compile(r" ([.,;:!?)\]}\u2019\u201d])")  # marks that stand close to the word before
OPENING = re.compile(r"([(\[{\u201c]) ")
AROUND_BREAKS = re.compile(r" ?\n ?")


@dataclass(frozen=True, slots=True)
class TextFacts(Facts):
    """What a language model must know of its text."""

    targets: tuple[str, ...]  # the vocabulary, the unknown symbol first


@dataclass(frozen=True, slots=True)
class Text:
    """A text as numbers of symbols, 0 being whatever the vocabulary lacks."""

    ids: np.ndarray  # (symbol,), the smallest unsigned type that holds the vocabulary
    borders: tuple[int, int]  # the first symbol of the validation part, of the test part
    targets: tuple[str, ...]  # the vocabulary, the unknown symbol first, then by frequency
    fingerprint: str

    @property
    def facts(self) -> TextFacts:
        """What a language model must know of it."""
        return TextFacts(self.fingerprint, self.targets)

    @property
    def inputs(self) -> int:
        """Different symbols."""
        return len(self.targets)

    @property
    def nbytes(self) -> int:
        """Bytes of the text."""
        return self.ids.nbytes

    def bounds(self, part: Part) -> tuple[int, int]:
        """The first symbol of a part, and the one after its last."""
        first, second = self.borders
        return {"train": (0, first), "validation": (first, second), "test": (second, len(self.ids))}[part]


def load(section: TextData, path: Path) -> Text:
    """Reads the text, splits it by position and numbers its symbols by their frequency in the training part.

    Raises:
        BadInput: the file can't be read as text, or holds too little or too much.
    """
    raw, names = _numbered(path, section.unit)
    first = int(len(raw) * (1 - section.split.validation - section.split.test))
    second = int(len(raw) * (1 - section.split.test))
    if not 0 < first < second < len(raw):
        raise refused("text-too-short", at=path, count=len(raw), unit=section.unit)
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
    return Text(ids, (first, second), symbols, digest.hexdigest())


def encode(text: str, symbols: Sequence[str]) -> list[int]:
    """The numbers of a text's symbols; the vocabulary's first symbol tells whether they are words."""
    numbers = {symbol: number for number, symbol in enumerate(symbols) if number}
    pieces: Iterable[str] = WORD.findall(text) if symbols[0] == UNKNOWN["words"] else text
    return [numbers.get(piece, 0) for piece in pieces]


def decode(ids: Sequence[int], symbols: Sequence[str]) -> str:
    """The text of symbols; words with a space between them, but for marks and line ends."""
    if symbols[0] != UNKNOWN["words"]:
        return "".join(symbols[number] for number in ids)
    text = " ".join(symbols[number] for number in ids)
    return AROUND_BREAKS.sub("\n", OPENING.sub(r"\1", CLOSING.sub(r"\1", text)))


def blocks(path: Path) -> Iterator[str]:
    """A UTF-8 file's text in blocks, so that memory is bounded; Windows' line ends and byte order mark are left out.

    Raises:
        BadInput: there is no such file, it is too large, or it is not UTF-8 text.
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
    """That a file is not UTF-8, with the first byte that is not."""
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
    """A file's symbols by number, in any order, and their names."""
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
    """The words of each block, cut at a white space, so that none is cut in two (but one of a million characters)."""
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
    """Chunks of each stream in a pass over the training part: as many as fit wherever it begins in the first chunk.

    Raises:
        BadInput: the part is too short for one.
    """
    length = text.bounds("train")[1]
    if (found := (length - steps) // (streams * steps)) > 0:  # below a chunk it is negative
        return found
    needed = (streams + 1) * steps
    raise refused("no-chunk-to-train-on", "data.lookback", symbols=length, streams=streams, steps=steps, needed=needed)

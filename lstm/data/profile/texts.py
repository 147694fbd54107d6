"""Profile of a text: the number of its characters and words, and of different ones."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lstm.data.language_model import UNKNOWN, WORD, blocks

WORDS_FROM = 2**22  # characters at the start whose words are counted, to see whether words repeat often enough


@dataclass(frozen=True, slots=True)
class TextProfile:
    """The counts of a text."""

    characters: int
    different_characters: int
    lines: int
    words: int  # of the part whose words were counted
    different_words: int
    words_once: int  # different words that occur once
    counted: int  # characters of that part, which is the text's start
    marked: bool  # whether <unk> replaces rare words in the text


def profile(path: Path) -> TextProfile:
    """Count a text's characters and words.

    Raises:
        BadInput: the file does not exist, is too large, or is not UTF-8 text.
    """
    seen, characters, lines, start, block = set[str](), 0, 0, "", "\n"
    for block in blocks(path):
        characters += len(block)
        seen |= set(block)
        lines += block.count("\n")
        if len(start) < WORDS_FROM:
            start += block
    lines += not block.endswith("\n")  # the last line may have no line end
    words = Counter(WORD.findall(start))
    once = sum(count == 1 for count in words.values())
    marked = UNKNOWN["words"] in words
    return TextProfile(characters, len(seen), lines, words.total(), len(words), once, len(start), marked)

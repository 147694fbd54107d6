"""What is in a text: its characters and words, and how many different ones."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lstm.data.language_model import UNKNOWN, WORD, blocks

WORDS_FROM = 2**22  # characters whose words are counted: they tell whether words come back often enough


@dataclass(frozen=True, slots=True)
class TextProfile:
    """What was counted in a text."""

    characters: int
    different_characters: int
    lines: int
    words: int  # of the part whose words were counted
    different_words: int
    words_once: int  # those of these that stand there once
    counted: int  # characters of that part, the text's start
    marked: bool  # whether rare words have been replaced by <unk>


def profile(path: Path) -> TextProfile:
    """Counts a text's characters and words.

    Raises:
        BadInput: the file is no text in UTF-8, or too large.
    """
    seen, characters, lines, start, block = set[str](), 0, 0, "", "\n"
    for block in blocks(path):
        characters += len(block)
        seen |= set(block)
        lines += block.count("\n")
        if len(start) < WORDS_FROM:
            start += block
    lines += not block.endswith("\n")  # the last one may not end
    words = Counter(WORD.findall(start))
    once = sum(count == 1 for count in words.values())
    marked = UNKNOWN["words"] in words
    return TextProfile(characters, len(seen), lines, words.total(), len(words), once, len(start), marked)

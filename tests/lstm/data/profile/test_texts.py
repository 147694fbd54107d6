"""What is counted in a text."""

import pytest

from lstm.data.profile import texts


@pytest.fixture
def profile(tmp_path):
    """What is in a text."""

    def profile(text):
        (tmp_path / "a.txt").write_bytes(text.encode())
        return texts.profile(tmp_path / "a.txt")

    return profile


def test_characters_lines_and_words_are_counted(profile):
    found = profile("\ufeffto be\r\nor not to be, that\r\n")
    assert (found.characters, found.lines) == (len("to be\nor not to be, that\n"), 2)
    assert found.different_characters == len(set("to be\nor not to be, that\n"))
    assert (found.words, found.different_words, found.words_once) == (10, 7, 4)  # marks and line ends are words, too
    assert not found.marked
    assert profile("no end").lines == 1
    assert profile("").lines == 0


def test_words_of_a_long_text_are_those_of_its_start(profile, monkeypatch):
    monkeypatch.setattr(texts, "WORDS_FROM", 10)
    monkeypatch.setattr("lstm.data.language_model.BLOCK", 8)
    found = profile("a b a b <unk> c d e f g h i j")
    assert (found.characters, found.counted, found.marked) == (29, 16, True)

import pytest

from lstm.data.pairs import vocabulary
from lstm.data.pairs.vocabulary import MARKS, UNKNOWN, Vocabulary, of_lines
from lstm.records.errors import BadInput

LINES = ["Ein Mann isst  einen Apfel.", 'Sie sagt: "Wie geht\'s?"', "", "Zwei Männer — im Park!", "ein Mann"] * 4


@pytest.mark.parametrize("units", ["characters", "words", "bpe"])
def test_a_known_text_comes_back(units):
    made = of_lines([LINES], units, 200 if units == "bpe" else None)
    assert made.symbols[:4] == MARKS
    assert [made.decode(made.encode(line)) for line in LINES] == LINES
    assert not any(UNKNOWN in made.encode(line) or made.unknown(line) for line in LINES)
    assert Vocabulary(made.units, made.symbols, made.model) == made


@pytest.mark.parametrize("units", ["characters", "words", "bpe"])
def test_what_is_unknown_is_told(units):
    made = of_lines([LINES], units, 200 if units == "bpe" else None)
    assert UNKNOWN in made.encode("ein 漢字")
    assert made.unknown("ein 漢字").strip(vocabulary.SPACE) == "漢字"
    assert "\ufffd" in made.decode(made.encode("ein 漢字"))


def test_the_most_frequent_units_are_kept():
    assert of_lines([["b a a", "a c"]], "words", 2).symbols[4:] == ("▁a", "▁b")
    assert of_lines([["bb"], ["aaa"]], "characters", None).symbols[4:] == ("a", "b")


def test_pieces_are_the_same_each_time_and_no_more_than_asked():
    one, two = (of_lines([LINES, LINES], "bpe", 60) for _ in range(2))
    assert one == two
    assert len(one) == 60
    assert len(of_lines([LINES], "bpe", 50_000)) < 300  # few texts have few pieces


@pytest.mark.parametrize("size", [8, 12, 20])
def test_with_few_pieces_the_rarest_characters_are_unknown(size):
    made = of_lines([LINES], "bpe", size)
    assert len(made) <= size
    assert UNKNOWN in made.encode("Zwei")


def test_lines_without_a_text_are_refused():
    for units in ("characters", "words", "bpe"):
        with pytest.raises(BadInput, match="no text in any line"):
            of_lines([["", ""]], units, None)


def test_too_many_units_are_refused(monkeypatch):
    monkeypatch.setattr(vocabulary, "MOST_UNITS", 5)
    with pytest.raises(BadInput, match="at most 5"):
        of_lines([LINES], "words", None)
    assert len(of_lines([LINES], "words", 5)) == 9

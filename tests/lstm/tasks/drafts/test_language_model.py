"""What is drafted for a text: characters or words, and how it is read."""

import random
from pathlib import Path

import pytest

from lstm.data.profile.files import GivenFile
from lstm.records.errors import BadInput
from lstm.tasks.drafts import language_model
from lstm.tasks.drafts.draft import Line

SHAKESPEARE = (Path(__file__).parents[4] / "experiments" / "data" / "shakespeare.txt").read_text()


@pytest.fixture
def draft(tmp_path):
    """The draft for a text."""

    def draft(text):
        path = tmp_path / "a.txt"
        path.write_text(text)
        return language_model.draft(GivenFile(path))

    return draft


def named(lines):
    return {line.key: line.value for line in lines if isinstance(line, Line)}


def words(count, different, more=()):
    dice = random.Random(1)
    known = [*(f"w{n}" for n in range(different)), *more]
    return "\n".join(" ".join(dice.choices(known, k=20)) for _ in range(count // 20))


@pytest.mark.parametrize(
    ("text", "unit", "why"),
    [
        (SHAKESPEARE[:50_000], "characters", "occur once"),
        (words(20_000, 50), "words", "51 different"),
        (words(20_000, 2_000, ["<unk>"] * 50), "words", "<unk>"),
        (words(1_000, 5), "characters", "too few"),
        ("ACGT" * 1_000, "characters", "4 different"),
    ],
    ids=["prose", "tokens", "prepared for words", "few tokens", "no words"],
)
def test_characters_or_words_with_the_reason(draft, text, unit, why):
    made = draft(text)
    assert named(made.data)["unit"] == made.facts["unit"] == unit
    [line] = [line for line in made.data if isinstance(line, Line) and line.key == "unit"]
    assert why in line.why
    assert made.found["unit"].startswith(unit)


def test_many_words_make_a_vocabulary(draft):
    assert named(draft(words(60_000, 20_000, ["<unk>"])).data)["vocabulary"] == 10_000
    assert "vocabulary" not in named(draft(words(20_000, 50)).data)


@pytest.mark.parametrize("length", [0, 18, 1_999])
def test_too_short_a_text_is_refused_with_how_much_is_needed(draft, length):
    with pytest.raises(BadInput) as error:
        draft(SHAKESPEARE[:length])
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place.endswith("a.txt")) == ("text-too-short-to-draft", True)
    assert wrong.values == {"count": length, "unit": "characters", "least": 2_000}


@pytest.mark.parametrize(("length", "streams", "lookback", "units"), [(2_000, 8, 32, 64), (250_000, 16, 64, 128)])
def test_streams_and_chunks_follow_the_length(draft, length, streams, lookback, units):
    made = draft(SHAKESPEARE[:length])
    assert named(made.training)["batch_size"] == streams
    assert named(made.data)["lookback"] == lookback
    assert named(made.model)["hidden_size"] == units
    assert all(set(setting) == {line.key for line in made.space} for setting in made.first)


def test_a_text_that_is_not_utf8_far_down_is_told_with_its_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(SHAKESPEARE[:70_000].encode() + "é".encode("latin-1"))
    file = GivenFile(path)
    assert language_model.recognise([file]).fits
    with pytest.raises(BadInput) as error:
        language_model.draft(file)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("byte-not-utf8", {"byte": 70_001})
    assert wrong.place == f"{path}:{SHAKESPEARE[:70_000].count(chr(10)) + 1}"

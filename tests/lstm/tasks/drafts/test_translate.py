"""What is drafted for pairs of sentences, and which files are taken for them."""

import gzip

import numpy as np
import pandas as pd
import pytest

from experiments.operations.drafting import new
from experiments.spec import loader as spec_file
from lstm.config.translate import TranslateData
from lstm.records.errors import BadInput

GERMAN = [f"Der Hund {number} läuft schnell über die große Straße, und die Katze sieht zu." for number in range(400)]
ENGLISH = [f"The dog {number} runs quickly across the wide street, and the cat looks on." for number in range(400)]
DAYS = [f"{1 + number % 28} March {1900 + number}" for number in range(400)]
ISO = [f"{1900 + number}-03-{1 + number % 28:02}" for number in range(400)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, lines):
    with (gzip.open if name.endswith(".gz") else open)(name, "wt") as file:
        file.writelines(f"{line}\n" for line in lines)
    return name


def drafted(*files, **named):
    """The written spec, and its section `data` and location as the loader reads them."""
    written = new(files, **named)
    spec = spec_file.load(written.path)
    return written, spec.experiment.base.data_as(TranslateData), spec.experiment.location


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_two_texts_are_pairs_in_the_order_in_which_they_are_given(suffix):
    files = write(f"a.en{suffix}", ENGLISH), write(f"a.de{suffix}", GERMAN)
    written, section, location = drafted(*files)
    assert written.task == "translate"
    assert (location.path, location.target_path) == files
    assert (section.units, section.vocabulary_size, section.shared_vocabulary) == ("bpe", 500, False)  # ä, ß
    assert written.windows == {"train": 320, "validation": 40, "test": 40}
    assert written.found["from"].startswith(f"a.en{suffix}, which was given first, to a.de{suffix}: 'The dog")


def test_short_texts_are_read_letter_by_letter_and_judged_by_the_letter():
    written, section, _ = drafted(write("days.txt", DAYS), write("iso.txt", ISO))
    assert section.units == "characters"
    spec = spec_file.load(written.path).experiment
    assert (spec.search.metric, spec.search.direction) == ("val/exact_match", "maximize")


def test_six_texts_are_three_parts():
    slices = {"train": slice(0, 300), "val": slice(300, 350), "test": slice(350, 400)}
    files = [
        write(f"{part}.{side}", lines[rows])
        for part, rows in slices.items()
        for side, lines in (("de", GERMAN), ("en", ENGLISH))
    ]
    written, section, location = drafted(*files)
    assert (location.validation_target_path, location.test_path) == ("val.en", "test.de")
    assert section.split is None
    assert written.windows == {"train": 300, "validation": 50, "test": 50}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_a_table_with_two_columns_of_sentences_is_pairs(name):
    frame = pd.DataFrame({"english": ENGLISH, "origin": "web", "german": GERMAN})
    if name.endswith("parquet"):
        frame.to_parquet(name)
    else:
        frame.to_csv(name, index=False, sep="\t" if name.endswith("tsv") else ",")
    written, section, location = drafted(name)
    assert written.task == "translate"
    assert (section.source, section.target, location.path) == ("english", "german", name)


def test_a_table_that_may_be_of_two_tasks_is_asked_about():
    pd.DataFrame({"number": range(400), "english": ENGLISH, "german": GERMAN}).to_csv("a.csv", index=False)
    with pytest.raises(BadInput, match=r"2 tasks can read this data: forecast .* translate"):
        new("a.csv")
    assert drafted("a.csv", task="translate")[1].target == "german"


@pytest.mark.parametrize("ending", ["tsv", "csv"])
def test_a_table_without_a_line_of_names_does_not_lose_its_first_pair(here, ending):
    german, english = ([each.replace(",", "") for each in side] for side in (GERMAN, ENGLISH))
    table = pd.DataFrame({"x": german, "y": english})
    table.to_csv(f"a.{ending}", sep="\t" if ending == "tsv" else ",", header=False, index=False)
    with pytest.raises(BadInput) as error:
        new([f"a.{ending}"])
    (found,) = error.value.faults
    assert (found.code, found.values["source"]) == ("sentences-instead-of-names", german[0])
    assert str(found).startswith(f"a.{ending}:1: ")
    table.to_csv(f"a.{ending}", sep="\t" if ending == "tsv" else ",", header=["de.", "en"], index=False)
    assert sum(new([f"a.{ending}"]).windows.values()) == 400  # one name that ends like a sentence is a name


def test_tables_of_other_tasks_stay_what_they_are():
    draw = np.random.default_rng(0)
    times = pd.date_range("2020-01-01", periods=400)
    series = pd.DataFrame({"day": times, "sold": draw.normal(size=400), "note": ENGLISH, "other": GERMAN})
    series.to_csv("series.csv", index=False)
    assert new("series.csv").task == "forecast"
    rows = {"id": np.arange(400) // 10, "x": draw.normal(size=400), "label": ["a b", "b c"] * 0}
    rows["label"] = np.where(np.arange(400) // 10 % 2, "ill at ease", "well")
    pd.DataFrame(rows).to_csv("classes.csv", index=False)
    assert new("classes.csv").task == "classify"
    write("book.txt", GERMAN)
    assert new("book.txt").task == "language_model"


def test_long_lines_are_left_out_and_said():
    write("a.de", [*GERMAN, "lang " * 300])
    write("a.en", [*ENGLISH, "long"])
    written, section, _ = drafted("a.de", "a.en")
    assert section.long_lines == "leave_out"
    assert "1 lines have more than 1,000 characters" in written.path.read_text()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a.de": GERMAN, "a.en": ENGLISH[:-1]}, "lines-differ-in-number"),
        ({"a.de": GERMAN[:50], "a.en": ENGLISH[:50]}, "pairs-too-few-to-draft"),
        ({"a.de": GERMAN[:1], "a.en": ENGLISH[:1]}, "pairs-too-few-to-draft"),
        ({"a.de": GERMAN, "a.en": GERMAN}, "sides-equal"),
        ({"a.de": GERMAN, "a.en": ENGLISH, "a.fr": ENGLISH}, "no-task-fits"),
        ({"a.de": GERMAN, "a.csv": ["de,en", "a,b"]}, "no-task-fits"),
    ],
    ids=["unequal", "few", "one", "equal", "three", "a text and a table"],
)
def test_nothing_is_written_for_wrong_pairs(here, files, code):
    for name, lines in files.items():
        write(name, lines)
    with pytest.raises(BadInput) as error:
        new(tuple(files))
    assert [fault.code for fault in error.value.faults] == [code]
    assert {path.name for path in here.iterdir()} == set(files)

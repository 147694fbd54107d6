"""Wrong data and wrong specs of the task translate: a code, the place, the way out, exit 2, nothing written."""

import gzip
import json

import pandas as pd
import pytest

GERMAN = [f"Der Hund {number} läuft schnell über die große Straße." for number in range(40)]
ENGLISH = [f"The dog {number} runs quickly across the wide street." for number in range(40)]
SPEC = """\
name: tiny
task: translate
data:
  path: a.de
  target_path: a.en
  split: {validation: 0.2, test: 0.2}
  units: characters
model: {hidden_size: 8}
training: {max_epochs: 1}
"""
TABLE = SPEC.replace("path: a.de\n  target_path: a.en", "path: a.csv\n  source: de\n  target: en")
OWN = SPEC.replace("0.2, test: 0.2}", "0.2}\n  test_path: t.de\n  test_target_path: t.en")
XLSX = SPEC.replace("path: a.de\n", "path: a.xlsx\n", 1)
DATES = """\
name: tiny
task: translate
data:
  generate: dates
  sizes: {train: 40, validation: 10, test: 10}
  units: characters
model: {hidden_size: 8}
training: {max_epochs: 1}
"""


def text(lines):
    return "".join(f"{line}\n" for line in lines).encode()


def changed(lines, **others):
    """Lines with others at some places: `at_3="x"`."""
    lines = [*lines]
    for place, other in others.items():
        lines[int(place.removeprefix("at_"))] = other
    return lines


def table(rows, names=("de", "en")):
    return text([",".join(names), *rows])


ROWS = [f'"{one}",{two}' for one, two in zip(GERMAN, ENGLISH, strict=True)]
GZIP = gzip.compress(text(GERMAN))
RIGHT = {"a.de": text(GERMAN), "a.en": text(ENGLISH), "t.de": text(GERMAN[:9]), "t.en": text(ENGLISH[:9])}
# What is wrong: the code that is told, its place, what the files have, and the spec.
DATA = {
    "a line too few": ("lines-differ-in-number", "a.de:40", {"a.en": text(ENGLISH[:-1])}, SPEC),
    "a line too many": ("lines-differ-in-number", "a.en:41", {"a.en": text([*ENGLISH, "One more."])}, SPEC),
    "empty lines at the end of one": ("lines-differ-in-number", "a.en:41", {"a.en": text([*ENGLISH, ""])}, SPEC),
    "an empty target": ("side-empty", "a.en:8", {"a.en": text(changed(ENGLISH, at_7=" "))}, SPEC),
    "an empty source": ("side-empty", "a.de:1", {"a.de": text(changed(GERMAN, at_0=""))}, SPEC),
    "an empty file": ("empty-text", "a.en", {"a.en": b""}, SPEC),
    "only empty lines": ("no-pairs", "a.de", {"a.de": b"\n" * 9, "a.en": b"\n" * 9}, SPEC),
    "Latin-1": ("line-not-utf8", "a.de:1", {"a.de": text(GERMAN).decode().encode("latin-1")}, SPEC),
    "Latin-1 in one line": ("line-not-utf8", "a.de:2", {"a.de": text(GERMAN[:1]) + b"Stra\xdfe\n"}, SPEC),
    "UTF-16": ("text-in-utf16", "a.de", {"a.de": text(GERMAN).decode().encode("utf-16")}, SPEC),
    "NUL bytes": ("nul-bytes-in-text", "a.en:3", {"a.en": text(changed(ENGLISH, at_2="a\0b"))}, SPEC),
    "a line beyond max_length": (
        "line-too-long-for-pair",
        "a.de:6",
        {"a.de": text(changed(GERMAN, at_5="x" * 1001))},
        SPEC,
    ),
    "a line without end": ("line-of-a-megabyte", "a.en:1", {"a.en": b"x" * (2**21 + 5)}, SPEC),
    "lines of an old Mac": ("lines-end-in-returns", "a.de", {"a.de": text(GERMAN).replace(b"\n", b"\r")}, SPEC),
    "a packed file that was cut": (
        "not-unpacked",
        "a.de.gz",
        {"a.de.gz": GZIP[: len(GZIP) // 2]},
        SPEC.replace("path: a.de\n", "path: a.de.gz\n", 1),
    ),
    "a spreadsheet": ("spreadsheet-instead-of-table", "a.xlsx", {"a.xlsx": b"PK\x03\x04 xl/"}, XLSX),
    "no such file": ("no-such-file", "b.en", {}, SPEC.replace("a.en", "b.en")),
    "a folder": ("not-a-file", "folder", {"folder/x": b""}, SPEC.replace("a.en", "folder")),
    "a table in place of lines": ("table-instead-of-lines", "", {"a.csv": table(ROWS)}, SPEC.replace("a.de", "a.csv")),
    "the source as target": ("file-of-two-roles", "a.de", {}, SPEC.replace("a.en", "a.de")),
    "the training file as test": ("file-of-two-roles", "a.de", {}, OWN.replace("t.de", "a.de")),
    "a copy of the source as target": ("sides-equal", "", {"a.en": text(GERMAN)}, SPEC),
    "both sides swapped in one part": (
        "sides-swapped",
        "t.de",
        {"t.de": text(ENGLISH[:9]), "t.en": text(GERMAN[:9])},
        OWN,
    ),
    "too few pairs": ("part-without-pairs", "", {"a.de": text(GERMAN[:2]), "a.en": text(ENGLISH[:2])}, SPEC),
    "no such column": ("column-not-in-file", "a.csv", {"a.csv": table(ROWS, ("de", "english"))}, TABLE),
    "a column twice": ("column-occurs-twice", "a.csv:1", {"a.csv": table(ROWS, ("de", "de"))}, TABLE),
    "a field too many": ("too-many-or-few-fields", "a.csv:4", {"a.csv": table(changed(ROWS, at_2="a,b,c"))}, TABLE),
    "a quote that is never closed": (
        "table-unreadable",
        "a.csv:41",
        {"a.csv": table(changed(ROWS, at_39='"a,b'))},
        TABLE,
    ),
    "an empty field": ("side-empty", "a.csv:3", {"a.csv": table(changed(ROWS, at_1='"",word'))}, TABLE),
    "a table without rows": ("no-rows", "a.csv", {"a.csv": table([])}, TABLE),
}
# What is wrong: the code that is told, and the spec.
SPECS = {
    "neither file nor generator": ("field-missing", SPEC.replace("path: a.de\n  target_path: a.en\n", "seed: 0\n")),
    "no targets": ("no-targets", SPEC.replace("  target_path: a.en\n", "")),
    "columns and a second file": ("columns-and-target-path", SPEC.replace("units:", "source: de\n  units:")),
    "one column": ("field-missing", TABLE.replace("  target: en\n", "")),
    "one column twice": ("column-of-two-roles", TABLE.replace("target: en", "target: de")),
    "a part without file or share": ("part-missing", SPEC.replace("validation: 0.2, ", "")),
    "a part with file and share": ("share-and-file", OWN.replace("0.2}", "0.2, test: 0.1}")),
    "targets without sources": ("target-without-source", OWN.replace("  test_path: t.de\n", "")),
    "shares of all": ("nothing-to-train", SPEC.replace("test: 0.2", "test: 0.8")),
    "a share of more than all": ("out-of-bounds", SPEC.replace("test: 0.2", "test: 1.2")),
    "generated pairs and files": ("generated-and-files", DATES.replace("units:", "path: a.de\n  units:")),
    "generated pairs without sizes": (
        "field-missing",
        DATES.replace("  sizes: {train: 40, validation: 10, test: 10}\n", ""),
    ),
    "sizes of files": ("sizes-of-files", SPEC.replace("units:", "sizes: {train: 4, validation: 1, test: 1}\n  units:")),
    "an unknown generator": ("not-one-of", DATES.replace("dates", "numbers")),
    "unknown units": ("not-one-of", SPEC.replace("characters", "letters")),
    "a vocabulary of three": ("out-of-bounds", SPEC.replace("units:", "vocabulary_size: 3\n  units:")),
    "an unknown attention": ("not-one-of", SPEC.replace("size: 8", "size: 8, attention: multi_head")),
    "input feeding without attention": (
        "input-feeding-without-attention",
        SPEC.replace("size: 8", "size: 8, attention: none, input_feeding: true"),
    ),
    "smoothing of all": ("out-of-bounds", SPEC.replace("epochs: 1", "epochs: 1, label_smoothing: 1")),
    "no beam": ("out-of-bounds", SPEC.replace("units:", "beam_size: 0\n  units:")),
    "a look-back": ("unknown-field", SPEC.replace("units:", "lookback: 9\n  units:")),
    "a search that changes the loss's unit": (
        "unit-searched",
        SPEC + "search: {n_trials: 2, space: {data.vocabulary_size: {type: int, low: 10, high: 20}}}\n",
    ),
    "a search for its smoothing": (
        "unit-searched",
        SPEC + "search: {n_trials: 2, space: {training.label_smoothing: {type: float, low: 0.0, high: 0.2}}}\n",
    ),
    "an unknown metric": (
        "unknown-metric",
        SPEC + "search: {n_trials: 2, metric: val/rouge, space: {model.hidden_size: {type: int, low: 4, high: 8}}}\n",
    ),
}


def put(folder, files, spec):
    for name, content in (RIGHT | files).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "tiny.yaml").write_text(spec)


def refused(sweep, folder, code):
    """What is told of a plan that is refused; nothing is written."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    answer = sweep("plan", "tiny.yaml", "--json")
    assert answer.code == 2, answer
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    errors = json.loads(answer.out)["errors"]
    assert code in {each["code"] for each in errors}, errors
    assert all(each["mend"] for each in errors)
    return errors


@pytest.mark.parametrize("what", DATA)
def test_wrong_data_are_refused_and_their_line_is_named(folder, sweep, what):
    code, place, files, spec = DATA[what]
    put(folder, files, spec)
    told = refused(sweep, folder, code)
    assert any((each["within"] or each["place"]).endswith(place) for each in told if each["code"] == code), told


@pytest.mark.parametrize("what", SPECS)
def test_a_wrong_spec_is_refused(folder, sweep, what):
    code, spec = SPECS[what]
    put(folder, {}, spec)
    refused(sweep, folder, code)


def test_a_parquet_column_of_numbers_is_refused(folder, sweep):
    put(folder, {}, TABLE.replace("a.csv", "a.parquet"))
    pd.DataFrame({"de": range(40), "en": ENGLISH}).to_parquet(folder / "a.parquet")
    assert "type int64" in refused(sweep, folder, "column-without-texts")[0]["message"]


@pytest.mark.parametrize("spec", [SPEC, OWN, DATES], ids=["shares", "files", "generated"])
def test_the_right_ones_are_planned(folder, sweep, spec):
    put(folder, {}, spec)
    assert sweep("plan", "tiny.yaml").code == 0


# The files that are given to `sweep new`, what the second contains, and the code and the place of what is told.
LATIN = text(changed(GERMAN, at_0="Kein Umlaut.")).decode().encode("latin-1")
DRAFTS = {
    "Latin-1 in its first lines": (LATIN, "line-not-utf8", "b.de:2"),
    "Latin-1 later than what is looked at first": (b"abc\n" * 20_000 + LATIN, "line-not-utf8", "b.de:20002"),
    "UTF-16": (text(GERMAN).decode().encode("utf-16"), "text-in-utf16", "b.de"),
}


@pytest.mark.parametrize("what", DRAFTS)
@pytest.mark.parametrize("task", [(), ("--task", "translate")], ids=["found", "named"])
def test_a_draft_from_a_text_in_another_encoding_says_where_and_how_to_convert_it(folder, sweep, what, task):
    content, code, place = DRAFTS[what]
    put(folder, {"b.de": content}, SPEC)
    answer = sweep("new", "a.en", "b.de", *task, "--json")
    assert answer.code == 2, answer
    (told,) = json.loads(answer.out)["errors"]
    assert (told["code"], told["place"]) == (code, place)
    assert "iconv -f " in told["mend"]
    assert not (folder / "a.yaml").exists()


def test_what_is_no_text_is_not_taken_for_one_in_another_encoding(folder, sweep):
    put(folder, {"b.de": b"\x89PNG\r\n\x1a\n" + bytes(range(256))}, SPEC)
    (told,) = json.loads(sweep("new", "a.en", "b.de", "--json").out)["errors"]
    assert told["code"] == "no-task-fits"

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from lstm.config.translate import PairFiles, PairShares, TranslateData
from lstm.data.pairs import files
from lstm.data.pairs.pairs import Lines
from lstm.records.errors import BadInput

GERMAN = [f"Der Hund {number} läuft über die Straße." for number in range(20)]
ENGLISH = [f"The dog {number} runs across the street." for number in range(20)]
SHARES = PairShares(validation=0.2, test=0.2)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, lines, end="\n"):
    content = "".join(f"{line}{end}" for line in lines).encode()
    with (gzip.open if name.endswith(".gz") else open)(name, "wb") as file:
        file.write(content)
    return name


def read(path="a.de", target_path="a.en", **data):
    location = {name: data.pop(name) for name in list(data) if name.endswith("path")}
    data.setdefault("split", SHARES)
    return files.read(TranslateData(**data), PairFiles(path=path, target_path=target_path, **location))


def both(found):
    """All pairs, in the order of the sources."""
    return sorted(pair for part in found.parts.values() for pair in zip(part.sources, part.targets, strict=True))


def told(error):
    return [(fault.code, fault.place, fault.path) for fault in error.value.faults]


WANTED = sorted(zip(GERMAN, ENGLISH, strict=True))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_two_texts_are_read_line_by_line(suffix, end):
    write(f"a.de{suffix}", GERMAN, end)
    write(f"a.en{suffix}", ENGLISH, end)
    found = read(f"a.de{suffix}", f"a.en{suffix}")
    assert both(found) == WANTED
    assert [len(part) for part in found.parts.values()] == [12, 4, 4]
    assert not found.doubts


def table(name, columns):
    made = pa.table(columns)
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(made, name)
    elif name.endswith(".feather"):
        pyarrow.feather.write_feather(made, name)
    else:
        made.to_pandas().to_csv(name, index=False, sep="\t" if ".tsv" in name else ",")
    return name


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.gz", "a.parquet", "a.feather"])
def test_two_columns_of_a_table_are_read_whatever_is_in_them(name):
    hard = {"x\ty": 'a "quoted" word', '"Hello,"': "x", "a;b": 'one, "two"', "NA": "None", "null": "-"}
    english = [*hard, *ENGLISH] if ".tsv" not in name else [*list(hard)[1:], *ENGLISH]
    german = [*hard.values(), *GERMAN] if ".tsv" not in name else [*list(hard.values())[1:], *GERMAN]
    table(name, {"id": range(len(english)), "de": german, "en": english})
    found = read(name, None, source="de", target="en")
    assert both(found) == sorted((one, " ".join(two.split("\n"))) for one, two in zip(german, english, strict=True))


def test_a_line_break_in_a_field_becomes_a_blank():
    table("a.csv", {"de": ["Das\nist\r\neins.", *GERMAN], "en": ["one", *ENGLISH]})
    assert ("Das ist eins.", "one") in both(read("a.csv", None, source="de", target="en"))


@pytest.mark.parametrize(
    ("quoted", "wanted", "code"),
    [
        ('"Ja," sagte sie.\tYes.', ('"Ja," sagte sie.', "Yes."), "quotes-are-text"),  # as in Tatoeba's files
        ('"Ja."\t"Yes," she said.', ('"Ja."', '"Yes," she said.'), "quotes-are-text"),
        ('"Er sagt ""ja""."\tYes.', ('Er sagt "ja".', "Yes."), "quotes-enclose"),
    ],
)
def test_quotes_in_a_tsv_are_read_in_the_one_way_of_the_whole_file_and_it_is_said(quoted, wanted, code):
    rows = [f"{one}\t{two}" for one, two in zip(GERMAN, ENGLISH, strict=True)]
    write("a.tsv", ["de\ten", *rows, quoted])
    found = read("a.tsv", None, source="de", target="en")
    assert wanted in both(found)
    assert [note.code for note in found.doubts] == [code]


def test_parts_have_files_of_their_own():
    for part, lines in (("a", slice(0, 10)), ("v", slice(10, 14)), ("t", slice(14, 20))):
        write(f"{part}.de", GERMAN[lines])
        write(f"{part}.en", ENGLISH[lines])
    paths = {
        "validation_path": "v.de",
        "validation_target_path": "v.en",
        "test_path": "t.de",
        "test_target_path": "t.en",
    }
    found = read(split=None, **paths)
    assert [*found.parts["train"].sources] == GERMAN[:10]
    assert [*found.parts["validation"].targets] == ENGLISH[10:14]
    assert [*found.parts["test"].targets] == ENGLISH[14:]
    some = read(split=PairShares(validation=0.2), **{name: path for name, path in paths.items() if "test" in name})
    assert [len(some.parts[part]) for part in ("train", "validation", "test")] == [8, 2, 6]


def test_the_split_is_drawn_from_its_seed_and_equal_sources_stay_together():
    write("a.de", [*GERMAN, *GERMAN[:10]])
    write("a.en", [*ENGLISH, *(f"{line} Or so." for line in ENGLISH[:10])])
    found, again, other = (read(split=SHARES.model_copy(update={"seed": seed})) for seed in (0, 0, 1))
    assert both(found) == both(other)
    assert found.fingerprint == again.fingerprint != other.fingerprint
    sides = {part: set(pairs.sources) for part, pairs in found.parts.items()}
    assert not sides["train"] & sides["test"]
    assert not sides["train"] & sides["validation"]
    assert [*found.parts["test"].sources] == [*again.parts["test"].sources]


def test_unicode_has_one_form_and_lower_case_is_made_if_asked():
    write("a.de", ["\ufeffCafe\u0301  ", *GERMAN])
    write("a.en", ["Coffee\u00a0", *ENGLISH])
    assert ("Caf\u00e9", "Coffee") in both(read())
    assert ("caf\u00e9", "coffee") in both(read(lowercase=True))


def test_pairs_that_are_empty_on_both_sides_are_left_out_and_it_is_said():
    write("a.de", [*GERMAN, "", " "])
    write("a.en", [*ENGLISH, "  ", ""])
    found = read()
    assert both(found) == WANTED
    assert [(note.code, note.place) for note in found.doubts] == [("empty-pairs-left-out", "a.de:21")]


def test_long_lines_of_the_training_file_are_left_out_if_asked():
    write("a.de", [*GERMAN, "x" * 60])
    write("a.en", [*ENGLISH, "y"])
    with pytest.raises(BadInput) as error:
        read(max_length=50)
    assert told(error) == [("line-too-long-for-pair", "a.de:21", "data.max_length")]
    found = read(max_length=50, long_lines="leave_out")
    assert both(found) == WANTED
    assert [(note.code, note.place) for note in found.doubts] == [("long-pairs-left-out", "a.de:21")]


def test_what_is_likely_wrong_is_said():
    same = [f"the same {number}" for number in range(10)]
    write("a.de", [*GERMAN, *same])
    write("a.en", [*ENGLISH, *same])
    write("t.de", GERMAN[:5])
    write("t.en", [*ENGLISH[:4], "another"])
    found = read(split=PairShares(validation=0.1), test_path="t.de", test_target_path="t.en")
    codes = {note.code: note.values for note in found.doubts}
    assert set(codes) == {"many-sides-equal", "pairs-trained-on"}
    assert codes["pairs-trained-on"]["total"] == 5


def test_the_first_of_many_faulty_lines_are_named_and_how_many_there_are():
    write("a.de", ["", *GERMAN, *[""] * 7])
    write("a.en", [*ENGLISH, "", *["word"] * 7])
    with pytest.raises(BadInput) as error:
        read()
    assert [place for _, place, _ in told(error)] == ["a.de:1", "a.de:22", "a.de:23", "a.de:24", "a.de:25", "a.en:21"]
    assert "and 3 more such lines" in str(error.value)


def test_sources_to_translate_may_be_empty_lines():
    write("x.txt.gz", ["Ein Satz.", "", "Noch einer."])
    found = files.sources(files.Path("x.txt.gz"), TranslateData(lowercase=True))
    assert [*found] == ["ein satz.", "", "noch einer."]


def test_lines_at_places_are_those_lines():
    draw = np.random.default_rng(0)
    texts = ["ä" * int(size) + str(number) for number, size in enumerate(draw.integers(0, 9, 500))]
    lines, places = Lines(texts), draw.permutation(500)[:77]
    assert [*lines.at(places)] == [texts[place] for place in places]
    assert lines.at(places).digest() == Lines([texts[place] for place in places]).digest()
    assert [*lines.at(places[:0])] == []
    sums = lines.checksums()
    assert len({*sums.tolist()}) == 500


@pytest.mark.faults
def test_a_million_pairs_need_little_more_memory_than_their_files():
    """In a process of its own: the largest resident set while the files are read, above that of an empty reading."""
    import subprocess
    import sys

    write("a.de", (f"{GERMAN[number % 20]} Und noch ein paar Wörter, {number}." for number in range(10**6)))
    write("a.en", (f"{ENGLISH[number % 20]} And some more words as well, {number}." for number in range(10**6)))
    script = (
        "import resource, sys; from lstm.config.translate import *; from lstm.data.pairs import files\n"
        "read = lambda *p: files.read(TranslateData(split=PairShares(validation=.01, test=.01)), PairFiles(path=p[0], "
        "target_path=p[1]))\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak(); found = read('a.de', 'a.en'); print(peak() - before, len(found.parts['train']))"
    )
    answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    used, count = map(int, answer.split())
    assert count == 980_000
    size = files.Path("a.de").stat().st_size + files.Path("a.en").stat().st_size
    assert used < 6 * size
    for units, most in (("bpe", 8), ("characters", 14)):  # 4 bytes for each unit, twice while they are packed
        script = (
            "import resource; from lstm.config.translate import *; from lstm.data import translate\n"
            f"section = TranslateData(split=PairShares(validation=.01, test=.01), units='{units}')\n"
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
            "before = peak(); found = translate.load(section, PairFiles(path='a.de', target_path='a.en'))\n"
            "print(peak() - before, len(found.numbered.parts['train'].sources))"
        )
        answer = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
        used, count = map(int, answer.split())
        assert count == 980_000
        assert used < most * size, units

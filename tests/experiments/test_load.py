import math
import os

import pytest

from experiments.load import MAX_BYTES, Document, read, typed
from lstm.records import BadInput, Fault


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, name="a.yaml"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def refused(path, *overrides, **environment):
    with pytest.raises(BadInput) as error:
        read(path, overrides, environment)
    return list(error.value.messages)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("+1.5e+3", 1500.0),
        ("-7", -7),
        ("0123", 123),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("tRue", "tRue"),
        ("2016-07-01", "2016-07-01"),
        ("12:30:00", "12:30:00"),
        ("1e", "1e"),
        (".", "."),
        ("0b1", "0b1"),
        ("-0x1F", "-0x1F"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("1e999", math.inf),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    assert typed(text) == value
    assert type(typed(text)) is type(value)


def test_nan_is_a_number():
    assert math.isnan(typed(".nan"))


def test_quoted_scalars_are_text(spec):
    assert read(spec("a: '1'\nb: \"true\"\nc: |\n  12\n")).filled == {"a": "1", "b": "true", "c": "12\n"}


def test_a_document_knows_its_lines(spec):
    path = spec(
        "name: x\nsearch:\n  space:\n    model.hidden_size: {type: int,\n      low: 1}\n"
        "  first: [{a.b: 1},\n   {a.b: 2}]\n"
    )
    document = read(path)
    assert document.where("name") == "a.yaml:1"
    assert document.where("search.space.model.hidden_size.low") == "a.yaml:5"
    assert document.where(("search", "space", "model.hidden_size", "low")) == "a.yaml:5"
    assert document.where("search.space.model.hidden_size.high") == "a.yaml:4"
    assert document.where("search.first.1.a.b") == "a.yaml:7"
    assert document.where("search.first.9") == "a.yaml:6"
    assert document.where("nowhere.at.all") == "a.yaml:1"
    assert document.where("search.n_trials") == "a.yaml:2"


def test_bom_and_crlf_are_fine(spec):
    document = read(spec(b"\xef\xbb\xbfname: x\r\ndata:\r\n  lookback: 3\r\n"))
    assert document.filled == {"name": "x", "data": {"lookback": 3}}
    assert document.where("data.lookback") == "a.yaml:3"


def test_the_environment_is_filled_in_and_then_typed(spec):
    path = spec(
        "n: ${N:-32}\nm: ${M}\ntext: '${M}'\nurl: pg://${USER}:${PW:-x}@h\nliteral: $${M} costs $5\nempty: ${NOT:-}\n"
    )
    document = read(path, (), {"M": "7", "USER": "ann", "PW": ""})
    assert document.filled == {
        "n": 32,
        "m": 7,
        "text": "7",
        "url": "pg://ann:x@h",
        "literal": "${M} costs $5",
        "empty": None,
    }
    assert document.written["n"] == "${N:-32}"
    assert document.written["url"] == "pg://${USER}:${PW:-x}@h"
    assert {"7", "ann"} <= document.secrets
    assert "32" not in document.secrets


def test_unknown_and_malformed_variables_are_all_told(spec):
    assert refused(spec("a:\n  b: ${NO}\nc: x${9}y\nd: ${ONE}-${TWO}\n"), ONE="1") == [
        "a.yaml:2: a.b: the environment has no NO; set it, or give a default: ${NO:-default}",
        "a.yaml:3: c: ${ must go on as ${NAME} or ${NAME:-default}; write $${ for the characters themselves",
        "a.yaml:4: d: the environment has no TWO; set it, or give a default: ${TWO:-default}",
    ]


def test_the_environments_values_are_never_shown(spec):
    document = read(
        spec("a: x-${PW}\nb: ${N}\nc: ${QUOTE}\n"), (), {"PW": "hunter22", "N": "0x10", "QUOTE": 'it\'s "q"'}
    )
    assert "hunter22" not in repr(document)
    told = str(
        document.refuse([Fault("a", f"column {document.filled['a']!r} is hunter22, 16, {document.filled['c']!r}")])
    )
    assert told == "a.yaml:1: a: column 'x-${PW}' is ${PW}, ${N}, '${QUOTE}'"


def test_short_values_are_hidden_as_words_only(spec):
    document = read(spec("a: ${N}\n"), (), {"N": "8"})
    assert document.hide("is 8, at most 8192") == "is ${N}, at most 8192"


def test_faults_come_in_the_order_of_the_file_overrides_last(spec):
    document = read(spec("a: 1\nb: 2\nc: 3\n"), ["a=5"])
    assert document.refuse(
        [Fault("a", "one"), Fault("c", "three"), Fault("b.x", "two"), Fault("c", "three")]
    ).messages == (
        "a.yaml:2: b.x: two",
        "a.yaml:3: c: three",
        "--set a=5: a: one",
    )


SECOND_COLON = "a second ': ' on the line, or a wrong indentation; put text that holds ': ' in quotes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.yaml:1: is empty"),
        ("# only a comment\n", "a.yaml:1: is empty"),
        ("---\n", "a.yaml:1: is empty"),
        ("- a\n- b\n", "a.yaml:1: must be a mapping, as in name: my-sweep"),
        ("just text\n", "a.yaml:1: must be a mapping, as in name: my-sweep"),
        (b"a: 1\nb: \xff\n", "a.yaml:2: is not UTF-8 text (byte 0xff)"),
        ("a: 1\nb: \0\n", "a.yaml:2: holds a control character (U+0000)"),
        ("a: 1\nb: \x1b[31m\n", "a.yaml:2: holds a control character (U+001B)"),
        ('a: 1\nb: "\\0"\n', "a.yaml:2: b: holds a control character"),
        ("a: 1\nb: &x 2\n", "a.yaml:2: b: anchors (&x) are not allowed; leave it out"),
        ("a: 1\nb: *x\n", "a.yaml:2: b: aliases (*x) are not allowed; write the value out"),
        ("a: 1\n<<: {b: 2}\n", "a.yaml:2: <<: merge keys are not allowed; write the keys out"),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "a.yaml:1: a: tags (tag:yaml.org,2002:python/object/apply:os.system) are not allowed; leave it out",
        ),
        ("a: !!str 5\n", "a.yaml:1: a: tags (tag:yaml.org,2002:str) are not allowed; leave it out"),
        ("a: ! 5\n", "a.yaml:1: a: tags (!) are not allowed; leave it out"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2: a second document starts here; a spec is one document"),
        ("1: a\n", "a.yaml:1: 1: a key must be text; put it in quotes if it is meant"),
        ("~: a\n", "a.yaml:1: ~: a key must be text; put it in quotes if it is meant"),
        ("[a, b]: 1\n", "a.yaml:1: a key must be one word"),
        ("m:\n  a: 1\n  b: 2\n  a: 3\n", "a.yaml:4: m.a: is written twice, on line 2 and here; keep one"),
        ("a: " + "9" * 31 + "\n", "a.yaml:1: a: is a number of more than 30 digits"),
        ("a: " + "[" * 25 + "]" * 25 + "\n", "a.yaml:1: a.0: nested deeper than 20 levels"),
        ("a: " + "[" * 100_000, "a.yaml:1: a.0: nested deeper than 20 levels"),
        ("a: [" + "1," * 20_001 + "]", "a.yaml:1: a.19998: more than 20,000 values; a spec is smaller"),
        ("a:\n\tb: 1\n", "a.yaml:2: column 1: a tab; indent with spaces"),
        ("a: {b: ${X}}\n", None),
        ("a: 'open\n", "a.yaml:2: column 1: a quote is opened and never closed"),
        ("a: b: c\n", f"a.yaml:1: column 5: {SECOND_COLON}"),
        ("a: 1\nb\nc: 2\n", None),
        ("a: 1\n  b: 2\n", None),
        ("a: [1, 2\nb: 3\n", None),
        ("a: @x\n", "a.yaml:1: column 4: text that starts with this character must be in quotes"),
    ],
)  # fmt: skip
def test_wrong_yaml_is_refused(spec, text, message):
    told = refused(spec(text))
    assert len(told) == 1
    assert told[0] == message if message else told[0].startswith("a.yaml:")


def test_variables_within_braces_need_quotes(spec):
    assert "inside { } and [ ], ${...} needs quotes" in refused(spec("a: {b: ${X}}\n"))[0]


def test_all_faults_of_the_yaml_come_at_once(spec):
    told = refused(spec("a: &x 1\nb: *x\na: ${NO}\n2: 3\n"), "nonsense")
    assert [message.split(": ")[0] for message in told] == [
        "a.yaml:1",
        "a.yaml:2",
        "a.yaml:3",
        "a.yaml:4",
        "--set nonsense",
    ]


def test_nothing_unseen_reaches_the_terminal(spec):
    assert refused(spec('"a\\e[31m\\n": &x 1\n')) == [
        r"a.yaml:1: a\x1b[31m\n: holds a control character",
        r"a.yaml:1: a\x1b[31m\n: anchors (&x) are not allowed; leave it out",
    ]


def test_files_that_can_not_be_read(spec, tmp_path):
    spec("name: x", "mauna.yaml")
    assert refused("manua.yaml") == ["manua.yaml: is not there, did you mean mauna.yaml?"]
    assert refused("b/c.yaml") == ["b/c.yaml: is not there"]
    assert refused(tmp_path) == [f"{tmp_path}: is a folder; give the spec's file"]
    assert refused("/dev/null") == ["/dev/null: is not a file"]
    assert refused("a\0b")[0].startswith("a\0b: ")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert refused("loop.yaml")[0].startswith("loop.yaml: ")
    assert refused("x" * 5000)[0].endswith("File name too long")
    big = spec(b"#" * (MAX_BYTES + 1), "big.yaml")
    assert refused(big) == ["big.yaml: has 1,048,577 bytes; a spec has 1,048,576 at most"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission(spec, tmp_path):
    path = spec("name: x")
    (tmp_path / path).chmod(0)
    assert refused(path) == ["a.yaml: can't be read: Permission denied"]


TREE = """
model: {hidden_size: 64}
search:
  space:
    model.hidden_size: {type: int, high: 128}
  first: [{model.hidden_size: 5}]
tracking:
"""


@pytest.mark.parametrize(
    ("override", "at", "value"),
    [
        ("model.hidden_size=3", ("model", "hidden_size"), 3),
        ("model.dropout=1e-1", ("model", "dropout"), 0.1),
        ("search.space.model.hidden_size.high=64", ("search", "space", "model.hidden_size", "high"), 64),
        ("search.space.model.dropout.low=0", ("search", "space", "model.dropout", "low"), 0),
        ("search.space.model.cell={type: categorical}", ("search", "space", "model.cell", "type"), "categorical"),
        ("search.first.0.model.hidden_size=6", ("search", "first", 0, "model.hidden_size"), 6),
        ("tracking.uri=http://h:5000", ("tracking", "uri"), "http://h:5000"),
        ("new.deep.er=no", ("new", "deep", "er"), "no"),
        ("model.list=[1, 2]", ("model", "list"), [1, 2]),
        ("model.hidden_size='3'", ("model", "hidden_size"), "3"),
        ("model.hidden_size=", ("model", "hidden_size"), None),
        ("model.hidden_size=${N:-9}", ("model", "hidden_size"), 9),
        ("name=a=b", ("name",), "a=b"),
    ],
)
def test_overrides(spec, override, at, value):
    document = read(spec(TREE), [override], {})
    here = document.filled
    for key in at:
        here = here[key]
    assert here == value
    assert document.where(at) == f"--set {override}"
    assert document.where("search.space.model.hidden_size.type") == "a.yaml:5"


def test_an_override_takes_the_lines_of_what_it_replaces(spec):
    document = read(spec(TREE), ["search={n: 1}", "search.n=2"])
    assert document.filled["search"] == {"n": 2}
    assert document.where("search.space.model.hidden_size") == "--set search={n: 1}"
    assert document.where("search.n") == "--set search.n=2"
    assert isinstance(document, Document)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("foo", "must be path=value, as in --set training.max_epochs=5"),
        ("=3", "must be path=value, as in --set training.max_epochs=5"),
        ("a..b=3", "must be path=value, as in --set training.max_epochs=5"),
        ("a=b: c", "a: must be one value, a list as [a, b] or a mapping as {a: 1}"),
        ("a=[1", None),
        ("a=@x", "column 1: text that starts with this character must be in quotes"),
        ("a=&x 1", "a: anchors (&x) are not allowed; leave it out"),
        ("a={b: 1, b: 2}", None),
        ("a=" + "[" * 30, None),
        ("a=\x1b", None),
        ("a=\udcff", None),
        ("." * 50 + "=1", None),
        ("a." * 30 + "b=1", None),
        ("model.hidden_size.x=3", "model.hidden_size.x: model.hidden_size is no mapping, so nothing can be set in it"),
        ("search.first.7.x=3", "search.first.7.x: the list search.first has 1 items, counted from 0"),
        ("search.first.x=3", "search.first.x: the list search.first has 1 items, counted from 0"),
        ("name=${NO}", "name: the environment has no NO; set it, or give a default: ${NO:-default}"),
    ],
)  # fmt: skip
def test_wrong_overrides(spec, override, message):
    told = refused(spec(TREE), override)
    assert all(m.startswith("--set ") and m.isprintable() for m in told)
    assert told == [f"--set {override}: {message}"] if message else told

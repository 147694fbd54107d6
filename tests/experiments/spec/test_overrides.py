import pytest
from told import all_told

from experiments.spec.yaml_document import Document, read
from lstm.records.errors import BadInput

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
def test_overrides(write, override, at, value):
    document = read(write(TREE), [override], {})
    here = document.filled
    for key in at:
        here = here[key]
    assert here == value
    assert document.where(at) == f"--set {override}"
    assert document.where("search.space.model.hidden_size.type") == "a.yaml:5"


def test_an_override_takes_the_lines_of_what_it_replaces(write):
    document = read(write(TREE), ["search={n: 1}", "search.n=2"])
    assert document.filled["search"] == {"n": 2}
    assert document.where("search.space.model.hidden_size") == "--set search={n: 1}"
    assert document.where("search.n") == "--set search.n=2"
    assert isinstance(document, Document)


@pytest.mark.parametrize(
    ("override", "at", "code", "named"),
    [
        ("foo", "", "set-of-wrong-form", {}),
        ("=3", "", "set-of-wrong-form", {}),
        ("a..b=3", "", "set-of-wrong-form", {}),
        ("a=b: c", "a", "set-of-a-block", {}),
        ("a=[1", "", "yaml-bracket-not-closed", {"column": 3}),
        ("a=@x", "", "yaml-needs-quotes", {"column": 1}),
        ("a=&x 1", "a", "yaml-anchor", {"name": "x"}),
        ("a={b: 1, b: 2}", "a.b", "key-twice", {}),
        ("a=" + "[" * 30, "a.0", "nested-too-deep", {"most": 20}),
        ("a=\x1b", "", "control-character", {}),
        ("a=\udcff", "", "control-character", {}),
        ("." * 50 + "=1", "", "set-of-wrong-form", {}),
        ("a." * 30 + "b=1", "", "set-of-wrong-form", {}),
        ("model.hidden_size.x=3", "model.hidden_size.x", "set-in-no-mapping", {"field": "model.hidden_size"}),
        ("search.first.7.x=3", "search.first.7.x", "set-beyond-the-list", {"list": "search.first", "items": 1}),
        ("search.first.x=3", "search.first.x", "set-beyond-the-list", {"list": "search.first", "items": 1}),
        ("name=${NO}", "name", "no-such-variable", {"name": "NO"}),
    ],
)
def test_wrong_overrides(write, override, at, code, named):
    with pytest.raises(BadInput) as error:
        read(write(TREE), [override], {})
    place = "--set " + override.replace("\x1b", r"\x1b").replace("\udcff", r"\udcff")
    assert all_told(error.value.faults) == [(": ".join(filter(None, (place, at))), code, named)]
    assert all(message.startswith(place) and message.isprintable() for message in error.value.messages)

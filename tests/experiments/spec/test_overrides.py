import pytest

from experiments.spec.yaml_document import Document, read

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
def test_wrong_overrides(write, unread, override, message):
    told = unread(write(TREE), override)
    assert all(m.startswith("--set ") and m.isprintable() for m in told)
    assert told == [f"--set {override}: {message}"] if message else told

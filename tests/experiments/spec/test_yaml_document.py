import os

import pytest

from experiments.spec.yaml_document import MAX_BYTES, read
from lstm.records.errors import Fault


def test_a_document_knows_its_lines(write):
    path = write(
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


def test_bom_and_crlf_are_fine(write):
    document = read(write(b"\xef\xbb\xbfname: x\r\ndata:\r\n  lookback: 3\r\n"))
    assert document.filled == {"name": "x", "data": {"lookback": 3}}
    assert document.where("data.lookback") == "a.yaml:3"


def test_the_environments_values_are_never_shown(write):
    document = read(
        write("a: x-${PW}\nb: ${N}\nc: ${QUOTE}\n"), (), {"PW": "hunter22", "N": "0x10", "QUOTE": 'it\'s "q"'}
    )
    assert "hunter22" not in repr(document)
    told = str(
        document.refuse([Fault("a", f"column {document.filled['a']!r} is hunter22, 16, {document.filled['c']!r}")])
    )
    assert told == "a.yaml:1: a: column 'x-${PW}' is ${PW}, ${N}, '${QUOTE}'"


def test_short_values_are_hidden_as_words_only(write):
    document = read(write("a: ${N}\n"), (), {"N": "8"})
    assert document.hide("is 8, at most 8192") == "is ${N}, at most 8192"


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
    ],
)  # fmt: skip
def test_a_file_that_is_no_mapping_of_text_is_refused(write, unread, text, message):
    told = unread(write(text))
    assert len(told) == 1
    assert told[0] == message if message else told[0].startswith("a.yaml:")


def test_files_that_can_not_be_read(write, unread, tmp_path):
    write("name: x", "mauna.yaml")
    assert unread("manua.yaml") == ["manua.yaml: is not there, did you mean mauna.yaml?"]
    assert unread("b/c.yaml") == ["b/c.yaml: is not there"]
    assert unread(tmp_path) == [f"{tmp_path}: is a folder; give the spec's file"]
    assert unread("/dev/null") == ["/dev/null: is not a file"]
    assert unread("a\0b")[0].startswith("a\0b: ")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert unread("loop.yaml")[0].startswith("loop.yaml: ")
    assert unread("x" * 5000)[0].endswith("File name too long")
    big = write(b"#" * (MAX_BYTES + 1), "big.yaml")
    assert unread(big) == ["big.yaml: has 1,048,577 bytes; a spec has 1,048,576 at most"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission(write, unread, tmp_path):
    path = write("name: x")
    (tmp_path / path).chmod(0)
    assert unread(path) == ["a.yaml: can't be read: Permission denied"]

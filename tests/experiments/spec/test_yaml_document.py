import os

import pytest
from told import all_told

from experiments.spec.yaml_document import MAX_BYTES, read
from lstm.records.errors import fault


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
    wrong = fault("wrong-form", "a", came=document.filled["a"], about=["hunter22", 16, document.filled["c"]], near=None)
    error = document.refuse([wrong])
    assert all_told(error.faults) == [
        ("1: a", "wrong-form", {"came": "x-${PW}", "about": ["${PW}", "${N}", "${QUOTE}"]})
    ]
    for hidden in ("hunter22", "16", "it's"):
        assert hidden not in str(error)


def test_no_value_is_taken_for_one_of_the_environment(write):
    """A word of the environment may be called as Python calls what is absent."""
    document = read(write("a: ${N}\n"), (), {"N": "None"})
    [wrong] = document.refuse([fault("unknown-field", "a", near=None, allowed=["None"])]).faults
    assert wrong.values == {"near": None, "allowed": ["${N}"]}


def test_short_values_are_hidden_as_words_only(write):
    document = read(write("a: ${N}\n"), (), {"N": "8"})
    assert document.hide("is 8, at most 8192") == "is ${N}, at most 8192"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ("1", "spec-empty", {})),
        ("# only a comment\n", ("1", "spec-empty", {})),
        ("---\n", ("1", "spec-empty", {})),
        ("- a\n- b\n", ("1", "spec-no-mapping", {})),
        ("just text\n", ("1", "spec-no-mapping", {})),
        (b"a: 1\nb: \xff\n", ("2", "spec-not-utf8", {"byte": 255})),
        ("a: 1\nb: \0\n", ("2", "control-character", {"character": "U+0000"})),
        ("a: 1\nb: \x1b[31m\n", ("2", "control-character", {"character": "U+001B"})),
    ],
)
def test_a_file_that_is_no_mapping_of_text_is_refused(write, unread, text, told):
    assert unread(write(text)) == [told]


def test_files_that_can_not_be_read(write, unread, tmp_path):
    write("name: x", "mauna.yaml")
    assert unread("manua.yaml") == [("manua.yaml", "no-such-file", {"near": "mauna.yaml"})]
    assert unread("b/c.yaml") == [("b/c.yaml", "no-such-file", {})]
    assert unread(tmp_path) == [(str(tmp_path), "spec-is-a-folder", {})]
    assert unread("/dev/null") == [("/dev/null", "spec-not-a-file", {})]
    assert unread("a\0b")[0][0] == "a\0b"
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert unread("loop.yaml")[0][0] == "loop.yaml"
    assert unread("x" * 5000) == [("x" * 5000, "spec-unreadable", {"why": "File name too long"})]
    big = write(b"#" * (MAX_BYTES + 1), "big.yaml")
    assert unread(big) == [("big.yaml", "spec-too-large", {"bytes": 1_048_577, "most": 1_048_576})]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission(write, unread, tmp_path):
    path = write("name: x")
    (tmp_path / path).chmod(0)
    assert unread(path) == [("a.yaml", "spec-unreadable", {"why": "Permission denied"})]

"""The catalog of messages: each entry has its values, and each code that is used is there."""

import os
import re
from pathlib import Path

import pytest

from lstm.messages.catalog import CATALOG, NOTES, SUBJECTS
from lstm.messages.entry import fields, render
from lstm.messages.message import Message
from lstm.records.errors import BadInput, fault, refused

ROOT = Path(__file__).parents[2]
APPROVED = Path(__file__).with_name("messages.txt")
USED = re.compile(r"""(?:\bfault|\brefused|\bnote)\(\s*"([a-z0-9-]+)\"""")


def test_no_code_is_in_two_subjects():
    assert sum(map(len, [*SUBJECTS.values(), *NOTES.values()])) == len(CATALOG)


@pytest.mark.parametrize("subject", [*SUBJECTS, *NOTES])
def test_an_entry_has_a_mend_and_an_example_for_each_field(subject):
    for code, entry in (SUBJECTS | NOTES)[subject].items():
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)+", code)
        assert fields(entry.text) | fields(entry.mend) <= set(entry.example), code
        text, mend = render(entry.text, entry.example), render(entry.mend, entry.example)
        assert text, code
        assert mend or subject in NOTES, code
        assert not text.endswith("."), code
        assert ";" not in text, f"{code}: what follows a semicolon is the mend"


def test_every_code_that_is_used_is_in_the_catalog_and_no_other():
    product = [
        path for room in ("lstm", "cluster", "experiments", "dashboards") for path in (ROOT / room).rglob("*.py")
    ]
    text = "\n".join(path.read_text() for path in product if path.parent.name != "messages")
    used = set(USED.findall(text))
    assert used <= set(CATALOG)
    quoted = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', text))
    assert set(CATALOG) <= quoted, "said nowhere"


def test_all_messages_as_they_are_read():
    """`RENEW=1` writes the file anew, for its difference to be read."""
    shown = [f"{code}\n    {Message(code, 'the.field', CATALOG[code].example, 'file:3')}" for code in sorted(CATALOG)]
    text = "\n".join([*shown, ""])
    if os.environ.get("RENEW"):
        APPROVED.write_text(text)
    assert text == APPROVED.read_text()


def test_a_fault_is_data_and_renders_its_place_field_text_and_mend():
    wrong = fault("nothing-to-train", "data.split", at="a.yaml:4", total=1.25)
    assert str(wrong).startswith("a.yaml:4: data.split: leaves nothing for training")
    assert wrong.row()["values"] == {"total": 1.25}
    assert wrong.row()["code"] == "nothing-to-train"
    assert str(wrong) == f"a.yaml:4: data.split: {wrong.text}; {wrong.mend}"
    assert {wrong, fault("nothing-to-train", "data.split", at="a.yaml:4", total=1.25)} == {wrong}


def test_a_refusal_gives_its_faults_a_place_where_they_have_none():
    one, two = refused("no-search", "storage.keep").faults[0], fault("no-search", "storage.keep", at="b.yaml:1")
    placed = BadInput(one, two).at("a.yaml:2")
    assert [each.place for each in placed.faults] == ["a.yaml:2", "b.yaml:1"]


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        ("{name!q} is long", {"name": "x" * 80}, f"{'x' * 57 + '...'!r} is long"),
        ("{names!q}", {"names": ["a", "b"]}, "'a', 'b'"),
        ("{near:?, did you mean *?}", {"near": None}, ""),
        ("{near:?, did you mean *?}", {"near": "lr"}, ", did you mean lr?"),
        ("{low:?from *}", {"low": 0}, "from 0"),
        ("{value:yaml} {other:yaml} {most:yaml}", {"value": None, "other": 0.5, "most": True}, "null 0.5 true"),
        ("{count:,}", {"count": 12345}, "12,345"),
        ("{count:,}", {"count": "${COUNT}"}, "${COUNT}"),
    ],
)
def test_values_are_written_as_the_format_says(text, values, wanted):
    assert render(text, values) == wanted


def test_a_change_is_made_to_each_text_of_a_fault_and_to_numbers_that_it_finds():
    wrong = fault(
        "column-not-in-file", at="/tmp/x/data.csv", column="/tmp/x", columns=["a", "/tmp/x"], near=None, further=3
    )
    changed = wrong.changed(lambda text: text.replace("/tmp/x", "here").replace("None", "some"))
    assert changed.place == "here/data.csv"
    assert changed.values == {"column": "here", "columns": ["a", "here"], "near": None, "further": 3}
    assert wrong.changed(lambda text: text.replace("3", "${N}")).values["further"] == "${N}"


def test_a_long_field_is_cut_in_the_message_and_whole_in_the_data():
    wrong = fault("no-search", "x" * 5000, at="a.yaml:1")
    assert len(str(wrong)) < 500
    assert str(wrong).endswith(wrong.mend)
    assert wrong.row()["path"] == "x" * 5000

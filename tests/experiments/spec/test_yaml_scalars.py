import math

import pytest

from experiments.spec.yaml_document import read
from experiments.spec.yaml_scalars import typed
from lstm.messages.catalog import CATALOG
from lstm.messages.entry import render


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


def test_quoted_scalars_are_text(write):
    assert read(write("a: '1'\nb: \"true\"\nc: |\n  12\n")).filled == {"a": "1", "b": "true", "c": "12\n"}


def test_the_environment_is_filled_in_and_then_typed(write):
    path = write(
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


def test_unknown_and_malformed_variables_are_all_told(write, unread):
    assert unread(write("a:\n  b: ${NO}\nc: x${9}y\nd: ${ONE}-${TWO}\n"), ONE="1") == [
        ("2: a.b", "no-such-variable", {"name": "NO"}),
        ("3: c", "variable-not-closed", {}),
        ("4: d", "no-such-variable", {"name": "TWO"}),
    ]


def test_variables_within_braces_need_quotes(write, unread):
    assert unread(write("a: {b: ${X}}\n")) == [("1", "yaml-bracket-not-closed", {"column": 9})]
    assert "${...} in quotes" in render(CATALOG["yaml-bracket-not-closed"].mend, {})


def test_a_default_ends_before_another_variable(write, unread):
    assert unread(write("a: '${A:-${B}}'"), B="1") == [("1: a", "variable-not-closed", {})]
    # Each of these would be sought to the text's end: hours.
    assert len(unread(write("a: " + "${A:-" * 50_000))) == 1

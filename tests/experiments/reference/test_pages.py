"""The reference pages are what the models, the help texts and the docstrings say today."""

import ast

import pytest

from experiments import __all__ as offered
from experiments.cli import main
from experiments.reference import errors, python, spec
from experiments.reference.pages import FOLDER, PAGES
from experiments.spec.schema import schema


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_it_would_be_written_now(name):
    assert (FOLDER / name).read_text() == PAGES[name](), "run `make schema`"


def test_the_page_of_verbs_has_each_verb_with_its_flags():
    text = PAGES["verbs.md"]()
    for name, command in main.commands.items():
        _, _, section = text.partition(f"\n## sweep {name}\n")
        section = section.partition("\n## ")[0]
        assert [o for p in command.params for o in p.opts if o.startswith("--") and o not in section] == []


def test_the_page_of_the_spec_has_each_field():
    text, whole = PAGES["spec.md"](), schema()
    names = {name for node in whole["$defs"].values() for name in node["properties"]} - {"type"}
    assert [name for name in names if f".{name}" not in text] == []
    assert "### name\n" in text
    assert "### training.max_epochs\n\n**value:** a whole number from 1 to 1,000,000 · **default:** `30`\n" in text
    assert "### data.path (forecast)\n\n**value:** a text · **required**\n" in text
    assert "### search.pruner\n\n**value:** a variant, named by its `type`: `hyperband`, " in text


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"type": "integer", "minimum": 1}, "a whole number from 1"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1e6}, "a number above 0 and at most 1,000,000"),
        ({"anyOf": [{"const": "auto"}, {"type": "number"}, {"type": "null"}]}, "`auto`, or a number, or `null`"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, "a list of at least 2 (each: a text)"),
        ({"enum": ["a", "b", "c"]}, "`a`, `b` or `c`"),
    ],
)
def test_what_a_field_may_be_is_said_in_words(node, said):
    assert spec.kind_of(node, {}) == said


def test_the_page_of_python_has_all_that_is_offered():
    assert set(python.FUNCTIONS) | set(python.CLASSES) | {"__version__"} == set(offered)


def test_a_docstrings_sections_become_lists():
    made = python.docstring(
        ast.parse('def f():\n    """Do.\n\n    Raises:\n        A: one\n            and two.\n    """').body[0]
    )
    assert made == "Do.\n\nRaises:\n\n- `A`: one and two.\n\n"


def test_a_long_signature_has_a_line_for_each_argument():
    names = ", ".join(f"argument_{n}: dict[str, int] = {{}}" for n in range(5))
    node = ast.parse(f"def f(self, {names}) -> 'int': ...").body[0]
    first, second, *_, last = python.signature(node).splitlines()
    assert (first, second, last) == ("f(", "    argument_0: dict[str, int] = {},", ") -> int")


def test_a_text_is_outlined_for_the_page():
    found = errors.outline("has {count:,} rows{near:?, did you mean *?} {{a}}")
    assert found == "has `count` rows[, did you mean `near`?] {a}"

"""One message of the catalog, and how its values are written into it."""

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_SHOWN = 60  # characters of a name or value out of a file
MOST_DIGITS = 10**18


@dataclass(frozen=True)
class Entry:
    """What is said under a code.

    Both texts have the fields of `str.format`, and four formats more: `{name!q}` writes a name or a value out of a
    file, in quotes and cut where it is long; a list is written with commas; `{name:?, did you mean *?}` writes what
    follows the `?`, the value in place of the `*`, and nothing where the value is None or empty; `{value:yaml}` writes
    a value as a spec has it.
    """

    text: str  # what is wrong: a sentence without a capital and a full stop, after the place and the field
    mend: str = ""  # what to do about it, in the imperative
    example: Mapping[str, Any] = field(default_factory=dict)  # values for the documentation: one for each field


def render(text: str, values: Mapping[str, Any]) -> str:
    """A text with its values.

    Raises:
        KeyError: a field has no value.
    """
    return _FORMATTER.vformat(text, (), values)


def fields(text: str) -> set[str]:
    """The names that a text has fields for."""
    return {name for _, name, _, _ in _FORMATTER.parse(text) if name}


def quoted(text: str, length: int = LONGEST_SHOWN) -> str:
    """A name or a value out of a file, for a message: in quotes, on one line, cut where it is long."""
    return repr(text if len(text) <= length else f"{text[: length - 3]}...")


def shown(text: str, length: int = LONGEST_SHOWN) -> str:
    """A text cut, and what can't be seen in it made visible, for a message."""
    text = text if len(text) <= length else text[: length - 3] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class _Formatter(string.Formatter):
    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if conversion != "q":
            return super().convert_field(value, conversion)
        return [quoted(str(each)) for each in value] if isinstance(value, list | tuple) else quoted(str(value))

    def format_field(self, value: Any, spec: str) -> str:
        if isinstance(value, list | tuple):
            value = ", ".join(map(_scalar, value))
        if spec.startswith("?"):
            return spec[1:].replace("*", _scalar(value)) if value not in (None, "") else ""
        if spec == "yaml":
            return _scalar(value)
        # A number that the environment filled in is hidden behind its name, which has no digits to format.
        return str(super().format_field(value, "" if isinstance(value, str) else spec))


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).replace("None", "null").lower()
    if isinstance(value, int):
        return str(value) if abs(value) < MOST_DIGITS else "a number of more than 18 digits"
    return f"{value:g}" if isinstance(value, float) else str(value)


_FORMATTER = _Formatter()

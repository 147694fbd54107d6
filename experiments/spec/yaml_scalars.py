"""Scalars: fills in ${NAME}, then reads the text by YAML 1.2's core schema."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from experiments.spec.errors import Address, Place, Wrong
from lstm.records.errors import fault
from lstm.records.objective import Scalar

MAX_DIGITS = 30
# A default ends before another ${. Otherwise each ${ that is never closed would be searched to the end of the text.
_VARIABLE = re.compile(r"\$?\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{)[^}])*))?\})?")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{s + "." + w: float(s + w) for s in ("", "+", "-") for w in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(frozen=True)
class Leaf:
    """A scalar as it was written."""

    text: str
    plain: bool  # without quotes: the text decides the type


def typed(text: str) -> Scalar:
    """Return the value of a scalar without quotes, by YAML 1.2's core schema; a too long whole number stays text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text, 0 if text.startswith(("0o", "0x")) else 10)
    return float(text) if _NUMBER.fullmatch(text) and not _INTEGER.fullmatch(text) else text


class Filler:
    """A filler of ${NAME} and ${NAME:-default}. It keeps which values came from the environment."""

    def __init__(self, environment: Mapping[str, str], lines: Mapping[Address, Place]) -> None:
        self.names: dict[str, str] = {}
        self.wrong: list[Wrong] = []
        self.lacking: list[Wrong] = []  # a fault for each variable that the environment lacks
        self._environment, self._lines = environment, lines

    def fill(self, leaf: Leaf, at: Address) -> Scalar:
        """Return a scalar's value. It is filled in first, then typed."""
        before = len(self.names)
        text = _VARIABLE.sub(lambda match: self._variable(match, at), leaf.text)
        value = typed(text) if leaf.plain else text
        if len(self.names) > before and value is not None:
            self.names.setdefault(str(value), leaf.text)
        if leaf.plain and isinstance(value, str) and _INTEGER.fullmatch(text):
            self.wrong.append((self._lines[at], at, fault("number-of-many-digits", most=MAX_DIGITS)))
        return value

    def _variable(self, match: re.Match[str], at: Address) -> str:
        name, default = match[1], match[2]
        if match[0].startswith("$$"):
            return match[0][1:]
        if name is None:
            self.wrong.append((self._lines[at], at, fault("variable-not-closed")))
            return ""
        value = self._environment.get(name)
        if default is not None and not value:  # as in a shell: an empty variable takes the default too
            return str(default)
        if value is None:
            self.lacking.append((self._lines[at], at, fault("no-such-variable", name=name)))
        elif value:
            self.names[value] = f"${{{name}}}"
        return value or ""

"""A spec given from Python as a mapping: it is written as YAML text, which is then read like a file."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.spec.errors import Address, dotted
from lstm.messages.entry import shown
from lstm.records.errors import BadInput, Fault, fault

Spec = str | os.PathLike[str] | Mapping[str, Any]
Overrides = Mapping[str, Any] | Sequence[str]
PLACE = "spec"  # messages begin with it, instead of a file's name and line
_WORD = re.compile(r"[A-Za-z_][\w.]*")
_NO_WORDS = ("true", "false", "null")


@dataclass(frozen=True)
class Given:
    """A spec that is not a file. Relative paths in it start at the working folder."""

    text: str = field(repr=False)

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Given":
        """Return the spec of a mapping of plain values.

        Raises:
            BadInput: the mapping contains a key or a value that a spec can't have.
        """
        wrong: list[Fault] = []
        plain = _plain(spec, (), wrong)
        if wrong:
            raise BadInput(*wrong)
        return cls("\n".join([*_lines(plain, ""), ""]))


Source = str | Path | Given


def folder_of(source: Source) -> Path:
    """Return the folder where relative paths in a spec start."""
    return Path() if isinstance(source, Given) else Path(source).parent


def _plain(value: Any, at: Address, wrong: list[Fault]) -> Any:
    """Return the value in JSON's types. Tuples become lists, paths text, and numpy's scalars plain numbers."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()  # a scalar of numpy
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            wrong.append(fault("key-no-text", dotted(at), at=PLACE, key=shown(repr(odd[0]))))
            return {}
        return {key: _plain(each, (*at, key), wrong) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, (*at, index), wrong) for index, each in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    wrong.append(fault("value-no-yaml", dotted(at), at=PLACE, type=type(value).__name__))
    return None


def _lines(tree: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Yield the lines of a YAML block. Scalars and lists are JSON, which keeps types: "1e3" is text, 1e3 a number."""
    for key, value in tree.items():
        name = key if _WORD.fullmatch(key) and key not in _NO_WORDS else json.dumps(key, ensure_ascii=False)
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {literal(value)}"


def literal(value: Any) -> str:
    """Return a value on one line, as written in a spec or an override."""
    if isinstance(value, float) and value != value:  # noqa: PLR0124 # not a number
        return ".nan"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("Infinity", ".inf") if isinstance(value, float) else text


def named_of(spec: Spec) -> str | Given:
    """Return a spec that was given in Python as a verb takes it: a path, a name, or a mapping."""
    return Given.of(spec) if isinstance(spec, Mapping) else os.fspath(spec)


def overrides_of(given: Overrides) -> list[str]:
    """Return overrides that were given in Python as a verb takes them: PATH=VALUE."""
    if isinstance(given, str):
        return [given]
    return [f"{path}={literal(value)}" for path, value in given.items()] if isinstance(given, Mapping) else list(given)

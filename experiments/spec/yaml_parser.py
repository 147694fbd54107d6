"""Builds a file's tree from the parser's events. It is the only module that uses PyYAML.

A spec is a subset of YAML: scalars of the 1.2 core schema, no anchors, tags or merge keys.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from experiments.spec.errors import Address, Place, Wrong
from experiments.spec.yaml_scalars import Leaf, typed
from lstm.records.errors import Fault, fault

Node = dict[str, Any] | list[Any] | Leaf

MAX_NODES, MAX_DEPTH = 20_000, 20
# PyYAML's parser in C is eight times as fast. A longer text could go deeper than its stack, a level a character.
_C_LENGTH = 4000
CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROBLEMS = {  # by part of the parser's message: the code of our fault
    "mapping values are not allowed": "yaml-second-colon",
    "could not find expected ':'": "yaml-key-without-colon",
    "found character '\\t'": "yaml-tab",
    "that cannot start any token": "yaml-needs-quotes",
    "unexpected end of stream": "yaml-quote-not-closed",
    "expected <block end>": "yaml-indentation",
    "expected ',' or ": "yaml-bracket-not-closed",
    "unacceptable character": "yaml-character",
}


def plain(text: str) -> Any:
    """Return the values of YAML that a library wrote, with YAML 1.1's types. A spec is read by `Builder` instead.

    Raises:
        ValueError: the text is not YAML.
    """
    is_small = len(text) <= _C_LENGTH
    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader) if is_small else yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from None


class Builder:
    """A builder of nodes from the parser's events. It also collects lines and faults."""

    def __init__(self, text: str, prefix: Address = (), place: str | None = None) -> None:
        self.lines: dict[Address, Place] = {}
        self.wrong: list[Wrong] = []
        self.block = False  # the root is a collection without brackets
        self._prefix, self._place, self._nodes = prefix, place, 0
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)

    def build(self) -> Node | None:
        """Return the tree; None if the text is empty, or could not be read to its end."""
        node = None
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent) and node is not None:
                    self._note(event, self._prefix, fault("second-document"))
                    return node
                if isinstance(event, yaml.NodeEvent):
                    self.block = not getattr(event, "flow_style", True)
                    node = self._node(event, self._prefix)
        except _TooMuch:
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            problem = error.problem or "is not YAML"
            known = next((code for theirs, code in _PROBLEMS.items() if theirs in problem), None)
            wrong = fault(known, column=column) if known else fault("yaml-other", column=column, why=problem)
            self.wrong.append((self._place or line, (), wrong))
            return None
        except yaml.YAMLError:
            self.wrong.append((self._place or 1, (), fault("control-character", character=None)))
            return None
        return node

    def _node(self, event: Any, at: Address) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop(event, at[:2], fault("spec-of-many-values", most=MAX_NODES))
        self._refuse_extras(event, at)
        self.lines.setdefault(at, self._line(event))
        if isinstance(event, yaml.CollectionStartEvent):
            if len(at) >= MAX_DEPTH:
                self._stop(event, at[:2], fault("nested-too-deep", most=MAX_DEPTH))
            return self._mapping(at) if isinstance(event, yaml.MappingStartEvent) else self._list(at)
        return Leaf(getattr(event, "value", ""), getattr(event, "style", None) is None)

    def _list(self, at: Address) -> list[Node]:
        return [self._node(event, (*at, n)) for n, event in enumerate(self._until(yaml.SequenceEndEvent))]

    def _mapping(self, at: Address) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._key(event, at)
            here = (*at, key)
            if key in found:
                first = None if self._place else self.lines[here]
                self._note(event, here, fault("key-twice", first=first))
            self.lines.setdefault(here, self._line(event))
            value = self._node(next(self._events), here)
            found.setdefault(key, value)
        return found

    def _key(self, event: Any, at: Address) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._node(event, (*at, "?"))
            self._note(event, at, fault("key-no-word"))
            return f"?{event.start_mark.index}"
        key = str(event.value)
        self._refuse_extras(event, (*at, key))
        if event.style is None and key == "<<":
            self._note(event, (*at, key), fault("yaml-merge-key"))
        elif event.style is None and not isinstance(typed(key), str):
            self._note(event, (*at, key), fault("key-not-quoted", key=key))
        return key

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _refuse_extras(self, event: Any, at: Address) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._note(event, at, fault("yaml-alias", name=event.anchor))
        elif event.anchor is not None:
            self._note(event, at, fault("yaml-anchor", name=event.anchor))
        if (tag := getattr(event, "tag", None)) is not None:
            self._note(event, at, fault("yaml-tag", tag=tag))
        if CONTROL.search(getattr(event, "value", None) or ""):
            self._note(event, at, fault("control-character", character=None))

    def _line(self, event: Any) -> Place:
        return self._place or event.start_mark.line + 1

    def _note(self, event: Any, at: Address, wrong: Fault) -> None:
        self.wrong.append((self._line(event), at, wrong))

    def _stop(self, event: Any, at: Address, wrong: Fault) -> None:
        self._note(event, at, wrong)
        raise _TooMuch


class _TooMuch(Exception):
    """The text is too large or too deep to be read further."""


def values(node: Node, at: Address, scalar: Callable[[Leaf, Address], Any]) -> Any:
    """Return a tree as plain values; `scalar` is called with each leaf and its address."""
    if isinstance(node, dict):
        return {key: values(value, (*at, key), scalar) for key, value in node.items()}
    if isinstance(node, list):
        return [values(value, (*at, n), scalar) for n, value in enumerate(node)]
    return scalar(node, at)


def address_of(root: Any, parts: list[str]) -> Address:
    """Return the address of a dotted path's parts, joined into the longest keys that exist in a tree."""
    found: Address = ()
    here = root
    while parts:
        size = 2 if found == ("search", "space") else 1  # a new dimension's name is section.field
        key: str | int = ".".join(parts[:size])
        if isinstance(here, dict):
            size = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in here), size)
            key = ".".join(parts[:size])
            here = here.get(key)
        elif isinstance(here, list) and re.fullmatch("[0-9]{1,6}", parts[0]):
            size, key = 1, int(parts[0])
            here = here[key] if key < len(here) else None
        else:
            here = None
        found, parts = (*found, key), parts[size:]
    return found


def value_at(tree: Any, at: Address) -> Any:
    """Return the value at an address; None if there is none."""
    for key in at:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return None
    return tree

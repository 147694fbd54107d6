"""YAML in: a file becomes a document that knows where everything stands.

The one file that knows YAML. It builds the tree out of the parser's events, because a spec is smaller than
YAML: scalars of the 1.2 core schema, no anchors, tags or merge keys. All that is refused is told at once,
each with its line. Nothing of the environment's values is shown in any message.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lstm.records import BadInput, Fault, Scalar

Address = tuple[str | int, ...]
Place = int | str  # a line of the file, or the --set that wrote it
Wrong = tuple[Place, Address, str]

MAX_BYTES, MAX_NODES, MAX_DEPTH, MAX_DIGITS = 2**20, 20_000, 20, 30
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VARIABLE = re.compile(r"\$?\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{s + "." + w: float(s + w) for s in ("", "+", "-") for w in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_PROBLEMS = {  # the parser's words, and plain ones
    "mapping values are not allowed": "a second ': ' on the line, or a wrong indentation; put text that holds "
    "': ' in quotes",
    "could not find expected ':'": "a key without its ':', or the line above it is not finished",
    "found character '\\t'": "a tab; indent with spaces",
    "that cannot start any token": "text that starts with this character must be in quotes",
    "unexpected end of stream": "a quote is opened and never closed",
    "expected <block end>": "this does not fit the indentation, or the value, before it",
    "expected ',' or ": "a bracket is not closed or a comma is missing (inside { } and [ ], ${...} needs quotes)",
    "unacceptable character": "a character that can't be shown",
}


@dataclass(frozen=True)
class _Leaf:
    text: str
    plain: bool  # without quotes: what it says decides its type


_Node = dict[str, Any] | list[Any] | _Leaf


@dataclass(frozen=True)
class Document:
    """A spec as it was written, as the environment fills it in, and where everything stands."""

    path: str
    text: str = field(repr=False)  # the file's, without overrides
    written: dict[str, Any] = field(repr=False)  # ${} as it stands
    filled: dict[str, Any] = field(repr=False)  # may hold secrets
    lines: Mapping[Address, Place] = field(repr=False)
    names: Mapping[str, str] = field(repr=False)  # the environment's values, and the ${NAME} to show for each

    @property
    def secrets(self) -> frozenset[str]:
        """The values that came out of the environment: nobody prints or stores them."""
        return frozenset(self.names)

    def address(self, path: str | Address) -> Address:
        """Split a dotted path on the longest keys that exist: those of search.space hold dots themselves."""
        return _address(self.written, path.split(".")) if isinstance(path, str) else path

    def where(self, path: str | Address) -> str:
        """Tell where a path stands, or its nearest ancestor: `file:line`, or the --set that wrote it."""
        place = self._place(path)
        return place if isinstance(place, str) else f"{self.path}:{place}"

    def hide(self, message: str) -> str:
        """Put ${NAME} in place of every value of the environment."""
        forms = {form: name for value, name in self.names.items() for form in (value, repr(value)[1:-1])}
        # Short values (1, no) are parts of many words.
        edges = {form: ("(?<![^\\W_])", "(?![^\\W_])") if len(form) < 4 else ("", "") for form in forms}
        longest = sorted(forms, key=len, reverse=True)
        pattern = "|".join(edges[form][0] + re.escape(form) + edges[form][1] for form in longest)
        return re.sub(pattern, lambda match: forms[match[0]], message) if forms else message

    def refuse(self, faults: Iterable[Fault]) -> BadInput:
        """Make the error that tells all faults in the order of the file, each with its place."""
        wrong = [(self._place(path), (path,), self.hide(message)) for path, message in dict.fromkeys(faults)]
        return _refusal(self.path, wrong)

    def _place(self, path: str | Address) -> Place:
        address = self.address(path)
        known = (address[:n] for n in range(len(address), 0, -1) if address[:n] in self.lines)
        return self.lines.get(next(known, ()), 1)


def read(path: str | Path, overrides: Sequence[str] = (), environment: Mapping[str, str] = os.environ) -> Document:
    """Read a spec and apply `path=value` overrides to it; raises BadInput with all that is wrong."""
    text = _text(Path(path))
    file = _Builder(text)
    root = file.build()
    if not isinstance(root, dict):
        if not file.wrong:
            empty = root is None or root == _Leaf("", plain=True)
            file.wrong.append((1, (), "is empty" if empty else "must be a mapping, as in name: my-sweep"))
        raise _refusal(str(path), file.wrong)
    wrong = [*file.wrong, *(w for override in overrides for w in _override(root, file.lines, override))]
    filler = _Filler(environment, file.lines)
    filled = _values(root, (), filler.fill)
    if wrong or filler.wrong:
        raise _refusal(str(path), wrong + filler.wrong)
    written = _values(root, (), lambda leaf, _: leaf.text if "${" in leaf.text or not leaf.plain else typed(leaf.text))
    return Document(str(path), text, written, filled, file.lines, filler.names)


def typed(text: str) -> Scalar:
    """Read a scalar without quotes by YAML 1.2's core schema; numbers of too many digits stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text, 0 if text.startswith(("0o", "0x")) else 10)
    return float(text) if _NUMBER.fullmatch(text) and not _INTEGER.fullmatch(text) else text


def shown(text: str, length: int = 60) -> str:
    """Cut a text, and make what can't be seen visible, for a message."""
    text = text if len(text) <= length else text[: length - 3] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class _Builder:
    """Builds nodes out of the parser's events, and notes lines and what is wrong."""

    def __init__(self, text: str, prefix: Address = (), place: str | None = None) -> None:
        self.lines: dict[Address, Place] = {}
        self.wrong: list[Wrong] = []
        self.block = False  # the root is a collection without brackets
        self._prefix, self._place, self._nodes = prefix, place, 0
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)

    def build(self) -> _Node | None:
        """Build the tree; None where there is none, or it could not be read to its end."""
        node = None
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent) and node is not None:
                    self._note(event, self._prefix, "a second document starts here; a spec is one document")
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
            plain = next((words for theirs, words in _PROBLEMS.items() if theirs in problem), problem)
            self.wrong.append((self._place or line, (), f"column {column}: {plain}"))
            return None
        except yaml.YAMLError:
            self.wrong.append((self._place or 1, (), "holds a character that YAML does not allow"))
            return None
        return node

    def _node(self, event: Any, at: Address) -> _Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop(event, at[:2], f"more than {MAX_NODES:,} values; a spec is smaller")
        self._refuse_extras(event, at)
        self.lines.setdefault(at, self._line(event))
        if isinstance(event, yaml.CollectionStartEvent):
            if len(at) >= MAX_DEPTH:
                self._stop(event, at[:2], f"nested deeper than {MAX_DEPTH} levels")
            return self._mapping(at) if isinstance(event, yaml.MappingStartEvent) else self._list(at)
        return _Leaf(getattr(event, "value", ""), getattr(event, "style", None) is None)

    def _list(self, at: Address) -> list[_Node]:
        return [self._node(event, (*at, n)) for n, event in enumerate(self._until(yaml.SequenceEndEvent))]

    def _mapping(self, at: Address) -> dict[str, _Node]:
        found: dict[str, _Node] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._key(event, at)
            here = (*at, key)
            if key in found:
                first = self.lines[here]
                self._note(event, here, f"is written twice, on line {first} and here; keep one")
            self.lines.setdefault(here, self._line(event))
            value = self._node(next(self._events), here)
            found.setdefault(key, value)
        return found

    def _key(self, event: Any, at: Address) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._node(event, (*at, "?"))
            self._note(event, at, "a key must be one word")
            return f"?{event.start_mark.index}"
        key = str(event.value)
        self._refuse_extras(event, (*at, key))
        if event.style is None and key == "<<":
            self._note(event, (*at, key), "merge keys are not allowed; write the keys out")
        elif event.style is None and not isinstance(typed(key), str):
            self._note(event, (*at, key), "a key must be text; put it in quotes if it is meant")
        return key

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _refuse_extras(self, event: Any, at: Address) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._note(event, at, f"aliases (*{event.anchor}) are not allowed; write the value out")
        elif event.anchor is not None:
            self._note(event, at, f"anchors (&{event.anchor}) are not allowed; leave it out")
        if (tag := getattr(event, "tag", None)) is not None:
            self._note(event, at, f"tags ({tag}) are not allowed; leave it out")
        if _CONTROL.search(getattr(event, "value", None) or ""):
            self._note(event, at, "holds a control character")

    def _line(self, event: Any) -> Place:
        return self._place or event.start_mark.line + 1

    def _note(self, event: Any, at: Address, message: str) -> None:
        self.wrong.append((self._line(event), at, message))

    def _stop(self, event: Any, at: Address, message: str) -> None:
        self._note(event, at, message)
        raise _TooMuch


class _TooMuch(Exception):
    """Reading further would cost more than it tells."""


class _Filler:
    """Fills ${NAME} and ${NAME:-default} in, and keeps which values came from the environment."""

    def __init__(self, environment: Mapping[str, str], lines: Mapping[Address, Place]) -> None:
        self.names: dict[str, str] = {}
        self.wrong: list[Wrong] = []
        self._environment, self._lines = environment, lines

    def fill(self, leaf: _Leaf, at: Address) -> Scalar:
        """Fill a scalar in, and only then see what type it is."""
        before = len(self.names)
        text = _VARIABLE.sub(lambda match: self._variable(match, at), leaf.text)
        value = typed(text) if leaf.plain else text
        if len(self.names) > before and value is not None:
            self.names.setdefault(str(value), leaf.text)
        if leaf.plain and isinstance(value, str) and _INTEGER.fullmatch(text):
            self.wrong.append((self._lines[at], at, f"is a number of more than {MAX_DIGITS} digits"))
        return value

    def _variable(self, match: re.Match[str], at: Address) -> str:
        name, default = match[1], match[2]
        if match[0].startswith("$$"):
            return match[0][1:]
        if name is None:
            message = "${ must go on as ${NAME} or ${NAME:-default}; write $${ for the characters themselves"
            self.wrong.append((self._lines[at], at, message))
            return ""
        value = self._environment.get(name)
        if default is not None and not value:  # as in a shell: an empty variable takes the default too
            return str(default)
        if value is None:
            message = f"the environment has no {name}; set it, or give a default: ${{{name}:-default}}"
            self.wrong.append((self._lines[at], at, message))
        elif value:
            self.names[value] = f"${{{name}}}"
        return value or ""


def _values(node: _Node, at: Address, scalar: Callable[[_Leaf, Address], Any]) -> Any:
    if isinstance(node, dict):
        return {key: _values(value, (*at, key), scalar) for key, value in node.items()}
    if isinstance(node, list):
        return [_values(value, (*at, n), scalar) for n, value in enumerate(node)]
    return scalar(node, at)


def _override(root: dict[str, Any], lines: dict[Address, Place], override: str) -> list[Wrong]:
    """Put the value of a `path=value` into the tree; returns what is wrong with it."""
    path, equals, value = override.partition("=")
    place = f"--set {shown(override, 100)}"
    parts = path.strip().split(".")
    if not equals or not all(parts) or len(parts) > MAX_DEPTH:
        return [(place, (), "must be path=value, as in --set training.max_epochs=5")]
    address = _address(root, parts)
    builder = _Builder(value, address, place)
    node = builder.build()
    if builder.block:
        builder.wrong.append((place, address, "must be one value, a list as [a, b] or a mapping as {a: 1}"))
    if builder.wrong:
        return builder.wrong
    above = _parent(root, address)
    if isinstance(above, str):
        return [(place, address, above)]
    above[address[-1]] = _Leaf("", plain=True) if node is None else node
    for known in [known for known in lines if known[: len(address)] == address]:
        del lines[known]
    for n in range(1, len(address) + 1):
        lines.setdefault(address[:n], place)
    lines.update(builder.lines)
    return []


def _parent(root: dict[str, Any], address: Address) -> Any:
    """Find, or make, the collection that an address ends in; a sentence where there can be none."""
    here: Any = root
    for n, key in enumerate(address):
        if isinstance(here, list) and not (isinstance(key, int) and key < len(here)):
            return f"the list {_dotted(address[:n])} has {len(here)} items, counted from 0"
        if not isinstance(here, dict | list):
            return f"{_dotted(address[:n])} is no mapping, so nothing can be set in it"
        if n == len(address) - 1:
            break
        child = here.get(key) if isinstance(here, dict) else here[int(key)]
        if child is None or child == _Leaf("", plain=True):  # absent, or a section without a line in it
            child = here[key] = {}  # type: ignore[index]
        here = child
    return here


def _address(root: Any, parts: list[str]) -> Address:
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


def _dotted(address: Address) -> str:
    return ".".join(shown(str(key)) for key in address)


def _refusal(path: str, wrong: Iterable[Wrong]) -> BadInput:
    """Make the error of all that is wrong, in the order of the file, overrides last."""
    ordered = sorted(dict.fromkeys(wrong), key=lambda w: w[0] if isinstance(w[0], int) else MAX_BYTES)
    places = (w[0] if isinstance(w[0], str) else f"{path}:{w[0]}" for w in ordered)
    return BadInput(
        *(
            shown(": ".join(filter(None, (place, _dotted(at), message))), 2000)
            for place, (_, at, message) in zip(places, ordered, strict=True)
        )
    )


def _text(path: Path) -> str:
    """Read the file's text; raises BadInput where it is no text, or not there."""
    try:
        if path.is_dir():
            raise BadInput(f"{path}: is a folder; give the spec's file")
        if not path.exists():
            near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], 1)
            raise BadInput(f"{path}: is not there" + (f", did you mean {path.with_name(near[0])}?" if near else ""))
        if not path.is_file():
            raise BadInput(f"{path}: is not a file")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise BadInput(f"{path}: has {size:,} bytes; a spec has {MAX_BYTES:,} at most")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}:{line}: is not UTF-8 text (byte 0x{raw[error.start]:02x})") from None
    controls = {text.count("\n", 0, m.start()) + 1: f"U+{ord(m[0]):04X}" for m in _CONTROL.finditer(text)}
    if controls:
        raise _refusal(str(path), [(line, (), f"holds a control character ({c})") for line, c in controls.items()])
    return text

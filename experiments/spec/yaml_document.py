"""Reads a YAML file into a document that knows the line of every value.

All faults are reported together, each with its line. No message shows a value from the environment.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from experiments.spec.errors import Address, Place, Wrong, refusal
from experiments.spec.mapping import PLACE, Given, Source
from experiments.spec.overrides import apply, change
from experiments.spec.yaml_parser import CONTROL, Builder, address_of, value_at, values
from experiments.spec.yaml_scalars import Filler, Leaf, typed
from lstm.messages.entry import shown
from lstm.messages.message import Message
from lstm.records.errors import BadInput, Fault, fault, nearest, refused

Said = TypeVar("Said", bound=Message)

__all__ = ["MAX_BYTES", "Document", "read", "shown", "typed"]

MAX_BYTES = 2**20


@dataclass(frozen=True)
class Document:
    """A spec as it was written, as the environment fills it in, and the line of every value."""

    path: str
    text: str = field(repr=False)  # the file's text, without overrides
    written: dict[str, Any] = field(repr=False)  # with ${} as written
    filled: dict[str, Any] = field(repr=False)  # with the environment's values: may contain secrets
    lines: Mapping[Address, Place] = field(repr=False)
    names: Mapping[str, str] = field(repr=False)  # by value of the environment: the ${NAME} to show instead
    lacking: tuple[Wrong, ...] = ()  # a fault for each value that the environment, and so `filled`, lacks
    code: Mapping[str, str] = field(default_factory=dict)  # by user's own file that was executed: its SHA-256

    @property
    def secrets(self) -> frozenset[str]:
        """The values that came from the environment. They must not be printed or stored."""
        return frozenset(self.names)

    def address(self, path: str | Address) -> Address:
        """Split a dotted path into the longest keys that exist: keys of search.space contain dots themselves."""
        return address_of(self.written, path.split(".")) if isinstance(path, str) else path

    def where(self, path: str | Address) -> str:
        """Return the place of a path or of its nearest ancestor: `file:line`, or the --set that wrote it."""
        place = self._place(path)
        return place if isinstance(place, str) else f"{self.path}:{place}"

    def public(self, secret_at: Address) -> str:
        """Return the file's text with `***` in place of the value at an address.

        Of a value with a ${NAME} only what is written of a user and a password, and of defaults, gives way. A value
        that the text spells otherwise, as with escapes, can't be found in it: then no text is returned.
        """
        secret = value_at(values(Builder(self.text).build() or {}, (), lambda leaf, _: leaf.text), secret_at)
        if not isinstance(secret, str) or not secret or (public := _without_secrets(secret)) == secret:
            return self.text
        return self.text.replace(secret, public) if secret in self.text else ""

    def hide(self, message: str) -> str:
        """Return a message with ${NAME} in place of every value of the environment."""
        forms = {form: name for value, name in self.names.items() for form in (value, repr(value)[1:-1])}
        # Short values (1, no) are parts of many words.
        edges = {form: ("(?<![^\\W_])", "(?![^\\W_])") if len(form) < 4 else ("", "") for form in forms}
        longest = sorted(forms, key=len, reverse=True)
        pattern = "|".join(edges[form][0] + re.escape(form) + edges[form][1] for form in longest)
        return re.sub(pattern, lambda match: forms[match[0]], message) if forms else message

    def without(self, path: str | Address) -> BadInput | None:
        """Return the error of the values at, above or below a path that the environment lacks; None if it has all."""
        here = self.address(path)
        wrong = [w for w in self.lacking if w[1][: len(here)] == here[: len(w[1])]]
        return refusal(self.path, wrong) if wrong else None

    def refuse(self, faults: Iterable[Fault]) -> BadInput:
        """Return the error with all faults in the order of the file, each with its place."""
        wrong = [(self._place(each.path), (each.path,), self.hidden(each)) for each in dict.fromkeys(faults)]
        return refusal(self.path, wrong)

    def hidden(self, each: Said) -> Said:
        """Return a message with ${NAME} in place of every value of the environment."""
        return each.changed(self.hide)

    def _place(self, path: str | Address) -> Place:
        address = self.address(path)
        known = (address[:n] for n in range(len(address), 0, -1) if address[:n] in self.lines)
        return self.lines.get(next(known, ()), 1)


def read(
    source: Source,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    changes: Iterable[tuple[Address, str | None]] = (),
    *,
    whole: bool = True,
) -> Document:
    """Read a spec, then apply the `path=value` overrides and the changes.

    With `whole=False`, values that the environment lacks are left out (`Document.lacking`) and are no fault here.

    Raises:
        BadInput: all faults of the file and the overrides.
    """
    if isinstance(source, Given):
        path, text = PLACE, source.text
        file = Builder(text, place=PLACE)
        file.lines[()] = PLACE
    else:
        path, text = str(source), _text(Path(source))
        file = Builder(text)
    root = file.build()
    if not isinstance(root, dict):
        if not file.wrong:
            empty = root is None or root == Leaf("", plain=True)
            file.wrong.append((1, (), fault("spec-empty" if empty else "spec-no-mapping")))
        raise refusal(path, file.wrong)
    wrong = [*file.wrong, *(w for override in overrides for w in apply(root, file.lines, override))]
    for at, value in changes:
        change(root, file.lines, at, value)
    filler = Filler(environment, file.lines)
    filled = values(root, (), filler.fill)
    wrong += [*filler.wrong, *(filler.lacking if whole else ())]
    if wrong:
        raise refusal(path, wrong)
    for _, at, _ in filler.lacking:
        above = value_at(filled, at[:-1])
        above[at[-1]] = None  # an item of a list stays in its place
        if isinstance(above, dict):
            del above[at[-1]]
    written = values(root, (), lambda leaf, _: leaf.text if "${" in leaf.text or not leaf.plain else typed(leaf.text))
    return Document(path, text, written, filled, file.lines, filler.names, tuple(filler.lacking))


def _text(path: Path) -> str:
    """Return the file's text; raise BadInput if it does not exist or is not text."""
    try:
        if path.is_dir():
            raise refused("spec-is-a-folder", at=path)
        if not path.exists():
            there = (p.name for p in path.parent.glob("*.y*ml"))
            raise refused("no-such-file", at=path, near=nearest(path.name, there, path.with_name))
        if not path.is_file():
            raise refused("spec-not-a-file", at=path)
        if (size := path.stat().st_size) > MAX_BYTES:
            raise refused("spec-too-large", at=path, bytes=size, most=MAX_BYTES)
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise refused("spec-unreadable", at=path, why=str(getattr(error, "strerror", None) or error)) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise refused("spec-not-utf8", at=f"{path}:{line}", byte=raw[error.start]) from None
    controls = {text.count("\n", 0, m.start()) + 1: f"U+{ord(m[0]):04X}" for m in CONTROL.finditer(text)}
    if controls:
        raise refusal(str(path), [(n, (), fault("control-character", character=c)) for n, c in controls.items()])
    return text


def _without_secrets(address: str) -> str:
    """Return an address with `***` in place of what is written of a user, a password and defaults of ${NAME}."""
    if "${" not in address:
        return "***"
    address = re.sub(r"(\$\{\w+:-)[^}]+", r"\1***", address)
    start, mark, rest = address.partition("://")
    login, at, place = rest.rpartition("@")
    hidden = re.sub(r"(\$\{[^}]*\})|[^:$]+", lambda part: part[1] or "***", login)
    return f"{start}{mark}{hidden}{at}{place}"

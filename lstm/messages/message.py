"""What is said to the user, as data: a code of the catalog, where, and the values; `str()` of it is the message."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from lstm.messages.catalog import CATALOG
from lstm.messages.entry import Entry, render, shown

LONGEST, LONGEST_PATH = 2000, 200  # characters of a message, and of the field in it
_COPIES: dict[str, str] = {}  # the path of a copy that was read: the address that the user gave


def say_instead(copy: str, given: str) -> None:
    """Let every message of this process name the address that was given, where it would name the copy's path."""
    _COPIES[copy] = given


def as_given(text: str) -> str:
    """Return a text with the addresses that were given in place of the paths of copies."""
    for copy, given in _COPIES.items():
        text = text.replace(copy, given)
    return text


@dataclass(frozen=True)
class Message:
    """A code of the catalog with the values of this case."""

    code: str  # of the catalog in `lstm.messages`
    path: str = ""  # the field of the spec, with dots
    values: Mapping[str, Any] = field(default_factory=dict)  # what the message names, as plain data
    place: str = ""  # the file, with its line, the flag, the host or the trial
    within: str = ""  # the file that the field names, with its line, if the message is about that file

    def __post_init__(self) -> None:
        """Name each copy by the address that it was made from."""
        for name in ("values", "place", "within") if _COPIES else ():
            object.__setattr__(self, name, changed(getattr(self, name), as_given))

    def __hash__(self) -> int:
        """Hash the message as text, since its values may be lists."""
        return hash((self.code, str(self)))

    def __str__(self) -> str:
        """Return the place, the field, the text, and what to do about it."""
        text, mend = self.text, self.mend
        said = f"{text} {mend[:1].upper()}{mend[1:]}" if text.endswith("?") else "; ".join(filter(None, (text, mend)))
        whole = ": ".join(filter(None, (self.place, shown(self.path, LONGEST_PATH), self.within, said)))
        return shown(whole, LONGEST)

    @property
    def text(self) -> str:
        """What is wrong or was decided, in a sentence without its place."""
        return render(self._entry.text, self.values)

    @property
    def mend(self) -> str:
        """What to do about it; empty for a note that needs nothing."""
        return render(self._entry.mend, self.values)

    @property
    def _entry(self) -> Entry:
        return CATALOG[self.code]

    def changed(self, change: Callable[[str], str]) -> Self:
        """Return a copy with a change made to each text; a number stays one unless the change finds its digits."""
        within = change(self.within)
        return replace(self, values=changed(self.values, change), place=change(self.place), within=within)

    def row(self) -> dict[str, Any]:
        """Return the message as plain data, for `--json`."""
        where = {"place": self.place, "path": self.path, "within": self.within}
        return {"code": self.code, **where, "values": dict(self.values), "message": self.text, "mend": self.mend}


def changed(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with a change made to each text; see `Message.changed`."""
    if isinstance(value, Mapping):
        return {name: changed(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [changed(each, change) for each in value]
    text = change(str(value))
    return value if value is None or text == str(value) else text


@dataclass(frozen=True)
class Note(Message):
    """Something that the user should know and that stops nothing: what was decided, left out or put off."""

    __hash__ = Message.__hash__


Say = Callable[[Message], None]
"""Takes a message while the work goes on, for the screen and the log."""


def note(code: str, path: str = "", /, *, at: object = "", **values: Any) -> Note:
    """Return a note of a code, with the values of its message; `at` is its place."""
    return Note(code, path, values, str(at))

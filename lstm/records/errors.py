"""What is wrong with an input, found in a store, or too new to be read: as data, and as exceptions."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

from lstm.messages.catalog import CATALOG
from lstm.messages.entry import Entry, render, shown

LONGEST, LONGEST_PATH = 2000, 200  # characters of a message, and of the field in it


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with an input, as data; `str()` of it is the message.

    An idle one is an option that would merely do nothing, with which a sweep may have begun: that one goes on, with a
    note.
    """

    code: str  # of the catalog in `lstm.messages`
    path: str = ""  # the field of the spec, with dots
    values: Mapping[str, Any] = field(default_factory=dict)  # what the message names, as plain data
    place: str = ""  # the file, with its line, the flag, or the host
    within: str = ""  # the file that the field names, with its line, where the fault is in that
    idle: bool = False

    def __hash__(self) -> int:
        """By the message."""
        return hash((self.code, str(self)))

    def __str__(self) -> str:
        """The place, the field, what is wrong, and what to do about it."""
        text, mend = self.text, self.mend
        said = f"{text} {mend[:1].upper()}{mend[1:]}" if text.endswith("?") else "; ".join(filter(None, (text, mend)))
        whole = ": ".join(filter(None, (self.place, shown(self.path, LONGEST_PATH), self.within, said)))
        return shown(whole, LONGEST)

    @property
    def text(self) -> str:
        """What is wrong, in a sentence without its place."""
        return render(self._entry.text, self.values)

    @property
    def mend(self) -> str:
        """What to do about it."""
        return render(self._entry.mend, self.values)

    @property
    def _entry(self) -> Entry:
        return CATALOG[self.code]

    def changed(self, change: Callable[[str], str]) -> "Fault":
        """The same with a change made to each text in it; a number stays one unless the change finds its digits."""

        def of(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return [of(each) for each in value]
            text = change(str(value))
            return value if value is None or text == str(value) else text

        values = {name: of(value) for name, value in self.values.items()}
        return replace(self, values=values, place=change(self.place), within=change(self.within))

    def row(self) -> dict[str, Any]:
        """The same as plain data, for `--json`."""
        where = {"place": self.place, "path": self.path, "within": self.within}
        return {"code": self.code, **where, "values": dict(self.values), "message": self.text, "mend": self.mend}


def fault(code: str, path: str = "", /, *, at: object = "", idle: bool = False, **values: Any) -> Fault:
    """A fault of a code, with the values of its message; `at` is its place."""
    return Fault(code, path, values, str(at), idle=idle)


Store = Literal["study", "checkpoint", "mlflow"]


class Finding(NamedTuple):
    """Something wrong in a sweep's records: where, what, and how to mend it; `finding` makes it of a fault."""

    trial: int | None  # None where it is the sweep's own
    store: Store
    what: str
    mend: str
    code: str = ""  # of the catalog in `lstm.messages`
    values: Mapping[str, Any] = {}  # what the message names, as plain data


def finding(wrong: Fault, trial: int | None, store: Store, *, sweep: str) -> Finding:
    """A fault in a store of a sweep's records, of a trial or, where that is None, of the sweep itself."""
    wrong = replace(wrong, values={"sweep": sweep, **wrong.values})
    what = ": ".join(filter(None, (wrong.place, wrong.path, wrong.text)))
    return Finding(trial, store, what, wrong.mend, wrong.code, wrong.values)


class BadInput(Exception):
    """The user's input is wrong: exit code 2, nothing started, nothing written."""

    code = 2

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)
        self.faults = faults

    def __str__(self) -> str:
        """All faults, a line each."""
        return "\n".join(self.messages)

    @property
    def messages(self) -> tuple[str, ...]:
        """Each fault in a sentence."""
        return tuple(map(str, self.faults))

    def at(self, place: object) -> Self:
        """The same, its faults at a place where they have none of their own."""
        return type(self)(*(each if each.place else replace(each, place=str(place)) for each in self.faults))


def refused(code: str, path: str = "", /, *, at: object = "", **values: Any) -> BadInput:
    """The refusal of an input for one fault."""
    return BadInput(fault(code, path, at=at, **values))


def nearest(name: str, allowed: Iterable[str], show: Callable[[str], object] = str) -> str | None:
    """The allowed name that is nearest, as it may be shown; None where no name is near."""
    close = difflib.get_close_matches(name, list(allowed), n=1)
    return str(show(close[0])) if close else None


class NewerForm(BadInput):
    """A newer version of the product made what is to be read: it is never taken for damage."""


def check_form(place: object, form: int, known: int) -> None:
    """Whether this version can read what is at a place, by the version of its form.

    Raises:
        NewerForm: it can't.
    """
    if form > known:
        raise NewerForm(fault("newer-form", at=place, form=form, known=known))


class NoWorker(BadInput):
    """The input may be right, and the cluster brings no worker to life: exit code 1, nothing written either."""

    code = 1

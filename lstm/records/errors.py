"""What is wrong with an input, found in a store, or too new to be read: as data, and as exceptions."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self

from lstm.messages.message import Message


@dataclass(frozen=True)
class Fault(Message):
    """Something that is wrong with an input.

    An idle fault is an option that would merely do nothing. A sweep that began with such an option goes on, and the
    fault is shown as a note.
    """

    idle: bool = False

    __hash__ = Message.__hash__


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


class Refusal(Exception):
    """What is asked for is not done: each reason is a fault. `code` is the command line's exit code."""

    code: int

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


def why_of(error: BaseException) -> str:
    """Return what an error says as a part of another sentence: of a refusal, what is wrong without what to do."""
    if not isinstance(error, Refusal):
        return str(error)
    return ", and ".join(": ".join(filter(None, (each.place, each.path, each.text))) for each in error.faults)


class BadInput(Refusal):
    """The user's input is wrong: exit code 2, nothing started, nothing written."""

    code = 2


class HeldError(Refusal):
    """Another driver holds the sweep: exit code 3, nothing written."""

    code = 3


class StoppedError(Refusal):
    """Somebody has ended the job that would drive the sweep: exit code 130, nothing written."""

    code = 130


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


class Away(BadInput):
    """The input may be right, and what it names does not answer now: exit code 1, nothing written."""

    code = 1


# Faults of what may answer later. A user's address may as well be wrong, so they are bad input all the same; the job of
# a launched sweep, whose address was checked, waits and tries again.
MAY_PASS = (
    *("store-unreachable", "object-unread", "checkpoint-store-unreadable"),
    *("study-server-unreached", "study-database-away", "study-disk-full"),
)


def may_pass(refusal: Refusal) -> bool:
    """Return whether what is refused may be taken later, as it is."""
    return isinstance(refusal, Away) or all(each.code in MAY_PASS for each in refusal.faults)

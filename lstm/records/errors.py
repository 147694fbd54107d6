"""What is wrong with an input, found in a store, or too new to be read: as data, and as exceptions."""

import difflib
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple


class Fault(NamedTuple):
    """Something wrong in the input: a dotted path and one sentence that tells the mend."""

    path: str
    message: str


class Idle(Fault):
    """An option that would merely do nothing, with which a sweep may have begun: that one goes on, with a note."""

    __slots__ = ()


class Finding(NamedTuple):
    """Something wrong in a sweep's records: where, what, and how to mend it."""

    trial: int | None  # None where it is the sweep's own
    store: Literal["study", "checkpoint", "mlflow"]
    what: str
    mend: str


class BadInput(Exception):
    """The user's input is wrong: exit code 2, nothing started, nothing written."""

    code = 2

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


def nearest(name: str, allowed: Iterable[str], show: Callable[[str], object] = str) -> str:
    """`, did you mean X?`, X as it may be shown; nothing where no name is near."""
    close = difflib.get_close_matches(name, list(allowed), n=1)
    return f", did you mean {show(close[0])}?" if close else ""


class NewerForm(BadInput):
    """A newer version of the product made what is to be read: it is never taken for damage."""


def check_form(what: str, form: int, known: int) -> None:
    """Whether this version can read something by the version of its form.

    Raises:
        NewerForm: it can't.
    """
    if form > known:
        raise NewerForm(
            f"{what} has form {form}, this version of lstm-sweeps reads forms up to {known}; use the one that made it"
        )


class NoWorker(BadInput):
    """The input may be right, and the cluster brings no worker to life: exit code 1, nothing written either."""

    code = 1

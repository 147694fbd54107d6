"""The states of a trial, and the purposes for which a trial is derived from another."""

from typing import Literal, NamedTuple

TrialState = Literal["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL"]
Purpose = Literal["retry", "base", "extend", "confirm", "refit", "fork"]  # why a trial was derived


class Derived(NamedTuple):
    """The origin of a trial that the search did not ask for.

    A retry replaces a trial that counts in the search, and counts itself; trials with another purpose don't count. The
    base, which has the spec's own settings, has no parent; if the base is tried again, the parent is its predecessor.
    """

    parent: int | None
    purpose: Purpose


def again(parent: int, derived: Derived | None) -> Derived:
    """Return the origin of a trial that runs trial `parent` again.

    The new trial is a retry if its parent, with the origin `derived`, counts in the search; else it has the parent's
    purpose.
    """
    return Derived(parent, "retry" if derived is None or counts(derived) else derived.purpose)


def counts(derived: Derived | None) -> bool:
    """Return whether a trial counts in the search: the search asked for it, or it is a retry."""
    return derived is None or derived.purpose == "retry"

"""The states of a trial, and what one trial was made of another for."""

from typing import Literal, NamedTuple

TrialState = Literal["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL"]
Purpose = Literal["retry", "base", "extend", "confirm", "refit", "fork"]  # what a trial was made of another for


class Derived(NamedTuple):
    """That a trial was not asked for by the search; a retry stands in its parent's place, the others count for nothing.

    The base, which is the spec's own settings, has no parent; one that is tried again has its predecessor.
    """

    parent: int | None
    purpose: Purpose


def again(parent: int, derived: Derived | None) -> Derived:
    """What one that runs a trial again is, which was `derived`: in its place, or beside the search as that was."""
    return Derived(parent, "retry" if derived is None or counts(derived) else derived.purpose)


def counts(derived: Derived | None) -> bool:
    """Whether the search asked for a trial, or it stands in the place of such a one."""
    return derived is None or derived.purpose == "retry"

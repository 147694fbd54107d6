"""The states of a trial, and the purposes for which a trial is derived from another."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from lstm.records.objective import Scalar

TrialState = Literal["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL"]
Purpose = Literal["retry", "base", "extend", "confirm", "refit", "fork"]  # why a trial was derived


class Derived(NamedTuple):
    """The origin of a trial that the search did not ask for.

    A retry replaces a trial that counts in the search, and counts itself; trials with another purpose don't count. The
    base, which has the spec's own settings, has no parent; if the base is tried again, the parent is its predecessor.

    An extension goes on where its parent stopped. Its budget is in `changes`.

    A refit trains its parent's setting on all data. What it is fitted on, and for how long, is in `fitted`.
    """

    parent: int | None
    purpose: Purpose
    changes: Mapping[str, Scalar] = {}  # by path: fields of the configuration that differ from the parent's
    after: int = 0  # the epochs that it has from its parent
    # Of a refit, equal for all seeds of one: `epochs`, `seeds` (how many), `until`, and of its data `data` (a digest),
    # `unit`, `count`, `new`, `first`, `last`.
    fitted: Mapping[str, Scalar] = {}

    @property
    def extends(self) -> int | None:
        """The number of the trial that this one extends, or None."""
        return self.parent if self.purpose == "extend" else None

    @property
    def has_budget(self) -> bool:
        """Return whether it is trained in another way than its parent."""
        return bool(self.changes or self.fitted)

    def row(self) -> dict[str, Any]:
        """Return it as plain data, as stores keep it."""
        more: dict[str, Any] = {"changes": dict(self.changes), "after": self.after} if self.changes else {}
        more |= {"fitted": dict(self.fitted)} if self.fitted else {}
        return {"parent": self.parent, "purpose": self.purpose, **more}


def again(parent: int, derived: Derived | None) -> Derived:
    """Return the origin of a trial that runs trial `parent` again.

    The new trial is a retry if its parent, with the origin `derived`, counts in the search; else it has the parent's
    purpose and budget.
    """
    return Derived(parent, "retry") if derived is None or counts(derived) else derived._replace(parent=parent)


def counts(derived: Derived | None) -> bool:
    """Return whether a trial counts in the search: the search asked for it, or it is a retry."""
    return derived is None or derived.purpose == "retry"

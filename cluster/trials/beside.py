"""Trials beside the search in its study: those that extend others, and those that confirm settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.decisions import Decisions, derived_of
from cluster.study.stored import FORM, FORMAT
from cluster.study.study import Study
from lstm.records.confirmation import CONFIRM
from lstm.records.state import Derived, counts


def extend(study: Study, derived: Derived) -> None:
    """Queue a trial that extends another; do nothing if an equal one is open or has reached its last epoch."""
    same_ones = [Decisions.of(t.user_attrs) for t in study.frozen() if derived_of(t.user_attrs) == derived]
    if all(each.end is not None and not each.end.is_final for each in same_ones):
        study.remember(**{FORM: FORMAT})  # before the trial: an earlier version would train it otherwise
        assert derived.parent is not None
        study.derive(derived.parent, Decisions(derived))


def confirm(study: Study, row: Mapping[str, Any], some: Sequence[Derived]) -> None:
    """Store what is to be confirmed, then queue those of its trials that are not there."""
    study.remember(**{FORM: FORMAT, CONFIRM: dict(row)})
    for derived in some:
        assert derived.parent is not None
        study.derive(derived.parent, Decisions(derived))


def due(study: Study) -> int:
    """Return how many trials beside the search are queued."""
    return len(_waiting(study))


def ask(study: Study) -> int | None:
    """Take the first queued trial beside the search; return its number, or None if none is queued.

    Unlike `Study.ask` it leaves out trials of the search, which may still be queued if the search has ended early.
    """
    waiting = _waiting(study)
    if waiting:
        study.take(waiting[0])
    return next(iter(waiting), None)


def _waiting(study: Study) -> list[int]:
    frozen = [trial for trial in study.frozen() if trial.state.name == "WAITING"]
    return [trial.number for trial in frozen if not counts(derived_of(trial.user_attrs))]

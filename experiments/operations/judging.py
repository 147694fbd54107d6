"""Judges on request whether a network is needed: compares the best trial with the spec's own settings and rivals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cluster.study import lease
from experiments import judgement, lookup
from experiments.conclusion import confirmed_rival
from experiments.home import kept_in
from experiments.planning import make
from experiments.recovery import moved_home
from lstm.messages.message import Message, Say, note
from lstm.records.errors import BadInput
from lstm.records.events import now_ms
from lstm.records.looks import LOOKS, with_look
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.storage.objects import unreadable

if TYPE_CHECKING:
    from lstm.checkpoint import Checkpoint
    from lstm.verdict.verdict import Verdict

BUDGET_S = 3600.0  # core-seconds, the default of --budget


class Judgement(NamedTuple):
    """A verdict, and what went wrong with storing or delivering it."""

    verdict: "Verdict"
    faults: Sequence[Message]


def judge(named: str, found: lookup.Found, budget_s: float | None, say: Say) -> Judgement:
    """Judge what was not judged yet, and send the verdict to MLflow.

    Args:
        named: The sweep's NAME or SPEC.
        found: The sweep that it names.
        budget_s: Core-seconds for all rivals of the extra packages; None for the default.
        say: Called with notes.

    Raises:
        BadInput: the sweep, its data or its stores are wrong.
        HeldError: a driver is running.
    """
    from cluster.study import stored

    lookup.read(found)  # checks that there is such a sweep before its lease is taken
    lookup.ask_store(found)  # before the work, as the verdict is sent there
    ended: list[Message] = []
    if driver := lease.driver(found.study_url, found.name):
        raise lease.held_by(found.name, driver)
    with lease.Lease(found.study_url, found.name, lost=ended.append, stop=lambda: None):
        verdict = _judge(found, named, BUDGET_S if budget_s is None else budget_s, say)
        stored.remember(found.study_url, found.name, **{judgement.JUDGED_IN: kept_in(found.home)})
        left = judgement.deliver(found.home, found.tracking_uri, lookup.read(found), say)
    return Judgement(verdict, ended or left)


def _judge(found: lookup.Found, named: str, budget_s: float, say: Say) -> "Verdict":
    from cluster import opening
    from cluster.study import stored

    facts = stored.facts(found.study_url, found.name) or {}
    elsewhere = moved_home.look(found.place, facts)
    plan = make(lookup.spec(named, found.home), found.home)
    opening.check_same(facts, opening.as_begun(plan.order, facts, elsewhere), plan.series)
    if elsewhere is not None or found.home.moved_from():
        moved_home.settle(found.place, elsewhere, facts, say)
    swept = lookup.read(found)
    if not swept.over():
        say(note("judged-before-end", at=swept.name, done=swept.done, trials=swept.n_trials))
    seen = with_look(swept, now_ms())
    stored.remember(found.study_url, found.name, **{LOOKS: seen})
    verdict = judgement.judge(plan, swept, lambda trial: _load(swept, trial, say), say, budget_s)
    stored.remember(found.study_url, found.name, **confirmed_rival(plan, swept, say))
    return verdict


def _load(swept: Sweep, trial: Trial, say: Say) -> "Checkpoint | None":
    from lstm import ownership

    try:
        return ownership.load_trial(swept, trial, say)
    except OSError as error:
        raise BadInput(unreadable(trial.checkpoint, error)) from None

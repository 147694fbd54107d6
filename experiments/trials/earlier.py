"""Chooses what is tried first of earlier sweeps of the home; a sweep that was begun keeps what was chosen then."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cluster.config import FirstFrom
from cluster.space.earlier import Chosen, choose
from experiments import lookup
from experiments.addresses import saved
from experiments.planning import Plan
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault, fault, nearest
from lstm.records.sweep import FIRST_FROM, Sweep

SHOWN = 3  # the most passed-over settings that a note names


def with_first(plan: Plan, known: Mapping[str, Any] | None) -> Plan:
    """Return the plan with the settings of `search.first: {from: …}`, and a note on those that are not in the space.

    Args:
        plan: The plan of a sweep; without such a field it stays as it is.
        known: What the sweep's study remembers, or what its home does, if the study is lost. If that has the settings,
            the earlier sweeps are not asked again.

    Raises:
        BadInput: an earlier sweep is unknown, is this sweep, has no completed trial, or was compared by another metric.
    """
    search = plan.order.search
    if search is None or not isinstance(search.first, FirstFrom):
        return plan
    row = (known or {}).get(FIRST_FROM)
    chosen = Chosen.of(row) if row else choose(search.first, search, plan.order.base, _sweeps(plan, search.first))
    first = [dict(each.settings) for each in chosen.first]
    order = replace(plan.order, search=search.model_copy(update={"first": first}), first_from=chosen.row())
    return replace(plan, order=order, notes=(*plan.notes, *_passed_over(plan, chosen)))


def read_first(plan: Plan) -> Plan:
    """Return the same for a plan that is only looked at: its study is asked what was chosen, if it can be read.

    Raises what `with_first` raises.
    """
    from cluster.study import stored

    try:
        known = stored.facts(plan.order.study_url, plan.order.name)
    except BadInput:  # `planning.as_begun` says so
        known = None
    return with_first(plan, known)


def restored_first(plan: Plan) -> Plan:
    """Return the same for a sweep whose study is lost: what its home remembers, or else what is chosen now.

    If the earlier sweeps are gone, too, nothing more is tried first, and a note says so.
    """
    try:
        return with_first(plan, saved(plan.home, plan.order.name))
    except BadInput as error:
        at = plan.spec.document.where("search.first")
        told = note("first-not-remembered", "search.first", at=at, why=error.faults[0].text)
        return replace(with_first(plan, {FIRST_FROM: Chosen((), (), 0).row()}), notes=(*plan.notes, told))


def _sweeps(plan: Plan, first: FirstFrom) -> list[Sweep]:
    known, found, faults = lookup.names(plan.home), list[Sweep](), list[Fault]()
    for index, name in enumerate(first.sweeps):
        at = f"search.first.from.{index}"
        if name == plan.order.name:
            faults.append(fault("first-sweep-itself", at))
        elif name not in known:
            near = nearest(name, [each for each in known if each != plan.order.name])
            faults.append(fault("first-sweep-unknown", at, home=str(plan.home.folder), near=near))
        else:
            found.append(lookup.read(lookup.sweep(name, plan.home)))
            faults += _unfit(at, found[-1], plan)
    if faults:
        raise plan.spec.document.refuse(faults)
    return found


def _unfit(at: str, sweep: Sweep, plan: Plan) -> Iterator[Fault]:
    """Yield why the settings of an earlier sweep can't be ranked for this one."""
    base = plan.order.base
    ours, theirs = (f"{each.direction} {each.metric}" for each in (base, sweep))
    if ours != theirs:
        yield fault("first-sweep-of-another-metric", at, theirs=theirs, ours=ours)
    elif all(trial.compared_value is None for trial in sweep.trials if trial.counts or trial.is_base):
        yield fault("first-sweep-without-completed", at)


def _passed_over(plan: Plan, chosen: Chosen) -> list[Note]:
    """Return a note on the settings that would have come first and don't lie in the space."""
    if not chosen.left_out_count:
        return []
    named = [f"trial {each.trial} of {each.sweep} ({each.why})" for each in chosen.left_out[:SHOWN]]
    more = chosen.left_out_count - len(named) or None
    at, found = plan.spec.document.where("search.first"), len(chosen.first)
    return [note("first-outside-passed-over", "search.first", at=at, named=", ".join(named), more=more, found=found)]

"""Probes a trial's network: measures its properties once and keeps them."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import lookup, report
from experiments.home import Home
from experiments.operations.predicting import choose, execute, load
from experiments.planning import make
from experiments.recovery import moved_home
from lstm.messages.message import Message, Say, note
from lstm.records.errors import BadInput, HeldError, fault, refused, why_of
from lstm.records.events import TrialProbed
from lstm.records.sweep import PROBE_FACT, Sweep

Faults = Sequence[Message]
DELIVERY_S = 60.0  # the longest wait for MLflow


def probe(
    named: str, where: Home, trial: int | None, say: Say, code: str | None = None
) -> tuple[dict[str, Any], Faults]:
    """Measure a trial once. Returns the result as plain data, and what MLflow or the study did not take.

    Raises:
        BadInput: there is no such sweep or trial, its weights are gone, or its data or stores are wrong.
    """
    found = lookup.sweep(named, where, say)
    sweep = lookup.read(found)
    chosen = choose(sweep, trial)
    if chosen.is_refit:
        assert chosen.derived is not None
        raise refused("probe-of-refit", at=f"--trial {chosen.number}", parent=chosen.derived.parent)
    page = where.sweep(found.name) / report.PAGE.format(chosen.number)
    left: Faults = []
    if (event := _known(sweep, chosen.number)) is None or not page.is_file():
        lookup.ask_store(found)  # before the work, as the result is sent there
        _settle(found, say)
        with _alone(page.parent):
            # Read again: `_settle` may have made the sweep a copy, or another process may have measured the trial.
            sweep = lookup.read(found)
            event = _known(sweep, chosen.number)
            if event is None:
                event, left = _measure(named, found, sweep, chosen.number, event, say, code)
            elif not page.is_file():
                event, left = _again(named, found, sweep, event, say, code)
    document = {
        "sweep": found.name,
        "trial": chosen.number,
        "best_epoch": event.best_epoch,
        "numbers": dict(event.numbers),
        "page": str(page) if page.is_file() else None,
    }
    return document, left


def _settle(found: lookup.Found, say: Say) -> None:
    """Write down the new place of a moved home. A driver that holds the sweep has already done so."""
    from cluster.study import lease, stored

    facts = stored.facts(found.study_url, found.name) or {}
    elsewhere = moved_home.look(found.place, facts)
    if elsewhere is None and not found.home.moved_from():
        return
    with suppress(HeldError), lease.Lease(found.study_url, found.name, lost=say, stop=lambda: None):
        moved_home.settle(found.place, elsewhere, facts, say)


def _known(sweep: Sweep, number: int) -> TrialProbed | None:
    return next((event for event in sweep.probings() if event.number == number), None)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock a sweep's folder, so that one probe runs at a time: MLflow would show the points of two probes together.

    Raises:
        BadInput: the folder can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise refused("folder-not-made", folder=str(folder), why=error.strerror) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _again(
    named: str, found: lookup.Found, sweep: Sweep, known: TrialProbed, say: Say, code: str | None
) -> tuple[TrialProbed, Faults]:
    """Measure again for the pictures what was measured at a trial's end. If that fails, do without pictures."""
    try:
        return _measure(named, found, sweep, known.number, known, say, code)
    except BadInput as error:
        say(note("probed-without-pictures", why=why_of(error)))
        return known, []


def _measure(
    named: str, found: lookup.Found, sweep: Sweep, number: int, known: TrialProbed | None, say: Say, code: str | None
) -> tuple[TrialProbed, Faults]:
    """Probe a trial's best epoch on the sweep's own data, write the page of pictures, and store everything.

    Numbers that are `known` from the trial's end are not changed. Returns the result, and what did not work.

    Raises:
        BadInput: the trial's weights are gone, or the data are not those that it was trained on.
    """
    from dashboards.report.page import probe_page
    from lstm import device
    from lstm.diagnostics import probe
    from lstm.tasks import registry as tasks

    (trial,) = (each for each in sweep.trials if each.number == number)
    loaded = load(sweep, trial, say)
    plan = make(lookup.spec(named, found.home, execute=True, code=code), found.home)
    execute(trial, plan.spec.folder, code)
    if loaded.fingerprint != plan.series.fingerprint:
        raise refused("data-of-another-training", "data", at=plan.spec.document.path, trained=sweep.name)
    device.claim(1, 0)  # times are measured with one thread, so that machines with different core counts compare
    measured = probe.probe(tasks.subject(loaded, plan.series))
    event = known or TrialProbed(number, measured.numbers, loaded.state.best_epoch, time.time_ns() // 1_000_000)
    html = probe_page(f"{sweep.name}, trial {number}", event.numbers, measured.pictures)
    _write(found.home.sweep(sweep.name) / report.PAGE.format(number), html, say)
    event = replace(event, html=html)
    best = report.Judged(loaded, plan.series, {}, measured.pictures)
    return event, _keep(found, event, fresh=known is None, best=best, say=say)


def _write(page: Path, html: str, say: Say) -> None:
    """Write the page whole or not at all. If it can't be written, the numbers are not lost."""
    half = page.with_suffix(".half")
    try:
        half.write_text(html, encoding="utf-8")
        half.replace(page)
    except OSError as error:
        half.unlink(missing_ok=True)
        say(note("page-not-written", at=page, why=error.strerror))


def _keep(found: lookup.Found, event: TrialProbed, *, fresh: bool, best: report.Judged, say: Say) -> Faults:
    """Store the result, first in the study, from which MLflow can be rebuilt. Returns what did not work.

    If the trial is the sweep's best, the report is written again with `best`.
    """
    from cluster.study import stored

    fact = {"numbers": dict(event.numbers), "best_epoch": event.best_epoch, "at_ms": event.at_ms}
    try:
        if fresh:
            stored.remember(found.study_url, found.name, **{f"{PROBE_FACT}{event.number}": fact})
        sweep = lookup.read(found)
    except stored.AWAY as error:
        return stored.unanswered(found.study_url, error).faults
    recorder = lookup.recorder(found, sweep, say)
    recorder(event)
    judged = sweep.facts.get("judged") or {}
    if sweep.facts.get("complete") and sweep.best and event.number == sweep.best.number == judged.get("trial"):
        importance = stored.importances_of(found.study_url, found.name)
        html = report.write(found.home, sweep, importance, replace(best, metrics=judged["metrics"]), say)
        recorder.finish(html, judged["metrics"], sweep.best, picture=report.picture(sweep))
    if recorder.close(DELIVERY_S) or recorder.refused:
        return [fault("probe-not-in-mlflow", at=found.name, sweep=found.name, flag=found.home.flag)]
    return []

"""`sweep rebuild`: writes MLflow again from the study and the checkpoints, into the same or an empty store."""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster.study import lease
from dashboards.tracking.preflight import ask
from experiments import judgement, lookup
from experiments.cli import emit
from experiments.home import Home
from experiments.plan import make
from experiments.recovery import lost_study, moved_home
from experiments.report import PAGE, REPORT
from experiments.verbs.verify import tell
from lstm.ownership import studies_of
from lstm.records.epoch import Epoch
from lstm.records.errors import BadInput
from lstm.records.events import EpochEnded, SweepEnded, SweepStarted
from lstm.records.sweep import Sweep
from lstm.records.trial import counted

if TYPE_CHECKING:
    from dashboards.tracking.recorder import Recorder

FLUSH_S = 3600.0  # what MLflow may take for all of it


def main(*, home: str, named: str, study: bool, force: bool, as_json: bool) -> int:
    """Rebuilds what MLflow holds of the sweep, or a lost study.

    1 where it was not or not all written, 3 where a driver is at work.
    """
    where = Home.at(home)
    try:
        return (_study if study else _mlflow)(named, where, force=force, as_json=as_json)
    except lease.HeldError as error:
        print(f"{named}: is driven by {error}; rebuild when it has ended", file=sys.stderr)
        return 3


def _mlflow(named: str, home: Home, *, force: bool, as_json: bool) -> int:
    from cluster.study import stored

    found = lookup.sweep(named, home)
    lookup.read(found)  # whether there is such a sweep, before a claim is laid on it
    ask(found.tracking_uri, f"{found.name}: tracking.uri")  # one that is away is told below
    ended: list[str] = []
    with lease.Lease(found.study_url, found.name, lost=ended.append, stop=lambda: None):
        facts = stored.facts(found.study_url, found.name) or {}
        moved_home.settle(found.place, moved_home.look(found.place, facts), facts, _note)
        done = _rebuild(found, force=force)
    trouble = done.trouble or "".join(ended)
    if as_json:
        document = {"sweep": found.name, "trials": done.trials, "deleted_runs": done.deleted, "undelivered": done.left}
        emit({**document, "rebuilt": not trouble})
    elif not trouble:
        are, were = ("is" if done.trials == 1 else "are"), ("was" if done.deleted == 1 else "were")
        again, gone = counted(done.trials, "trial"), counted(done.deleted, "earlier run")
        print(f"{found.name}: {again} {are} in MLflow again; {gone} {were} deleted")
    if trouble:
        print(f"{found.name}: {trouble}", file=sys.stderr)
    return 1 if trouble else 0


def _study(named: str, home: Home, *, force: bool, as_json: bool) -> int:
    """Restores a lost study from checkpoints and MLflow, and says what could not be restored.

    By force one of another home, too, where this one knows nothing of such a sweep.
    """
    from cluster import opening
    from cluster.study import stored

    plan = make(lookup.spec(named, home), home)
    name, url = plan.order.name, plan.order.study_url
    if stored.facts(url, name) is not None:
        raise BadInput(f"{name}: its study is there; --study restores one that is lost")
    remains = lost_study.look(name, home, plan.tracking_uri, [plan.order.sweep_folder], of_any_home=force)
    if remains is None:
        raise BadInput(f"{name}: nothing is left of an earlier study, neither checkpoints nor runs in MLflow")
    plan = lost_study.with_its_loss(plan, remains)
    found = lost_study.gather(plan, remains)
    order = replace(plan.order, study_id=remains.study or plan.order.study_id, begun_at=remains.checkpoints)
    ended: list[str] = []
    home.sweep(name).mkdir(parents=True, exist_ok=True)
    with lease.Lease(url, name, lost=ended.append, stop=lambda: None):
        unknown = opening.restore_study(order, plan.series, found.known, found.facts)
        if remains.said_by:  # the home is lost, too, and is begun again
            lookup.keep(replace(plan, order=order), [])
            home.write_record()
    restored = lookup.read(lookup.sweep(named, home))
    states = dict(Counter(trial.state for trial in restored.trials))
    document = {"sweep": name, "study": order.study_id, "states": states, "unknown": unknown, "notes": found.notes}
    if ended:
        print(f"{name}: {''.join(ended)}", file=sys.stderr)
    if as_json:
        emit(document)
        return 1 if ended else 0
    for note in found.notes:
        _note(note)
    told = ", ".join(f"{count} {state.lower()}" for state, count in states.items())
    print(f"{name}: the study {order.study_id} is there again: {told}")
    if unknown:
        few = ", ".join(map(str, unknown[:20]))
        print(f"Of {len(unknown)} trials nothing is known; they will be run again: {few}")
    if running := states.get("RUNNING", 0) - len(unknown):
        print(f"Of {running} trials it is not known how they ended; they go on from their checkpoints")
    print("Where the workers' time went (goodput) could not be restored; it is measured anew from here on")
    print(f"`sweep run {name}{home.flag}` goes on, and judges the best trial again")
    return 1 if ended else 0


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


@dataclass
class _Done:
    trials: int
    deleted: int = 0
    left: int = 0  # records that MLflow did not take
    trouble: str = ""


def _rebuild(found: lookup.Found, *, force: bool) -> _Done:
    """Deletes the sweep's runs and writes them anew, once all that is to be written has been read."""
    from cluster.study import stored, verify
    from dashboards.config import TrackingConfig
    from dashboards.tracking import runs
    from dashboards.tracking.recorder import Recorder

    sweep = lookup.read(found)
    kept = verify.check(sweep, driven=False)
    done = _Done(len(sweep.trials))
    # A trial that is still to run is no damage.
    damaged = [f for f in kept.findings if f.mend != verify.RUN.format(name=sweep.name)]
    study_id = str(sweep.facts.get("id", ""))
    client = runs.connect(found.tracking_uri)
    try:
        before = runs.of_sweep(client, found.name, study_id)
        if damaged and before and not force:
            tell(damaged, sys.stderr)
            why = "MLflow may hold the last copy of what is damaged; mend it, or give --force"
            done.trouble = f"nothing was changed: {why}"
            return done
        runs.prove_writable(client, found.name, study_id, found.home.artifacts_of(found.tracking_uri))
        # Not whole from here on, whatever ends this process.
        stored.remember(found.study_url, found.name, recorded=False)
        for run in before:
            client.delete_run(run.info.run_id)
            done.deleted += 1
    except stored.AWAY as error:
        done.trouble = str(stored.unanswered(found.study_url, error))
        return done
    except Exception as error:
        if not runs.is_outage(error):
            raise
        done.trouble = f"MLflow does not answer ({runs.cause(error)}); run it again when it does"
        return done
    recorder = Recorder(
        found.tracking_uri,
        found.home.artifacts_of(found.tracking_uri),
        TrackingConfig(checkpoints=found.artifacts),
        found.name,
        study=study_id,
        notice=_note,
        studies_before=studies_of(sweep.facts)[1:],
    )
    complete = _tell(found, sweep, kept.histories, recorder)
    _finish(found, recorder, done, complete=complete)
    return done


def _finish(found: lookup.Found, recorder: "Recorder", done: _Done, *, complete: bool) -> None:
    """Waits until MLflow has taken what it was told; then the study keeps that the store is whole."""
    from cluster.study import stored

    done.left = recorder.close(FLUSH_S)
    if done.left:
        done.trouble = f"MLflow did not take {counted(done.left, 'record')}; run it again when it answers"
        return
    if recorder.refused:
        done.trouble = f"MLflow refused {', '.join(recorder.refused)}; run it again when that is mended"
        return
    try:
        stored.remember(found.study_url, found.name, recorded=complete and found.home.store_mark(found.tracking_uri))
    except stored.AWAY as error:
        done.trouble = str(stored.unanswered(found.study_url, error))


def _tell(found: lookup.Found, sweep: Sweep, histories: Mapping[int, tuple[Epoch, ...]], recorder: "Recorder") -> bool:
    """Tells the sweep from its beginning, as a driver would have; whether all its trials have ended."""
    from lstm import checkpoint

    facts, trials = sweep.facts, {trial.number: trial for trial in sweep.trials}
    started_at_ms = min((t.started_at_ms for t in sweep.trials if t.started_at_ms), default=0)
    recorder(
        SweepStarted(
            sweep.name,
            sweep.n_trials,
            sweep.metric,
            sweep.direction,
            started_at_ms,
            sweep.spec_text,
            str(facts.get("spec_hash", "")),
            str(facts.get("data_fingerprint", "")),
            git_commit=facts.get("git_commit"),
        )
    )
    endings = sweep.endings()
    by_number = {ending.number: ending for ending in endings}
    # In the order in which they ended, as a driver does; those that are still to run come last.
    for number in [*by_number, *(t.number for t in sweep.trials if not t.ended and t.started_at_ms)]:
        trial = trials[number]
        address = trial.checkpoint or checkpoint.address_of(str(facts.get("checkpoints", "")), number)
        recorder(trial.starting(address))
        for epoch in histories.get(number, ()):
            recorder(EpochEnded(number, epoch))
        if number in by_number:
            recorder(by_number[number])
    for event in sweep.probings():
        page = found.home.sweep(sweep.name) / PAGE.format(event.number)
        recorder(replace(event, html=page.read_text(encoding="utf-8") if page.is_file() else None))
    complete = bool(facts.get("complete"))
    at_ms = endings[-1].at_ms if endings else 0
    recorder(SweepEnded(complete, "rebuilt from study and checkpoints", at_ms, sweep.goodput))
    report = found.home.sweep(sweep.name) / REPORT
    judged = facts.get("judged") or {}
    best = sweep.best if sweep.best and judged.get("trial") == sweep.best.number else None
    html = report.read_text(encoding="utf-8") if report.is_file() else None
    recorder.finish(html, judged["metrics"] if best else {}, best, *judgement.in_mlflow(found.home, sweep))
    return complete

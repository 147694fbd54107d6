"""`sweep rebuild`: writes MLflow again from the study and the checkpoints, into the same or an empty store."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from experiments import find
from experiments.cli import emit
from experiments.home import Home
from experiments.report import PAGE, REPORT
from experiments.verbs.verify import tell
from lstm.records import Epoch, EpochEnded, Sweep, SweepEnded, SweepStarted

if TYPE_CHECKING:
    from dashboards.recorder import Recorder

FLUSH_S = 3600.0  # what MLflow may take for all of it


def main(*, home: str, named: str, force: bool, as_json: bool) -> int:
    """Rebuilds what MLflow holds of the sweep; 1 where it was not or not all written, 3 where a driver is at work."""
    from cluster import lease

    found = find.sweep(named, Home.at(home))
    find.read(found)  # whether there is such a sweep, before a claim is laid on it
    lost: list[str] = []
    try:
        with lease.Lease(found.study_url, found.name, lost=lost.append, stop=lambda: None):
            done = _rebuild(found, force=force)
    except lease.HeldError as error:
        print(f"{found.name}: is driven by {error}; rebuild when it has ended", file=sys.stderr)
        return 3
    trouble = done.trouble or "".join(lost)
    if as_json:
        document = {"sweep": found.name, "trials": done.trials, "deleted_runs": done.deleted, "undelivered": done.left}
        emit({**document, "rebuilt": not trouble})
    elif not trouble:
        print(f"{found.name}: {done.trials} trials are in MLflow again; {done.deleted} earlier runs were deleted")
    if trouble:
        print(f"{found.name}: {trouble}", file=sys.stderr)
    return 1 if trouble else 0


@dataclass
class _Done:
    trials: int
    deleted: int = 0
    left: int = 0  # records that MLflow did not take
    trouble: str = ""


def _rebuild(found: find.Found, *, force: bool) -> _Done:
    """Deletes the sweep's runs and writes them anew, once all that is to be written has been read."""
    from cluster import check, study
    from dashboards import runs
    from dashboards.config import TrackingConfig
    from dashboards.recorder import Recorder

    sweep = find.read(found)
    kept = check.check(sweep, driven=False)
    done = _Done(len(sweep.trials))
    # A trial that is still to run is no damage.
    damaged = [f for f in kept.findings if f.mend != check.RUN.format(name=sweep.name)]
    study_id = str(sweep.facts.get("id", ""))
    client = runs.connect(found.tracking_uri)
    try:
        before = runs.of_sweep(client, found.name, study_id)
        if damaged and before and not force:
            tell(damaged, sys.stderr)
            why = "MLflow may hold the last copy of what is damaged; mend it, or give --force"
            done.trouble = f"nothing was changed: {why}"
            return done
        # Not whole from here on, whatever ends this process.
        study.remember(found.study_url, found.name, recorded=False)
        for run in before:
            client.delete_run(run.info.run_id)
            done.deleted += 1
    except study.AWAY as error:
        done.trouble = str(study.unanswered(found.study_url, error))
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
        notice=lambda text: print(f"note: {text}", file=sys.stderr),
    )
    complete = _tell(found, sweep, kept.histories, recorder)
    done.left = recorder.close(FLUSH_S)
    if done.left:
        done.trouble = f"MLflow did not take {done.left} records; run it again when it answers"
        return done
    try:
        study.remember(found.study_url, found.name, recorded=complete and found.home.store_mark(found.tracking_uri))
    except study.AWAY as error:
        done.trouble = str(study.unanswered(found.study_url, error))
    return done


def _tell(found: find.Found, sweep: Sweep, histories: Mapping[int, tuple[Epoch, ...]], recorder: "Recorder") -> bool:
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
        address = trial.checkpoint or checkpoint.address_of(str(facts["checkpoints"]), number)
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
    recorder.finish(html, judged["metrics"] if best else {}, best)
    return complete

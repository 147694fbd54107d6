"""`sweep rebuild`: writes MLflow again from the study and the checkpoints, into the same or an empty store."""

import sys
from typing import TYPE_CHECKING

from experiments import find
from experiments.cli import emit
from experiments.plan import Home
from experiments.verbs.run import REPORT
from experiments.verbs.verify import tell
from lstm.records import EpochEnded, Finding, Sweep, SweepEnded, SweepStarted

if TYPE_CHECKING:
    from dashboards.recorder import Recorder

FLUSH_S = 3600.0  # what MLflow may take for all of it


def main(*, home: str, named: str, force: bool, as_json: bool) -> int:
    """Rebuilds what MLflow holds of the sweep; 1 where it was not or not all written, 3 where a driver is at work."""
    from cluster import check, lease, study

    found = find.sweep(named, Home.at(home))
    sweep = study.read(found.study_url, found.name)
    damaged = [] if force else check.check(sweep, driven=True).findings
    try:
        with lease.Lease(found.study_url, found.name, lost=lambda _: None, stop=lambda: None):
            deleted, left, trouble = _rebuild(found, sweep, damaged)
    except lease.HeldError as error:
        print(f"{found.name}: is driven by {error}; rebuild when it has ended", file=sys.stderr)
        return 3
    if as_json:
        document = {"sweep": found.name, "trials": len(sweep.trials), "deleted_runs": deleted, "undelivered": left}
        emit({**document, "rebuilt": not trouble})
    elif not trouble:
        print(f"{found.name}: {len(sweep.trials)} trials are in MLflow again; {deleted} earlier runs were deleted")
    if trouble:
        print(f"{found.name}: {trouble}", file=sys.stderr)
    return 1 if trouble else 0


def _rebuild(found: find.Found, sweep: Sweep, damaged: list[Finding]) -> tuple[int, int, str]:
    """Deletes the sweep's runs and writes them anew; how many were deleted, what was not written, and why."""
    from cluster import study
    from dashboards import runs
    from dashboards.config import TrackingConfig
    from dashboards.recorder import Recorder

    study_id = str(sweep.facts.get("id", ""))
    client = runs.connect(found.tracking_uri)
    try:
        before = runs.of_sweep(client, found.name, study_id)
        if damaged and before:
            tell(damaged, sys.stderr)
            why = "MLflow may hold the last copy of what is damaged; mend it, or give --force"
            return 0, 0, f"nothing was changed: {why}"
        for run in before:
            client.delete_run(run.info.run_id)
    except Exception as error:
        if not runs.is_outage(error):
            raise
        return 0, 0, f"MLflow does not answer ({runs.cause(error)}); run it again when it does"
    recorder = Recorder(
        found.tracking_uri,
        found.home.artifacts_of(found.tracking_uri),
        TrackingConfig(checkpoints=found.artifacts),
        found.name,
        study=study_id,
        notice=lambda text: print(f"note: {text}", file=sys.stderr),
    )
    complete = _tell(found, sweep, recorder)
    left = recorder.close(FLUSH_S)
    if left:
        return len(before), left, f"MLflow did not take {left} records; run it again when it answers"
    study.remember(found.study_url, found.name, recorded=complete and found.home.store_mark(found.tracking_uri))
    return len(before), 0, ""


def _tell(found: find.Found, sweep: Sweep, recorder: "Recorder") -> bool:
    """Tells the sweep from its beginning, as a driver would have; whether all its trials have ended."""
    from cluster.sweep import replay
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
    for ending in endings:
        replay(trials[ending.number], ending, recorder)
    for trial in sweep.trials:
        if not trial.ended and trial.started_at_ms:
            address = checkpoint.address_of(str(facts["checkpoints"]), trial.number)
            recorder(trial.starting(address))
            kept = checkpoint.load(address)
            for epoch in kept.state.history if kept else ():
                recorder(EpochEnded(trial.number, epoch))
    complete = bool(facts.get("complete"))
    recorder(SweepEnded(complete, "rebuilt from study and checkpoints", endings[-1].at_ms if endings else 0))
    report = found.home.sweep(sweep.name) / REPORT
    judged = facts.get("judged") or {}
    best = sweep.best if complete else None
    metrics = judged.get("metrics", {}) if best and judged.get("trial") == best.number else {}
    recorder.finish(report.read_text(encoding="utf-8") if report.is_file() else None, metrics, best)
    return complete

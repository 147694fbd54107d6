"""Rebuilds lost records: MLflow's runs from the study and checkpoints, or a study from checkpoints and MLflow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cluster.study import lease
from experiments import judgement, lookup
from experiments.conclusion import confirmed_rival
from experiments.home import Home
from experiments.planning import make
from experiments.recovery import lost_study, moved_home
from experiments.report import PAGE, REPORT, picture
from experiments.trials.earlier import restored_first
from lstm.messages.message import Message, Say, note
from lstm.records.epoch import Epoch
from lstm.records.errors import BadInput, Finding, fault, refused, why_of
from lstm.records.events import PARTS, EpochEnded, SweepEnded, SweepStarted
from lstm.records.sweep import Sweep

if TYPE_CHECKING:
    from dashboards.tracking.recorder import Recorder

FLUSH_S = 3600.0  # the longest wait for MLflow to take all records


@dataclass
class Done:
    """The result of rebuilding MLflow's records."""

    trials: int
    deleted: int = 0  # earlier runs
    left: int = 0  # records that MLflow did not take
    faults: list[Message] = field(default_factory=list)  # why not everything was rebuilt
    damaged: Sequence[Finding] = ()  # the damage because of which nothing was changed


def mlflow(found: lookup.Found, *, force: bool, say: Say) -> Done:
    """Delete a sweep's runs in MLflow and write them again; with `force` also if the study or checkpoints are damaged.

    Raises:
        BadInput: there is no such sweep, or its stores are wrong.
        HeldError: a driver is running.
    """
    from cluster.study import stored

    lookup.read(found)  # checks that there is such a sweep before its lease is taken
    lookup.ask_store(found)  # an outage is reported below
    ended: list[Message] = []
    with lease.Lease(found.study_url, found.name, lost=ended.append, stop=lambda: None):
        facts = stored.facts(found.study_url, found.name) or {}
        moved_home.settle(found.place, moved_home.look(found.place, facts), facts, say)
        done = _rebuild(found, force=force, say=say)
    done.faults = done.faults or ended
    return done


def study(named: str, home: Home, *, force: bool, say: Say) -> tuple[dict[str, Any], Sequence[Message]]:
    """Restore a lost study from checkpoints and MLflow. Returns what was restored as plain data, and what went wrong.

    With `force` also a study of another home, if this home knows nothing of such a sweep.

    Raises:
        BadInput: the study is not lost, or nothing is left of it.
        HeldError: a driver is running.
    """
    from cluster import opening
    from cluster.study import stored

    plan = make(lookup.spec(named, home), home)
    name, url = plan.order.name, plan.order.study_url
    if stored.facts(url, name) is not None:
        raise refused("study-not-lost", at=name)
    remains = lost_study.look(name, home, plan.tracking_uri, [plan.order.sweep_folder], of_any_home=force)
    if remains is None:
        raise refused("nothing-left-of-study", at=name)
    plan = restored_first(lost_study.with_its_loss(plan, remains))
    found = lost_study.gather(plan, remains)
    told = [each for each in plan.notes if each.code == "first-not-remembered"]
    order = replace(plan.order, study_id=remains.study or plan.order.study_id, begun_at=remains.checkpoints)
    ended: list[Message] = []
    home.sweep(name).mkdir(parents=True, exist_ok=True)
    with lease.Lease(url, name, lost=ended.append, stop=lambda: None):
        unknown = opening.restore_study(order, plan.series, found.known, found.facts)
        if remains.said_by:  # the home is lost too, and starts again
            lookup.keep(replace(plan, order=order), [])
            home.write_record()
        # What the best rival has fitted may still be in the home; without it only `run` can judge the rival again.
        there = lookup.read(lookup.sweep(named, home, say))
        stored.remember(url, name, **confirmed_rival(replace(plan, order=order), there, say))
    restored = lookup.read(lookup.sweep(named, home, say))
    states = dict(Counter(trial.state for trial in restored.trials))
    document = {
        "sweep": name,
        "study": order.study_id,
        "states": states,
        "unknown": unknown,
        "notes": (*found.notes, *told),
    }
    return document, ended


def _rebuild(found: lookup.Found, *, force: bool, say: Say) -> Done:
    """Delete the sweep's runs and write them again, after all that is to be written has been read."""
    from cluster.study import stored, verify
    from dashboards.tracking import runs

    _with_parts(found, say)
    sweep = lookup.read(found)
    kept = verify.check(sweep, driven=False)
    done = Done(len(sweep.trials))
    # A trial that has yet to run is not damage.
    damaged = [f for f in kept.findings if f.code not in verify.TO_RUN]
    study_id = str(sweep.facts.get("id", ""))
    client = runs.connect(found.tracking_uri)
    try:
        before = runs.of_sweep(client, found.name, study_id)
        if damaged and before and not force:
            done.damaged = damaged
            done.faults = [fault("nothing-rebuilt", at=found.name)]
            return done
        runs.prove_writable(client, found.name, study_id, found.home.artifacts_of(found.tracking_uri))
        _take_pages(found, sweep, client, before, say)
        # From here on MLflow's store is not whole, even if this process is killed.
        stored.remember(found.study_url, found.name, recorded=False)
        for run in before:
            client.delete_run(run.info.run_id)
            done.deleted += 1
    except stored.AWAY as error:
        done.faults = [*stored.unanswered(found.study_url, error).faults]
        return done
    except Exception as error:
        if not runs.is_outage(error):
            raise
        done.faults = [fault("mlflow-away-in-rebuild", at=found.name, why=runs.cause(error))]
        return done
    recorder = lookup.recorder(found, sweep, say)
    is_whole = _tell(found, sweep, kept.histories, recorder)
    if not is_whole and sweep.facts.get("complete"):
        say(note("report-lost", at=found.name, run=f"sweep run {found.name}{found.home.flag}"))
    _finish(found, recorder, done, is_whole=is_whole)
    return done


def _take_pages(found: lookup.Found, sweep: Sweep, client: Any, before: Sequence[Any], say: Say) -> None:
    """Take from the runs, before they are deleted, the report and the probes' pages that the sweep's folder has lost.

    Raises what MLflow's store raises.
    """
    from dashboards.tracking import runs
    from lstm.storage import files

    pages = {str(event.number): (PAGE.format(event.number), "probe.html") for event in sweep.probings()}
    for run in before:
        number = run.data.tags.get("sweep.trial")
        kept, name = (REPORT, REPORT) if number is None else pages.get(number, ("", ""))
        place = found.home.sweep(found.name) / kept
        if not kept or place.is_file():
            continue
        with TemporaryDirectory(prefix="sweep-") as folder:
            page = runs.fetch(client, run, name, folder)
            if page is not None:
                files.put(str(place.parent), kept, page.read_bytes())
                say(note("page-taken-from-mlflow", at=str(place)))


def _with_parts(found: lookup.Found, say: Say) -> None:
    """Store in the study of an earlier version what MLflow shows of the data, if they are still there."""
    from cluster.opening import about
    from cluster.study import stored

    facts = stored.facts(found.study_url, found.name) or {}
    if PARTS in facts:
        return
    try:
        plan = make(lookup.spec(found.spec or found.name, found.home), found.home, to_look=True)
        if plan.series.fingerprint != facts.get("data_fingerprint"):
            raise refused("data-changed", "data")
        stored.remember(found.study_url, found.name, **{PARTS: about(plan.order, plan.series, facts)[PARTS]})
    except (BadInput, OSError, *stored.AWAY) as error:
        say(note("data-sets-not-known", at=found.name, why=why_of(error)))


def _finish(found: lookup.Found, recorder: "Recorder", done: Done, *, is_whole: bool) -> None:
    """Wait until MLflow has taken all records; then store in the study that MLflow's store is whole."""
    from cluster.study import stored

    done.left = recorder.close(FLUSH_S)
    if done.left:
        done.faults = [fault("rebuilt-in-part", at=found.name, count=done.left)]
        return
    if recorder.refused:
        done.faults = [fault("rebuilt-but-refused", at=found.name, refused=list(recorder.refused))]
        return
    try:
        stored.remember(found.study_url, found.name, recorded=is_whole and found.home.store_mark(found.tracking_uri))
    except stored.AWAY as error:
        done.faults = [*stored.unanswered(found.study_url, error).faults]


def _tell(found: lookup.Found, sweep: Sweep, histories: Mapping[int, tuple[Epoch, ...]], recorder: "Recorder") -> bool:
    """Send the sweep's events from its beginning, as a driver would have. Returns whether that is the whole sweep.

    It is not if the sweep is not complete, or if its report is lost: then the next run has something to add.
    """
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
            searched=tuple(sorted({path for trial in sweep.trials for path in trial.settings})),
        )
    )
    endings = sweep.endings()
    by_number = {ending.number: ending for ending in endings}
    # In the order in which the trials ended, as a driver does; those that have not ended come last.
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
    drawn = picture(sweep) if html is not None else None
    of_best = judged["metrics"] if best else {}
    recorder.finish(html, of_best, best, *judgement.in_mlflow(found.home, sweep), picture=drawn)
    return complete and html is not None

"""Drives a sweep to its number of trials: lease, cluster, study, Tune; safe to start again for ever."""

import json
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster import moved, restore
from cluster import study as studies
from cluster.config import ResourcesConfig, SearchConfig, StorageConfig
from cluster.connect import Joined, count_slots, join
from cluster.lease import HeldError, Lease, driver
from cluster.patience import Patience, Unreachable
from cluster.restore import Known
from cluster.stop import Stop, deadline, signals
from cluster.study import AWAY, COMPARABLE, Study, trouble, unanswered
from lstm import checkpoint, disk, files, ownership
from lstm.checkpoint import Dataset
from lstm.config import TrialConfig
from lstm.records import (
    KEEPS_BASE,
    BadInput,
    EpochEnded,
    Notice,
    Objective,
    Record,
    Sweep,
    SweepEnded,
    SweepStarted,
    Trial,
    TrialEnded,
)

SLOTS_S = 10.0  # how old the count of the cluster's slots may be


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done: the value that `sweep plan` prints and `sweep run` carries out."""

    name: str
    base: TrialConfig
    search: SearchConfig | None
    resources: ResourcesConfig
    storage: StorageConfig  # with both addresses filled in
    spec_text: str
    spec_hash: str
    comparable: Mapping[str, Any]  # all that must not change between runs, flat, as JSON
    git_commit: str | None
    folder: str  # of the spec's file; the data's path starts there
    study_id: str  # tells this sweep from another of its name, in stores that keep both
    probe: bool = False  # each trial at its end
    begun_at: str = ""  # where the checkpoints of a sweep lie that was begun before; "" for a new one
    studies_before: tuple[str, ...] = ()  # the ids of the studies that this one was copied from
    place: str = ""  # the folder of a study that is a file, unless the environment named it: then it is nobody's to see
    mark: str = ""  # where the study is kept, and by whom, for those who find its checkpoints
    retries: tuple[int, ...] = ()  # failed trials that others are to stand in for

    @property
    def n_trials(self) -> int:
        """Trials in total; a spec without a search is one."""
        return self.search.n_trials if self.search else 1

    @property
    def target(self) -> float | None:
        """The value that is good enough, if one is."""
        return self.search.stop.target if self.search else None

    @property
    def second_objective(self) -> Objective | None:
        """What is searched for beside the metric, if anything is."""
        second = self.search.second_objective if self.search else None
        return Objective(second.metric, second.direction) if second else None

    @property
    def study_url(self) -> str:
        """The study's database."""
        assert self.storage.study is not None
        return self.storage.study

    @property
    def sweep_folder(self) -> str:
        """The address for whatever is kept of sweeps of this name; other studies may have their folders there, too."""
        return f"{self.storage.checkpoints}/{self.name}"

    @property
    def checkpoints(self) -> str:
        """The address under which each trial has its own: this study's alone."""
        return self.begun_at or f"{self.sweep_folder}/{self.study_id}"

    @property
    def ownership_mark(self) -> ownership.Mark:
        """Says in that folder whose it is."""
        return ownership.Mark(self.study_id, self.name, self.mark)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of the driver ended."""

    sweep: Sweep
    importances: Mapping[str, float]
    complete: bool
    reason: str
    code: int  # 0 done, 1 failed, 130 interrupted
    replayed: bool  # whether memory was sent all that it lacked of earlier drivers' trials


@dataclass(frozen=True, slots=True)
class Memory:
    """What remembers a sweep's events beyond its study."""

    record: Record  # takes an event that an earlier driver may have sent already
    recorded: Callable[[], Collection[int]]  # the trials that it knows whole; it may take seconds to answer


def run(
    order: Order,
    series: Dataset,
    record: Record,
    memory: Memory,
    *,
    address: str | None,
    conclude: Callable[[Outcome], None],
    settle: Callable[[], None] = lambda: None,
) -> Outcome:
    """Drives the sweep until all its trials have ended or it is stopped.

    Args:
        order: What is to be done.
        series: The data, loaded once.
        record: Receives every event of this driver, from this thread and others.
        memory: Receives, from another thread, the events of earlier drivers' trials that it does not know whole.
        address: A running Ray cluster's, or None for a local one.
        conclude: Called with the outcome while the sweep is still this driver's.
        settle: Called once the sweep is this driver's, before its study is opened.

    Raises:
        BadInput: the address, the resources or the storage are wrong, or the spec has changed.
        HeldError: another driver holds the sweep.
    """
    stop = Stop()

    def head_lost(why: str) -> int:
        stop.now(why, 1)
        record(Notice(f"{why}; the sweep ends. With a cluster that lives the same command goes on"))
        return stop.code

    with signals(stop) as install:
        if held := driver(order.study_url, order.name):
            raise HeldError(str(held))
        place = join(address, order.resources, str(order.storage.checkpoints), head_lost, _prepare)
        with (
            _to_be_left(place) as (joined, leave),
            Lease(
                order.study_url, order.name, lost=lambda why: stop.now(why, 1), stop=lambda: stop.now("stopped", 130)
            ) as lease,
        ):
            install()
            try:
                settle()
                study = open_study(order, series)
                for parent in order.retries:
                    study.retry(parent)
            except AWAY as error:
                raise unanswered(order.study_url, error) from None
            patience = Patience(order.study_url, lease.held, stop, record)
            for text in joined.warnings:
                record(Notice(text))
            record(_started(order, study, series))
            replayed = threading.Event()
            before: Sweep | None = None
            try:
                before = _settle(study, patience, record)
                delivery = threading.Thread(target=_replay, args=(before, memory, stop, record, replayed), daemon=True)
                delivery.start()
                try:
                    _drive(order, study, series, joined, stop, record, patience)
                finally:
                    delivery.join(1.0 if stop.code else None)  # it may be waiting for MLflow
            except Unreachable as error:
                stop.now(str(error), 1)
            leave()
            outcome = _outcome(order, study, before, stop, replayed=replayed.is_set())
            why = outcome.reason or "all trials have ended"
            record(SweepEnded(outcome.complete, why, _now_ms(), outcome.sweep.goodput))
            conclude(outcome)
            return outcome


def _prepare() -> None:
    """Imports what is needed as soon as Ray runs."""
    from cluster import tune  # noqa: F401 # for what it imports

    studies.prepare()


@contextmanager
def _to_be_left(context: AbstractContextManager[Joined]) -> Iterator[tuple[Joined, Callable[[], None]]]:
    """A context, and what leaves it from a thread, to be called once or not at all; its end is waited for here."""
    with ExitStack() as stack:
        entered = stack.enter_context(context)
        leaving = threading.Thread(target=stack.close, name="leave", daemon=True)
        try:
            yield entered, leaving.start
        finally:
            if leaving.ident:
                leaving.join()


def _settle(study: Study, patience: Patience, record: Record) -> Sweep:
    """Ends what a killed driver had decided to end; the sweep as it stands then."""
    settled = patience(study.settle)
    before = patience(study.sweep)
    trials = {trial.number: trial for trial in before.trials}
    for ending in before.endings():
        if ending.number in settled:
            replay(before, trials[ending.number], ending, record)
    return before


def _outcome(order: Order, study: Study, before: Sweep | None, stop: Stop, *, replayed: bool) -> Outcome:
    try:
        sweep, importances = study.sweep(), {} if stop.code else study.importances()
    except AWAY as error:
        stop.now(f"the study's database does not answer ({trouble(order.study_url, error)})", 1)
        known = before or Sweep(order.name, order.base.metric, order.base.direction, order.n_trials, ())
        return Outcome(known, {}, complete=False, reason=stop.reason, code=1, replayed=replayed)
    complete = sweep.over() or (stop.code == 0 and bool(stop.reason) and sweep.reached(order.target))
    if complete and sweep.best is None:
        ended = [t for t in sweep.counted if t.ended]
        stop.now(f"no trial completed, the last one: {ended[-1].reason}", 1)
    reason = stop.reason or (sweep.exhausted if complete and sweep.done < sweep.n_trials else "")
    return Outcome(sweep, importances, complete, reason, stop.code, replayed)


def open_study(order: Order, series: Dataset) -> Study:
    """The sweep's study, created or checked to be the same sweep.

    Raises:
        BadInput: a sweep of this name searched something else, or other data.
    """
    study = Study(order.study_url, order.name, order.search, order.base)
    check_same(study.facts, order, series)
    if studies.unfinished_id_of(study.facts, order.study_url) not in ("", order.study_id):
        raise BadInput(f"{order.name}: another driver has begun this sweep at this moment; run the same command again")
    # Before the folder has its mark: a driver that is killed in between leaves no folder of a study that is nobody's.
    study.remember(**_identity(order))
    try:
        ownership.claim(order.checkpoints, order.ownership_mark)
    except OSError as error:
        raise BadInput(f"{order.checkpoints}: can't be written: {error.strerror or error}") from None
    keeps_base = COMPARABLE not in study.facts or bool(study.facts.get(KEEPS_BASE))
    study.remember(**_facts(order, study, series, keeps_base=keeps_base))
    study.enqueue_first()
    return study


def _identity(order: Order) -> dict[str, Any]:
    """What a study remembers first: the version of its form, which one it is, and where."""
    return {
        # One that was begun before has the form that it had then: its loss is known to the version that began it.
        "form": 1 if order.base.loss_on == "all" else studies.FORMAT,
        "id": order.study_id,
        **({moved.PLACE: order.place} if order.place else {}),  # after it: a copy that says so has an id of its own
    }


def _facts(order: Order, study: Study, series: Dataset, *, keeps_base: bool) -> dict[str, Any]:
    """What a study remembers of its sweep, in the order in which it is stored.

    `keeps_base` says whether the spec's own settings are a trial: not in a study that an earlier version began.
    """
    return {
        **_identity(order),
        "spec_text": order.spec_text,
        "spec_hash": order.spec_hash,
        "data_fingerprint": series.fingerprint,
        "base": json.loads(order.base.model_dump_json()),
        "n_trials": study.n_trials,
        "target": order.target,
        **({"second": list(study.second)} if study.second else {}),
        "folder": order.folder,
        "checkpoints": order.checkpoints,
        "git_commit": order.git_commit,
        **({KEEPS_BASE: True} if order.search and keeps_base else {}),
        "complete": False,  # until this run has ended with all its trials
        "recorded": False,  # until MLflow has it all, too
        studies.COMPARABLE: dict(order.comparable),  # last: a study that has it is whole
    }


def restore_study(order: Order, series: Dataset, known: Sequence[Known], facts: Mapping[str, Any]) -> list[int]:
    """Makes a lost study again; to be called under the lease.

    Args:
        order: The sweep's, with the study's id and the address of its checkpoints.
        series: The data.
        known: What is known of its trials.
        facts: What it remembered of them.

    Returns:
        The numbers of the trials of which nothing is known.
    """
    studies.discard_unfinished(order.study_url, order.name)
    study = Study(order.study_url, order.name, order.search, order.base)
    study.remember(**_identity(order))
    ownership.claim(order.checkpoints, order.ownership_mark)
    if ownership.mark_of(order.checkpoints) != order.ownership_mark:  # it was kept elsewhere
        ownership.take_over(order.checkpoints, order.ownership_mark)
    unknown = restore.restore(study, known)
    keeps_base = study.base_trial() is not None
    study.remember(**facts, **_facts(order, study, series, keeps_base=keeps_base))
    return unknown


def check_same(facts: Mapping[str, Any], order: Order, series: Dataset) -> None:
    """Whether a study holds this very sweep.

    Raises:
        BadInput: it does not; the message says what changed and the ways out.
    """
    if COMPARABLE not in facts:
        return
    old, new = facts[COMPARABLE], json.loads(json.dumps(dict(order.comparable)))
    changed = [
        f"  {path}: was {_show(old, path)}, is {_show(new, path)}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path, ...) != new.get(path, ...)
    ]
    place = moved.checkpoints_of(facts, order.study_url, order.name) or order.checkpoints
    if place != order.checkpoints and _is_there(place):
        changed.append(
            f"  its checkpoints: are in {place}, would be in {order.checkpoints} (storage.checkpoints, --home)"
        )
    if facts.get("data_fingerprint") != series.fingerprint:
        changed.append("  the data: the file's bytes have changed")
    if changed:
        raise BadInput(
            f"{order.name}: this sweep has trials that were trained otherwise, so new ones could not be compared:\n"
            + "\n".join(changed)
            + "\nGive the spec another name, or the old value back. (n_trials, stop, resources, tracking and storage "
            "may change.)"
        )


def as_begun(order: Order, facts: Mapping[str, Any], found: moved.Moved | None) -> Order:
    """The order of a sweep that was begun before, under its study's id, and where it is before `found` is carried out.

    The data's path is the one first written, which its trials are known by; so is the loss.
    """
    study_id = str(facts.get("id", order.study_id))
    base = with_loss_of(order, facts).base.with_path(facts["base"]["data"].get("path"))
    where = moved.checkpoints_of(facts, order.study_url, order.name)
    # Earlier versions had no folder for each study.
    here = [f"{order.sweep_folder}/{study_id}", order.sweep_folder]
    same = [place for place in here if disk.is_same(Path(place), Path(where))]
    begun_at = where if same or found is not None else next(filter(_has_trials, here), here[0 if where else 1])
    return replace(order, study_id=study_id, base=base, begun_at=begun_at, studies_before=_ancestors(facts))


def with_loss_of(order: Order, facts: Mapping[str, Any]) -> Order:
    """The order with the loss of a sweep that was begun before: an earlier version's counts what was filled in."""
    loss_on = TrialConfig.model_validate(facts["base"]).loss_on
    return replace(order, base=order.base.model_copy(update={"loss_on": loss_on}))


def as_moved(order: Order, found: moved.Moved) -> Order:
    """The order of a sweep once it is written down where it is now."""
    before = order.studies_before
    if found.copied:
        before = (found.study_before, *before)
    return replace(order, study_id=found.study, begun_at=found.checkpoints, studies_before=before)


def write_down(url: str, name: str, found: moved.Moved, mark: ownership.Mark, place: str, **more: Any) -> None:
    """Has a study that was moved or copied remember where it is and who it is; to be called under the lease.

    Args:
        url: The study's database.
        name: The sweep's name.
        found: What `moved.look` has found.
        mark: The study's from now on.
        place: The folder that the study lies in; "" where that is not to be written down.
        more: Further facts to be remembered.

    Raises:
        ForeignCheckpoint: the checkpoints are another study's.
        OSError: they can't be read or written.
    """
    facts = studies.facts(url, name) or {}
    ancestors = [*([found.study_before] if found.copied else []), *facts.get("ancestors", ())]
    moved.carry_out(found, mark)
    # In this order: a study whose driver was killed in the middle is still known to be moved.
    more |= {"checkpoints": found.checkpoints, "ancestors": list(dict.fromkeys(ancestors))}
    studies.remember(url, name, **more, id=found.study, **({moved.PLACE: place} if place else {}))


def check_checkpoints(order: Order, sweep: Sweep, found: moved.Moved | None) -> None:
    """Whether the checkpoints of a sweep that was begun before are its own, as far as they will be used.

    Raises:
        BadInput: they are another study's, or a newer version made them.
    """
    mark = ownership.mark_of(order.checkpoints)
    # A driver that was killed while it made a copy its own may have left its mark alone.
    own = (order.study_id, *order.studies_before, *([found.study] if found else []))
    if mark is not None and mark.study not in own:
        ownership.refuse_another(order.checkpoints, order.study_id)
    for trial in sweep.trials:
        used = trial.state == "RUNNING" or (sweep.best is not None and trial.number == sweep.best.number)
        # An earlier version left no mark, so that another study may have been there.
        if used or (mark is None and trial.checkpoint):
            address = trial.checkpoint or checkpoint.address_of(order.checkpoints, trial.number)
            try:
                ownership.load(address, ownership.Owner.of(sweep, trial))
            except ownership.ForeignCheckpoint as error:
                text = f"{error}. Another sweep has used this folder: give this spec another name and run it anew"
                raise BadInput(text) from None
            except OSError as error:
                raise BadInput(f"{address}: can't be read: {error.strerror or error}") from None


def _ancestors(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return ownership.studies_of(facts)[1:]


def _is_there(place: str) -> bool:
    return "://" in place or Path(place).is_dir()


def _has_trials(place: str) -> bool:
    try:
        return any(name.startswith("trial-") for name in files.names(place))
    except OSError:
        return False


def _show(tree: Mapping[str, Any], path: str) -> str:
    return json.dumps(tree[path]) if path in tree else "not there"


def _drive(
    order: Order,
    study: Study,
    series: Dataset,
    joined: Joined,
    stop: Stop,
    record: Record,
    patience: Patience,
) -> None:
    from cluster.bridge import Bridge
    from cluster.tune import tune

    bridge = Bridge(
        study,
        checkpoints=order.checkpoints,
        keep_best=order.storage.keep == "best",
        order={
            "cpus": order.resources.cpus_per_trial,
            "gpus": joined.gpus_per_trial,
            "probe": order.probe,
            "studies": (order.study_id, *order.studies_before),
        },
        limit=_limit(order, joined),
        stop=stop,
        record=record,
        patience=patience,
    )
    from ray.exceptions import OutOfMemoryError

    resources = {"cpu": order.resources.cpus_per_trial, "gpu": joined.gpus_per_trial}
    with deadline(_hours(order), stop):
        while True:
            try:
                tune(bridge, series, order.name, resources)
                break
            except Exception as error:  # Tune wraps it
                if not isinstance(error, OutOfMemoryError) and not isinstance(error.__cause__, OutOfMemoryError):
                    raise
                bridge.restart(str(error.__cause__ or error))
    if stop.reason and stop.code == 0 and patience(study.sweep).reached(order.target):
        bridge.close_open("the sweep reached its target")
    rest = bridge.rest()
    patience(lambda: study.remember(**rest))


def _limit(order: Order, joined: Joined) -> Callable[[], int]:
    """Trials that may be asked for at once: one for each slot and a few that wait, so that none falls idle."""
    fixed = order.resources.max_concurrent
    if fixed != "auto":
        return lambda: fixed
    known = [time.monotonic(), joined.slots]

    def limit() -> int:
        if time.monotonic() - known[0] > SLOTS_S:
            known[:] = [time.monotonic(), count_slots(order.resources.cpus_per_trial, joined.gpus_per_trial)]
        slots = int(known[1])
        return slots + max(1, slots // 8)

    return limit


def _replay(sweep: Sweep, memory: Memory, stop: Stop, record: Record, done: threading.Event) -> None:
    """Sends the events of ended trials that were never recorded again, from study and checkpoints; then sets `done`."""
    endings = sweep.endings()
    try:
        known = set(memory.recorded()) if endings else set()
        trials = {trial.number: trial for trial in sweep.trials}
        for ending in endings:
            if stop.code:  # interrupted: the next driver sends the rest
                return
            if ending.number not in known:
                replay(sweep, trials[ending.number], ending, memory.record)
        done.set()
    except Exception as error:  # no training waits for it
        traceback.print_exc()
        record(Notice(f"earlier trials could not all be recorded ({type(error).__name__}); the next run tries again"))


def replay(sweep: Sweep, trial: Trial, ending: TrialEnded, record: Record) -> None:
    """Sends the events of an ended trial."""
    record(trial.starting(trial.checkpoint))
    found = ownership.load_trial(sweep, trial)
    for epoch in found.state.history if found else ():
        record(EpochEnded(trial.number, epoch))
    if trial.probed is not None:
        record(trial.probed)
    record(ending)


def _started(order: Order, study: Study, series: Dataset) -> SweepStarted:
    return SweepStarted(
        sweep=order.name,
        n_trials=study.n_trials,
        metric=order.base.metric,
        direction=order.base.direction,
        at_ms=_now_ms(),
        spec_text=order.spec_text,
        spec_hash=order.spec_hash,
        data_fingerprint=series.fingerprint,
        git_commit=order.git_commit,
    )


def _hours(order: Order) -> float | None:
    return order.search.stop.max_hours if order.search else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""A sweep whose study is gone: what is still there of it, so that nobody trains it anew without knowing.

`sweep rebuild --study` gathers it here; `cluster/study/restore.py` makes the study again.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import addresses
from experiments.home import Home
from experiments.planning import Plan, kept_in
from lstm import ownership
from lstm.messages.message import Message, Note, Say, note
from lstm.records.epoch import Epoch, best_epoch, epochs_s
from lstm.records.errors import BadInput, fault, refused
from lstm.records.sweep import PROBE_FACT
from lstm.storage import files

if TYPE_CHECKING:
    from cluster.decisions import End
    from cluster.study.restore import Known
    from dashboards.tracking.remembered import RememberedTrial
    from lstm.checkpoint import Checkpoint
    from lstm.config.trial import LossOn, TrialConfig


@dataclass(frozen=True)
class Remains:
    """What is there of a sweep without its study."""

    study: str  # the study's id; "" where nothing says it
    checkpoints: str  # their address; "" where there are none
    trials: int  # that have checkpoints
    runs: int  # of trials, in MLflow
    said_by: str = ""  # the mark that says so, where the home does not know that the sweep was run


def look(
    name: str, home: Home, tracking_uri: str, sweep_folders: list[str], *, of_any_home: bool = False
) -> Remains | None:
    """What is left of a sweep that was run from this home; None where there is nothing.

    Args:
        name: The sweep's.
        home: Where it was run.
        tracking_uri: MLflow's store; "" where the environment lacks what names it.
        sweep_folders: Addresses below which studies of this name keep their checkpoints.
        of_any_home: Whether checkpoints that another home marked count as this one's, where it knows nothing.

    Raises:
        BadInput: checkpoints of several studies may be meant.
    """
    saved = addresses.saved(home, name)
    if saved is None:
        marked = [each for each in _marked(sweep_folders) if of_any_home or each.mark.where == kept_in(home)]
        if len(marked) > 1:
            each = (fault("checkpoints-of-study", at=found.checkpoints, **found.facts) for found in marked)
            raise BadInput(fault("several-studies-left", at=name, count=len(marked)), *each)
        return _remains_of(marked[0], name, home, tracking_uri) if marked else None
    study, known = str(saved.get("study_id", "")), str(saved.get("checkpoints", ""))
    carried = [str(home.carried(Path(known))) if "://" not in known else known] if known else []
    places = [place for folder in sweep_folders for place in (f"{folder}/{study}", folder) if study or place == folder]
    checkpoints, trials = "", 0
    for place in [*carried, *places]:
        mark = _mark(place)
        if mark is not None and study and mark.study != study:
            continue
        if count := _count(place):
            checkpoints, trials, study = place, count, study or (mark.study if mark else "")
            break
    runs, of_study = _runs(name, study, home, tracking_uri)
    return Remains(study or of_study, checkpoints, trials, runs) if trials or runs else None


@dataclass(frozen=True)
class Marked:
    """A folder of checkpoints that says whose it is."""

    mark: ownership.Mark
    checkpoints: str
    trials: int

    @property
    def facts(self) -> dict[str, Any]:
        """The same, for a refusal."""
        return {"trials": self.trials, "study": self.mark.study, "home": self.mark.where}


def _marked(sweep_folders: list[str]) -> list[Marked]:
    """The studies that have trials below some folders."""
    places = [place for folder in sweep_folders for place in (folder, *_folders_in(folder))]
    marked = [(mark, place, _count(place)) for place in places if (mark := _mark(place)) is not None]
    return [Marked(mark, place, trials) for mark, place, trials in marked if trials]


def _folders_in(folder: str) -> list[str]:
    try:
        inner = sorted(files.names(folder))
    except OSError:  # told by who has to write there
        return []
    return [f"{folder}/{name}" for name in inner if not name.startswith(("trial-", "."))]


def _remains_of(found: Marked, name: str, home: Home, tracking_uri: str) -> Remains:
    study = found.mark.study
    runs, _ = _runs(name, study, home, tracking_uri)
    return Remains(study, found.checkpoints, found.trials, runs, f"{found.checkpoints}/{ownership.MARK}")


def refuse(plan: Plan) -> list[Note]:
    """Whether a sweep whose study is not there may begin; what is to be said of other studies' checkpoints.

    Raises:
        BadInput: it was run from this home before, and something of it is left.
    """
    order = plan.order
    remains = look(order.name, plan.home, plan.tracking_uri, [order.sweep_folder])
    if remains is not None:
        raise missing(order.name, plan.home, remains, str(plan.spec.document.path))
    restores = f"sweep rebuild {shlex.quote(str(plan.spec.document.path))} --study --force{plan.home.flag}"
    return [
        note("checkpoints-of-another-study-left", at=each.checkpoints, restores=restores, **each.facts)
        for each in _marked([order.sweep_folder])
    ]


def missing(name: str, home: Home, remains: Remains, spec: str = "") -> BadInput:
    """The error of a sweep whose study is gone; the home may not know its name, but that of its spec's file."""
    folder = str(home.sweep(name))
    named, away = (shlex.quote(spec) or "SPEC", remains.checkpoints) if remains.said_by else (name, folder)
    return refused(
        "study-lost",
        at=name,
        said_by=remains.said_by or folder,
        trials=remains.trials,
        checkpoints=remains.checkpoints,
        runs=remains.runs,
        named=named,
        flag=home.flag,
        away=shlex.quote(away),
    )


def _mark(place: str) -> ownership.Mark | None:
    try:
        return ownership.mark_of(place)
    except (OSError, BadInput):
        return None


def _count(place: str) -> int:
    """The trials that have files at an address."""
    try:
        return sum(name.startswith("trial-") and bool(files.names(f"{place}/{name}")) for name in files.names(place))
    except OSError:
        return 0


def _runs(name: str, study: str, home: Home, tracking_uri: str) -> tuple[int, str]:
    """How many runs of its trials MLflow has, and whose they are; none where it does not answer."""
    from dashboards.tracking import runs

    if not tracking_uri or runs.missing_file(tracking_uri) is not None:
        return 0, study
    try:
        return runs.count_trials(runs.connect(tracking_uri), name, study)
    except Exception as error:  # what a store raises is no one class
        if not runs.is_outage(error):
            raise
        return 0, study


# --- Restored ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """All that is known of the trials of a lost study."""

    known: tuple["Known", ...]
    facts: Mapping[str, Any]  # what the study remembered of their probes
    notes: tuple[Message, ...]  # what could not be read


def with_its_loss(plan: Plan, remains: Remains) -> Plan:
    """The plan with the loss that the sweep was begun with, as a checkpoint of it tells, or else a run in MLflow."""
    from dashboards.tracking import remembered, runs
    from lstm import checkpoint

    loss_on: LossOn | None = None
    for address in _trial_folders(remains):
        found = checkpoint.load(address)
        if found is not None and found.study in ("", remains.study):
            loss_on = found.config.loss_on
            break
    if loss_on is None and runs.missing_file(plan.tracking_uri) is None:
        try:
            loss_on = remembered.loss_on(plan.tracking_uri, plan.order.name, remains.study)
        except Exception as error:  # what a store raises is no one class
            if not runs.is_outage(error):
                raise  # else nothing is known of any trial
    if loss_on is None:
        return plan
    return replace(plan, order=replace(plan.order, base=plan.order.base.model_copy(update={"loss_on": loss_on})))


def gather(plan: Plan, remains: Remains) -> Gathered:
    """Reads the trials of a lost study out of its checkpoints and MLflow; changes nothing."""
    from dashboards.tracking import remembered, runs

    order, notes = plan.order, list[Message]()
    kept = dict(_checkpoints(plan, remains, notes.append))
    told: dict[int, remembered.RememberedTrial] = {}
    if runs.missing_file(plan.tracking_uri) is None:
        try:
            found = remembered.trials(plan.tracking_uri, order.name, remains.study, order.base.metric)
            told = {trial.number: trial for trial in found}
        except Exception as error:  # what a store raises is no one class
            if not runs.is_outage(error):
                raise
            notes.append(note("ends-from-checkpoints", why=runs.cause(error)))
    numbers = sorted(kept.keys() | told.keys())
    known = tuple(_known(plan, remains, number, kept.get(number), told.get(number)) for number in numbers)
    facts = {} if order.probe else {f"{PROBE_FACT}{n}": _probed(trial) for n, trial in told.items() if trial.probed}
    return Gathered(known, facts, tuple(notes))


def _checkpoints(plan: Plan, remains: Remains, say: Say) -> Iterator[tuple[int, tuple[int, "Checkpoint"]]]:
    """By trial, the attempt that wrote the newest valid checkpoint, and that."""
    from lstm import checkpoint

    for address in _trial_folders(remains):
        number = int(address.rpartition("/trial-")[2])
        found = checkpoint.load(address, say)
        if found is None:
            say(note("no-valid-checkpoint", at=address))
        elif found.study and found.study != remains.study:
            say(note("checkpoint-of-another-study-left-out", at=address, study=found.study))
        elif found.fingerprint != plan.series.fingerprint:
            raise refused("data-of-another-training", "data", at=plan.spec.document.path, trained=address)
        elif differing := ownership.differing_fields(found.config.model_dump(), _resolved(plan, found.config)):
            say(note("checkpoint-of-another-configuration", at=address, fields=differing))
        else:
            yield number, (checkpoint.attempt(checkpoint.names(address)[-1]), found)


def _trial_folders(remains: Remains) -> list[str]:
    """The addresses of its trials' checkpoints."""
    names = files.names(remains.checkpoints) if remains.checkpoints else []
    return [f"{remains.checkpoints}/{name}" for name in sorted(names) if re.fullmatch(r"trial-\d+", name)]


def _resolved(plan: Plan, config: "TrialConfig") -> Mapping[str, Any]:
    """What this spec makes of the settings that a configuration was trained with."""
    from cluster.space import suggest
    from cluster.study import restore

    searched = plan.order.search.space if plan.order.search else {}
    return suggest.resolve(plan.order.base, restore.settings_of(config, searched)).model_dump()


def _known(
    plan: Plan,
    remains: Remains,
    number: int,
    kept: "tuple[int, Checkpoint] | None",
    told: "RememberedTrial | None",
) -> "Known":
    from cluster.decisions import Decisions
    from cluster.study import restore
    from lstm.checkpoint import address_of

    searched = plan.order.search.space if plan.order.search else {}
    attempt, found = kept or (0, None)
    history: tuple[Epoch, ...] = ()
    if found is not None:
        settings, history = restore.settings_of(found.config, searched), found.state.history
    elif told is not None:
        settings, metric = dict(told.settings), plan.order.base.metric
        history = tuple(Epoch(step, {metric: value}, value, at_ms) for step, value, at_ms in told.curve)
    address = address_of(remains.checkpoints or plan.order.checkpoints, number)
    end = _end(plan, history, found, told, address)
    if told is None:
        return restore.Known(number, settings, history, end, attempt)
    made = Decisions(told.derived, base=told.is_base)
    attempt = max(attempt, told.attempt)
    return restore.Known(number, settings, history, end, attempt, told.worker, told.started_at_ms, made)


def _end(
    plan: Plan,
    history: tuple[Epoch, ...],
    found: "Checkpoint | None",
    told: "RememberedTrial | None",
    address: str,
) -> "End | None":
    """How a trial ended, as the study kept it; None where that is not known, so that it goes on."""
    from cluster.decisions import End

    last = history[-1].stop if history else None
    best = best_epoch(history, plan.order.base.direction)
    if told is not None and told.state is not None:
        state, reason, at_ms = told.state, told.reason, told.ended_at_ms
    elif last is None or plan.order.probe:
        return None
    else:
        diverged = last == "diverged"
        state, at_ms = "PRUNED" if diverged else "COMPLETE", history[-1].measured_at_ms
        reason = f"diverged in epoch {history[-1].number}" if diverged else "" if last == "max_epochs" else last
    second = plan.order.second_objective
    return End(
        state,
        best.value if best else None,
        (best.number if best else 0,),
        reason,
        # A pruner, a target or a probe that failed ends a trial as pruned, too, and says so.
        diverged=state == "PRUNED" and reason.startswith(("diverged", "out of memory", "its host ran out")),
        checkpoint=address if found is not None or (told is not None and told.has_checkpoint) else "",
        at_ms=at_ms,
        # What else its workers spent is not known to its end: the sweep's goodput begins anew.
        epochs_s=epochs_s(history) if found is not None else None,
        probed=_probed(told) if plan.order.probe and told is not None and told.probed else None,
        second=second.figure(told.probed) if second is not None and told is not None else None,
    )


def _probed(told: "RememberedTrial") -> dict[str, Any]:
    epoch, at_ms = told.probed_at
    return {"numbers": dict(told.probed), "best_epoch": epoch, "at_ms": at_ms}

"""Finds what is left of a sweep whose study is lost, so that nobody trains it again without knowing.

`sweep rebuild --study` gathers the trials here; `cluster/study/restore.py` makes the study again.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import addresses
from experiments.home import Home, kept_in
from experiments.planning import Plan
from lstm import ownership
from lstm.data.dataset import read_otherwise
from lstm.messages.message import Message, Note, Say, note
from lstm.records.epoch import Epoch, at, epochs_s
from lstm.records.errors import BadInput, fault, refused
from lstm.records.looks import LOOKS
from lstm.records.state import Derived
from lstm.records.sweep import PROBE_FACT
from lstm.storage import files

if TYPE_CHECKING:
    from cluster.decisions import End
    from cluster.study.restore import Known
    from dashboards.tracking.remembered import RememberedTrial
    from lstm.checkpoint import Checkpoint
    from lstm.config.trial import LossOn


@dataclass(frozen=True)
class Remains:
    """What is left of a sweep without its study."""

    study: str  # the study's id; "" if it is not known
    checkpoints: str  # their address; "" if there are none
    trials: int  # the number of trials with checkpoints
    runs: int  # the number of trials' runs in MLflow
    said_by: str = ""  # the mark file that names the study, if the home does not know that the sweep was run


def look(
    name: str, home: Home, tracking_uri: str, sweep_folders: list[str], *, of_any_home: bool = False
) -> Remains | None:
    """Return what is left of a sweep that was run from this home; None if nothing is left.

    Args:
        name: The sweep's name.
        home: The home where it was run.
        tracking_uri: The address of MLflow's store; "" if the environment lacks it.
        sweep_folders: Addresses below which studies of this name keep their checkpoints.
        of_any_home: Whether checkpoints marked by another home count too, if this home knows nothing of the sweep.

    Raises:
        BadInput: there are checkpoints of several studies, and nothing says which is meant.
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
    """A folder of checkpoints with a mark that names its study and home."""

    mark: ownership.Mark
    checkpoints: str
    trials: int

    @property
    def facts(self) -> dict[str, Any]:
        """The values for the message of a refusal."""
        return {"trials": self.trials, "study": self.mark.study, "home": self.mark.where}


def _marked(sweep_folders: list[str]) -> list[Marked]:
    """Return the marked folders at or directly below some folders that have trials."""
    places = [place for folder in sweep_folders for place in (folder, *_folders_in(folder))]
    marked = [(mark, place, _count(place)) for place in places if (mark := _mark(place)) is not None]
    return [Marked(mark, place, trials) for mark, place, trials in marked if trials]


def _folders_in(folder: str) -> list[str]:
    try:
        inner = sorted(files.names(folder))
    except OSError:  # reported when something is written there
        return []
    return [f"{folder}/{name}" for name in inner if not name.startswith(("trial-", "."))]


def _remains_of(found: Marked, name: str, home: Home, tracking_uri: str) -> Remains:
    study = found.mark.study
    runs, _ = _runs(name, study, home, tracking_uri)
    return Remains(study, found.checkpoints, found.trials, runs, f"{found.checkpoints}/{ownership.MARK}")


def refuse(plan: Plan) -> list[Note]:
    """Check that a sweep without a study may begin. Returns notes on checkpoints of other studies of its name.

    Raises:
        BadInput: the sweep was run from this home before, and something of it is left.
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
    """Return the error of a sweep whose study is lost. It names the spec's file if the home does not know the sweep."""
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
    """Return the number of trials that have files at an address."""
    try:
        return sum(name.startswith("trial-") and bool(files.names(f"{place}/{name}")) for name in files.names(place))
    except OSError:
        return 0


def _runs(name: str, study: str, home: Home, tracking_uri: str) -> tuple[int, str]:
    """Return how many runs of the sweep's trials MLflow has (0 if it does not answer), and their study's id."""
    from dashboards.tracking import runs

    if not tracking_uri or runs.missing_file(tracking_uri) is not None:
        return 0, study
    try:
        return runs.count_trials(runs.connect(tracking_uri), name, study)
    except Exception as error:  # stores have no common class of errors
        if not runs.is_outage(error):
            raise
        return 0, study


# --- Restoring --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """All that is known of the trials of a lost study."""

    known: tuple["Known", ...]
    facts: Mapping[str, Any]  # the study's facts on the trials' probes and on the looks at the test part
    notes: tuple[Message, ...]  # a note for each record that could not be read or used


def with_its_loss(plan: Plan, remains: Remains) -> Plan:
    """Return the plan with the loss that the sweep was begun with, read from a checkpoint or from a run in MLflow."""
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
        except Exception as error:  # stores have no common class of errors
            if not runs.is_outage(error):
                raise  # in an outage the plan stays as it is
    if loss_on is None:
        return plan
    return replace(plan, order=replace(plan.order, base=plan.order.base.model_copy(update={"loss_on": loss_on})))


def gather(plan: Plan, remains: Remains) -> Gathered:
    """Read the trials of a lost study from its checkpoints and MLflow; change nothing.

    Raises:
        BadInput: a checkpoint was trained on other data.
    """
    from dashboards.tracking import remembered, runs

    order, notes = plan.order, list[Message]()
    kept = dict(_checkpoints(plan, remains, notes.append))
    told: dict[int, remembered.RememberedTrial] = {}
    looked: list[dict[str, Any]] = []
    if runs.missing_file(plan.tracking_uri) is None:
        try:
            found = remembered.trials(plan.tracking_uri, order.name, remains.study, order.base.metric)
            told = {trial.number: trial for trial in found}
            looked = remembered.looks_of(plan.tracking_uri, order.name, remains.study)
        except Exception as error:  # stores have no common class of errors
            if not runs.is_outage(error):
                raise
            notes.append(note("ends-from-checkpoints", why=runs.cause(error)))
    numbers = sorted(kept.keys() | told.keys())
    known = _with_parents(_known(plan, remains, number, kept.get(number), told.get(number)) for number in numbers)
    facts = {} if order.probe else {f"{PROBE_FACT}{n}": _probed(trial) for n, trial in told.items() if trial.probed}
    return Gathered(known, facts | ({LOOKS: looked} if looked else {}), tuple(notes))


def _checkpoints(plan: Plan, remains: Remains, say: Say) -> Iterator[tuple[int, tuple[int, "Checkpoint"]]]:
    """Yield for each trial its number, the last attempt with a file, and its newest valid checkpoint."""
    from lstm import checkpoint

    for address in _trial_folders(remains):
        number = int(address.rpartition("/trial-")[2])
        found = checkpoint.load(address, say)
        if found is None:
            say(note("no-valid-checkpoint", at=address))
        elif found.study and found.study != remains.study:
            say(note("checkpoint-of-another-study-left-out", at=address, study=found.study))
        elif found.fingerprint != plan.series.fingerprint and not _fitted(found):
            raise refused("data-of-another-training", "data", at=plan.spec.document.path, trained=address)
        elif not _fitted(found) and (what := read_otherwise(plan.series, found.facts.get("reading"))):
            raise refused("data-read-otherwise", "data", at=plan.spec.document.path, what=what)
        elif differing := ownership.differing_fields(found.config.model_dump(), _resolved(plan, found)):
            say(note("checkpoint-of-another-configuration", at=address, fields=differing))
        else:
            yield number, (checkpoint.attempt(checkpoint.names(address)[-1]), found)


def _trial_folders(remains: Remains) -> list[str]:
    """Return the addresses of the trials' checkpoints."""
    names = files.names(remains.checkpoints) if remains.checkpoints else []
    return [f"{remains.checkpoints}/{name}" for name in sorted(names) if re.fullmatch(r"trial-\d+", name)]


def _resolved(plan: Plan, found: "Checkpoint") -> Mapping[str, Any]:
    """Return the configuration that this spec gives for the searched settings of a trained configuration."""
    from cluster.space import suggest
    from cluster.study import restore

    searched = plan.order.search.space if plan.order.search else {}
    changes = (found.derived or {}).get("changes")
    return suggest.resolve(plan.order.base, restore.settings_of(found.config, searched), changes).model_dump()


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
        history = told.history(metric)
    address = address_of(remains.checkpoints or plan.order.checkpoints, number)
    end = _end(plan, history, found, told, address)
    if told is None:
        derived = Derived(**found.derived) if found is not None and found.derived else None
        made = Decisions(derived) if derived else None
        return restore.Known(number, settings, history, end, attempt, made=made)
    made = Decisions(told.derived, base=told.is_base)
    attempt = max(attempt, told.attempt)
    return restore.Known(number, settings, history, end, attempt, told.worker, told.started_at_ms, made)


def _with_parents(known: "Iterable[Known]") -> "tuple[Known, ...]":
    """Return the trials; one that changes or fits another has that one's settings: a study keeps its changes apart."""
    found: dict[int, Known] = {}
    for each in known:  # in the order of their numbers, so a parent comes first
        derived = each.made.derived if each.made else None
        is_apart = derived is not None and bool(derived.changes or derived.fitted)
        parent = found.get(derived.parent) if is_apart and derived and derived.parent is not None else None
        found[each.number] = replace(each, settings=_asked(parent)) if parent else each
    return tuple(found.values())


def _asked(trial: "Known") -> Mapping[str, Any] | None:
    """Return the settings that the study had of a trial: none for the base, unless the search asked for them."""
    derived = trial.made.derived if trial.made else None
    return {} if derived and derived.purpose == "base" else trial.settings


def _end(
    plan: Plan,
    history: tuple[Epoch, ...],
    found: "Checkpoint | None",
    told: "RememberedTrial | None",
    address: str,
) -> "End | None":
    """Return how a trial ended, as the study kept it; None if that is not known, so that the trial is resumed."""
    from cluster.decisions import End

    windows, direction = plan.order.base.windows, plan.order.base.direction
    fitted = _fitted(found) if found is not None else {}
    judged = [*history] if fitted else windows.judged(history)  # a refit is over after its last epoch
    last = judged[-1].stop if judged and windows.is_over(judged[-1]) else None
    result = windows.result(judged, direction)
    if told is not None and told.state is not None:
        state, reason, at_ms = told.state, told.reason, told.ended_at_ms
    elif last is None or (plan.order.probe and not fitted):
        return None
    else:
        diverged = last == "diverged"
        state, at_ms = "PRUNED" if diverged else "COMPLETE", judged[-1].measured_at_ms
        usual = last == "max_epochs" or windows.count > 1
        reason = f"diverged in {at(judged[-1])}" if diverged else "" if usual else last
    second, after = plan.order.second_objective, int(((found and found.derived) or {}).get("after", 0))
    return End(
        state,
        result.value,
        result.best_epochs,
        reason,
        # A trial is also PRUNED by a pruner, a target or a failed probe. Then its reason has other words.
        diverged=state == "PRUNED" and reason.startswith(("diverged", "out of memory", "its host ran out")),
        checkpoint=address if found is not None or (told is not None and told.has_checkpoint) else "",
        at_ms=at_ms,
        # The rest of the workers' time is not known: the sweep's goodput starts from zero.
        epochs_s=epochs_s(judged[after:]) if found is not None else None,
        epochs=len(judged[after:]) if found is not None else None,
        probed=_probed(told) if plan.order.probe and told is not None and told.probed else None,
        second=second.figure(told.probed) if second is not None and told is not None else None,
    )


def _fitted(found: "Checkpoint") -> Mapping[str, Any]:
    """Return what a refit is fitted on, by its checkpoint; empty for any other trial."""
    fitted: Mapping[str, Any] = (found.derived or {}).get("fitted", {})
    return fitted


def _probed(told: "RememberedTrial") -> dict[str, Any]:
    epoch, at_ms = told.probed_at
    return {"numbers": dict(told.probed), "best_epoch": epoch, "at_ms": at_ms}

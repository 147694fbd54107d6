"""Open the study of a sweep: begun, continued, moved or restored, and checked against the order."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cluster.order import Order
from cluster.study import moved, restore, stored
from cluster.study.restore import Known
from cluster.study.stored import COMPARABLE
from cluster.study.study import Study
from lstm import checkpoint, ownership
from lstm.config.trial import TrialConfig
from lstm.data.dataset import READING, Dataset, read_otherwise, reading_of
from lstm.records.confirmation import remembered
from lstm.records.errors import BadInput, Fault, fault, refused
from lstm.records.events import DRIVERS, PARTS, About, Driver, driven, now_ms
from lstm.records.objective import RECORD
from lstm.records.sweep import FIRST_FROM, KEEPS_BASE, RECORDED_BEFORE, Sweep
from lstm.storage import disk, files
from lstm.storage.objects import unreadable, unwritable
from lstm.tasks import registry as tasks

# What `comparable` of experiments/spec calls a user's file, and a value that the environment fills in.
CODE, GIVEN = re.compile(r"the code in (.+), SHA-256,"), re.compile(r"(.+), which is (.+),")


def open_study(order: Order, series: Dataset) -> Study:
    """Open the sweep's study: create it, or check that it is the same sweep's.

    Raises:
        BadInput: a sweep of this name searched something else or used other data, another driver has just begun it, or
            its checkpoints can't be written.
    """
    study = Study(order.study_url, order.name, order.search, order.base)
    check_same(study.facts, order, series)
    if stored.unfinished_id_of(study.facts, order.study_url) not in ("", order.study_id):
        raise refused("sweep-begun-at-once", at=order.name)
    # First the study, then the folder's mark: a driver that is killed in between leaves no folder of an unknown study.
    study.remember(**_identity(order, study.facts))
    try:
        ownership.claim(order.checkpoints, order.ownership_mark)
    except OSError as error:
        raise BadInput(unwritable(order.checkpoints, error.strerror or str(error), at=order.name)) from None
    keeps_base = COMPARABLE not in study.facts or bool(study.facts.get(KEEPS_BASE))
    study.remember(**_facts(order, study, series, keeps_base=keeps_base))
    study.enqueue_first()
    return study


def _facts(order: Order, study: Study, series: Dataset, *, keeps_base: bool) -> dict[str, Any]:
    """Return what a study remembers about its sweep, in the order in which it is stored.

    `keeps_base` says whether the spec's own settings are a trial; a study that an earlier version began has none.
    """
    return {
        **_identity(order, study.facts),
        "spec_text": order.spec_text,
        "spec_hash": order.spec_hash,
        "data_fingerprint": series.fingerprint,
        **({READING: reading} if (reading := reading_of(series)) else {}),
        "base": json.loads(order.base.model_dump_json()),
        RECORD: tasks.record_of(order.base).row(),
        "n_trials": study.n_trials,
        "target": order.target,
        **({"second": list(study.second)} if study.second else {}),
        **study.windows.facts(),
        **({FIRST_FROM: dict(order.first_from)} if order.first_from else {}),
        "folder": order.folder,
        "checkpoints": order.checkpoints,
        "git_commit": order.git_commit,
        **about(order, series, study.facts),
        **({KEEPS_BASE: True} if order.search and keeps_base else {}),
        "complete": False,  # until a run has ended with all trials
        "recorded": False,  # until MLflow has everything, too
        **({RECORDED_BEFORE: None} if study.facts.get(RECORDED_BEFORE) else {}),
        stored.COMPARABLE: dict(order.comparable),  # last: a study that has this fact is complete
    }


def about(order: Order, series: Dataset, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a study remembers for MLflow's pages: the parts of its data, and who has driven it so far."""
    by = Driver(now_ms(), order.user, order.source, order.git_commit or "")
    # A sweep keeps what it was begun with: its file may have moved since.
    parts = known.get(PARTS) or [asdict(part) for part in tasks.data_parts(order.base, series, order.data_at)]
    return {PARTS: parts, DRIVERS: driven(known, by)}


def about_of(order: Order, series: Dataset, known: Mapping[str, Any]) -> About:
    """Return what MLflow's pages say of a sweep that is about to be driven; `known` is what its study knows."""
    base = {name: getattr(order.base, name) for name in ("task", "metric", "direction")}
    return About.of({"base": base, "n_trials": order.n_trials, **about(order, series, known)})


def restore_study(order: Order, series: Dataset, known: Sequence[Known], facts: Mapping[str, Any]) -> list[int]:
    """Make a lost study again; call it under the lease.

    Args:
        order: The sweep's order, with the study's id and the address of its checkpoints.
        series: The data.
        known: What is known about its trials.
        facts: Further facts for the study to remember.

    Returns:
        The numbers of the trials about which nothing is known.
    """
    stored.discard_unfinished(order.study_url, order.name)
    study = Study(order.study_url, order.name, order.search, order.base)
    derived = [each.made.derived for each in known if each.made and each.made.derived]
    is_newer = any(each.changes or each.fitted for each in derived)
    study.remember(**_identity(order, {stored.FORM: stored.FORMAT} if is_newer else {}))
    ownership.claim(order.checkpoints, order.ownership_mark)
    if ownership.mark_of(order.checkpoints) != order.ownership_mark:  # the study was kept elsewhere
        ownership.take_over(order.checkpoints, order.ownership_mark)
    unknown = restore.restore(study, known)
    keeps_base = study.base_trial() is not None
    study.remember(**{DRIVERS: [asdict(Driver(0))]})  # who drove it before was lost with it
    study.remember(**_facts(order, study, series, keeps_base=keeps_base))
    seed = order.search.sampler.seed if order.search else 0
    study.remember(**facts, **remembered(study.sweep(), seed))
    return unknown


def check_same(facts: Mapping[str, Any], order: Order, series: Dataset) -> None:
    """Check that a study is the study of this sweep.

    Raises:
        BadInput: it is not; the faults after the first say what changed.
    """
    if COMPARABLE not in facts:
        return
    changed = changes(facts, order, series)
    place = moved.checkpoints_of(facts, order.study_url, order.name) or order.checkpoints
    if place != order.checkpoints and _is_there(place):
        changed.append(fault("checkpoints-elsewhere", "storage.checkpoints", old=place, new=order.checkpoints))
    if changed:
        raise BadInput(fault("sweep-trained-otherwise", at=order.name), *changed)


def changes(facts: Mapping[str, Any], order: Order, series: Dataset) -> list[Fault]:
    """Return a fault for each setting, file of code or data that the trials of a study were trained with otherwise."""
    if COMPARABLE not in facts:
        return []
    changed = changed_settings(facts, order)
    dealt = any(each.path.startswith(("data.backtest", "data.split")) for each in changed)  # other folds follow from it
    if facts.get("data_fingerprint") != series.fingerprint:
        changed.append(fault("data-changed", "data"))
    elif (what := read_otherwise(series, facts.get(READING))) and not (dealt and what == ["folds"]):
        changed.append(fault("data-read-otherwise", "data", what=what))
    return changed


def changed_settings(facts: Mapping[str, Any], order: Order) -> list[Fault]:
    """Return a fault for each setting and file of code that the trials of a study were trained with otherwise."""
    old, new = facts[COMPARABLE], json.loads(json.dumps(dict(order.comparable)))
    return [
        _change(path, old, new) for path in sorted(old.keys() | new.keys()) if old.get(path, ...) != new.get(path, ...)
    ]


def _change(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Fault:
    """Return the fault of a field with another value, both values written as JSON, or of a user's changed file."""
    if path in old and path in new and (code := CODE.fullmatch(path)):
        return fault("code-changed", at=code[1], old=str(old[path])[:12], new=str(new[path])[:12])
    if path in old and path in new and (given := GIVEN.fullmatch(path)):
        return fault("environment-value-changed", given[1], written=given[2])
    if path not in old:
        return fault("setting-added", path, new=json.dumps(new[path]))
    if path not in new:
        return fault("setting-left-out", path, old=json.dumps(old[path]))
    return fault("setting-changed", path, old=json.dumps(old[path]), new=json.dumps(new[path]))


def as_begun(order: Order, facts: Mapping[str, Any], found: moved.Moved | None) -> Order:
    """Return the order of a sweep that was begun before, with its study's id and its checkpoints' present place.

    That place is the one before `found` is carried out. The loss is the one that the sweep was begun with.
    """
    study_id = str(facts.get("id", order.study_id))
    base = with_loss_of(order, facts).base
    where = moved.checkpoints_of(facts, order.study_url, order.name)
    # A copy of a sweep goes on in the folder of the study that it was copied from. Earlier versions had no folder for
    # each study.
    here = [*(f"{order.sweep_folder}/{each}" for each in (study_id, *_ancestors(facts))), order.sweep_folder]
    same = [place for place in here if disk.is_same(Path(place), Path(where))]
    begun_at = where if same or found is not None else next(filter(_has_trials, here), here[0 if where else -1])
    return replace(order, study_id=study_id, base=base, begun_at=begun_at, studies_before=_ancestors(facts))


def with_loss_of(order: Order, facts: Mapping[str, Any]) -> Order:
    """Return the order with the loss of the begun sweep: an earlier version's loss counts filled values, too."""
    loss_on = TrialConfig.model_validate(facts["base"]).loss_on
    return replace(order, base=order.base.model_copy(update={"loss_on": loss_on}))


def as_moved(order: Order, found: moved.Moved) -> Order:
    """Return the order of a moved sweep after its new place is stored."""
    before = order.studies_before
    if found.copied:
        before = (found.study_before, *before)
    return replace(order, study_id=found.study, begun_at=found.checkpoints, studies_before=before)


def write_down(url: str, name: str, found: moved.Moved, mark: ownership.Mark, place: str, **more: Any) -> None:
    """Store in a moved or copied study where it is and which study it is; call it under the lease.

    Args:
        url: The study's database.
        name: The sweep's name.
        found: What `moved.look` has found.
        mark: The study's new mark.
        place: The folder of the study; "" if it is not to be stored.
        more: Further facts to store.

    Raises:
        ForeignCheckpoint: the checkpoints belong to another study.
        OSError: they can't be read or written.
    """
    facts = stored.facts(url, name) or {}
    ancestors = [*([found.study_before] if found.copied else []), *facts.get("ancestors", ())]
    moved.carry_out(found, mark)
    # In this order: if the driver is killed in between, the study is still known to be moved.
    more |= {"checkpoints": found.checkpoints, "ancestors": list(dict.fromkeys(ancestors))}
    stored.remember(url, name, **more, id=found.study, **({moved.PLACE: place} if place else {}))


def check_checkpoints(order: Order, sweep: Sweep, found: moved.Moved | None) -> None:
    """Check that the checkpoints of a sweep that was begun before are its own, as far as they will be used.

    Raises:
        BadInput: they belong to another study, a newer version made them, or they can't be read.
    """
    try:
        mark = ownership.mark_of(order.checkpoints)
    except OSError as error:
        raise BadInput(unreadable(order.checkpoints, error)) from None
    # A driver that was killed while it made a copy its own may have left only the copy's mark.
    own = (order.study_id, *order.studies_before, *([found.study] if found else []))
    if mark is not None and mark.study not in own:
        ownership.refuse_another(order.checkpoints, order.study_id)
    for trial in sweep.trials:
        used = trial.state == "RUNNING" or (sweep.best is not None and trial.number == sweep.best.number)
        # An earlier version left no mark, so the folder may have been another study's.
        if used or (mark is None and trial.checkpoint):
            address = trial.checkpoint or checkpoint.address_of(order.checkpoints, trial.number)
            try:
                ownership.load(address, ownership.Owner.of(sweep, trial))
            except ownership.ForeignCheckpoint as error:
                raise BadInput(*error.faults, fault("folder-of-another-sweep", at=order.checkpoints)) from None
            except OSError as error:
                raise BadInput(unreadable(address, error)) from None


def _ancestors(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return ownership.studies_of(facts)[1:]


def _is_there(place: str) -> bool:
    return "://" in place or Path(place).is_dir()


def _has_trials(place: str) -> bool:
    try:
        return any(name.startswith("trial-") for name in files.names(place))
    except OSError:
        return False


def _identity(order: Order, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a study remembers first: the version of its form, its id, and its place."""
    least = stored.FORMAT if order.base.windows.count > 1 else stored.PLAIN_FORM
    return {
        stored.FORM: max(int(facts.get(stored.FORM, 0)), least),
        "id": order.study_id,
        **({moved.PLACE: order.place} if order.place else {}),  # after the id: a copy that stores it has its own id
    }

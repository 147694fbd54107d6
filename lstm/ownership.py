"""Ownership of checkpoints: the file that marks a study's folder, and the check that every loader makes.

Two studies may keep their checkpoints in the same place. Each has a folder of its own there, with a mark that names the
study. A checkpoint of another study or of another configuration is never loaded, replaced or removed.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from lstm import checkpoint
from lstm.checkpoint import Checkpoint
from lstm.messages.message import Say
from lstm.records.errors import BadInput, Fault, check_form, fault, refused
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.storage import files

FORMAT = 1
MARK = "study.json"  # the mark's file in the folder of a sweep's checkpoints


class ForeignCheckpoint(BadInput):
    """The error for checkpoints of another study or another configuration; they were not changed."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The owner of a folder of checkpoints."""

    study: str  # the study's id
    sweep: str  # the study's name
    where: str = ""  # where the study is kept and by whom, for people to read
    form: int = FORMAT  # the version of the mark's file format


@dataclass(frozen=True, slots=True)
class Owner:
    """The trial that a checkpoint must belong to."""

    studies: tuple[str, ...]  # the id of the trial's study, then the ids of the studies that it was copied from
    number: int  # the trial's number
    config: Mapping[str, Any]  # the trial's configuration, as `TrialConfig.model_dump` returns it
    fingerprint: str = ""  # the fingerprint of the sweep's data; "" if it is not known

    @classmethod
    def of(cls, sweep: Sweep, trial: Trial) -> "Owner":
        """Return the owner for a trial of a sweep."""
        return cls(
            studies_of(sweep.facts),
            trial.number,
            trial.config,
            str(trial.fitted.get("data") or sweep.facts.get("data_fingerprint") or ""),
        )


def studies_of(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the id of a study and the ids of the studies that it was copied from, read from the study's facts."""
    return (str(facts.get("id", "")), *map(str, facts.get("ancestors", ())))


def load(address: str, owner: Owner, broken: Say = lambda _: None) -> Checkpoint | None:
    """Load the newest valid checkpoint of a trial; None if there is none.

    Args:
        address: The trial's address.
        owner: The trial that the checkpoint must belong to.
        broken: Called with a message for each file that is damaged and skipped.

    Raises:
        ForeignCheckpoint: the checkpoint is of another study or trial, or of another configuration or other data.
        NewerForm: a newer version wrote the checkpoint.
        OSError: the store can't be read.
    """
    found = read(address, owner, broken)
    return found[1] if found else None


def read(address: str, owner: Owner, broken: Say = lambda _: None) -> tuple[bytes, Checkpoint] | None:
    """Load the newest valid checkpoint together with the bytes of its file; raises what `load` raises."""
    found = checkpoint.newest(address, broken)
    if found is not None:
        check(address, found[1], owner)
    return found


def load_trial(sweep: Sweep, trial: Trial, broken: Say = lambda _: None) -> Checkpoint | None:
    """Load the checkpoint of a sweep's trial; None if it has no valid one. Raises what `load` raises."""
    return load(trial.checkpoint, Owner.of(sweep, trial), broken) if trial.checkpoint else None


def check(address: str, found: Checkpoint, owner: Owner) -> None:
    """Check that a checkpoint belongs to an owner.

    Raises:
        ForeignCheckpoint: the checkpoint does not; the message says what differs.
    """
    if wrong := difference(address, found, owner):
        raise ForeignCheckpoint(wrong).at(address)


def difference(address: str, found: Checkpoint, owner: Owner) -> Fault | None:
    """Return a fault that says why a checkpoint does not belong to an owner, without its place; None if it does."""
    number, study = owner.number, owner.studies[0]
    if found.study:
        if found.study not in owner.studies:
            return fault("checkpoint-of-another-study", found=found.study, number=number, study=study)
        if found.number != number:
            return fault("checkpoint-of-another-trial", found=found.number, number=number)
    elif (mark := mark_of(address.rpartition("/")[0])) and mark.study not in owner.studies:
        return fault("checkpoint-under-another-mark", number=number, study=study, **_whose(mark))
    if owner.fingerprint and found.fingerprint != owner.fingerprint:
        data = owner.fingerprint[:12]
        return fault("checkpoint-of-other-data", found=found.fingerprint[:12], number=number, data=data)
    if differing := _differing(found.config.model_dump(), owner.config):
        was, must = [f"{path}={one!r}" for path, one, _ in differing], [f"{path}={two!r}" for path, _, two in differing]
        return fault("checkpoint-of-other-settings", number=number, found=was, settings=must)
    return None


def differing_fields(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return a text that lists the fields in which two configurations differ; "" if they are equal."""
    return ", ".join(f"{path}={first!r}, not {second!r}" for path, first, second in _differing(one, other))


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the fields that differ between two configurations, with both values; None for a field that is missing."""
    first, second = dict(_flat(one)), dict(_flat(other))
    both = ((path, first.get(path), second.get(path)) for path in sorted(first.keys() | second.keys()))
    return [each for each in both if each[1] != each[2]]


def _flat(tree: Mapping[str, Any], at: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in tree.items():
        flat += _flat(value, f"{at}{key}.") if isinstance(value, Mapping) else [(f"{at}{key}", value)]
    return flat


def mark_of(folder: str) -> Mark | None:
    """Read the mark in a folder of checkpoints; None if there is none.

    Raises:
        BadInput: the mark's content is not valid, or a newer version wrote it.
        OSError: the store can't be read.
    """
    data = files.get(folder, MARK)
    if data is None:
        return None
    try:
        row = json.loads(data)
        check_form(f"{folder}/{MARK}", int(row.pop("form")), FORMAT)
        return Mark(str(row["study"]), str(row["sweep"]), str(row["where"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise refused("mark-unreadable", at=f"{folder}/{MARK}") from None


def claim(folder: str, mark: Mark) -> None:
    """Mark a folder of checkpoints as a study's own, unless it has that mark already.

    Raises:
        ForeignCheckpoint: the folder belongs to another study.
        BadInput: the folder's mark can't be read.
        OSError: the store can't be written to.
    """
    refuse_another(folder, mark.study)
    if mark_of(folder) is None:
        if not files.create(folder, MARK, _bytes(mark)):
            refuse_another(folder, mark.study)  # another driver was faster
    elif place := files.folder_of(folder):
        for left in place.glob(f".{MARK}.*"):  # temporary files of a driver that was killed after it wrote the mark
            with suppress(OSError):
                left.unlink(missing_ok=True)


def take_over(folder: str, mark: Mark) -> None:
    """Replace the mark in a folder that is known to be this study's, such as a copy of another study's folder."""
    files.put(folder, MARK, _bytes(mark))


def refuse_another(folder: str, study: str) -> None:
    """Check that a folder of checkpoints has no mark of another study.

    Raises:
        ForeignCheckpoint: the folder has another study's mark.
        BadInput: the folder's mark can't be read.
        OSError: the store can't be read.
    """
    mark = mark_of(folder)
    if mark is not None and mark.study != study:
        raise ForeignCheckpoint(fault("folder-of-another-study", at=folder, study=study, **_whose(mark)))


def _whose(mark: Mark) -> dict[str, Any]:
    return {"sweep": mark.sweep, "found": mark.study, "where": mark.where}


def _bytes(mark: Mark) -> bytes:
    return (json.dumps(asdict(mark), indent=1) + "\n").encode()

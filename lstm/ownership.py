"""Whose checkpoints lie at an address: the mark of a study in its folder, and the check that every loader makes.

Two studies may be given one place for their checkpoints. Each has a folder of its own there, with a mark that names
the study. A checkpoint that is another study's, or another configuration's, is never loaded, replaced or removed.
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
MARK = "study.json"  # in the folder of a sweep's checkpoints


class ForeignCheckpoint(BadInput):
    """Checkpoints that are another study's or another configuration's; they were left as they are."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a folder of checkpoints is."""

    study: str  # the study's id
    sweep: str  # its name
    where: str = ""  # where the study is kept, and by whom, for people
    form: int = FORMAT


@dataclass(frozen=True, slots=True)
class Owner:
    """The trial that a checkpoint must be of."""

    studies: tuple[str, ...]  # the id of its study, and of those that the study was copied from
    number: int
    config: Mapping[str, Any]  # as `TrialConfig.model_dump` gives it
    fingerprint: str = ""  # of the sweep's data; "" where it is not known

    @classmethod
    def of(cls, sweep: Sweep, trial: Trial) -> "Owner":
        """A sweep's trial."""
        return cls(
            studies_of(sweep.facts),
            trial.number,
            trial.config,
            str(sweep.facts.get("data_fingerprint") or ""),
        )


def studies_of(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The id of a study and of those that it was copied from, by its facts."""
    return (str(facts.get("id", "")), *map(str, facts.get("ancestors", ())))


def load(address: str, owner: Owner, broken: Say = lambda _: None) -> Checkpoint | None:
    """The newest valid checkpoint of a trial; see `checkpoint.load`.

    Raises:
        ForeignCheckpoint: it is another study's, another trial's, or was trained with another configuration or data.
        NewerForm: a newer version wrote it.
        OSError: the store can't be read.
    """
    found = read(address, owner, broken)
    return found[1] if found else None


def read(address: str, owner: Owner, broken: Say = lambda _: None) -> tuple[bytes, Checkpoint] | None:
    """The same as `load`, with the bytes of the file."""
    found = checkpoint.newest(address, broken)
    if found is not None:
        check(address, found[1], owner)
    return found


def load_trial(sweep: Sweep, trial: Trial, broken: Say = lambda _: None) -> Checkpoint | None:
    """The checkpoint of a sweep's trial; None where it has none that is valid. Raises what `load` raises."""
    return load(trial.checkpoint, Owner.of(sweep, trial), broken) if trial.checkpoint else None


def check(address: str, found: Checkpoint, owner: Owner) -> None:
    """Whether a checkpoint is the owner's.

    Raises:
        ForeignCheckpoint: it is not; the message says in what.
    """
    if wrong := difference(address, found, owner):
        raise ForeignCheckpoint(wrong).at(address)


def difference(address: str, found: Checkpoint, owner: Owner) -> Fault | None:
    """In what a checkpoint is not the owner's, without its place; None where it is."""
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
    """Where two configurations differ; "" where they do not."""
    return ", ".join(f"{path}={first!r}, not {second!r}" for path, first, second in _differing(one, other))


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The fields that differ between two configurations, with both values; None stands for one that lacks."""
    first, second = dict(_flat(one)), dict(_flat(other))
    both = ((path, first.get(path), second.get(path)) for path in sorted(first.keys() | second.keys()))
    return [each for each in both if each[1] != each[2]]


def _flat(tree: Mapping[str, Any], at: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in tree.items():
        flat += _flat(value, f"{at}{key}.") if isinstance(value, Mapping) else [(f"{at}{key}", value)]
    return flat


def mark_of(folder: str) -> Mark | None:
    """The mark in a folder of checkpoints, None where there is none.

    Raises:
        BadInput: it can't be read, or a newer version made it.
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
    """Makes a folder of checkpoints a study's own, unless it is so already.

    Raises:
        ForeignCheckpoint: it is another study's.
        BadInput: its mark can't be read.
        OSError: the store can't be written to.
    """
    refuse_another(folder, mark.study)
    if mark_of(folder) is None:
        if not files.create(folder, MARK, _bytes(mark)):
            refuse_another(folder, mark.study)  # another driver was quicker
    elif place := files.folder_of(folder):
        for left in place.glob(f".{MARK}.*"):  # by a driver that was killed once the mark had its name
            with suppress(OSError):
                left.unlink(missing_ok=True)


def take_over(folder: str, mark: Mark) -> None:
    """Puts another mark into a folder that is surely this study's: a copy of another's."""
    files.put(folder, MARK, _bytes(mark))


def refuse_another(folder: str, study: str) -> None:
    """Whether a folder of checkpoints may be a study's.

    Raises:
        ForeignCheckpoint: it has another's mark.
    """
    mark = mark_of(folder)
    if mark is not None and mark.study != study:
        raise ForeignCheckpoint(fault("folder-of-another-study", at=folder, study=study, **_whose(mark)))


def _whose(mark: Mark) -> dict[str, Any]:
    return {"sweep": mark.sweep, "found": mark.study, "where": mark.where}


def _bytes(mark: Mark) -> bytes:
    return (json.dumps(asdict(mark), indent=1) + "\n").encode()

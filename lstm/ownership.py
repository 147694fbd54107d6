"""Whose checkpoints lie at an address: the mark of a study in its folder, and the check that every loader makes.

Two studies may be given one place for their checkpoints. Each has a folder of its own there, with a mark that names
the study. A checkpoint that is another study's, or another configuration's, is never loaded, replaced or removed.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from lstm import checkpoint
from lstm.checkpoint import Checkpoint
from lstm.records.errors import BadInput, check_form
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


def load(address: str, owner: Owner, broken: Callable[[str], None] = lambda _: None) -> Checkpoint | None:
    """The newest valid checkpoint of a trial; see `checkpoint.load`.

    Raises:
        ForeignCheckpoint: it is another study's, another trial's, or was trained with another configuration or data.
        NewerForm: a newer version wrote it.
        OSError: the store can't be read.
    """
    found = read(address, owner, broken)
    return found[1] if found else None


def read(address: str, owner: Owner, broken: Callable[[str], None] = lambda _: None) -> tuple[bytes, Checkpoint] | None:
    """The same as `load`, with the bytes of the file."""
    found = checkpoint.newest(address, broken)
    if found is not None:
        check(address, found[1], owner)
    return found


def load_trial(sweep: Sweep, trial: Trial, broken: Callable[[str], None] = lambda _: None) -> Checkpoint | None:
    """The checkpoint of a sweep's trial; None where it has none that is valid. Raises what `load` raises."""
    return load(trial.checkpoint, Owner.of(sweep, trial), broken) if trial.checkpoint else None


def check(address: str, found: Checkpoint, owner: Owner) -> None:
    """Whether a checkpoint is the owner's.

    Raises:
        ForeignCheckpoint: it is not; the message says in what.
    """
    if why := difference(address, found, owner):
        raise ForeignCheckpoint(f"{address}: is not trial {owner.number}'s checkpoint: {why}; it was left as it is")


def difference(address: str, found: Checkpoint, owner: Owner) -> str:
    """In what a checkpoint is not the owner's; "" where it is."""
    if found.study:
        if found.study not in owner.studies:
            return f"it is of the study {found.study}, this one is {owner.studies[0]}"
        if found.number != owner.number:
            return f"it is trial {found.number}'s"
    elif (mark := mark_of(address.rpartition("/")[0])) and mark.study not in owner.studies:
        return f"its folder is {_whose(mark)}, this study is {owner.studies[0]}"
    if owner.fingerprint and found.fingerprint != owner.fingerprint:
        return f"it was trained on other data ({found.fingerprint[:12]}, not {owner.fingerprint[:12]})"
    if differing := differing_fields(found.config.model_dump(), owner.config):
        return f"it was trained with {differing}"
    return ""


def differing_fields(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Where two configurations differ; "" where they do not."""
    first, second = dict(_flat(one)), dict(_flat(other))
    return ", ".join(
        f"{path}={first.get(path)!r}, not {second.get(path)!r}"
        for path in first.keys() | second.keys()
        if first.get(path) != second.get(path)
    )


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
        raise BadInput(
            f"{folder}/{MARK}: says whose the checkpoints in this folder are, and can't be read; restore it, or "
            "remove it if you are sure that they are this sweep's"
        ) from None


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
        raise ForeignCheckpoint(
            f"{folder}: these checkpoints are {_whose(mark)}, this study is {study}; nothing of them was changed. Give "
            "this spec another name, or another storage.checkpoints"
        )


def _whose(mark: Mark) -> str:
    where = f" in {mark.where}" if mark.where else ""
    return f"of the sweep {mark.sweep}, study {mark.study}{where}"


def _bytes(mark: Mark) -> bytes:
    return (json.dumps(asdict(mark), indent=1) + "\n").encode()

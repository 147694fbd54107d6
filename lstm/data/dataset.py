"""Types that the data of all tasks share: parts, scaling, and the facts that a checkpoint keeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

READING = "data_reading"  # the fact of a study with what was read from its data
DIGESTS = ("values", "times", "order", "labels", "folds")  # of a reading; all else in it says something to people
Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Scale:
    """The standardisation of values: `scaled = (value - mean) / deviation`, per value column."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about the training data that a network needs to read other data. Each task has its own subclass.

    A checkpoint contains the fields.
    """

    fingerprint: str  # identifies the data


@dataclass(frozen=True, slots=True)
class Before:
    """What a study knows of the data that its sweep was begun with."""

    fingerprint: str
    reading: Mapping[str, Any]  # what was read; empty in studies before 2026-11-30


@dataclass(frozen=True, slots=True)
class Whole:
    """All data of a file as the training part, for a refit. No part is left to judge anything."""

    data: "Dataset"  # its fingerprint is a digest of what is trained on
    unit: str  # what is counted: rows, sequences, characters or words
    count: int
    new: int  # those that were not there when the sweep began
    first: str = ""  # the time of the first and of the last row; "" without times
    last: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A window of newer rows that is held back: it is the validation part, and all before it the training part."""

    fresh: "Dataset"  # as a fit with new weights has the data: scaled by the training part
    warm: "Dataset"  # the same rows as a fit that goes on from a checkpoint has them: scaled as for the checkpoint
    count: int  # rows of the training part
    first: str  # the time of the window's first and of its last row, or its number without times
    last: str


@dataclass(frozen=True, slots=True)
class Warm:
    """All data of a file for a refit that may go on from a checkpoint, and windows of newer rows to judge that on."""

    fresh: Whole
    warm: Whole  # the same rows, scaled as for the checkpoint
    windows: tuple[Held, ...]  # in order; they share out the rows that are newer than the sweep
    seen: int  # rows that the checkpoint's network has learnt from


class Dataset(Protocol):
    """The data of any task, for code that only passes them on."""

    @property
    def fingerprint(self) -> str:
        """Identifier of the data. Different data have different fingerprints."""
        ...

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        ...


def reading_of(data: object) -> dict[str, Any]:
    """Return what was read from the data's file: digests, ends and columns; empty if the task does not say it."""
    return dict(getattr(data, "reading", {}))


def read_otherwise(data: object, before: Mapping[str, Any] | None) -> list[str]:
    """Return in what the data differ from what was read `before`; empty if the same was read.

    Versions before 2026-11-30 kept no reading. For them the codes of the notes are returned that say what they read
    otherwise in such a file.
    """
    if not before:
        return [*getattr(data, "otherwise", ())]
    now = reading_of(data)
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    shown = [name for name in changed if name not in DIGESTS]
    return [f"{name}: was {before.get(name)}, is {now.get(name)}" for name in shown] or changed

"""Types that the data of all tasks share: parts, scaling, and the facts that a checkpoint keeps."""

from dataclasses import dataclass
from typing import Literal, Protocol

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

"""What every task's data have: scale, shape, and the facts of them that a checkpoint keeps."""

from dataclasses import dataclass
from typing import Literal, Protocol

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How values were standardised: `scaled = (value - mean) / deviation`, per value column."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a network must know of the data that it was trained on, to judge others; each task has its own.

    A checkpoint holds their fields.
    """

    fingerprint: str  # tells these data from others


class Dataset(Protocol):
    """A task's data, as whoever carries them about has them."""

    @property
    def fingerprint(self) -> str:
        """Tells these data from others."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        ...

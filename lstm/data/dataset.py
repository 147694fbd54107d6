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
    """What a network must know of the data that it was trained on, to judge others."""

    targets: tuple[str, ...]  # what it forecasts, or the classes or symbols that it tells apart
    inputs: int
    futures: int
    scale: Scale
    season: int
    step: str
    fingerprint: str

    @classmethod
    def of(cls, data: "Dataset") -> "Facts":
        """The facts of a task's data."""
        return cls(data.targets, data.inputs, data.futures, data.scale, data.season, data.step, data.fingerprint)


class Dataset(Protocol):
    """A task's data as every task has them."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Columns to forecast, or the classes or symbols to tell apart."""
        ...

    @property
    def inputs(self) -> int:
        """Columns that the network sees."""
        ...

    @property
    def futures(self) -> int:
        """Columns that are known ahead."""
        ...

    @property
    def scale(self) -> Scale:
        """How the inputs' values were standardised."""
        ...

    @property
    def season(self) -> int:
        """Steps in a season; 1 where there is none."""
        ...

    @property
    def step(self) -> str:
        """The time between two steps, where there are times."""
        ...

    @property
    def fingerprint(self) -> str:
        """Tells these data from others."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        ...


class Shape(Protocol):
    """What a network must know of its data: a `Series` has it, and so have a checkpoint's `Facts`."""

    @property
    def inputs(self) -> int:
        """Columns that the network sees in its look-back."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Columns that it forecasts."""
        ...

    @property
    def futures(self) -> int:
        """Columns that are known ahead."""
        ...

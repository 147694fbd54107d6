"""Types for a task's answer to files that are given to `sweep new`: whether they are its data, and a drafted spec."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

EPOCH_STEPS = 10_000  # steps times batches of an epoch: about one second for an LSTM with 64 units on one core
MOST_TOLD = 12  # unused columns that are named

# A path is a file that was given. The spec names it relative to its own folder.
Value: TypeAlias = bool | int | float | str | Path | list["Value"] | dict[str, "Value"] | None


class Word(str):
    """A text that is a word of the spec's language (1h), which is written without quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Recognition:
    """The answer whether files are data of a task."""

    fits: bool
    why: str  # what was found in the files; if they don't fit, what the task needs


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a spec."""

    key: str
    value: Value
    why: str = ""  # the comment of the line


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment on a line of its own, about what was left out or could be set."""

    text: str
    why: str = ""


Lines = tuple[Line | Remark, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A spec for files, without its name and without how and where it runs."""

    data: Lines
    model: Lines
    training: Lines  # with max_epochs
    metric: Line
    direction: str
    first: tuple[dict[str, Value], ...]  # settings that are tried before the search draws any
    first_why: str
    space: Lines  # the dimensions by dotted path
    found: Mapping[str, str]  # what was found, for the screen: a word and a sentence each, in this order
    facts: Mapping[str, Any]  # what was found, as values for --json
    why: str = ""  # the comment after the task's name
    confirm: Line | None = None  # what is judged again when the search has ended; None: nothing

    @property
    def max_epochs(self) -> int:
        """The most epochs of a trial."""
        lines = (line for line in self.training if isinstance(line, Line) and line.key == "max_epochs")
        return next(line.value for line in lines if isinstance(line.value, int))


def fewer_batches(batches: int, steps: int) -> int | None:
    """Return the batches of an epoch if a pass of `batches` would take seconds, None if not.

    `steps` is the length of the longest training sequence.
    """
    most = max(25, EPOCH_STEPS // steps // 5 * 5)
    return most if batches > 1.5 * most else None


def left_out(columns: Mapping[str, str], show: Callable[[str], str]) -> Iterator[Remark]:
    """Yield a comment for each column that is left out, with the reason."""
    for name, why in [*columns.items()][:MOST_TOLD]:
        yield Remark(f"left out: {show(name)}, {why}")
    if (more := len(columns) - MOST_TOLD) > 0:
        yield Remark(f"left out: {more} more columns")


def integers(path: str, low: int, high: int, why: str = "", *, step: int | None = None, log: bool = False) -> Line:
    """Return a dimension of whole numbers."""
    ends: dict[str, Value] = {"type": "int", "low": low, "high": high}
    return Line(path, ends | ({"step": step} if step else {}) | ({"log": True} if log else {}), why)


def numbers(path: str, low: float, high: float, why: str = "") -> Line:
    """Return a dimension of numbers, drawn on a logarithmic scale."""
    return Line(path, {"type": "float", "low": low, "high": high, "log": True}, why)


def choices(path: str, values: list[Value], why: str = "") -> Line:
    """Return a dimension of listed values."""
    return Line(path, {"type": "categorical", "choices": values}, why)

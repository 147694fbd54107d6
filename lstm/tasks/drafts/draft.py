"""What a task says of files that `sweep new` is given: whether they are its data, and the spec that it drafts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

EPOCH_STEPS = 10_000  # steps times batches in an epoch: about a second of an LSTM of 64 units on one core
MOST_TOLD = 12  # columns that are left out, by name

# A path stands for a file that was given: the spec names it from its own folder.
Value: TypeAlias = bool | int | float | str | Path | list["Value"] | dict[str, "Value"] | None


class Word(str):
    """A text of a spec's own words (1h), which stands there without quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Recognition:
    """Whether files are what a task learns from."""

    fits: bool
    why: str  # what was seen in them; where they don't fit, what the task needs


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a spec."""

    key: str
    value: Value
    why: str = ""  # its comment


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment that takes a line of its own: what was left out, what could be said."""

    text: str
    why: str = ""


Lines = tuple[Line | Remark, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A spec for files, but for its name and for how and where it runs."""

    data: Lines
    model: Lines
    training: Lines  # with max_epochs
    metric: Line
    direction: str
    first: tuple[dict[str, Value], ...]  # settings that are tried before anything is drawn
    first_why: str
    space: Lines  # the dimensions by dotted path
    found: Mapping[str, str]  # for the screen: a word and a sentence each, in their order
    facts: Mapping[str, Any]  # the same as values, for --json
    why: str = ""  # the comment beside the task's name

    @property
    def max_epochs(self) -> int:
        """Epochs that a trial has at most."""
        lines = (line for line in self.training if isinstance(line, Line) and line.key == "max_epochs")
        return next(line.value for line in lines if isinstance(line.value, int))


def fewer_batches(batches: int, steps: int) -> int | None:
    """Batches in an epoch where a pass, of so many, would take seconds; None where it would not.

    `steps` are those of the longest sequence that is trained on.
    """
    most = max(25, EPOCH_STEPS // steps // 5 * 5)
    return most if batches > 1.5 * most else None


def left_out(columns: Mapping[str, str], show: Callable[[str], str]) -> Iterator[Remark]:
    """What is said of columns that are left out, each with its reason."""
    for name, why in [*columns.items()][:MOST_TOLD]:
        yield Remark(f"left out: {show(name)}, {why}")
    if (more := len(columns) - MOST_TOLD) > 0:
        yield Remark(f"left out: {more} more columns")


def integers(path: str, low: int, high: int, why: str = "", *, step: int | None = None, log: bool = False) -> Line:
    """A dimension of whole numbers."""
    ends: dict[str, Value] = {"type": "int", "low": low, "high": high}
    return Line(path, ends | ({"step": step} if step else {}) | ({"log": True} if log else {}), why)


def numbers(path: str, low: float, high: float, why: str = "") -> Line:
    """A dimension of numbers of any size, drawn by their logarithm."""
    return Line(path, {"type": "float", "low": low, "high": high, "log": True}, why)


def choices(path: str, values: list[Value], why: str = "") -> Line:
    """A dimension of a few values."""
    return Line(path, {"type": "categorical", "choices": values}, why)

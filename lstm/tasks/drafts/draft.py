"""What a task says of files that `sweep new` is given: whether they are its data, and the spec that it drafts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

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
        return next(line.value for line in self.training if isinstance(line, Line) and line.key == "max_epochs")  # type: ignore[return-value]


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

"""A line of what `sweep doctor` says: that something is good, or what is wrong with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from lstm.messages.message import Message, Note
from lstm.records.errors import Fault

Grade = Literal["good", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Line:
    """What was looked at, and what was found."""

    area: str  # one word
    good: str = ""  # what is good, in a sentence; "" if there is a message
    said: Message | None = None  # a fault: a sweep would fail; a note: it would run, and not as it could

    @property
    def grade(self) -> Grade:
        """How bad it is."""
        if self.said is None:
            return "good"
        return "wrong" if isinstance(self.said, Fault) else "warning"

    def row(self) -> dict[str, Any]:
        """Return the line as plain data."""
        return {"area": self.area, "grade": self.grade, **({"good": self.good} if self.good else {}), **self._said()}

    def _said(self) -> dict[str, Any]:
        return self.said.row() if self.said else {}

    def __str__(self) -> str:
        """Return the line for people, without its area and its grade."""
        return self.good or str(self.said)


def lines(area: str, said: Iterable[Fault | Note], good: str) -> list[Line]:
    """Return a line for each message; if there is none, the line that says what is good."""
    return [Line(area, said=each) for each in said] or [Line(area, good)]

"""The columns that give the time of an unknown table's rows, as they were found."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lstm.config.forecast import ForecastData, Split
from lstm.data.tables.timing.zones import Times


@dataclass(frozen=True, slots=True)
class Found:
    """The columns that give the time, and the times."""

    columns: tuple[str, ...]
    formats: tuple[str | None, ...]  # None: ISO 8601, a type of its own, or whole numbers that count steps
    times: Times
    why: str = ""  # why the times are those of a place
    others: Mapping[str, str] = field(default_factory=dict)  # columns that might be the time, each with why it is not
    beside: tuple[str, ...] = ()  # further columns of times of which all differ

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of `data` that read these times."""
        name = self.columns[0] if len(self.columns) == 1 else list(self.columns)
        found: dict[str, Any] = {"time": name}
        if any(self.formats):
            found["time_format"] = self.formats[0] if len(self.formats) == 1 else [*self.formats]
        return found | ({"time_zone": self.times.place} if self.times.place else {})


def section(columns: Sequence[str], forms: Sequence[str | None], **more: Any) -> ForecastData:
    """Return a section `data` that reads times from columns; its other fields don't matter."""
    given: Any = None
    if any(forms):
        given = forms[0] if len(forms) == 1 else [*forms]
    return ForecastData(
        time=columns[0] if len(columns) == 1 else list(columns),
        time_format=given,
        target="\0",
        lookback=1,
        horizon=1,
        split=Split(validation=1, test=1),
        **more,
    )


def apart(name: str) -> str:
    """Return a name in small letters, with a blank between its words: hour ending of HourEnding."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()

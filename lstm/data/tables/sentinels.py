"""Search for values far outside all others in a column, which often stand for missing values.

A reader takes -9999, 999.9 or 1e30 for numbers. One such number in the validation part makes up most of every trial's
loss, and then chance decides which trial is best. In the training part the number makes up most of the scale.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm.data.tables import reader
from lstm.data.tables.content import PLAIN, Form
from lstm.messages.message import Note, note

MOST = 5  # rounds of the search in a column
SAMPLE = 100_000  # values in which different ones are counted
LEAST = 0.05  # of the others' range: a nearer value is never far out
HUGE = 1e15  # no measurement is so large
BOUNDS = (2.0**15, 2.0**15 - 1, 2.0**16 - 1, 2.0**31, 2.0**31 - 1, 2.0**32 - 1)  # the last numbers of integer types


@dataclass(frozen=True, slots=True)
class Odd:
    """A value far outside all others in a column of a file."""

    path: Path
    column: str
    value: float
    others: tuple[float, float]  # the lowest and the highest of all other values
    rows: np.ndarray  # (occurrence,) row numbers of the value in the file, from 0


def find(path: Path, columns: Sequence[str], values: np.ndarray, base: np.ndarray | None = None) -> tuple[Odd, ...]:
    """Find values far outside all others in columns `(row, column)`. `base` (column,) was subtracted from `values`.

    A series with heavy tails also has a largest value far from the next one. So a value counts only if it is very far
    out, or less far out but looks like no measurement (all nines, the last number of an integer type) or occurs again
    and again.
    """
    columns_of = [_Column(values[:, n], 0.0 if base is None else float(base[n])) for n in range(len(columns))]
    first = [list(column.far()) for column in columns_of]
    # A value that stands for a missing one in one column does so in other columns, too, but may be less far out there.
    shared = {value for each in first for value in each}
    far = [[*each, *column.also(shared)] for column, each in zip(columns_of, first, strict=True)]
    return tuple(
        Odd(path, name, value, column.left(), column.rows(value))
        for name, column, each in zip(columns, columns_of, far, strict=True)
        for value in each
    )


def told(found: Odd, parts: Sequence[str], form: Form = PLAIN) -> Note | None:
    """A note on it; `parts` says of each row which part it is in, "" where it is in none."""
    counts = {part: parts.count(part) for part in ("training", "validation", "test") if part in parts}
    if not counts:
        return None
    first = next(row for row, part in zip(found.rows.tolist(), parts, strict=True) if part)
    low, high = found.others
    return note(
        "value-far-from-all-others",
        at=reader.place(found.path, first, form),
        column=found.column,
        value=found.value,
        rows=sum(counts.values()),
        parts=[f"{count:,} in the {part} part" for part, count in counts.items()],
        low=low,
        high=high,
    )


class _Column:
    """A column that is searched some rows at a time."""

    def __init__(self, values: np.ndarray, base: float) -> None:
        self._values, self._base = values, base
        some = values[:: max(len(values) // SAMPLE, 1)]
        self._different = len(np.unique(some[~np.isnan(some)])) if len(some) else 0
        self._known = sum(int((~np.isnan(values[rows])).sum()) for rows in reader.spans(len(values)))
        self._within = (-np.inf, np.inf)  # an open range without the values that were found

    def far(self) -> Iterator[float]:
        """Yield the values that are far out, on each side the outermost first."""
        for _ in range(MOST):
            low, high = self._between(*self._within)
            inner = self._between(low, high)
            if not inner[0] <= inner[1]:
                return
            if self._is_far(low, (inner[0], high)):
                self._within = (low, self._within[1])
                yield self._real(low)
            elif self._is_far(high, (low, inner[1])):
                self._within = (self._within[0], high)
                yield self._real(high)
            elif self._is_far(low, inner) and self._is_far(high, inner):  # one hides the other
                self._within = (low, high)
                yield from (self._real(low), self._real(high))
            else:
                return

    def also(self, values: set[float]) -> Iterator[float]:
        """Yield the lowest value if it is in `values`, is the only negative one, and occurs more than once."""
        low, high = self._between(*self._within)
        others = self._between(low, high)[0], high
        value, real = self._real(low), (self._real(others[0]), self._real(high))
        if value in values and value < 0 <= real[0] and _gap(value, real) > LEAST and len(self.rows(value)) > 1:
            self._within = (low, self._within[1])
            yield value

    def left(self) -> tuple[float, float]:
        """Return the lowest and the highest value that are not far out."""
        low, high = self._between(*self._within)
        return self._real(low), self._real(high)

    def rows(self, value: float) -> np.ndarray:
        """Return the row numbers of a value: (occurrence,)."""
        places = [
            rows.start + np.flatnonzero(_close(self._values[rows].astype(np.float64) + self._base, value, self._base))
            for rows in reader.spans(len(self._values))
        ]
        return np.concatenate(places) if places else np.empty(0, dtype=np.int64)

    def _real(self, value: float) -> float:
        return float(f"{value + self._base:.7g}") if self._base else float(value)

    def _between(self, above: float, below: float) -> tuple[float, float]:
        """Return the lowest and the highest value between two others, (inf, -inf) if there is none."""
        low, high = np.inf, -np.inf
        for rows in reader.spans(len(self._values)):
            some = self._values[rows]
            some = some[(some > above) & (some < below)]
            if len(some):
                low, high = min(low, float(some.min())), max(high, float(some.max()))
        return low, high

    def _is_far(self, value: float, others: tuple[float, float]) -> bool:
        value, others = self._real(value), (self._real(others[0]), self._real(others[1]))
        gap = _gap(value, others)
        if gap <= LEAST:
            return False
        nines = _nines(value)
        if nines > 2 or any(_close(np.float64(abs(value)), bound) for bound in BOUNDS):
            far = gap > 1 or others[0] >= 0 if value < 0 else gap > 5 or (gap > 1.5 and len(self.rows(value)) > 1)
        else:
            far = (nines == 2 and value < 0 and gap > 1) or (abs(value) >= HUGE and gap > 50)
        return far or (gap > 3 and self._different >= 5 and self._stands_alone(value, others, gap))

    def _stands_alone(self, value: float, others: tuple[float, float], gap: float) -> bool:
        """Return whether an ordinary number is far enough out. A number that occurs once must be further out."""
        count = len(self.rows(value))
        seldom = value < 0 <= others[0] or count < 0.05 * self._known  # else the value is one of two states
        return seldom and (gap > 50 or count > 1)


def _gap(value: float, others: tuple[float, float]) -> float:
    """Return the distance from a value to the nearest of the others, as a multiple of their range."""
    low, high = others
    return float(max(low - value, value - high) / (high - low)) if high > low else 0.0


def _nines(value: float) -> int:
    """Return the number of nines that a number of 99 or more is written with, 0 if it has another digit."""
    digits = f"{abs(value):.7g}".replace(".", "")
    return len(digits) if abs(value) >= 99 and set(digits) == {"9"} else 0


def _close(values: np.ndarray | np.float64, value: float, base: float = 0.0) -> np.ndarray:
    """Return which values equal a value within float32's precision, if they were stored minus a base."""
    return np.asarray(np.abs(values - value) <= 3e-7 * max(abs(value), abs(base)))

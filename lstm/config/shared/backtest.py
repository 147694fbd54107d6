"""The section `data.backtest`: several windows that take the place of one validation part.

A window is a stretch of a series or of a text, or a fold of labelled sequences. A trial is judged on each of them.
"""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lstm.config.section import Section, Since
from lstm.records.errors import Fault, fault, refused

AT = "data.backtest"


class Backtest(Section):
    """Windows of time, one after another up to the test part. A trial is judged on each of them."""

    windows: int = Field(
        4,
        ge=2,
        le=100,
        description="Number of windows. A trial's value is the mean over all windows, each at its own best epoch.",
    )
    length: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Steps in a window, at least data.horizon. The windows lie at the end of the validation part; the "
        "steps before them are trained on. Absent: the windows share out the validation part evenly.",
    )
    refit: bool = Field(
        True,
        description="true: train each window anew, from the same seed, on all steps before it. false: train for the "
        "first window only, and judge its best epoch on the others.",
    )

    @property
    def all_windows(self) -> int:
        """The number of windows, with those that are set aside."""
        return self.windows

    @property
    def aside(self) -> int | None:
        """The number of windows that are set aside, or None."""
        return self.all_windows - self.windows or None

    def spans(self, first: int, end: int, unit: str = "steps") -> tuple[tuple[int, int], ...]:
        """Return the first place and the end of each window in a validation part from `first` to `end`.

        The windows that are set aside are the last ones.

        Raises:
            BadInput: the windows do not fit into the part. The message counts in `unit`.
        """
        count, length = self.all_windows, self.length
        if count * (length or 1) > end - first:
            raise refused("windows-do-not-fit", AT, **self.misfit(end - first, unit))
        if length is None:
            borders = [first + (end - first) * each // count for each in range(count + 1)]
        else:
            borders = [end - count * length + length * each for each in range(count + 1)]
        return tuple(itertools.pairwise(borders))

    def misfit(self, rows: int, unit: str) -> dict[str, Any]:
        """Return the sizes of windows that do not fit into a part of so many rows, for the message."""
        length = self.length or 1
        sizes = {"windows": self.all_windows, "length": length, "wanted": self.all_windows * length, "rows": rows}
        return {**sizes, "unit": unit, "aside": self.aside}


class SeriesBacktest(Backtest):
    """Windows of time, some of which may be set aside. A trial is judged on the others."""

    fresh: Annotated[bool, Since("2026-11-30")] = Field(
        False,
        description="true: as many windows again are set aside, after those of the search. No trial of the search sees "
        "them: `search.confirm` and `sweep confirm` judge on them. false: the search has all windows.",
    )

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `fresh` if nothing is set aside: such a backtest stays what it was before there was the field."""
        tree: dict[str, Any] = write(self)
        return {name: value for name, value in tree.items() if name != "fresh" or value}

    @property
    def all_windows(self) -> int:
        """The number of windows, with those that are set aside."""
        return self.windows * (1 + self.fresh)


class TextBacktest(Backtest):
    """Stretches of a text, one after another up to the test part. Each is a window that a trial is judged on."""

    length: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Symbols in a window. The windows lie at the end of the validation part; the symbols before them "
        "are trained on. Absent: the windows share out the validation part evenly.",
    )
    refit: bool = Field(
        True,
        description="true: train each window anew, from the same seed, on all text before it. false: train for the "
        "first window only, and judge its best epoch on the others.",
    )


class Folds(Section):
    """Folds for cross-validation. Each is a window that a trial is judged on."""

    folds: int = Field(
        ge=2,
        le=100,
        description="Number of folds: all sequences but those of the test part are dealt out, with equal shares per "
        "class, from data.split.seed. Each fold is a window: it is judged by a network that is trained anew, from the "
        "same seed, on the other folds. A trial's value is the mean over all folds, each at its own best epoch.",
    )


def backtest_faults(backtest: SeriesBacktest | None, horizon: int, validation: object) -> Iterator[Fault]:
    """Yield the faults of windows that are too short for a forecast or do not fit into the validation part."""
    if backtest is None or backtest.length is None:
        return
    if backtest.length < horizon:
        yield fault("window-shorter-than-horizon", f"{AT}.length", length=backtest.length, horizon=horizon)
    if isinstance(validation, int) and backtest.all_windows * backtest.length > validation:
        yield Fault("windows-do-not-fit", AT, values=backtest.misfit(validation, "steps"))

"""The section `data.backtest`: several windows that take the place of one validation part.

A window is a stretch of a series or of a text, or a fold of labelled sequences. A trial is judged on each of them.
"""

import itertools
from collections.abc import Iterator

from pydantic import Field

from lstm.config.section import Section
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

    def spans(self, first: int, end: int, unit: str = "steps") -> tuple[tuple[int, int], ...]:
        """Return the first place and the end of each window in a validation part from `first` to `end`.

        Raises:
            BadInput: the windows do not fit into the part. The message counts in `unit`.
        """
        count, length = self.windows, self.length
        if count * (length or 1) > end - first:
            sizes = {"windows": count, "length": length or 1, "wanted": count * (length or 1), "unit": unit}
            raise refused("windows-do-not-fit", AT, rows=end - first, **sizes)
        if length is None:
            borders = [first + (end - first) * each // count for each in range(count + 1)]
        else:
            borders = [end - count * length + length * each for each in range(count + 1)]
        return tuple(itertools.pairwise(borders))


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


def backtest_faults(backtest: Backtest | None, horizon: int, validation: object) -> Iterator[Fault]:
    """Yield the faults of windows that are too short for a forecast or do not fit into the validation part."""
    if backtest is None or backtest.length is None:
        return
    if backtest.length < horizon:
        yield fault("window-shorter-than-horizon", f"{AT}.length", length=backtest.length, horizon=horizon)
    wanted = backtest.windows * backtest.length
    if isinstance(validation, int) and wanted > validation:
        named = {"windows": backtest.windows, "length": backtest.length, "wanted": wanted, "rows": validation}
        yield Fault("windows-do-not-fit", AT, values=named | {"unit": "steps"})

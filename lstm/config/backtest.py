"""The section `data.backtest`: several windows of time that take the place of one validation part."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lstm.config.section import Section, Since
from lstm.records.errors import Fault, fault


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


def backtest_faults(backtest: Backtest | None, horizon: int, validation: object) -> Iterator[Fault]:
    """Yield the faults of windows that are too short for a forecast or do not fit into the validation part."""
    if backtest is None or backtest.length is None:
        return
    if backtest.length < horizon:
        yield fault("window-shorter-than-horizon", "data.backtest.length", length=backtest.length, horizon=horizon)
    wanted = backtest.all_windows * backtest.length
    if isinstance(validation, int) and wanted > validation:
        named: dict[str, int | None] = {
            "windows": backtest.all_windows,
            "length": backtest.length,
            "wanted": wanted,
            "rows": validation,
        }
        named |= {"aside": backtest.windows if backtest.fresh else None}
        yield Fault("windows-do-not-fit", "data.backtest", values=named)

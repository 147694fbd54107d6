"""The section `data.backtest`: several windows of time that take the place of one validation part."""

from collections.abc import Iterator

from pydantic import Field

from lstm.config.section import Section
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


def backtest_faults(backtest: Backtest | None, horizon: int, validation: object) -> Iterator[Fault]:
    """Yield the faults of windows that are too short for a forecast or do not fit into the validation part."""
    if backtest is None or backtest.length is None:
        return
    if backtest.length < horizon:
        yield fault("window-shorter-than-horizon", "data.backtest.length", length=backtest.length, horizon=horizon)
    wanted = backtest.windows * backtest.length
    if isinstance(validation, int) and wanted > validation:
        named = {"windows": backtest.windows, "length": backtest.length, "wanted": wanted, "rows": validation}
        yield Fault("windows-do-not-fit", "data.backtest", values=named)

"""Which rows of a time series are in the training, validation and test part, and in each window of a backtest."""

import itertools

import pandas as pd

from lstm.config.forecast import Border, ForecastData
from lstm.data.dataset import Part
from lstm.data.tables import regular
from lstm.records.errors import refused

SPLIT = "data.split"


Rows = tuple[int, int]  # the first one and the end


def bounds_of(
    config: ForecastData, source: regular.Table, held_back: int | None = None
) -> tuple[dict[Part, Rows], tuple[Rows, ...], tuple[Rows, ...]]:
    """Return the rows of each part, of each window of the backtest, and of each that is set aside.

    With `held_back` they are those of a refit, which has no windows; see `whole`.

    Raises:
        BadInput: what `parts`, `windows_of` and `whole` raise.
    """
    if held_back is not None:
        return whole(config, source, held_back), (), ()
    bounds = parts(config, source)
    every = windows_of(config, bounds)
    windows, fresh = every[: config.judged_windows], every[config.judged_windows :]
    if windows:
        bounds |= {"train": (bounds["train"][0], windows[0][0]), "validation": (windows[0][0], windows[-1][1])}
    return bounds, windows, fresh


def parts(config: ForecastData, source: regular.Table) -> dict[Part, tuple[int, int]]:
    """Return the rows (first, end) of each part, as `Split` describes them.

    Raises:
        BadInput: the split does not fit the table.
    """
    split, rows = config.split, len(source.values)
    if isinstance(split.validation, str):
        validation = _row_of(split.validation, "validation", source)
        test = _row_of(str(split.test), "test", source)
        start = _row_of(str(split.train), "train", source) if split.train else 0
        borders = [start, validation, test, rows]
    else:
        sizes = [_rows(border, rows) for border in (split.validation, split.test)]
        if sum(sizes) >= rows:
            raise refused("split-leaves-no-training", SPLIT, wanted=sum(sizes), rows=rows, file=str(source.path))
        if split.train is None:
            borders = [0, rows - sum(sizes), rows - sizes[1], rows]
        else:
            train = _rows(split.train, rows)
            borders = [0, train, train + sizes[0], train + sum(sizes)]
    if borders[-1] > rows + (isinstance(split.validation, float)):
        raise refused("split-beyond-file", SPLIT, wanted=borders[-1], rows=rows, file=str(source.path))
    borders[-1] = min(borders[-1], rows)
    if any(a >= b for a, b in itertools.pairwise(borders)):
        starts = dict(zip(("train", "validation", "test", "end"), (max(border, 0) for border in borders), strict=True))
        raise refused("split-out-of-order", SPLIT, **starts)
    return {
        "train": (borders[0], borders[1]),
        "validation": (borders[1], borders[2]),
        "test": (borders[2], borders[3]),
    }


def whole(config: ForecastData, source: regular.Table, held_back: int = 0) -> dict[Part, tuple[int, int]]:
    """Return the rows (first, end) of the parts if all rows are trained on, from where the training part begins.

    The last `held_back` rows are the validation part.

    Raises:
        BadInput: the training part begins at a time that the table does not have.
    """
    rows, first = len(source.values), config.split.train
    start = _row_of(first, "train", source) if isinstance(first, str) else 0
    return {"train": (start, rows - held_back), "validation": (rows - held_back, rows), "test": (rows, rows)}


def windows_of(config: ForecastData, bounds: dict[Part, tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the rows (first, end) of each window of the backtest; () without one. The last ends at the test part.

    The windows that are set aside are the last ones.

    Raises:
        BadInput: the windows do not fit into the validation part, or a window is shorter than the horizon.
    """
    if config.backtest is None:
        return ()
    (first, end), count = bounds["validation"], config.backtest.all_windows
    shortest = config.backtest.length or (end - first) // count
    if shortest < config.horizon:
        named = {"rows": end - first, "windows": count, "shortest": shortest, "horizon": config.horizon}
        most = (end - first) // config.horizon // (1 + config.backtest.fresh)
        raise refused("windows-too-short", "data.backtest", most=most, aside=config.backtest.aside, **named)
    return config.backtest.spans(first, end)


def _rows(border: Border, rows: int) -> int:
    return round(border * rows) if isinstance(border, float) else int(border)


def _row_of(text: str, part: str, source: regular.Table) -> int:
    if not isinstance(source.times, pd.DatetimeIndex):
        raise refused("split-needs-times", f"{SPLIT}.{part}", value=text)
    try:
        time = pd.Timestamp(text)
    except ValueError:
        raise refused("split-not-a-time", f"{SPLIT}.{part}", value=text) from None
    time = time.tz_convert("UTC").tz_localize(None) if time.tzinfo else time
    if not source.times[0] <= time <= source.times[-1]:
        span = {"first": str(source.times[0]), "last": str(source.times[-1])}
        raise refused("split-outside-data", f"{SPLIT}.{part}", value=text, **span)
    return int(source.times.searchsorted(time))

"""All rows of a series as the training part, for a refit; the file may have newer rows than the sweep has seen.

A warm refit goes on from a checkpoint. Whether that is better than a fresh one is judged on windows of the newer rows,
which share these out: neither the search nor the checkpoint has seen them.
"""

import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lstm.config.forecast import ForecastData
from lstm.data.dataset import Before, Held, Warm, Whole, read_otherwise
from lstm.data.forecast import Series, SeriesFacts, prepare
from lstm.data.tables import regular
from lstm.data.tables.content import Form
from lstm.data.tables.digests import as_bytes, sha, sha_of_times
from lstm.data.tables.timing.steps import offset_of
from lstm.records.errors import refused

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
TIME = re.compile(DAY.pattern + r"([T ]\d{2}:\d{2}.*)?")


MOST = 4  # windows of newer rows, which are also the fewest that a claim of "better" needs

Penalties = Callable[[Series], tuple[float | None, ...]]


def load(
    config: ForecastData, path: Path, reach: int, before: Before, until: str | None, penalties: Penalties | None
) -> Whole:
    """Read all rows of a series as the training part.

    Args:
        config: How the file is read; its look-back is that of the trial to fit again.
        path: The file.
        reach: The longest look-back of the sweep.
        before: What the sweep was begun with.
        until: The time of the last row to train on; None for all.
        penalties: Returns the penalties of a linear highway for the sweep's own data: split, without newer rows. None
            if there is no such highway.

    Raises:
        BadInput: the file is wrong, its old rows have changed, or `until` is no time within them or leaves too little.
    """
    table, old, stop = _read(config, path, before, until)
    series = prepare(_first(table, stop), config, config.lookback, held_back=0)
    if penalties is not None:
        series = replace(series, penalties=penalties(prepare(_first(table, old), config, reach)))
    return _whole(series, config, old, stop)


def load_warm(
    config: ForecastData,
    path: Path,
    reach: int,
    before: Before,
    until: str | None,
    penalties: Penalties | None,
    facts: SeriesFacts,
    window: int,
) -> Warm:
    """Read all rows of a series, and windows of the newer ones to judge on.

    The first arguments are those of `load`. `facts` are what the checkpoint to go on from has kept of its data, of
    which it keeps scale and season, and `window` is the window of a backtest that its network has learnt for.

    Raises:
        BadInput: what `load` raises, or there are too few newer rows to judge on.
    """
    table, old, stop = _read(config, path, before, until)
    new = stop - old
    if new < config.horizon:
        raise refused("warm-without-new-rows", at=path, new=max(new, 0), horizon=config.horizon)
    swept = prepare(_first(table, old), config, reach)
    found = penalties(swept) if penalties is not None else ()

    def both(end: int, held_back: int) -> tuple[Series, Series]:
        given = (_first(table, end), config, config.lookback)
        fresh = replace(prepare(*given, held_back=held_back), penalties=found)
        warm = replace(prepare(*given, held_back=held_back, scale=facts.scale), season=facts.season)
        return fresh, warm

    count = min(MOST, new // config.horizon)
    borders = [old + new * each // count for each in range(count + 1)]
    windows = tuple(_held(*both(end, end - first), config, path) for first, end in itertools.pairwise(borders))
    fresh, warm = both(stop, 0)
    if window > len(swept.windows):  # the weights are those of the training before the test part
        window += len(swept.fresh)
    start, end = swept.at_window(window).bounds["train"]
    return Warm(_whole(fresh, config, old, stop), _whole(warm, config, old, stop), windows, end - start)


def _read(config: ForecastData, path: Path, before: Before, until: str | None) -> tuple[regular.Table, int, int]:
    """Read a series; return it, how many of its steps the sweep was begun with, and the end of those to train on.

    Raises what `load` raises.
    """
    table = regular.read(config, path)
    old = _steps_before(table, config, path, before)
    stop = len(table.values) if until is None else _end(table, until)
    if until is not None and stop < config.lookback + config.horizon:
        needed = {"lookback": config.lookback, "horizon": config.horizon}
        raise refused("until-too-early", at=f"--until {until}", rows=stop, **needed)
    return table, old, stop


def _whole(series: Series, config: ForecastData, old: int, stop: int) -> Whole:
    start, end = series.bounds["train"]
    named = (_named(series, start), _named(series, end - 1)) if config.time_columns else ("", "")
    return Whole(replace(series, fingerprint=_digest(series)), "rows", end - start, max(stop - old, 0), *named)


def _held(fresh: Series, warm: Series, config: ForecastData, path: Path) -> Held:
    """Return a window that is held back.

    Raises:
        BadInput: no forecast can be judged in it.
    """
    (start, first), (_, end) = fresh.bounds["train"], fresh.bounds["validation"]
    span = (_named(fresh, first), _named(fresh, end - 1))
    if not len(fresh.origins("validation", config)):
        raise refused("warm-without-forecast", at=path, first=span[0], last=span[1], horizon=config.horizon)
    made = [replace(each, fingerprint=_digest(each)) for each in (fresh, warm)]
    return Held(made[0], made[1], first - start, *span)


def _named(series: Series, row: int) -> str:
    """Return the time of a row, or its number without times."""
    return str(series.times[row : row + 1][0])[:19].removesuffix("T00:00:00")


def _first(table: regular.Table, steps: int) -> regular.Table:
    """Return the first steps of a table; the others leave no trace, not even in what is said of values far outside."""
    if steps == len(table.values):
        return table
    return replace(table, times=table.times[:steps], values=table.values[:steps].copy(), odd=())


def _steps_before(table: regular.Table, config: ForecastData, path: Path, before: Before) -> int:
    """Return how many steps of a table the sweep was begun with.

    Raises:
        BadInput: they are others, or it is not known which they were.
    """
    known = before.reading
    if table.fingerprint == before.fingerprint:
        if what := read_otherwise(table, known):
            raise refused("data-read-otherwise", "data", at=path, what=what)
        return len(table.values)
    if not known:
        raise refused("old-rows-unknown", "data", at=path)
    wanted = {"values": known["values"], "times": known["times"]}
    alike = all(table.reading[name] == known[name] for name in ("step", "columns", "rules"))
    if not alike or _beginning(config, path, int(known["rows"])) != wanted:
        raise refused("old-rows-changed", "data", at=path, count=int(known["rows"]), unit="rows")
    return int(known["steps"])


def _beginning(config: ForecastData, path: Path, rows: int) -> dict[str, str]:
    """Return the digests of a file's first rows, as `Table.reading` has them.

    Empty if the file has fewer rows, or if a row after them is not later than all of them.
    """
    raw = regular.read_rows(path, config, Form.of(config))
    index = raw.times.index if raw.times else None
    if len(raw.values) < rows or (index is not None and len(index) > rows and index[rows:].min() <= index[:rows].max()):
        return {}
    return {"values": sha(raw.values[:rows]), "times": sha_of_times(None if index is None else index[:rows])}


def _end(table: regular.Table, until: str) -> int:
    """Return the row after the last one that is not later than a time.

    Raises:
        BadInput: it is no time, can be read in two ways, or is not between the first and the last row.
    """
    at, times = f"--until {until}", table.times
    first, last = times[0], times[-1]
    if not isinstance(times, pd.DatetimeIndex):
        if not re.fullmatch(r"-?\d{1,18}", until):
            raise refused("until-not-a-number", at=at, first=int(first), last=int(last))
        wanted: Any = int(until)
    else:
        wanted = _time(until, times, table.step)
    if not first <= wanted <= last:
        raise refused("until-outside-data", at=at, first=str(first), last=str(last))
    return int(times.searchsorted(wanted, side="right"))


def _time(until: str, times: pd.DatetimeIndex, step: str) -> pd.Timestamp:
    try:
        found = pd.Timestamp(until) if TIME.fullmatch(until) else None
    except ValueError:
        found = None
    if not isinstance(found, pd.Timestamp):
        raise refused("until-not-a-time", at=f"--until {until}", last=str(times[-1]))
    if DAY.fullmatch(until) and times[0] + offset_of(step) < times[0] + pd.Timedelta(days=1):
        ends = times[times < found + pd.Timedelta(days=1)]
        last = str(ends[-1]) if len(ends) else f"{until}T23:59"
        raise refused("until-is-a-day", at=f"--until {until}", first=f"{until}T00:00", last=last.replace(" ", "T"))
    return found.tz_convert("UTC").tz_localize(None) if found.tzinfo else found


def _digest(series: Series) -> str:
    """Return the SHA-256 of what a refit is trained on: scaled values, what was missing, scale and times."""
    ends = [str(series.times[row : row + 1][0]) for row in (0, len(series.values) - 1)]
    said = (series.values.shape, series.bounds["train"], series.scale, ends, series.step, series.penalties)
    digest = hashlib.sha256(repr(said).encode())
    digest.update(as_bytes(series.values))
    digest.update(as_bytes(np.packbits(series.holes)) if series.holes is not None else b"")
    return digest.hexdigest()

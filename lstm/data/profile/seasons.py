"""Search for the seasons of a series, its trend, and the calendar features that it follows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lstm.config.forecast import CalendarFeature
from lstm.data.tables.regular import Table, season_lengths
from lstm.data.tables.timing import steps as table_steps

MIN_STRENGTH = 0.3  # autocorrelation from which a season counts as found
LONGER_BY = 0.1  # by how much a longer season must be stronger: a day's season shows at a week's lag, too
MAX_STEPS = 20_000  # the most recent steps, which are enough to find a cycle
NAMES = ("day", "week", "year")  # of SEASONS_S


@dataclass(frozen=True, slots=True)
class Season:
    """A length after which the target may repeat itself."""

    name: str  # day, week, year, or cycle if it was found without a calendar
    steps: int
    strength: float  # autocorrelation at this lag without the trend: 1 repeats exactly, 0 not at all


def find(source: Table, values: np.ndarray) -> Iterator[Season]:
    """Yield day, week and year in steps, if the series has at least two of them.

    If the series has no times, or steps of about a year, the clearest cycle is searched for.
    """
    series = pd.Series(values).interpolate(limit_direction="both").to_numpy()
    found = False
    if isinstance(source.times, pd.DatetimeIndex):
        step_s = table_steps.seconds(source.times, source.step)
        for name, length in zip(NAMES, season_lengths(source), strict=True):
            if length >= 2 and 2 * length <= len(series):
                yield Season(name, length, _strength(series, length))
        found = step_s < 300 * 86_400  # shorter steps follow the calendar, so no other cycle is searched for
    if not found and (steps := _cycle(series)):
        yield Season("cycle", steps, _strength(series, steps))


def strongest(seasons: Sequence[Season]) -> Season | None:
    """Return the strongest season, None if no season is strong. A longer season must be clearly stronger."""
    best: Season | None = None
    for season in seasons:
        if season.strength >= MIN_STRENGTH and (best is None or season.strength > best.strength + LONGER_BY):
            best = season
    return best


def calendar_of(source: Table, seasons: Sequence[Season]) -> tuple[CalendarFeature, ...]:
    """Return the calendar features of the strong seasons. A year gives its day, or its month if steps are months."""
    strong = {season.name: season.steps for season in seasons if season.strength >= MIN_STRENGTH}
    found: list[CalendarFeature] = []
    if "day" in strong:
        found.append("hour_of_day")
    if "week" in strong:
        found.append("day_of_week")
    if "year" in strong:
        found.append("month_of_year" if strong["year"] <= 12 else "day_of_year")
    return tuple(found) if isinstance(source.times, pd.DatetimeIndex) else ()


def trend_of(values: np.ndarray) -> float:
    """Return the share of the variance that a straight line explains, 0 to 1."""
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < 3 or values[known].std() == 0:
        return 0.0
    return round(float(np.corrcoef(known, values[known])[0, 1] ** 2), 3)


def _strength(series: np.ndarray, steps: int) -> float:
    """Return the autocorrelation at a lag, after the moving average over the lag's length was subtracted."""
    trend = pd.Series(series).rolling(steps, center=True, min_periods=max(steps // 2, 1)).mean().to_numpy()
    rest = series - trend
    early, late = rest[:-steps] - rest[:-steps].mean(), rest[steps:] - rest[steps:].mean()
    scale = float(np.sqrt((early**2).sum() * (late**2).sum()))
    # Because of rounding errors, a straight line leaves a rest that seems to repeat perfectly.
    return (
        0.0 if scale <= 1e-9 * len(series) * float(series.std()) ** 2 else round(float((early * late).sum()) / scale, 3)
    )


def _cycle(series: np.ndarray) -> int | None:
    """Return the lag of the highest peak of the detrended series' autocorrelation, None if no peak is high enough."""
    recent = series[-MAX_STEPS:]
    steps = np.arange(len(recent))
    rest = recent - np.polyval(np.polyfit(steps, recent, 1), steps)
    power = np.abs(np.fft.rfft(rest, 2 * len(rest))) ** 2
    correlation = np.fft.irfft(power)[: len(rest) // 3]
    if len(correlation) < 4 or correlation[0] <= 0:
        return None
    correlation = correlation / correlation[0]
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
    peaks = peaks[(peaks >= 2) & (correlation[peaks] >= MIN_STRENGTH)]
    return int(peaks[np.argmax(correlation[peaks])]) if len(peaks) else None

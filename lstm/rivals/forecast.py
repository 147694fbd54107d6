"""Rivals of the task `forecast`: rules that repeat what was, and a ridge regression on the changes of the look-back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lstm.config.forecast import ForecastData
from lstm.config.trial import TrialConfig
from lstm.data.forecast import Series
from lstm.data.seasonal_naive import naive_error, seasonal_naive
from lstm.judging.forecast import Forecasts, Sums
from lstm.judging.items import Judgement
from lstm.nn import ridge
from lstm.records.epoch import Judged
from lstm.rivals.rival import Fitted, LeftOut, rank, sample, sampled

PENALTIES = tuple(10.0 ** (power / 2) for power in range(-6, 11))
LEVELS = (1, 2, 4, 8)  # steps whose mean is the level that has changed since
SEASONS = (1, 2, 3, 7, 14)  # look-backs that are tried, in seasons
SHARES = (0.5, 1.0, 1.5, 2.0)  # and as shares of the configuration's own
MOST_INPUTS = 1_500  # of a linear map: its fit takes a square of them
MOST_AHEAD = 500  # of them for covariates over the horizon
MOST_WINDOWS = 100_000  # that a ridge is fitted on
WORK = 2 * 10**10  # multiplications of a fit: seconds of a core
MOST_CHOOSING = 10_000  # validation windows that choose
BLOCK = 2**22  # numbers at once
SUMMED = 512  # windows of the baseline


@dataclass(frozen=True, slots=True)
class Rule:
    """Repeats seasons: none, the last one, with the change since then, or two so."""

    name: str
    about: str
    seasons: int = 1  # how many are averaged
    levels: tuple[int, ...] = (1,)  # steps that make a level; more than one are chosen from
    changes: bool = True  # whether what changed since counts
    needs: tuple[str, ...] = ()

    def fit(self, series: Series, config: TrialConfig) -> Fitted:
        """Nothing is fitted but the level's steps, where they may be chosen."""
        season = series.season
        if season == 1 and self.seasons and self.changes:
            raise LeftOut("the series has no season (data.season: 1)")
        levels = [level for level in self.levels if level < max(season, 2)]
        found = [self._with(level, series, config) for level in levels]
        if len(found) == 1:
            return found[0]
        section = config.data_as(ForecastData)
        some = sample(series.origins("validation", section), MOST_CHOOSING)
        ranks = [rank(self._errors(each, series, section, some).metrics(), config) for each in found]
        return found[min(range(len(found)), key=ranks.__getitem__)]

    def judge(self, fitted: Fitted, series: Series, config: TrialConfig, part: Judged) -> Judgement:
        """Where a series has too few rows before an origin, fewer seasons count, at the least the last value."""
        section = config.data_as(ForecastData)
        origins = series.origins(part, section)
        return self._errors(fitted, series, section, origins).judgement(self.name, part, origins)

    def forecast(self, fitted: Fitted, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """The same from the end of each look-back."""
        known, end = fitted.settings, np.array([past.shape[1]])
        season, level = int(known["season"] or 1), int(known["level"] or 1)
        past = past[:, :, : int(known["targets"] or 1)]
        return np.concatenate([self._from(values, end, ahead.shape[1], season, level) for values in past])

    def _with(self, level: int, series: Series, config: TrialConfig) -> Fitted:
        season, horizon = series.season, config.data_as(ForecastData).horizon
        whole = season * ((horizon - 1) // season + self.seasons) if self.changes else season
        lookback = whole + level * self.changes if self.seasons else 1
        settings = {"lookback": lookback, "season": season, "level": level, "targets": len(series.targets)}
        return Fitted(self.name, self.name, settings, {})

    def _errors(self, fitted: Fitted, series: Series, section: ForecastData, origins: np.ndarray) -> Forecasts:
        count, level = len(series.targets), int(fitted.settings["level"] or 1)
        values, found = series.values[:, :count], Forecasts(series, len(origins))
        for some in blocks(origins, section.horizon * count):
            rows = some[:, None] + np.arange(section.horizon)
            if self.seasons and not self.changes:
                forecast = seasonal_naive(series, some, section.horizon)  # the baseline, to the bit
            else:
                forecast = self._from(values, some, section.horizon, series.season, level)
            found.add(forecast - values[rows])
        return found

    def _from(self, values: np.ndarray, origins: np.ndarray, horizon: int, season: int, level: int) -> np.ndarray:
        steps, origins = np.arange(horizon), origins.astype(np.int64)[:, None]
        found = np.repeat(values[origins - 1], horizon, axis=1)
        for number in range(self.seasons):
            # Over several seasons the change is that of as many.
            back = season * (steps // season + 1 + number)
            value = values[np.maximum(origins + steps - back, 0)]
            there = origins >= (back + level if self.changes else season + 0 * steps)
            for step in range(1, level * self.changes + 1):
                before = np.maximum(origins - step, 0)
                value = value + (values[before] - values[np.maximum(before - back, 0)]) / level
            value = np.where(there[..., None], value, found)
            found = (found * number + value) / (number + 1) if number else value
        return found


@dataclass(frozen=True, slots=True)
class Layout:
    """Which numbers of a window a linear map sees."""

    lookback: int
    horizon: int
    targets: int
    futures: int  # columns known ahead, waves included
    waves: int  # sines and cosines of the calendar: at the first step alone, those after it follow from them

    @classmethod
    def of(cls, series: Series, section: ForecastData, lookback: int) -> "Layout":
        """Of a series."""
        return cls(lookback, section.horizon, len(series.targets), series.futures, 2 * len(section.calendar))

    @property
    def steps(self) -> np.ndarray:
        """Steps of the horizon whose covariates are seen: all, or some evenly spread."""
        most = max(MOST_AHEAD // max(self.futures - self.waves, 1), 1)
        return np.unique(np.linspace(0, self.horizon - 1, min(self.horizon, most)).round().astype(int))

    def width(self, columns: int) -> int:
        """How many they are, of a series with so many columns."""
        ahead = len(self.steps) * (self.futures - self.waves) + self.waves
        return self.lookback * (columns - self.waves) - self.targets + ahead

    def inputs(self, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """The targets' changes up to the last value, other columns as they are: (window, input)."""
        count, columns = len(past), past.shape[2]
        own, last = past[:, :-1, : self.targets], past[:, -1:, : self.targets]
        known = ahead[:, self.steps, : self.futures - self.waves]
        waves = ahead[:, 0, self.futures - self.waves :]
        others = past[:, :, self.targets : columns - self.waves]
        pieces = [(own - last).reshape(count, -1), others.reshape(count, -1), known.reshape(count, -1), waves]
        return np.concatenate(pieces, axis=1, dtype=np.float64)


class Ridge:
    """A linear map of the look-back's changes and of the covariates."""

    name = "ridge"
    about = (
        "Ridge regression of the coming changes on those of the look-back, and on the covariates; look-back and "
        "penalty are chosen on validation."
    )
    needs: tuple[str, ...] = ()

    def fit(self, series: Series, config: TrialConfig) -> Fitted:
        """A map for each look-back and penalty, and the best of them on validation."""
        section, usual = config.data_as(ForecastData), naive_error(series)
        choosing = sample(series.origins("validation", section), MOST_CHOOSING)
        found = []
        for lookback in lookbacks(series, section):
            layout = Layout.of(series, section, lookback)
            origins, whole = training_origins(series, section, layout)
            maps = _fitted(series, layout, origins)
            for each, metrics in zip(maps, _metrics(series, layout, maps, choosing, usual), strict=True):
                found.append((rank(metrics, config), lookback, -each.penalty, each, len(origins), whole))
        if not found:
            raise LeftOut("no window of the training part has all its targets measured")
        _, lookback, _, best, used, whole = min(found, key=lambda each: each[:3])
        settings = {"lookback": lookback, "penalty": best.penalty, "windows": used, "horizon": section.horizon}
        settings |= {"targets": len(series.targets), "futures": series.futures, "waves": 2 * len(section.calendar)}
        arrays = {"weights": best.weights, "intercept": best.intercept}
        title = f"ridge on {lookback:,} changes" + " and covariates" * (series.inputs > len(series.targets))
        return Fitted(self.name, title, settings, arrays, sampled(used, whole, "training windows"))

    def judge(self, fitted: Fitted, series: Series, config: TrialConfig, part: Judged) -> Judgement:
        """Block by block."""
        origins = series.origins(part, config.data_as(ForecastData))
        found = Forecasts(series, len(origins))
        layout, linear = self._restored(fitted)
        for inputs, truth in _pairs(series, layout, origins):
            found.add((linear.predict(inputs) - truth).reshape(len(truth), layout.horizon, layout.targets))
        return found.judgement(self.name, part, origins)

    def forecast(self, fitted: Fitted, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """The last value and the changes from there."""
        layout, linear = self._restored(fitted)
        changes = linear.predict(layout.inputs(past, ahead)).reshape(len(past), layout.horizon, layout.targets)
        found: np.ndarray = past[:, -1:, : layout.targets] + changes
        return found

    def _restored(self, fitted: Fitted) -> tuple[Layout, ridge.Ridge]:
        known = fitted.settings
        names = ("lookback", "horizon", "targets", "futures", "waves")
        layout = Layout(*(int(known[name] or 0) for name in names))
        linear = ridge.Ridge(fitted.arrays["weights"], fitted.arrays["intercept"], float(known["penalty"] or 0))
        return layout, linear


def lookbacks(series: Series, section: ForecastData) -> list[int]:
    """Look-backs to try, shortest first: about the configuration's own, the longest compared, and some seasons.

    What is judged is the same for each: all judged windows have so many rows before them.
    """
    bounds = [series.origins(part, section) for part in ("validation", "test")]
    longest = min(int(origins.min()) for origins in bounds)
    if section.missing == "skip" and series.holes is not None:
        longest = series.reach  # further back there may be gaps
    wanted = {section.lookback, series.reach, *(round(share * section.lookback) for share in SHARES)}
    if series.season > 1:
        wanted |= {count * series.season for count in SEASONS}
    fixed = Layout.of(series, section, 0).width(series.inputs)
    longest = min(longest, (MOST_INPUTS - fixed) // (series.inputs - 2 * len(section.calendar)))
    usual = len(series.train_origins(section))
    fitting = [
        each
        for each in sorted(wanted)
        if 1 <= each <= longest and 2 * len(series.train_origins(_with(section, each))) >= usual
    ]
    return fitting or [max(min(section.lookback, longest), 1)]


def _with(section: ForecastData, lookback: int) -> ForecastData:
    return section.model_copy(update={"lookback": lookback})


def training_origins(series: Series, section: ForecastData, layout: Layout) -> tuple[np.ndarray, int]:
    """Windows to fit on, by lot where they are many, and how many there are; none has a target that was filled in."""
    origins = series.train_origins(_with(section, layout.lookback))
    if series.holes is not None:
        holes = series.holes[:, : layout.targets].any(axis=1)
        before = np.concatenate([np.zeros(1, np.int32), np.cumsum(holes, dtype=np.int32)])
        origins = origins[before[origins + layout.horizon] == before[origins]]
    width, outputs = layout.width(series.inputs), layout.horizon * layout.targets
    most = min(MOST_WINDOWS, max(WORK // (max(width, 1) * max(width, outputs)), 1_000))
    return sample(origins, most), len(origins)


def _fitted(series: Series, layout: Layout, origins: np.ndarray) -> list[ridge.Ridge]:
    if not len(origins):
        return []
    return ridge.fit(lambda: _pairs(series, layout, origins), PENALTIES)


def _pairs(series: Series, layout: Layout, origins: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs and the coming changes of windows, block by block: (window, input), (window, step * target)."""
    width = layout.width(series.inputs)
    for some in blocks(origins, max(width, layout.lookback * series.inputs, layout.horizon * series.inputs)):
        past, ahead, changes = windows(series, layout, some)
        yield layout.inputs(past, ahead), changes.reshape(len(some), -1)


def windows(series: Series, layout: Layout, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Look-backs, what is known ahead, and the targets' changes from the last value: (window, step, column)."""
    rows = origins.astype(np.int64)[:, None]
    past = series.values[rows + np.arange(-layout.lookback, 0)]
    rest = series.values[rows + np.arange(layout.horizon)]
    ahead = rest[:, :, rest.shape[2] - layout.futures :]
    last = past[:, -1:, : layout.targets].astype(np.float64)
    return past, ahead, rest[:, :, : layout.targets] - last


def _metrics(
    series: Series, layout: Layout, maps: Sequence[ridge.Ridge], origins: np.ndarray, usual: np.ndarray
) -> Iterable[dict[str, float]]:
    """The metrics of each map over some windows."""
    found = [Forecasts(series, len(origins), usual) for _ in maps]
    for inputs, truth in _pairs(series, layout, origins):
        for each, sums in zip(maps, found, strict=True):
            sums.add((each.predict(inputs) - truth).reshape(len(truth), layout.horizon, layout.targets))
    return [sums.metrics() for sums in found]


def blocks(origins: np.ndarray, numbers: int) -> Iterator[np.ndarray]:
    """Origins in blocks, each of whose windows holds so many numbers."""
    size = max(BLOCK // max(numbers, 1), 1)
    for start in range(0, len(origins), size):
        yield origins[start : start + size]


def naive_metrics(series: Series, config: ForecastData, part: Judged) -> dict[str, float]:
    """The metrics of the seasonal naive forecast over the same origins: the baseline."""
    sums = Sums(series, naive_error(series))
    count = len(series.targets)
    every = series.origins(part, config)
    for start in range(0, len(every), SUMMED):
        origins = every[start : start + SUMMED]
        rows = origins[:, None] + np.arange(config.horizon)
        sums.add(seasonal_naive(series, origins, config.horizon) - series.values[rows, :count])
    return sums.metrics()


RIVALS = (
    Rule("last value", "Repeats the last value.", seasons=0),
    Rule("seasonal naive", "Repeats the last season.", changes=False),
    Rule(
        "last season and change",
        "The value one season before the step, and the change from one season ago to the last value.",
    ),
    Rule(
        "mean of two seasons",
        "The mean of two such forecasts, from the last season and the one before; of how many steps the level is taken "
        "is chosen on validation.",
        seasons=2,
        levels=LEVELS,
    ),
    Ridge(),
)

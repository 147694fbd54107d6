"""The rivals of the task `forecast`: rules that repeat past values, and ridge regression on the look-back's changes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm.config.forecast import ForecastData
from lstm.config.trial import TrialConfig
from lstm.data.forecast import Series
from lstm.data.seasonal_naive import naive_error, seasonal_naive
from lstm.judging.forecast import Forecasts, Sums
from lstm.judging.items import Judgement
from lstm.nn import ridge
from lstm.records.epoch import Judged
from lstm.records.windows import mean_metrics
from lstm.rivals.rival import Fitted, LeftOut, rank, sample, sampled

PENALTIES = tuple(10.0 ** (power / 2) for power in range(-6, 11))
LEVELS = (1, 2, 4, 8)  # numbers of steps over which a level is the mean
SEASONS = (1, 2, 3, 7, 14)  # look-backs that are tried, in seasons
SHARES = (0.5, 1.0, 1.5, 2.0)  # look-backs that are tried, as shares of the configuration's own
MOST_INPUTS = 1_500  # of a linear map: its fit needs a matrix of their square
MOST_AHEAD = 500  # of these inputs, most for covariates over the horizon
MOST_WINDOWS = 100_000  # most windows that a ridge is fitted on
WORK = 2 * 10**10  # multiplications of a fit: some seconds of one core
MOST_CHOOSING = 10_000  # most validation windows on which settings are chosen
BLOCK = 2**22  # numbers at once
SUMMED = 512  # windows of the baseline
NOTHING_MEASURED = "no window of the training part has all its targets measured"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that repeats the last value, the last season, or one or two seasons with the change since then."""

    name: str
    about: str
    seasons: int = 1  # number of seasons that are averaged; 0 repeats the last value
    levels: tuple[int, ...] = (1,)  # candidates for the number of steps in a level; validation chooses one
    changes: bool = True  # whether the change of the level since then is added
    needs: tuple[str, ...] = ()

    def fit(self, series: Series, config: TrialConfig) -> Fitted:
        """Choose the number of steps in a level on validation, if there are several candidates.

        Raises:
            LeftOut: the rule needs a season, and the series has none.
        """
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

    def choose(self, windows: Sequence[Series], config: TrialConfig) -> Fitted:
        """Choose the number of steps in a level by the mean over windows."""
        season, section = windows[0].season, config.data_as(ForecastData)
        if season == 1 and self.seasons and self.changes:
            raise LeftOut("the series has no season (data.season: 1)")
        found = [self._with(level, windows[0], config) for level in self.levels if level < max(season, 2)]
        if len(found) == 1:
            return found[0]
        some = [sample(view.origins("validation", section), MOST_CHOOSING) for view in windows]

        def key(each: Fitted) -> tuple[float, float]:
            pairs = zip(windows, some, strict=True)
            judged = [self._errors(each, view, section, origins).metrics() for view, origins in pairs]
            return rank(mean_metrics(judged), config)

        return min(found, key=key)

    def refit(self, chosen: Fitted, series: Series, config: TrialConfig) -> Fitted:
        """Return the rule as it is: it has nothing to fit."""
        return chosen

    def judge(self, fitted: Fitted, series: Series, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the rule. With too few rows before an origin, it uses fewer seasons, or at least the last value."""
        section = config.data_as(ForecastData)
        origins = series.origins(part, section)
        return self._errors(fitted, series, section, origins).judgement(self.name, part, origins)

    def forecast(self, fitted: Fitted, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Forecast by the rule from the end of each look-back."""
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
                forecast = seasonal_naive(series, some, section.horizon)  # equals the baseline to the bit
            else:
                forecast = self._from(values, some, section.horizon, series.season, level)
            found.add(forecast - values[rows])
        return found

    def _from(self, values: np.ndarray, origins: np.ndarray, horizon: int, season: int, level: int) -> np.ndarray:
        steps, origins = np.arange(horizon), origins.astype(np.int64)[:, None]
        found = np.repeat(values[origins - 1], horizon, axis=1)
        for number in range(self.seasons):
            # Going back several seasons, the change is the change over as many seasons.
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
    """The numbers of a window that are the inputs of a linear map."""

    lookback: int
    horizon: int
    targets: int
    futures: int  # columns known ahead, waves included
    waves: int  # sines and cosines of the calendar: only at the first step, because the others follow from them

    @classmethod
    def of(cls, series: Series, section: ForecastData, lookback: int) -> "Layout":
        """Return the layout for a series and a look-back."""
        return cls(lookback, section.horizon, len(series.targets), series.futures, 2 * len(section.calendar))

    @property
    def steps(self) -> np.ndarray:
        """Steps of the horizon with covariates as inputs: (step,), all or some that are evenly spread."""
        most = max(MOST_AHEAD // max(self.futures - self.waves, 1), 1)
        return np.unique(np.linspace(0, self.horizon - 1, min(self.horizon, most)).round().astype(int))

    def width(self, columns: int) -> int:
        """Return the number of inputs for a series with this number of columns."""
        ahead = len(self.steps) * (self.futures - self.waves) + self.waves
        return self.lookback * (columns - self.waves) - self.targets + ahead

    def inputs(self, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Return the inputs: changes of targets up to the last value, other columns unchanged: (window, input)."""
        count, columns = len(past), past.shape[2]
        own, last = past[:, :-1, : self.targets], past[:, -1:, : self.targets]
        known = ahead[:, self.steps, : self.futures - self.waves]
        waves = ahead[:, 0, self.futures - self.waves :]
        others = past[:, :, self.targets : columns - self.waves]
        pieces = [(own - last).reshape(count, -1), others.reshape(count, -1), known.reshape(count, -1), waves]
        return np.concatenate(pieces, axis=1, dtype=np.float64)


class Ridge:
    """A linear map of the look-back's changes and the covariates."""

    name = "ridge"
    about = (
        "Ridge regression of the future changes on the changes in the look-back and on the covariates. Look-back and "
        "penalty are chosen on validation."
    )
    needs: tuple[str, ...] = ()

    def fit(self, series: Series, config: TrialConfig) -> Fitted:
        """Fit a map for each look-back and penalty, and keep the best one on validation."""
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
            raise LeftOut(NOTHING_MEASURED)
        _, lookback, _, best, used, whole = min(found, key=lambda each: each[:3])
        return self._made(best, lookback, used, whole, series, section)

    def choose(self, windows: Sequence[Series], config: TrialConfig) -> Fitted:
        """Choose look-back and penalty by the mean over windows, each with a fit of its own."""
        section, found = config.data_as(ForecastData), list[tuple[Any, int, float]]()
        some = [sample(view.origins("validation", section), MOST_CHOOSING) for view in windows]
        for lookback in lookbacks(windows[0], section):
            judged: list[list[dict[str, float]]] = []
            for view, choosing in zip(windows, some, strict=True):
                layout = Layout.of(view, section, lookback)
                maps = _fitted(view, layout, training_origins(view, section, layout)[0])
                judged.append(list(_metrics(view, layout, maps, choosing, naive_error(view))))
            ranks = [rank(mean_metrics(each), config) for each in zip(*judged, strict=True)] if all(judged) else []
            found += [(key, lookback, -penalty) for key, penalty in zip(ranks, PENALTIES, strict=False)]
        if not found:
            raise LeftOut(NOTHING_MEASURED)
        _, lookback, penalty = min(found)
        return Fitted(self.name, self.name, {"lookback": lookback, "penalty": -penalty}, {})

    def refit(self, chosen: Fitted, series: Series, config: TrialConfig) -> Fitted:
        """Fit a map with the chosen look-back and penalty."""
        section, lookback = config.data_as(ForecastData), int(chosen.settings["lookback"] or 1)
        layout = Layout.of(series, section, lookback)
        origins, whole = training_origins(series, section, layout)
        [best] = _fitted(series, layout, origins, [float(chosen.settings["penalty"] or 0)])
        return self._made(best, lookback, len(origins), whole, series, section)

    def _made(
        self, best: ridge.Ridge, lookback: int, used: int, whole: int, series: Series, section: ForecastData
    ) -> Fitted:
        """Return the fit of a map that was fitted on `used` of `whole` windows."""
        settings = {"lookback": lookback, "penalty": best.penalty, "windows": used, "horizon": section.horizon}
        settings |= {"targets": len(series.targets), "futures": series.futures, "waves": 2 * len(section.calendar)}
        arrays = {"weights": best.weights, "intercept": best.intercept}
        title = f"ridge on {lookback:,} changes" + " and covariates" * (series.inputs > len(series.targets))
        return Fitted(self.name, title, settings, arrays, sampled(used, whole, "training windows"))

    def judge(self, fitted: Fitted, series: Series, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the map block by block."""
        origins = series.origins(part, config.data_as(ForecastData))
        found = Forecasts(series, len(origins))
        layout, linear = self._restored(fitted)
        for inputs, truth in _pairs(series, layout, origins):
            found.add((linear.predict(inputs) - truth).reshape(len(truth), layout.horizon, layout.targets))
        return found.judgement(self.name, part, origins)

    def forecast(self, fitted: Fitted, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Forecast the last value plus the predicted changes from it."""
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
    """Return the look-backs to try, shortest first: around the configuration's own, the longest compared, and seasons.

    Each is judged on the same windows, because all judged windows have enough rows before them.
    """
    bounds = [series.origins(part, section) for part in ("validation", "test")]
    longest = min(int(origins.min()) for origins in bounds)
    if section.missing == "skip" and series.holes is not None:
        longest = series.reach  # farther back there may be gaps
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
    """Return the origins to fit on: (window,), a random sample if there are many; and how many there are.

    No window has a target value that was filled in.
    """
    origins = series.train_origins(_with(section, layout.lookback))
    if series.holes is not None:
        holes = series.holes[:, : layout.targets].any(axis=1)
        before = np.concatenate([np.zeros(1, np.int32), np.cumsum(holes, dtype=np.int32)])
        origins = origins[before[origins + layout.horizon] == before[origins]]
    width, outputs = layout.width(series.inputs), layout.horizon * layout.targets
    most = min(MOST_WINDOWS, max(WORK // (max(width, 1) * max(width, outputs)), 1_000))
    return sample(origins, most), len(origins)


def _fitted(
    series: Series, layout: Layout, origins: np.ndarray, penalties: Sequence[float] = PENALTIES
) -> list[ridge.Ridge]:
    if not len(origins):
        return []
    return ridge.fit(lambda: _pairs(series, layout, origins), penalties)


def _pairs(series: Series, layout: Layout, origins: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield inputs and future changes of windows, block by block: (window, input), (window, step * target)."""
    width = layout.width(series.inputs)
    for some in blocks(origins, max(width, layout.lookback * series.inputs, layout.horizon * series.inputs)):
        past, ahead, changes = windows(series, layout, some)
        yield layout.inputs(past, ahead), changes.reshape(len(some), -1)


def windows(series: Series, layout: Layout, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return look-backs, values known ahead, and changes of targets from the last value: (window, step, column)."""
    rows = origins.astype(np.int64)[:, None]
    past = series.values[rows + np.arange(-layout.lookback, 0)]
    rest = series.values[rows + np.arange(layout.horizon)]
    ahead = rest[:, :, rest.shape[2] - layout.futures :]
    last = past[:, -1:, : layout.targets].astype(np.float64)
    return past, ahead, rest[:, :, : layout.targets] - last


def _metrics(
    series: Series, layout: Layout, maps: Sequence[ridge.Ridge], origins: np.ndarray, usual: np.ndarray
) -> Iterable[dict[str, float]]:
    """Return the metrics of each map over some windows."""
    found = [Forecasts(series, len(origins), usual) for _ in maps]
    for inputs, truth in _pairs(series, layout, origins):
        for each, sums in zip(maps, found, strict=True):
            sums.add((each.predict(inputs) - truth).reshape(len(truth), layout.horizon, layout.targets))
    return [sums.metrics() for sums in found]


def blocks(origins: np.ndarray, numbers: int) -> Iterator[np.ndarray]:
    """Yield origins in blocks that limit memory. Each window needs `numbers` numbers."""
    size = max(BLOCK // max(numbers, 1), 1)
    for start in range(0, len(origins), size):
        yield origins[start : start + size]


def naive_metrics(series: Series, config: ForecastData, part: Judged) -> dict[str, float]:
    """Return the metrics of the seasonal naive forecast (the baseline) over the origins of a part."""
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
        "The value one season before the step, plus the change from one season ago to the last value.",
    ),
    Rule(
        "mean of two seasons",
        "The mean of two such forecasts, from the last season and the season before. The number of steps in a level is "
        "chosen on validation.",
        seasons=2,
        levels=LEVELS,
    ),
    Ridge(),
)

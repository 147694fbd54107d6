"""The rivals of the task `forecast` from the extra `rivals`: statsforecast's models, and LightGBM."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstm.config.forecast import ForecastData
from lstm.config.trial import TrialConfig
from lstm.data.forecast import Series
from lstm.judging.forecast import Forecasts
from lstm.judging.items import Judgement
from lstm.records.epoch import Judged
from lstm.records.objective import Scalar
from lstm.records.windows import mean
from lstm.rivals.forecast import MOST_CHOOSING, NOTHING_MEASURED, Layout, blocks, training_origins, windows
from lstm.rivals.rival import SEED, Fitted, LeftOut, sample, sampled

MOST_ROWS = 5_000  # most rows, at the training part's end, that a statistical model is fitted to
MOST_PAIRS = 200_000  # most pairs of a window and a step that trees are fitted to
MOST_INPUTS = 400  # most inputs of the trees from the look-back
TREES = 1_000
EARLY = 30  # trees in a row without a better validation loss before growing stops
GROWING = {"objective": "regression", "num_threads": 1, "verbosity": -1, "seed": SEED}
GROWING |= {"deterministic": True, "force_row_wise": True, "learning_rate": 0.05, "num_leaves": 31}


@dataclass(frozen=True, slots=True)
class Statistical:
    """A model of statsforecast. It is fitted once to the training part's end, then continued to each origin."""

    name: str
    about: str
    model: str  # the name of its class
    needs: tuple[str, ...] = ("statsforecast",)

    def fit(self, series: Series, config: TrialConfig) -> Fitted:
        """Fit a model for each target, in original units."""
        start, stop = series.bounds["train"]
        start = max(start, stop - MOST_ROWS)
        if self.model == "MSTL" and (series.season < 2 or stop - start < 2 * series.season):
            raise LeftOut("the series has no season (data.season: 1), or fewer than two of them")
        known = series.original(series.values[start:stop, : len(series.targets)])
        arrays: dict[str, np.ndarray] = {}
        states = []
        for index in range(len(series.targets)):
            made = self._made(series.season)
            made.fit(known[:, index])
            states.append(_packed(self._state(made), f"{index}", arrays))
        settings: dict[str, Scalar] = {"start": start, "season": series.season, "state": json.dumps(states)}
        note = f"fitted to the last {stop - start:,} training rows" if start > series.bounds["train"][0] else ""
        return Fitted(self.name, self.name, settings, arrays, note)

    def choose(self, windows: Sequence[Series], config: TrialConfig) -> Fitted:
        """Return no settings: none are chosen by what is judged."""
        return Fitted(self.name, self.name, {}, {})

    def refit(self, chosen: Fitted, series: Series, config: TrialConfig) -> Fitted:
        """Fit a model for each target, in original units."""
        return self.fit(series, config)

    def judge(self, fitted: Fitted, series: Series, config: TrialConfig, part: Judged) -> Judgement:
        """Judge forecasts from all values before each origin, with the fitted parameters."""
        section, count = config.data_as(ForecastData), len(series.targets)
        origins, models = series.origins(part, section), self._restored(fitted)
        found, start = Forecasts(series, len(origins)), int(fitted.settings["start"] or 0)
        scale = np.array(series.scale.mean[:count]), np.array(series.scale.deviation[:count])
        for origin in origins.tolist():
            past = series.original(series.values[start:origin, :count])
            ahead = [each.forward(past[:, i], section.horizon)["mean"] for i, each in enumerate(models)]
            scaled = (np.stack(ahead, axis=1) - scale[0]) / scale[1]
            found.add((scaled - series.values[origin : origin + section.horizon, :count])[None])
        return found.judgement(self.name, part, origins)

    def _made(self, season: int) -> Any:
        from statsforecast import models

        if self.model == "MSTL":
            return models.MSTL(season_length=season, trend_forecaster=models.AutoETS(model="ZZN"))
        return getattr(models, self.model)(season_length=season)

    def _state(self, made: Any) -> Any:
        return made.trend_forecaster.model_ if self.model == "MSTL" else made.model_

    def _restored(self, fitted: Fitted) -> list[Any]:
        found = []
        for tree in json.loads(str(fitted.settings["state"])):
            made = self._made(int(fitted.settings["season"] or 1))
            (made.trend_forecaster if self.model == "MSTL" else made).model_ = _unpacked(tree, fitted.arrays)
            found.append(made)
        return found


def _packed(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return a model's state as JSON, and put its arrays into `arrays`. Objects such as a search's records are None."""
    if isinstance(value, dict):
        return {"dict": {str(k): _packed(v, f"{name}/{k}", arrays) for k, v in value.items()}}
    if isinstance(value, np.ndarray) and value.dtype != object:
        arrays[name] = value
        return {"array": name}
    if isinstance(value, np.generic):
        return {"scalar": value.item(), "type": value.dtype.str}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_packed(v, f"{name}/{i}", arrays) for i, v in enumerate(value)]}
    return {"plain": value if isinstance(value, bool | int | float | str) else None}


def _unpacked(tree: Any, arrays: Any) -> Any:
    [kind, value] = next(iter(tree.items()))
    if kind == "dict":
        return {k: _unpacked(v, arrays) for k, v in value.items()}
    if kind == "array":
        return arrays[value]
    if kind == "scalar":
        return np.dtype(tree["type"]).type(value)
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](_unpacked(v, arrays) for v in value)
    return value


class Boosted:
    """Gradient boosted trees for the change at a step: one model per target, for all steps."""

    name = "LightGBM"
    about = (
        "LightGBM's gradient boosted trees on the look-back's changes, the last season and the covariates of the step. "
        "The number of trees is chosen on validation."
    )
    needs: tuple[str, ...] = ("lightgbm",)

    def fit(self, series: Series, config: TrialConfig) -> Fitted:
        """Grow trees until the validation loss gets no better."""
        import lightgbm

        section = config.data_as(ForecastData)
        layout = Layout.of(series, section, self._lookback(series, section))
        chosen, whole = self._sampled(series, section, layout)
        choosing = self._choosing(series, section)
        texts = []
        for target in range(layout.targets):
            inputs, changes = self._pairs(series, layout, chosen, target)
            data = lightgbm.Dataset(inputs, changes)
            judged_on = lightgbm.Dataset(*self._pairs(series, layout, choosing, target), reference=data)
            early = lightgbm.early_stopping(EARLY, verbose=False)
            grown = lightgbm.train(GROWING, data, TREES, valid_sets=[judged_on], callbacks=[early])
            texts.append(grown.model_to_string(num_iteration=grown.best_iteration))
        return self._made(texts, layout, series, sampled(len(chosen), whole, "training windows"))

    def choose(self, windows: Sequence[Series], config: TrialConfig) -> Fitted:
        """Choose the numbers of trees, for each target, by the mean loss over windows, each with trees of its own."""
        section = config.data_as(ForecastData)
        lookback = self._lookback(windows[0], section)
        targets = range(Layout.of(windows[0], section, lookback).targets)
        trees = [self._trees(windows, section, lookback, target) for target in targets]
        return Fitted(self.name, self.name, {"lookback": lookback, "trees": json.dumps(trees)}, {})

    def refit(self, chosen: Fitted, series: Series, config: TrialConfig) -> Fitted:
        """Grow as many trees as were chosen."""
        import lightgbm

        section = config.data_as(ForecastData)
        layout = Layout.of(series, section, int(chosen.settings["lookback"] or 1))
        some, whole = self._sampled(series, section, layout)
        trees, texts = json.loads(str(chosen.settings["trees"])), []
        for target in range(layout.targets):
            data = lightgbm.Dataset(*self._pairs(series, layout, some, target))
            texts.append(lightgbm.train(GROWING, data, trees[target]).model_to_string())
        made = self._made(texts, layout, series, sampled(len(some), whole, "training windows"))
        return replace(made, settings={**made.settings, "trees": chosen.settings["trees"]})

    def _trees(self, windows: Sequence[Series], section: ForecastData, lookback: int, target: int) -> int:
        """Return the number of trees with the least mean loss; all windows grow until it gets no better."""
        import lightgbm

        grown = []
        for view in windows:
            layout = Layout.of(view, section, lookback)
            data = lightgbm.Dataset(*self._pairs(view, layout, self._sampled(view, section, layout)[0], target))
            judged_on = lightgbm.Dataset(
                *self._pairs(view, layout, self._choosing(view, section), target), reference=data
            )
            booster = lightgbm.Booster(GROWING, data)
            grown.append(booster.add_valid(judged_on, "window"))
        losses: list[float] = []
        while len(losses) < TREES and (len(losses) - int(np.argmin(losses or [0])) <= EARLY):
            for booster in grown:
                booster.update()
            losses.append(mean([booster.eval_valid()[0][2] for booster in grown]))
        return int(np.argmin(losses)) + 1

    def _sampled(self, series: Series, section: ForecastData, layout: Layout) -> tuple[np.ndarray, int]:
        """Return the origins to grow trees on, and how many there are."""
        origins, whole = training_origins(series, section, layout)
        if not len(origins):
            raise LeftOut(NOTHING_MEASURED)
        return sample(origins, max(MOST_PAIRS // section.horizon, 1)), whole

    def _choosing(self, series: Series, section: ForecastData) -> np.ndarray:
        return sample(series.origins("validation", section), max(MOST_CHOOSING // section.horizon, 200))

    def _made(self, texts: list[str], layout: Layout, series: Series, note: str) -> Fitted:
        kept: dict[str, Scalar] = {"models": json.dumps(texts), "lookback": layout.lookback, "horizon": layout.horizon}
        kept |= {"targets": layout.targets, "futures": layout.futures, "waves": layout.waves, "season": series.season}
        return Fitted(self.name, self.name, kept, {}, note)

    def judge(self, fitted: Fitted, series: Series, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the forecasts block by block."""
        origins, layout = series.origins(part, config.data_as(ForecastData)), self._layout(fitted)
        found, models = Forecasts(series, len(origins)), self._restored(fitted)
        for some in blocks(origins, layout.horizon * MOST_INPUTS):
            past, ahead, changes = windows(series, layout, some)
            found.add(self._changes(models, layout, past, ahead, series.season) - changes)
        return found.judgement(self.name, part, origins)

    def forecast(self, fitted: Fitted, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Forecast the last value plus the predicted changes from it."""
        layout, season = self._layout(fitted), int(fitted.settings["season"] or 1)
        changes = self._changes(self._restored(fitted), layout, past, ahead, season)
        found: np.ndarray = past[:, -1:, : layout.targets] + changes
        return found

    def _changes(
        self, models: list[Any], layout: Layout, past: np.ndarray, ahead: np.ndarray, season: int
    ) -> np.ndarray:
        shape = (len(past), layout.horizon)
        found = [
            each.predict(self._inputs(past, ahead, layout, target, season), num_threads=1).reshape(shape)
            for target, each in enumerate(models)
        ]
        return np.stack(found, axis=2)

    def _pairs(self, series: Series, layout: Layout, origins: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
        past, ahead, changes = windows(series, layout, origins)
        return self._inputs(past, ahead, layout, target, series.season), changes[:, :, target].reshape(-1)

    def _inputs(self, past: np.ndarray, ahead: np.ndarray, layout: Layout, target: int, season: int) -> np.ndarray:
        """Return the trees' inputs for each window and step: (window * step, input) float32."""
        count, horizon, last = len(past), layout.horizon, past[:, -1:, : layout.targets]
        steps = np.arange(horizon)
        columns = past.shape[2] - layout.waves
        seen = np.concatenate([past[:, :, : layout.targets] - last, past[:, :, layout.targets : columns]], axis=2)
        own = np.repeat(seen[:, -max(MOST_INPUTS // columns, 1) :].reshape(count, -1), horizon, axis=0)
        rows = np.maximum(layout.lookback + steps - season * (steps // season + 1), 0)
        so_far = (past[:, rows, target] - last[:, :, target]).reshape(-1, 1)
        known = ahead.reshape(count * horizon, -1)
        step = np.tile(steps, count)[:, None]
        return np.concatenate([own, so_far, known, step], axis=1, dtype=np.float32)

    def _lookback(self, series: Series, section: ForecastData) -> int:
        longest = min(int(series.origins(part, section).min()) for part in ("validation", "test"))
        return max(min(max(section.lookback, series.season), longest, series.reach), section.lookback)

    def _layout(self, fitted: Fitted) -> Layout:
        names = ("lookback", "horizon", "targets", "futures", "waves")
        return Layout(*(int(fitted.settings[name] or 0) for name in names))

    def _restored(self, fitted: Fitted) -> list[Any]:
        import lightgbm

        return [lightgbm.Booster(model_str=text) for text in json.loads(str(fitted.settings["models"]))]


RIVALS = (
    Boosted(),
    Statistical("AutoETS", "Exponential smoothing with a form that AICc chooses (statsforecast).", "AutoETS"),
    Statistical(
        "MSTL",
        "Decomposes a series by Loess into season and trend, and forecasts both; exponential smoothing forecasts the "
        "trend (statsforecast).",
        "MSTL",
    ),
    Statistical("AutoARIMA", "A seasonal ARIMA with orders that AICc chooses (statsforecast).", "AutoARIMA"),
)

"""Networks of the task `forecast`: their loss, metrics in scaled and original units, and forecasts."""

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lstm.config.forecast import ForecastData
from lstm.config.trial import TrialConfig
from lstm.data.calendar import calendar
from lstm.data.forecast import Series, SeriesFacts, fill
from lstm.data.seasonal_naive import naive_error, seasonal_naive
from lstm.data.tables import regular
from lstm.data.tables.timing import steps, zones
from lstm.diagnostics.subject import Subject
from lstm.judging.forecast import Forecasts, Sums
from lstm.judging.items import Judgement
from lstm.nn.gates import trace
from lstm.nn.networks import Forecaster, evaluation_batch, noisy, steps_at_once
from lstm.records.epoch import Judged
from lstm.records.errors import BadInput, refused
from lstm.records.figures import Forecast
from lstm.rivals.rival import Fitted, Forecasting

PROBED = 32  # windows


def build(config: TrialConfig, facts: SeriesFacts) -> Forecaster:
    """Build the network that a configuration describes. torch's generator draws the weights."""
    section = config.data_as(ForecastData)
    return Forecaster(
        config.model,
        inputs=facts.inputs,
        targets=len(facts.targets),
        futures=facts.futures,
        lookback=section.lookback,
        horizon=section.horizon,
        warmup=min(config.training.warmup_steps, section.lookback - 1),  # a search may draw a shorter look-back
        code=config.code,
    )


class Feed:
    """The batches of windows, loss and metrics for the trainer. Each pass has its own order."""

    def __init__(self, series: Series, config: TrialConfig, device: str) -> None:
        self._series, self._config, self._device = series, config.data_as(ForecastData), device
        self._size, self._noise = config.training.batch_size, config.training.input_noise
        self._windows = Windows(series, self._config, device)
        self._measured = config.loss_on == "measured"
        self._has_filled = self._measured and series.filled_targets(self._config) > 0
        self.items, self.step_numbers = len(self._train_origins()), 2 * series.inputs
        judged = max(self.judged("validation"), self.judged("test"))
        self.judged_steps = steps_at_once(self._config.lookback, config.model, judged)

    def order(self, generator: np.random.Generator) -> Callable[[int], Tensor]:
        """Return a function that gives the origins of the batch at a place in a pass: (window,) int32."""
        # Origins are computed for each pass and shuffled in place, because a long series has as many of them as rows.
        order, size = self._train_origins(), self._size
        generator.shuffle(order)
        return lambda place: torch.from_numpy(order[place * size : (place + 1) * size]).to(self._device)

    def _train_origins(self) -> np.ndarray:
        return self._series.train_origins(self._config, measured=self._measured)

    def loss(self, network: nn.Module, origins: Tensor) -> tuple[Tensor, int]:
        """Return the mean squared error of scaled values, and the number of windows in the mean.

        Filled-in values do not count, and if the series has some, the number is that of values instead of windows. In
        a sweep of an earlier version (`loss_on: all`), filled-in values count.
        """
        past, ahead, target = self._windows.at(origins)
        forecast = network(noisy(past, self._noise), ahead).float()
        if not self._has_filled:
            return nn.functional.mse_loss(forecast, target), len(origins)
        known = self._windows.known(origins)
        errors = torch.where(known, forecast - target, 0.0)
        count = int(known.sum())  # at least one per window, because of how origins are chosen
        return errors.square().sum() / count, count

    @torch.no_grad()
    def measure(self, network: nn.Module, origins: Tensor) -> tuple[dict[str, float], int]:
        """Return the metrics of `evaluate` over a batch, and the number of windows. Filled-in values do not count."""
        past, ahead, target = self._windows.at(origins)
        sums = Sums(self._series, self._windows.naive_error)
        known = self._windows.known(origins).cpu().numpy() if self._has_filled else None
        sums.add((network(past, ahead).float() - target).cpu().numpy(), known)
        return sums.metrics(), len(origins)

    def judged(self, part: Judged) -> int:
        """Return the number of windows that a part is judged on."""
        return len(self._windows.judged(part))

    def evaluate(self, network: nn.Module, part: Judged, some: int | None = None) -> dict[str, float]:
        """Return the metrics of a network over every origin of a part, or over the first `some`."""
        assert isinstance(network, Forecaster)
        return evaluate(network, self._windows, self._series, self._config, part, some)


class Windows:
    """The windows of a series on a device, as views. Only a batch is copied."""

    def __init__(self, series: Series, config: ForecastData, device: str) -> None:
        self._series, self._config = series, config
        self._origins: dict[Judged, np.ndarray] = {}
        self._lookback, self._horizon = config.lookback, config.horizon
        self._targets, self._futures = len(series.targets), series.futures
        with warnings.catch_warnings():
            # In a trial, the series is in Ray's shared memory, which is read-only. Nothing here writes to it.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            values = torch.from_numpy(series.values)
        values = values.to(device)
        length, columns = self._lookback + self._horizon, values.shape[1]
        count = max(len(values) - length + 1, 0)
        self._windows = values.as_strided((count, length, columns), (columns, columns, 1))

    @cached_property
    def _measured(self) -> Tensor:
        """True for targets that were measured: (time, target) bool."""
        series = self._series
        assert series.holes is not None
        return torch.from_numpy(~series.holes[:, : self._targets]).to(self._windows.device)

    def known(self, origins: Tensor) -> Tensor:
        """Return which targets of windows were measured: (batch, horizon, target) bool."""
        rows = origins[:, None] + torch.arange(self._horizon, device=origins.device)
        return self._measured[rows]

    def judged(self, part: Judged) -> np.ndarray:
        """Return the origins that a part is judged on: (window,) int32. They are computed once per part."""
        if part not in self._origins:
            self._origins[part] = self._series.origins(part, self._config)
        return self._origins[part]

    @cached_property
    def naive_error(self) -> np.ndarray:
        """The seasonal naive's mean absolute error, by which MASE is scaled: (target,)."""
        return naive_error(self._series)

    def at(self, origins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return look-backs (batch, lookback, column), values known ahead (batch, horizon, future column) and targets.

        Targets are (batch, horizon, target).
        """
        window = self._windows[origins - self._lookback]
        past, rest = window[:, : self._lookback], window[:, self._lookback :]
        columns = rest.shape[-1]
        return past, rest.narrow(2, columns - self._futures, self._futures), rest.narrow(2, 0, self._targets)


@torch.no_grad()
def evaluate(
    network: Forecaster, windows: Windows, series: Series, config: ForecastData, part: Judged, some: int | None = None
) -> dict[str, float]:
    """Return the metrics of a network over every origin of a part, or over the first `some`, named without the part."""
    device = next(network.parameters()).device
    network.eval()
    sums = Sums(series, windows.naive_error)
    for origins in _batches(windows.judged(part)[:some], evaluation_batch(config.lookback, network.model)):
        past, ahead, target = windows.at(torch.from_numpy(origins).to(device))
        sums.add((network(past, ahead).float() - target).cpu().numpy())
    return sums.metrics()


@torch.no_grad()
def judge(
    network: nn.Module, series: Series, config: TrialConfig, part: Judged, name: str, *, as_in: Series | None = None
) -> Judgement:
    """Judge a network on a part window by window, under a name. Errors are scaled as in `as_in`, if it is given."""
    assert isinstance(network, Forecaster)
    section = config.data_as(ForecastData)
    windows = Windows(series, section, "cpu")
    origins = windows.judged(part)
    found = Forecasts(as_in or series, len(origins))
    deviations = [np.array(each.scale.deviation[: len(series.targets)]) for each in (series, as_in or series)]
    for some in _batches(origins, evaluation_batch(section.lookback, network.model)):
        past, ahead, target = windows.at(torch.from_numpy(some))
        found.add((network(past, ahead).float() - target).numpy() * (deviations[0] / deviations[1]))
    return found.judgement(name, part, origins)


@torch.no_grad()
def examples(network: nn.Module, series: Series, trial: TrialConfig, count: int = 3) -> list[Forecast]:
    """Return forecasts from `count` origins spread evenly over the test part, in the original units."""
    config = trial.data_as(ForecastData)
    windows = Windows(series, config, "cpu")
    origins = series.origins("test", config)
    chosen = origins[np.linspace(0, len(origins) - 1, min(count, len(origins))).round().astype(int)]
    past, ahead, _ = windows.at(torch.from_numpy(chosen))
    forecasts = series.original(network(past, ahead).numpy())
    naive = series.original(seasonal_naive(series, chosen, config.horizon))
    shown = min(max(config.lookback, config.horizon), 3 * config.horizon)
    return [
        Forecast(
            target=target,
            times=_texts(series.times[origin : origin + config.horizon]),
            truth=tuple(series.truth(slice(origin, origin + config.horizon))[:, column].tolist()),
            forecast=tuple(forecasts[i, :, column].tolist()),
            baseline=tuple(naive[i, :, column].tolist()),
            past_times=_texts(series.times[max(origin - shown, 0) : origin]),
            past=tuple(series.truth(slice(max(origin - shown, 0), origin))[:, column].tolist()),
        )
        for i, origin in enumerate(chosen.tolist())
        for column, target in enumerate(series.targets)
    ]


def subject(network: nn.Module, series: Series, trial: TrialConfig) -> Subject:
    """Return the network for probes: windows spread over the validation part, with whole forecasts as answers.

    For the loss, values known ahead are the true ones; for answers, they are at their means. The network can run on its
    own forecasts only if its inputs are its targets alone.
    """
    assert isinstance(network, Forecaster)
    config, count = trial.data_as(ForecastData), len(series.targets)
    origins = series.origins("validation", config)
    chosen = origins[np.linspace(0, len(origins) - 1, min(PROBED, len(origins))).round().astype(int)]
    past, ahead, target = Windows(series, config, "cpu").at(torch.from_numpy(chosen))
    network = copy.copy(network)  # shares the weights
    network.warmup = 0  # a warm-up only changes gradients

    def respond(inputs: Tensor) -> Tensor:
        known = inputs.new_zeros(len(inputs), config.horizon, series.futures)
        answer: Tensor = network(inputs, known)
        return answer.flatten(1)

    def roll(inputs: Tensor, steps: int) -> Tensor:
        found = inputs
        while found.shape[1] < inputs.shape[1] + steps:
            found = torch.cat([found, network(found[:, -config.lookback :], ahead[:0])], dim=1)
        return found[:, inputs.shape[1] :][:, :steps]

    return Subject(
        respond=respond,
        loss=lambda inputs: nn.functional.mse_loss(network(inputs, ahead), target).item(),
        windows=past,
        columns=(*config.columns, *(f"{feature} {wave}" for feature in config.calendar for wave in ("sin", "cos"))),
        outputs=tuple(f"{name} +{step}" for step in range(1, config.horizon + 1) for name in series.targets),
        trace=lambda inputs: trace(network.cell, network.entered(inputs)[0]),
        roll=roll if series.inputs == count else None,
    )


def predict(
    network: nn.Module, trial: TrialConfig, facts: SeriesFacts, path: str | None, folder: Path
) -> dict[str, list[Any]]:
    """Forecast the steps after the last known target of a file, as columns: time, then each target.

    Rows after the last known target give the future covariates over the horizon.

    Raises:
        BadInput: the file is wrong or too short, has another step than the training data, gaps where none are allowed,
            or lacks future covariates.
    """
    config = trial.data_as(ForecastData)
    assert path is not None
    source = _read(config, facts, folder / path)
    try:
        return follow(network, config, facts, source)
    except BadInput as error:
        raise error.at(folder / path) from None


def _read(config: ForecastData, facts: SeriesFacts, path: Path) -> regular.Table:
    """Read a file as the training file was read.

    Raises:
        BadInput: the file is wrong, or an earlier version, which trained the network, read such a file otherwise.
    """
    source = regular.read(config.model_copy(update=dict(facts.found)), path)
    if source.otherwise and not facts.reading:
        raise refused("trained-on-another-reading", at=path, rules=[*source.otherwise])
    return source


class Together(nn.Module):
    """Several networks that are called like one: their forecasts' mean."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self._networks = nn.ModuleList(networks)

    def forward(self, past: Tensor, ahead: Tensor) -> Tensor:
        """Forecast from the look-back and the values known ahead."""
        return torch.stack([network(past, ahead) for network in self._networks]).mean(dim=0)


class _Instead(nn.Module):
    """A rival that is called like a network."""

    def __init__(self, rival: Forecasting, fitted: Fitted) -> None:
        super().__init__()
        self._rival, self._fitted = rival, fitted

    def forward(self, past: Tensor, ahead: Tensor) -> Tensor:
        """Forecast from the look-back and the values known ahead."""
        return torch.from_numpy(self._rival.forecast(self._fitted, past.numpy(), ahead.numpy()))


def predict_by_rival(
    rival: Forecasting, fitted: Fitted, trial: TrialConfig, facts: SeriesFacts, path: str, folder: Path
) -> dict[str, list[Any]]:
    """Forecast the steps after the last known target of a file by a fitted rival, as `predict` does by a network.

    Raises:
        BadInput: the file is wrong.
    """
    lookback = int(fitted.settings["lookback"] or 1)
    config = trial.data_as(ForecastData).model_copy(update={"lookback": lookback})
    source = _read(config, facts, folder / path)
    try:
        return follow(_Instead(rival, fitted), config, facts, source)
    except BadInput as error:
        raise error.at(folder / path) from None


@torch.no_grad()
def follow(network: nn.Module, config: ForecastData, facts: SeriesFacts, source: regular.Table) -> dict[str, list[Any]]:
    """Forecast the steps after the last known target of a table, as columns: time, then each target.

    Raises:
        BadInput: the table is too short, has another step than the training data, gaps that are not allowed, or lacks
            future covariates.
    """
    if source.step != facts.step:
        raise refused("step-of-another-length", step=source.step, wanted=facts.step)
    count = len(facts.targets)
    known = np.flatnonzero(~np.isnan(source.values[:, :count]).any(axis=1))
    if not len(known):
        raise refused("no-target-known", targets=list(facts.targets))
    origin = int(known[-1]) + 1
    if origin < config.lookback:
        raise refused("too-few-rows-to-look-back", rows=origin, lookback=config.lookback)
    values, times = _extended(source, origin, config)
    past = values[origin - config.lookback : origin]
    if config.missing in ("refuse", "skip") and np.isnan(past).any():
        row, column = np.argwhere(np.isnan(past))[0]
        time = times[origin - config.lookback + row]
        raise refused("look-back-with-gap", column=source.columns[column], time=str(time))
    scaled = (fill(values[:origin], config, [origin]) - np.array(facts.scale.mean)) / np.array(facts.scale.deviation)
    ahead = (values[origin:] - np.array(facts.scale.mean)) / np.array(facts.scale.deviation)
    waves = calendar(times, config)
    window = np.concatenate([np.concatenate([scaled, ahead]), waves], axis=1)
    window = window[origin - config.lookback :].astype(np.float32)
    if np.isnan(window[: config.lookback]).any():
        raise refused("look-back-starts-with-gap")
    future = window[config.lookback :, window.shape[1] - facts.futures :]
    if np.isnan(future).any():
        covariates = [*config.future_covariates]
        raise refused("horizon-without-covariates", horizon=config.horizon, covariates=covariates)
    forecast = network(torch.from_numpy(window[None, : config.lookback]), torch.from_numpy(future[None]))[0].numpy()
    original = forecast * np.array(facts.scale.deviation[:count]) + np.array(facts.scale.mean[:count])
    ahead_of = times[origin:]
    if source.zone is None or not isinstance(ahead_of, pd.DatetimeIndex):
        told = _texts(ahead_of.to_numpy())
    else:
        told = zones.written(ahead_of, zones.of_file(source.path, config, source.form, source.zone))
    columns: dict[str, list[Any]] = {config.time_name or "step": list(told)}
    return columns | {target: original[:, i].tolist() for i, target in enumerate(facts.targets)}


def _extended(source: regular.Table, origin: int, config: ForecastData) -> tuple[np.ndarray, pd.Index]:
    """Return values and times of the rows up to the horizon's end. Values after the table's end are NaN."""
    stop = origin + config.horizon
    values = source.values[:stop]
    values = np.concatenate([values, np.full((stop - len(values), values.shape[1]), np.nan)])
    times = source.times[:stop]
    if len(times) < stop:
        if source.hours is not None:
            ahead = source.hours.following(times[-1], stop - len(times))
            times = times.append(ahead)
        elif isinstance(times, pd.DatetimeIndex):
            times = steps.following(times[0], source.step, stop)
        else:
            gap = int(source.step or 1)
            times = pd.RangeIndex(int(times[0]), int(times[0]) + gap * stop, gap)
    return values, times


def _batches(origins: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(origins), size):
        yield origins[start : start + size]


def _texts(times: np.ndarray) -> tuple[str, ...]:
    """Return times as texts; those of days have no time of day."""
    if not np.issubdtype(times.dtype, np.datetime64):
        return tuple(str(t) for t in times)
    index = pd.DatetimeIndex(times)
    if bool((index == index.normalize()).all()):
        return tuple(index.strftime("%Y-%m-%d"))
    whole_seconds = bool((index == index.floor("s")).all())
    return tuple(index.strftime(f"%Y-%m-%dT%H:%M:%S{'' if whole_seconds else '.%f'}"))

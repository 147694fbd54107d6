"""What a task judges: the loss, the metrics in scaled and original units, the baseline, forecasts."""

import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lstm import table
from lstm.checkpoint import Checkpoint
from lstm.config import DataConfig, ModelConfig
from lstm.data import Series, calendar, fill, naive_error, seasonal_naive
from lstm.network import Forecaster, build
from lstm.records import BadInput, Forecast

EVALUATION_BATCH = 512  # windows at most
EVALUATION_CELLS = 2**24  # hidden states of a layer at most (64 MiB), or one window's
Judged = Literal["validation", "test"]


class Windows:
    """The windows of a series on a device, as views: a batch is the only copy that is made."""

    def __init__(self, series: Series, config: DataConfig, device: str) -> None:
        self._series, self._config = series, config
        self._origins: dict[Judged, np.ndarray] = {}
        self._lookback, self._horizon = config.lookback, config.horizon
        self._targets, self._futures = len(series.targets), series.futures
        with warnings.catch_warnings():
            # In a trial the series lies in Ray's shared memory, read-only; nothing here writes to it.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            values = torch.from_numpy(series.values)
        values = values.to(device)
        length, columns = self._lookback + self._horizon, values.shape[1]
        count = max(len(values) - length + 1, 0)
        self._windows = values.as_strided((count, length, columns), (columns, columns, 1))

    def judged(self, part: Judged) -> np.ndarray:
        """The origins that a part is judged on, found once: they pass over the whole series."""
        if part not in self._origins:
            self._origins[part] = self._series.origins(part, self._config)
        return self._origins[part]

    @cached_property
    def naive_error(self) -> np.ndarray:
        """What scales MASE, likewise."""
        return naive_error(self._series)

    def at(self, origins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look-back `(batch, lookback, column)`, what is known ahead `(batch, horizon, future)`, targets."""
        window = self._windows[origins - self._lookback]
        past, rest = window[:, : self._lookback], window[:, self._lookback :]
        return past, rest[..., rest.shape[-1] - self._futures :], rest[..., : self._targets]


def evaluation_batch(data: DataConfig, model: ModelConfig) -> int:
    """Windows that are judged at once, so that long look-backs and wide layers fit in memory."""
    return max(1, min(EVALUATION_BATCH, EVALUATION_CELLS // (data.lookback * model.hidden_size)))


@torch.no_grad()
def evaluate(
    network: Forecaster, windows: Windows, series: Series, config: DataConfig, part: Judged
) -> dict[str, float]:
    """The metrics of a network over every origin of a part, named without the part."""
    device = next(network.parameters()).device
    network.eval()
    sums = _Sums(series, windows.naive_error)
    for origins in _batches(windows.judged(part), evaluation_batch(config, network.model)):
        past, ahead, target = windows.at(torch.from_numpy(origins).to(device))
        sums.add((network(past, ahead).float() - target).cpu().numpy())
    return sums.metrics()


def baseline(series: Series, config: DataConfig, part: Judged) -> dict[str, float]:
    """The metrics of the seasonal naive forecast over the same origins."""
    sums = _Sums(series, naive_error(series))
    count = len(series.targets)
    for origins in _batches(series.origins(part, config)):
        rows = origins[:, None] + np.arange(config.horizon)
        sums.add(seasonal_naive(series, origins, config.horizon) - series.values[rows, :count])
    return sums.metrics()


class _Sums:
    """Adds up errors `(window, step, target)`, scaled, in float64."""

    def __init__(self, series: Series, usual: np.ndarray) -> None:
        self._series, self._usual = series, usual
        self._count = 0
        self._squared = np.zeros(len(series.targets))
        self._absolute = np.zeros(len(series.targets))

    def add(self, errors: np.ndarray) -> None:
        errors = errors.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            self._squared += np.square(errors).sum(axis=(0, 1))
            self._absolute += np.abs(errors).sum(axis=(0, 1))
        self._count += errors.shape[0] * errors.shape[1]

    def metrics(self) -> dict[str, float]:
        squared, absolute = self._squared / self._count, self._absolute / self._count
        deviation = np.array(self._series.scale.deviation[: len(squared)])
        error = absolute * deviation
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled_error = float((error / self._usual).mean())
        found = {"loss": float(squared.mean()), "mae": float(absolute.mean()), "mase": scaled_error}
        for index, target in enumerate(self._series.targets):
            suffix = f"/{target}" if len(squared) > 1 else ""
            found[f"mae_original{suffix}"] = float(error[index])
            found[f"rmse_original{suffix}"] = float(np.sqrt(squared[index]) * deviation[index])
        return found


def judge(checkpoint: Checkpoint, series: Series) -> dict[str, float]:
    """Test metrics of the best epoch, `test/...`, and the seasonal naive's on the same origins, `baseline/...`."""
    config = checkpoint.config
    windows = Windows(series, config.data, "cpu")
    found = evaluate(best_network(checkpoint), windows, series, config.data, "test")
    naive = baseline(series, config.data, "test")
    return {f"test/{k}": v for k, v in found.items()} | {f"baseline/{k}": v for k, v in naive.items()}


def best_network(checkpoint: Checkpoint) -> Forecaster:
    """The network with the best epoch's weights.

    Raises:
        BadInput: the checkpoint holds no weights (no finite epoch, or they were not kept).
    """
    if not checkpoint.state.best_weights:
        raise BadInput("this trial's checkpoint holds no weights: storage.keep: best keeps the best trial's only")
    network = build(checkpoint.config, checkpoint.facts)
    network.load_state_dict(dict(checkpoint.state.best_weights))
    return network.eval()


@torch.no_grad()
def examples(checkpoint: Checkpoint, series: Series, count: int = 3) -> list[Forecast]:
    """Forecasts from origins spread evenly over the test part, in the original units."""
    config = checkpoint.config.data
    network, windows = best_network(checkpoint), Windows(series, config, "cpu")
    origins = series.origins("test", config)
    chosen = origins[np.linspace(0, len(origins) - 1, min(count, len(origins))).round().astype(int)]
    past, ahead, _ = windows.at(torch.from_numpy(chosen))
    forecasts = series.original(network(past, ahead).numpy())
    naive = series.original(seasonal_naive(series, chosen, config.horizon))
    actual = series.original(series.values[:, : len(series.targets)])
    actual = np.where(series.measured[:, : len(series.targets)], actual, np.nan)
    shown = min(max(config.lookback, config.horizon), 3 * config.horizon)
    return [
        Forecast(
            target=target,
            times=_texts(series.times[origin : origin + config.horizon]),
            truth=tuple(actual[origin : origin + config.horizon, column].tolist()),
            forecast=tuple(forecasts[i, :, column].tolist()),
            baseline=tuple(naive[i, :, column].tolist()),
            past_times=_texts(series.times[max(origin - shown, 0) : origin]),
            past=tuple(actual[max(origin - shown, 0) : origin, column].tolist()),
        )
        for i, origin in enumerate(chosen.tolist())
        for column, target in enumerate(series.targets)
    ]


@torch.no_grad()
def predict(checkpoint: Checkpoint, source: table.Table) -> dict[str, list[Any]]:
    """Forecasts the steps after the last known target of a table, as columns: time, then each target.

    Rows after the last known target give the future covariates over the horizon.

    Raises:
        BadInput: the table is too short, has another step than the training data, gaps where none are allowed,
            or lacks future covariates.
    """
    config, facts = checkpoint.config.data, checkpoint.facts
    if source.step != facts.step:
        raise BadInput(
            f"the input has a row every {source.step}, the model was trained on a row every {facts.step}; "
            "give rows with the same step"
        )
    count = len(facts.targets)
    known = np.flatnonzero(~np.isnan(source.values[:, :count]).any(axis=1))
    if not len(known):
        raise BadInput("the input has no row in which every target is known")
    origin = int(known[-1]) + 1
    if origin < config.lookback:
        raise BadInput(
            f"the input has {origin} rows up to the last known target, the model looks back on {config.lookback}"
        )
    values, times = _extended(source, origin, config)
    past = values[origin - config.lookback : origin]
    if config.missing in ("refuse", "skip") and np.isnan(past).any():
        row, column = np.argwhere(np.isnan(past))[0]
        raise BadInput(
            f"the input has no {source.columns[column]!r} at {times[origin - config.lookback + row]}, within the "
            "look-back; fill it in, or train with data.missing: interpolate or forward_fill"
        )
    scaled = (fill(values[:origin], config, [origin]) - np.array(facts.scale.mean)) / np.array(facts.scale.deviation)
    ahead = (values[origin:] - np.array(facts.scale.mean)) / np.array(facts.scale.deviation)
    waves = calendar(times, config)
    window = np.concatenate([np.concatenate([scaled, ahead]), waves], axis=1)
    window = window[origin - config.lookback :].astype(np.float32)
    if np.isnan(window[: config.lookback]).any():
        raise BadInput("the input's look-back starts with missing values; give more rows before them")
    future = window[config.lookback :, window.shape[1] - facts.futures :]
    if np.isnan(future).any():
        raise BadInput(
            f"the input must hold the {config.horizon} steps after the last known target, with every future "
            f"covariate ({', '.join(config.future_covariates)}) and empty targets"
        )
    network = best_network(checkpoint)
    forecast = network(torch.from_numpy(window[None, : config.lookback]), torch.from_numpy(future[None]))[0].numpy()
    original = forecast * np.array(facts.scale.deviation[:count]) + np.array(facts.scale.mean[:count])
    time = config.time or "step"
    columns: dict[str, list[Any]] = {time: list(_texts(times[origin:].to_numpy()))}
    return columns | {target: original[:, i].tolist() for i, target in enumerate(facts.targets)}


def _extended(source: table.Table, origin: int, config: DataConfig) -> tuple[np.ndarray, pd.Index]:
    """Values and times of the rows up to the horizon's end, NaN where the input has none."""
    stop = origin + config.horizon
    values = source.values[:stop]
    values = np.concatenate([values, np.full((stop - len(values), values.shape[1]), np.nan)])
    times = source.times[:stop]
    if len(times) < stop:
        if isinstance(times, pd.DatetimeIndex):
            times = pd.date_range(times[0], periods=stop, freq=source.step)
        else:
            gap = int(source.step or 1)
            times = pd.RangeIndex(int(times[0]), int(times[0]) + gap * stop, gap)
    return values, times


def _batches(origins: np.ndarray, size: int = EVALUATION_BATCH) -> Iterator[np.ndarray]:
    for start in range(0, len(origins), size):
        yield origins[start : start + size]


def _texts(times: np.ndarray) -> tuple[str, ...]:
    if not np.issubdtype(times.dtype, np.datetime64):
        return tuple(str(t) for t in times)
    index = pd.DatetimeIndex(times)
    if bool((index == index.normalize()).all()):
        return tuple(index.strftime("%Y-%m-%d"))
    whole_seconds = bool((index == index.floor("s")).all())
    return tuple(index.strftime("%Y-%m-%dT%H:%M:%S" if whole_seconds else "%Y-%m-%dT%H:%M:%S.%f"))

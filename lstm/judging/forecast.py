"""Turns errors of forecasts into metrics, as sums or window by window."""

import numpy as np

from lstm.data.forecast import Series
from lstm.data.seasonal_naive import naive_error
from lstm.judging.items import Items, Judgement
from lstm.records.epoch import Judged


class Sums:
    """The sums of scaled errors `(window, step, target)` over windows, in float64."""

    def __init__(self, series: Series, usual: np.ndarray) -> None:
        self._series, self._usual = series, usual
        self._count: int | np.ndarray = 0  # of all targets, or of each
        self._squared = np.zeros(len(series.targets))
        self._absolute = np.zeros(len(series.targets))

    def add(self, errors: np.ndarray, known: np.ndarray | None = None) -> None:
        """Add the errors of the next windows: `(window, step, target)`, scaled. Only `known` ones count; None: all."""
        errors = errors.astype(np.float64)
        count: int | np.ndarray = errors.shape[0] * errors.shape[1]
        if known is not None:
            errors, count = np.where(known, errors, 0.0), known.sum(axis=(0, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            self._squared += np.square(errors).sum(axis=(0, 1))
            self._absolute += np.abs(errors).sum(axis=(0, 1))
        self._count = self._count + count

    def metrics(self) -> dict[str, float]:
        """Compute the metrics over all windows that were added, named without the part; a target without any is 0."""
        count = np.maximum(self._count, 1)
        squared, absolute = self._squared / count, self._absolute / count
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


class Forecasts:
    """The errors of forecasts window by window: two numbers are kept for each window and target."""

    def __init__(self, series: Series, windows: int, usual: np.ndarray | None = None) -> None:
        self._series, self._usual = series, naive_error(series) if usual is None else usual
        self._squared = np.empty((windows, len(series.targets)))
        self._absolute = np.empty((windows, len(series.targets)))
        self._count = self._steps = 0

    def add(self, errors: np.ndarray) -> None:
        """Add the errors of the next windows: `(window, step, target)`, scaled."""
        errors = errors.astype(np.float64, copy=False)
        rows, self._steps = slice(self._count, self._count + len(errors)), errors.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            self._squared[rows] = np.square(errors).mean(axis=1)
            self._absolute[rows] = np.abs(errors).mean(axis=1)
        self._count += len(errors)

    def metrics(self) -> dict[str, float]:
        """Compute the metrics over all windows, named as in the task's `evaluate`."""
        errors = self._errors()
        found = {name: float(errors[name].mean()) for name in ("loss", "mae", "mase")}
        for index, suffix in enumerate(self._suffixes()):
            found[f"mae_original{suffix}"] = float(errors[f"mae_original{suffix}"].mean())
            found[f"rmse_original{suffix}"] = float(np.sqrt(self._squared[:, index].mean()) * self._deviation[index])
        return found

    def judgement(self, name: str, part: Judged, origins: np.ndarray) -> Judgement:
        """Return the judgement over all windows of a part; windows were added in the order of `origins`."""
        assert self._count == len(origins)
        weights = np.full(len(origins), float(self._steps * len(self._series.targets)))
        items = Items(part, name, origins.astype(np.int64), weights, self._errors())
        return Judgement(items, self.metrics())

    @property
    def _deviation(self) -> np.ndarray:
        return np.array(self._series.scale.deviation[: len(self._series.targets)])

    def _suffixes(self) -> list[str]:
        targets = self._series.targets
        return [f"/{target}" for target in targets] if len(targets) > 1 else [""]

    def _errors(self) -> dict[str, np.ndarray]:
        original = self._absolute * self._deviation
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = (original / self._usual).mean(axis=1)
        found = {"loss": self._squared.mean(axis=1), "mae": self._absolute.mean(axis=1), "mase": scaled}
        return found | {f"mae_original{suffix}": original[:, i] for i, suffix in enumerate(self._suffixes())}

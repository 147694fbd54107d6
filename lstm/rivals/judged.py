"""What was answered becomes items and metrics: the same for networks and rivals, task by task."""

import math

import numpy as np

from lstm.config.language_model import TextData
from lstm.config.memory import MemoryData
from lstm.data.classify import Sequences
from lstm.data.forecast import Series
from lstm.data.memory import Problems
from lstm.data.seasonal_naive import naive_error
from lstm.records.epoch import Judged
from lstm.rivals.items import Items
from lstm.rivals.rival import Judgement
from lstm.tasks import classify, language_model, memory

MOST_ITEMS = 2**20  # of a text: a longer one is kept by stretches of symbols


class Forecasts:
    """Takes errors of windows block by block; keeps two numbers for each window and target."""

    def __init__(self, series: Series, windows: int, usual: np.ndarray | None = None) -> None:
        self._series, self._usual = series, naive_error(series) if usual is None else usual
        self._squared = np.empty((windows, len(series.targets)))
        self._absolute = np.empty((windows, len(series.targets)))
        self._count = self._steps = 0

    def add(self, errors: np.ndarray) -> None:
        """Takes the next windows' errors in: (window, step, target), scaled."""
        errors = errors.astype(np.float64, copy=False)
        rows, self._steps = slice(self._count, self._count + len(errors)), errors.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            self._squared[rows] = np.square(errors).mean(axis=1)
            self._absolute[rows] = np.abs(errors).mean(axis=1)
        self._count += len(errors)

    def metrics(self) -> dict[str, float]:
        """As the task's `evaluate` names them."""
        errors = self._errors()
        found = {name: float(errors[name].mean()) for name in ("loss", "mae", "mase")}
        for index, suffix in enumerate(self._suffixes()):
            found[f"mae_original{suffix}"] = float(errors[f"mae_original{suffix}"].mean())
            found[f"rmse_original{suffix}"] = float(np.sqrt(self._squared[:, index].mean()) * self._deviation[index])
        return found

    def judgement(self, name: str, part: Judged, origins: np.ndarray) -> Judgement:
        """All windows of a part, in the order of their origins."""
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


def classes(name: str, part: Judged, data: Sequences, likely: np.ndarray) -> Judgement:
    """Of a part's sequences, from the logarithm of each class's probability: (sequence, class)."""
    chosen = data.parts[part]
    labels = data.labels[chosen]
    errors = {
        "loss": -likely[np.arange(len(labels)), labels],
        "accuracy": (likely.argmax(axis=1) == labels).astype(np.float64),
    }
    items = Items(part, name, chosen.astype(np.int64), np.ones(len(chosen)), errors)
    return Judgement(items, classify.metrics(likely, labels))


def symbols(name: str, part: Judged, start: int, losses: np.ndarray, section: TextData) -> Judgement:
    """Of a part's symbols, from the loss of each in nats; of a long part by stretches."""
    size = -(-len(losses) // MOST_ITEMS)
    first = np.arange(0, len(losses), size)
    weights = np.diff(np.append(first, len(losses))).astype(np.float64)
    errors = {"loss": np.add.reduceat(losses, first) / weights}
    if section.unit == "characters":
        errors["bits_per_character"] = errors["loss"] / math.log(2)
    items = Items(part, name, (start + first).astype(np.int64), weights, errors)
    return Judgement(items, language_model.named(float(losses.mean()), words=section.unit == "words"))


def answers(
    name: str, part: Judged, data: Problems, section: MemoryData, warmup: int, errors: dict[str, np.ndarray]
) -> Judgement:
    """Of a part's sequences, from the mean error of each by metric: `loss`, of symbols `accuracy`."""
    targets = data.parts[part][1]
    targets = targets if section.problem == "adding" else targets[:, warmup:]
    count = len(targets)
    items = Items(part, name, np.arange(count), np.full(count, float(targets[0].size)), errors)
    accuracy = float(errors["accuracy"].mean()) if "accuracy" in errors else 0.0
    return Judgement(items, memory.named(float(errors["loss"].mean()), accuracy, targets, section))

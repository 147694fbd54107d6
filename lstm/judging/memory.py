"""Turns errors of answers to generated sequences into metrics and items."""

import numpy as np

from lstm.config.memory import MemoryData
from lstm.data.memory import Problems
from lstm.judging.items import Items, Judgement
from lstm.records.epoch import Judged


def answers(
    name: str, part: Judged, data: Problems, section: MemoryData, warmup: int, errors: dict[str, np.ndarray]
) -> Judgement:
    """Judge a part's sequences by the mean error of each, `(sequence,)` by metric: `loss`, and `accuracy` for symbols.

    The first `warmup` steps of each sequence are not judged, except in `adding`, which has one answer.
    """
    targets = data.parts[part][1]
    targets = targets if section.problem == "adding" else targets[:, warmup:]
    count = len(targets)
    items = Items(part, name, np.arange(count), np.full(count, float(targets[0].size)), errors)
    accuracy = float(errors["accuracy"].mean()) if "accuracy" in errors else 0.0
    return Judgement(items, named(float(errors["loss"].mean()), accuracy, targets, section))


def named(loss: float, accuracy: float, targets: np.ndarray, section: MemoryData) -> dict[str, float]:
    """Return the metrics that the literature reports for the problem.

    They are the mean loss; for copy also the accuracy, the share of symbols that are right; for mackey_glass also the
    normalised root mean squared error.
    """
    if section.problem == "copy":
        return {"loss": loss, "accuracy": accuracy}
    if section.problem == "mackey_glass":
        return {"loss": loss, "nrmse": float(np.sqrt(loss / targets.astype(np.float64).var()))}
    return {"loss": loss}

"""Where rivals and networks meet: a network's judgement, item by item, and a rival in a network's place."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lstm.checkpoint import Checkpoint
from lstm.config.forecast import DataConfig
from lstm.config.language_model import TextData
from lstm.config.memory import MemoryData
from lstm.config.trial import TrialConfig
from lstm.data.classify import Sequences
from lstm.data.dataset import Dataset, Facts
from lstm.data.forecast import Series
from lstm.data.language_model import Text
from lstm.data.memory import Problems
from lstm.data.tables import regular
from lstm.nn.networks import Forecaster, SequenceNetwork, evaluation_batch
from lstm.records.epoch import Judged
from lstm.records.errors import BadInput
from lstm.rivals import judged, registry
from lstm.rivals.rival import Fitted, Judgement
from lstm.tasks import classify, forecast, language_model, memory
from lstm.tasks import registry as tasks


@torch.no_grad()
def network_items(checkpoint: Checkpoint, data: Dataset, part: Judged, name: str) -> Judgement:
    """What the best epoch's network does on a part, as its task evaluates it.

    Raises:
        BadInput: the checkpoint holds no weights.
    """
    config = checkpoint.config
    return JUDGES[config.task](tasks.best_network(checkpoint), data, config, part, name)


def _forecast(network: nn.Module, series: Series, config: TrialConfig, part: Judged, name: str) -> Judgement:
    assert isinstance(network, Forecaster)
    section = config.data_as(DataConfig)
    windows = forecast.Windows(series, section, "cpu")
    origins = windows.judged(part)
    found, size = judged.Forecasts(series, len(origins)), evaluation_batch(section.lookback, network.model)
    for start in range(0, len(origins), size):
        past, ahead, target = windows.at(torch.from_numpy(origins[start : start + size]))
        found.add((network(past, ahead).float() - target).numpy())
    return found.judgement(name, part, origins)


def _classify(network: nn.Module, data: Sequences, config: TrialConfig, part: Judged, name: str) -> Judgement:
    return judged.classes(name, part, data, classify.log_probabilities(network, data, data.parts[part], "cpu"))


def _language(network: nn.Module, data: Text, config: TrialConfig, part: Judged, name: str) -> Judgement:
    assert isinstance(network, language_model.LanguageNetwork)
    start, stop = data.bounds(part)
    losses = language_model.losses(network, data.ids, start, stop)
    return judged.symbols(name, part, start, losses, config.data_as(TextData))


def _memory(network: nn.Module, data: Problems, config: TrialConfig, part: Judged, name: str) -> Judgement:
    assert isinstance(network, SequenceNetwork)
    section, warmup = config.data_as(MemoryData), config.training.warmup_steps
    feed, size = memory.Feed(data, config, "cpu"), evaluation_batch(section.steps, network.model)
    inputs, targets = data.parts[part]
    losses, right = [], []
    for start in range(0, len(inputs), size):
        answers, wanted = feed.answers(network, (inputs[start : start + size], targets[start : start + size]))
        losses.append(memory.losses(answers, wanted).double().flatten(1).mean(dim=1).numpy())
        if section.problem == "copy":
            hits = answers[:, -section.keep :].argmax(dim=-1) == wanted[:, -section.keep :]
            right.append(hits.double().mean(dim=1).numpy())
    errors = {"loss": np.concatenate(losses)} | ({"accuracy": np.concatenate(right)} if right else {})
    return judged.answers(name, part, data, section, warmup, errors)


JUDGES: Mapping[str, Callable[[nn.Module, Any, TrialConfig, Judged, str], Judgement]] = {
    "forecast": cast("Callable[..., Judgement]", _forecast),
    "classify": cast("Callable[..., Judgement]", _classify),
    "language_model": cast("Callable[..., Judgement]", _language),
    "memory": cast("Callable[..., Judgement]", _memory),
}


class _Instead(nn.Module):
    """A rival that is asked as a network is."""

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        self._fitted = fitted

    def forward(self, past: Tensor, ahead: Tensor) -> Tensor:
        """Forecasts from the look-back and what is known ahead."""
        return torch.from_numpy(registry.forecast_of(self._fitted, past.numpy(), ahead.numpy()))


def predict(fitted: Fitted, config: TrialConfig, facts: Facts, path: str, folder: Path) -> dict[str, list[Any]]:
    """What a fitted rival forecasts after a file's last known target, as `forecast.predict` does by a network.

    Raises:
        BadInput: the file is wrong, or the rival is judged only.
    """
    registry.check_forecasts(fitted.name)
    section = config.data_as(DataConfig).model_copy(update={"lookback": int(fitted.settings["lookback"] or 1)})
    source = regular.read(section.model_copy(update={"path": path}), folder)
    try:
        return forecast.follow(_Instead(fitted), section, facts, source)
    except BadInput as error:
        raise BadInput(*(f"{folder / path}: {message}" for message in error.messages)) from None

"""The data of each task, read or generated; without PyTorch, which takes a second to import."""

from collections.abc import Callable, Mapping
from pathlib import Path

from lstm.config.classify import ClassifyData
from lstm.config.forecast import DataConfig
from lstm.config.language_model import TextData
from lstm.config.memory import MemoryData
from lstm.config.trial import TrialConfig
from lstm.data import classify as classify_data
from lstm.data import forecast as forecast_data
from lstm.data import language_model as language_data
from lstm.data import memory as memory_data
from lstm.data.dataset import Dataset
from lstm.records.errors import BadInput


def load(config: TrialConfig, folder: Path, reach: int | None = None) -> Dataset:
    """The data of a configuration, read from a folder; `reach` is the largest of all that will be compared.

    Arrays that all trials share and nobody writes to.

    Raises:
        BadInput: a file is wrong, or too small for what is asked.
    """
    return DATASETS[config.task](config, folder, reach or config.data.reach)


def _series(config: TrialConfig, folder: Path, reach: int) -> Dataset:
    section = config.data_as(DataConfig)
    series = forecast_data.load(section, folder, reach)
    if config.loss_on == "measured":
        longest = section.model_copy(update={"lookback": series.reach})
        if not len(series.train_origins(longest, measured=True)):
            raise BadInput(
                f"data: no window of the training part has a target that was measured: after lookback = {series.reach} "
                "rows all were filled in, and there is nothing to learn; use more data or another split"
            )
    return series


def _problems(config: TrialConfig, _folder: Path, _reach: int) -> Dataset:
    return memory_data.generate(config.data_as(MemoryData))


def _sequences(config: TrialConfig, folder: Path, _reach: int) -> Dataset:
    return classify_data.load(config.data_as(ClassifyData), folder)


def _text(config: TrialConfig, folder: Path, reach: int) -> Dataset:
    section = config.data_as(TextData)
    loaded = language_data.load(section, folder)
    language_data.chunks(loaded, config.training.batch_size, max(section.lookback, reach))
    return loaded


DATASETS: Mapping[str, Callable[[TrialConfig, Path, int], Dataset]] = {
    "forecast": _series,
    "memory": _problems,
    "classify": _sequences,
    "language_model": _text,
}

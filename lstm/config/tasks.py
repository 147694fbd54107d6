"""The tasks by name, each with its section `data`."""

from collections.abc import Mapping
from typing import Literal

from lstm.config.classify import ClassifyData
from lstm.config.forecast import DataConfig
from lstm.config.language_model import TextData
from lstm.config.memory import MemoryData
from lstm.config.section import Data

Task = Literal["forecast", "memory", "classify", "language_model"]


DATA: Mapping[str, type[Data]] = {
    "forecast": DataConfig,
    "memory": MemoryData,
    "classify": ClassifyData,
    "language_model": TextData,
}
AnyData = DataConfig | MemoryData | ClassifyData | TextData


def section_of(task: object) -> type[Data]:
    """The section `data` of a task; of a name that is none, the first one's."""
    return DATA.get(str(task), DataConfig)

"""The tasks by name, each with its section `data`."""

from collections.abc import Mapping
from typing import Literal

from lstm.config.classify import ClassifyData
from lstm.config.forecast import ForecastData
from lstm.config.language_model import TextData
from lstm.config.memory import MemoryData
from lstm.config.section import Data

Task = Literal["forecast", "memory", "classify", "language_model"]

SECTIONS: Mapping[str, type[Data]] = {
    "forecast": ForecastData,
    "memory": MemoryData,
    "classify": ClassifyData,
    "language_model": TextData,
}
AnyData = ForecastData | MemoryData | ClassifyData | TextData

"""The tasks by name, each with its section `data`; a user's own is named as `FILE.py:Class`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from lstm.config.classify import ClassifyData
from lstm.config.code import REFERENCE, find, is_known, is_reference
from lstm.config.forecast import ForecastData
from lstm.config.language_model import TextData
from lstm.config.memory import MemoryData
from lstm.config.section import Data

Task = (
    Literal["forecast", "memory", "classify", "language_model"]
    | Annotated[str, Field(pattern=REFERENCE, description="FILE.py:Class")]
)


SECTIONS: Mapping[str, type[Data]] = {
    "forecast": ForecastData,
    "memory": MemoryData,
    "classify": ClassifyData,
    "language_model": TextData,
}


class UnknownData(Data):
    """The section of a user's own task, in a process that has not executed its file: kept as it is."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)


def section_of(task: str, code: Mapping[str, str]) -> type[Data]:
    """The section `data` of a task; `code` are the digests of the user's files.

    Raises:
        BadInput: the user's file has no such class.
    """
    if not is_reference(task):
        return SECTIONS[task]
    if not is_known(task, code):
        return UnknownData
    section: Any = getattr(find(task, code), "section", None)
    return section if isinstance(section, type) and issubclass(section, Data) else UnknownData

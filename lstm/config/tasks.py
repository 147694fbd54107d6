"""The tasks by name, each with its section `data` and its location; a user's own task is named as `FILE.py:Class`."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, create_model

from lstm.config.classify import ClassifyData, SequencesFile
from lstm.config.forecast import ForecastData, SeriesFile
from lstm.config.language_model import TextData, TextFile
from lstm.config.memory import MemoryData
from lstm.config.section import Data, Location
from lstm.config.translate import PairFiles, TranslateData
from lstm.config.video import FramesFile, VideoData
from lstm.own_code import REFERENCE, find, is_known, is_reference

Task = (
    Literal["forecast", "memory", "classify", "language_model", "translate", "video"]
    | Annotated[str, Field(pattern=REFERENCE, description="FILE.py:Class")]
)


SECTIONS: Mapping[str, tuple[type[Data], type[Location]]] = {
    "forecast": (ForecastData, SeriesFile),
    "memory": (MemoryData, Location),
    "classify": (ClassifyData, SequencesFile),
    "language_model": (TextData, TextFile),
    "translate": (TranslateData, PairFiles),
    "video": (VideoData, FramesFile),
}


class UnknownData(Data):
    """The section of a user's own task in a process that has not executed its file; any field is kept unchanged."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)


def sections_of(task: str, code: Mapping[str, str]) -> tuple[type[Data], type[Location]]:
    """Return a task's classes for its section `data` and its location.

    Args:
        task: The task's name, or `FILE.py:Class`.
        code: The digest of each of the user's files by its name.

    Raises:
        BadInput: the user's file has no such class.
    """
    if not is_reference(task):
        return SECTIONS[task]
    return own_sections(find(task, code) if is_known(task, code) else None)


def own_sections(made: type | None) -> tuple[type[Data], type[Location]]:
    """Return the section and location of a user's own task class; `made` is None if its file was not executed."""
    section: Any = getattr(made, "section", None)
    location: Any = getattr(made, "location", None)
    if not (isinstance(section, type) and issubclass(section, Data)):
        return UnknownData, Location
    return section, location if isinstance(location, type) and issubclass(location, Location) else Location


@cache
def in_spec(section: type[Data], location: type[Location]) -> type[Data]:
    """Return the class of a spec's section `data`: the fields of the section and of the location together."""
    if not location.model_fields:
        return section
    bases: tuple[type[Any], ...] = (section, location)
    return create_model(section.__name__, __base__=bases, __doc__=section.__doc__)


def parted(data: Data, section: type[Data], location: type[Location]) -> tuple[Data, Location]:
    """Split a spec's section `data` into the trial's section and the location of the data."""
    if not location.model_fields:
        return data, location()
    values = {name: getattr(data, name) for name in type(data).model_fields}
    place = {name: values.pop(name) for name in location.model_fields}
    return section.model_construct(**values), location.model_construct(**place)  # `data` was validated as a whole

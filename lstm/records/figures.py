"""The pictures and texts of a report as data, independent of how they are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast of one target from one origin, with the truth and a baseline, in the data's original unit."""

    target: str
    times: tuple[str, ...]  # of the horizon's steps, as ISO 8601 or row numbers
    truth: tuple[float, ...]  # NaN for values that are not known
    forecast: tuple[float, ...]
    baseline: tuple[float, ...]
    past_times: tuple[str, ...] = ()  # of the steps before the origin
    past: tuple[float, ...] = ()  # the target's values before the origin
    baseline_name: str = "seasonal naive"


@dataclass(frozen=True, slots=True)
class Curve:
    """A picture of lines over one axis."""

    title: str
    note: str  # what the picture shows, in one plain sentence
    x_label: str
    y_label: str
    x: tuple[float, ...]
    series: Mapping[str, tuple[float, ...]]  # by name, each as long as x; NaN draws nothing
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A picture of values over two axes, shown as colours."""

    title: str
    note: str
    x_label: str
    y_label: str
    x: tuple[float, ...] | tuple[str, ...]  # places, or names of the columns
    y: tuple[str, ...]  # names of the rows
    values: tuple[tuple[float, ...], ...]  # one row per name, one value per x
    low: float  # the value of the lowest colour
    high: float  # the value of the highest colour


Picture = Curve | HeatMap


@dataclass(frozen=True, slots=True)
class Probe:
    """The measurements of a trained network: finite numbers by name (`delay/half_life`), and pictures."""

    numbers: Mapping[str, float]
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A text and the continuation that a network wrote."""

    title: str
    note: str  # what the passage shows, in plain words
    prompt: str  # the text that the network read
    text: str  # the continuation that the network wrote


@dataclass(frozen=True, slots=True)
class Beside:
    """Texts side by side, row by row."""

    title: str
    note: str  # what the rows show, in plain words
    heads: tuple[str, ...]  # of the columns
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TranslatedLines:
    """A file's lines, and what a network wrote for each."""

    sources: tuple[str, ...]
    texts: tuple[str, ...]  # "" for an empty line
    log_probabilities: tuple[float | None, ...]  # of each text, in nats; None for an empty line
    scores: tuple[float | None, ...]  # the logarithm by the length penalty, by which texts are compared

    @property
    def text(self) -> str:
        """The texts line by line."""
        return "\n".join(self.texts)

    @property
    def columns(self) -> dict[str, list[str | float | None]]:
        """The lines as columns of a table."""
        return {
            "source": [*self.sources],
            "translation": [*self.texts],
            "log_probability": [*self.log_probabilities],
            "score": [*self.scores],
        }


@dataclass(frozen=True, slots=True)
class Strip:
    """Frames beside each other in time, in rows under each other: past, truth, forecasts."""

    title: str
    note: str  # what the strip shows, in plain words
    rows: Mapping[str, tuple[bytes, ...]]  # by name the frames in time, each (height, width, channel) of 8 bits
    height: int
    width: int
    channels: int  # 1 is grey, 3 are red, green and blue


@dataclass(frozen=True)
class ForecastFrames:
    """Forecast frames, and a strip of some of them to look at."""

    values: "np.ndarray"  # (sequence, time, height, width, channel), without the channel if the input had none
    strip: Strip


# What `sweep predict` makes: columns, a text, lines beside their sources, or frames.
Predicted = dict[str, list[Any]] | Passage | TranslatedLines | ForecastFrames
Example = Forecast | Passage | Beside | Strip | Picture  # an example of a network's answers to new data

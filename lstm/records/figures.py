"""Pictures and texts of a report, without saying how they are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts against the truth from a few origins, in the original units, for pictures and files."""

    target: str
    times: tuple[str, ...]  # of the horizon's steps, ISO 8601 or row numbers
    truth: tuple[float, ...]  # NaN where it is not known
    forecast: tuple[float, ...]
    baseline: tuple[float, ...]
    past_times: tuple[str, ...] = ()
    past: tuple[float, ...] = ()
    baseline_name: str = "seasonal naive"


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over one axis, for a picture."""

    title: str
    note: str  # what it shows, one sentence in plain words
    x_label: str
    y_label: str
    x: tuple[float, ...]
    series: Mapping[str, tuple[float, ...]]  # by name, each as long as x; NaN where there is nothing to draw
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Values over two axes, for a picture."""

    title: str
    note: str
    x_label: str
    y_label: str
    x: tuple[float, ...] | tuple[str, ...]  # places, or names of the columns
    y: tuple[str, ...]  # names of the rows
    values: tuple[tuple[float, ...], ...]  # a row per name, a value per x
    low: float  # the ends of the colours
    high: float


Picture = Curve | HeatMap


@dataclass(frozen=True, slots=True)
class Probe:
    """What a trained network is like: numbers by name (`delay/half_life`), all finite, and pictures."""

    numbers: Mapping[str, float]
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A text and how a network goes on with it."""

    title: str
    note: str  # what it shows, in plain words
    prompt: str  # what the network has read
    text: str  # what it wrote then


Example = Forecast | Passage | Picture  # what a network makes of data that it has never seen

"""The space that a sweep searches: its order, suggested, resolved, its ends; what is wrong with one: `rules.py`."""

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from cluster.config import AnyDimension, CategoricalDimension, FloatDimension, IntDimension
from lstm.config.trial import TrialConfig
from lstm.records.objective import Scalar

SIZES = ("model.num_layers", "model.hidden_size", "data.lookback")  # what a trial's time and memory grow with
Space = Mapping[str, AnyDimension]
Settings = Mapping[str, Scalar]


class Suggests(Protocol):
    """The part of `optuna.Trial` that `suggest` needs."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Draw a whole number."""
        ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Draw a real number."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Scalar:
        """Draw one of the choices."""
        ...


def suggest(trial: Suggests, space: Space) -> dict[str, Scalar]:
    """Draws a setting for every parameter that is active, conditions first."""
    return walk(space, lambda path: draw(trial, path, space[path]))


def walk(space: Space, choose: Callable[[str], Scalar]) -> dict[str, Scalar]:
    """A setting for every parameter that is active, each as chosen, conditions first."""
    settings: dict[str, Scalar] = {}
    for path in order(space):
        if active(space[path], settings):
            settings[path] = choose(path)
    return settings


def draw(trial: Suggests, path: str, dimension: AnyDimension) -> Scalar:
    """One value, as the trial suggests it."""
    if isinstance(dimension, IntDimension):
        return trial.suggest_int(path, dimension.low, dimension.high, step=dimension.step or 1, log=dimension.log)
    if isinstance(dimension, FloatDimension):
        return trial.suggest_float(path, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
    return trial.suggest_categorical(path, dimension.choices)


def active(dimension: AnyDimension, settings: Settings) -> bool:
    """Whether the dimension's `when` holds under the settings of the parameters it names."""
    return all(
        path in settings and any(same(settings[path], v) for v in listed(wanted))
        for path, wanted in (dimension.when or {}).items()
    )


def order(space: Space) -> list[str]:
    """The paths so that each comes after those that its condition names; `faults` refuses cycles."""
    done: list[str] = []
    waiting = list(space)
    while waiting:
        ready = [p for p in waiting if not (set(space[p].when or {}) & set(waiting))] or waiting
        done += ready
        waiting = [p for p in waiting if p not in ready]
    return done


def resolve(base: TrialConfig, settings: Settings) -> TrialConfig:
    """The base configuration with the settings filled in.

    Raises:
        ValidationError: a setting is not valid where it stands; `faults` finds that beforehand.
    """
    return TrialConfig.model_validate(filled(base.model_dump(), settings))


def filled(tree: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Sections as plain data with the settings filled in; what is not a field's is shared with the original."""
    made = {name: dict(part) if isinstance(part, dict) else part for name, part in tree.items()}
    for path, value in settings.items():
        section, field = path.split(".")
        made[section][field] = value
    return made


class Resolver:
    """What `resolve` makes, as plain nested data, for the settings of many trials of one base: without checking each.

    The settings are a study's, which were valid when they were suggested.
    """

    def __init__(self, base: TrialConfig) -> None:
        """Prepares it."""
        self._base, self._tree = base, base.model_dump()
        self._whole: dict[tuple[str, int], Scalar] = {}

    def __call__(self, settings: Settings) -> dict[str, Any]:
        """The base configuration with the settings filled in."""
        return filled(self._tree, {path: self._plain(path, value) for path, value in settings.items()})

    def _plain(self, path: str, value: Scalar) -> Scalar:
        """A setting as its field keeps it: a whole number may be a real field's; all else is taken as it is."""
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        if (path, value) not in self._whole:
            section, field = path.split(".")
            self._whole[path, value] = resolve(self._base, {path: value}).model_dump()[section][field]
        return self._whole[path, value]


def ends(base: TrialConfig, space: Space) -> tuple[TrialConfig, TrialConfig]:
    """The configurations at the low and at the high end of every dimension, for estimates of cost."""
    low, high = (lambda path: _span(space[path])[0]), (lambda path: _dearest(path, base, space))
    return resolve(base, walk(space, low)), resolve(base, walk(space, high))


def _dearest(path: str, base: TrialConfig, space: Space) -> Scalar:
    """A parameter's high end; what others' conditions name has the value under which the largest trial is searched."""
    for size in (size for size in SIZES if path in ((size in space and space[size].when) or {})):
        section, field = size.split(".")
        most: Any = _span(space[size])[1]
        if most > getattr(getattr(base, section), field):
            return listed((space[size].when or {})[path])[-1]
    return _span(space[path])[1]


def _span(dimension: AnyDimension) -> tuple[Scalar, Scalar]:
    """A dimension's low and high end; of names the first and the last."""
    values = [value for _, value in ends_of(dimension)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return (min(numbers), max(numbers)) if len(numbers) == len(values) else (values[0], values[-1])


def grid(space: Space) -> dict[str, list[Scalar]]:
    """Every dimension's values, for the grid sampler; a spec whose dimensions have none is refused."""
    return {path: values for path, dimension in space.items() if (values := _values(dimension)) is not None}


def _values(dimension: AnyDimension) -> list[Scalar] | None:
    if isinstance(dimension, IntDimension) and dimension.log:
        return None
    count = size(dimension)
    return None if count is None else [value_at(dimension, index) for index in range(count)]


def size(dimension: AnyDimension) -> int | None:
    """How many values a dimension has; None where they are too close to be counted."""
    if isinstance(dimension, CategoricalDimension):
        return len(dimension.choices)
    if isinstance(dimension, IntDimension):
        return (dimension.high - dimension.low) // (dimension.step or 1) + 1
    return None if dimension.step is None else math.floor((dimension.high - dimension.low) / dimension.step + 1e-6) + 1


def value_at(dimension: AnyDimension, index: int) -> Scalar:
    """One of the values of a dimension that has a size."""
    if isinstance(dimension, CategoricalDimension):
        return dimension.choices[index]
    if isinstance(dimension, IntDimension):
        return dimension.low + index * (dimension.step or 1)
    return float(Decimal(str(dimension.low)) + index * Decimal(str(dimension.step)))  # 0.1 + 2 * 0.1 is 0.3


def ends_of(dimension: AnyDimension) -> list[tuple[str, Scalar]]:
    """A dimension's ends, or all its choices, each with the place where it stands in the dimension."""
    if isinstance(dimension, CategoricalDimension):
        return [(f"choices.{i}", choice) for i, choice in enumerate(dimension.choices)]
    return [("low", dimension.low), ("high", dimension.high)]


def same(a: Scalar, b: Scalar) -> bool:
    """Equal, and not merely because Python counts True as 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def listed(value: Scalar | list[Scalar]) -> list[Scalar]:
    """What a condition asks for, as a list."""
    return value if isinstance(value, list) else [value]

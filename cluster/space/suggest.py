"""The space that a sweep searches: the order of its parameters, drawing, resolving, its ends. Faults: `rules.py`."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any, Protocol

from cluster.config import AnyDimension, CategoricalDimension, FloatDimension, IntDimension
from lstm.config.section import Section, unwritten
from lstm.config.trial import TrialConfig
from lstm.records.objective import Scalar

SIZES = ("model.num_layers", "model.hidden_size", "data.lookback")  # a trial's time and memory grow with these
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
    """Draw a value for every active parameter, conditions first."""
    return walk(space, lambda path: draw(trial, path, space[path]))


def walk(space: Space, choose: Callable[[str], Scalar]) -> dict[str, Scalar]:
    """Return a value for every active parameter, each from `choose`, conditions first."""
    settings: dict[str, Scalar] = {}
    for path in order(space):
        if active(space[path], settings):
            settings[path] = choose(path)
    return settings


def draw(trial: Suggests, path: str, dimension: AnyDimension) -> Scalar:
    """Return one value, as the trial suggests it."""
    if isinstance(dimension, IntDimension):
        return trial.suggest_int(path, dimension.low, dimension.high, step=dimension.step or 1, log=dimension.log)
    if isinstance(dimension, FloatDimension):
        return trial.suggest_float(path, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
    return trial.suggest_categorical(path, dimension.choices)


def active(dimension: AnyDimension, settings: Settings) -> bool:
    """Return whether the dimension's `when` is met by the settings of the parameters that it names."""
    return all(
        path in settings and any(same(settings[path], v) for v in listed(wanted))
        for path, wanted in (dimension.when or {}).items()
    )


def order(space: Space) -> list[str]:
    """Return the paths so that each follows those that its condition names; `rules.faults` refuses cycles."""
    done: list[str] = []
    waiting = list(space)
    while waiting:
        ready = [p for p in waiting if not (set(space[p].when or {}) & set(waiting))] or waiting
        done += ready
        waiting = [p for p in waiting if p not in ready]
    return done


def resolve(base: TrialConfig, settings: Settings, changes: Settings | None = None) -> TrialConfig:
    """Return the base configuration with the settings filled in, and then the changes of a derived trial.

    Raises:
        ValidationError: a setting is not valid for its field; `rules.faults` finds that beforehand.
    """
    return TrialConfig.model_validate(filled(base.model_dump(), {**settings, **(changes or {})}))


def changed(settings: Settings, changes: Settings) -> dict[str, Scalar]:
    """Return the searched settings of a derived trial: its parent's, with those that it changes."""
    return {path: changes.get(path, value) for path, value in settings.items()}


def filled(tree: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return sections as plain data with the settings filled in; values that are no sections are shared, not copied."""
    made = {name: dict(part) if isinstance(part, dict) else part for name, part in tree.items()}
    for path, value in settings.items():
        section, _, field = path.rpartition(".")
        (made[section] if section else made)[field] = value  # a derived trial may also change where it is judged
    return made


class Resolver:
    """A faster `resolve` for the settings of many trials of one base: plain nested data, without checks.

    The settings come from a study; they were valid when they were suggested.
    """

    def __init__(self, base: TrialConfig) -> None:
        """Take the base."""
        self._base, self._tree = base, base.model_dump()
        self._whole: dict[tuple[str, int], Scalar] = {}

    def __call__(self, settings: Settings) -> dict[str, Any]:
        """Return the base configuration with the settings filled in, as plain data."""
        if any(self._is_unwritten(path) for path in settings):  # such a field may be left out, and has a place
            return resolve(self._base, settings).model_dump()
        return filled(self._tree, {path: self._plain(path, value) for path, value in settings.items()})

    def _is_unwritten(self, path: str) -> bool:
        section, _, field = path.rpartition(".")
        if not section:
            return False
        kind: type[Section] = type(getattr(self._base, section))
        return field in unwritten(kind)

    def _plain(self, path: str, value: Scalar) -> Scalar:
        """Return a setting in its field's type: a whole number may belong to a real field. Other values stay."""
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        if (path, value) not in self._whole:
            section, field = path.split(".")
            self._whole[path, value] = getattr(getattr(resolve(self._base, {path: value}), section), field)
        return self._whole[path, value]


def ends(base: TrialConfig, space: Space) -> tuple[TrialConfig, TrialConfig]:
    """Return the configurations at the low and at the high end of every dimension, for estimates of cost."""
    low, high = (lambda path: _span(space[path])[0]), (lambda path: _dearest(path, base, space))
    return resolve(base, walk(space, low)), resolve(base, walk(space, high))


def _dearest(path: str, base: TrialConfig, space: Space) -> Scalar:
    """Return a parameter's high end; for a parameter in a condition, the value that the largest trial needs."""
    for size in (size for size in SIZES if path in ((size in space and space[size].when) or {})):
        section, field = size.split(".")
        most: Any = _span(space[size])[1]
        if most > getattr(getattr(base, section), field):
            return listed((space[size].when or {})[path])[-1]
    return _span(space[path])[1]


def _span(dimension: AnyDimension) -> tuple[Scalar, Scalar]:
    """Return a dimension's low and high end; for names, the first and the last."""
    values = [value for _, value in ends_of(dimension)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return (min(numbers), max(numbers)) if len(numbers) == len(values) else (values[0], values[-1])


def grid(space: Space) -> dict[str, list[Scalar]]:
    """Return every dimension's values for the grid sampler, without dimensions that have none (those are a fault)."""
    return {path: values for path, dimension in space.items() if (values := _values(dimension)) is not None}


def _values(dimension: AnyDimension) -> list[Scalar] | None:
    if isinstance(dimension, IntDimension) and dimension.log:
        return None
    count = size(dimension)
    return None if count is None else [value_at(dimension, index) for index in range(count)]


def size(dimension: AnyDimension) -> int | None:
    """Return how many values a dimension has; None if they can't be counted."""
    if isinstance(dimension, CategoricalDimension):
        return len(dimension.choices)
    if isinstance(dimension, IntDimension):
        return (dimension.high - dimension.low) // (dimension.step or 1) + 1
    return None if dimension.step is None else math.floor((dimension.high - dimension.low) / dimension.step + 1e-6) + 1


def value_at(dimension: AnyDimension, index: int) -> Scalar:
    """Return one of the values of a dimension that has a size."""
    if isinstance(dimension, CategoricalDimension):
        return dimension.choices[index]
    if isinstance(dimension, IntDimension):
        return dimension.low + index * (dimension.step or 1)
    return float(Decimal(str(dimension.low)) + index * Decimal(str(dimension.step)))  # 0.1 + 2 * 0.1 is 0.3


def variants(base: TrialConfig, space: Space, paths: Collection[str]) -> Iterator[TrialConfig]:
    """Yield the base, and the base with each combination of all values of some fields, as far as they are searched.

    The fields are whole numbers or have choices.
    """
    yield base
    searched = [path for path in paths if path in space]
    for values in product(*(_every(space[path]) for path in searched)) if searched else ():
        yield resolve(base, dict(zip(searched, values, strict=True)))


def _every(dimension: AnyDimension) -> Sequence[Scalar]:
    if isinstance(dimension, CategoricalDimension):
        return dimension.choices
    return range(int(dimension.low), int(dimension.high) + 1, int(dimension.step or 1))


def ends_of(dimension: AnyDimension) -> list[tuple[str, Scalar]]:
    """Return a dimension's ends, or all its choices, each with its place in the dimension."""
    if isinstance(dimension, CategoricalDimension):
        return [(f"choices.{i}", choice) for i, choice in enumerate(dimension.choices)]
    return [("low", dimension.low), ("high", dimension.high)]


def same(a: Scalar, b: Scalar) -> bool:
    """Return whether two values are equal, and not merely because Python counts True as 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def listed(value: Scalar | list[Scalar]) -> list[Scalar]:
    """Return the values that a condition asks for, as a list."""
    return value if isinstance(value, list) else [value]

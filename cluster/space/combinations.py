"""The combinations of a space: how many there are, which they are, what tells one from another."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from cluster.config import AnyDimension, FloatDimension
from cluster.space import rules, suggest
from cluster.space.suggest import Settings, Space
from lstm.config.trial import TrialConfig
from lstm.records.objective import Scalar

OTHER: Any = object()  # stands for any value that no condition asks for


def count(searched: Space) -> int | None:
    """How many different settings there are, conditions counted in; None where a real parameter has no steps."""
    named = _named(searched)

    def beyond(paths: list[str], settings: dict[str, Scalar]) -> float:
        if not paths:
            return 1
        path, *rest = paths
        if not suggest.active(searched[path], settings):
            return beyond(rest, settings)
        size = suggest.size(searched[path])
        if size is None:
            return math.inf
        asked = [value for value in named.get(path, []) if rules.possible(value, searched[path])]
        found = sum(beyond(rest, {**settings, path: value}) for value in asked)
        others = size - len(asked)  # all of them are alike to the conditions
        return found + (others * beyond(rest, {**settings, path: OTHER}) if others else 0)

    found = beyond(suggest.order(searched), {})
    return None if math.isinf(found) else int(found)


def _named(searched: Space) -> dict[str, list[Scalar]]:
    """The values that conditions ask for, by the parameter that they name."""
    named: dict[str, list[Scalar]] = {}
    for dimension in searched.values():
        for path, wanted in (dimension.when or {}).items():
            here = named.setdefault(path, [])
            here += [value for value in suggest.listed(wanted) if not any(suggest.same(value, known) for known in here)]
    return named


def every(searched: Space) -> Iterator[dict[str, Scalar]]:
    """All settings of a space in which they can be counted."""

    def beyond(paths: list[str], settings: dict[str, Scalar]) -> Iterator[dict[str, Scalar]]:
        if not paths:
            yield settings
            return
        path, *rest = paths
        if not suggest.active(searched[path], settings):
            yield from beyond(rest, settings)
            return
        for index in range(suggest.size(searched[path]) or 0):
            yield from beyond(rest, {**settings, path: suggest.value_at(searched[path], index)})

    yield from beyond(suggest.order(searched), {})


class Keys:
    """What tells a configuration from another over one base: the same for two settings that resolve to the same."""

    def __init__(self, base: TrialConfig, searched: Space) -> None:
        """Prepares it."""
        tree = base.model_dump()
        self._space = searched
        self._base = {path: tree[section][field] for path in searched for section, field in [path.split(".")]}

    def __call__(self, settings: Settings) -> str:
        """A setting's key."""
        values = [_exact(dimension, settings.get(path, self._base[path])) for path, dimension in self._space.items()]
        return json.dumps(values)


def base_among(first: Sequence[Settings], base: TrialConfig, searched: Space) -> int | None:
    """The place of the settings that resolve to the base and leave nothing to be drawn; None where there are none."""
    key = Keys(base, searched)
    for place, settings in enumerate(first):
        if is_whole(settings, searched) and key(settings) == key({}):
            return place
    return None


def is_whole(settings: Settings, searched: Space) -> bool:
    """Whether settings leave nothing to be drawn."""
    return all(path in settings for path in suggest.walk(searched, settings.get))


def _exact(dimension: AnyDimension, value: Scalar) -> Scalar:
    """A value without how it was come to: 1 as 1.0, and of steps the number, for 0.1 + 2 * 0.1 is not 0.3."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(dimension, FloatDimension) and dimension.step is not None:
        return round((value - dimension.low) / dimension.step, 6)
    return float(value)

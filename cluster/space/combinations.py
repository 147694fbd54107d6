"""The combinations of a space: their number, all of them, and a key for each."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from cluster.config import AnyDimension, FloatDimension
from cluster.space import rules, suggest
from cluster.space.suggest import Settings, Space
from lstm.config.trial import TrialConfig
from lstm.records.objective import Scalar

OTHER: Any = object()  # any value that no condition asks for


def count(searched: Space) -> int | None:
    """Return the number of different settings under all conditions; None if a real parameter has no steps."""
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
        others = size - len(asked)  # to the conditions these are all the same
        return found + (others * beyond(rest, {**settings, path: OTHER}) if others else 0)

    found = beyond(suggest.order(searched), {})
    return None if math.isinf(found) else int(found)


def _named(searched: Space) -> dict[str, list[Scalar]]:
    """Return the values that conditions ask for, by the parameter that they name."""
    named: dict[str, list[Scalar]] = {}
    for dimension in searched.values():
        for path, wanted in (dimension.when or {}).items():
            here = named.setdefault(path, [])
            here += [value for value in suggest.listed(wanted) if not any(suggest.same(value, known) for known in here)]
    return named


def every(searched: Space) -> Iterator[dict[str, Scalar]]:
    """Yield all settings of a space with a countable number of them."""

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
    """The keys of configurations over one base: equal for two settings that resolve to the same configuration."""

    def __init__(self, base: TrialConfig, searched: Space) -> None:
        """Take the base's values of the searched parameters."""
        self._space = searched
        self._base = {
            path: getattr(getattr(base, section), field) for path in searched for section, field in [path.split(".")]
        }

    def __call__(self, settings: Settings) -> str:
        """Return the key of a setting."""
        values = [_exact(dimension, settings.get(path, self._base[path])) for path, dimension in self._space.items()]
        return json.dumps(values)


def base_among(first: Sequence[Settings], base: TrialConfig, searched: Space) -> int | None:
    """Return the place in `first` of the settings that resolve to the base and leave nothing to draw, or None."""
    key = Keys(base, searched)
    for place, settings in enumerate(first):
        if is_whole(settings, searched) and key(settings) == key({}):
            return place
    return None


def is_whole(settings: Settings, searched: Space) -> bool:
    """Return whether settings leave nothing to draw."""
    return all(path in settings for path in suggest.walk(searched, settings.get))


def _exact(dimension: AnyDimension, value: Scalar) -> Scalar:
    """Return a value in one form: 1 as 1.0, and with steps the step's number, because 0.1 + 2 * 0.1 is not 0.3."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(dimension, FloatDimension) and dimension.step is not None:
        return round((value - dimension.low) / dimension.step, 6)
    return float(value)

"""The space that a sweep searches: checked against the base configuration, suggested, resolved."""

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice, product
from typing import Any, Protocol

from pydantic import ValidationError

from cluster.config import (
    AnyDimension,
    CategoricalDimension,
    FloatDimension,
    IntDimension,
    SearchConfig,
)
from lstm import config as lstm_config
from lstm.config import ModelConfig, TrainingConfig, TrialConfig
from lstm.records import Fault, Idle, Scalar
from lstm.sections import Data

LARGEST = 2**53  # whole numbers beyond it are none of a field's, and JSON may round them
SIZES = ("model.num_layers", "model.hidden_size", "data.lookback")  # what a trial's time and memory grow with
Space = Mapping[str, AnyDimension]
Settings = Mapping[str, Scalar]

# What may be searched beside what the task's own data may.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "model": tuple(ModelConfig.model_fields),
    "training": tuple(TrainingConfig.model_fields),
}


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
    return walk(space, lambda path: _draw(trial, path, space[path]))


def walk(space: Space, choose: Callable[[str], Scalar]) -> dict[str, Scalar]:
    """A setting for every parameter that is active, each as chosen, conditions first."""
    settings: dict[str, Scalar] = {}
    for path in order(space):
        if active(space[path], settings):
            settings[path] = choose(path)
    return settings


def _draw(trial: Suggests, path: str, dimension: AnyDimension) -> Scalar:
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
    tree = base.model_dump()
    for path, value in settings.items():
        section, field = path.split(".")
        tree[section][field] = value
    return TrialConfig.model_validate(tree)


class Resolver:
    """What `resolve` makes, as plain nested data, for the settings of many trials of one base: without checking each.

    The settings are a study's, which were valid when they were suggested. What is not a field's is shared between them.
    """

    def __init__(self, base: TrialConfig) -> None:
        """Prepares it."""
        self._base, self._tree = base, base.model_dump()
        self._whole: dict[tuple[str, int], Scalar] = {}

    def __call__(self, settings: Settings) -> dict[str, Any]:
        """The base configuration with the settings filled in."""
        tree = {name: dict(part) if isinstance(part, dict) else part for name, part in self._tree.items()}
        for path, value in settings.items():
            section, field = path.split(".")
            tree[section][field] = self._plain(path, value)
        return tree

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


def faults(search: SearchConfig, base: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with a search over this base; sections that are not valid themselves are absent from it."""
    for path, dimension in search.space.items():
        at = f"search.space.{path}"
        if fault := _path_fault(path, base.get("data")):
            yield Fault(at, fault)
            continue
        own = [*_range_faults(at, dimension), *_when_faults(at, path, search.space)]
        yield from own
        if not own:
            yield from _end_faults(at, path, search.space, base)
    yield from _cycle_faults(search.space)
    yield from _dropout_faults(search.space)
    if search.first and search.sampler.type == "grid":
        yield Fault("search.first", "would do nothing: the grid sampler visits every point anyway; leave it out")
    if len(search.first) > search.n_trials:
        yield Idle("search.first", f"has {len(search.first)} settings for n_trials: {search.n_trials}; raise n_trials")
    for index, settings in enumerate(search.first):
        yield from _first_faults(index, settings, search.space)


def _path_fault(path: str, data: Data | None) -> str | None:
    section, _, field = path.partition(".")
    if section == "data" and data is None:
        return None  # data are wrong themselves
    fields = {"data": data.searchable if data else (), **FIELDS}
    allowed = [f"{s}.{f}" for s, own in fields.items() for f in own]
    if path in allowed:
        return None
    if data and section == "data" and field.split(".")[0] in type(data).model_fields:
        which = f"of data only {', '.join(fields['data'])} can, since" if fields["data"] else "what is in data"
        return f"can't be searched: {which} {'all else ' if fields['data'] else ''}changes what trials are judged on"
    return f"names no field of the base configuration{nearest(path, allowed)}"


def nearest(name: str, allowed: Sequence[str]) -> str:
    """`, did you mean X?`, or nothing where no name is near."""
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else ""


def _range_faults(at: str, dimension: AnyDimension) -> Iterator[Fault]:
    if isinstance(dimension, CategoricalDimension):
        yield from _choice_faults(at, dimension)
        return
    low, high, step = dimension.low, dimension.high, dimension.step
    huge = [n for n in ("low", "high", "step") if isinstance(v := getattr(dimension, n), int) and abs(v) > LARGEST]
    if huge:
        yield from (Fault(f"{at}.{name}", "is larger than any field takes") for name in huge)
    elif low >= high:
        yield Fault(f"{at}.high", f"is {_show(high)}, must be above low, which is {_show(low)}")
    elif dimension.log and low <= 0:
        yield Fault(f"{at}.low", f"is {_show(low)}, must be above 0 on a logarithmic scale")
    elif dimension.log and step is not None:
        yield Fault(f"{at}.step", "can't be used with log: true; leave one of them out")
    elif step is not None and step > high - low:
        yield Fault(f"{at}.step", f"is {_show(step)}, must be at most high - low = {high - low:g}")
    elif step is not None and (high - low) / step > 1e9:
        yield Fault(f"{at}.step", f"is {_show(step)}, which makes more than a thousand million values; make it larger")
    elif step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-6:
        top = low + math.floor((high - low) / step) * step
        never = f"which steps of {_show(step)} from {_show(low)} never reach"
        yield Fault(f"{at}.high", f"is {_show(high)}, {never}; use {_show(top)}")


def _choice_faults(at: str, dimension: CategoricalDimension) -> Iterator[Fault]:
    seen: list[Scalar] = []
    for choice in dimension.choices:
        if any(same(choice, other) for other in seen):
            yield Fault(f"{at}.choices", f"{_show(choice)} stands there twice")
        seen.append(choice)


def _when_faults(at: str, path: str, space: Space) -> Iterator[Fault]:
    for other, wanted in (space[path].when or {}).items():
        here = f"{at}.when.{other}"
        if other == path:
            yield Fault(here, "a parameter can't be its own condition")
        elif other not in space:
            known = [p for p in space if p != path]
            yield Fault(here, f"is not searched, so the condition never changes{nearest(other, known)}")
        else:
            for value in listed(wanted):
                if not possible(value, space[other]):
                    yield Fault(here, f"{_show(value)} is never suggested there; {_range(space[other])}")


def _cycle_faults(space: Space) -> Iterator[Fault]:
    for path in space:
        reached, front = set[str](), set(space[path].when or {})
        while front:
            reached |= front
            front = {q for p in front if p in space for q in space[p].when or {}} - reached
        if path in reached and path not in (space[path].when or {}):
            yield Fault(f"search.space.{path}.when", "depends on itself through the conditions of others")


def _dropout_faults(space: Space) -> Iterator[Fault]:
    """Dropout acts between layers: it is searched only where there are several."""
    path, other = "model.dropout", "model.num_layers"
    can_be_one = other in space and possible(1, space[other])
    if can_be_one and path in space and other not in (space[path].when or {}):  # ends are checked under conditions
        where = f"{other} can be 1, and dropout acts between layers"
        mend = f"add when: {{{other}: [2, …]}}, without 1"
        yield Idle(f"search.space.{path}", f"would do nothing in some trials: {where}; {mend}")


def _end_faults(at: str, path: str, space: Space, base: Mapping[str, Any]) -> Iterator[Fault]:
    section = path.partition(".")[0]
    if section not in base or any(_path_fault(other, base.get("data")) for other in space[path].when or {}):
        return
    before = set(lstm_config.faults(base.get("data"), base.get("model"), base.get("training")))
    for name, value in ends_of(space[path]):
        told = (_end_fault(path, value, base, fixed, before) for fixed in _conditions(space[path]))
        if fault := next(filter(None, told), None):
            yield fault._replace(path=f"{at}.{name}")


def _conditions(dimension: AnyDimension) -> Iterator[dict[str, Scalar]]:
    """Each combination of the values under which a dimension is searched, the first hundred of them."""
    wanted = {other: listed(values) for other, values in (dimension.when or {}).items()}
    for values in islice(product(*wanted.values()), 100):
        yield dict(zip(wanted, values, strict=True))


def _end_fault(
    path: str, value: Scalar, base: Mapping[str, Any], fixed: Settings, before: Collection[Fault]
) -> Fault | None:
    section, field = path.split(".")
    try:
        trial = _with(base, {**fixed, path: value})
    except ValidationError as error:
        own = [e for e in error.errors() if e["loc"][:1] == (field,)]  # of a field of several kinds, one of each
        if not own:  # a value of the condition is wrong, which is told where it stands
            return None
        problem = own[0]["msg"].replace("Input should", "it must")
        return Fault(path, f"{_show(value)} makes no valid {section}.{field}: {problem}")
    for fault in lstm_config.faults(trial.get("data"), trial.get("model"), trial.get("training")):
        if fault not in before:
            message = f"{_show(value)} with the base configuration elsewhere: {fault.path} {fault.message}"
            return fault._replace(path=path, message=message)
    return None


def _with(base: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    trees = {name: section.model_dump() for name, section in base.items()}
    for path, value in settings.items():
        section, field = path.split(".")
        if section in trees:
            trees[section][field] = value
    return {name: type(base[name]).model_validate(tree) for name, tree in trees.items()}


def _first_faults(index: int, settings: Settings, space: Space) -> Iterator[Fault]:
    for path, value in settings.items():
        at = f"search.first.{index}.{path}"
        if path not in space:
            yield Fault(at, f"is not in search.space{nearest(path, list(space))}")
        elif not possible(value, space[path]):
            yield Fault(at, f"{_show(value)} is outside the space; {_range(space[path])}")
        else:
            others = {p: settings[p] for p in space[path].when or {} if p in settings}
            if len(others) == len(space[path].when or {}) and not active(space[path], others):
                yield Fault(at, "would do nothing: its condition (when) does not hold in this setting")


def ends_of(dimension: AnyDimension) -> list[tuple[str, Scalar]]:
    """A dimension's ends, or all its choices, each with the place where it stands in the dimension."""
    if isinstance(dimension, CategoricalDimension):
        return [(f"choices.{i}", choice) for i, choice in enumerate(dimension.choices)]
    return [("low", dimension.low), ("high", dimension.high)]


def possible(value: Scalar, dimension: AnyDimension) -> bool:
    """Whether a dimension has a value."""
    if isinstance(dimension, CategoricalDimension):
        return any(same(value, choice) for choice in dimension.choices)
    kinds = int if isinstance(dimension, IntDimension) else int | float
    if isinstance(value, bool) or not isinstance(value, kinds) or not dimension.low <= value <= dimension.high:
        return False
    if dimension.step is None:
        return True
    if isinstance(dimension, IntDimension):
        return (value - dimension.low) % dimension.step == 0
    steps = (value - dimension.low) / dimension.step
    return math.isfinite(steps) and abs(steps - round(steps)) < 1e-6


def _range(dimension: AnyDimension) -> str:
    if isinstance(dimension, CategoricalDimension):
        return "choices: " + ", ".join(_show(c) for c in dimension.choices)
    step = f" in steps of {_show(dimension.step)}" if dimension.step else ""
    return f"allowed is {_show(dimension.low)} to {_show(dimension.high)}{step}"


def same(a: Scalar, b: Scalar) -> bool:
    """Equal, and not merely because Python counts True as 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def listed(value: Scalar | list[Scalar]) -> list[Scalar]:
    """What a condition asks for, as a list."""
    return value if isinstance(value, list) else [value]


def _show(value: Scalar) -> str:
    if value is None or isinstance(value, bool):
        return str(value).replace("None", "null").lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a number of more than 18 digits"
    return value if isinstance(value, str) else f"{value:g}"

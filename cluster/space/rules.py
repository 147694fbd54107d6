"""What is wrong with a space: paths, ranges, choices, conditions."""

import math
from collections.abc import Collection, Iterator, Mapping
from itertools import islice, product
from typing import Any

from pydantic import ValidationError

from cluster.config import AnyDimension, CategoricalDimension, IntDimension, SearchConfig
from cluster.space.suggest import Settings, Space, active, ends_of, filled, listed, same
from lstm.config import trial as lstm_config
from lstm.config.model import ModelConfig
from lstm.config.section import Data
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, Idle, did_you_mean
from lstm.records.objective import Scalar

LARGEST = 2**53  # whole numbers beyond it are none of a field's, and JSON may round them

# What may be searched beside what the task's own data may.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "model": tuple(ModelConfig.model_fields),
    "training": tuple(TrainingConfig.model_fields),
}


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
    return f"names no field of the base configuration{did_you_mean(path, allowed)}"


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
            yield Fault(here, f"is not searched, so the condition never changes{did_you_mean(other, known)}")
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
    there = {path: value for path, value in settings.items() if path.split(".")[0] in base}
    trees = filled({name: section.model_dump() for name, section in base.items()}, there)
    return {name: type(base[name]).model_validate(tree) for name, tree in trees.items()}


def _first_faults(index: int, settings: Settings, space: Space) -> Iterator[Fault]:
    for path, value in settings.items():
        at = f"search.first.{index}.{path}"
        if path not in space:
            yield Fault(at, f"is not in search.space{did_you_mean(path, list(space))}")
        elif not possible(value, space[path]):
            yield Fault(at, f"{_show(value)} is outside the space; {_range(space[path])}")
        else:
            others = {p: settings[p] for p in space[path].when or {} if p in settings}
            if len(others) == len(space[path].when or {}) and not active(space[path], others):
                yield Fault(at, "would do nothing: its condition (when) does not hold in this setting")


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


def _show(value: Scalar) -> str:
    if value is None or isinstance(value, bool):
        return str(value).replace("None", "null").lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a number of more than 18 digits"
    return value if isinstance(value, str) else f"{value:g}"

"""Rules of a space: faults in paths, ranges, choices and conditions."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice, product
from typing import Any

from pydantic import ValidationError

from cluster.config import AnyDimension, CategoricalDimension, IntDimension, SearchConfig
from cluster.space.suggest import Settings, Space, active, ends_of, filled, listed, same
from lstm.config import trial as lstm_config
from lstm.config.model import ModelConfig
from lstm.config.section import Data, Section
from lstm.config.tasks import SECTIONS as TASKS
from lstm.config.training import TrainingConfig
from lstm.own_code import is_reference
from lstm.records.errors import Fault, fault, nearest
from lstm.records.objective import Scalar

LARGEST = 2**53  # no field takes larger whole numbers, and JSON may round them

CELL, ANOTHER_CELL = "model.cell", "field-of-another-cell"  # a field, and the fault of fields that it leaves idle

# The sections whose fields may all be searched, in addition to some of those of the task's data.
SECTIONS: Mapping[str, type[Section]] = {"model": ModelConfig, "training": TrainingConfig}


def faults(search: SearchConfig, base: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults of a search over this base; `base` lacks the sections that are not valid themselves."""
    for path, dimension in search.space.items():
        at = f"search.space.{path}"
        if wrong := _path_fault(at, path, base.get("data")):
            yield wrong
            continue
        own = [*_range_faults(at, dimension), *_when_faults(at, path, search.space)]
        yield from own
        if not own:
            yield from _end_faults(at, path, search.space, base)
    yield from _cycle_faults(search.space)
    yield from _dropout_faults(search.space)
    if data := base.get("data"):
        yield from _unit_faults(search, data, base.get("training"))
    if search.first and search.sampler.type == "grid":
        yield fault("first-and-grid", "search.first")
    yield from _first_counts(search)
    for index, settings in enumerate(search.first_settings):
        yield from _first_faults(index, settings, search.space)


def _first_counts(search: SearchConfig) -> Iterator[Fault]:
    """Yield the faults of how many settings are tried first, and of the sweeps that they come from."""
    first, trials = search.first, search.n_trials
    if isinstance(first, list):
        if len(first) > trials:
            yield fault("more-first-than-trials", "search.first", idle=True, first=len(first), trials=trials)
        return
    if first.top > trials:
        yield fault("more-first-than-trials", "search.first.top", idle=True, first=first.top, trials=trials)
    for index, name in enumerate(first.sweeps):
        if name in first.sweeps[:index]:
            yield fault("sweep-named-twice", f"search.first.from.{index}", name=name)


def _path_fault(at: str, path: str, data: Data | None) -> Fault | None:
    section, _, field = path.partition(".")
    if section == "data" and data is None:
        return None  # the data section is wrong itself
    fields = searchable(data)
    allowed = [f"{s}.{f}" for s, own in fields.items() for f in own]
    if path in allowed:
        return None
    if data is None and any(field in kind.model_fields for kind in _extensions(section)):
        return None  # whether this task has the field is not known, because its section data is wrong itself
    if data and section == "data" and field.split(".")[0] in type(data).model_fields:
        return fault("not-searchable", at, fields=[f"data.{name}" for name in fields["data"]])
    return fault("unknown-field-to-search", at, near=nearest(path, allowed))


def _extensions(section: str) -> Iterator[type[Section]]:
    """Yield the classes of a section that any task has for itself."""
    for data, _ in TASKS.values():
        if section in data.extended:
            yield data.extended[section]


def searchable(data: Data | None) -> dict[str, tuple[str, ...]]:
    """Return the fields that may be searched, by section."""
    kinds = {**SECTIONS, **(data.extended if data else {})}
    own = {name: tuple(kind.model_fields) for name, kind in kinds.items()}
    return {"data": data.searchable if data else (), **own}


def _unit_faults(search: SearchConfig, data: Data, training: TrainingConfig | None) -> Iterator[Fault]:
    """Yield the faults of values that are compared between trials although a searched field changes their unit."""
    changing = [path for path in search.space if path in data.changes_unit]
    if not data.is_same_for_all(search.metric.removeprefix("val/")):
        metrics = [f"val/{name}" for name in data.same_for_all]
        for path in changing:
            yield fault("unit-searched", f"search.space.{path}", metric=search.metric, metrics=metrics)
    if changing and training and training.target_loss is not None:
        yield fault("target-of-several-units", "training.target_loss", fields=changing)


def _range_faults(at: str, dimension: AnyDimension) -> Iterator[Fault]:
    if isinstance(dimension, CategoricalDimension):
        yield from _choice_faults(at, dimension)
        return
    low, high, step = dimension.low, dimension.high, dimension.step
    huge = [n for n in ("low", "high", "step") if isinstance(v := getattr(dimension, n), int) and abs(v) > LARGEST]
    if huge:
        yield from (fault("bound-too-large", f"{at}.{name}") for name in huge)
    elif low >= high:
        yield fault("high-below-low", f"{at}.high", high=high, low=low)
    elif dimension.log and low <= 0:
        yield fault("log-from-zero", f"{at}.low", low=low)
    elif dimension.log and step is not None:
        yield fault("log-with-step", f"{at}.step")
    elif step is not None and step > high - low:
        yield fault("step-too-large", f"{at}.step", step=step, span=high - low)
    elif step is not None and (high - low) / step > 1e9:
        yield fault("step-too-small", f"{at}.step", step=step)
    elif step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-6:
        top = low + math.floor((high - low) / step) * step
        yield fault("high-off-the-steps", f"{at}.high", high=high, step=step, low=low, top=top)


def _choice_faults(at: str, dimension: CategoricalDimension) -> Iterator[Fault]:
    seen: list[Scalar] = []
    for choice in dimension.choices:
        if any(same(choice, other) for other in seen):
            yield fault("choice-twice", f"{at}.choices", value=choice)
        seen.append(choice)


def _when_faults(at: str, path: str, space: Space) -> Iterator[Fault]:
    for other, wanted in (space[path].when or {}).items():
        here = f"{at}.when.{other}"
        if other == path:
            yield fault("condition-of-itself", here)
        elif other not in space:
            known = [p for p in space if p != path]
            yield fault("condition-not-searched", here, near=nearest(other, known))
        else:
            for value in listed(wanted):
                if not possible(value, space[other]):
                    yield fault("condition-never-holds", here, value=value, **_allowed(space[other]))


def _cycle_faults(space: Space) -> Iterator[Fault]:
    for path in space:
        reached, front = set[str](), set(space[path].when or {})
        while front:
            reached |= front
            front = {q for p in front if p in space for q in space[p].when or {}} - reached
        if path in reached and path not in (space[path].when or {}):
            yield fault("conditions-in-a-circle", f"search.space.{path}.when")


def _dropout_faults(space: Space) -> Iterator[Fault]:
    """Yield a fault if dropout is searched under one layer: it acts between layers."""
    path, other = "model.dropout", "model.num_layers"
    can_be_one = other in space and possible(1, space[other])
    if can_be_one and path in space and other not in (space[path].when or {}):  # ends are checked with conditions
        yield fault("dropout-of-one-layer", f"search.space.{path}", idle=True)


def _end_faults(at: str, path: str, space: Space, base: Mapping[str, Any]) -> Iterator[Fault]:
    section = path.partition(".")[0]
    if section not in base or any(_path_fault(at, other, base.get("data")) for other in space[path].when or {}):
        return
    before = set(lstm_config.faults(base.get("data"), base.get("model"), base.get("training")))
    for name, value in ends_of(space[path]):
        told = (_end_fault(path, value, base, fixed, before, space) for fixed in _conditions(space[path]))
        if wrong := next(filter(None, told), None):
            yield replace(wrong, path=f"{at}.{name}")


def _conditions(dimension: AnyDimension) -> Iterator[dict[str, Scalar]]:
    """Yield the combinations of values under which a dimension is searched, the first hundred of them."""
    wanted = {other: listed(values) for other, values in (dimension.when or {}).items()}
    for values in islice(product(*wanted.values()), 100):
        yield dict(zip(wanted, values, strict=True))


def _end_fault(
    path: str, value: Scalar, base: Mapping[str, Any], fixed: Settings, before: Collection[Fault], space: Space
) -> Fault | None:
    _, field = path.split(".")
    try:
        trial = _with(base, {**fixed, path: value})
    except ValidationError as error:
        own = [e for e in error.errors() if e["loc"][:1] == (field,)]  # one for each of a field's types
        if not own:  # a value of the condition is wrong: `_when_faults` reports it
            return None
        why = own[0]["msg"].replace("Input should", "it must")
        return fault("end-not-valid", path, value=value, field=path, why=why)
    for each in lstm_config.faults(trial.get("data"), trial.get("model"), trial.get("training")):
        if each not in before and (each.path == path or not acts_elsewhere(each, space)):
            return fault("end-breaks-a-rule", path, value=value, field=each.path, why=each.text, how=each.mend)
    return None


def acts_elsewhere(wrong: Fault, space: Space) -> bool:
    """Return whether a field that does nothing with one cell does something with another one that is searched."""
    dimension = space.get(CELL)
    if wrong.code != ANOTHER_CELL or not isinstance(dimension, CategoricalDimension):
        return False
    cells = wrong.values["cells"]
    own = "lstm" in cells  # your own cells use the fields that those of torch.nn use
    return any(choice in cells or (own and is_reference(choice)) for choice in dimension.choices)


def _with(base: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    there = {path: value for path, value in settings.items() if path.split(".")[0] in base}
    trees = filled({name: section.model_dump() for name, section in base.items()}, there)
    return {name: type(base[name]).model_validate(tree) for name, tree in trees.items()}


def _first_faults(index: int, settings: Settings, space: Space) -> Iterator[Fault]:
    for path, value in settings.items():
        at = f"search.first.{index}.{path}"
        if path not in space:
            yield fault("first-not-searched", at, near=nearest(path, list(space)))
        elif not possible(value, space[path]):
            yield outside(at, value, space[path])
        else:
            others = {p: settings[p] for p in space[path].when or {} if p in settings}
            if len(others) == len(space[path].when or {}) and not active(space[path], others):
                yield fault("first-condition-fails", at)


def outside(at: str, value: Any, dimension: AnyDimension) -> Fault:
    """Return the fault of a value that a dimension does not contain."""
    return fault("first-outside-the-space", at, value=value, **_allowed(dimension))


def possible(value: Scalar, dimension: AnyDimension) -> bool:
    """Return whether a dimension contains a value."""
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


def _allowed(dimension: AnyDimension) -> dict[str, Any]:
    """Return what a dimension may be, as values of a message; those of another kind of dimension are None."""
    if isinstance(dimension, CategoricalDimension):
        return {"choices": list(dimension.choices), "low": None, "high": None, "step": None}
    return {"choices": None, "low": dimension.low, "high": dimension.high, "step": dimension.step}

"""The base classes of a spec's sections, and of each task's section `data`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from lstm.records.errors import Fault, fault

if TYPE_CHECKING:
    from lstm.config.model import ModelConfig
    from lstm.config.training import TrainingConfig

Column = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Since:
    """A mark of a field that was added after the first release; the field's default keeps the earlier behaviour.

    Two specs are compared without such a field if it has its default, so a sweep that was begun before the field
    existed is still the same sweep.
    """

    day: str  # the day on which the field was added, as 2026-11-24
    is_written: bool = True  # False: a configuration leaves the field out while it has its default


@cache
def _added(section: type[BaseModel]) -> Mapping[str, Any]:
    """Return the default of each field of a section's class that is marked with `Since`; nobody changes a default."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in section.model_fields.items()
        if any(isinstance(mark, Since) for mark in field.metadata)
    }


@cache
def unwritten(section: type[BaseModel]) -> Mapping[str, Any]:
    """Return the default of each field of a section's class that is left out while it has this default."""
    marks = {name: field.metadata for name, field in section.model_fields.items()}
    return {
        name: default
        for name, default in _added(section).items()
        if any(isinstance(mark, Since) and not mark.is_written for mark in marks[name])
    }


class Section(BaseModel):
    """A section of a spec: immutable, strictly typed, and without unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    def younger(self, at: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
        """Yield the dotted path and the default of each field marked with `Since`, also in the sections within."""
        added = _added(type(self))
        for name in type(self).model_fields:
            if name in added:
                yield ".".join((*at, name)), added[name]
            value = getattr(self, name)
            for key, part in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(part, Section):
                    yield from part.younger((*at, name, key) if key else (*at, name))


class Location(Section):
    """The paths of a task's data; each field is a path, or None. They are no part of a trial's configuration.

    A path may be the address of an object, such as `s3://BUCKET/FILE`. `Task.load` gets the path of a local copy.

    In a spec they are in the section `data`. A task with generated data has no field here; a path is None if the data
    of this spec are generated.
    """

    predicted: ClassVar[str] = "path"  # the field whose file a prediction takes if no other file is given

    def within(self, folder: Path) -> Self:
        """Return the location with its relative paths taken from a folder; addresses stay as they are."""
        paths = {name: path for name, path in self if path is not None}
        return self.model_copy(update={n: p if "://" in p else str(folder / p) for n, p in paths.items()})


class File(Location):
    """The location of a task's data in one file."""

    path: str = Field(
        min_length=1,
        description="File with the data. The path is relative to the spec's folder, or an address such as s3://BUCKET/FILE.",
    )


class Data(Section):
    """The base of a task's section `data`: what the task learns, and how it reads its data."""

    searchable: ClassVar[tuple[str, ...]] = ()  # a search over any other field would change what trials are judged on
    extended: ClassVar[
        Mapping[str, type[Section]]
    ] = {}  # classes of the sections model and training; built-in tasks only
    changes_unit: ClassVar[tuple[str, ...]] = ()  # fields, by path, that change the unit of the loss
    same_for_all: ClassVar[tuple[str, ...]] = ()  # metrics that stay comparable if such a field is searched

    @classmethod
    def is_same_for_all(cls, metric: str) -> bool:
        """Return whether a metric stays comparable if a field that changes the loss's unit is searched.

        A part of a metric, such as `mse/step_3`, has the unit of the whole.
        """
        return metric in cls.same_for_all or metric.rpartition("/")[0] in cls.same_for_all

    @model_serializer(mode="wrap")
    def _as_earlier_versions(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out fields that were added later and have their defaults: trials without them stay what they were."""
        tree: dict[str, Any] = write(self)
        return {name: value for name, value in tree.items() if not self._is_idle(name)}

    def _is_idle(self, name: str) -> bool:
        added = _added(type(self))
        return name in added and bool(getattr(self, name) == added[name])

    @property
    def reach(self) -> int:
        """The steps before a judged step that a network reads, if a search can change their number; else 0."""
        return 0

    @property
    def judged_windows(self) -> int:
        """The number of windows that a trial is judged on: more than one with a backtest."""
        return 1

    @property
    def fresh_windows(self) -> int:
        """The number of windows that are set aside for confirm: none, or as many as the search has."""
        return 0

    @property
    def trains_each_window(self) -> bool:
        """Whether each window of a backtest is trained anew; if not, the first window's network is judged on all."""
        return True

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of combinations of fields within the section."""
        yield from ()

    def misfits(self, model: "ModelConfig | None", training: "TrainingConfig | None") -> Iterator[Fault]:
        """Yield the faults of other sections' fields that are invalid or do nothing with this section's data.

        The rules are in `lstm.config.misfits`; a section is None if it is itself invalid.
        """
        yield from ()


def role_faults(data: Data, roles: Iterable[str]) -> Iterator[Fault]:
    """Yield a fault for each column that has two roles or occurs twice in one role."""
    seen: dict[str, str] = {}
    for role in roles:
        value = getattr(data, role)
        for column in [value] if isinstance(value, str) else value or []:
            if column in seen:
                if seen[column] == role:
                    yield fault("column-twice-in-a-role", f"data.{role}", column=column)
                else:
                    yield fault("column-of-two-roles", f"data.{role}", column=column, other=f"data.{seen[column]}")
            seen[column] = role

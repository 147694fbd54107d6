"""What all sections share: their base, and that of each task's `data`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from lstm.records.errors import Fault, fault

if TYPE_CHECKING:
    from lstm.config.model import ModelConfig
    from lstm.config.training import TrainingConfig

Column = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Since:
    """Marks a field that is younger than the first sweeps. Its default says what was done before there was the field.

    At its default such a field is left out of what is compared: a sweep that was begun before it is the same sweep.
    """

    day: str  # on which it came, as 2026-11-24


class Section(BaseModel):
    """A part of a spec: immutable, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    def younger(self, at: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
        """The dotted path and the default of each field marked with `Since`, of the sections within too."""
        for name, field in type(self).model_fields.items():
            if any(isinstance(mark, Since) for mark in field.metadata):
                yield ".".join((*at, name)), field.get_default(call_default_factory=True)
            value = getattr(self, name)
            for key, part in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(part, Section):
                    yield from part.younger((*at, name, key) if key else (*at, name))


class Location(Section):
    """Where a task's data lie; each field is a path. It is no part of what a trial is.

    A spec says it in its section `data`. A task whose data are generated has no field here.
    """

    def within(self, folder: Path) -> Self:
        """The same with the paths that start in a folder."""
        return self.model_copy(update={name: str(folder / path) for name, path in self})


class File(Location):
    """One file."""

    path: str = Field(min_length=1, description="File, relative to the spec's folder.")


class Data(Section):
    """What a task learns from its data, and how these are taken: each task has its own section `data`."""

    searchable: ClassVar[tuple[str, ...]] = ()  # any other field would change what trials are judged on

    @property
    def reach(self) -> int:
        """Steps before a judged one that a network may see, which a search may make more; 0 where that is fixed."""
        return 0

    def faults(self) -> Iterator[Fault]:
        """Rules across the section's fields."""
        yield from ()

    def misfits(self, model: "ModelConfig | None", training: "TrainingConfig | None") -> Iterator[Fault]:
        """What of the other sections can't be, or would do nothing, with this one; see `lstm.config.misfits`."""
        yield from ()


def role_faults(data: Data, roles: Iterable[str]) -> Iterator[Fault]:
    """Columns that are named in two roles, or in one of them twice."""
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

"""What all sections share: their base, that of each task's `data`, and which way a metric is better."""

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from lstm.records.errors import Fault
from lstm.records.objective import Direction

HIGHER = ("accuracy", "f1")  # metrics that are better when higher; all others are errors
Column = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A part of a spec: immutable, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Data(Section):
    """What a task learns from: each task has its own section `data`."""

    baseline: ClassVar[str]  # what every result is held against, in words
    baseline_note: ClassVar[str]  # and what that is, in a sentence
    rivals: ClassVar[tuple[str, ...]]  # what the best is held against besides, by name: those that always run
    extra_rivals: ClassVar[tuple[str, ...]] = ()  # and those of packages that are installed with the extra `rivals`
    counted: ClassVar[str] = "sequences"  # what the size of a part is told in
    predicted: ClassVar[str] = "steps"  # what the rows of a prediction are
    prediction: ClassVar[str] = "Answer what is new"  # what it does
    has_series: ClassVar[bool] = False  # whether the target is a series among the inputs: residual, normalization
    searchable: ClassVar[tuple[str, ...]] = ()  # any other field would change what trials are judged on

    @property
    def metrics(self) -> list[str]:
        """The names a `search.metric` may have, the loss first."""
        raise NotImplementedError

    @property
    def needs_input(self) -> bool:
        """Whether a prediction must be given what it is made from; else it starts where the section's own data end."""
        return True

    @property
    def reach(self) -> int:
        """Steps before a judged one that a network may see, which a search may make more; 0 where that is fixed."""
        return 0

    @property
    def steps(self) -> int | None:
        """Steps that a network is unrolled over; None where the data tell."""
        return None

    @property
    def answers_once(self) -> bool:
        """Whether a network has read the whole sequence when it answers."""
        return True

    @property
    def has_numbers(self) -> bool:
        """Whether the inputs are numbers, to which noise can be added."""
        return True

    def faults(self) -> Iterator[Fault]:
        """Rules across the section's fields."""
        yield from ()


def better(metric: str) -> Direction:
    """Which way a metric is better, with or without the name of its part."""
    own = [word for word in metric.split("/") if word not in ("train", "val", "test", "baseline", "base")]
    return "maximize" if own[:1] and own[0] in HIGHER else "minimize"  # what follows is a column's name, whatever it is


def role_faults(data: Data, roles: Iterable[str]) -> Iterator[Fault]:
    """Columns that are named in two roles, or in one of them twice."""
    seen: dict[str, str] = {}
    for role in roles:
        value = getattr(data, role)
        for column in [value] if isinstance(value, str) else value or []:
            if column in seen:
                where = "twice" if seen[column] == role else f"as {seen[column]} too"
                yield Fault(f"data.{role}", f"column {column!r} is named {where}; a column has one role")
            seen[column] = role

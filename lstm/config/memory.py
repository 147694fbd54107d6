"""The section `data` of the task `memory`: sequences that are generated from a seed."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Data, Section
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

MOST_STEPS = 20_000_000  # in all sequences that are kept in memory


class Sizes(Section):
    """How many sequences each part has."""

    train: int = Field(
        ge=1,
        le=100_000_000,
        description="Training sequences in a pass. adding and copy draw new ones for each pass; mackey_glass repeats "
        "the same ones.",
    )
    validation: int = Field(ge=1, le=10_000_000, description="Sequences on which each epoch is judged.")
    test: int = Field(ge=1, le=10_000_000, description="Sequences on which the best trial is judged.")


class MemoryData(Data):
    """A problem that can only be solved by remembering, generated from a seed."""

    problem: Literal["adding", "copy", "mackey_glass"] = Field(
        description="adding: add up two marked numbers; copy: repeat symbols after a delay; mackey_glass: forecast a "
        "chaotic series."
    )
    length: int = Field(
        ge=2,
        le=100_000,
        description="Steps of a sequence. For copy: steps between the end of the symbols and their repetition.",
    )
    sizes: Sizes = Field(description="Number of sequences in each part.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the sequences. Another seed generates other ones.")
    symbols: int | None = Field(None, ge=2, le=10_000, description="For copy: number of different symbols. Absent: 8.")
    memorize: int | None = Field(
        None, ge=1, le=10_000, description="For copy: number of symbols to repeat. Absent: 10."
    )
    tau: int | None = Field(
        None,
        ge=2,
        le=1_000,
        description="For mackey_glass: the delay in the equation, in its unit of time, which is one step. Absent: 17.",
    )
    horizon: int | None = Field(
        None, ge=1, le=10_000, description="For mackey_glass: how many steps ahead to forecast. Absent: 15."
    )

    @property
    def steps(self) -> int:
        """Steps of a sequence; for copy, the symbols before and after the delay included."""
        return self.length + (2 * self.keep if self.problem == "copy" else 0)

    @property
    def alphabet(self) -> int:
        """The number of different symbols."""
        return self.symbols or 8

    @property
    def keep(self) -> int:
        """The number of symbols to repeat."""
        return self.memorize or 10

    @property
    def delay(self) -> int:
        """The delay tau of the Mackey-Glass equation, in steps."""
        return self.tau or 17

    @property
    def steps_ahead(self) -> int:
        """The horizon of Mackey-Glass, in steps."""
        return self.horizon or 15

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of fields that belong to another problem and of too many generated steps."""
        owners = {"symbols": "copy", "memorize": "copy", "tau": "mackey_glass", "horizon": "mackey_glass"}
        for name, owner in owners.items():
            if getattr(self, name) is not None and self.problem != owner:
                yield fault("field-of-another-problem", f"data.{name}", problem=self.problem, owner=owner)
        kept = self.sizes.validation + self.sizes.test + (self.sizes.train if self.problem == "mackey_glass" else 0)
        if kept * self.steps > MOST_STEPS:
            yield fault("too-many-steps", "data.sizes", steps=kept * self.steps, most=MOST_STEPS)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Yield the faults of fields that don't fit sequences of one length, and the problem's kind of answer."""
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.of_one_length(self.steps, model, training)
        if self.problem != "adding":
            yield from misfits.answers_every_step(model)
        if self.problem == "copy":
            yield from misfits.symbols(training)

"""The section `data` of the task `memory`: a problem that is generated from a seed."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Data, Section
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

MOST_STEPS = 20_000_000  # of generated sequences


class Sizes(Section):
    """How many sequences each part has."""

    train: int = Field(
        ge=1, le=100_000_000, description="Sequences in a pass; new ones are drawn for each pass, but of mackey_glass."
    )
    validation: int = Field(ge=1, le=10_000_000, description="Sequences that each epoch is judged on.")
    test: int = Field(ge=1, le=10_000_000, description="Sequences that the best trial is judged on.")


class MemoryData(Data):
    """A problem that can only be solved by remembering, generated from a seed."""

    problem: Literal["adding", "copy", "mackey_glass"] = Field(
        description="The sum of two marked numbers (adding), symbols to repeat after a delay (copy), or a chaotic "
        "series to forecast (mackey_glass)."
    )
    length: int = Field(
        ge=2, le=100_000, description="Steps of a sequence; for copy, steps between seeing and repeating."
    )
    sizes: Sizes = Field(description="Sequences of each part.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the sequences.")
    symbols: int | None = Field(None, ge=2, le=10_000, description="Different symbols, for copy; 8 when absent.")
    memorize: int | None = Field(None, ge=1, le=10_000, description="Symbols to repeat, for copy; 10 when absent.")
    tau: int | None = Field(
        None, ge=2, le=1_000, description="Delay in the Mackey-Glass equation, in its units of time; 17 when absent."
    )
    horizon: int | None = Field(
        None, ge=1, le=10_000, description="Steps ahead to forecast, for mackey_glass; 15 when absent."
    )

    @property
    def steps(self) -> int:
        """Steps of a sequence; for copy with the symbols, before and after."""
        return self.length + (2 * self.keep if self.problem == "copy" else 0)

    @property
    def alphabet(self) -> int:
        """Different symbols."""
        return self.symbols or 8

    @property
    def keep(self) -> int:
        """Symbols to repeat."""
        return self.memorize or 10

    @property
    def delay(self) -> int:
        """Mackey-Glass's tau."""
        return self.tau or 17

    @property
    def steps_ahead(self) -> int:
        """Mackey-Glass's horizon."""
        return self.horizon or 15

    def faults(self) -> Iterator[Fault]:
        """A problem's own options alone."""
        owners = {"symbols": "copy", "memorize": "copy", "tau": "mackey_glass", "horizon": "mackey_glass"}
        for name, owner in owners.items():
            if getattr(self, name) is not None and self.problem != owner:
                yield fault("field-of-another-problem", f"data.{name}", problem=self.problem, owner=owner)
        kept = self.sizes.validation + self.sizes.test + (self.sizes.train if self.problem == "mackey_glass" else 0)
        if kept * self.steps > MOST_STEPS:
            yield fault("too-many-steps", "data.sizes", steps=kept * self.steps, most=MOST_STEPS)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Sequences of one length; only the sum is asked for at their end alone."""
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.of_one_length(self.steps, model, training)
        if self.problem != "adding":
            yield from misfits.answers_every_step(model)
        if self.problem == "copy":
            yield from misfits.symbols(training)

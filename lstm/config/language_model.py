"""The section `data` of the task `language_model`: a text."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Data, File, Section
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

Unit = Literal["characters", "words"]


class TextShares(Section):
    """The parts of a text by position: the training part comes first, then validation, then test."""

    validation: float = Field(gt=0, lt=1, description="Share of the text that each epoch is judged on.")
    test: float = Field(gt=0, lt=1, description="Share of the text, at its end, that the best trial is judged on.")


class TextFile(File):
    """Where the text is."""

    path: str = Field(min_length=1, description="Text file in UTF-8, relative to the spec's folder.")


class TextData(Data):
    """A text whose next symbol is to be told from all that came before."""

    searchable: ClassVar[tuple[str, ...]] = ("lookback",)  # judged is the same text, with the same context

    unit: Unit = Field(
        "characters", description="What a symbol is: a character, or a word, as marks and line ends are, too."
    )
    lookback: int = Field(
        ge=1,
        le=100_000,
        description="Steps of a chunk: back-propagation through time ends at its start, the state is carried on.",
    )
    split: TextShares = Field(description="How the text is divided by position, the training part first.")
    vocabulary: int | None = Field(
        None,
        ge=2,
        le=100_000,
        description="So many symbols at most, the most frequent of the training part; all others are one unknown "
        "symbol beside them. All of the training part's when absent.",
    )

    def faults(self) -> Iterator[Fault]:
        """A split that leaves something to train on."""
        if (total := self.split.validation + self.split.test) >= 1:
            yield fault("nothing-to-train", "data.split", total=total)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Chunks of symbols, with an answer at every step."""
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.of_one_length(self.lookback, model, training)
        yield from misfits.answers_every_step(model)
        yield from misfits.symbols(training)

"""The section `data` of the task `language_model`: a text."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from lstm.config.section import Data, Section
from lstm.records.errors import Fault

Unit = Literal["characters", "words"]


class TextShares(Section):
    """The parts of a text by position: the training part comes first, then validation, then test."""

    validation: float = Field(gt=0, lt=1, description="Share of the text that each epoch is judged on.")
    test: float = Field(gt=0, lt=1, description="Share of the text, at its end, that the best trial is judged on.")


class TextData(Data):
    """A text whose next symbol is to be told from all that came before."""

    baseline: ClassVar[str] = "bigram counts"
    baseline_note: ClassVar[str] = (
        "Bigram counts know how often each symbol followed the one before, in the training part."
    )
    rivals: ClassVar[tuple[str, ...]] = ("n-grams",)
    counted: ClassVar[str] = "symbols"
    prediction: ClassVar[str] = "Go on with the text"
    searchable: ClassVar[tuple[str, ...]] = ("lookback",)  # judged is the same text, with the same context

    path: str = Field(min_length=1, description="Text file in UTF-8, relative to the spec's folder.")
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

    @property
    def needs_input(self) -> bool:
        """The text's own end is the prompt."""
        return False

    @property
    def metrics(self) -> list[str]:
        """The cross-entropy in nats for each symbol, and the same in other words."""
        bits = ["val/bits_per_character"] if self.unit == "characters" else []
        return ["val/loss", *bits, "val/perplexity"]

    @property
    def steps(self) -> int:
        """Steps of a chunk."""
        return self.lookback

    @property
    def answers_once(self) -> bool:
        """It answers at every step."""
        return False

    @property
    def has_numbers(self) -> bool:
        """It has symbols."""
        return False

    def faults(self) -> Iterator[Fault]:
        """A split that leaves something to train on."""
        if (total := self.split.validation + self.split.test) >= 1:
            yield Fault("data.split", f"the shares add up to {total:g}; leave some for training")

"""The section `data` of the task `language_model`: a text."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Data, File, Section, Since
from lstm.config.shared.backtest import TextBacktest
from lstm.config.training import TrainingConfig
from lstm.records.errors import Fault, fault

Unit = Literal["characters", "words"]


class TextShares(Section):
    """The parts of a text by position: training first, then validation, then test."""

    validation: float = Field(
        gt=0, lt=1, description="Share of the text on which each epoch is judged, between training and test."
    )
    test: float = Field(gt=0, lt=1, description="Share of the text, at its end, on which the best trial is judged.")


class TextFile(File):
    """The file that contains the text."""

    path: str = Field(
        min_length=1,
        description="UTF-8 text file. The path is relative to the spec's folder, or an address such as s3://BUCKET/FILE.",
    )


class TextData(Data):
    """A text; the network predicts each symbol from all symbols before it."""

    searchable: ClassVar[tuple[str, ...]] = ("lookback",)  # the judged text and its context don't depend on it

    unit: Unit = Field(
        "characters",
        description="What a symbol is. characters: each character; words: each word, punctuation mark and line end.",
    )
    lookback: int = Field(
        ge=1,
        le=100_000,
        description="Symbols in a chunk of training. The gradient ends at the chunk's start; the state is carried on "
        "from chunk to chunk. It can be searched.",
    )
    split: TextShares = Field(description="How the text is split by position, the training part first.")
    backtest: Annotated[TextBacktest | None, Since("2026-11-30")] = Field(
        None,
        description="Judges each trial on several stretches of the text. They take the place of the validation part. "
        "Absent: each trial is judged on the validation part as a whole.",
    )
    vocabulary: int | None = Field(
        None,
        ge=2,
        le=100_000,
        description="Largest number of symbols: the most frequent ones of the training part are kept, and all others "
        "become one unknown symbol. Absent: all symbols of the training part are kept. Set it for words in long texts.",
    )

    @property
    def judged_windows(self) -> int:
        """The number of stretches that a trial is judged on; 1 without a backtest."""
        return self.backtest.windows if self.backtest else 1

    @property
    def trains_each_window(self) -> bool:
        """Whether each stretch is trained anew."""
        return self.backtest is None or self.backtest.refit

    def faults(self) -> Iterator[Fault]:
        """Yield the fault of a split that leaves nothing to train on."""
        if (total := self.split.validation + self.split.test) >= 1:
            yield fault("nothing-to-train", "data.split", total=total)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Yield the faults of fields that don't fit chunks of symbols with an answer at every step."""
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.of_one_length(self.lookback, model, training)
        yield from misfits.answers_every_step(model)
        yield from misfits.symbols(training)

"""Draft of a first spec for a text: its symbols, its chunks, and a search by its length."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lstm.data.profile.files import TEXT, GivenFile
from lstm.data.profile.texts import TextProfile, profile
from lstm.records.errors import refused
from lstm.tasks.drafts.draft import Draft, Line, Recognition, Remark, Value, choices, integers, numbers

NEEDS = "needs one text in UTF-8 that is not a table (to learn a table's characters, copy experiments/text.yaml)"
SHARE = 0.1  # of the validation part, and of the test part
LEAST = 2_000  # symbols: with fewer ones, the parts are too small to say anything
OFTEN = 50  # average occurrences of a word from which words can be learned as symbols
MOST_WORDS = 10_000  # of the vocabulary
PASS = 150  # batches: a longer pass is divided into epochs


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings that are chosen for a text."""

    words: bool
    why: str
    symbols: int
    vocabulary: int | None

    @property
    def unit(self) -> str:
        """The value of `data.unit`."""
        return "words" if self.words else "characters"

    @property
    def train(self) -> int:
        """Symbols of the training part."""
        return int(self.symbols * (1 - 2 * SHARE))

    @property
    def streams(self) -> int:
        """Streams that are read in parallel."""
        return 32 if self.train >= 2_000_000 else 16 if self.train >= 20_000 else 8

    @property
    def lookback(self) -> int:
        """Steps of a chunk."""
        return 64 if self.train >= 20_000 else 32

    @property
    def longest(self) -> int:
        """Steps of the longest chunk in the search. Even the shortest text has room for it."""
        return 96 if self.train >= 20_000 else 64

    @property
    def batches(self) -> int:
        """Batches in a pass."""
        return max(self.train // (self.streams * self.lookback), 1)

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches in an epoch if a pass is too long between two decisions; None if an epoch is a pass."""
        return 100 if self.batches > PASS else None

    @property
    def max_epochs(self) -> int:
        """Most epochs of a trial, enough for a short text, too."""
        return min(max(2000 // (self.steps_per_epoch or self.batches), 20), 60)

    @property
    def units(self) -> int:
        """Units of the base's layer."""
        return 128 if self.train >= 100_000 else 64


def recognise(files: Sequence[GivenFile]) -> Recognition:
    """Return whether a file is a text."""
    fits = len(files) == 1 and files[0].form.kind == "text"
    return Recognition(fits, _found(files[0]) if fits else NEEDS)


def _found(file: GivenFile) -> str:
    return "a text that is not a table" if file.form == TEXT else file.form.what


def draft(file: GivenFile) -> Draft:
    """Draft the spec for a text.

    Raises:
        BadInput: the file is too short or too large, or is not UTF-8 text as a whole.
    """
    found = profile(file.path)
    chosen = choose(found)
    if chosen.symbols < LEAST:
        count, unit = chosen.symbols, chosen.unit
        raise refused("text-too-short-to-draft", at=file.path, count=count, unit=unit, least=LEAST)
    return Draft(
        data=tuple(_data(file, found, chosen)),
        model=(
            Line("cell", "lstm", "searched below"),
            Line("hidden_size", chosen.units, "searched below"),
            Line("num_layers", 1, "searched below"),
        ),
        training=tuple(_training(chosen)),
        metric=Line("metric", "val/loss", f"mean cross-entropy of the {chosen.unit} in nats, at the best epoch"),
        direction="minimize",
        first=_first_settings(chosen),
        first_why="tried before the search draws any: the base above, and a second layer",
        space=(
            integers("data.lookback", 32, chosen.longest, "longer chunks see farther back and are slower", step=32),
            integers("model.hidden_size", chosen.units // 2, 2 * chosen.units, log=True),
            integers("model.num_layers", 1, 2, "a second layer takes about as long as the first"),
            choices("model.cell", ["lstm", "gru"]),
            numbers("training.learning_rate", 1e-3, 1e-2),
        ),
        found=_summary(file, found, chosen),
        facts=_facts(file, found, chosen),
        why="the file is a text; the network predicts the next symbol from all before it",
    )


def choose(found: TextProfile) -> Choice:
    """Choose characters or words, with the reason."""
    often = found.words / max(found.different_words, 1)
    words = round(found.words * found.characters / max(found.counted, 1))  # in a long text, only the start is counted
    if words < LEAST or (not found.marked and (often < OFTEN or found.different_words > MOST_WORDS)):
        seldom = f"repeat too rarely: {found.words_once:,} of {found.different_words:,} occur once"
        why = f"words {seldom if words >= LEAST else f'would be too few, {words:,}'}"
        return Choice(False, f"{found.different_characters:,} different ones; {why}", found.characters, None)
    why = "rare ones are written as <unk>" if found.marked else f"each occurs {often:,.0f} times on average"
    why = f"{found.different_words:,} different ones; {why}"
    vocabulary = MOST_WORDS if found.different_words > MOST_WORDS else None
    return Choice(True, why, words, vocabulary)


def _data(file: GivenFile, found: TextProfile, chosen: Choice) -> Iterator[Line | Remark]:
    yield Line("path", file.path, f"{found.characters:,} characters")
    yield Line("unit", chosen.unit, chosen.why)
    if chosen.vocabulary:
        yield Line("vocabulary", chosen.vocabulary, "the most frequent words; all others become one unknown symbol")
    why = "steps of a chunk: the state is carried across its start, the gradient is not; searched below"
    yield Line("lookback", chosen.lookback, why)
    yield Line("split", {"validation": SHARE, "test": SHARE}, "by position: the start for training, the end for test")


def _training(chosen: Choice) -> Iterator[Line | Remark]:
    yield Line("max_epochs", chosen.max_epochs, "most trials end earlier")
    yield Line("batch_size", chosen.streams, "streams that are read in parallel, each with its own state")
    if chosen.steps_per_epoch:
        why = f"batches in an epoch; a whole pass ({chosen.batches:,}) would make pruning decisions rare"
        yield Line("steps_per_epoch", chosen.steps_per_epoch, why)
    yield Line("learning_rate", 4e-3, "searched below")
    yield Line("schedule", "cosine", "from the learning rate down to 0 over max_epochs")
    yield Line("patience", max(chosen.max_epochs // 4, 5), "a trial ends after so many epochs without a better metric")
    yield Line("seed", 1)


def _first_settings(chosen: Choice) -> tuple[dict[str, Value], ...]:
    base: dict[str, Value] = {"data.lookback": chosen.lookback, "model.cell": "lstm", "model.hidden_size": chosen.units}
    rate: dict[str, Value] = {"training.learning_rate": 4e-3}
    return ({**base, "model.num_layers": 1, **rate}, {**base, "model.num_layers": 2, **rate})


def _summary(file: GivenFile, found: TextProfile, chosen: Choice) -> dict[str, str]:
    return {
        "text": f"{found.characters:,} characters in {found.lines:,} line{'s' * (found.lines != 1)} of {file.path}",
        "unit": f"{chosen.unit} ({chosen.why})",
    }


def _facts(file: GivenFile, found: TextProfile, chosen: Choice) -> dict[str, Any]:
    return asdict(found) | {"path": str(file.path), "unit": chosen.unit, "symbols": chosen.symbols}

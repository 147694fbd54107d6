"""The task `language_model`: predict the next character or word of a text from all before it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.language_model import TextData, TextFile
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Before, Whole
from lstm.messages.message import note
from lstm.records.epoch import Judged
from lstm.records.errors import refused
from lstm.records.figures import Passage
from lstm.records.objective import Metric
from lstm.tasks.base import Feed, Task
from lstm.tasks.drafts.draft import Draft, Recognition

if TYPE_CHECKING:
    from torch import nn

    from lstm.data.language_model import Text, TextFacts
    from lstm.data.profile.files import GivenFile
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Blocks, Judgement
    from lstm.rivals.rival import Rival


class LanguageModel(Task["Text", "TextFacts"]):
    """The task of predicting the next symbol of a text."""

    section = TextData
    location = TextFile
    metrics = (
        Metric("loss", unit="nats", about="cross-entropy of a symbol"),
        Metric("bits_per_character", unit="bits", about="cross-entropy of a character"),
        Metric("perplexity", about="exp(cross-entropy)"),
    )
    counted = "symbols"
    judged_item = "symbol"
    prediction = "Continue a text"
    options = ("steps", "temperature", "seed")
    baseline = "bigram counts"
    baseline_note = "Bigram counts use how often each symbol followed the one before in the training part."

    # --- The first spec

    def recognise(self, files: "Sequence[GivenFile]") -> Recognition:
        """Recognise a text in UTF-8."""
        from lstm.tasks.drafts import language_model

        return language_model.recognise(files)

    def draft(self, files: "Sequence[GivenFile]") -> Draft:
        """Draft characters or words, the chunks, and a search by the length of the text."""
        from lstm.tasks.drafts import language_model

        return language_model.draft(files[0])

    # --- Data and metrics

    def metrics_of(self, section: TextData) -> tuple[Metric, ...]:
        """Return the metrics. Bits per character exist only if symbols are characters."""
        loss, bits, perplexity = self.metrics
        return (loss, bits, perplexity) if section.unit == "characters" else (loss, perplexity)

    def load(self, config: TrialConfig, location: TextFile, reach: int) -> "Text":
        """Read the text, and check that it has room for the longest chunks."""
        from lstm.data import language_model

        section = config.data_as(TextData)
        loaded = language_model.load(section, Path(location.path))
        language_model.chunks(loaded, config.training.batch_size, max(section.lookback, reach))
        return loaded

    def load_all(self, config: TrialConfig, location: TextFile, reach: int, before: Before, until: str | None) -> Whole:
        """Read the whole text."""
        from lstm.data import language_model

        if until is not None:
            raise refused("flag-of-another-task", at=f"--until {until}", task=config.task)
        return language_model.load_all(config.data_as(TextData), Path(location.path), before)

    @property
    def facts_kind(self) -> "type[TextFacts]":
        """The class with the vocabulary, which is needed to read other data in the same way."""
        from lstm.data.language_model import TextFacts

        return TextFacts

    def facts(self, data: "Text") -> "TextFacts":
        """Return the vocabulary."""
        return data.facts

    def describe(self, data: "Text", config: TrialConfig) -> dict[str, Any]:
        """Describe the text and the number of symbols of each part."""
        unit = config.data_as(TextData).unit
        about = f"{len(data.ids):,} {unit}, {data.inputs - 1:,} different ones in the vocabulary"
        lacking = int((data.ids == 0).sum())
        notes = [note("symbols-not-in-vocabulary", "data.vocabulary", count=lacking, unit=unit)] if lacking else []
        told = {"text": about, "unit": unit, "symbols": data.inputs, "notes": notes}
        sizes = {part: stop - start for part in ("train", "validation", "test") for start, stop in [data.bounds(part)]}
        spans = [
            {"first": start + 1, "last": stop, "train": start, "judged": stop - start} for start, stop in data.windows
        ]
        backtest = {"backtest": spans} if spans else {}
        return {"data": told | {"fingerprint": data.fingerprint}, **backtest, "windows": sizes}

    def part_unit(self, section: TextData) -> str:
        """Return characters or words."""
        return section.unit

    def column_types(self, section: TextData) -> Mapping[str, str]:
        """Return one column: a text is no table."""
        return {"text": "string"}

    def at_window(self, data: "Text", number: int) -> "Text":
        """Return the text with all that stands before the window as training part."""
        return data.at_window(number)

    def network(self, config: TrialConfig, facts: "TextFacts") -> "nn.Module":
        """Build an embedding, recurrent layers, and a head for the logits of the next symbol."""
        from lstm.tasks.networks import language_model

        return language_model.build(config, facts)

    def span(self, config: TrialConfig, facts: "TextFacts") -> int:
        """Return the steps of a chunk."""
        return config.data_as(TextData).lookback

    def feed(self, data: "Text", config: TrialConfig, device: str) -> Feed:
        """Return chunks of parallel streams, their loss and the metrics."""
        from lstm.tasks.networks import language_model

        return language_model.Feed(data, config, device)

    def judge(self, network: "nn.Module", data: "Text", config: TrialConfig, part: Judged, name: str) -> "Judgement":
        """Judge the network symbol by symbol, or in stretches of symbols if the part is long."""
        from lstm.tasks.networks import language_model

        return language_model.judge(network, data, config.data_as(TextData), part, name)

    def blocks(self, data: "Text", config: TrialConfig) -> "Blocks":
        """Return blocks of one stretch each, because symbols of one passage are similar."""
        from lstm.judging.items import Blocks
        from lstm.judging.language_model import STRETCH

        return Blocks(STRETCH)

    def baseline_metrics(self, data: "Text", config: TrialConfig, part: Judged) -> dict[str, float]:
        """Return the metrics of bigram counts, and the unigram's loss."""
        from lstm.rivals import language_model

        return language_model.baseline(data, config.data_as(TextData), part)

    def rivals(self) -> "tuple[Rival, ...]":
        """Return the counts of up to six symbols in a row."""
        from lstm.rivals import language_model

        return language_model.RIVALS

    def examples(self, network: "nn.Module", data: "Text", config: TrialConfig) -> list[Passage]:
        """Return the network's continuation of the start of the test part."""
        from lstm.tasks.networks import language_model

        return language_model.examples(network, data, config)

    def subject(self, network: "nn.Module", data: "Text", config: TrialConfig) -> "Subject":
        """Return the network for probes: embedded chunks of the validation part, with the next symbol's logits."""
        from lstm.tasks.networks import language_model

        return language_model.subject(network, data, config)

    def needs_input(self, section: TextData) -> bool:
        """Return False, because the end of the spec's own text can be the prompt."""
        return False

    def predict(
        self,
        network: "nn.Module",
        config: TrialConfig,
        facts: "TextFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> Passage:
        """Continue the text of a file."""
        return self.predict_together([network], config, facts, path, folder, **options)

    def predict_together(
        self,
        networks: "Sequence[nn.Module]",
        config: TrialConfig,
        facts: "TextFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> Passage:
        """Continue the text by the mean of the networks' probabilities of the next symbol."""
        from lstm.tasks.networks import language_model

        return language_model.predict(networks, facts, path, folder, **options)

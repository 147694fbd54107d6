"""The task `language_model`: the next character or word, told from all that came before."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.language_model import TextData, TextFile
from lstm.config.trial import TrialConfig
from lstm.messages.message import note
from lstm.records.epoch import Judged
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
    """Tells the next symbol of a text."""

    section = TextData
    location = TextFile
    metrics = (
        Metric("loss", unit="nats", about="cross-entropy of a symbol"),
        Metric("bits_per_character", unit="bits", about="cross-entropy of a character"),
        Metric("perplexity", about="exp(cross-entropy)"),
    )
    counted = "symbols"
    prediction = "Go on with the text"
    options = ("steps", "temperature", "seed")
    baseline = "bigram counts"
    baseline_note = "Bigram counts know how often each symbol followed the one before, in the training part."

    # --- The first spec

    def recognise(self, files: "Sequence[GivenFile]") -> Recognition:
        """A text in UTF-8."""
        from lstm.tasks.drafts import language_model

        return language_model.recognise(files)

    def draft(self, files: "Sequence[GivenFile]") -> Draft:
        """Characters or words, chunks and a search by the length."""
        from lstm.tasks.drafts import language_model

        return language_model.draft(files[0])

    # --- Data and metrics

    def metrics_of(self, section: TextData) -> tuple[Metric, ...]:
        """Of words there are no bits for each character."""
        loss, bits, perplexity = self.metrics
        return (loss, bits, perplexity) if section.unit == "characters" else (loss, perplexity)

    def load(self, config: TrialConfig, location: TextFile, reach: int) -> "Text":
        """The text, which has room for the largest batch of the longest chunks."""
        from lstm.data import language_model

        section = config.data_as(TextData)
        loaded = language_model.load(section, Path(location.path))
        language_model.chunks(loaded, config.training.batch_size, max(section.lookback, reach))
        return loaded

    @property
    def facts_kind(self) -> "type[TextFacts]":
        """Shape, and what it takes to read other data alike."""
        from lstm.data.language_model import TextFacts

        return TextFacts

    def facts(self, data: "Text") -> "TextFacts":
        """The vocabulary."""
        return data.facts

    def describe(self, data: "Text", config: TrialConfig) -> dict[str, Any]:
        """What the text is, and how many symbols each part has."""
        unit = config.data_as(TextData).unit
        about = f"{len(data.ids):,} {unit}, {data.inputs - 1:,} different ones in the vocabulary"
        lacking = int((data.ids == 0).sum())
        notes = [note("symbols-not-in-vocabulary", "data.vocabulary", count=lacking, unit=unit)] if lacking else []
        told = {"text": about, "unit": unit, "symbols": data.inputs, "notes": notes}
        sizes = {part: stop - start for part in ("train", "validation", "test") for start, stop in [data.bounds(part)]}
        return {"data": told | {"fingerprint": data.fingerprint}, "windows": sizes}

    def network(self, config: TrialConfig, facts: "TextFacts") -> "nn.Module":
        """An embedding, recurrent layers, and the logits of the next symbol."""
        from lstm.tasks.networks import language_model

        return language_model.build(config, facts)

    def span(self, config: TrialConfig, facts: "TextFacts") -> int:
        """Steps of a chunk."""
        return config.data_as(TextData).lookback

    def feed(self, data: "Text", config: TrialConfig, device: str) -> Feed:
        """Chunks of parallel streams."""
        from lstm.tasks.networks import language_model

        return language_model.Feed(data, config, device)

    def judge(self, network: "nn.Module", data: "Text", config: TrialConfig, part: Judged, name: str) -> "Judgement":
        """Symbol by symbol; of a long part by stretches."""
        from lstm.tasks.networks import language_model

        return language_model.judge(network, data, config.data_as(TextData), part, name)

    def blocks(self, data: "Text", config: TrialConfig) -> "Blocks":
        """Symbols of one passage are alike."""
        from lstm.judging.items import Blocks
        from lstm.judging.language_model import STRETCH

        return Blocks(STRETCH)

    def baseline_metrics(self, data: "Text", config: TrialConfig, part: Judged) -> dict[str, float]:
        """Those of bigram counts; the unigram's loss, too."""
        from lstm.rivals import language_model

        return language_model.baseline(data, config.data_as(TextData), part)

    def rivals(self) -> "tuple[Rival, ...]":
        """Counts of up to six symbols in a row."""
        from lstm.rivals import language_model

        return language_model.RIVALS

    def examples(self, network: "nn.Module", data: "Text", config: TrialConfig) -> list[Passage]:
        """How the network goes on after the start of the test part."""
        from lstm.tasks.networks import language_model

        return language_model.examples(network, data, config)

    def subject(self, network: "nn.Module", data: "Text", config: TrialConfig) -> "Subject":
        """Chunks of the validation part as embeddings, the logits of the symbol after them as the answer."""
        from lstm.tasks.networks import language_model

        return language_model.subject(network, data, config)

    def needs_input(self, section: TextData) -> bool:
        """The text's own end is the prompt."""
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
        """How the network goes on after a file's text."""
        from lstm.tasks.networks import language_model

        return language_model.predict(network, facts, path, folder, **options)

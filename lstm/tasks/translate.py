"""The task `translate`: write the sentence of one language, or form, that belongs to a sentence of another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.translate import PairFiles, TranslateData
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Before, Whole
from lstm.messages.message import Note
from lstm.records.epoch import Judged
from lstm.records.errors import refused
from lstm.records.figures import TranslatedLines
from lstm.records.objective import Metric
from lstm.tasks.base import Feed, Task
from lstm.tasks.drafts.draft import Draft, Recognition

if TYPE_CHECKING:
    from torch import nn

    from lstm.data.profile.files import GivenFile
    from lstm.data.translate import TranslateFacts, Translations
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Judgement
    from lstm.records.figures import Example
    from lstm.rivals.rival import Rival


class Translate(Task["Translations", "TranslateFacts"]):
    """The task of translating a sentence."""

    section = TranslateData
    location = PairFiles
    metrics = (
        Metric("loss", unit="nats", about="cross-entropy of a unit of the target", nearest="chrf"),
        Metric(
            "character_nats",
            unit="nats",
            about="cross-entropy of a character of the target, the same for all units",
            nearest="chrf",
        ),
        Metric("bleu", "maximize", about="BLEU of the translations, 0 to 100, as sacrebleu computes it", points=1.0),
        Metric("chrf", "maximize", about="chrF of the translations, 0 to 100, as sacrebleu computes it", points=1.0),
        Metric("exact_match", "maximize", about="share of translations that equal the reference"),
    )
    counted = "pairs"
    judged_item = "sentence"
    predicted = "lines"
    prediction = "Translate a file"
    baseline = "copy of the source"
    baseline_note = "The copy of the source is right for names, numbers and words that both languages share."

    # --- The first spec

    def recognise(self, files: "Sequence[GivenFile]") -> Recognition:
        """Recognise two texts of as many lines, or six, or a table with two columns of sentences."""
        from lstm.tasks.drafts import translate

        return translate.recognise(files)

    def draft(self, files: "Sequence[GivenFile]") -> Draft:
        """Draft the units, the size of the network, and a search by the number of pairs."""
        from lstm.tasks.drafts import translate

        return translate.draft(files)

    # --- Data and metrics

    def load(self, config: TrialConfig, location: PairFiles, reach: int) -> "Translations":
        """Read or generate the pairs."""
        from lstm.data import translate

        return translate.load(config.data_as(TranslateData), location)

    def load_all(
        self, config: TrialConfig, location: PairFiles, reach: int, before: Before, until: str | None
    ) -> Whole:
        """Read the pairs of all parts."""
        from lstm.data import translate

        if until is not None:
            raise refused("flag-of-another-task", at=f"--until {until}", task=config.task)
        return translate.load_all(config.data_as(TranslateData), location, before)

    def as_read(self, data: "Translations", config: TrialConfig) -> "Translations":
        """Return the pairs as the units of the configuration, which may be searched."""
        return data.read(config.data_as(TranslateData))

    @property
    def facts_kind(self) -> "type[TranslateFacts]":
        """The class with the vocabularies, which are needed to read other sentences in the same way."""
        from lstm.data.translate import TranslateFacts

        return TranslateFacts

    def facts(self, data: "Translations") -> "TranslateFacts":
        """Return the vocabularies, and how long sentences are."""
        return data.facts

    def doubts(self, data: "Translations") -> Sequence[Note]:
        """Return what is likely wrong in the files."""
        return data.doubts

    def describe(self, data: "Translations", config: TrialConfig) -> dict[str, Any]:
        """Describe the pairs, their units, and the number of pairs of each part."""
        section, facts = config.data_as(TranslateData), data.facts
        sides = [facts.source] if section.shared_vocabulary else [facts.source, facts.target]
        many = " and ".join(f"{len(each):,}" for each in sides)
        whose = "for both sides" if section.shared_vocabulary else "of the sources and of the targets"
        unit = {"bpe": "pieces of words"}.get(section.units, section.units)
        sizes = {part: len(pairs) for part, pairs in data.parts.items()}
        about = {
            "text": f"{sum(sizes.values()):,} pairs; {many} {unit} {whose}; sentences of up to "
            f"{facts.longest_source} and {facts.longest_target}",
            "units": section.units,
            "source_units": len(facts.source),
            "target_units": len(facts.target),
            "notes": [*data.doubts],
            "fingerprint": data.fingerprint,
        }
        return {"data": about, "windows": sizes}

    def column_types(self, section: TranslateData) -> Mapping[str, str]:
        """Return the two columns of pairs."""
        return {section.source or "source": "string", section.target or "target": "string"}

    # --- The network

    def network(self, config: TrialConfig, facts: "TranslateFacts") -> "nn.Module":
        """Build an encoder, a decoder and the attention between them."""
        from lstm.tasks.networks import translate

        return translate.build(config, facts)

    def span(self, config: TrialConfig, facts: "TranslateFacts") -> int:
        """Return the steps of the longest sentence of the training part."""
        return max(facts.longest_source, facts.longest_target) + 1

    def feed(self, data: "Translations", config: TrialConfig, device: str) -> Feed:
        """Return batches of pairs of about one length, their loss and the metrics."""
        from lstm.tasks.networks import translate

        return translate.Feed(data, config, device)

    # --- How a network is judged

    def judge(
        self, network: "nn.Module", data: "Translations", config: TrialConfig, part: Judged, name: str
    ) -> "Judgement":
        """Judge the network sentence by sentence."""
        from lstm.tasks.networks import translate

        return translate.judge(network, data, config.data_as(TranslateData), part, name)

    def baseline_metrics(self, data: "Translations", config: TrialConfig, part: Judged) -> dict[str, float]:
        """Return the metrics of the sources themselves as translations."""
        from lstm.rivals import translate

        return translate.baseline(data, config, part)

    def rivals(self) -> "tuple[Rival, ...]":
        """Return the copy of the source, the nearest training sentence, and word by word by counts."""
        from lstm.rivals import translate

        return translate.RIVALS

    # --- What a network is asked

    def examples(self, network: "nn.Module", data: "Translations", config: TrialConfig) -> "list[Example]":
        """Return translations beside their references, BLEU by length, and the weights of attention."""
        from lstm.tasks.networks import translate_examples

        return translate_examples.examples(network, data, config)

    def subject(self, network: "nn.Module", data: "Translations", config: TrialConfig) -> "Subject":
        """Return the network for probes: embedded sources of the validation part, with the scores of the first unit."""
        from lstm.tasks.networks import translate

        return translate.subject(network, data, config)

    def predict(
        self,
        network: "nn.Module",
        config: TrialConfig,
        facts: "TranslateFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> TranslatedLines:
        """Translate a file line by line, or the first sentences of the test part of generated pairs."""
        return self.predict_together([network], config, facts, path, folder, **options)

    def predict_together(
        self,
        networks: "Sequence[nn.Module]",
        config: TrialConfig,
        facts: "TranslateFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> TranslatedLines:
        """Translate by the mean of the networks' probabilities of the next unit."""
        from lstm.tasks.networks import translate

        return translate.predict(networks, config, facts, None if path is None else folder / path)

"""The task `classify`: predict the class of a whole sequence of any length."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.classify import ClassifyData, SequencesFile
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Before, Part, Whole
from lstm.messages.message import Note, note
from lstm.records.epoch import Judged
from lstm.records.errors import refused
from lstm.records.figures import HeatMap
from lstm.records.objective import Metric
from lstm.tasks.base import Feed, Task
from lstm.tasks.drafts.draft import Draft, Recognition

if TYPE_CHECKING:
    from torch import nn

    from lstm.data.classify import SequenceFacts, Sequences
    from lstm.data.profile.files import GivenFile
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Judgement
    from lstm.rivals.rival import Rival


class Classify(Task["Sequences", "SequenceFacts"]):
    """The task of predicting the class of a sequence."""

    section = ClassifyData
    location = SequencesFile
    metrics = (
        Metric("loss", unit="nats", about="cross-entropy"),
        Metric("accuracy", "maximize", about="share of correct answers"),
        Metric("f1", "maximize", about="F1 averaged over the classes", nearest="accuracy"),
    )
    windows_note = "each window is a fold, whose network is trained on all other folds, from the same seed"
    all_but_test = "all sequences but those of the test part"
    predicted = "sequences"
    wishes = ("target",)
    baseline = "logistic regression"
    baseline_note = "Logistic regression reads all steps of a sequence at once, padded to the longest sequence."

    # --- The first spec

    def recognise(self, files: "Sequence[GivenFile]") -> Recognition:
        """Recognise a table with one row per step, and with an id and a label of sequences."""
        from lstm.tasks.drafts import classify

        return classify.recognise(files)

    def draft(self, files: "Sequence[GivenFile]") -> Draft:
        """Draft the roles of the columns, and a search by the number of sequences."""
        from lstm.tasks.drafts import classify

        return classify.draft(files[0])

    # --- Data and metrics

    def load(self, config: TrialConfig, location: SequencesFile, reach: int) -> "Sequences":
        """Read the labelled sequences."""
        from lstm.data import classify

        return classify.load(config.data_as(ClassifyData), Path(location.path))

    def load_all(
        self, config: TrialConfig, location: SequencesFile, reach: int, before: Before, until: str | None
    ) -> Whole:
        """Read all sequences."""
        from lstm.data import classify

        if until is not None:
            raise refused("flag-of-another-task", at=f"--until {until}", task=config.task)
        return classify.load_all(config.data_as(ClassifyData), Path(location.path), before)

    @property
    def facts_kind(self) -> "type[SequenceFacts]":
        """The class with shape, scale and classes, which are needed to read other data in the same way."""
        from lstm.data.classify import SequenceFacts

        return SequenceFacts

    def facts(self, data: "Sequences") -> "SequenceFacts":
        """Return shape, scale and classes."""
        return data.facts

    def doubts(self, data: "Sequences") -> tuple[Note, ...]:
        """Return what is likely wrong in the file."""
        return data.doubts

    def describe(self, data: "Sequences", config: TrialConfig) -> dict[str, Any]:
        """Describe the data and the number of sequences of each part."""
        from lstm.rivals.classify import fits

        section, lengths = config.data_as(ClassifyData), data.lengths
        shortest, longest = int(lengths.min()), data.longest
        steps = f"{longest:,} steps" if shortest == longest else f"{shortest:,} to {longest:,} steps"
        classes = f"{len(data.targets):,} classes in column {section.label}"
        about = {
            "text": f"{len(lengths):,} sequences of {steps}, {classes}",
            "rows": len(data.values),
            "sequences": len(lengths),
            "shortest": shortest,
            "longest": longest,
            "inputs": data.inputs,
            "targets": list(data.targets),
            "notes": [*data.notes, *([] if fits(data) else [note("too-large-for-baseline", baseline=self.baseline)])],
            "fingerprint": data.fingerprint,
        }
        sizes = {part: len(chosen) for part, chosen in data.parts.items()}
        if not data.folds:
            return {"data": about, "windows": sizes}
        judged = [len(fold) for fold in data.folds]
        spans = [{"train": sum(judged) - count, "judged": count} for count in judged]
        parts = f"{sum(judged):,} in {len(judged)} folds, test {sizes['test']:,}"  # each is trained on and judged
        return {"data": about, "backtest": spans, "parts": parts, "windows": sizes | {"train": spans[0]["train"]}}

    def part_sizes(self, data: "Sequences", config: TrialConfig) -> Mapping[Part, int]:
        """Return the sequences of each part."""
        return {part: len(chosen) for part, chosen in data.parts.items()}

    def column_types(self, section: ClassifyData) -> Mapping[str, str]:
        """Return the types of the columns: ids, times and labels may be anything."""
        words = [section.id, *section.time_columns, section.label]
        return dict.fromkeys(words, "string") | dict.fromkeys(section.columns, "double")

    def at_window(self, data: "Sequences", number: int) -> "Sequences":
        """Return the sequences with a fold as validation part, and all others as training part."""
        return data.at_window(number)

    def network(self, config: TrialConfig, facts: "SequenceFacts") -> "nn.Module":
        """Build the network, which answers once per sequence with a score for each class."""
        from lstm.tasks.networks import classify

        return classify.build(config, facts)

    def span(self, config: TrialConfig, facts: "SequenceFacts") -> int:
        """Return the steps of the longest sequence."""
        return facts.longest

    def feed(self, data: "Sequences", config: TrialConfig, device: str) -> Feed:
        """Return batches of sequences with similar lengths, their loss and the metrics."""
        from lstm.tasks.networks import classify

        return classify.Feed(data, config, device)

    def judge(
        self, network: "nn.Module", data: "Sequences", config: TrialConfig, part: Judged, name: str
    ) -> "Judgement":
        """Judge the network sequence by sequence."""
        from lstm.tasks.networks import classify

        return classify.judge(network, data, part, name)

    def baseline_metrics(self, data: "Sequences", config: TrialConfig, part: Judged) -> dict[str, float]:
        """Return the metrics of logistic regression; empty if the sequences are too large for it."""
        from lstm.rivals import classify

        return classify.baseline(data, part)

    def rivals(self) -> "tuple[Rival, ...]":
        """Return the commonest class, logistic regression and the nearest neighbour; then random kernels (an extra)."""
        from lstm.rivals import classify, kernels

        return (*classify.RIVALS, *kernels.RIVALS)

    def examples(self, network: "nn.Module", data: "Sequences", config: TrialConfig) -> list[HeatMap]:
        """Return the confusion of the classes on the test part."""
        from lstm.tasks.networks import classify

        return classify.examples(network, data, config)

    def subject(self, network: "nn.Module", data: "Sequences", config: TrialConfig) -> "Subject":
        """Return the network for probes: sequences of the validation part, with the classes' scores as answers."""
        from lstm.tasks.networks import classify

        return classify.subject(network, data, config)

    def predict(
        self,
        network: "nn.Module",
        config: TrialConfig,
        facts: "SequenceFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> dict[str, list[Any]]:
        """Predict the class of each sequence in a file, with its probability."""
        return self.predict_together([network], config, facts, path, folder, **options)

    def predict_together(
        self,
        networks: "Sequence[nn.Module]",
        config: TrialConfig,
        facts: "SequenceFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> dict[str, list[Any]]:
        """Predict by the mean of the networks' probabilities."""
        from lstm.tasks.networks import classify

        return classify.predict(networks, config, facts, path, folder)

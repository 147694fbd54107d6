"""The task `memory`: problems that only a network with memory can solve. `lstm.data.memory` describes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.memory import MemoryData
from lstm.config.section import Location
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Before, Whole
from lstm.records.epoch import Judged
from lstm.records.errors import refused
from lstm.records.figures import Forecast
from lstm.records.objective import Metric
from lstm.tasks.base import Feed, Task
from lstm.tasks.drafts.draft import Recognition

if TYPE_CHECKING:
    from torch import nn

    from lstm.data.memory import ProblemFacts, Problems
    from lstm.data.profile.files import GivenFile
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Judgement
    from lstm.rivals.rival import Rival

REPORTED = {"adding": (), "copy": ("accuracy",), "mackey_glass": ("nrmse",)}  # the literature's, next to the loss


class Memory(Task["Problems", "ProblemFacts"]):
    """The task of answering from memory. The sequences are generated."""

    section = MemoryData
    metrics = (
        Metric("loss", about="mean squared error, or for symbols the cross-entropy in nats"),
        Metric("accuracy", "maximize", about="share of symbols that were repeated correctly"),
        Metric("nrmse", about="root mean squared error relative to the series' standard deviation"),
    )
    baseline = "constant"
    baseline_note = "The constant is the best answer that needs no memory."

    def recognise(self, files: "Sequence[GivenFile]") -> Recognition:
        """Recognise no file, because the sequences are generated."""
        return Recognition(False, "takes no file, its sequences are generated; copy experiments/adding.yaml")

    def metrics_of(self, section: MemoryData) -> tuple[Metric, ...]:
        """Return the loss, and the metric that the problem's literature reports."""
        return tuple(each for each in self.metrics if each.name in ("loss", *REPORTED[section.problem]))

    def load(self, config: TrialConfig, location: Location, reach: int) -> "Problems":
        """Generate the sequences."""
        from lstm.data.memory import generate

        return generate(config.data_as(MemoryData))

    @property
    def facts_kind(self) -> "type[ProblemFacts]":
        """The class with shape and scale, which are needed to read other data in the same way."""
        from lstm.data.memory import ProblemFacts

        return ProblemFacts

    def load_all(self, config: TrialConfig, location: Location, reach: int, before: Before, until: str | None) -> Whole:
        """Refuse: data are generated without end, so that the parts are no data that a refit would gain."""
        raise refused("refit-of-generated-data")

    def facts(self, data: "Problems") -> "ProblemFacts":
        """Return shape and scale."""
        return data.facts

    def describe(self, data: "Problems", config: TrialConfig) -> dict[str, Any]:
        """Describe the data and the number of sequences of each part."""
        section = config.data_as(MemoryData)
        text = f"{section.problem}, sequences of {section.steps:,} steps, generated from seed {section.seed}"
        about = {"text": text, "problem": section.problem, "steps": section.steps, "inputs": data.inputs}
        about |= {"targets": list(data.targets), "notes": [], "fingerprint": data.fingerprint}
        return {"data": about, "windows": section.sizes.model_dump()}

    def network(self, config: TrialConfig, facts: "ProblemFacts") -> "nn.Module":
        """Build the network, which answers once for the adding problem and at every step for the others."""
        from lstm.tasks.networks import memory

        return memory.build(config, facts)

    def span(self, config: TrialConfig, facts: "ProblemFacts") -> int:
        """Return the steps of a sequence."""
        return config.data_as(MemoryData).steps

    def feed(self, data: "Problems", config: TrialConfig, device: str) -> Feed:
        """Return batches (drawn anew in each pass, except for Mackey-Glass), their loss and the metrics."""
        from lstm.tasks.networks import memory

        return memory.Feed(data, config, device)

    def judge(
        self, network: "nn.Module", data: "Problems", config: TrialConfig, part: Judged, name: str
    ) -> "Judgement":
        """Judge the network sequence by sequence."""
        from lstm.tasks.networks import memory

        return memory.judge(network, data, config, part, name)

    def baseline_metrics(self, data: "Problems", config: TrialConfig, part: Judged) -> dict[str, float]:
        """Return the metrics of a constant."""
        from lstm.rivals import memory

        return memory.baseline(data, config, part)

    def rivals(self) -> "tuple[Rival, ...]":
        """Return a constant, and a linear map of the inputs."""
        from lstm.rivals import memory

        return memory.RIVALS

    def examples(self, network: "nn.Module", data: "Problems", config: TrialConfig) -> list[Forecast]:
        """Return the answers to a test sequence, or to many for the adding problem."""
        from lstm.tasks.networks import memory

        return memory.examples(network, data, config)

    def subject(self, network: "nn.Module", data: "Problems", config: TrialConfig) -> "Subject":
        """Return the network for probes: sequences of the validation part, with the last step's answers."""
        from lstm.tasks.networks import memory

        return memory.subject(network, data, config)

    def predict(
        self,
        network: "nn.Module",
        config: TrialConfig,
        facts: "ProblemFacts",
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> dict[str, list[Any]]:
        """Predict the answers to a sequence in a file, or to a test sequence without a file."""
        from lstm.tasks.networks import memory

        return memory.predict(network, config, facts, path, folder)

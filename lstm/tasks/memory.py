"""The task `memory`: problems that can only be solved by remembering; what they are: see `lstm.data.memory`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm.config.memory import MemoryData
from lstm.config.section import Location
from lstm.config.trial import TrialConfig
from lstm.records.epoch import Judged
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

REPORTED = {"adding": (), "copy": ("accuracy",), "mackey_glass": ("nrmse",)}  # in the literature, beside the loss


class Memory(Task["Problems", "ProblemFacts"]):
    """Answers what it must have remembered; the sequences are generated."""

    section = MemoryData
    metrics = (
        Metric("loss", about="mean squared error; of symbols the cross-entropy in nats"),
        Metric("accuracy", "maximize", about="share of symbols that were repeated rightly"),
        Metric("nrmse", about="root of the mean squared error beside the series' deviation"),
    )
    baseline = "constant"
    baseline_note = "The constant is the best answer that needs no memory."

    def recognise(self, files: "Sequence[GivenFile]") -> Recognition:
        """None: the sequences are generated."""
        return Recognition(False, "takes no file, its sequences are generated; copy experiments/adding.yaml")

    def metrics_of(self, section: MemoryData) -> tuple[Metric, ...]:
        """The loss, and what the problem's literature reports."""
        return tuple(each for each in self.metrics if each.name in ("loss", *REPORTED[section.problem]))

    def load(self, config: TrialConfig, location: Location, reach: int) -> "Problems":
        """The generated sequences."""
        from lstm.data.memory import generate

        return generate(config.data_as(MemoryData))

    @property
    def facts_kind(self) -> "type[ProblemFacts]":
        """Shape, and what it takes to read other data alike."""
        from lstm.data.memory import ProblemFacts

        return ProblemFacts

    def facts(self, data: "Problems") -> "ProblemFacts":
        """Shape and scale."""
        return data.facts

    def describe(self, data: "Problems", config: TrialConfig) -> dict[str, Any]:
        """What the data are, and how many sequences each part has."""
        section = config.data_as(MemoryData)
        text = f"{section.problem}, sequences of {section.steps:,} steps, generated from seed {section.seed}"
        about = {"text": text, "problem": section.problem, "steps": section.steps, "inputs": data.inputs}
        about |= {"targets": list(data.targets), "notes": [], "fingerprint": data.fingerprint}
        return {"data": about, "windows": section.sizes.model_dump()}

    def network(self, config: TrialConfig, facts: "ProblemFacts") -> "nn.Module":
        """It answers once for the sum, at every step elsewhere."""
        from lstm.tasks.networks import memory

        return memory.build(config, facts)

    def span(self, config: TrialConfig, facts: "ProblemFacts") -> int:
        """Steps of a sequence."""
        return config.data_as(MemoryData).steps

    def feed(self, data: "Problems", config: TrialConfig, device: str) -> Feed:
        """Sequences, new ones for each pass but of Mackey-Glass."""
        from lstm.tasks.networks import memory

        return memory.Feed(data, config, device)

    def judge(
        self, network: "nn.Module", data: "Problems", config: TrialConfig, part: Judged, name: str
    ) -> "Judgement":
        """Sequence by sequence."""
        from lstm.tasks.networks import memory

        return memory.judge(network, data, config, part, name)

    def baseline_metrics(self, data: "Problems", config: TrialConfig, part: Judged) -> dict[str, float]:
        """Those of a constant."""
        from lstm.rivals import memory

        return memory.baseline(data, config, part)

    def rivals(self) -> "tuple[Rival, ...]":
        """A constant, and a linear map of what was seen."""
        from lstm.rivals import memory

        return memory.RIVALS

    def examples(self, network: "nn.Module", data: "Problems", config: TrialConfig) -> list[Forecast]:
        """The answers to a test sequence; of the adding problem to many."""
        from lstm.tasks.networks import memory

        return memory.examples(network, data, config)

    def subject(self, network: "nn.Module", data: "Problems", config: TrialConfig) -> "Subject":
        """Sequences of the validation part, the answer at the last step."""
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
        """The answers to a sequence in a file; without one to a test sequence."""
        from lstm.tasks.networks import memory

        return memory.predict(network, config, facts, path, folder)

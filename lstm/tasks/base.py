"""What a task is: what is learned, from which data, by which network, and how that is judged and told.

A task is a class. Ours are named in `lstm/tasks/registry.py`; a user's own is named in a spec as `FILE.py:Class`.
Their modules import neither PyTorch nor pandas before they are needed: a spec is read, and a sweep driven, without.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from lstm.config.section import Data, Location
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset, Facts
from lstm.messages.message import Note
from lstm.records.epoch import Judged
from lstm.records.errors import nearest, refused
from lstm.records.figures import Example, Passage
from lstm.records.objective import Metric
from lstm.records.task import TaskRecord
from lstm.tasks.drafts.draft import Draft, Recognition

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from lstm.data.profile.files import GivenFile
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Blocks, Judgement
    from lstm.rivals.rival import Fitted, Rival

D = TypeVar("D", bound=Dataset)  # a task's data
F = TypeVar("F", bound=Facts)  # what a checkpoint keeps of them


class Feed(Protocol):
    """What the trainer takes of a task: batches, their loss, the judgement."""

    items: int  # sequences in a pass over the training part
    step_numbers: int  # numbers that a step of a sequence holds in memory beside the cell's: inputs and answers
    judged_steps: int  # steps that are judged at once

    def order(self, generator: "np.random.Generator", /) -> Callable[[int], Any]:
        """The batches of a pass by their place in it; whatever is random about them comes from the generator.

        It is asked for at the start of each pass, and again at the start of each epoch, then for the pass under way.
        """
        ...

    def loss(self, network: "nn.Module", batch: Any, /) -> "tuple[Tensor, int]":
        """The loss of a batch, a mean, and over how many it was taken."""
        ...

    def judged(self, part: Judged, /) -> int:
        """Sequences that a part is judged on."""
        ...

    def evaluate(self, network: "nn.Module", part: Judged, some: int | None = None, /) -> dict[str, float]:
        """The metrics of a network over a part, or over some of its sequences, named without the part; with `loss`."""
        ...


class Task(ABC, Generic[D, F]):
    """A task. `D` is its data, `F` what a checkpoint keeps of them."""

    section: ClassVar[type[Data]]  # of a spec: `data`, without where they lie
    location: ClassVar[type[Location]] = Location  # where they lie, in the same section; generated data have none
    metrics: ClassVar[tuple[Metric, ...]]  # named without the part; the loss first
    counted: ClassVar[str] = "sequences"  # what the size of a part is told in
    predicted: ClassVar[str] = "steps"  # what the rows of a prediction are
    prediction: ClassVar[str] = "Answer what is new"  # what it does
    output: ClassVar[str] = ""  # options of `sweep predict` that its last screen names
    options: ClassVar[tuple[str, ...]] = ()  # of `sweep predict`, by name, that `predict` takes
    baseline: ClassVar[str] = ""  # what every result is held against, in words; "" where there is none
    baseline_note: ClassVar[str] = ""  # and what that is, in a sentence

    # --- The first spec

    def recognise(self, files: "Sequence[GivenFile]", /) -> Recognition:
        """Whether files that `sweep new` is given, together, are what this task learns from: a cheap look.

        Raises:
            BadInput: a file can't be read as what its name says.
        """
        return Recognition(False, "recognises no file; write its spec by hand")

    def draft(self, files: "Sequence[GivenFile]", /) -> Draft:
        """The spec for files that it recognises, with a reason for each line.

        Raises:
            BadInput: they can be read in several ways, or there is too little in them.
        """
        raise NotImplementedError(f"{type(self).__name__} recognises files and drafts no spec for them")

    # --- Data and metrics

    def metrics_of(self, section: Any, /) -> tuple[Metric, ...]:
        """The metrics with a section `data`, where that says which there are, or of which column."""
        return self.metrics

    @abstractmethod
    def load(self, config: TrialConfig, location: Any, reach: int, /) -> D:
        """The data of a configuration, read from where they lie or generated; nobody writes to their arrays.

        `location` is of the task's own class of that name, with whole paths.

        `reach` is the largest look-back of all that will be compared (`Data.reach`).

        Raises:
            BadInput: a file is wrong, or too small for what is asked.
        """

    @abstractmethod
    def facts(self, data: D, /) -> F:
        """What a checkpoint keeps of the data."""

    def facts_row(self, data: D) -> dict[str, Any]:
        """The same as plain values, for a checkpoint."""
        return asdict(self.facts(data))

    @property
    @abstractmethod
    def facts_kind(self) -> type[F]:
        """The class of what a checkpoint keeps."""

    def facts_of(self, row: Mapping[str, Any]) -> F:
        """The same from what a checkpoint has kept; what other versions have kept besides is passed over."""
        return TypeAdapter(self.facts_kind).validate_python(row)

    @abstractmethod
    def describe(self, data: D, config: TrialConfig, /) -> dict[str, Any]:
        """Return `data` (with a `text` for people, and a list of `notes`) and `windows` of each part.

        Where the data lie is said before the text.
        """

    def doubts(self, data: D, /) -> Sequence[Note]:
        """Return a note for each thing that is likely wrong in the data."""
        return ()

    def earlier_loss(self, data: D, config: TrialConfig, shortest: int, /) -> str:
        """What else counts in the loss of a sweep that an earlier version has begun; "" where it is the same loss.

        `shortest` is the smallest look-back of all that are compared (`Data.reach`).
        """
        return ""

    # --- The network

    @abstractmethod
    def network(self, config: TrialConfig, facts: F, /) -> "nn.Module":
        """The network, its recurrent part as `cell`; its weights come from torch's generator."""

    @abstractmethod
    def span(self, config: TrialConfig, facts: F, /) -> int:
        """Steps that the network is unrolled over."""

    def start(self, network: "nn.Module", data: D, config: TrialConfig, /) -> None:
        """Sets what of a network is no draw, before its first epoch."""

    def start_bytes(self, data: D, config: TrialConfig, /) -> int:
        """An estimate of what that needs; 0 where there is nothing to set."""
        return 0

    @abstractmethod
    def feed(self, data: D, config: TrialConfig, device: str, /) -> Feed:
        """What the trainer takes."""

    # --- How a network is judged

    @abstractmethod
    def judge(self, network: "nn.Module", data: D, config: TrialConfig, part: Judged, name: str, /) -> "Judgement":
        """What a network does on a part, item by item, under a name; the same figures as the feed's."""

    def blocks(self, data: D, config: TrialConfig, /) -> "Blocks":
        """Which items are alike, so that they count as one; each counts by itself unless a task says otherwise."""
        from lstm.judging.items import Blocks

        return Blocks()

    def baseline_metrics(self, data: D, config: TrialConfig, part: Judged, /) -> dict[str, float]:
        """The metrics of what anyone would do without a network; none where there is none."""
        return {}

    def rivals(self) -> "tuple[Rival, ...]":
        """What the best network is held against besides: those that always run, then the extra ones."""
        return ()

    # --- What a network is asked

    def examples(self, network: "nn.Module", data: D, config: TrialConfig, /) -> Sequence[Example]:
        """What the network makes of a few test sequences, for pictures."""
        return ()

    @abstractmethod
    def subject(self, network: "nn.Module", data: D, config: TrialConfig, /) -> "Subject":
        """The network as probes ask it."""

    def needs_input(self, section: Any, /) -> bool:
        """Whether a prediction must be given what it is made from; else it starts where the section's data end."""
        return True

    @abstractmethod
    def predict(
        self, network: "nn.Module", config: TrialConfig, facts: F, path: str | None, folder: Path, **options: Any
    ) -> dict[str, list[Any]] | Passage:
        """What the network makes of a file, or of data that need none: columns, or a text.

        Raises:
            BadInput: the file is wrong.
        """

    def predict_by_rival(
        self, fitted: "Fitted", config: TrialConfig, facts: F, path: str, folder: Path, /
    ) -> dict[str, list[Any]]:
        """What a fitted rival makes of a file.

        Raises:
            BadInput: the file is wrong, or the rival is judged only.
        """
        self.check_predicts(fitted.name)
        raise NotImplementedError

    # --- What follows from these

    def rival(self, name: str) -> "Rival":
        """A rival by its name.

        Raises:
            BadInput: there is none of that name.
        """
        known = self.rivals()
        for each in known:
            if each.name == name:
                return each
        if not known:
            raise refused("rival-of-none", name=name)
        names = [each.name for each in known]
        raise refused("rival-unknown", name=name, near=nearest(name, names), known=names)

    def check_predicts(self, name: str) -> None:
        """Whether a rival answers what nobody knows yet.

        Raises:
            BadInput: it is judged only, or there is none of that name.
        """
        from lstm.rivals.rival import Forecasting

        if not isinstance(self.rival(name), Forecasting):
            if able := [each.name for each in self.rivals() if isinstance(each, Forecasting)]:
                raise refused("rival-judged-only", name=name, able=able)
            raise refused("rivals-judged-only", name=name)

    def record(self, section: Data) -> TaskRecord:
        """What a study keeps of it."""
        about = {each.name: each.about for each in self.rivals()}
        return TaskRecord(self.metrics_of(section), self.baseline, self.baseline_note, about)

"""The base class of tasks: what is learned, from which data, by which network, and how results are judged and named.

A task is a class. `lstm/tasks/registry.py` lists the built-in tasks. A spec names a user's own task as `FILE.py:Class`.
The modules of tasks import PyTorch and pandas only when they are needed, because a spec is read, and a sweep driven,
without them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from lstm.config.section import Data, Location
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Before, Dataset, Facts, Part, Warm, Whole
from lstm.messages.message import Note
from lstm.records.epoch import Judged
from lstm.records.errors import Fault, nearest, refused
from lstm.records.figures import Example, Predicted
from lstm.records.objective import Metric, TaskRecord
from lstm.tasks.drafts.draft import Draft, Recognition

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from lstm.data.profile.files import GivenFile
    from lstm.diagnostics.subject import Subject
    from lstm.judging.items import Blocks, Judgement
    from lstm.rivals.rival import Fitted, Rival

D = TypeVar("D", bound=Dataset)  # the data of a task
F = TypeVar("F", bound=Facts)  # the facts about the data that a checkpoint keeps


class Feed(Protocol):
    """The part of a task that the trainer uses: batches, their loss, and the metrics of a network."""

    items: int  # sequences in a pass over the training part
    step_numbers: int  # numbers in memory per step of a sequence for inputs and answers, without the cell's
    judged_steps: int  # steps that are judged at once, summed over the sequences

    def order(self, generator: "np.random.Generator", /) -> Callable[[int], Any]:
        """Return a function that gives the batch at a place (from 0) in a pass.

        Everything random about the batches comes from the generator. The trainer calls this method at the start of
        each pass. At the start of an epoch within a pass, the trainer calls it again for the same pass.
        """
        ...

    def loss(self, network: "nn.Module", batch: Any, /) -> "tuple[Tensor, int]":
        """Return the mean loss of a batch, and the number of items in the mean."""
        ...

    def judged(self, part: Judged, /) -> int:
        """Return the number of sequences that a part is judged on."""
        ...

    def evaluate(self, network: "nn.Module", part: Judged, some: int | None = None, /) -> dict[str, float]:
        """Return the metrics of a network over a part, or over `some` of its sequences.

        The names do not contain the part. `loss` is one of the metrics.
        """
        ...


class Measuring(Protocol):
    """The part of a feed that `training.method: evolution` uses besides."""

    def measure(self, network: "nn.Module", batch: Any, /) -> tuple[dict[str, float], int]:
        """Return the metrics of a network over a batch of the training part, and the number of items in them.

        The names are those of `evaluate`. The network is in evaluation mode, and nothing of the feed changes.
        """
        ...


class Task(ABC, Generic[D, F]):
    """A task. `D` is the type of its data, `F` the type of the facts about them that a checkpoint keeps."""

    section: ClassVar[type[Data]]  # the class of the spec's section `data`, without the location of the data
    location: ClassVar[type[Location]] = Location  # the location, in the same section; generated data have none
    metrics: ClassVar[tuple[Metric, ...]]  # named without the part; the loss first
    counted: ClassVar[str] = "sequences"  # the unit of a part's size
    judged_item: ClassVar[str] = "sequence"  # the unit, for one, of what a window of a backtest is judged on
    windows_note: ClassVar[str] = ""  # a sentence that explains the windows of a backtest
    all_but_test: ClassVar[str] = "all before the test part"  # what is trained on after the windows of a backtest
    predicted: ClassVar[str] = "steps"  # the unit of a prediction's rows
    prediction: ClassVar[str] = "Predict on new data"  # what `sweep predict` does, at most 22 characters
    output: ClassVar[str] = ""  # options of `sweep predict` that the last screen of `sweep run` names
    fitted: ClassVar[tuple[str, ...]] = ()  # the fields that `unfit` checks: whole numbers, or with choices
    ending: ClassVar[str] = ""  # of the file that `sweep predict` writes; "": any, and the screen will do
    wishes: ClassVar[tuple[str, ...]] = ()  # flags of `sweep new` that the task's draft follows: target, horizon
    options: ClassVar[tuple[str, ...]] = ()  # names of the options of `sweep predict` that `predict` accepts
    baseline: ClassVar[str] = ""  # the name of the baseline of every result; "" if there is none
    baseline_note: ClassVar[str] = ""  # a sentence that explains the baseline

    # --- The first spec

    def recognise(self, files: "Sequence[GivenFile]", /) -> Recognition:
        """Return whether files that are given to `sweep new` are, together, data of this task. The check is cheap.

        Raises:
            BadInput: a file can't be read as the kind that its name says.
        """
        return Recognition(False, "recognises no file; write its spec by hand")

    def draft(self, files: "Sequence[GivenFile]", /) -> Draft:
        """Return the spec for files that the task recognises, with a reason for each line.

        Raises:
            BadInput: the files can be read in several ways, or contain too little.
            NotImplementedError: the task drafts no spec.
        """
        raise NotImplementedError(f"{type(self).__name__} recognises files and drafts no spec for them")

    # --- Data and metrics

    def metrics_of(self, section: Any, /) -> tuple[Metric, ...]:
        """Return the metrics for a section `data`, which may decide which metrics there are, and of which columns."""
        return self.metrics

    @abstractmethod
    def load(self, config: TrialConfig, location: Any, reach: int, /) -> D:
        """Read or generate the data of a configuration. All trials share the arrays and never write to them.

        `location` is an object of the task's class `location`, with absolute paths. `reach` is the largest look-back
        of all configurations that will be compared (`Data.reach`).

        Raises:
            BadInput: a file is wrong, or too small for the configuration.
        """

    def load_all(self, config: TrialConfig, location: Any, reach: int, before: Before, until: str | None, /) -> Whole:
        """Read all data of a trial's configuration for a refit: all of them are the training part.

        Those that the sweep was begun with must be the same as then; newer ones may follow them. `reach` is that of
        `load`, `before` what the sweep's study knows of its data, and `until` the time of the last row to train on.

        Raises:
            BadInput: the task has no refit, the data have changed, or `until` does not fit them.
        """
        raise refused("task-without-refit", task=config.task)

    def load_warm(
        self,
        config: TrialConfig,
        location: Any,
        reach: int,
        before: Before,
        until: str | None,
        facts: F,
        window: int,
        /,
    ) -> Warm:
        """Read all data of a trial's configuration for a refit that may go on from the trial's checkpoint.

        The first arguments are those of `load_all`. `facts` are what the checkpoint has kept of its data, and `window`
        is the window of a backtest that its network has learnt for.

        Raises:
            BadInput: what `load_all` raises, the task's data have no order in time, or too few of them are newer.
        """
        raise refused("warm-without-time", at="--warm", task=config.task)

    def judge_held(self, network: "nn.Module", data: D, config: TrialConfig, as_in: D, /) -> float:
        """Return the configuration's metric of a network on rows that are held back, in the unit of `as_in`."""
        raise refused("warm-without-time", at="--warm", task=config.task)

    @abstractmethod
    def facts(self, data: D, /) -> F:
        """Return the facts about the data that a checkpoint keeps."""

    def facts_row(self, data: D) -> dict[str, Any]:
        """Return the facts about the data as plain values, for a checkpoint."""
        return asdict(self.facts(data))

    @property
    @abstractmethod
    def facts_kind(self) -> type[F]:
        """The class of the facts that a checkpoint keeps."""

    def facts_of(self, row: Mapping[str, Any]) -> F:
        """Return the facts that a checkpoint has kept. Further values that other versions have kept are ignored."""
        return TypeAdapter(self.facts_kind).validate_python(row)

    @abstractmethod
    def describe(self, data: D, config: TrialConfig, /) -> dict[str, Any]:
        """Return `data` (with a `text` for people, and a list of `notes`) and `windows` of each part.

        Where the data lie is said before the text. With a backtest, `backtest` has a mapping for each window: how many
        items are in its `train` part and are `judged`, and its `first` and `last` place if it is a stretch.
        """

    def part_sizes(self, data: D, config: TrialConfig, /) -> Mapping[Part, int]:
        """Return how much is in each part of the data, in the unit of `part_unit`."""
        sizes: Mapping[Part, int] = self.describe(data, config)["windows"]
        return sizes

    def part_unit(self, section: Any, /) -> str:
        """Return the unit of `part_sizes`."""
        return self.counted

    def column_types(self, section: Any, /) -> Mapping[str, str]:
        """Return the type of each column that is read, in MLflow's words: double, string, datetime. Empty: no table."""
        return {}

    def doubts(self, data: D, /) -> Sequence[Note]:
        """Return a note for each thing that is likely wrong in the data."""
        return ()

    def as_read(self, data: D, config: TrialConfig, /) -> D:
        """Return the data as a configuration reads them. By default what is searched does not change how that is."""
        return data

    def at_window(self, data: D, number: int, /) -> D:
        """Return the data as window `number` of a backtest has them, from 1; without a backtest the data themselves.

        The windows that are set aside (`Data.fresh_windows`) follow those of the search. The training part is all that
        stands before the window, or all other folds; the validation part is the window. The number after the last
        window is the training before the test part: then nothing may be judged on the validation part.
        """
        return data

    def earlier_loss(self, data: D, config: TrialConfig, shortest: int, /) -> str:
        """Describe what else counts in the loss of a sweep that an earlier version began, "" if the loss is the same.

        `shortest` is the smallest look-back of all configurations that are compared (`Data.reach`).
        """
        return ""

    # --- The network

    def unfit(self, config: TrialConfig, data: D, /) -> Iterator[Fault]:
        """Yield the faults of a configuration that can't be seen without its data.

        It is asked for the base, and for all values of the fields in `fitted` that a search has.
        """
        yield from ()

    @abstractmethod
    def network(self, config: TrialConfig, facts: F, /) -> "nn.Module":
        """Build the network, with the recurrent part as `cell`. torch's generator draws the weights."""

    @abstractmethod
    def span(self, config: TrialConfig, facts: F, /) -> int:
        """Return the number of steps that the network is unrolled over."""

    def repeats(self, config: TrialConfig, facts: F, /) -> Mapping[str, int]:
        """Return the recurrent parts of the network by name, and how often a sequence runs each of them."""
        return {"cell": self.span(config, facts)}

    def state_numbers(self, config: TrialConfig, facts: F, /) -> int:
        """Return the numbers of one layer's hidden state at one step of a sequence."""
        return (1 + config.model.bidirectional) * config.model.hidden_size

    def start(self, network: "nn.Module", data: D, config: TrialConfig, /) -> None:
        """Set the weights that are computed and not drawn, before the first epoch. The default sets none."""

    def start_bytes(self, data: D, config: TrialConfig, /) -> int:
        """Return an estimate of the memory that `start` needs, in bytes; 0 if `start` sets nothing."""
        return 0

    @abstractmethod
    def feed(self, data: D, config: TrialConfig, device: str, /) -> Feed:
        """Return the batches, loss and metrics for the trainer."""

    # --- How a network is judged

    @abstractmethod
    def judge(self, network: "nn.Module", data: D, config: TrialConfig, part: Judged, name: str, /) -> "Judgement":
        """Judge a network on a part item by item, under a name. The metrics are the same as the feed's."""

    def blocks(self, data: D, config: TrialConfig, /) -> "Blocks":
        """Return how similar items form blocks that count as one item. By default each item counts by itself."""
        from lstm.judging.items import Blocks

        return Blocks()

    def baseline_metrics(self, data: D, config: TrialConfig, part: Judged, /) -> dict[str, float]:
        """Return the metrics of the baseline, which is a simple answer without a network; empty if there is none."""
        return {}

    def rivals(self) -> "tuple[Rival, ...]":
        """Return the rivals of the best network: those that always run, then those of the extra `rivals`."""
        return ()

    # --- What a network is asked

    def examples(self, network: "nn.Module", data: D, config: TrialConfig, /) -> Sequence[Example]:
        """Return the network's answers to a few test sequences, for pictures."""
        return ()

    @abstractmethod
    def subject(self, network: "nn.Module", data: D, config: TrialConfig, /) -> "Subject":
        """Return the network in the form that probes measure."""

    def needs_input(self, section: Any, /) -> bool:
        """Return whether a prediction needs an input file. If not, it starts where the section's data end."""
        return True

    @abstractmethod
    def predict(
        self, network: "nn.Module", config: TrialConfig, facts: F, path: str | None, folder: Path, **options: Any
    ) -> Predicted:
        """Return the network's prediction for a file, or without one for the task's own data.

        Raises:
            BadInput: the file is wrong.
        """

    def predict_together(
        self,
        networks: "Sequence[nn.Module]",
        config: TrialConfig,
        facts: F,
        path: str | None,
        folder: Path,
        **options: Any,
    ) -> Predicted:
        """Return the prediction of several networks by their mean, as `predict` returns that of one.

        Raises what `predict` raises.
        """
        raise refused("task-without-refit", task=config.task)

    def predict_by_rival(
        self, fitted: "Fitted", config: TrialConfig, facts: F, path: str, folder: Path, /
    ) -> dict[str, list[Any]]:
        """Return a fitted rival's prediction for a file, as columns.

        Raises:
            BadInput: the file is wrong, or the rival can only be judged.
        """
        self.check_predicts(fitted.name)
        raise NotImplementedError

    # --- What follows from these

    def rival(self, name: str) -> "Rival":
        """Return a rival by its name.

        Raises:
            BadInput: the task has no rival of this name.
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
        """Check that a rival can predict new data.

        Raises:
            BadInput: the rival can only be judged, or the task has no rival of this name.
        """
        from lstm.rivals.rival import Forecasting

        if not isinstance(self.rival(name), Forecasting):
            if able := [each.name for each in self.rivals() if isinstance(each, Forecasting)]:
                raise refused("rival-judged-only", name=name, able=able)
            raise refused("rivals-judged-only", name=name)

    def record(self, section: Data) -> TaskRecord:
        """Return what a study keeps of the task."""
        about = {each.name: each.about for each in self.rivals()}
        return TaskRecord(self.metrics_of(section), self.baseline, self.baseline_note, about)

"""The sections of the task `translate`: pairs of sentences, and an encoder-decoder network with attention."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Column, Data, Location, Section, role_faults
from lstm.config.training import TrainingConfig
from lstm.own_code import is_reference
from lstm.records.errors import Fault, fault

Units = Literal["characters", "words", "bpe"]
PARTS = {"validation": ("validation_path", "validation_target_path"), "test": ("test_path", "test_target_path")}
PIECES = 6_000  # of BPE, if the spec does not say how many


class PairShares(Section):
    """The random split of the pairs into parts. A part with files of its own has no share."""

    validation: float | None = Field(
        None, gt=0, lt=1, description="Share of the pairs on which each epoch is judged. Left out with validation_path."
    )
    test: float | None = Field(
        None, gt=0, lt=1, description="Share of the pairs on which the best trial is judged. Left out with test_path."
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="Seed of the split. Another seed puts other pairs into each part."
    )


class PairSizes(Section):
    """How many generated pairs each part has."""

    train: int = Field(ge=1, le=10_000_000, description="Training pairs in a pass.")
    validation: int = Field(ge=1, le=1_000_000, description="Pairs on which each epoch is judged.")
    test: int = Field(ge=1, le=1_000_000, description="Pairs on which the best trial is judged.")


class PairFiles(Location):
    """The files that contain the pairs; generated pairs have none."""

    predicted: ClassVar[str] = "test_path"  # the network has learnt from the sentences of data.path

    path: str | None = Field(
        None,
        min_length=1,
        description="Text file in UTF-8 with one source sentence per line, or a CSV, TSV or Parquet file with both "
        "sides. Text and CSV may be compressed as .gz. The path is relative to the spec's folder, or an address such "
        "as s3://BUCKET/FILE. Absent: the pairs are generated.",
    )
    target_path: str | None = Field(
        None,
        min_length=1,
        description="Text file with the target of each line of data.path. Left out with a table, which has both sides.",
    )
    validation_path: str | None = Field(
        None, min_length=1, description="Sources of the validation part, as data.path. Absent: a share of data.path."
    )
    validation_target_path: str | None = Field(
        None, min_length=1, description="Targets of the validation part. Left out with a table."
    )
    test_path: str | None = Field(
        None, min_length=1, description="Sources of the test part, as data.path. Absent: a share of data.path."
    )
    test_target_path: str | None = Field(
        None, min_length=1, description="Targets of the test part. Left out with a table."
    )


class TranslateModel(ModelConfig):
    """The encoder and the decoder: recurrent networks of the same cell, layers and size, joined by attention."""

    hidden_size: int = Field(
        64,
        ge=1,
        le=8192,
        description="Units of each layer of the decoder and of the encoder. A bidirectional encoder has half of them "
        "in each direction, rounded up.",
    )
    num_layers: int = Field(1, ge=1, le=16, description="Number of stacked layers of the encoder, and of the decoder.")
    bidirectional: bool = Field(
        True, description="Whether the encoder also reads each source backwards, with weights of its own."
    )
    attention: Literal["dot", "general", "additive", "none"] = Field(
        "general",
        description="How the decoder reads the encoder's states. dot and general as in Luong et al. (2015), additive "
        "as in Bahdanau et al. (2015). none: the decoder has only the encoder's last state.",
    )
    input_feeding: bool = Field(
        False,
        description="Whether the decoder also reads its own last output, with what attention had found, as in Luong et "
        "al. (2015). A step must then wait for the step before it, so training takes longer.",
    )
    tied_embeddings: bool = Field(
        False,
        description="Whether the weights that score the target's units are those of the target's embedding; with "
        "data.shared_vocabulary also those of the source's.",
    )
    embedding_size: int | None = Field(
        None, ge=1, le=8192, description="Size of the embeddings of the units. Absent: hidden_size."
    )
    embedding_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Probability with which a value of an embedding, or of the decoder's output before the scores, is "
        "dropped, in training only.",
    )


class TranslateTraining(TrainingConfig):
    """How the network is trained: by back-propagation of the cross-entropy, with the true target as its input."""

    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the target's probability that is spread evenly over all units, in training only. "
        "val/loss never has it.",
    )


class TranslateData(Data):
    """Pairs of sentences: the network learns to write the target of a source."""

    searchable: ClassVar[tuple[str, ...]] = ("units", "vocabulary_size", "shared_vocabulary")
    extended: ClassVar[Mapping[str, type[Section]]] = {"model": TranslateModel, "training": TranslateTraining}
    changes_unit: ClassVar[tuple[str, ...]] = (
        "data.units",
        "data.vocabulary_size",
        "data.shared_vocabulary",
        "training.label_smoothing",
    )
    same_for_all: ClassVar[tuple[str, ...]] = ("character_nats", "bleu", "chrf", "exact_match")

    source: Column | None = Field(None, description="Column of a table with the sources. Left out with target_path.")
    target: Column | None = Field(None, description="Column of a table with the targets. Left out with target_path.")
    split: PairShares | None = Field(
        None, description="Shares of data.path for the parts that have no files of their own."
    )
    generate: Literal["dates"] | None = Field(
        None,
        description="Generates the pairs from data.seed in place of files. dates: dates written in many ways, and the "
        "same in ISO 8601.",
    )
    sizes: PairSizes | None = Field(None, description="Number of generated pairs in each part.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of generated pairs. Another seed generates other ones.")
    units: Units = Field(
        "bpe",
        description="What the network reads and writes. characters; words, with punctuation marks as words of their "
        "own; bpe: pieces of words, found in the training part by byte-pair encoding (Sennrich et al., 2016). It can "
        "be searched.",
    )
    vocabulary_size: int | None = Field(
        None,
        ge=8,
        le=100_000,
        description="Largest number of units, of each side or of both together. characters and words: the most "
        "frequent ones of the training part are kept, all others become one unknown unit. Absent: all of them; for "
        "bpe 6,000. It can be searched.",
    )
    shared_vocabulary: bool = Field(
        False,
        description="Whether both sides have one vocabulary and one embedding. Set it if they share names, numbers or "
        "an alphabet. It can be searched.",
    )
    lowercase: bool = Field(False, description="Whether all texts are made lower case, the references too.")
    max_length: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="Most characters of a line, on each side. A longer line is refused with its number, see "
        "data.long_lines.",
    )
    long_lines: Literal["refuse", "leave_out"] = Field(
        "refuse",
        description="What to do with a pair that has a line longer than max_length. leave_out: it is left out of "
        "data.path, which is said; in files of their own for validation and test it is still refused.",
    )
    translated: int = Field(
        1_000,
        ge=1,
        le=1_000_000,
        description="Sentences of the validation part that are translated after each epoch, for bleu, chrf and "
        "exact_match: the same ones for all trials, evenly spread. The losses are of all sentences.",
    )
    beam_size: int = Field(
        5,
        ge=1,
        le=100,
        description="Translations that the search keeps at each step, on the test part and in `sweep predict`. 1: "
        "greedy, as after each epoch.",
    )
    length_penalty: float = Field(
        1.0,
        ge=0,
        le=10,
        description="Exponent of the length by which the logarithm of a translation's probability is divided, as in Wu "
        "et al. (2016). 0 prefers short translations.",
    )

    @property
    def pieces(self) -> int | None:
        """The largest number of units of a vocabulary; None if all are kept."""
        return self.vocabulary_size or (PIECES if self.units == "bpe" else None)

    @property
    def is_table(self) -> bool:
        """Whether the pairs are in two columns of a table."""
        return self.source is not None or self.target is not None

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of files, columns and shares that are missing, idle, or contradict each other."""
        yield from role_faults(self, ("source", "target"))
        if isinstance(self, PairFiles):
            yield from _generated_faults(self) if self.generate else _file_faults(self)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Yield the faults of fields that don't fit sequences of symbols of different lengths."""
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.lengths_differ(training)
        yield from misfits.symbols(training)
        yield from _evolution_faults(model, training)
        if not isinstance(model, TranslateModel):
            return
        if model.input_feeding and model.attention == "none":
            yield fault("input-feeding-without-attention", "model.input_feeding")
        if is_reference(model.cell):
            yield fault("own-cell-without-bridge", "model.cell", cell=model.cell, variant=None)
        elif model.variant == "full_gate_recurrence":
            yield fault("own-cell-without-bridge", "model.variant", cell=model.variant, variant=True)
        if model.forget_bias == "chrono":
            yield fault("chrono-of-sentences", "model.forget_bias")


def _evolution_faults(model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
    """Yield the faults of fields that act only in back-propagation."""
    if training is None or training.method == "gradient":
        return
    for section, of, name in ((model, "model", "embedding_dropout"), (training, "training", "label_smoothing")):
        if getattr(section, name, 0.0):
            yield fault("field-of-another-method", f"{of}.{name}", method=training.method, other="gradient")


def _generated_faults(data: "TranslateData") -> Iterator[Fault]:
    """Yield the faults of fields that do nothing with generated pairs, and of missing sizes."""
    for name in (*PairFiles.model_fields, "source", "target", "split"):
        if getattr(data, name) is not None:
            yield fault("generated-and-files", f"data.{name}", generate=data.generate)
    if data.sizes is None:
        yield fault("field-missing", "data.sizes", allowed=None, about=PairSizes.__doc__)


def _file_faults(data: "TranslateData") -> Iterator[Fault]:
    """Yield the faults of the files of the parts, of the columns, and of the shares."""
    for name, value in (("sizes", data.sizes), ("seed", data.seed or None)):
        if value is not None:
            yield fault("sizes-of-files", f"data.{name}")
    if getattr(data, "path", None) is None:
        yield fault("field-missing", "data.path", allowed=None, about=PairFiles.model_fields["path"].description)
    yield from _side_faults(data)
    for part in PARTS:
        yield from _part_faults(data, part)
    shares = [data.split.validation, data.split.test] if data.split else []
    if data.split and not any(shares):
        yield fault("split-of-nothing", "data.split")
    if (total := sum(filter(None, shares))) >= 1:
        yield fault("nothing-to-train", "data.split", total=total)


def _side_faults(data: "TranslateData") -> Iterator[Fault]:
    """Yield the faults of what says where the targets are: a file, or the columns of a table."""
    has_targets = getattr(data, "target_path", None) is not None
    if not data.is_table:
        if not has_targets:
            yield fault("no-targets", "data.target_path")
        return
    if has_targets:
        yield fault("columns-and-target-path", "data.target_path")
    for name in ("source", "target"):
        if getattr(data, name) is None:
            about = TranslateData.model_fields[name].description
            yield fault("field-missing", f"data.{name}", allowed=None, about=about)


def _part_faults(data: "TranslateData", part: str) -> Iterator[Fault]:
    """Yield the faults of a part that has files of its own, or a share of the pairs."""
    source, target = PARTS[part]
    share = getattr(data.split, part) if data.split else None
    has_file, has_target = getattr(data, source) is not None, getattr(data, target) is not None
    if has_file and share is not None:
        yield fault("share-and-file", f"data.split.{part}", field=source)
    if not has_file and share is None:
        yield fault("part-missing", f"data.{source}", part=part)
    if has_target and not has_file:
        yield fault("target-without-source", f"data.{target}", field=source)
    elif has_file and has_target == data.is_table:
        yield fault("columns-and-target-path" if has_target else "no-targets", f"data.{target}")

"""The sections of the task `video`: frames, of a file or of digits that move, and a network that forecasts frames."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from lstm.config import misfits
from lstm.config.model import ModelConfig
from lstm.config.section import Data, Location, Section
from lstm.config.training import TrainingConfig
from lstm.own_code import REFERENCE
from lstm.records.errors import Fault, fault

MOST_NUMBERS = 2_000_000_000  # pixels of generated frames that are kept in memory, a byte each
SIDE = 8  # pixels of a digit of scikit-learn
FLAT = ("lstm", "gru", "rnn")  # cells of torch.nn, which read flattened frames
CONVOLUTIONAL = "convlstm"  # the cell that reads frames
METRICS = ("mse", "mae", "ssim")  # those that are judged by step ahead, too


def step_name(metric: str, step: int) -> str:
    """Return the name of a metric of one step ahead, from 1."""
    return f"{metric}/step_{step}"


class FramesFile(Location):
    """The file that contains the frames."""

    path: str | None = Field(
        None,
        min_length=1,
        description="File .npy or .npz with an array (sequence, time, height, width) or (sequence, time, height, "
        "width, channel). The path is relative to the spec's folder, or an address such as s3://BUCKET/FILE. Absent: "
        "data.digits are generated.",
    )


class SequenceShares(Section):
    """The random split of the sequences into parts."""

    validation: float = Field(gt=0, lt=1, description="Share of the sequences on which each epoch is judged.")
    test: float = Field(gt=0, lt=1, description="Share of the sequences on which the best trial is judged.")
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="Seed of the split. Another seed puts other sequences into each part."
    )


class VideoSizes(Section):
    """How many sequences of moving digits each part has."""

    train: int = Field(ge=1, le=10_000_000, description="Training sequences. They are the same in each pass.")
    validation: int = Field(ge=1, le=1_000_000, description="Sequences on which each epoch is judged.")
    test: int = Field(ge=1, le=1_000_000, description="Sequences on which the best trial is judged.")


class MovingDigits(Section):
    """Handwritten digits of scikit-learn that move over a black canvas, generated from a seed.

    The parts have different images: those of the test part are in no other.
    """

    number: int = Field(2, ge=1, le=20, description="Digits in a sequence. Where they overlap, the brighter one shows.")
    canvas: int = Field(32, ge=8, le=512, description="Height and width of a frame in pixels.")
    size: int | None = Field(
        None, ge=4, le=512, description="Height and width of a digit in pixels. Absent: 8, as in scikit-learn."
    )
    speed: float = Field(
        2.0, ge=0, le=100, description="Pixels that a digit moves in a step; its direction is drawn at random."
    )
    bounce: bool = Field(
        True,
        description="true: digits bounce off the borders. false: they leave the canvas at one border and come back at "
        "the opposite one.",
    )
    sizes: VideoSizes = Field(description="Number of sequences in each part.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the sequences. Another seed generates other ones.")

    @property
    def side(self) -> int:
        """Height and width of a digit in pixels."""
        return self.size or SIDE


class VideoModel(ModelConfig):
    """The encoding and the forecasting half: stacked layers of the same cell, one stack for each half."""

    cell: (
        Literal["rnn", "gru", "lstm", "convlstm"]
        | Annotated[str, Field(pattern=REFERENCE, description="FILE.py:Class")]
    ) = Field(
        "lstm",
        description="Recurrent cell: convlstm for frames (Shi et al., 2015), or one of torch.nn or your own class as "
        "FILE.py:Class for flattened frames. Your class is as in the other tasks.",
    )
    channels: int | None = Field(
        None, ge=1, le=4096, description="For cell convlstm: channels of each layer. Absent: 16."
    )
    kernel_size: int | None = Field(
        None,
        ge=1,
        le=63,
        description="For cell convlstm: height and width of its convolutions' kernels, an odd number. Absent: 5.",
    )
    peepholes: bool | None = Field(
        None,
        description="For cell convlstm: whether the gates also see the memory cell, with a weight for each channel and "
        "place, as in the paper. Absent: false.",
    )
    patch: int | None = Field(
        None,
        ge=1,
        le=256,
        description="For cell convlstm: frames are cut into patches of patch x patch pixels, whose pixels become "
        "channels of one place. Larger patches make a step several times faster. Height and width must be multiples "
        "of it. Absent: 1, each pixel is a place.",
    )
    output: Literal["sigmoid", "linear"] = Field(
        "sigmoid",
        description="What makes a pixel of the network's output. sigmoid: between data.range's ends; linear: any "
        "value.",
    )

    @property
    def is_convolutional(self) -> bool:
        """Whether the cell is a ConvLSTM."""
        return self.cell == CONVOLUTIONAL

    @property
    def has_forget_gate(self) -> bool:
        """Return whether the cell has a forget gate; a ConvLSTM has one."""
        return self.is_convolutional or super().has_forget_gate

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of fields of another kind of cell, and of a kernel without a middle."""
        if self.is_convolutional:
            idle = ["hidden_size"] if self.hidden_size != VideoModel.model_fields["hidden_size"].default else []
        else:
            fields = ("channels", "kernel_size", "peepholes", "patch")
            idle = [name for name in fields if getattr(self, name) is not None]
        cells = list(FLAT) if self.is_convolutional else [CONVOLUTIONAL]
        for name in idle:
            yield fault("field-of-another-cell", f"model.{name}", idle=True, cell=self.cell, cells=cells)
        if self.kernel_size is not None and self.kernel_size % 2 == 0:
            yield fault("kernel-without-middle", "model.kernel_size", size=self.kernel_size)


class VideoTraining(TrainingConfig):
    """How the network is trained: by back-propagation of the loss of each pixel, or by evolution."""

    loss: Literal["mse", "cross_entropy"] = Field(
        "mse",
        description="What is made small. mse: the mean squared error; cross_entropy: that of a pixel between 0 and 1 "
        "(the ends of data.range), with a sigmoid output. A search over it needs a search.metric that means the same "
        "for both.",
    )


class VideoData(Data):
    """Sequences of frames; the network reads some frames of a sequence and forecasts the next ones."""

    extended: ClassVar[Mapping[str, type[Section]]] = {"model": VideoModel, "training": VideoTraining}
    changes_unit: ClassVar[tuple[str, ...]] = ("training.loss",)
    same_for_all: ClassVar[tuple[str, ...]] = METRICS  # each also by step ahead

    digits: MovingDigits | None = Field(
        None, description="Generates moving digits instead of reading a file. Absent: data.path is read."
    )
    lookback: int = Field(ge=1, le=10_000, description="Frames that the network reads.")
    horizon: int = Field(ge=1, le=10_000, description="Frames to forecast, those after the look-back.")
    array: str | None = Field(
        None, min_length=1, description="Name of the array in an .npz file. It is needed if the file has several."
    )
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="Lowest and highest value that a pixel can have; they become 0 and 1. Values outside are an error. "
        "Absent: 0 and 255 for whole numbers of 8 bits, else 0 and 1.",
    )
    split: SequenceShares | None = Field(
        None,
        description="How the sequences of a file are split into parts at random. It is needed with data.path, and is "
        "left out with data.digits.",
    )

    @property
    def steps(self) -> int:
        """Frames of an item: the look-back and the horizon."""
        return self.lookback + self.horizon

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of where frames come from, and of the fields that belong to the other source."""
        path = getattr(self, "path", "")  # a trial's own section does not have it
        if path is None and self.digits is None:
            yield fault("frames-from-nowhere", "data")
        if path and self.digits is not None:
            yield fault("frames-of-two-sources", "data.path")
        if self.digits is not None:
            for name in ("array", "range", "split"):
                if getattr(self, name) is not None:
                    yield fault("field-of-a-file", f"data.{name}")
            yield from self._digit_faults(self.digits)
        elif self.split is None and path != "":
            about = VideoData.model_fields["split"].description
            yield fault("field-missing", "data.split", allowed=None, about=about)
        if self.split is not None and (total := self.split.validation + self.split.test) >= 1:
            yield fault("nothing-to-train", "data.split", total=total)
        if self.range is not None and not self.range[0] < self.range[1]:
            yield fault("range-upside-down", "data.range", low=self.range[0], high=self.range[1])

    def _digit_faults(self, digits: MovingDigits) -> Iterator[Fault]:
        if digits.side > digits.canvas:
            yield fault("digit-larger-than-canvas", "data.digits.size", size=digits.side, canvas=digits.canvas)
        sizes = digits.sizes
        pixels = (sizes.train + sizes.validation + sizes.test) * self.steps * digits.canvas**2
        if pixels > MOST_NUMBERS:
            yield fault("too-many-pixels", "data.digits.sizes", pixels=pixels, most=MOST_NUMBERS)

    def misfits(self, model: ModelConfig | None, training: TrainingConfig | None) -> Iterator[Fault]:
        """Yield the faults of fields that don't fit a network which reads frames and forecasts frames."""
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.of_one_length(self.steps, model, None)
        if model and model.bidirectional:
            yield fault("bidirectional-of-frames", "model.bidirectional")
        if training and training.warmup_steps:
            yield fault("warmup-of-frames", "training.warmup_steps", lookback=self.lookback)
        if not isinstance(model, VideoModel):
            return
        yield from model.faults()
        if model.is_convolutional and model.patch and self.digits and self.digits.canvas % model.patch:
            sides: dict[str, Any] = {"height": self.digits.canvas, "width": self.digits.canvas}
            yield fault("patch-does-not-fit", "model.patch", patch=model.patch, **sides)
        if isinstance(training, VideoTraining) and training.loss == "cross_entropy" and model.output == "linear":
            yield fault("cross-entropy-of-linear", "training.loss")

"""The section `model` of a spec: the network."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lstm.config.section import SharedSection, Since
from lstm.own_code import REFERENCE
from lstm.records.errors import Fault, fault

Variant = Literal[
    "vanilla",
    "no_input_gate",
    "no_forget_gate",
    "no_output_gate",
    "no_input_activation",
    "no_output_activation",
    "coupled_gates",
    "no_peepholes",
    "full_gate_recurrence",
]
FLAT = ("lstm", "gru", "rnn")  # cells of torch.nn
CONVOLUTIONAL = "convlstm"  # the cell that reads frames
OF_FRAMES = Since("2026-11-30", is_written=False)
ForgetBias = Annotated[float, Field(ge=-100, le=100)] | Literal["chrono"]


class ModelConfig(SharedSection):
    """The recurrent network. The fields are named as in PyTorch."""

    cell: (
        Literal["rnn", "gru", "lstm", "convlstm"]
        | Annotated[str, Field(pattern=REFERENCE, description="FILE.py:Class")]
    ) = Field(
        "lstm",
        description="Recurrent cell: one of torch.nn, convlstm for frames (Shi et al., 2015), or your own class as "
        "FILE.py:Class, relative to the spec's folder. Your class is built as Class(input_size, hidden_size) and is "
        "one layer in one direction. It maps inputs (batch, time, input_size) and a state (None at the start) to "
        "outputs (batch, time, hidden_size) and a state.",
    )
    variant: Annotated[Variant | None, Since("2026-11-24")] = Field(
        None,
        description='A variant of "LSTM: A Search Space Odyssey" (Greff et al., 2017) for cell lstm. vanilla has '
        "peepholes; each other variant differs from vanilla as its name says. Absent: torch.nn.LSTM.",
    )
    hidden_size: int = Field(64, ge=1, le=8192, description="Units of each layer in each direction.")
    channels: Annotated[int | None, OF_FRAMES] = Field(
        None, ge=1, le=4096, description="For cell convlstm: channels of each layer. Absent: 16."
    )
    kernel_size: Annotated[int | None, OF_FRAMES] = Field(
        None,
        ge=1,
        le=63,
        description="For cell convlstm: height and width of its convolutions' kernels, an odd number. Absent: 5.",
    )
    peepholes: Annotated[bool | None, OF_FRAMES] = Field(
        None,
        description="For cell convlstm: whether the gates also see the memory cell, with a weight for each channel and "
        "place, as in the paper. Absent: false.",
    )
    patch: Annotated[int | None, OF_FRAMES] = Field(
        None,
        ge=1,
        le=256,
        description="For cell convlstm: frames are cut into patches of patch x patch pixels, whose pixels become "
        "channels of one place. Larger patches make a step several times faster. Height and width must be multiples "
        "of it. Absent: 1, each pixel is a place.",
    )
    output: Annotated[Literal["sigmoid", "linear"] | None, OF_FRAMES] = Field(
        None,
        description="For the task video: what makes a pixel of the network's output. sigmoid: between data.range's "
        "ends; linear: any value. Absent: sigmoid.",
    )
    num_layers: int = Field(1, ge=1, le=16, description="Number of stacked layers.")
    bidirectional: Annotated[bool, Since("2026-11-24")] = Field(
        False,
        description="Also read each sequence backwards, with weights of its own. The outputs of both directions are "
        "joined, so each layer gives 2 * hidden_size values.",
    )
    forget_bias: Annotated[ForgetBias | None, Since("2026-11-24")] = Field(
        None,
        description="Initial bias of the LSTM's forget gate: a number, or chrono (Tallec and Ollivier, 2018), which "
        "draws it for memories of 1 step up to the length of a sequence (the look-back) minus 1. Absent: as torch.nn "
        "initialises it. Set chrono or a number above 0 when the network must remember over many steps.",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Probability with which a unit's output is dropped between stacked layers, in training only. It "
        "needs num_layers of 2 or more.",
    )
    residual: Literal["none", "last", "linear"] = Field(
        "none",
        description="What the network forecasts. none: the value; last: its difference from the last value; linear: "
        "the rest after a linear map of the target's look-back (at most its last 1,024 steps). The map is a ridge "
        "regression fitted before the first epoch and then trained with the network.",
    )
    normalization: Literal["none", "window"] = Field(
        "none",
        description="window: normalise the target by the mean and the standard deviation of its look-back in each "
        "window. none: don't. Set window when the target's level or spread drifts over time.",
    )

    @property
    def has_forget_gate(self) -> bool:
        """Return whether the cell is an LSTM with a forget gate: all variants have one except `no_forget_gate`."""
        return self.is_convolutional or (self.cell == "lstm" and self.variant != "no_forget_gate")

    @property
    def is_convolutional(self) -> bool:
        """Whether the cell is a ConvLSTM."""
        return self.cell == CONVOLUTIONAL


def model_faults(model: ModelConfig) -> Iterator[Fault]:
    """Yield the faults of combinations of fields within `model`."""
    if model.dropout > 0 and model.num_layers == 1:
        yield fault("dropout-without-layers", "model.dropout")
    yield from _frame_faults(model)
    if model.variant is not None and model.cell != "lstm":
        yield fault("variant-of-another-cell", "model.variant", cell=model.cell)
    if model.forget_bias is None:
        return
    if not model.has_forget_gate:
        field = "variant" if model.cell == "lstm" else "cell"
        yield fault("no-forget-gate", "model.forget_bias", field=field, value=getattr(model, field))


def _frame_faults(model: ModelConfig) -> Iterator[Fault]:
    """Yield the faults of fields of another kind of cell, and of a kernel without a middle."""
    if model.is_convolutional:
        idle = ["hidden_size"] if model.hidden_size != ModelConfig.model_fields["hidden_size"].default else []
    else:
        idle = [name for name in ("channels", "kernel_size", "peepholes", "patch") if getattr(model, name) is not None]
    cells = list(FLAT) if model.is_convolutional else [CONVOLUTIONAL]
    for name in idle:
        yield fault("field-of-another-cell", f"model.{name}", idle=True, cell=model.cell, cells=cells)
    if model.kernel_size is not None and model.kernel_size % 2 == 0:
        yield fault("kernel-without-middle", "model.kernel_size", size=model.kernel_size)

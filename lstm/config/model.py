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
ForgetBias = Annotated[float, Field(ge=-100, le=100)] | Literal["chrono"]


class ModelConfig(SharedSection):
    """The recurrent network. The fields are named as in PyTorch."""

    cell: Literal["rnn", "gru", "lstm"] | Annotated[str, Field(pattern=REFERENCE, description="FILE.py:Class")] = Field(
        "lstm",
        description="Recurrent cell: one of torch.nn, or your own class as FILE.py:Class, relative to the spec's "
        "folder. Your class is built as Class(input_size, hidden_size) and is one layer in one direction. It maps "
        "inputs (batch, time, input_size) and a state (None at the start) to outputs (batch, time, hidden_size) and a "
        "state.",
    )
    variant: Annotated[Variant | None, Since("2026-11-24")] = Field(
        None,
        description='A variant of "LSTM: A Search Space Odyssey" (Greff et al., 2017) for cell lstm. vanilla has '
        "peepholes; each other variant differs from vanilla as its name says. Absent: torch.nn.LSTM.",
    )
    hidden_size: int = Field(64, ge=1, le=8192, description="Units of each layer in each direction.")
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
        return self.cell == "lstm" and self.variant != "no_forget_gate"


def model_faults(model: ModelConfig) -> Iterator[Fault]:
    """Yield the faults of combinations of fields within `model`."""
    if model.dropout > 0 and model.num_layers == 1:
        yield fault("dropout-without-layers", "model.dropout")
    if model.variant is not None and model.cell != "lstm":
        yield fault("variant-of-another-cell", "model.variant", cell=model.cell)
    if model.forget_bias is None:
        return
    if not model.has_forget_gate:
        field = "variant" if model.cell == "lstm" else "cell"
        yield fault("no-forget-gate", "model.forget_bias", field=field, value=getattr(model, field))

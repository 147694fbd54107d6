"""The section `model` of a spec: the network."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lstm.config.code import REFERENCE
from lstm.config.section import Section, Since
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


class ModelConfig(Section):
    """The recurrent network; terms are PyTorch's."""

    cell: Literal["rnn", "gru", "lstm"] | Annotated[str, Field(pattern=REFERENCE, description="FILE.py:Class")] = Field(
        "lstm",
        description="Recurrent cell, as in torch.nn, or your own as FILE.py:Class, the file beside the spec: built as "
        "Class(input_size, hidden_size), one layer in one direction, from inputs (batch, time, input) and a state "
        "(None at the start) to outputs (batch, time, hidden_size) and a state.",
    )
    variant: Annotated[Variant | None, Since("2026-11-24")] = Field(
        None,
        description='A variant of "LSTM: A Search Space Odyssey" (Greff et al., 2017) in place of torch.nn.LSTM: '
        "vanilla has peepholes, each other one differs from it in what its name says.",
    )
    hidden_size: int = Field(64, ge=1, le=8192, description="Units of each layer, in each direction.")
    num_layers: int = Field(1, ge=1, le=16, description="Stacked layers.")
    bidirectional: Annotated[bool, Since("2026-11-24")] = Field(
        False, description="Read the look-back backwards, too, with weights of its own; twice the units go on."
    )
    forget_bias: Annotated[ForgetBias | None, Since("2026-11-24")] = Field(
        None,
        description="Where the LSTM's forget gate starts: a bias, or chrono (Tallec and Ollivier, 2018) for memories "
        "of 1 step to one less than a sequence (the look-back) has; torch.nn's own start when absent.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of units dropped between stacked layers.")
    residual: Literal["none", "last", "linear"] = Field(
        "none",
        description="Forecast the value itself, its difference to the last value seen, or what a linear map of the "
        "target's look-back (its last 1,024 steps at most) leaves over: a ridge regression fitted before the first "
        "epoch, then trained along.",
    )
    normalization: Literal["none", "window"] = Field(
        "none",
        description="Normalise the target in each window by that window's own mean and deviation, or not.",
    )

    @property
    def has_forget_gate(self) -> bool:
        """Only the LSTM has one, and its variants but one."""
        return self.cell == "lstm" and self.variant != "no_forget_gate"


def model_faults(model: ModelConfig) -> Iterator[Fault]:
    """Rules across the fields of `model`."""
    if model.dropout > 0 and model.num_layers == 1:
        yield fault("dropout-without-layers", "model.dropout")
    if model.variant is not None and model.cell != "lstm":
        yield fault("variant-of-another-cell", "model.variant", cell=model.cell)
    if model.forget_bias is None:
        return
    if not model.has_forget_gate:
        field = "variant" if model.cell == "lstm" else "cell"
        yield fault("no-forget-gate", "model.forget_bias", field=field, value=getattr(model, field))

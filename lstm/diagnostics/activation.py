"""Measures a network fed with its own forecasts, and how many of its gates are saturated."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lstm.diagnostics.oscillation import period
from lstm.diagnostics.subject import Subject
from lstm.records.figures import Curve, HeatMap, Picture, Probe

ROLL_WINDOWS, TRACE_WINDOWS = 8, 32
LONGEST = 128  # most steps of a rollout that are judged
DRAWN = 3  # rollouts in the picture
CLOSED, OPEN = 0.05, 0.95  # a gate below or above these is saturated
AT_REST = 0.01  # standard deviations of the data
RUNAWAY = 10.0  # standard deviations of the data
MOST = 1e6  # largest value of a ratio that has no bound
MAP_UNITS, MAP_STEPS = 64, 256  # largest size of a heat map, because it is part of a page
STATES = ("candidate", "cell", "hidden")


def activation(subject: Subject) -> Probe:
    """Measure how the network behaves on its own forecasts, and how many of its gates are saturated.

    In a rollout, the network is fed with its own forecasts for twice the window's length (at most 256 steps). Its
    second half is compared with the same number of last steps of the windows. These numbers are left out if the task
    has no rollout or the data do not vary:

    - `activation/variance`: the variance over time of the rollout, divided by the variance of the data; both are means
      over targets. The median over windows. 0: it decays to a constant; 1: the same variance as the data. At most 1e6,
      which is also the value of a rollout that is not finite.
    - `activation/rest`: share of the windows with a rollout that came to rest: a deviation below 1 % of the data's.
    - `activation/runaway`: share of the windows with a rollout that is not finite or ends more than ten deviations away
      from the data.
    - `activation/period`: median period in steps; left out unless at least half of the rollouts oscillate.

    These numbers are left out if the network has no such gates or states:

    - `activation/saturated/NAME_gate`: share of the gate's activations (over units, steps, windows) below 0.05 or
      above 0.95.
    - `activation/saturated/hidden`: share of hidden states with |h| > 0.95.
    """
    rolled = _rolled(subject) if subject.roll else Probe({})
    with torch.no_grad():
        traced = subject.trace(subject.few(TRACE_WINDOWS))
    return Probe({**rolled.numbers, **_saturated(traced)}, rolled.pictures + gate_maps(subject))


@torch.no_grad()
def _rolled(subject: Subject) -> Probe:
    assert subject.roll
    windows = subject.few(ROLL_WINDOWS)
    judged = min(windows.shape[1], LONGEST)
    rollout = subject.roll(windows, 2 * judged).double()
    late, past = rollout[:, -judged:], windows[:, -judged:, : rollout.shape[2]].double()
    usual = float(past.var(dim=1, correction=0).mean())
    numbers: dict[str, float] = {}
    if usual > 0:
        finite = late.isfinite().all(dim=(1, 2))
        variance = late.var(dim=1, correction=0).mean(dim=1) / usual
        variance = torch.where(finite, variance, MOST).clamp(max=MOST)
        away = (late[:, -1] - past.mean(dim=(0, 1))).abs().amax(dim=1) > RUNAWAY * _spread(past)
        numbers = {
            "activation/variance": float(variance.quantile(0.5)),
            "activation/rest": float((variance < AT_REST**2).double().mean()),
            "activation/runaway": float((away | ~finite).double().mean()),
        }
        resting = variance < AT_REST**2
        periods = [_period(one) for one in late[finite & ~resting]]
        found = torch.tensor([each for each in periods if each is not None])
        if 2 * len(found) >= len(windows):
            numbers["activation/period"] = float(found.quantile(0.5))
    x = tuple(map(float, range(1, rollout.shape[1] + 1)))
    series = {f"window {i}": tuple(one[:, 0].tolist()) for i, one in enumerate(rollout[:DRAWN], 1)}
    curve = Curve("On its own", _OWN, "steps without any input", subject.columns[0], x, series)
    return Probe(numbers, (curve,))


_OWN = (
    "The network continues a few windows, fed only with its own forecasts. It may decay to a constant, oscillate, or "
    "diverge."
)


def _spread(past: Tensor) -> float:
    """Return the deviation over windows and time together: the range of the data, not their movement in a window."""
    return float(past.std(dim=(0, 1), correction=0).mean())


def _period(rollout: Tensor) -> float | None:
    """Return the period of the target with the largest variance in a rollout `(time, target)`; None if it has none."""
    lively = rollout[:, int(rollout.var(dim=0, correction=0).argmax())]
    return period(lively - lively.mean())


def _saturated(traced: Mapping[str, Tensor]) -> dict[str, float]:
    shares = {name: (v < CLOSED) | (v > OPEN) for name, v in traced.items() if name.endswith("_gate")}
    if "hidden" in traced:
        shares["hidden"] = traced["hidden"].abs() > OPEN
    return {f"activation/saturated/{name}": float(share.double().mean()) for name, share in shares.items()}


def gate_maps(subject: Subject, chosen: Sequence[int] | None = None) -> tuple[Picture, ...]:
    """Return heat maps of every gate and state over time, with one row per unit; empty if there are none.

    Args:
        subject: The network and its windows.
        chosen: Places among `subject.windows`. Default: the windows in which the first column has the smallest and the
            largest variance.
    """
    if chosen is None:
        liveliness = subject.windows[..., 0].var(dim=1, correction=0)
        chosen = sorted({int(liveliness.argmin()), int(liveliness.argmax())})
    with torch.no_grad():
        traced = subject.trace(subject.windows[list(chosen)])
    if not traced:
        return ()
    rows, names = _rows(traced)
    return tuple(
        _map(name, number, values[rows[:, 0], place, -MAP_STEPS:, rows[:, 1]], names)
        for place, number in enumerate(chosen)
        for name, values in traced.items()
    )


def _rows(traced: Mapping[str, Tensor]) -> tuple[Tensor, tuple[str, ...]]:
    """Choose the units to draw, as (row, 2) with layer and unit, and their names.

    The rows are the same in every map; the units that keep their memory longest come first.
    """
    order = next(traced[name] for name in ("forget_gate", "update_gate", *traced) if name in traced)
    layers, _, _, hidden = order.shape
    kept = order.mean(dim=(1, 2)).flatten().argsort(descending=True, stable=True)
    even = torch.linspace(0, len(kept) - 1, min(MAP_UNITS, len(kept))).round().long()
    flat = kept[even]
    rows = torch.stack([flat // hidden, flat % hidden], dim=1)
    return rows, tuple(f"{layer}:{unit}" if layers > 1 else str(unit) for layer, unit in rows.tolist())


def _map(name: str, window: int, values: Tensor, names: tuple[str, ...]) -> HeatMap:
    steps = values.shape[1]
    bound = 1.0 if name != "cell" else max(1.0, math.ceil(1000 * float(values.abs().max())) / 1000)
    word = name.replace("_", " ")
    note = f"{_MEANING.get(name, word)} One row per unit; the units that keep their memory longest are on top."
    return HeatMap(
        title=f"{word.capitalize()}, window {window + 1}",
        note=note,
        x_label="step before the answer",
        y_label="layer:unit" if ":" in names[0] else "unit",
        x=tuple(float(step - steps + 1) for step in range(steps)),
        y=names,
        # Three digits are more precise than a colour, and keep the page small.
        values=tuple(tuple(round(value, 3) for value in row) for row in values.tolist()),
        low=-bound if name in STATES else 0.0,
        high=bound,
    )


_MEANING = {
    "input_gate": "How much of the new value is written to the memory, 0 to 1.",
    "forget_gate": "How much of the memory is kept from step to step, 0 to 1.",
    "output_gate": "How much of the memory is read out, 0 to 1.",
    "candidate": "The new value that can be written to the memory.",
    "cell": "The memory itself.",
    "hidden": "The output of the memory to the next layer.",
    "reset_gate": "How much of the past is used for the new value, 0 to 1.",
    "update_gate": "How much of the memory is kept from step to step, 0 to 1.",
}

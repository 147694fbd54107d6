"""Measures how a change of the input changes the answer: delay (how far back) and feedback (after a step or a pulse).

Changes are finite, one unit of the input (its standard deviation), and not gradients. A network that keeps a bit in a
saturated cell has no gradient left, although another bit would change its answer (Bengio et al. 1994, "Learning
long-term dependencies with gradient descent is difficult"), and an answer need not be differentiable.
Changed windows have the length that the network was trained on.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lstm.diagnostics.oscillation import period
from lstm.diagnostics.subject import Subject
from lstm.records.figures import Curve, Probe

LAGS = 512  # most lags that are measured one by one from the start, for a delay
POINTS = 128  # most points of the answer to a step
DELAY_WINDOWS, FEEDBACK_WINDOWS = 16, 4
STEPS = 1_000_000  # most steps for a delay; beyond them fewer windows are used, down to FEEDBACK_WINDOWS
PEAKS = 8  # blocks that are split into single lags, to find the strongest lag
FEEDBACK_COLUMNS = 4  # the first columns; targets come first
SEQUENCES = 128  # computed at once
ROUNDING = 1e-6  # share of the answer; smaller changes are rounding errors of float32
NOTHING = 1e-9  # in units of the answer; smaller changes count as 0 if the answer itself is nearly 0
SETTLED = 0.05  # share of the peak
LONGEST_TAU = 1e6  # steps; the time constant of a gate that never forgets


def delay(subject: Subject) -> Probe:
    """Measure how far back an input still matters.

    The influence of a lag is the root mean square, over windows and outputs, of the answer's change if every column is
    one unit higher or lower (at random, seeded) at that lag. Lag 0 is the last input. All lags are in steps and at most
    `time - 1`, which then means "at least the whole window". In windows of more than 512 steps, neighbouring lags are
    first measured together, and then one by one near the lags that decide a number.

    - `delay/strongest`: the largest influence, in units of the output. If it is 0, no input matters, and the other
      numbers of influence are left out.
    - `delay/peak`: the lag of the largest influence.
    - `delay/half_life`, `delay/one_percent`: the largest lag with a half, or a hundredth, of the largest influence.
      Between two steps it is interpolated along an exponential, so a leaky integrator with time constant tau has
      exactly tau ln 2.
    - `delay/oldest`: the influence of the window's first input as a share of the largest influence.
    - `delay/forget_time_constant_median`, `delay/forget_time_constant_p90`: median and 90th percentile of -1/ln(f) over
      all units, in steps. f is the mean activation of the unit's forget gate (in a GRU, of the update gate). At most
      1e6; left out without such gates.
    """
    constants = _time_constants(subject)
    blocks, influence = _profile(subject)
    top = max(influence)
    if top == 0:
        return Probe({"delay/strongest": 0.0} | constants)
    half, hundredth = _reach(blocks, influence, 0.5), _reach(blocks, influence, 0.01)
    peak = blocks[influence.index(top)].start
    numbers = {
        "delay/strongest": top,
        "delay/peak": float(peak),
        "delay/half_life": half,
        "delay/one_percent": hundredth,
        "delay/oldest": influence[-1] / top,
    }
    note = (
        f"The input has the most influence {peak} steps back. Half of it is left {half:.1f} steps back, "
        f"a hundredth {hundredth:.1f} steps back" + (" or more." if influence[-1] >= 0.01 * top else ".")
    )
    x = tuple((block.start + block.stop - 1) / 2 for block in blocks)
    shares = tuple(value / top for value in influence)
    curve = Curve("How far back an input matters", note, "steps back", "influence", x, {"influence": shares})
    return Probe(numbers | constants, (curve,))


def _profile(subject: Subject) -> tuple[list[range], list[float]]:
    """Return the influence by blocks of lags; each block that decides a number is a single lag."""
    length = subject.windows.shape[1]
    affordable = STEPS // (min(length, LAGS) * length)
    windows = subject.few(min(DELAY_WINDOWS, max(FEEDBACK_WINDOWS, affordable)))
    signs = _signs(*windows.shape).to(windows.dtype)
    width = 2 ** math.ceil(math.log2(max(length / LAGS, 1)))
    blocks = [range(start, min(start + width, length)) for start in range(0, length, width)]
    known: dict[range, float] = {}
    while True:
        new = [block for block in blocks if block not in known]
        changes = _changes(subject, windows, signs * subject.units, new)
        for block, change in zip(new, changes, strict=True):
            # The influence per lag: the signs of a block's lags are orthogonal over the windows, so squares add up.
            known[block] = math.sqrt(float(change.double().square().mean()) / len(block))
        influence = [known[block] for block in blocks]
        wide = {blocks[i] for i in _deciding(blocks, influence) if len(blocks[i]) > 1}
        if not wide:
            return blocks, influence
        blocks = [part for block in blocks for part in (_singles(block) if block in wide else [block])]


def _signs(count: int, length: int, columns: int) -> Tensor:
    """Return signs (count, length, columns): random by window and column, times Walsh functions by lag.

    Consecutive lags, if their number is a power of two, are orthogonal over the same number of windows.
    """
    generator = torch.Generator().manual_seed(0)
    by_column = torch.randint(0, 2, (count, 1, columns), generator=generator) * 2 - 1
    common = torch.arange(count)[:, None] & torch.arange(length).flip(0)[None]
    bits = sum((common >> bit) & 1 for bit in range(DELAY_WINDOWS.bit_length()))
    return by_column * (1 - 2 * (torch.as_tensor(bits) % 2))[..., None]


def _singles(block: range) -> list[range]:
    return [range(lag, lag + 1) for lag in block]


def _deciding(blocks: Sequence[range], influence: Sequence[float]) -> set[int]:
    """Return the places of the blocks from which the peak and the two reaches are read, or may be read."""
    top = max(influence)
    if top == 0:
        return set()
    ranked = sorted(range(len(influence)), key=lambda i: influence[i], reverse=True)
    deciding = {i for i in ranked[:PEAKS] if influence[i] >= top / 2}
    # A single lag may have all the influence of its block.
    most = [value * math.sqrt(len(block)) for block, value in zip(blocks, influence, strict=True)]
    for share in (0.5, 0.01):
        last = max(i for i, value in enumerate(influence) if value >= share * top)
        deciding |= {i for i in range(last, len(most)) if i == last or most[i] >= share * top}
        if last + 1 < len(influence) and influence[last + 1] > 0:
            deciding.add(last + 1)  # the reach is interpolated towards this block
    return deciding


def _reach(blocks: Sequence[range], influence: Sequence[float], share: float) -> float:
    """Return the largest lag, interpolated, with a share of the largest influence."""
    wanted = share * max(influence)
    last = max(i for i, value in enumerate(influence) if value >= wanted)
    here, lag = influence[last], blocks[last].start
    if last + 1 == len(influence) or influence[last + 1] == 0:
        return float(lag)
    return lag + math.log(here / wanted) / math.log(here / influence[last + 1])


@torch.no_grad()
def _changes(subject: Subject, windows: Tensor, change: Tensor, blocks: Sequence[range]) -> Tensor:
    """Return the answers' changes `(block, window, output)` after `change` is added to inputs at each block of lags."""
    rest = subject.respond(windows)
    length, together = windows.shape[1], max(1, SEQUENCES // len(windows))
    found = []
    for start in range(0, len(blocks), together):
        some = blocks[start : start + together]
        changed = windows.repeat(len(some), 1, 1, 1)
        for i, block in enumerate(some):
            steps = slice(length - block.stop, length - block.start)
            changed[i, :, steps] += change[:, steps]
        found.append(subject.respond(changed.flatten(0, 1)).view(len(some), *rest.shape) - rest)
    changes = torch.cat(found)
    return torch.where(changes.abs() <= ROUNDING * rest.abs().max() + NOTHING, 0.0, changes)


@torch.no_grad()
def _time_constants(subject: Subject) -> dict[str, float]:
    gates = subject.trace(subject.few(DELAY_WINDOWS))
    gate = gates.get("forget_gate", gates.get("update_gate"))
    if gate is None:
        return {}
    # The mean of the gate, not of its logarithm: one step that erases a unit's memory must not hide how long the unit
    # keeps it otherwise.
    keeps = gate.double().mean(dim=(1, 2)).flatten().clamp(1e-12, math.exp(-1 / LONGEST_TAU))
    constants = -1 / keeps.log()
    return {
        "delay/forget_time_constant_median": float(constants.quantile(0.5)),
        "delay/forget_time_constant_p90": float(constants.quantile(0.9)),
    }


def feedback(subject: Subject) -> Probe:
    """Measure how the answer follows a step and a pulse at the input.

    For a step, a column is raised by one unit over the window's last n + 1 inputs: the answer n steps after the step.
    For a pulse, the column is raised at lag n only. The answer is the signed mean change over windows of the output
    that answers the step most. The numbers are measured for each of the first four columns; if the subject has several
    columns, `/{column}` is added to the name:

    - `feedback/gain`: the answer, in units of the output, to a step as old as the window. An identity has 1.
    - `feedback/settling`: steps until the answer stays within 5 % of its peak around its last value. At most `time`,
      which means "not within the window": the answer must have stayed there for the window's last quarter.
    - `feedback/overshoot`: the share of the peak that is lost at the end, 0 to 1.
    - `feedback/period`: steps between the echoes of the pulse; left out if the answer does not oscillate.

    In windows of more than 128 steps, settling and period have a resolution of `time / 128` steps.
    """
    numbers: dict[str, float] = {}
    steps: dict[str, tuple[float, ...]] = {}
    pulses: dict[str, tuple[float, ...]] = {}
    windows = subject.few(FEEDBACK_WINDOWS)
    length = windows.shape[1]
    lags = list(range(0, length, math.ceil(length / POINTS)))
    for column, name in enumerate(subject.columns[:FEEDBACK_COLUMNS]):
        change = torch.zeros_like(windows)
        change[..., column] = subject.units[column]
        by_output = _changes(subject, windows, change, [range(lag + 1) for lag in lags]).double().mean(dim=1)
        output = int(by_output.abs().amax(dim=0).argmax())
        step = by_output[:, output]
        pulse = _changes(subject, windows, change, _at(lags)).double().mean(dim=1)[:, output]
        suffix = f"/{name}" if len(subject.columns) > 1 else ""
        numbers |= {f"feedback/{key}{suffix}": value for key, value in _followed(step, pulse, lags, length).items()}
        label = f"{name} → {subject.outputs[output]}"
        steps[label], pulses[label] = tuple(step.tolist()), tuple(pulse.tolist())
    x = tuple(map(float, lags))
    return Probe(
        numbers,
        (
            Curve("Answer to a step", _STEP, "steps since the step", "change of the answer", x, steps),
            Curve("Answer to a pulse", _PULSE, "steps since the pulse", "change of the answer", x, pulses),
        ),
    )


_STEP = "The change of the answer over time after an input rises by one standard deviation and stays there."
_PULSE = "The change of the answer over time after an input rises by one standard deviation for a single step."


def _at(lags: Sequence[int]) -> list[range]:
    return [range(lag, lag + 1) for lag in lags]


def _followed(step: Tensor, pulse: Tensor, lags: Sequence[int], length: int) -> dict[str, float]:
    peak, final = float(step.abs().max()), float(step[-1])
    numbers = {"gain": final, "settling": 0.0, "overshoot": 0.0}
    if peak > 0:
        # A share of the peak, not of the last value, so that an answer that decays to 0 can settle as well.
        outside = ((step - step[-1]).abs() > SETTLED * peak).nonzero().flatten().tolist()
        settled = lags[outside[-1] + 1] if outside else 0
        numbers["settling"] = float(settled if settled <= 0.75 * (length - 1) else length)
        numbers["overshoot"] = 1 - abs(final) / peak
    found = period(pulse)
    if found is not None:
        numbers["period"] = found * (lags[1] - lags[0])
    return numbers

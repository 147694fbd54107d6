"""What an answer costs against the length of its input."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from lstm.diagnostics.subject import Subject
from lstm.records.figures import Curve, Probe

LENGTHS = (32, 64, 128, 256, 512, 1024)  # steps
FEWEST = 4  # lengths that are always measured
SEQUENCES = 8  # computed at once
REPEATS = 5  # of each length, and more of a quick network
BUDGET_S = 0.5  # for more
PATIENCE_S = 0.5  # an answer that takes longer is the ladder's last


def scalability(subject: Subject) -> Probe:
    """Processor time of an answer, and what its backward pass must keep.

    Inputs are windows, repeated to lengths from 32 to 1024 steps; where an answer takes longer than half a second, the
    ladder ends there, with 256 steps at least. All are of eight sequences at once, on this process's threads.
    The backward pass is not timed: where it keeps more than some 50 MB, up to 40 % of its time were seen to go into
    fresh pages, and the exponent would be the memory allocator's.

    - `scalability/time_exponent`: p in time = a + b length^p, 1 for a recurrent network. Fitted to the differences
      from one length to the next, which a constant overhead a does not touch. Left out where the clock is too coarse.
    - `scalability/step_us`: microseconds of processor time, threads added up, for one more step of one sequence, from
      the shortest length to the longest.
    - `scalability/memory_exponent`: the same p for the bytes that are kept for the backward pass, counted exactly.
    - `scalability/step_bytes`: bytes kept for one more step of one sequence. Both left out where nothing is kept.

    Each length's time is the shortest of five or more, measured in turns: other work can only make one longer. It is
    the machine's, so compare runs by it only on one machine; the others are the network's own.
    """
    lengths, seconds = _times(subject)
    memory = [_kept_bytes(subject, _inputs(subject, length)) for length in lengths]
    steps = SEQUENCES * (lengths[-1] - lengths[0])
    numbers = {"step_us": 1e6 * max(seconds[-1] - seconds[0], 0.0) / steps}
    if (exponent := _exponent(lengths, seconds)) is not None:
        numbers["time_exponent"] = exponent
    if (exponent := _exponent(lengths, memory)) is not None:
        numbers |= {"memory_exponent": exponent, "step_bytes": (memory[-1] - memory[0]) / steps}
    x = tuple(map(float, lengths))
    label = "length of the input, steps"
    ms, mib = tuple(1e3 * each for each in seconds), tuple(each / 2**20 for each in memory)
    curves = [Curve("Time against length", _TIME, label, "ms", x, {"time": ms}, log_x=True, log_y=True)]
    if any(memory):
        curves.append(Curve("Memory against length", _MEMORY, label, "MiB", x, {"memory": mib}, log_x=True, log_y=True))
    return Probe({f"scalability/{name}": value for name, value in numbers.items()}, tuple(curves))


_TIME = "Time of an answer, eight sequences at once. Twice the length should take twice the time."
_MEMORY = "What the backward pass must keep, eight sequences at once; training needs about that much for each batch."


def _inputs(subject: Subject, length: int) -> Tensor:
    windows = subject.few(SEQUENCES)
    count, time_steps, _ = windows.shape
    return windows.repeat(math.ceil(SEQUENCES / count), math.ceil(length / time_steps), 1)[:SEQUENCES, :length]


def _times(subject: Subject) -> tuple[list[int], list[float]]:
    inputs: dict[int, Tensor] = {}
    best: dict[int, float] = {}
    for length in LENGTHS:
        inputs[length] = _inputs(subject, length)
        _seconds(subject, inputs[length])  # the first one builds what the others use
        best[length] = _seconds(subject, inputs[length])
        if best[length] > PATIENCE_S and len(best) >= FEWEST:
            break
    started, rounds = time.perf_counter(), 1
    while rounds < REPEATS or time.perf_counter() - started < BUDGET_S:
        rounds += 1
        for length, so_far in best.items():
            best[length] = min(so_far, _seconds(subject, inputs[length]))
    return list(best), list(best.values())


def _seconds(subject: Subject, inputs: Tensor) -> float:
    # The processor's time, not the clock's: beside other work a long answer is interrupted, a short one is not.
    started = time.process_time()
    with torch.no_grad():
        subject.respond(inputs)
    return time.process_time() - started


def _kept_bytes(subject: Subject, inputs: Tensor) -> int:
    """Bytes that autograd keeps between an answer and its backward pass; what is kept twice counts once."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no other takes its address
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        subject.respond(inputs.detach().clone().requires_grad_())
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _exponent(lengths: Sequence[int], costs: Sequence[float]) -> float | None:
    """The p of cost = a + b length^p, from lengths that double: the differences grow as length^p, whatever a is."""
    pairs = [
        (math.log(length), math.log(after - before))
        for length, before, after in zip(lengths, costs, costs[1:], strict=False)
        if after > before
    ]
    if len(pairs) < 2:
        return None
    x, y = zip(*pairs, strict=True)
    # The longer ones say more: the clock's noise is a smaller part of them, and short ones still fit into the caches.
    weights = [math.exp(2 * each) for each in x]
    mean_x = sum(w * each for w, each in zip(weights, x, strict=True)) / sum(weights)
    mean_y = sum(w * each for w, each in zip(weights, y, strict=True)) / sum(weights)
    spread = sum(w * (each - mean_x) ** 2 for w, each in zip(weights, x, strict=True))
    return float(sum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weights, x, y, strict=True)) / spread)

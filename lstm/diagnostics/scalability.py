"""Measures the time and memory of an answer against the length of its input."""

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
REPEATS = 5  # least measurements of each length; a fast network is measured more often
BUDGET_S = 0.5  # seconds for more measurements
PATIENCE_S = 0.5  # seconds; no longer length is measured after an answer that takes longer than this


def scalability(subject: Subject) -> Probe:
    """Measure the processor time of an answer and the memory for its backward pass.

    Inputs are windows, repeated to lengths from 32 to 1024 steps. No longer length is measured after an answer that
    takes more than half a second, but lengths up to 256 steps always are. Eight sequences are computed at once, on this
    process's threads. The backward pass is not timed: if it keeps more than about 50 MB, up to 40 % of its time was
    seen to go into new memory pages, and the exponent would be that of the memory allocator.

    - `scalability/time_exponent`: p in time = a + b length^p; 1 for a recurrent network. It is fitted to the
      differences from one length to the next, which do not depend on a constant overhead a. Left out if the clock is
      too coarse.
    - `scalability/step_us`: microseconds of processor time, summed over threads, for one more step of one sequence,
      from the shortest length to the longest.
    - `scalability/memory_exponent`: the exponent p for the bytes kept for the backward pass, which are counted exactly.
    - `scalability/step_bytes`: bytes kept for one more step of one sequence. Both are left out if nothing is kept.

    The time of each length is the shortest of at least five measurements, taken in turn, because other work on the
    machine can only lengthen one. The time depends on the machine, so compare `step_us` only between runs on the same
    machine; the other numbers depend on the network alone.
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


_TIME = "The time of an answer for eight sequences at once. Twice the length should take twice the time."
_MEMORY = "The memory kept for the backward pass, for eight sequences at once. Training needs about as much per batch."


def _inputs(subject: Subject, length: int) -> Tensor:
    windows = subject.few(SEQUENCES)
    count, time_steps, _ = windows.shape
    return windows.repeat(math.ceil(SEQUENCES / count), math.ceil(length / time_steps), 1)[:SEQUENCES, :length]


def _times(subject: Subject) -> tuple[list[int], list[float]]:
    inputs: dict[int, Tensor] = {}
    best: dict[int, float] = {}
    for length in LENGTHS:
        inputs[length] = _inputs(subject, length)
        _seconds(subject, inputs[length])  # the first answer is slower and does not count
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
    # Processor time, not wall-clock time: other work on the machine interrupts long answers, but rarely short ones.
    started = time.process_time()
    with torch.no_grad():
        subject.respond(inputs)
    return time.process_time() - started


def _kept_bytes(subject: Subject, inputs: Tensor) -> int:
    """Count the bytes that autograd keeps between an answer and its backward pass; shared storage counts once."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor  # kept alive, so that its address is not used again
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        subject.respond(inputs.detach().clone().requires_grad_())
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _exponent(lengths: Sequence[int], costs: Sequence[float]) -> float | None:
    """Fit p in cost = a + b length^p to lengths that double; None if fewer than two differences are positive.

    The differences grow as length^p for any a.
    """
    pairs = [
        (math.log(length), math.log(after - before))
        for length, before, after in zip(lengths, costs, costs[1:], strict=False)
        if after > before
    ]
    if len(pairs) < 2:
        return None
    x, y = zip(*pairs, strict=True)
    # Longer lengths get more weight: the clock's noise is a smaller share of them, and short ones fit into the caches.
    weights = [math.exp(2 * each) for each in x]
    mean_x = sum(w * each for w, each in zip(weights, x, strict=True)) / sum(weights)
    mean_y = sum(w * each for w, each in zip(weights, y, strict=True)) / sum(weights)
    spread = sum(w * (each - mean_x) ** 2 for w, each in zip(weights, x, strict=True))
    return float(sum(w * (a - mean_x) * (b - mean_y) for w, a, b in zip(weights, x, y, strict=True)) / spread)

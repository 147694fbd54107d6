"""The problems of the task `memory`, generated from a seed.

Adding (Hochreiter & Schmidhuber, 1997): add the two numbers that a second input marks. Copy (Arjovsky, Shah & Bengio,
2016): repeat symbols after a delay. Mackey-Glass (Mackey & Glass, 1977; as in Voelker, Kajić & Eliasmith, 2019):
forecast a chaotic series some steps ahead, at every step.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from lstm.config.memory import MemoryData
from lstm.data.dataset import Facts, Part, Scale

VERSION = 1  # of the generators; part of the fingerprint, because different sequences are different data
PARTS: tuple[Part, ...] = ("train", "validation", "test")
SUBSTEPS = 10  # Euler steps per unit of time
BURN_IN = 300  # units of time until a series has reached its attractor
Pair = tuple[np.ndarray, np.ndarray]  # inputs (sequence, time, input) and targets; symbols (sequence, time) int64


@dataclass(frozen=True, slots=True)
class ProblemFacts(Facts):
    """The facts about a problem that its network needs."""

    targets: tuple[str, ...]
    inputs: int
    scale: Scale  # for Mackey-Glass; values of the other problems are not scaled


@dataclass(frozen=True, slots=True)
class Problems:
    """Generated sequences. Only Mackey-Glass has a training part; other problems draw new sequences in each pass."""

    parts: dict[Part, Pair]
    inputs: int
    targets: tuple[str, ...]
    scale: Scale
    fingerprint: str

    @property
    def facts(self) -> ProblemFacts:
        """Facts about the problem that the network needs."""
        return ProblemFacts(self.fingerprint, self.targets, self.inputs, self.scale)

    @property
    def nbytes(self) -> int:
        """Size of all parts in bytes."""
        return sum(array.nbytes for pair in self.parts.values() for array in pair)


def generate(section: MemoryData) -> Problems:
    """Generate the sequences of each part. The same section makes the same sequences."""
    # Defaults are left out, so that a field that is added later does not change the fingerprint.
    fingerprint = hashlib.sha256(f"{VERSION} {section.model_dump_json(exclude_defaults=True)}".encode()).hexdigest()
    generators = {part: np.random.default_rng([section.seed, number]) for number, part in enumerate(PARTS)}
    sizes = section.sizes.model_dump()
    if section.problem == "mackey_glass":
        ahead, tau = section.steps_ahead, section.delay
        series = {
            part: mackey_glass(generators[part], sizes[part], section.length + ahead, tau)[..., None] for part in PARTS
        }
        mean, deviation = float(series["train"].mean()), float(series["train"].std())
        scaled = {part: ((values - mean) / deviation).astype(np.float32) for part, values in series.items()}
        pairs = {part: (values[:, :-ahead], values[:, ahead:]) for part, values in scaled.items()}
        return Problems(pairs, 1, ("value",), Scale((mean,), (deviation,)), fingerprint)
    drawn: dict[Part, Pair] = {part: draw(generators[part], sizes[part], section) for part in PARTS if part != "train"}
    if section.problem == "adding":
        return Problems(drawn, 2, ("sum",), Scale((0.0,), (1.0,)), fingerprint)
    classes = ("blank", *(f"symbol {number}" for number in range(1, section.alphabet + 1)))
    return Problems(drawn, section.alphabet + 2, classes, Scale((0.0,), (1.0,)), fingerprint)


def draw(generator: np.random.Generator, count: int, section: MemoryData) -> Pair:
    """Draw `count` sequences of the adding or the copy problem, as `adding` and `copying` do."""
    return (adding if section.problem == "adding" else copying)(generator, count, section)


def adding(generator: np.random.Generator, count: int, section: MemoryData) -> Pair:
    """Draw numbers from 0 to 1 with marks at two steps: (sequence, time, 2); and the marked sums: (sequence, 1)."""
    numbers = generator.random((count, section.length), dtype=np.float32)
    first = generator.integers(0, section.length, count)
    second = (first + generator.integers(1, section.length, count)) % section.length
    marks, rows = np.zeros_like(numbers), np.arange(count)
    marks[rows, first] = marks[rows, second] = 1
    return np.stack([numbers, marks], axis=-1), (numbers[rows, first] + numbers[rows, second])[:, None]


def copying(generator: np.random.Generator, count: int, section: MemoryData) -> Pair:
    """Draw inputs and answers of the copy problem, both (sequence, time) int64.

    An input has `keep` symbols, a wait of blanks, a sign, and `keep` blanks during which the network must repeat the
    symbols. 0 is the blank, 1 to `alphabet` are the symbols, `alphabet + 1` is the sign.
    """
    keep = section.keep
    symbols = generator.integers(1, section.alphabet + 1, (count, keep))
    inputs = np.zeros((count, section.length + 2 * keep), dtype=np.int64)
    answers = np.zeros_like(inputs)
    inputs[:, :keep], answers[:, -keep:] = symbols, symbols
    inputs[:, section.length + keep - 1] = section.alphabet + 1
    return inputs, answers


def mackey_glass(generator: np.random.Generator, count: int, length: int, tau: int) -> np.ndarray:
    """Simulate Mackey-Glass series, squashed by tanh(x - 1): (count, length) float64.

    The equation is dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x. Euler's method solves it with ten steps per
    unit of time, from a random history around 1.2. A series has one value per unit of time.
    """
    past = 1.2 + 0.2 * (generator.random((tau * SUBSTEPS, count)) - 0.5)
    now, found = np.full(count, 1.2), np.empty((length, count))
    for step in range((BURN_IN + length) * SUBSTEPS):
        delayed = past[step % len(past)].copy()
        past[step % len(past)] = now
        now = now + (0.2 * delayed / (1 + delayed**10) - 0.1 * now) / SUBSTEPS
        if step >= BURN_IN * SUBSTEPS and step % SUBSTEPS == 0:
            found[step // SUBSTEPS - BURN_IN] = now
    return np.tanh(found - 1).T

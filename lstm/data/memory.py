"""The problems of the task `memory`, generated from a seed.

Adding (Hochreiter & Schmidhuber, 1997): the sum of the two numbers that a second input marks. Copy (Arjovsky, Shah &
Bengio, 2016): repeat symbols after a delay. Mackey-Glass (Mackey & Glass, 1977), as Voelker, Kajić & Eliasmith (2019)
pose it: forecast a chaotic series some steps ahead, at every step.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from lstm.config.memory import MemoryData
from lstm.data.dataset import Facts, Part, Scale

VERSION = 1  # of the generators: other sequences are other data
PARTS: tuple[Part, ...] = ("train", "validation", "test")
SUBSTEPS = 10  # Euler steps in a unit of time
BURN_IN = 300  # units of time until a series is on its attractor
Pair = tuple[np.ndarray, np.ndarray]  # inputs (sequence, time, input), targets; symbols are whole numbers


@dataclass(frozen=True, slots=True)
class ProblemFacts(Facts):
    """What a network must know of its problem."""

    targets: tuple[str, ...]
    inputs: int
    scale: Scale  # of Mackey-Glass; the others' values stay as they are


@dataclass(frozen=True, slots=True)
class Problems:
    """Generated sequences; those to train on are drawn anew in each pass, but for Mackey-Glass."""

    parts: dict[Part, Pair]
    inputs: int
    targets: tuple[str, ...]
    scale: Scale
    fingerprint: str

    @property
    def facts(self) -> ProblemFacts:
        """What a network must know of them."""
        return ProblemFacts(self.fingerprint, self.targets, self.inputs, self.scale)

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return sum(array.nbytes for pair in self.parts.values() for array in pair)


def generate(section: MemoryData) -> Problems:
    """Generates the sequences of each part; the same section makes the same sequences."""
    # Defaults are left out: a field that is added later makes no other sequences.
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
    """Sequences of the adding or the copy problem."""
    return (adding if section.problem == "adding" else copying)(generator, count, section)


def adding(generator: np.random.Generator, count: int, section: MemoryData) -> Pair:
    """Numbers from 0 to 1 and marks at two of the steps: (sequence, time, 2); their sum: (sequence, 1)."""
    numbers = generator.random((count, section.length), dtype=np.float32)
    first = generator.integers(0, section.length, count)
    second = (first + generator.integers(1, section.length, count)) % section.length
    marks, rows = np.zeros_like(numbers), np.arange(count)
    marks[rows, first] = marks[rows, second] = 1
    return np.stack([numbers, marks], axis=-1), (numbers[rows, first] + numbers[rows, second])[:, None]


def copying(generator: np.random.Generator, count: int, section: MemoryData) -> Pair:
    """Symbols, a wait, a sign, and blanks in which to repeat them; what to answer: both (sequence, time) int64.

    0 is the blank, 1 and up are the symbols, the largest input is the sign.
    """
    keep = section.keep
    symbols = generator.integers(1, section.alphabet + 1, (count, keep))
    inputs = np.zeros((count, section.length + 2 * keep), dtype=np.int64)
    answers = np.zeros_like(inputs)
    inputs[:, :keep], answers[:, -keep:] = symbols, symbols
    inputs[:, section.length + keep - 1] = section.alphabet + 1
    return inputs, answers


def mackey_glass(generator: np.random.Generator, count: int, length: int, tau: int) -> np.ndarray:
    """Series of dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x, squashed by tanh(x - 1): (count, length) float64.

    Euler's method with a tenth of the unit of time in which it is sampled, from a history around 1.2.
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

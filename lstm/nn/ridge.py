"""Ridge regression in blocks: bounded memory, and many penalties from one pass over the data.

The solution for a penalty minimises the sum of squared errors plus the penalty times the sum of squared weights; the
intercept is not penalised. A penalty is therefore scikit-learn's `alpha`.

The linear map of `lstm/nn/highway.py` starts from it, and the rivals `ridge` of `lstm/rivals/forecast.py` and
`lstm/rivals/memory.py` use it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

# Each call gives all blocks again: inputs (row, input) and outputs (row, output).
Blocks = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True, slots=True)
class Ridge:
    """A fitted linear map with its penalty."""

    weights: np.ndarray  # (input, output)
    intercept: np.ndarray  # (output,)
    penalty: float

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs (row, output), float64, for inputs (row, input)."""
        found: np.ndarray = inputs.astype(np.float64, copy=False) @ self.weights + self.intercept
        return found


def fit(blocks: Blocks, penalties: Sequence[float]) -> list[Ridge]:
    """Fit a solution for each penalty, from one pass over blocks of inputs (row, input) and outputs (row, output).

    Memory is one block and a matrix (input, input), in float64. Inputs and outputs are centred block by block (Chan et
    al., 1983), so a mean that is large compared with the deviation costs no precision. A constant column gets the
    weight 0. The same blocks give bit-identical solutions on one machine.

    Raises:
        ValueError: there is no row, or a penalty is not above 0 (without a penalty there may be no unique solution).
    """
    if not all(penalty > 0 for penalty in penalties):
        raise ValueError("a penalty must be above 0")
    moments = _Moments()
    for inputs, outputs in blocks():
        if len(inputs):
            moments.add(inputs.astype(np.float64, copy=False), outputs.astype(np.float64, copy=False))
    if not moments.count:
        raise ValueError("there is no row to fit")
    # One decomposition serves all penalties. Eigenvalues that rounding made negative are set to 0, so each sum with a
    # penalty is above 0.
    values, vectors = np.linalg.eigh(moments.square)
    values, turned = np.maximum(values, 0.0), vectors.T @ moments.product
    constant = np.diag(moments.square) <= moments.count * np.square(1e-14 * moments.inputs)  # 0 up to rounding
    found = []
    for penalty in penalties:
        weights = np.where(constant[:, None], 0.0, vectors @ (turned / (values + penalty)[:, None]))
        found.append(Ridge(weights, moments.outputs - moments.inputs @ weights, float(penalty)))
    return found


def errors(candidates: Sequence[Ridge], blocks: Blocks) -> np.ndarray:
    """Return each candidate's mean squared error over all rows and outputs, (candidate,); NaN if there is no row."""
    totals, count = np.zeros(len(candidates)), 0
    for inputs, outputs in blocks():
        rows = inputs.astype(np.float64, copy=False)
        totals += [float(np.square(candidate.predict(rows) - outputs).sum()) for candidate in candidates]
        count += outputs.size
    return totals / count if count else np.full(len(candidates), np.nan)


def choose(candidates: Sequence[Ridge], found: Sequence[float] | np.ndarray) -> Ridge:
    """Return the candidate with the least error; among equals, or if no error is finite, the one penalised most."""
    usable = np.where(np.isfinite(found), found, np.inf)
    least = min(usable)
    return max((c for c, e in zip(candidates, usable, strict=True) if e == least), key=lambda c: c.penalty)


class _Moments:
    """The means and the centred sums of squares and products of all rows so far."""

    def __init__(self) -> None:
        self.count = 0
        self.inputs = self.outputs = np.zeros(0)  # means
        self.square = self.product = np.zeros((0, 0))

    def add(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        """Add a block of rows: inputs (row, input) and outputs (row, output)."""
        rows, means = len(inputs), (inputs.mean(axis=0), outputs.mean(axis=0))
        x, y = inputs - means[0], outputs - means[1]
        square, product = x.T @ x, x.T @ y
        if not self.count:
            self.count, (self.inputs, self.outputs), self.square, self.product = rows, means, square, product
            return
        total = self.count + rows
        apart = means[0] - self.inputs, means[1] - self.outputs
        weight = self.count * rows / total
        self.square += square + weight * np.outer(apart[0], apart[0])
        self.product += product + weight * np.outer(apart[0], apart[1])
        self.inputs = self.inputs + apart[0] * (rows / total)
        self.outputs = self.outputs + apart[1] * (rows / total)
        self.count = total

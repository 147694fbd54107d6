"""Ridge regression in blocks: bounded memory, many penalties from one pass over the data.

The solution for a penalty minimises the summed squared error plus the penalty times the squared weights; the
intercept is free of it. So a penalty is scikit-learn's `alpha`.

The linear highway starts from it; the rivals `ridge` of `lstm/rivals/forecast.py` and `lstm/rivals/memory.py` are it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Blocks = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]  # each time anew: inputs (row, input), outputs


@dataclass(frozen=True, slots=True)
class Ridge:
    """A linear map, and the penalty that it was fitted with."""

    weights: np.ndarray  # (input, output)
    intercept: np.ndarray  # (output,)
    penalty: float

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """The outputs (row, output) to inputs (row, input), float64."""
        found: np.ndarray = inputs.astype(np.float64, copy=False) @ self.weights + self.intercept
        return found


def fit(blocks: Blocks, penalties: Sequence[float]) -> list[Ridge]:
    """A solution for each penalty, from one pass over blocks of inputs (row, input) and outputs (row, output).

    It holds one block and a square of the inputs' number, in float64. Inputs and outputs are centred block by block
    (Chan et al., 1983): a mean that is large beside the deviation costs no digits. A column that is constant gets the
    weight 0. The same blocks give the same bits on one machine.

    Raises:
        ValueError: there is no row, or a penalty is not above 0, without which the solution may be none.
    """
    if not all(penalty > 0 for penalty in penalties):
        raise ValueError("a penalty must be above 0")
    moments = _Moments()
    for inputs, outputs in blocks():
        if len(inputs):
            moments.add(inputs.astype(np.float64, copy=False), outputs.astype(np.float64, copy=False))
    if not moments.count:
        raise ValueError("there is no row to fit")
    # One decomposition serves all penalties. What rounding leaves below 0 is 0: each sum with a penalty is above it.
    values, vectors = np.linalg.eigh(moments.square)
    values, turned = np.maximum(values, 0.0), vectors.T @ moments.product
    constant = np.diag(moments.square) <= moments.count * np.square(1e-14 * moments.inputs)  # what rounding leaves
    found = []
    for penalty in penalties:
        weights = np.where(constant[:, None], 0.0, vectors @ (turned / (values + penalty)[:, None]))
        found.append(Ridge(weights, moments.outputs - moments.inputs @ weights, float(penalty)))
    return found


def errors(candidates: Sequence[Ridge], blocks: Blocks) -> np.ndarray:
    """The mean squared error of each candidate, over all rows and outputs of the blocks; NaN where there is no row."""
    totals, count = np.zeros(len(candidates)), 0
    for inputs, outputs in blocks():
        rows = inputs.astype(np.float64, copy=False)
        totals += [float(np.square(candidate.predict(rows) - outputs).sum()) for candidate in candidates]
        count += outputs.size
    return totals / count if count else np.full(len(candidates), np.nan)


def choose(candidates: Sequence[Ridge], found: Sequence[float] | np.ndarray) -> Ridge:
    """The candidate with the least error; among equals, or where no error is finite, the one penalised most."""
    usable = np.where(np.isfinite(found), found, np.inf)
    least = min(usable)
    return max((c for c, e in zip(candidates, usable, strict=True) if e == least), key=lambda c: c.penalty)


class _Moments:
    """Means and centred sums of squares and products of all rows so far."""

    def __init__(self) -> None:
        self.count = 0
        self.inputs = self.outputs = np.zeros(0)  # means
        self.square = self.product = np.zeros((0, 0))

    def add(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        """Takes a block of rows in."""
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

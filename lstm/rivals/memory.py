"""The rivals of the task `memory`: a constant, and a linear map of the inputs."""

from collections.abc import Iterator

import numpy as np

from lstm.config.memory import MemoryData
from lstm.config.trial import TrialConfig
from lstm.data.memory import Problems, draw
from lstm.judging.items import Judgement
from lstm.judging.memory import answers as answers_of
from lstm.judging.memory import named
from lstm.nn import ridge
from lstm.records.epoch import Judged
from lstm.rivals.rival import Fitted, LeftOut, rank, sample, sampled

PENALTIES = tuple(10.0**power for power in range(-6, 4, 2))
LOOKBACKS = (4, 8, 16, 32, 64, 128, 256)  # for Mackey-Glass
MOST_INPUTS = 1_500  # of a linear map: its fit needs a matrix of their square
MOST_SEQUENCES = 10_000  # most sequences that a map is fitted on
MOST_STEPS = 100_000  # most steps that a map is fitted on, for Mackey-Glass
BLOCK = 2**22  # numbers at once
LEAST = 1e-6  # the smallest probability of a symbol
Pairs = Iterator[tuple[np.ndarray, np.ndarray]]


class Constant:
    """The baseline, which is a constant answer."""

    name = "constant"
    about = "The constant is the best answer that needs no memory."
    needs: tuple[str, ...] = ()

    def fit(self, data: Problems, config: TrialConfig) -> Fitted:
        """Return the constant without a fit: the mean of all possible targets; for symbols, equal probabilities."""
        return Fitted(self.name, self.name, {}, {})

    def judge(self, fitted: Fitted, data: Problems, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the same answer to each sequence."""
        section, warmup = config.data_as(MemoryData), config.training.warmup_steps
        targets = data.parts[part][1]
        if section.problem == "copy":
            loss = section.keep * float(np.log(section.alphabet)) / (section.steps - warmup)
            errors = {"loss": np.full(len(targets), loss), "accuracy": np.full(len(targets), 1 / section.alphabet)}
        else:
            mean = 1.0 if section.problem == "adding" else 0.0
            judged_at = targets if section.problem == "adding" else targets[:, warmup:]
            errors = {"loss": np.square(judged_at.astype(np.float64) - mean).reshape(len(targets), -1).mean(axis=1)}
        return answers_of(self.name, part, data, section, warmup, errors)


class Ridge:
    """A linear map that gets all inputs at once, so that it needs no memory.

    Adding: the inputs of all steps; in a very long sequence, averages over stretches. Mackey-Glass: the values of a
    look-back, which is chosen on validation. Copy: the first symbols, because only they differ between sequences;
    blanks are taken as known.
    """

    name = "ridge"
    about = (
        "Ridge regression on all inputs at once (for a Mackey-Glass series, on a look-back), so that no memory is "
        "needed. Penalty and look-back are chosen on validation."
    )
    needs: tuple[str, ...] = ()

    def fit(self, data: Problems, config: TrialConfig) -> Fitted:
        """Fit a map for each look-back and penalty, and keep the best one on validation."""
        section, warmup = config.data_as(MemoryData), config.training.warmup_steps
        if section.problem == "copy" and section.keep * section.alphabet > MOST_INPUTS:
            raise LeftOut(f"{section.keep:,} of {section.alphabet:,} symbols are too many for it")
        sequences = self._sequences(data, section)
        found = []
        for lookback in self._lookbacks(section):
            maps = ridge.fit(lambda n=lookback: _pairs(*sequences, section, n, warmup), PENALTIES)  # type: ignore[misc]
            for each in maps:
                settings = {"lookback": lookback, "penalty": each.penalty, "sequences": len(sequences[0])}
                arrays = {"weights": each.weights, "intercept": each.intercept}
                fitted = Fitted(self.name, self.name, settings, arrays)
                ranked = rank(self.judge(fitted, data, config, "validation").metrics, config)
                found.append((ranked, lookback, -each.penalty, fitted))
        best = min(found, key=lambda each: each[:3])[3]
        title = f"ridge on {best.settings['lookback']} values" if section.problem == "mackey_glass" else self.name
        note = sampled(len(sequences[0]), section.sizes.train, "training sequences")
        return Fitted(self.name, title, best.settings, best.arrays, note)

    def judge(self, fitted: Fitted, data: Problems, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the map block by block."""
        section, warmup = config.data_as(MemoryData), config.training.warmup_steps
        linear = ridge.Ridge(
            fitted.arrays["weights"], fitted.arrays["intercept"], float(fitted.settings["penalty"] or 0)
        )
        lookback, found = int(fitted.settings["lookback"] or 0), []
        for inputs, truth in _pairs(*data.parts[part], section, lookback, warmup):
            answers, copy = linear.predict(inputs), section.problem == "copy"
            found.append(_repeated(answers, truth, section, warmup) if copy else np.square(answers - truth))
        every = np.concatenate(found)
        if section.problem == "copy":
            errors = {"loss": every[:, 0], "accuracy": every[:, 1]}
        else:
            errors = {"loss": every.reshape(len(data.parts[part][0]), -1).mean(axis=1)}
        return answers_of(self.name, part, data, section, warmup, errors)

    def _sequences(self, data: Problems, section: MemoryData) -> tuple[np.ndarray, np.ndarray]:
        """Return the sequences to fit on: a limited number, drawn as a pass over the training part draws them."""
        if "train" in data.parts:
            inputs, targets = data.parts["train"]
            chosen = sample(np.arange(len(inputs)), max(MOST_STEPS // section.steps, 1))
            return inputs[chosen], targets[chosen]
        most = max(min(MOST_SEQUENCES, 10 * BLOCK // (section.steps * data.inputs)), 100)
        # The training part's own generator, from which nothing else was drawn.
        return draw(np.random.default_rng([section.seed, 0]), min(section.sizes.train, most), section)

    def _lookbacks(self, section: MemoryData) -> list[int]:
        if section.problem != "mackey_glass":
            return [section.steps]
        return [each for each in LOOKBACKS if each <= section.steps] or [section.steps]


def _pairs(inputs: np.ndarray, targets: np.ndarray, section: MemoryData, lookback: int, warmup: int) -> Pairs:
    """Yield inputs and targets of the map, block by block."""
    width = {"adding": 2 * section.steps, "copy": section.keep * (section.alphabet + 2)}
    size = max(BLOCK // width.get(section.problem, section.steps * lookback), 1)
    for start in range(0, len(inputs), size):
        some, wanted = inputs[start : start + size], targets[start : start + size]
        if section.problem == "adding":
            yield _averaged(some), wanted.astype(np.float64)
        elif section.problem == "copy":
            yield _one_hot(some[:, : section.keep], section), _one_hot(wanted[:, -section.keep :], section)
        else:
            # A series is padded with its mean, 0, before its first value.
            values = np.pad(some[:, :, 0], ((0, 0), (lookback - 1, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(values, lookback, axis=1)[:, warmup:]
            yield windows.reshape(-1, lookback), wanted[:, warmup:].reshape(-1, 1)


def _averaged(inputs: np.ndarray) -> np.ndarray:
    """Return all steps in a row: (sequence, input); for very long sequences, the means of stretches."""
    count, steps, columns = inputs.shape
    size = -(-steps * columns // MOST_INPUTS)
    first = np.arange(0, steps, size)
    lengths = np.diff(np.append(first, steps))[:, None]
    found: np.ndarray = (np.add.reduceat(inputs.astype(np.float64), first, axis=1) / lengths).reshape(count, -1)
    return found


def _one_hot(symbols: np.ndarray, section: MemoryData) -> np.ndarray:
    found: np.ndarray = np.eye(section.alphabet + 2)[symbols][:, :, 1:-1].reshape(len(symbols), -1)
    return found


def _repeated(answers: np.ndarray, truth: np.ndarray, section: MemoryData, warmup: int) -> np.ndarray:
    """Return loss and accuracy of each sequence: (sequence, 2). Scores are probabilities, blanks have no loss."""
    shape = (len(answers), section.keep, section.alphabet)
    likely, wanted = np.clip(answers.reshape(shape), LEAST, 1), truth.reshape(shape).argmax(axis=2)
    right = likely.argmax(axis=2) == wanted
    likely /= likely.sum(axis=2, keepdims=True)
    losses = -np.log(np.take_along_axis(likely, wanted[..., None], axis=2)[..., 0])
    counted = losses[:, max(warmup - (section.steps - section.keep), 0) :]  # without the steps of the warm-up
    return np.stack([counted.sum(axis=1) / (section.steps - warmup), right.mean(axis=1)], axis=1)


def baseline(data: Problems, config: TrialConfig, part: Judged) -> dict[str, float]:
    """Return the metrics of the best constant: the mean; for symbols, blanks and then equal probabilities."""
    section, warmup = config.data_as(MemoryData), config.training.warmup_steps
    targets = data.parts[part][1]
    if section.problem == "copy":
        loss = section.keep * float(np.log(section.alphabet)) / (section.steps - warmup)
        return named(loss, 1 / section.alphabet, targets, section)
    mean = 1.0 if section.problem == "adding" else 0.0  # of all possible sums; of the scaled training part
    targets = targets if section.problem == "adding" else targets[:, warmup:]
    return named(float(np.square(targets.astype(np.float64) - mean).mean()), 0.0, targets, section)


RIVALS = (Constant(), Ridge())

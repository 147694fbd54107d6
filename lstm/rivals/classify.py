"""The rivals of the task `classify`: the commonest class, logistic regression and the nearest neighbour."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lstm.config.trial import TrialConfig
from lstm.data.classify import Sequences, batch_of
from lstm.judging.classify import classes, metrics
from lstm.judging.items import Judgement
from lstm.records.epoch import Judged
from lstm.records.windows import mean_metrics
from lstm.rivals.rival import Fitted, LeftOut, rank, sample, sampled

PENALTIES = (100.0, 10.0, 1.0, 0.1)
MOST_NUMBERS = 4_000_000  # most numbers that a regression is fitted on, for up to ten classes; fewer for more classes
WORK = 5 * 10**10  # multiplications for all distances of a part
MOST_KEPT = 100_000_000  # most numbers in the sequences that are compared with
BLOCK = 2**22  # numbers at once
MOST_FLATTENED = 50_000_000  # most numbers that the baseline is fitted on: 400 MB
ITERATIONS = 1_000  # most iterations of a regression
LEAST = float(np.finfo(np.float64).eps)  # the smallest probability of an answer


class Commonest:
    """The rival that always answers the commonest class of the training part."""

    name = "commonest class"
    about = "Always answers the commonest class. Each class has the probability of its share in the training part."
    needs: tuple[str, ...] = ()

    def fit(self, data: Sequences, _: TrialConfig) -> Fitted:
        """Count the training sequences of each class."""
        labels = data.labels[data.parts["train"]]
        shares = (np.bincount(labels, minlength=len(data.targets)) + 1) / (len(labels) + len(data.targets))
        return Fitted(self.name, self.name, {}, {"shares": shares})

    def choose(self, windows: Sequence[Sequences], config: TrialConfig) -> Fitted:
        """Return the fit for the first window, because there is nothing to choose."""
        return self.fit(windows[0], config)

    def refit(self, chosen: Fitted, data: Sequences, config: TrialConfig) -> Fitted:
        """Count the training sequences of each class."""
        return self.fit(data, config)

    def judge(self, fitted: Fitted, data: Sequences, _: TrialConfig, part: Judged) -> Judgement:
        """Judge the same answer to each sequence."""
        likely = np.tile(np.log(fitted.arrays["shares"]), (len(data.parts[part]), 1))
        return classes(self.name, part, data, likely)


class Logistic:
    """Logistic regression, as the baseline is, with a penalty that is chosen on validation."""

    name = "logistic regression"
    about = (
        "Logistic regression on all steps of a sequence at once, padded to the longest sequence. The penalty is "
        "chosen on validation."
    )
    needs: tuple[str, ...] = ()

    def fit(self, data: Sequences, config: TrialConfig) -> Fitted:
        """Fit a regression for each penalty, and keep the best one on validation."""
        found = [
            (rank(self.judge(each, data, config, "validation").metrics, config), -penalty, each)
            for penalty, each in zip(PENALTIES, self._fitted(data, PENALTIES), strict=True)
        ]
        return min(found, key=lambda each: each[:2])[2]

    def choose(self, windows: Sequence[Sequences], config: TrialConfig) -> Fitted:
        """Choose the penalty by the mean over windows, each with fits of its own."""
        judged = [
            [self.judge(each, view, config, "validation").metrics for each in self._fitted(view, PENALTIES)]
            for view in windows
        ]
        ranks = [rank(mean_metrics(each), config) for each in zip(*judged, strict=True)]
        _, penalty = min(zip(ranks, (-penalty for penalty in PENALTIES), strict=True))
        return Fitted(self.name, self.name, {"penalty": -penalty}, {})

    def refit(self, chosen: Fitted, data: Sequences, config: TrialConfig) -> Fitted:
        """Fit a regression with the chosen penalty."""
        [found] = self._fitted(data, [float(chosen.settings["penalty"] or 0)])
        return found

    def _fitted(self, data: Sequences, penalties: Sequence[float]) -> Iterator[Fitted]:
        """Yield the fit for each penalty."""
        train = data.parts["train"]
        chosen = sample(train, 10 * MOST_NUMBERS // (_width(data) * max(len(data.targets), 10)))
        labels = data.labels[chosen]
        if len(np.unique(labels)) < 2:
            raise LeftOut(f"sequences of {_width(data):,} numbers are too long for it")
        inputs, note = flattened(data, chosen), sampled(len(chosen), len(train), "training sequences")
        for penalty in penalties:
            weights, intercept = _for_all(logistic(inputs, labels, penalty), len(data.targets))
            settings = {"penalty": penalty, "sequences": len(chosen)}
            yield Fitted(self.name, self.name, settings, {"weights": weights, "intercept": intercept}, note)

    def judge(self, fitted: Fitted, data: Sequences, _: TrialConfig, part: Judged) -> Judgement:
        """Judge the softmax of the classes' scores."""
        weights, intercept = fitted.arrays["weights"], fitted.arrays["intercept"]
        scores = [rows @ weights.T + intercept for rows in _flattened(data, data.parts[part])]
        return classes(self.name, part, data, softmax(np.concatenate(scores)))


class Nearest:
    """The rival that answers the class of the most similar training sequence."""

    name = "nearest neighbour"
    about = (
        "The class of the nearest training sequence: Euclidean distance over all steps, in the file's units or "
        "standardised, whichever is better on validation."
    )
    needs: tuple[str, ...] = ()

    def fit(self, data: Sequences, config: TrialConfig) -> Fitted:
        """Keep the numbers of the sequences to compare with. The validation part gives the probability of an answer."""
        return self.refit(self.choose([data], config), data, config)

    def choose(self, windows: Sequence[Sequences], config: TrialConfig) -> Fitted:
        """Choose the units by the mean over windows. All windows together give the probability of an answer."""
        found = []
        for original in (False, True):
            wrong = np.concatenate([self._wrong(view, original=original) for view in windows])
            doubt = float((wrong.sum() + 1) / (len(wrong) + 2))  # the share of wrong answers, never 0 or 1
            fitted = Fitted(self.name, self.name, {"doubt": doubt, "original_units": original}, {})
            fits = [self.refit(fitted, view, config) for view in windows]
            pairs = zip(fits, windows, strict=True)
            judged = [self.judge(each, view, config, "validation").metrics for each, view in pairs]
            found.append((rank(mean_metrics(judged), config), original, fitted))
        return min(found, key=lambda each: each[:2])[2]

    def refit(self, chosen: Fitted, data: Sequences, config: TrialConfig) -> Fitted:
        """Compare with the training sequences of other data."""
        kept, train = self._kept(data), data.parts["train"]
        settings = {**chosen.settings, "sequences": len(kept)}
        note = sampled(len(kept), len(train), "training sequences")
        return Fitted(self.name, self.name, settings, {"sequences": kept}, note)

    def _kept(self, data: Sequences) -> np.ndarray:
        """Return the numbers of the sequences to compare with: all training sequences, or a sample."""
        width, judged_at_most = _width(data), max(len(data.parts["validation"]), len(data.parts["test"]))
        most = min(max(WORK // (width * judged_at_most), 1_000), max(MOST_KEPT // width, 1))
        return sample(data.parts["train"], most)

    def _wrong(self, data: Sequences, *, original: bool) -> np.ndarray:
        """Return which answers to the validation part are wrong: (sequence,) bool."""
        labels = data.labels[data.parts["validation"]]
        found: np.ndarray = self._answers(self._kept(data), data, "validation", original=original) != labels
        return found

    def judge(self, fitted: Fitted, data: Sequences, _: TrialConfig, part: Judged) -> Judgement:
        """Judge with answers as likely as they were correct on validation. The other classes share the rest."""
        original, count = bool(fitted.settings["original_units"]), len(data.targets)
        answers = self._answers(fitted.arrays["sequences"], data, part, original=original)
        # The answer stays the likeliest class, however often it is wrong.
        doubt = min(float(fitted.settings["doubt"] or 0), (1 - 1e-6) * (count - 1) / count)
        likely = np.full((len(answers), count), np.log(doubt / (count - 1)))
        likely[np.arange(len(answers)), answers] = np.log1p(-doubt)
        return classes(self.name, part, data, likely)

    def _answers(self, chosen: np.ndarray, data: Sequences, part: Judged, *, original: bool) -> np.ndarray:
        own, unit = data.parts[part], np.ones(data.inputs)
        if original:
            unit = np.array(data.scale.deviation)
        unit = np.tile(unit / unit.max(), data.longest)
        best, found = np.full(len(own), np.inf), np.zeros(len(own), dtype=np.int64)
        place = 0
        for block in _flattened(data, chosen):
            known = block * unit
            labels = data.labels[chosen[place : place + len(known)]]
            place += len(known)
            squares, start = np.square(known).sum(axis=1), 0
            for rows in _flattened(data, own):
                at = slice(start, start + len(rows))
                start += len(rows)
                # The square of the row itself is left out, because it is the same for all neighbours.
                distances = squares - 2 * ((rows * unit) @ known.T)
                nearest = distances.argmin(axis=1)
                least = distances[np.arange(len(rows)), nearest]
                closer = least < best[at]
                best[at], found[at] = np.where(closer, least, best[at]), np.where(closer, labels[nearest], found[at])
        return found


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of the classes from their scores: (sequence, class)."""
    scores = scores - scores.max(axis=1, keepdims=True)
    likely = np.exp(scores)
    found: np.ndarray = np.log(np.maximum(likely / likely.sum(axis=1, keepdims=True), LEAST))
    return found


def _for_all(fitted: object, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and intercept for each class.

    scikit-learn has one score for two classes, and none for a class without a sequence in the sample.
    """
    weights, intercept = np.asarray(fitted.coef_), np.asarray(fitted.intercept_)  # type: ignore[attr-defined]
    seen: np.ndarray = np.asarray(fitted.classes_)  # type: ignore[attr-defined]
    if len(seen) == 2:
        weights, intercept = np.concatenate([0 * weights, weights]), np.concatenate([0 * intercept, intercept])
    every = np.zeros((classes, weights.shape[1])), np.full(classes, -1e3)
    every[0][seen], every[1][seen] = weights, intercept
    return every


def _width(data: Sequences) -> int:
    return data.longest * data.inputs


def _flattened(data: Sequences, chosen: np.ndarray) -> Iterator[np.ndarray]:
    size = max(min(BLOCK // _width(data), 2**11), 1)  # so that two blocks have at most 2**22 distances, too
    for start in range(0, len(chosen), size):
        yield flattened(data, chosen[start : start + size])


def baseline(data: Sequences, part: Judged) -> dict[str, float]:
    """Return the metrics of logistic regression on all steps at once, fitted on the training part.

    The result is empty if the sequences, padded to the longest, are too large for it.
    """
    if not fits(data):
        return {}
    train, chosen = data.parts["train"], data.parts[part]
    fitted = logistic(flattened(data, train), data.labels[train])
    likely = np.maximum(fitted.predict_proba(flattened(data, chosen)), LEAST)
    return metrics(np.log(likely), data.labels[chosen])


def logistic(inputs: np.ndarray, labels: np.ndarray, penalty: float = 1.0) -> Any:
    """Fit scikit-learn's logistic regression to inputs (sequence, number) and labels (sequence,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=1 / penalty, max_iter=ITERATIONS).fit(inputs, labels)


def fits(data: Sequences) -> bool:
    """Return whether the sequences, padded to the longest, are small enough for the baseline."""
    return len(data.labels) * data.longest * data.inputs <= MOST_FLATTENED


def flattened(data: Sequences, chosen: np.ndarray) -> np.ndarray:
    """Return sequences padded to the longest of all, with all steps in a row: (sequence, longest * column)."""
    values = batch_of(data, chosen)[0]
    room = np.zeros((len(chosen), data.longest, data.inputs))
    room[:, : values.shape[1]] = values
    return room.reshape(len(chosen), -1)


RIVALS = (Commonest(), Logistic(), Nearest())

"""The rival for `classify` from the extra `rivals`: ridge on random kernels (MiniRocket, Dempster et al. 2021)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lstm.config.trial import TrialConfig
from lstm.data.classify import Sequences
from lstm.judging.classify import classes, metrics
from lstm.judging.items import Judgement
from lstm.records.epoch import Judged
from lstm.records.windows import mean_metrics
from lstm.rivals.classify import flattened, softmax
from lstm.rivals.rival import SEED, Fitted, rank, sample, sampled

KERNELS = 10_000
SHORTEST = 9  # steps that a kernel needs
MOST_SEQUENCES = 2_500  # most sequences that are fitted on
MOST_NUMBERS = 50_000_000  # most numbers in these sequences
PENALTIES = tuple(10.0**power for power in range(-2, 5))
SHARPNESS = (1.0, 2.0, 4.0, 8.0, 16.0)  # factors of the scores before a softmax makes probabilities
BLOCK = 500  # sequences at once: each has one feature per kernel
NAMES = ("channels_in", "channels", "dilations", "features", "biases")


class Kernels:
    """Ridge regression on shares of positive values after ten thousand convolutions."""

    name = "random kernels"
    about = (
        "Ridge regression on the features of 10,000 random convolution kernels (MiniRocket). The penalty is chosen on "
        "validation."
    )
    needs: tuple[str, ...] = ("sktime", "numba")

    def fit(self, data: Sequences, config: TrialConfig) -> Fitted:
        """Fit the kernels' biases and the ridge to the training part. Validation chooses penalty and sharpness."""
        return self._chosen([data], config)

    def choose(self, windows: Sequence[Sequences], config: TrialConfig) -> Fitted:
        """Choose penalty and sharpness by the mean over windows, each with fits of its own."""
        return replace(self._chosen(windows, config), arrays={})

    def refit(self, chosen: Fitted, data: Sequences, config: TrialConfig) -> Fitted:
        """Fit the kernels' biases and the ridge with the chosen penalty; the sharpness is kept."""
        settings = chosen.settings
        [found] = self._fitted(data, [float(settings["penalty"] or 0)])
        return replace(found, settings={**found.settings, "sharpness": settings["sharpness"]})

    def _chosen(self, windows: Sequence[Sequences], config: TrialConfig) -> Fitted:
        """Return the fit for the last window, with the penalty and sharpness that are best by the mean over windows."""
        fits: list[Fitted] = []
        judged: list[list[Mapping[str, float]]] = []
        for view in windows:
            fits = list(self._fitted(view, PENALTIES))
            labels = view.labels[view.parts["validation"]]
            asked = _features(view, view.parts["validation"], _kernels(fits[0]))
            scores = [asked @ each.arrays["weights"] + each.arrays["intercept"] for each in fits]
            judged.append([metrics(softmax(by * each), labels) for each in scores for by in SHARPNESS])
        settings = [(-penalty, by, each) for penalty, each in zip(PENALTIES, fits, strict=True) for by in SHARPNESS]
        ranks = [rank(mean_metrics(each), config) for each in zip(*judged, strict=True)]
        key = min((figure, *each[:2]) for figure, each in zip(ranks, settings, strict=True))
        best = next(each for penalty, by, each in settings if (penalty, by) == key[1:])
        return replace(best, settings={**best.settings, "sharpness": key[2]})

    def _fitted(self, data: Sequences, penalties: Sequence[float]) -> Iterator[Fitted]:
        """Yield the fit for each penalty, without a sharpness."""
        from sktime.transformations.panel.rocket import MiniRocketMultivariate

        train, width = data.parts["train"], max(data.longest, SHORTEST) * data.inputs
        chosen = sample(train, max(min(MOST_SEQUENCES, MOST_NUMBERS // width), 1))
        made = MiniRocketMultivariate(KERNELS, random_state=SEED).fit(_panel(data, chosen))
        kernels = dict(zip(NAMES, made.parameters, strict=True))
        features, wanted = _features(data, chosen, kernels), 2.0 * np.eye(len(data.targets))[data.labels[chosen]] - 1
        means = features.mean(axis=0), wanted.mean(axis=0)
        centred = features - means[0]
        # There are more features than sequences, so the weights are a weighted sum of the sequences.
        values, vectors = np.linalg.eigh(centred @ centred.T)
        turned = vectors.T @ (wanted - means[1])
        note = sampled(len(chosen), len(train), "training sequences")
        for penalty in penalties:
            weights = centred.T @ (vectors @ (turned / (np.maximum(values, 0) + penalty)[:, None]))
            arrays = {**kernels, "weights": weights, "intercept": means[1] - means[0] @ weights}
            settings = {"penalty": penalty, "sequences": len(chosen)}
            yield Fitted(self.name, self.name, settings, arrays, note)

    def judge(self, fitted: Fitted, data: Sequences, _: TrialConfig, part: Judged) -> Judgement:
        """Judge the softmax of the classes' scores."""
        features = _features(data, data.parts[part], _kernels(fitted))
        scores = features @ fitted.arrays["weights"] + fitted.arrays["intercept"]
        return classes(self.name, part, data, softmax(float(fitted.settings["sharpness"] or 1) * scores))


def _kernels(fitted: Fitted) -> dict[str, np.ndarray]:
    return {name: fitted.arrays[name] for name in NAMES}


def _panel(data: Sequences, chosen: np.ndarray) -> np.ndarray:
    """Return sequences padded as for logistic regression: (sequence, column, step), float32."""
    steps = flattened(data, chosen).reshape(len(chosen), data.longest, data.inputs)
    short = max(SHORTEST - data.longest, 0)
    found: np.ndarray = np.pad(steps, ((0, 0), (0, short), (0, 0))).transpose(0, 2, 1).astype(np.float32)
    return found


def _features(data: Sequences, chosen: np.ndarray, kernels: dict[str, np.ndarray]) -> np.ndarray:
    from sktime.transformations.panel.rocket import MiniRocketMultivariate

    made = MiniRocketMultivariate(KERNELS, random_state=SEED)
    made.fit(_panel(data, chosen[:1]))
    made.parameters = tuple(kernels[name] for name in NAMES)
    blocks = (chosen[start : start + BLOCK] for start in range(0, len(chosen), BLOCK))
    return np.concatenate([np.asarray(made.transform(_panel(data, some)), dtype=np.float64) for some in blocks])


RIVALS = (Kernels(),)

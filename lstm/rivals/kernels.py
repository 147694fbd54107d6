"""The rival for `classify` from the extra `rivals`: ridge on random kernels (MiniRocket, Dempster et al. 2021)."""

import numpy as np

from lstm.config.trial import TrialConfig
from lstm.data.classify import Sequences
from lstm.judging.classify import classes, metrics
from lstm.judging.items import Judgement
from lstm.records.epoch import Judged
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
        asked, found = _features(data, data.parts["validation"], kernels), []
        labels = data.labels[data.parts["validation"]]
        for penalty in PENALTIES:
            weights = centred.T @ (vectors @ (turned / (np.maximum(values, 0) + penalty)[:, None]))
            intercept = means[1] - means[0] @ weights
            for sharpness in SHARPNESS:
                figures = metrics(softmax(sharpness * (asked @ weights + intercept)), labels)
                found.append((rank(figures, config), -penalty, sharpness, weights, intercept))
        _, penalty, sharpness, weights, intercept = min(found, key=lambda each: each[:3])
        arrays = {**kernels, "weights": weights, "intercept": intercept}
        settings = {"penalty": -penalty, "sharpness": sharpness, "sequences": len(chosen)}
        return Fitted(self.name, self.name, settings, arrays, sampled(len(chosen), len(train), "training sequences"))

    def judge(self, fitted: Fitted, data: Sequences, _: TrialConfig, part: Judged) -> Judgement:
        """Judge the softmax of the classes' scores."""
        features = _features(data, data.parts[part], {name: fitted.arrays[name] for name in NAMES})
        scores = features @ fitted.arrays["weights"] + fitted.arrays["intercept"]
        return classes(self.name, part, data, softmax(float(fitted.settings["sharpness"] or 1) * scores))


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

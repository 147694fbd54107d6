"""The rivals of the task `video`: frames that need no network, constant, moved on, or a linear map of each pixel."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from lstm.config.trial import TrialConfig
from lstm.config.video import VideoTraining
from lstm.data.video import Frames
from lstm.judging.items import Judgement
from lstm.judging.video import cross_entropy, judged, squared
from lstm.records.epoch import Judged
from lstm.rivals.rival import Fitted, LeftOut, rank, sample, sampled

BLOCK = 2**23  # numbers at once
LAGS = (1, 2, 3, 4)  # steps between the two frames whose shift is measured
FAINT = 1e-6  # share of the strongest frequency up to which one is nothing but rounding errors of float32
PEAK_DIGITS = 9  # after the point, of a correlation: peaks that differ by less are equal
PENALTIES = tuple(10.0**power for power in range(-6, 3, 2))  # per pixel
MOST_ITEMS = 20_000  # items that a mean frame and a map are fitted on
OF = "training items"


class _Rule:
    """What the rivals share: each makes frames from a look-back, and is judged by them."""

    name: str
    about: str
    needs: tuple[str, ...] = ()

    def fit(self, data: Frames, config: TrialConfig) -> Fitted:
        """Return the rule, which has nothing to fit."""
        return Fitted(self.name, self.name, {}, {})

    def frames(self, fitted: Fitted, past: np.ndarray, horizon: int) -> np.ndarray:
        """Return forecasts (item, horizon, channel, height, width) from look-backs (item, time, …), between 0 and 1."""
        raise NotImplementedError

    def judge(self, fitted: Fitted, data: Frames, config: TrialConfig, part: Judged) -> Judgement:
        """Judge the frames item by item."""
        own = data.parts[part]
        return judged(fitted.title, part, own, _judged(self, fitted, data, config, own))


class LastFrame(_Rule):
    """The baseline: the last frame, repeated."""

    name = "last frame"
    about = "The last frame that the network sees, repeated."

    def frames(self, fitted: Fitted, past: np.ndarray, horizon: int) -> np.ndarray:
        """Repeat the last frame."""
        return np.repeat(past[:, -1:], horizon, axis=1)


class BlackFrame(_Rule):
    """A black frame, which is hard to beat where little of a frame is bright."""

    name = "black frame"
    about = "A frame with the lowest value everywhere."

    def frames(self, fitted: Fitted, past: np.ndarray, horizon: int) -> np.ndarray:
        """Return black frames."""
        return np.zeros((len(past), horizon, *past.shape[2:]), dtype=np.float32)


class MeanFrame(_Rule):
    """The mean frame of the training part: of all constant frames the one with the least squared error."""

    name = "mean frame"
    about = "The mean of all frames to forecast in the training part."

    def fit(self, data: Frames, config: TrialConfig) -> Fitted:
        """Average the frames to forecast of the training part, or of a sample."""
        train = data.parts["train"]
        chosen = sample(train, MOST_ITEMS)
        sums = sum(ahead.mean(axis=1).sum(axis=0, dtype=np.float64) for _, ahead in _blocks(data, chosen))
        mean = np.asarray(sums / len(chosen), dtype=np.float32)
        return Fitted(self.name, self.name, {}, {"mean": mean}, sampled(len(chosen), len(train), OF))

    def frames(self, fitted: Fitted, past: np.ndarray, horizon: int) -> np.ndarray:
        """Return the mean frame."""
        return np.broadcast_to(fitted.arrays["mean"], (len(past), horizon, *past.shape[2:]))


class Shift(_Rule):
    """The last motion, gone on: the last frame, moved on by the shift between it and an earlier one.

    The shift is measured by phase correlation (Kuglin & Hines, 1975). What comes in at a border is black.
    """

    name = "shift"
    about = (
        "The last frame, moved on by the shift between it and an earlier one, found by phase correlation. How many "
        "steps earlier is chosen on validation."
    )

    def fit(self, data: Frames, config: TrialConfig) -> Fitted:
        """Choose the number of steps over which the shift is measured.

        Raises:
            LeftOut: one frame has no motion.
        """
        lags = [lag for lag in LAGS if lag < data.lookback]
        if not lags:
            raise LeftOut("the look-back has one frame, which has no motion")
        found = [self._of(lag) for lag in lags]
        return min(found, key=lambda each: rank(self.judge(each, data, config, "validation").metrics, config))

    def _of(self, lag: int) -> Fitted:
        return Fitted(self.name, f"shift over {lag} step{'s' * (lag > 1)}", {"lag": lag}, {})

    def frames(self, fitted: Fitted, past: np.ndarray, horizon: int) -> np.ndarray:
        """Move the last frame on."""
        lag = int(fitted.settings["lag"] or 1)
        last = past[:, -1]
        speed = shifts(*(each.sum(axis=1, dtype=np.float64) for each in (past[:, -1 - lag], last))) / lag
        moves = np.round(speed[:, None] * np.arange(1, horizon + 1)[None, :, None]).astype(int)  # (item, step, 2)
        found = np.zeros((len(past), horizon, *last.shape[1:]), dtype=np.float32)
        for item, each in enumerate(moves):
            for step, (down, right) in enumerate(each):
                found[item, step] = moved(last[item], int(down), int(right))
        return found


def shifts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return by how many rows and columns frames have moved, by phase correlation: (frame, 2) int64.

    Frames are (frame, height, width) in float64. The shift is where the inverse transform of the cross-power spectrum
    is largest. A frequency that is nothing but rounding errors would have the weight of any other: it has none here.
    """
    spectrum = _heard(np.fft.rfft2(after)) * np.conj(_heard(np.fft.rfft2(before)))
    size, sides = np.abs(spectrum), before.shape[1:]
    phases = np.divide(spectrum, size, out=np.zeros_like(spectrum), where=size > 0)
    heights = np.fft.irfft2(phases, s=sides).reshape(len(before), -1)
    peaks = np.round(heights, PEAK_DIGITS).argmax(axis=1)  # of equal peaks the first
    found = np.stack(np.unravel_index(peaks, sides), axis=1)
    half = (np.array(sides) + 1) // 2
    wrapped: np.ndarray = np.where(found >= half, found - np.array(sides), found)
    return wrapped


def _heard(spectrum: np.ndarray) -> np.ndarray:
    """Return spectra (frame, row, column) without the frequencies that are 0 but for rounding errors of the frames."""
    size = np.abs(spectrum)
    found: np.ndarray = np.where(size > FAINT * size.max(axis=(1, 2), keepdims=True), spectrum, 0)
    return found


def moved(frame: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return a frame (channel, height, width) moved by rows and columns; what comes in is black."""
    found, (height, width) = np.zeros_like(frame), frame.shape[1:]
    if abs(down) >= height or abs(right) >= width:
        return found
    to_rows, rows = slice(max(down, 0), height + min(down, 0)), slice(max(-down, 0), height + min(-down, 0))
    to_columns, columns = slice(max(right, 0), width + min(right, 0)), slice(max(-right, 0), width + min(-right, 0))
    found[:, to_rows, to_columns] = frame[:, rows, columns]
    return found


class Ridge(_Rule):
    """A linear map of each pixel's look-back, and of its mean in the training part, the same for all pixels."""

    name = "ridge"
    about = (
        "Ridge regression of each pixel's next steps on its look-back and its mean in the training part, with the same "
        "weights for all pixels. The penalty is chosen on validation."
    )

    def fit(self, data: Frames, config: TrialConfig) -> Fitted:
        """Fit a map for each penalty on the training part, or on a sample, and choose one on validation."""
        train = data.parts["train"]
        chosen = sample(train, MOST_ITEMS)
        mean = MeanFrame().fit(data, config).arrays["mean"]
        inputs, outputs = data.lookback + 2, data.horizon
        squares, products, count = np.zeros((inputs, inputs)), np.zeros((inputs, outputs)), 0
        for past, ahead in _blocks(data, chosen):
            given = _given(past, mean)
            squares += given.T @ given
            products += given.T @ _by_pixel(ahead)
            count += len(given)
        free = np.diag([1.0] * (inputs - 1) + [0.0])  # the intercept is not shrunk
        note = sampled(len(chosen), len(train), OF)
        found = [
            Fitted(
                self.name,
                f"ridge on {data.lookback} steps",
                {"penalty": penalty},
                {
                    "weights": np.linalg.lstsq(squares / count + penalty * free, products / count, rcond=None)[0],
                    "mean": mean,
                },
                note,
            )
            for penalty in PENALTIES
        ]
        return min(found, key=lambda each: rank(self.judge(each, data, config, "validation").metrics, config))

    def frames(self, fitted: Fitted, past: np.ndarray, horizon: int) -> np.ndarray:
        """Map each pixel's look-back."""
        made = _given(past, fitted.arrays["mean"]) @ fitted.arrays["weights"]  # (item * pixel, step)
        frames = np.moveaxis(made.reshape(len(past), *past.shape[2:], horizon), -1, 1)
        found: np.ndarray = np.clip(frames, 0, 1).astype(np.float32)
        return found


def _given(past: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return each pixel's look-back, its mean and 1: (item * pixel, time + 2) float64."""
    by_pixel = _by_pixel(past)
    means = np.broadcast_to(mean, (len(past), *mean.shape)).reshape(-1, 1)
    return np.concatenate([by_pixel, means, np.ones_like(means)], axis=1)


def _by_pixel(frames: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.moveaxis(frames.astype(np.float64), 1, -1).reshape(-1, frames.shape[1])
    return found


def _blocks(data: Frames, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    size = max(BLOCK // (data.steps * data.pixels), 1)
    for start in range(0, len(chosen), size):
        yield data.items(chosen[start : start + size])


def _judged(
    rule: _Rule, fitted: Fitted, data: Frames, config: TrialConfig, chosen: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    losses = loss_of(config)
    for past, ahead in _blocks(data, chosen):
        made = rule.frames(fitted, past, data.horizon)
        yield made, ahead, losses(made, ahead)


def loss_of(config: TrialConfig) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return what computes a configuration's loss of each item from forecasts and truth."""
    assert isinstance(config.training, VideoTraining)
    return cross_entropy if config.training.loss == "cross_entropy" else squared


def baseline(data: Frames, config: TrialConfig, part: Judged) -> dict[str, float]:
    """Return the metrics of the last frame."""
    rule = LastFrame()
    return dict(rule.judge(rule.fit(data, config), data, config, part).metrics)


def best(data: Frames, config: TrialConfig) -> tuple[str, Callable[[np.ndarray], np.ndarray], Mapping[str, float]]:
    """Return the rival that is best on validation: title, what makes its frames, and its metrics on the test part."""
    fitted = []
    for rule in RIVALS:
        try:
            fitted.append((rule, rule.fit(data, config)))
        except LeftOut:
            continue
    rule, chosen = min(
        fitted, key=lambda each: rank(each[0].judge(each[1], data, config, "validation").metrics, config)
    )
    metrics = rule.judge(chosen, data, config, "test").metrics
    return chosen.title, lambda past: rule.frames(chosen, past, data.horizon), metrics


RIVALS: tuple[_Rule, ...] = (LastFrame(), BlackFrame(), MeanFrame(), Shift(), Ridge())

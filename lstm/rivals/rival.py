"""The interface of rivals: how a rival is fitted, kept and judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lstm.config.trial import TrialConfig
from lstm.judging.items import Judgement
from lstm.records.epoch import Judged
from lstm.records.objective import Scalar, sort_key

SEED = 0  # of samples: the rivals are the same for all trials


class LeftOut(Exception):
    """A rival was not fitted. The message is the reason, for people."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted rival. It can be written to a file, and read again without running code."""

    name: str
    title: str  # the name with what was chosen: "ridge on 104 changes"
    settings: Mapping[str, Scalar]
    arrays: Mapping[str, np.ndarray]
    note: str = ""  # what people should know about the fit: a sample, a limit


class Rival(Protocol):
    """One rival of a task."""

    @property
    def name(self) -> str:
        """The name. It never changes, because names in MLflow and in files contain it."""
        ...

    @property
    def about(self) -> str:
        """One or two sentences that explain the rival."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """The packages of the extra `rivals` that the rival imports. A rival without any always runs."""
        ...

    def fit(self, data: Any, config: TrialConfig, /) -> Fitted:
        """Fit the rival to the training part. Its settings are chosen on the validation part.

        Raises:
            LeftOut: the rival makes no sense with these data.
        """
        ...

    def judge(self, fitted: Fitted, data: Any, config: TrialConfig, part: Judged, /) -> Judgement:
        """Judge the fitted rival on the same items of a part as a network."""
        ...


@runtime_checkable
class Forecasting(Rival, Protocol):
    """A rival that can also forecast new data."""

    def forecast(self, fitted: Fitted, past: np.ndarray, ahead: np.ndarray, /) -> np.ndarray:
        """Return scaled forecasts (window, step, target) from look-backs of `fitted.settings["lookback"]` steps.

        `past` has the scaled look-backs (window, step, column), `ahead` the values known over the horizon (window,
        step, future column).
        """
        ...


@runtime_checkable
class Windowed(Rival, Protocol):
    """A rival that can be judged over the windows of a backtest."""

    def choose(self, windows: Sequence[Any], config: TrialConfig, /) -> Fitted:
        """Choose the settings that are best by the mean over the windows; `refit` takes them from `settings`.

        `windows` are the data as each window has them: its validation part is the window.

        Raises:
            LeftOut: the rival makes no sense with these data.
        """
        ...

    def refit(self, chosen: Fitted, data: Any, config: TrialConfig, /) -> Fitted:
        """Fit the rival to the training part of other data, with the settings that were chosen."""
        ...


def rank(metrics: Mapping[str, float], config: TrialConfig) -> tuple[float, float]:
    """Return the key that sorts candidates on validation, the best first: by the search's metric, then by the loss."""
    loss, metric = sort_key(metrics["loss"], "minimize"), config.metric.removeprefix("val/")
    return (sort_key(metrics[metric], config.direction) if metric in metrics else loss, loss)


def sample(numbers: np.ndarray, most: int) -> np.ndarray:
    """Draw at most `most` of the numbers from a fixed seed, in their order."""
    if len(numbers) <= most:
        return numbers
    chosen = np.random.default_rng(SEED).choice(len(numbers), most, replace=False)
    return numbers[np.sort(chosen)]


def sampled(used: int, of: int, what: str) -> str:
    """Return the note about a sample, "" if all were used."""
    return f"fitted on {used:,} of {of:,} {what}, drawn by lot" if used < of else ""

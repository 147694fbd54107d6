"""What every rival has: how it is fitted, what of it is kept, how it is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lstm.config.trial import TrialConfig
from lstm.judging.items import Judgement
from lstm.records.epoch import Judged
from lstm.records.objective import Scalar, sort_key

SEED = 0  # of samples: whatever a trial draws, its rivals are the same


class LeftOut(Exception):
    """Why a rival was not fitted, in a sentence for people."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """All that is kept of a fitted rival: it can be written, and read again without running code."""

    name: str
    title: str  # with what it chose: "ridge on 104 changes"
    settings: Mapping[str, Scalar]
    arrays: Mapping[str, np.ndarray]
    note: str = ""  # what people should know of the fit: a sample, a limit


class Rival(Protocol):
    """One rival of a task."""

    @property
    def name(self) -> str:
        """Stable: a part of names in MLflow and in files."""
        ...

    @property
    def about(self) -> str:
        """What it is, in a sentence."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages of the extra `rivals` that it imports; it always runs where there are none."""
        ...

    def fit(self, data: Any, config: TrialConfig, /) -> Fitted:
        """Fits to the training part; what may be chosen is chosen on validation.

        Raises:
            LeftOut: it makes no sense with these data.
        """
        ...

    def judge(self, fitted: Fitted, data: Any, config: TrialConfig, part: Judged, /) -> Judgement:
        """Judges on all that a network is judged on."""
        ...


@runtime_checkable
class Forecasting(Rival, Protocol):
    """A rival that forecasts what nobody knows yet, too."""

    def forecast(self, fitted: Fitted, past: np.ndarray, ahead: np.ndarray, /) -> np.ndarray:
        """Scaled forecasts (window, step, target) from look-backs of `fitted.settings["lookback"]` steps.

        `past` is (window, step, column), `ahead` what is known of the horizon: (window, step, future column).
        """
        ...


def rank(metrics: Mapping[str, float], config: TrialConfig) -> tuple[float, float]:
    """What candidates are ordered by on validation, the best first: by the metric searched for, then by the loss."""
    loss, metric = sort_key(metrics["loss"], "minimize"), config.metric.removeprefix("val/")
    return (sort_key(metrics[metric], config.direction) if metric in metrics else loss, loss)


def sample(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most so many of some numbers, by lot from a fixed seed, in their order."""
    if len(numbers) <= most:
        return numbers
    chosen = np.random.default_rng(SEED).choice(len(numbers), most, replace=False)
    return numbers[np.sort(chosen)]


def sampled(used: int, of: int, what: str) -> str:
    """The note of a sample; empty where all were used."""
    return f"fitted on {used:,} of {of:,} {what}, drawn by lot" if used < of else ""

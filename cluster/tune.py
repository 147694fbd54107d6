"""Hands a sweep to Ray Tune: its searcher, scheduler and stopper over a bridge."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray import tune as ray_tune
from ray.tune import Callback, Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cluster import scratch
from cluster.bridge import Bridge
from cluster.trial import TrialActor
from lstm.checkpoint import Dataset


def tune(bridge: Bridge, series: Dataset, name: str, resources: Mapping[str, float]) -> None:
    """Runs trials until the bridge has no more or the end is asked for.

    Args:
        bridge: Says what to run.
        series: The data, put into Ray's object store once.
        name: The sweep's.
        resources: What a trial takes, `cpu` and `gpu`.
    """
    # Every slot's actor may start at once; how many trials are asked for is the bridge's to limit.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "1000000"
    # It would complain that Tune's own loggers, which are off, wrote nothing.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
    with scratch.folder() as folder:
        ray_tune.run(
            ray_tune.with_resources(ray_tune.with_parameters(TrialActor, series=series), dict(resources)),
            name=name,
            search_alg=StudySearcher(bridge),
            scheduler=StudyScheduler(bridge),
            stop=StudyStopper(bridge),
            callbacks=[Births(bridge)],
            num_samples=-1,
            reuse_actors=True,
            max_failures=0,
            raise_on_failed_trial=False,
            storage_path=str(folder),
            verbose=0,
        )


class StudySearcher(Searcher):  # type: ignore[misc] # Ray ships no types
    """Tune's searcher over a bridge."""

    def __init__(self, bridge: Bridge) -> None:
        """Wraps the bridge."""
        super().__init__()
        self._bridge = bridge

    def suggest(self, trial_id: str) -> Any:
        """The next config, None or FINISHED."""
        return self._bridge.suggest(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial has ended or its actor was lost."""
        self._bridge.complete(trial_id, result, error=error)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the study is the state."""


class StudyScheduler(FIFOScheduler):  # type: ignore[misc] # Ray ships no types
    """Tune's scheduler over a bridge: Optuna's pruner decides."""

    def __init__(self, bridge: Bridge) -> None:
        """Wraps the bridge."""
        super().__init__()
        self._bridge = bridge

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Goes on, or stops the trial."""
        stop = self._bridge.result(trial.trial_id, result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Tells the bridge what Ray said of a lost actor."""
        said = ""
        with suppress(OSError):  # `get_error` looks where it is copied to later
            said = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        self._bridge.error(trial.trial_id, said)


class Births(Callback):  # type: ignore[misc] # Ray ships no types
    """Tells a bridge whose worker lives."""

    def __init__(self, bridge: Bridge) -> None:
        """Wraps the bridge."""
        self._bridge = bridge

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """A trial's actor was made, or has taken it."""
        self._bridge.born(trial.trial_id)


class StudyStopper(Stopper):  # type: ignore[misc] # Ray ships no types
    """Ends Tune's loop when the sweep is to end."""

    def __init__(self, bridge: Bridge) -> None:
        """Wraps the bridge, which knows where the end is asked for."""
        self._bridge = bridge

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, for Tune's state, which nobody reads: the study is the state."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stops a single trial."""
        return False

    def stop_all(self) -> bool:
        """Whether the sweep is to end; then no actor is waited for."""
        if not self._bridge.stop.reason:
            return False
        self._bridge.let_go()
        return True

"""Run a sweep with Ray Tune: Tune's searcher, scheduler and stopper over a controller."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray import tune as ray_tune
from ray.exceptions import OutOfMemoryError
from ray.tune import Callback, ProgressReporter, Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cluster.controller import TrialController
from cluster.protocol import FINISHED
from cluster.ray_backend import private_patches, scratch
from cluster.ray_backend.actor import TrialActor
from lstm.data.dataset import Dataset
from lstm.own_code import Carried, is_reference


def tune(controller: TrialController, series: Dataset, name: str, resources: Mapping[str, float]) -> None:
    """Run trials until the controller has no more or the end is asked for.

    Args:
        controller: Says what to run.
        series: The data, put into Ray's object store once.
        name: The sweep's name.
        resources: What a trial takes: `cpu` and `gpu`.
    """
    private_patches.quiet_tune()
    while True:
        try:
            _run(controller, series, name, resources)
            return
        except Exception as error:  # Tune may wrap an error in its own
            if not isinstance(error, OutOfMemoryError) and not isinstance(error.__cause__, OutOfMemoryError):
                raise
            controller.restart(str(error.__cause__ or error))


def _run(controller: TrialController, series: Dataset, name: str, resources: Mapping[str, float]) -> None:
    # Our own data is in the object store once for all workers of a host; a user's classes need the user's file first.
    is_own = is_reference(controller.order.get("task"))
    given: Any = Carried(series, controller.order["code"]) if is_own else series
    with scratch.folder() as folder, private_patches.withheld_keys():
        ray_tune.run(
            ray_tune.with_resources(ray_tune.with_parameters(TrialActor, series=given), dict(resources)),
            name=name,
            search_alg=StudySearcher(controller),
            scheduler=StudyScheduler(controller),
            stop=StudyStopper(controller),
            callbacks=[Births(controller)],
            num_samples=-1,
            reuse_actors=True,
            max_failures=0,
            raise_on_failed_trial=False,
            progress_reporter=Silent(),
            storage_path=str(folder),
            verbose=0,
        )


class Silent(ProgressReporter):  # type: ignore[misc] # Ray ships no types
    """A silent reporter. In a notebook Tune's own reporter clears what the cell has shown, and shows a table."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        """Return False: never report."""
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: dict[str, Any]) -> None:
        """Do nothing."""


class StudySearcher(Searcher):  # type: ignore[misc] # Ray ships no types
    """A searcher of Tune over a controller."""

    def __init__(self, controller: TrialController) -> None:
        """Wrap the controller."""
        super().__init__()
        self._controller = controller

    def suggest(self, trial_id: str) -> Any:
        """Return the next order, None or FINISHED."""
        config = self._controller.suggest(trial_id)
        return Searcher.FINISHED if config == FINISHED else config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the controller that a trial has ended or that its actor was lost."""
        self._controller.complete(trial_id, result, error=error)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Do nothing: the study is the state."""


class StudyScheduler(FIFOScheduler):  # type: ignore[misc] # Ray ships no types
    """A scheduler of Tune over a controller: Optuna's pruner decides."""

    def __init__(self, controller: TrialController) -> None:
        """Wrap the controller."""
        super().__init__()
        self._controller = controller

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return CONTINUE, or STOP to end the trial."""
        stop = self._controller.result(trial.trial_id, result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Tell the controller what Ray said about a lost actor."""
        said = ""
        with suppress(OSError):  # `trial.get_error` reads a copy that is made later
            said = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        self._controller.error(trial.trial_id, said)


class Births(Callback):  # type: ignore[misc] # Ray ships no types
    """A callback that tells the controller which trials have a living worker."""

    def __init__(self, controller: TrialController) -> None:
        """Wrap the controller."""
        self._controller = controller

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Tell the controller that a trial's actor was made, or has taken the trial."""
        self._controller.born(trial.trial_id)


class StudyStopper(Stopper):  # type: ignore[misc] # Ray ships no types
    """A stopper that ends Tune's loop when the sweep is to end."""

    def __init__(self, controller: TrialController) -> None:
        """Wrap the controller, which knows whether the end is asked for."""
        self._controller = controller

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing for Tune's saved state, which nobody reads: the study is the state."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: never stop a single trial."""
        return False

    def stop_all(self) -> bool:
        """Return whether the sweep is to end; if so, kill the workers, so that Tune waits for none."""
        if not self._controller.stop.reason:
            return False
        self._controller.let_go()
        return True

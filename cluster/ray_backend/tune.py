"""Run a sweep with Ray Tune: Tune's searcher, scheduler and stopper over a controller."""

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune as ray_tune
from ray.exceptions import OutOfMemoryError
from ray.tune import Callback, ProgressReporter, Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cluster.config import ResourcesConfig
from cluster.controller import TrialController
from cluster.protocol import FINISHED, Failure
from cluster.ray_backend import private_patches, scratch
from cluster.ray_backend.actor import ActorHandle, TrialActor
from cluster.ray_backend.admission import Admission, Seen, placing
from cluster.ray_backend.demand import Demand, kept_asking, most_at_once
from cluster.ray_backend.room import Growth
from lstm.data.dataset import Dataset
from lstm.own_code import Carried, is_reference


@dataclass(frozen=True, slots=True)
class Place:
    """Where trials run, and what each of them takes."""

    resources: ResourcesConfig
    gpus_per_trial: float
    admission: Admission | None = None  # the nodes of a cluster; None for a local Ray, which has one
    growth: Growth | None = None  # what the cluster may become; None if it has no autoscaler


def tune(controller: TrialController, series: Dataset, name: str, place: Place) -> None:
    """Run trials until the controller has no more or the end is asked for.

    Args:
        controller: Says what to run.
        series: The data, put into Ray's object store once.
        name: The sweep's name.
        place: Where.
    """
    private_patches.quiet_tune()
    with _growing(controller, place) if place.growth else nullcontext():
        while True:
            try:
                _run(controller, series, name, place)
                return
            except Exception as error:  # Tune may wrap an error in its own
                if not isinstance(error, OutOfMemoryError) and not isinstance(error.__cause__, OutOfMemoryError):
                    raise
                controller.restart(str(error.__cause__ or error))


def _growing(controller: TrialController, place: Place) -> Any:
    """Ask the autoscaler for what trials lack that run or wait, as a context manager."""
    import ray

    growth, nodes = place.growth, place.admission
    assert growth is not None
    assert nodes is not None

    def missing() -> int:
        if nodes.is_hopeless:
            return 0
        live = _live(controller)
        wanted = min(live + controller.queue.count, most_at_once(ray, place.resources, place.gpus_per_trial, growth))
        return wanted - max(live, nodes.slots())  # each live trial has or asks for its place

    return kept_asking(Demand(ray, place.resources.cpus_per_trial, place.gpus_per_trial), missing)


def _live(controller: TrialController) -> int:
    return sum(not each.ended for each in controller.live.values())


def _run(controller: TrialController, series: Dataset, name: str, place: Place) -> None:
    # Our own data is in the object store once for all workers of a host; a user's classes need the user's file first.
    is_own = is_reference(controller.order.get("task"))
    given: Any = Carried(series, controller.order["code"]) if is_own else series
    takes = placing({"cpu": place.resources.cpus_per_trial, "gpu": place.gpus_per_trial})
    with scratch.folder() as folder, private_patches.withheld_keys():
        ray_tune.run(
            ray_tune.with_resources(ray_tune.with_parameters(TrialActor, series=given), takes),
            name=name,
            search_alg=StudySearcher(controller, place.admission),
            scheduler=StudyScheduler(controller, place.admission),
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

    def __init__(self, controller: TrialController, nodes: Admission | None = None) -> None:
        """Wrap the controller; `nodes` are the nodes of a cluster."""
        super().__init__()
        self._controller, self._nodes = controller, nodes

    def suggest(self, trial_id: str) -> Any:
        """Return the next order, None or FINISHED."""
        if self._nodes is not None and self._nodes.is_hopeless and self._waits(self._nodes.slots()):
            return None
        config = self._controller.suggest(trial_id)
        if isinstance(config, dict) and self._nodes is not None:
            return config | {"nodes": self._nodes.entry()}
        return Searcher.FINISHED if config == FINISHED else config

    def _waits(self, slots: int) -> bool:
        """Return whether a trial would wait for a node, which nobody asks for any more; end a sweep without nodes."""
        stop = self._controller.stop
        if not slots and not stop.reason:
            stop.now("no node is left that can run trials, and those that joined last could not either", 1)
        return not stop.reason and _live(self._controller) >= slots

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the controller that a trial has ended or that its actor was lost."""
        self._controller.complete(trial_id, result, error=error)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Do nothing: the study is the state."""


class StudyScheduler(FIFOScheduler):  # type: ignore[misc] # Ray ships no types
    """A scheduler of Tune over a controller: Optuna's pruner decides."""

    def __init__(self, controller: TrialController, nodes: Admission | None = None) -> None:
        """Wrap the controller; `nodes` are the nodes of a cluster."""
        super().__init__()
        self._controller, self._nodes = controller, nodes

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return CONTINUE, or STOP to end the trial."""
        private_patches.let_idle_go(tune_controller, go=self._nodes is not None and not self._controller.queue.count)
        if self._nodes is not None and (seen := result.get("node")):
            self._judge(trial.trial_id, result, seen, self._nodes)
            return str(TrialScheduler.CONTINUE)
        failure: Failure | None = result.get("failure")
        live = self._controller.live[trial.trial_id] if failure and failure.kind == "spoilt" else None
        stop = self._controller.result(trial.trial_id, result)
        if live is not None and live.actor is not None:
            live.actor.kill()  # Tune would give it the next trial
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Let workers end that have nothing to do: they would hold their nodes."""
        private_patches.let_idle_go(tune_controller, go=self._nodes is not None and not self._controller.queue.count)

    def _judge(self, trial_id: str, result: dict[str, Any], seen: Seen, nodes: Admission) -> None:
        """Let a worker go on, or end it and try its trial elsewhere, by the node that it saw."""
        actor = seen.actor.pop() if seen.actor else None
        if why := nodes.judge(seen):
            self._controller.result(trial_id, {**result, "failure": Failure("node", f"{seen.host}: {why}")})
            if actor is not None:
                ActorHandle(actor).kill()  # Tune would give it the next trial

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

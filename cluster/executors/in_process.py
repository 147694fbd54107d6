"""This process as an executor: one trial at a time, for debuggers and notebooks. Ray is not imported."""

import itertools
import logging
import os
import socket
import time
from bdb import BdbQuit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.config import ResourcesConfig
from cluster.goodput import Clock
from cluster.interrupts import Interrupted
from cluster.protocol import FINISHED, Handle
from cluster.ray_backend.demand import Waiting
from cluster.ray_backend.nodes import check_here
from cluster.ray_backend.room import fit
from cluster.worker import TrialWorker
from lstm import device
from lstm.data.dataset import Dataset
from lstm.messages.message import Message, note
from lstm.records.errors import refused

if TYPE_CHECKING:
    from cluster.controller import TrialController

LOG = logging.getLogger(__name__)
LOOK_S = 0.05  # between two looks for a trial that may be tried again


@dataclass(frozen=True, slots=True)
class InProcess:
    """An executor that runs trials one after another in this process."""

    @contextmanager
    def ready(
        self,
        resources: ResourcesConfig,
        checkpoints: str,
        lost: Callable[[Message], int],
        packages: Sequence[str] = (),
        waiting: Waiting | None = None,
    ) -> Iterator["Here"]:
        """Check that this machine has what a trial needs; see `Executor`."""
        gpus = _gpus(resources)
        check_here(checkpoints)
        at_once = resources.max_concurrent
        told = note("one-trial-at-a-time", "resources.max_concurrent", at_once=at_once)
        yield Here(gpus, () if at_once in ("auto", 1) else (told,))


@dataclass(frozen=True, slots=True)
class Here:
    """This process as a place that is ready for trials; see `Workplace`."""

    gpus_per_trial: float
    warnings: tuple[Message, ...] = ()
    grows: bool = False

    def slots(self) -> int:
        """Return 1: one trial runs at a time."""
        return 1

    def run(self, controller: "TrialController", series: Dataset, name: str) -> None:
        """Train one trial after another. If the end is asked for, it comes before the optimizer's next step."""

        def held() -> list[Handle]:
            return [LocalHandle(worker)]

        worker = TrialWorker(series, Clock(), name=_name, handle=held, heed=controller.stop.heed)
        try:
            with device.borrowed():
                for number in itertools.count():
                    if not _run_next(controller, worker, f"{name}-{number}", is_first=number == 0):
                        break
        except Interrupted:
            pass  # the controller knows why
        except BdbQuit:
            controller.stop.now("the debugger was left", 130)
        finally:
            controller.let_go()


@dataclass(frozen=True, slots=True)
class LocalHandle:
    """The driver's handle on the worker in its own process."""

    worker: TrialWorker

    def wind_up(self) -> None:
        """Let the worker probe in its next step."""
        self.worker.wind_up()

    def kill(self) -> None:
        """Let the worker release its trial."""
        self.worker.let_go()


def _run_next(controller: "TrialController", worker: TrialWorker, trial_id: str, *, is_first: bool) -> bool:
    """Run the next trial to its end, or until the end is asked for; return whether there was one."""
    while (order := controller.suggest(trial_id)) is None:
        time.sleep(LOOK_S)
    if not isinstance(order, dict):
        assert order == FINISHED
        return False
    try:
        (worker.begin if is_first else worker.take)(order)
    except Exception as error:
        LOG.exception("no trial can be begun")
        controller.stop.now(f"this process can't train: {type(error).__name__}: {error}", 1)
    while not controller.stop.reason:
        result = worker.step()
        if result["done"] or controller.result(trial_id, result):
            controller.complete(trial_id, result, error=False)
            worker.let_go()
            if (failure := result.get("failure")) and failure.kind == "spoilt":
                controller.stop.now("this process can't use its GPU any more: the same command goes on in a new one", 1)
            return True
    return False


def here(resources: ResourcesConfig) -> Here:
    """Return this process as it is: if it lacks the GPU that a trial asks for, it trains on the CPU."""
    asked = resources.gpus_per_trial
    return Here(float(min(device.gpu_count(), 1)) if asked == "auto" else float(asked))


def _gpus(resources: ResourcesConfig) -> float:
    """Return the number of GPUs that a trial takes here.

    Raises:
        BadInput: this machine lacks what a trial asks for.
    """
    asked, cores = resources.gpus_per_trial, device.cpu_count()
    there = device.gpu_count() if asked else 0
    gpus = float(min(there, 1)) if asked == "auto" else float(asked)
    if not fit(cores, there, resources.cpus_per_trial, gpus):
        raise refused(
            "trial-too-large-here",
            "resources",
            cpus=resources.cpus_per_trial,
            gpus=gpus,
            machine_cpus=cores,
            machine_gpus=there,
            why=device.why_no_gpu() if gpus and not there else "",
        )
    return gpus


def _name(used: str) -> str:
    place = f"{socket.gethostname()} pid {os.getpid()}"
    if used == "cuda":
        return f"{place} gpu"
    return f"{place} cpu" if device.gpu_count() else place  # without a GPU the device needs no mention

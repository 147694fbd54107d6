"""The worker's side: a Tune actor that trains one trial after another, an epoch at a step.

PyTorch, which takes a second to import, is imported in the worker alone, so that a driver starts its workers sooner.
"""

import os
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import ray
from ray import tune

from cluster.goodput import Clock, process_age_s
from cluster.messages import Failure, Kind, Probed, Started
from lstm import checkpoint, ownership
from lstm.config.code import execute, place_of
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch
from lstm.records.errors import BadInput
from lstm.records.goodput import NOTHING

# Between two tries at a storage that fails: the first failure is told at once, after a minute or so another
# host may have more luck.
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, *[5.0] * 11)


class _Storage(Exception):
    """The checkpoints' storage failed."""


@contextmanager
def _storage(address: str, worker: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or _first_line(error)
        raise _Storage(f"checkpoints: {why}: {checkpoint.place_of(address)}, on {worker}") from error


class TrialActor(tune.Trainable):  # type: ignore[misc] # Ray ships no types
    """Trains the trial that its config names.

    The config holds its `number`, `attempt`, `address`, `trial` and `studies` (see `ownership.Owner`), and `cpus`,
    `gpus`, `probe`, `over` and `code`, the user's own files.
    The first step answers at once, with where the trial runs and the epochs that a checkpoint already
    holds; each further step is one epoch, durable before it is reported. Where `probe` is set the step after
    the last epoch measures the network and holds `probed`; `over` says that no epoch is to come any more, as
    `wind_up` does. A result holds `epochs`, in the first step `started`, and `failure` where the trial can't go
    on. While the storage of checkpoints fails it holds `waiting`, the reason: the epoch is kept in memory and
    the next step writes it again. Each holds `spent`, where the time since the one before went.
    """

    def __new__(cls, config: dict[str, Any] | None = None, *_: Any, **__: Any) -> "TrialActor":
        """Starts the clock, and executes the user's own files, before Tune's own part, which fetches the series."""
        made: TrialActor = super().__new__(cls)
        made._clock = Clock(process_age_s())
        for code in (config or {}).get("code", ()):
            execute(code)
        return made

    def setup(self, config: dict[str, Any], series: Dataset | None = None) -> None:
        """Starts the actor's first trial; the series lies in the object store, once for all trials of a host."""
        assert series is not None
        self._clock.lap("data")
        from lstm import device
        from lstm.training import loop  # noqa: F401 # the latter takes its time here, too

        self._series, self._place = series, ""
        self._device = device.claim(int(config["cpus"]), float(config["gpus"]))
        self._clock.lap("start")
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial in the same process."""
        self._clock.lap("waiting")
        self._order, self._spent = new_config, NOTHING
        self._trial = TrialConfig.model_validate(new_config["trial"])
        self._epochs: Iterator[Epoch] | None = None
        self._unsaved: Epoch | None = None
        self._over: bool = new_config["over"]
        self._pauses = iter(PAUSES_S)
        return True

    def wind_up(self) -> None:
        """No epoch is to come any more: the next step probes."""
        self._over = True

    def step(self) -> dict[str, Any]:
        """Reports the start, then one epoch at a time."""
        self._clock.lap("waiting" if self._epochs is None else "report")
        result = self._step()
        spent = self._clock.take()
        self._spent += spent
        return {**result, "spent": spent}

    def _step(self) -> dict[str, Any]:
        try:
            if self._epochs is None:
                return self._start()
            return self._probe() if self._over else self._save(self._unsaved or self._train(self._epochs))
        except _Storage as error:
            return self._wait(str(error))
        except Exception as error:
            return self._fail(error)

    def _fail(self, error: Exception) -> dict[str, Any]:
        from lstm import device

        if isinstance(error, ray.exceptions.RayError):
            return self._give_up("passing", f"{type(error).__name__} on {self._worker()}: {_first_line(error)}")
        if isinstance(error, BadInput):  # another study's checkpoint is there, or a newer version's
            return self._give_up("refused", str(error))

        if device.is_out_of_memory(error):
            self._epochs = None
            device.release(self._device)
            return self._give_up("diverged", f"out of memory on {self._worker()}: {_first_line(error)}")
        traceback.print_exception(error)  # Ray carries it to the sweep's log
        # A wrong shape and the like: it would fail again.
        where = place_of(error)  # of a user's own code
        return self._give_up("broken", f"{where}: " * bool(where) + f"{type(error).__name__}: {_first_line(error)}")

    def _start(self) -> dict[str, Any]:
        from lstm.tasks import registry as tasks
        from lstm.training.loop import train

        broken: list[str] = []
        with _storage(self._order["address"], self._worker()):
            found = ownership.load(self._order["address"], self._owner(), broken.append)
        state = found.state if found else None
        self._spent, self._is_made = found.spent if found else NOTHING, False
        self._facts = tasks.of(self._trial).facts_row(self._series)
        self._epochs = train(self._trial, self._series, state, device=self._device)
        known = state.history if state else ()
        self._clock.lap("checkpoint")
        now_ms = time.time_ns() // 1_000_000
        return {
            "started": Started(self._worker(), now_ms, os.getpid(), tuple(broken), self._handle(), before=self._spent),
            "epochs": known,
            "done": bool(known) and self._is_done(known[-1]),
        }

    def _is_done(self, epoch: Epoch) -> bool:
        """Whether nothing is to come after an epoch; notes whether it was the last."""
        self._over = self._over or epoch.stop is not None
        return epoch.stop is not None and (epoch.stop == "diverged" or not self._order["probe"])

    def _train(self, epochs: Iterator[Epoch]) -> Epoch:
        epoch = next(epochs)
        # Beside the first the network and its batches are made; beside each its state is copied, to be written.
        self._clock.lap("checkpoint" if self._is_made else "data", epoch.metrics["epoch_s"])
        self._is_made = True
        return epoch

    def _save(self, epoch: Epoch) -> dict[str, Any]:
        assert epoch.state is not None
        self._unsaved = epoch
        spent = self._spent + self._clock.spent
        owner = self._owner()
        content = checkpoint.Checkpoint(
            self._trial, self._facts, epoch.state, spent, study=owner.studies[0], number=owner.number
        )
        with _storage(self._order["address"], self._worker()):
            checkpoint.write(self._order["address"], self._order["attempt"], content)
        self._unsaved, self._pauses = None, iter(PAUSES_S)
        self._clock.lap("checkpoint")
        return {"epochs": (replace(epoch, state=None),), "done": self._is_done(epoch)}

    def _probe(self) -> dict[str, Any]:
        """Measures the best epoch's network; a network that can't be measured is no fault of its training."""
        from lstm.diagnostics.probe import probe
        from lstm.tasks import registry as tasks

        with _storage(self._order["address"], self._worker()):
            found = ownership.load(self._order["address"], self._owner())
        numbers, trouble = {}, "no epoch of it had a finite value"
        if found and found.state.best_weights:
            try:
                numbers, trouble = dict(probe(tasks.subject(found, self._series)).numbers), ""
            except Exception as error:
                traceback.print_exc()
                trouble = f"{type(error).__name__}: {_first_line(error)}"
        best_epoch = found.state.best_epoch if found else 0
        measured = Probed(numbers, best_epoch, time.time_ns() // 1_000_000, trouble)
        self._clock.lap("probe")
        return {"epochs": (), "probed": measured, "done": True}

    def _wait(self, text: str) -> dict[str, Any]:
        """Says at once that storage fails, then waits in the steps that follow; at last another host may try."""
        pause_s = next(self._pauses, None)
        if pause_s is None:
            return self._give_up("storage", text)
        time.sleep(pause_s)
        self._clock.lap("checkpoint")
        return {"epochs": (), "waiting": text, "done": False}

    def _owner(self) -> ownership.Owner:
        order = self._order
        config = self._trial.model_dump()
        return ownership.Owner(tuple(order["studies"]), order["number"], config, self._series.fingerprint)

    def _give_up(self, kind: Kind, text: str) -> dict[str, Any]:
        """Ends the attempt; what was done since the last lap, and an epoch that was not kept, are lost."""
        unsaved_s = self._unsaved.metrics["epoch_s"] if self._unsaved else 0.0
        self._unsaved = None
        self._clock.lap("lost", -unsaved_s)
        return {"epochs": (), "failure": Failure(kind, text), "done": True}

    def cleanup(self) -> None:
        """Lets go of the trial."""
        self._epochs = self._unsaved = None

    def _handle(self) -> list[Any]:
        return [ray.get_runtime_context().current_actor]

    def _worker(self) -> str:
        if not self._place:  # said with each epoch that is written
            self._place = f"{ray.util.get_node_ip_address()} ({socket.gethostname()}) pid {os.getpid()}"
            if self._device == "cuda":
                self._place += f" gpu {','.join(map(str, ray.get_gpu_ids()))}"
            elif ray.cluster_resources().get(
                "GPU"
            ):  # the device in use, whatever was taken; else it goes without saying
                self._place += " cpu"
        return self._place


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def kill(handle: Any) -> None:
    """Ends an actor, which may be gone already."""
    with suppress(ray.exceptions.RayError, ValueError):
        ray.kill(handle)

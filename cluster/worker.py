"""The worker: it trains one trial after another, an epoch at each step, for any executor.

PyTorch, which takes a second to import, is imported when a worker begins, so that a driver starts its workers sooner.
"""

import logging
import os
import time
from bdb import BdbQuit
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cluster.goodput import Clock
from cluster.protocol import Failure, Handle, Kind, Probed, Started
from lstm import checkpoint, ownership
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.messages.message import Message
from lstm.own_code import execute, place_of
from lstm.records.epoch import Epoch, State
from lstm.records.errors import BadInput
from lstm.records.goodput import NOTHING

# Pauses between tries at a failing storage. The first failure is reported at once; after about a minute, another
# host may have more luck.
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, *[5.0] * 11)
LOG = logging.getLogger(__name__)


class _Storage(Exception):
    """The error that the checkpoints' storage failed."""


@contextmanager
def _storage(address: str, worker: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or _first_line(error)
        raise _Storage(f"checkpoints: {why}: {checkpoint.place_of(address)}, on {worker}") from error


class TrialWorker:
    """A trainer of the trial that its order names.

    An order has `number`, `attempt`, `address`, `trial` and `studies` (see `ownership.Owner`), `cpus`, `gpus`, `probe`,
    `over`, `derived` if the trial extends another or is a refit, `start`, the weights that a warm refit begins with,
    `system_metrics` if the use of the machine is read, and `code`, the
    user's own files. The first step returns at once, with the place where the trial runs and the epochs that a
    checkpoint already has. Each further step is one epoch, durable before it is reported. If `probe` is set, the step
    after the last epoch measures the network and returns `probed`. `over=True`, like `wind_up()`, means: train no
    further, the next step only probes. A result has `epochs`, in the first step `started`, and `failure` if the trial
    can't go on. While the storage of checkpoints fails, a result has `waiting`, the reason: the epoch stays in memory
    and the next step writes it again. Each result has `spent`: where the time since the last result went.
    """

    def __init__(
        self,
        series: Dataset,
        clock: Clock,
        *,
        name: Callable[[str], str],
        handle: Callable[[], list[Handle]],
        passing: tuple[type[Exception], ...] = (),
        heed: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare the worker; nothing is imported or claimed yet.

        Args:
            series: The data, for all its trials.
            clock: A clock that has run since the worker's process started.
            name: Returns the place where the worker runs, for people, by the device that it uses.
            handle: Returns the driver's handle on the worker, or nothing.
            passing: Errors of the executor itself, which are no fault of a trial.
            heed: Called between two steps of the optimizer; it may raise an error that ends the training.
        """
        self._series, self._clock, self._name, self._handle = series, clock, name, handle
        self._passing, self._heed, self._place = passing, heed, ""

    def begin(self, order: Mapping[str, Any]) -> None:
        """Claim a share of the machine, and take the first trial."""
        self._clock.lap("data")
        from lstm import device
        from lstm.training import loop  # noqa: F401 # so that its import counts as start, too

        self._device = device.claim(int(order["cpus"]), float(order["gpus"]))
        self._clock.lap("start")
        self.take(order)

    def take(self, order: Mapping[str, Any]) -> None:
        """Take the next trial in the same process."""
        self._clock.lap("waiting")
        self._order, self._spent = order, NOTHING
        for code in order.get("code", ()):
            execute(code)
        self._trial = TrialConfig.model_validate(order["trial"])
        self._epochs: Iterator[Epoch] | None = None
        self._unsaved: Epoch | None = None
        self._over: bool = order["over"]
        self._pauses = iter(PAUSES_S)

    def wind_up(self) -> None:
        """Train no further: the next step probes."""
        self._over = True

    def step(self) -> dict[str, Any]:
        """Return the start, then one epoch at a time, then the probe if one was asked for."""
        self._clock.lap("waiting" if self._epochs is None else "report")
        result = self._step()
        spent = self._clock.take()
        self._spent += spent
        return {**result, "spent": spent}

    def let_go(self) -> None:
        """Release the trial."""
        self._epochs = self._unsaved = None

    def _named(self) -> str:
        if not self._place:  # used for each epoch that is written
            self._place = self._name(self._device)
        return self._place

    def _step(self) -> dict[str, Any]:
        try:
            if self._epochs is None:
                return self._start()
            return self._probe() if self._over else self._save(self._unsaved or self._train(self._epochs))
        except _Storage as error:
            return self._wait(str(error))
        except BdbQuit:  # leaving a debugger ends the sweep, not the trial
            raise
        except Exception as error:
            return self._fail(error)

    def _fail(self, error: Exception) -> dict[str, Any]:
        from lstm import device

        if isinstance(error, self._passing):
            return self._give_up("passing", f"{type(error).__name__} on {self._named()}: {_first_line(error)}")
        if isinstance(error, BadInput):  # the checkpoint there is another study's, or a newer version's
            return self._give_up("refused", str(error))

        if device.is_out_of_memory(error):
            self._epochs = None
            device.release(self._device, error)
            return self._give_up("diverged", f"out of memory on {self._named()}: {_first_line(error)}")
        LOG.error("trial %d fails", self._order["number"], exc_info=error)  # goes to the sweep's log
        if device.has_spoilt_gpu(error):
            told = self._give_up("spoilt", f"{type(error).__name__} on {self._named()}: {_first_line(error)}")
            return {**told, "done": False}  # so that Tune does not keep this process for another trial
        # Errors such as a wrong shape: the trial would fail again.
        where = place_of(error)  # the place in a user's own code
        return self._give_up("broken", f"{where}: " * bool(where) + f"{type(error).__name__}: {_first_line(error)}")

    def _start(self) -> dict[str, Any]:
        broken: list[Message] = []

        def pass_over(told: Message) -> None:
            broken.append(replace(told, place=f"trial {self._order['number']}", within=told.place))

        with _storage(self._order["address"], self._named()):
            found = ownership.load(self._order["address"], self._owner(), pass_over)
        state = found.state if found else None
        self._spent, self._is_made = found.spent if found else NOTHING, False
        self._facts: tuple[int, Mapping[str, Any]] = (0, {})
        self._epochs = self._training(state)
        known = state.history if state else ()
        self._clock.lap("checkpoint")
        now_ms = time.time_ns() // 1_000_000
        return {
            "started": Started(self._named(), now_ms, os.getpid(), tuple(broken), self._handle(), before=self._spent),
            "epochs": known,
            "done": bool(known) and self._is_done(known[-1]),
        }

    def _training(self, state: State | None) -> Iterator[Epoch]:
        from lstm.training import loop, refit
        from lstm.usage import Usage

        order = self._order
        usage = Usage(self._device) if order.get("system_metrics") else None
        given: dict[str, Any] = {"device": self._device, "heed": self._heed, "usage": usage}
        if fitted := (order.get("derived") or {}).get("fitted"):
            count = int(fitted["epochs"])
            return refit.train(self._trial, self._series, count, state, start=order.get("start"), **given)
        return loop.train(self._trial, self._series, state, **given)

    def _is_done(self, epoch: Epoch) -> bool:
        """Return whether nothing comes after an epoch; note whether it was the last one."""
        is_over = self._trial.windows.is_over(epoch)
        self._over = self._over or is_over
        return is_over and (epoch.stop == "diverged" or not self._order["probe"])

    def _train(self, epochs: Iterator[Epoch]) -> Epoch:
        epoch = next(epochs)
        # The time around the first epoch makes the network and its batches; around later ones, the state is copied.
        self._clock.lap("checkpoint" if self._is_made else "data", epoch.metrics["epoch_s"])
        self._is_made = True
        return epoch

    def _save(self, epoch: Epoch) -> dict[str, Any]:
        assert epoch.state is not None
        self._unsaved = epoch
        spent = self._spent + self._clock.spent
        owner = self._owner()
        facts = self._facts_at(epoch.window)
        content = checkpoint.Checkpoint(
            self._trial, facts, epoch.state, spent, study=owner.studies[0], number=owner.number
        )
        content = replace(content, derived=self._order.get("derived"))
        with _storage(self._order["address"], self._named()):
            checkpoint.write(self._order["address"], self._order["attempt"], content)
        self._unsaved, self._pauses = None, iter(PAUSES_S)
        self._clock.lap("checkpoint")
        return {"epochs": (replace(epoch, state=None),), "done": self._is_done(epoch)}

    def _facts_at(self, window: int) -> Mapping[str, Any]:
        """Return what a checkpoint keeps of the data as a window has them."""
        from lstm.tasks import registry as tasks

        if self._facts[0] != window:
            self._facts = window, tasks.facts_row(self._trial, self._series, window)
        return self._facts[1]

    def _probe(self) -> dict[str, Any]:
        """Measure the best epoch's network; if that fails, the training is not at fault."""
        from lstm.diagnostics.probe import probe
        from lstm.tasks import registry as tasks

        with _storage(self._order["address"], self._named()):
            found = ownership.load(self._order["address"], self._owner())
        numbers, trouble = {}, "no epoch of it had a finite value"
        if found and found.state.best_weights:
            try:
                numbers, trouble = dict(probe(tasks.subject(found, self._series)).numbers), ""
            except Exception as error:
                LOG.exception("trial %d can't be probed", self._order["number"])
                trouble = f"{type(error).__name__}: {_first_line(error)}"
        best_epoch = found.state.best_epoch if found else 0
        measured = Probed(numbers, best_epoch, time.time_ns() // 1_000_000, trouble)
        self._clock.lap("probe")
        return {"epochs": (), "probed": measured, "done": True}

    def _wait(self, text: str) -> dict[str, Any]:
        """Report a failing storage at once, then wait in the steps that follow; in the end another host may try."""
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
        """End the attempt; the time since the last lap, and an epoch that was not kept, are lost."""
        unsaved_s = self._unsaved.metrics["epoch_s"] if self._unsaved else 0.0
        self._unsaved = None
        self._clock.lap("lost", -unsaved_s)
        return {"epochs": (), "failure": Failure(kind, text), "done": True}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]

"""Trains the base configuration alone, in this process, without a cluster or a search."""

import logging
import math
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from experiments.planning import Plan, warnings
from lstm.config.trial import TrialConfig
from lstm.data.dataset import read_otherwise
from lstm.messages.message import Message, Say, note
from lstm.own_code import place_of, raised
from lstm.records.epoch import Epoch, State, at
from lstm.records.errors import fault, refused
from lstm.records.trial import counted
from lstm.tasks import registry as tasks

if TYPE_CHECKING:
    from cluster.interrupts import Stop
    from dashboards.notifications import Notifier
    from lstm.checkpoint import Checkpoint

USABLE = 0.9  # of the free memory: the libraries take some, and other programs grow

Signals = Callable[["Stop"], AbstractContextManager[object]]


class Failed(Exception):
    """A training that could not continue; its finished epochs are kept."""


class View(Protocol):
    """An observer of a training."""

    def note(self, message: Message) -> None:
        """Show a note on the plan."""

    def warn(self, message: Message) -> None:
        """Show a difference from what was asked for."""

    def say(self, message: Message) -> None:
        """Show a note on the training."""

    def epoch(self, epoch: Epoch) -> None:
        """Show an epoch that has ended and is kept."""


class Logged:
    """A view of a training that writes to `logging`."""

    def __init__(self, log: logging.Logger, name: str, metric: str) -> None:
        """Take the logger, and the sweep's name and metric."""
        self._log, self._name, self._metric = log, name, metric
        self.note = self.warn = log.warning
        self.say = log.info

    def epoch(self, epoch: Epoch) -> None:
        """Log the metric of an epoch."""
        value = epoch.metrics.get(self._metric, epoch.metrics.get("train/loss", math.nan))
        self._log.info("%s: epoch %d: %s %.5g", self._name, epoch.number, self._metric, value)


@dataclass
class Training:
    """One training of a plan's base, with the epochs so far."""

    plan: Plan
    address: str  # of its checkpoint
    history: list[Epoch] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)  # of the best epoch, on the test part

    @property
    def diverged(self) -> bool:
        """Return whether the training has diverged."""
        return self.history[-1].stop == "diverged"

    @property
    def best(self) -> Epoch | None:
        """The best epoch, of the first window; None if the training has no value."""
        base = self.plan.order.base
        return None if self.value is None else base.windows.bests(self.history, base.direction)[0]

    @property
    def best_epoch(self) -> tuple[float, int] | None:
        """The value and the best epoch, of the first window; None if there is none."""
        return (self.value, self.best.number) if self.value is not None and self.best else None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train."""
        last, windows = self.history[-1], self.plan.order.base.windows
        alone = windows.count == 1 or windows.is_final(last) or last.stop == "diverged"
        return windows.is_over(last) and alone

    @property
    def value(self) -> float | None:
        """The best epoch's value; in a backtest the mean over all windows; None if there is none."""
        base = self.plan.order.base
        return base.windows.result(self.history, base.direction).value

    def document(self) -> dict[str, Any]:
        """Return the result as plain data."""
        best, base = self.best, self.plan.order.base
        return {
            "sweep": self.plan.order.name,
            "metric": base.metric,
            "n_trials": 1,
            "baseline": tasks.of(base).baseline,
            "states": {"COMPLETE" if best and not self.diverged else "FAIL": 1},
            "best": best
            and {
                "trial": None,
                "value": self.value,
                "epoch": best.number,
                **base.windows.epochs(base.windows.result(self.history, base.direction).best_epochs),
                "epochs_trained": len(base.windows.judged(self.history)),
                "parameters": {},
                "config": base.model_dump(),
                "checkpoint": self.address,
                "metrics": self.metrics,
            },
            "history": [{**base.windows.named(e.place), **e.metrics} for e in self.history],
            "warnings": warnings(self.plan),
        }


def train(plan: Plan, view: View, *, signals: Signals | None = None) -> Training:
    """Train the base, or resume an earlier training of the same configuration and data; tell the webhook how it ends.

    Args:
        plan: The plan whose base is trained.
        view: Is told what happens.
        signals: Handles signals, and may end this process. Only the command line passes it.

    Raises:
        BadInput: the model is too large for this machine's memory.
        Failed: the memory did not suffice after all, or the checkpoint can't be written.
        KeyboardInterrupt: it was interrupted; every finished epoch is kept.
    """
    from cluster.interrupts import Stop
    from dashboards.config import TrackingConfig
    from dashboards.notifications import Notifier
    from lstm import checkpoint

    address = f"{plan.order.sweep_folder}/train"
    found = checkpoint.load(address)
    plan = _gone_on(plan, found) if found else plan
    for each in warnings(plan):
        view.note(each)
    order, device = plan.order, _device(plan, view.warn)
    same = found is not None and found.config == order.base and found.fingerprint == plan.series.fingerprint
    if found and same and (what := read_otherwise(plan.series, found.facts.get("reading"))):
        raise refused("trained-on-another-reading", at=address, rules=what)
    state = found.state if found and same else None
    made = Training(plan, address, list(state.history) if state else [])
    is_over = bool(made.history) and made.is_over
    if made.history:
        code, why = ("training-was-complete", {"stop": made.history[-1].stop}) if is_over else ("training-goes-on", {})
        view.say(note(code, at=order.name, epochs=made.history[-1].number, **why))
    stop, tracking = Stop(), TrackingConfig() if is_over else plan.spec.experiment.tracking  # what was over is no news
    notifier = Notifier(tracking, order.name, None, view.note, what="training")
    with signals(stop) if signals else nullcontext(), notifier:
        notifier.begin(order.base.metric, order.base.direction)
        _finish(made, state, device, view, stop, notifier)
    return made


def _finish(made: Training, state: State | None, device: str, view: View, stop: "Stop", notifier: "Notifier") -> None:
    """Train the rest, and tell how that ended.

    Raises:
        Failed: as in `train`.
        KeyboardInterrupt: as in `train`.
    """
    from cluster.interrupts import Interrupted
    from dashboards.notifications import CLOSE_S

    name, hide = made.plan.order.name, made.plan.spec.document.hide
    try:
        _go_on(made, state, device, view, stop.heed)
    except (Interrupted, KeyboardInterrupt) as error:
        after = counted(len(made.history), "epoch")
        notifier.end("interrupted", f"The training was stopped after {after}. Run the same command again to go on.")
        raise KeyboardInterrupt from error
    except Exception as error:
        if reason := _reason(error, name, made.address, len(made.history) + 1):
            notifier.end("failed", hide(f"The training failed: {reason.removeprefix(f'{name}: ')}."))
            notifier.close(CLOSE_S)
            raise Failed(reason) from error
        raise
    best = f" Best: {made.plan.order.base.metric} {made.value:.6g}." if made.best else ""
    if made.diverged:
        notifier.end("failed", f"The training diverged in {at(made.history[-1])}.{best}", best_epoch=made.best_epoch)
    else:
        notifier.end("ended", f"The training has ended.{best}", complete=True, best_epoch=made.best_epoch)
    notifier.close(CLOSE_S)


def _go_on(made: Training, state: State | None, device: str, view: View, heed: Callable[[], object]) -> None:
    """Train what is left of a training, keep each epoch, and judge the best one on the test part."""
    from lstm import checkpoint
    from lstm.training import before_test, loop

    base, series = made.plan.order.base, made.plan.series
    attempt = 1 + max((checkpoint.attempt(n) for n in checkpoint.names(made.address)), default=0)
    for epoch in loop.train(base, series, state, device=device, heed=heed, to_test=True):
        assert epoch.state is not None
        state, window = epoch.state, base.windows.of_weights(epoch)
        facts = tasks.facts_row(base, series, window)
        checkpoint.write(made.address, attempt, checkpoint.Checkpoint(base, facts, state))
        made.history.append(replace(epoch, state=None))
        view.epoch(epoch)
    assert state is not None
    facts = tasks.facts_row(base, series, base.windows.of_weights(state.history[-1]))
    kept = checkpoint.Checkpoint(base, facts, state)
    judged = state.best_weights and before_test.is_ready(kept)
    made.metrics = tasks.judge(kept, series) if judged else {}


def _reason(error: Exception, name: str, address: str, epoch: int) -> str:
    """Return why a training can't go on, "" for a fault of this program."""
    from lstm import checkpoint
    from lstm.device import is_out_of_memory

    if where := place_of(error):
        return str(raised(error, where))
    if is_out_of_memory(error):
        return str(fault("out-of-memory", at=name, epoch=epoch))
    return f"{name}: {error.strerror or error}: {checkpoint.place_of(address)}" if isinstance(error, OSError) else ""


def _device(plan: Plan, say: Say) -> str:
    """Return the device to train on. For the CPU, check that the memory suffices."""
    from lstm.device import claim, why_no_gpu

    resources = plan.order.resources
    device = claim(resources.cpus_per_trial, None if resources.gpus_per_trial == "auto" else resources.gpus_per_trial)
    if device == "cpu":
        if resources.gpus_per_trial not in (0, "auto"):
            say(note("no-gpu-to-train-on", "resources.gpus_per_trial", at=plan.order.name, why=why_no_gpu()))
        check_room(plan, plan.order.base)
    return device


def check_room_of_all(plan: Plan) -> None:
    """Check that memory suffices for the largest trial, of which `plan` measures a few training steps on the CPU.

    Raises:
        BadInput: it is too large.
    """
    from cluster.space import suggest

    order = plan.order
    check_room_on_cpu(plan, suggest.ends(order.base, order.search.space)[1] if order.search else order.base)


def check_room_on_cpu(plan: Plan, config: TrialConfig) -> None:
    """Check that memory suffices for a configuration, if it is trained on the CPU.

    Raises:
        BadInput: it does not.
    """
    from lstm.device import gpu_count

    if plan.order.resources.gpus_per_trial == 0 or not gpu_count():
        check_room(plan, config)


def _gone_on(plan: Plan, found: "Checkpoint") -> Plan:
    """Return the plan with the loss of an earlier training, if the rest of its configuration is the same."""
    base = plan.order.base.model_copy(update={"loss_on": found.config.loss_on})
    return replace(plan, order=replace(plan.order, base=base)) if found.config == base else plan


def check_room(plan: Plan, config: TrialConfig) -> None:
    """Check that memory suffices for a configuration: otherwise the system would kill the process without a message.

    Raises:
        BadInput: the configuration needs more memory than there is.
    """
    from lstm.training.estimates import memory_bytes

    needed, room = memory_bytes(config, plan.series), min(_limits())
    if needed > room:
        place = plan.spec.document.where("model")
        raise refused("memory-too-small", "model", at=place, needed_gb=needed / 1e9, room_gb=room / 1e9)


def _limits() -> Iterator[int]:
    """Yield limits of memory in bytes: what the machine has left, the process's and the container's."""
    from lstm.usage import memory_left

    yield int(USABLE * memory_left())
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        if (allowed := resource.getrlimit(limit)[0]) != resource.RLIM_INFINITY:
            yield allowed
    for file in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            yield int(text)

"""`sweep train`: the base configuration alone, in this process, no cluster and no search."""

import os
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import lookup
from experiments.cli import emit
from experiments.home import Home
from experiments.plan import Plan, as_begun, make, warnings
from experiments.terminal.formats import console
from lstm.config.trial import TrialConfig
from lstm.records.epoch import Epoch, best_epoch
from lstm.records.errors import BadInput
from lstm.records.trial import counted

if TYPE_CHECKING:
    from lstm.checkpoint import Checkpoint

SMALLER = "make model.hidden_size, model.num_layers, data.lookback, data.horizon or training.batch_size smaller"


def main(*, home: str, named: str, overrides: Sequence[str], as_json: bool) -> int:
    """Trains, going on where an earlier call of the same configuration stopped; 1 where it diverged or had no room."""
    from lstm import checkpoint
    from lstm.device import claim, is_out_of_memory, why_no_gpu
    from lstm.tasks import registry as tasks
    from lstm.training import loop

    where = Home.at(home)
    plan = as_begun(make(lookup.spec(named, where, overrides, execute=True), where))
    address = f"{plan.order.sweep_folder}/train"
    found = checkpoint.load(address)
    plan = _gone_on(plan, found) if found else plan
    for text in warnings(plan):
        print(f"note: {text}", file=sys.stderr)
    order, resources = plan.order, plan.order.resources
    device = claim(resources.cpus_per_trial, None if resources.gpus_per_trial == "auto" else resources.gpus_per_trial)
    if device == "cpu":
        if resources.gpus_per_trial not in (0, "auto"):
            print(f"{order.name}: trains on the CPU, though a GPU is asked for: {why_no_gpu()}", file=sys.stderr)
        check_room(plan, order.base)
    facts = tasks.of(order.base).facts_row(plan.series)
    same = found is not None and found.config == order.base and found.fingerprint == plan.series.fingerprint
    state = found.state if found and same else None
    attempt = 1 + max((checkpoint.attempt(n) for n in checkpoint.names(address)), default=0)
    history = list(state.history) if state else []
    if history and not as_json:
        done = f" ({history[-1].stop}); nothing was left to do" if history[-1].stop else ": goes on"
        print(f"{order.name}: trained for {counted(history[-1].number, 'epoch')} before{done}", flush=True)
    try:
        for epoch in loop.train(order.base, plan.series, state, device=device):
            assert epoch.state is not None
            state = epoch.state
            checkpoint.write(address, attempt, checkpoint.Checkpoint(order.base, facts, state))
            history.append(replace(epoch, state=None))
            if not as_json:
                _line(epoch, plan)
        assert state is not None
        kept = checkpoint.Checkpoint(order.base, facts, state)
        metrics = tasks.judge(kept, plan.series) if state.best_weights else {}
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        print(f"{order.name}: out of memory after {counted(len(history), 'epoch')}; {SMALLER}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{order.name}: {error.strerror or error}: {checkpoint.place_of(address)}", file=sys.stderr)
        return 1
    _end(plan, history, metrics, address, as_json=as_json)
    return 1 if history[-1].stop == "diverged" else 0


def _gone_on(plan: Plan, found: "Checkpoint") -> Plan:
    """The plan with the loss of an earlier training, where that is otherwise of this configuration."""
    base = plan.order.base.model_copy(update={"loss_on": found.config.loss_on})
    return replace(plan, order=replace(plan.order, base=base)) if found.config == base else plan


def check_room(plan: Plan, config: TrialConfig) -> None:
    """Refuses what this machine's memory can't hold: the system would end the process without a word.

    Raises:
        BadInput: it is too large.
    """
    from lstm.training.estimates import memory_bytes

    needed, room = memory_bytes(config, plan.series), min(_limits())
    if needed > room:
        raise BadInput(
            f"{plan.spec.document.where('model')}: model: a trial would need about {needed / 1e9:,.1f} GB of memory, "
            f"this machine has {room / 1e9:,.1f} GB; {SMALLER}"
        )


def _limits() -> Iterator[int]:
    """Bytes that the machine has, and those that a container, or whoever started the process, leaves it."""
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        if (allowed := resource.getrlimit(limit)[0]) != resource.RLIM_INFINITY:
            yield allowed
    for file in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            yield int(text)


def _line(epoch: Epoch, plan: Plan) -> None:
    shown = "  ".join(f"{name} {epoch.metrics[name]:.5g}" for name in ("train/loss", plan.order.base.metric))
    stop = f"  ({epoch.stop})" if epoch.stop else ""
    print(f"epoch {epoch.number}  {shown}  {epoch.metrics['epoch_s']:.2f} s{stop}", flush=True)


def _end(plan: Plan, history: list[Epoch], metrics: dict[str, float], address: str, *, as_json: bool) -> None:
    from experiments.verbs.best import show_best
    from lstm.tasks import registry as tasks

    best = best_epoch(history, plan.order.base.direction)
    document: dict[str, Any] = {
        "sweep": plan.order.name,
        "metric": plan.order.base.metric,
        "n_trials": 1,
        "baseline": tasks.of(plan.order.base).baseline,
        "states": {"COMPLETE" if best and history[-1].stop != "diverged" else "FAIL": 1},
        "best": best
        and {
            "trial": None,
            "value": best.value,
            "epoch": best.number,
            "parameters": {},
            "config": plan.order.base.model_dump(),
            "checkpoint": address,
            "metrics": metrics,
        },
        "history": [{"epoch": e.number, **e.metrics} for e in history],
        "warnings": warnings(plan),
    }
    if as_json:
        emit(document)
    elif best:
        show_best(document, console())
    else:
        print(f"{plan.order.name}: {history[-1].stop} in epoch {history[-1].number}; no epoch was finite")

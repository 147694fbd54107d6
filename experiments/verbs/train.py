"""`sweep train`: the base configuration alone, in this process, no cluster and no search."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from experiments import find
from experiments.cli import emit
from experiments.plan import Home, Plan, make
from experiments.screen import console
from lstm.records import Epoch, best_epoch


def main(*, home: str, named: str, overrides: Sequence[str], as_json: bool) -> int:
    """Trains, going on where an earlier call of the same configuration stopped; 1 where it diverged."""
    from lstm import checkpoint, tasks, training
    from lstm.device import claim

    where = Home.at(home)
    plan = make(find.spec(named, where, overrides), where)
    order, resources = plan.order, plan.order.resources
    device = claim(resources.cpus_per_trial, None if resources.gpus_per_trial == "auto" else resources.gpus_per_trial)
    address = f"{order.checkpoints}/train"
    found = checkpoint.load(address)
    facts = checkpoint.Facts.of(plan.series)
    same = found is not None and found.config == order.base and found.facts == facts
    state = found.state if found and same else None
    attempt = 1 + max((checkpoint.attempt(n) for n in checkpoint.names(address)), default=0)
    history = list(state.history) if state else []
    if history and not as_json:
        done = f" ({history[-1].stop}); nothing was left to do" if history[-1].stop else ": goes on"
        print(f"{order.name}: trained for {history[-1].number} epochs before{done}", flush=True)
    for epoch in training.train(order.base, plan.series, state, device=device):
        assert epoch.state is not None
        state = epoch.state
        checkpoint.write(address, attempt, checkpoint.Checkpoint(order.base, facts, state))
        history.append(replace(epoch, state=None))
        if not as_json:
            _line(epoch, plan)
    assert state is not None
    metrics = tasks.judge(checkpoint.Checkpoint(order.base, facts, state), plan.series) if state.best_weights else {}
    _end(plan, history, metrics, address, as_json=as_json)
    return 1 if history[-1].stop == "diverged" else 0


def _line(epoch: Epoch, plan: Plan) -> None:
    shown = "  ".join(f"{name} {epoch.metrics[name]:.5g}" for name in ("train/loss", plan.order.base.metric))
    stop = f"  ({epoch.stop})" if epoch.stop else ""
    print(f"epoch {epoch.number}  {shown}  {epoch.metrics['epoch_s']:.2f} s{stop}", flush=True)


def _end(plan: Plan, history: list[Epoch], metrics: dict[str, float], address: str, *, as_json: bool) -> None:
    from experiments.verbs.best import show_best

    best = best_epoch(history, plan.order.base.direction)
    document: dict[str, Any] = {
        "sweep": plan.order.name,
        "metric": plan.order.base.metric,
        "n_trials": 1,
        "states": {"COMPLETE" if best and history[-1].stop != "diverged" else "FAIL": 1},
        "best": best
        and {
            "trial": None,
            "value": best.value,
            "epoch": best.number,
            "parameters": {},
            "checkpoint": address,
            "metrics": metrics,
        },
        "history": [{"epoch": e.number, **e.metrics} for e in history],
    }
    if as_json:
        emit(document)
    elif best:
        show_best(document, console())
    else:
        print(f"{plan.order.name}: {history[-1].stop} in epoch {history[-1].number}; no epoch was finite")

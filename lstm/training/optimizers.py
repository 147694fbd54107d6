"""The optimizer and the schedule of a training."""

import inspect
from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from lstm.config.training import TrainingConfig


def optimizer_of(training: TrainingConfig, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a network's parameters, by its PyTorch name."""
    parameters, rate, decay = network.parameters(), training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return _eager(torch.optim.SGD)(parameters, rate, momentum=training.momentum, weight_decay=decay, fused=True)
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    return _eager(kind)(parameters, rate, weight_decay=decay, fused=True)


@cache
def _eager(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """An optimizer's class that does the same and never imports PyTorch's compiler, which takes a worker a second.

    Its methods say to the compiler what not to compile; beneath those wrappers lie the methods themselves.
    """
    methods = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in methods}
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(inspect.unwrap(kind.step))})


Schedule = torch.optim.lr_scheduler.LRScheduler | torch.optim.lr_scheduler.ReduceLROnPlateau


def schedule_of(training: TrainingConfig, optimizer: torch.optim.Optimizer) -> Schedule | None:
    """The schedule of the learning rate; None where it is constant."""
    schedulers = torch.optim.lr_scheduler
    if training.schedule == "cosine":
        return schedulers.CosineAnnealingLR(optimizer, T_max=training.max_epochs)
    if training.schedule == "exponential":
        return schedulers.ExponentialLR(optimizer, gamma=training.schedule_gamma or 0.95)
    if training.schedule == "plateau":
        patience = 3 if training.schedule_patience is None else training.schedule_patience
        return schedulers.ReduceLROnPlateau(optimizer, factor=training.schedule_gamma or 0.5, patience=patience)
    return None

"""The optimizer and the learning-rate schedule of a training."""

import torch
from torch import nn

from lstm.config.training import TrainingConfig
from lstm.training.private_patches import eager


def optimizer_of(training: TrainingConfig, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a network's parameters that the configuration names."""
    parameters, rate, decay = network.parameters(), training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return eager(torch.optim.SGD)(parameters, rate, momentum=training.momentum, weight_decay=decay, fused=True)
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    return eager(kind)(parameters, rate, weight_decay=decay, fused=True)


Schedule = torch.optim.lr_scheduler.LRScheduler | torch.optim.lr_scheduler.ReduceLROnPlateau


def schedule_of(training: TrainingConfig, optimizer: torch.optim.Optimizer) -> Schedule | None:
    """Return the schedule of the learning rate; None if the rate is constant."""
    schedulers = torch.optim.lr_scheduler
    if training.schedule == "cosine":
        return schedulers.CosineAnnealingLR(optimizer, T_max=training.max_epochs)
    if training.schedule == "linear":
        return schedulers.LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=training.max_epochs)
    if training.schedule == "exponential":
        return schedulers.ExponentialLR(optimizer, gamma=training.schedule_gamma or 0.95)
    if training.schedule == "plateau":
        patience = 3 if training.schedule_patience is None else training.schedule_patience
        return schedulers.ReduceLROnPlateau(optimizer, factor=training.schedule_gamma or 0.5, patience=patience)
    return None

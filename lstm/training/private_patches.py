"""All that reaches into PyTorch: an optimizer that does not import the compiler.

It is left out with a version of PyTorch that it was not tried with, and where `SWEEP_WITHOUT_PATCHES` names torch.
"""

import inspect
from collections.abc import Callable
from functools import cache

import torch

from lstm.patches import Patch

EAGER = Patch("torch", "eager", ("2.13",), "each worker takes a second longer to start")


@cache
def eager(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """An optimizer's class that does the same and never imports PyTorch's compiler, which takes a worker a second.

    Its methods say to the compiler what not to compile; beneath those wrappers lie the methods themselves.
    """
    if not EAGER.fits(torch.__version__):
        return kind
    methods = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in methods}
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(inspect.unwrap(kind.step))})

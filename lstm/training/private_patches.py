"""The only use of PyTorch's private parts: an optimizer that does not import PyTorch's compiler.

The patch is left out with a version of PyTorch that it was not tried with, or if `SWEEP_WITHOUT_PATCHES` names torch.
"""

import inspect
from collections.abc import Callable
from functools import cache

import torch

from lstm.patches import Patch

EAGER = Patch("torch", "eager", ("2.13",), "each worker takes a second longer to start")


@cache
def eager(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """Return an optimizer's class with the same behaviour that never imports PyTorch's compiler.

    The import takes each worker a second. The methods of the original class are wrapped to tell the compiler what not
    to compile; the returned class has the methods without these wrappers.
    """
    if not EAGER.fits(torch.__version__):
        return kind
    methods = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in methods}
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(inspect.unwrap(kind.step))})

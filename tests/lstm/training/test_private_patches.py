import inspect
import subprocess
import sys

import pytest
import torch

from lstm import patches
from lstm.training import private_patches
from lstm.training.private_patches import eager

OPTIMIZERS = [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD]
STEPS = """
import sys, torch
from lstm.training.private_patches import eager
for kind in (eager(torch.optim.Adam), torch.optim.Adam):
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = kind([weight], 0.1, fused=True)
    weight.sum().backward()
    optimizer.zero_grad(), optimizer.step(), optimizer.load_state_dict(optimizer.state_dict())
    print("torch._dynamo" in sys.modules)
"""


@pytest.fixture
def anew():
    eager.cache_clear()
    yield
    eager.cache_clear()


def same(one, other):
    """Whether two trees of tensors and values are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.dtype == other.dtype
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_without_the_compiler_is_torchs_own(kind):
    networks = [torch.nn.Linear(3, 2) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    made = [
        made(network.parameters(), 0.1, weight_decay=0.01, fused=True)
        for made, network in zip((kind, eager(kind)), networks, strict=True)
    ]
    for number in range(4):
        for optimizer, network in zip(made, networks, strict=True):
            optimizer.zero_grad()
            network(torch.arange(6.0).view(2, 3) - number).square().sum().backward()
            optimizer.step()
    assert torch.equal(networks[0].weight, networks[1].weight)
    assert isinstance(made[1], kind)
    assert same(made[0].state_dict(), made[1].state_dict())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_it_fits_the_pytorch_that_is_installed(kind, anew):
    """Fails where PyTorch is made otherwise: try it with the new one, then add its version."""
    assert private_patches.EAGER.fits(torch.__version__), torch.__version__
    for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad", "step"):
        assert inspect.unwrap(getattr(kind, name)) is not getattr(kind, name), f"{name} is wrapped no more"
    assert eager(kind) is not kind


@pytest.mark.faults  # that no worker imports it, tests/cluster/ray_backend/test_actor.py holds in each run of the tests
def test_it_is_needed_while_an_optimizer_of_pytorchs_imports_the_compiler():
    """The second answer is another once PyTorch does without by itself: then the patch is to go."""
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, timeout=280, check=True)
    assert done.stdout.split() == ["False", "True"], "with the patch, and without it"


def test_another_version_of_pytorch_has_its_own_optimizer(anew, monkeypatch, caplog):
    monkeypatch.setattr(torch, "__version__", "99.1.0+cpu")
    monkeypatch.setattr(patches, "_told", set())
    assert eager(torch.optim.Adam) is torch.optim.Adam
    assert "99.1.0+cpu" in caplog.text


@pytest.mark.parametrize("off", ["torch", "all", "ray, torch"])
def test_the_switch_leaves_pytorch_as_it_is(anew, monkeypatch, caplog, off):
    monkeypatch.setenv(patches.SWITCH, off)
    assert eager(torch.optim.Adam) is torch.optim.Adam
    assert not caplog.text

"""Parts about results: losses beside the CPU's, and what is the same to the bit."""

import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import measured
import torch
from measured import Row

from lstm import checkpoint
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch
from lstm.tasks import registry
from lstm.training.loop import train


def tasks() -> Iterator[Row]:
    """The loss of each task after some epochs on the device, beside the CPU's."""
    measured.warm()
    for name, config, data in measured.cases():
        row: Row = {"task": name}
        for on in dict.fromkeys(("cpu", measured.USED)):
            try:
                epochs, seconds = measured.trained(config, data, on)
                row |= {f"val/loss, {on}": epochs[-1].metrics["val/loss"], f"seconds, {on}": round(seconds, 2)}
            except Exception as error:  # a task that does not run on a GPU is a finding
                row[f"val/loss, {on}"] = measured.told(error)
        cpu, used = row["val/loss, cpu"], row[f"val/loss, {measured.USED}"]
        if measured.USED != "cpu" and isinstance(cpu, float) and isinstance(used, float):
            row["apart"] = abs(used - cpu) / max(abs(cpu), 1e-12)
        yield row


def resume() -> Iterator[Row]:
    """Whether a training that goes on from a checkpoint has the weights of one that never stopped, to the bit."""
    for name, config, data in measured.cases():
        yield {"task": name, "device": measured.USED} | _repeated(config, data)


def deterministic() -> Iterator[Row]:
    """The same, with all that PyTorch and cuBLAS have to be deterministic; what is not so by its own word."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    torch.use_deterministic_algorithms(True, warn_only=True)
    for name, config, data in measured.cases():
        began = time.perf_counter()
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            row = _repeated(config, data)
        named = sorted({str(each.message).partition(" ")[0] for each in found if "determinis" in str(each.message)})
        yield {
            "task": name,
            "device": measured.USED,
            **row,
            "seconds": time.perf_counter() - began,
            "not so": ", ".join(named),
        }


def _repeated(config: TrialConfig, data: Dataset) -> Row:
    """Whether weights are the same when a training is repeated, and when it goes on from a checkpoint."""
    try:
        whole, _ = measured.trained(config, data, measured.USED)
        again, _ = measured.trained(config, data, measured.USED)
        begun = next(iter(train(config, data, device=measured.USED)))
        rest, _ = measured.trained(config, data, measured.USED, _through_a_file(config, data, begun))
    except Exception as error:
        return {"the same when resumed": measured.told(error)}
    return {
        "the same when repeated": _apart(whole, again) == 0,
        "the same when resumed": _apart(whole, rest) == 0,
        "largest difference of a weight": _apart(whole, rest),
    }


def _through_a_file(config: TrialConfig, data: Dataset, epoch: Epoch) -> Any:
    """The state after an epoch, written and read as a worker does it."""
    from lstm.records.goodput import NOTHING

    assert epoch.state is not None
    with tempfile.TemporaryDirectory() as folder:
        content = checkpoint.Checkpoint(
            config, registry.facts_row(config, data, 1), epoch.state, NOTHING, study="0", number=0
        )
        checkpoint.write(folder, 1, content)
        found = checkpoint.load(folder, print)
        assert found is not None, "the checkpoint could not be read"
        return found.state


def _apart(one: list[Epoch], other: list[Epoch]) -> float:
    """The largest difference between weights; 0 is the same to the bit, but for the sign of a zero."""
    assert one[-1].state is not None
    assert other[-1].state is not None
    pairs = ((weight, other[-1].state.model[name]) for name, weight in one[-1].state.model.items())
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)

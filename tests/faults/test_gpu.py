"""A GPU that fails a process for good, as an illegal access does: the trial goes on in another process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

CELL = """\
import os
from pathlib import Path
import torch
from torch import nn

MARK = Path({mark!r})  # names the process that can't use its GPU any more


class Spoilt(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.inner = nn.GRU(inputs, hidden, batch_first=True)

    def forward(self, x, state):
        if self.training and not MARK.exists():
            MARK.write_text(str(os.getpid()))
        if self.training and MARK.read_text() == str(os.getpid()):
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return self.inner(x, state)
"""
SPEC = """\
name: spoilt
data: {path: tiny.csv, time: day, target: load, lookback: 14, horizon: 7, split: {validation: 0.2, test: 0.2}}
model: {cell: "spoilt.py:Spoilt", hidden_size: 4}
training: {max_epochs: 2, batch_size: 32, learning_rate: 1e-2}
search: {n_trials: 3, sampler: {type: grid}, space: {model.hidden_size: {type: categorical, choices: [5, 6, 7]}}}
resources: {max_concurrent: 1}
"""


def test_only_one_trial_is_lost_to_a_process_that_can_not_use_its_gpu_any_more(tmp_path: Path, tiny_data: str) -> None:
    (tmp_path / "spoilt.yaml").write_text(SPEC)
    (tmp_path / "spoilt.py").write_text(CELL.format(mark=str(tmp_path / "mark")))
    (tmp_path / "tiny.csv").write_text(tiny_data)

    def call(*words: str) -> str:
        sweep = Path(sys.executable).with_name("sweep")
        done = subprocess.run([sweep, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    told = call("run", "spoilt.yaml")
    assert told.count("it is tried again") == 1, told
    assert "trial 0 lost in attempt 1: AcceleratorError" in told
    trials = json.loads(call("compare", "spoilt", "--json"))["trials"]
    assert {trial["state"] for trial in trials} == {"COMPLETE"}

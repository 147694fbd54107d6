"""A trial for which its host has no memory: it ends with its reason, the sampler is told, the sweep goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

SPEC = """\
name: large
data: {path: tiny.csv, time: day, target: load, lookback: 14, horizon: 7, split: {validation: 0.2, test: 0.2}}
training: {max_epochs: 2, batch_size: 32, learning_rate: 1e-2}
search:
  n_trials: 4
  sampler: {type: grid}
  space:
    model.hidden_size: {type: categorical, choices: [4, 5, 6, 7000]}
resources: {max_concurrent: 1}
"""
ROOM = 1.5e9  # bytes that may be used beyond what is used now; the large trial needs six times that


def memory() -> dict[str, int]:
    """/proc/meminfo, in bytes."""
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


def test_a_trial_for_which_the_host_has_no_memory(tmp_path, tiny_data):
    total, free = memory()["MemTotal"], memory()["MemAvailable"]
    if free < 16e9:
        pytest.skip(f"needs 16 GB of free memory, to be sure that others do not suffer; here are {free / 1e9:.0f}")
    (tmp_path / "large.yaml").write_text(SPEC)
    (tmp_path / "tiny.csv").write_text(tiny_data)
    limits = {
        "RAY_memory_usage_threshold": f"{(total - free + ROOM) / total:.3f}",
        "RAY_memory_monitor_refresh_ms": "50",
    }
    sweep = Path(sys.executable).with_name("sweep")

    def call(*words):
        return subprocess.run(
            [sweep, *words],
            cwd=tmp_path,
            env=os.environ | limits,
            capture_output=True,
            text=True,
            timeout=580,
            check=False,
        )

    done = call("run", "large.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    trials = json.loads(call("compare", "large", "--json").stdout)["trials"]
    (large,) = [t for t in trials if t["parameters"]["model.hidden_size"] == 7000]
    assert large["state"] == "PRUNED"
    assert [t["state"] for t in trials if t is not large] == ["COMPLETE"] * 4  # the base is one of them
    assert "PRUNED (its host ran out of memory (2 times))" in done.stdout
    assert call("verify", "large").returncode == 0

"""A sweep over two real Ray hosts, each with a network of its own, with logical GPUs."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import hosts
import pytest

SPEC = """
name: two-hosts
data:
  path: wave.csv
  target: y
  lookback: 24
  horizon: 6
  split: {validation: 0.2, test: 0.2}
training: {max_epochs: 2, batch_size: 16, learning_rate: 1e-3}
search:
  n_trials: 4
  sampler: {type: random, seed: 3}
  space:
    model.hidden_size: {type: int, low: 8, high: 32}
resources: {gpus_per_trial: 1}
"""


OWN = """
import only_here
from torch import nn


class Cell(nn.GRU):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size, batch_first=True)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[hosts.Lab]:
    """Two hosts with nothing on them."""
    if reason := hosts.missing():
        pytest.skip(reason)
    with hosts.lab(2) as made:
        yield made


@pytest.fixture(scope="module")
def address(lab: hosts.Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Their cluster's. A package is on the first host alone: the other has another, empty folder at its place."""
    packages = tmp_path_factory.mktemp("packages")
    (lab.hosts[0].keep_to_itself(packages) / "only_here.py").write_text("")
    for host in lab.hosts:
        host.environment["PYTHONPATH"] = str(packages)
    return hosts.cluster(*lab.hosts, cpus=2, gpus=2)


@pytest.fixture
def command(address: str, tmp_path: Path) -> tuple[str, ...]:
    """`sweep run` of a small sweep, in a folder with files of our rooms' names, which workers must not see."""
    rows = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12)}" for i in range(1500))
    (tmp_path / "wave.csv").write_text(f"y\n{rows}\n")
    (tmp_path / "spec.yaml").write_text(SPEC)
    for trap in ("lstm.py", "cluster.py"):
        (tmp_path / trap).write_text("raise SystemExit('the user\\'s file was imported')\n")
    return ("sweep", "run", "spec.yaml", "--home", "home", "--address", address)


# Each host's answer is looked at by unit tests, too (tests/cluster/ray_backend/test_connection.py).
@pytest.mark.faults
def test_what_hosts_lack_is_told_by_host(lab: hosts.Lab, command: tuple[str, ...], tmp_path: Path) -> None:
    # This cluster has no tokens. A driver that asks for one brings no actor to life there, though its tasks run.
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    refused = lab.hosts[0].run(*command, "--set", "resources.gpus_per_trial=auto", cwd=tmp_path, environment=token)
    assert refused.returncode == 1, refused.stdout
    assert "RAY_AUTH_MODE" in refused.stdout
    assert refused.stdout.count("The actor never ran") == 2, "what Ray says of each host"
    assert not (tmp_path / "home").exists()

    (tmp_path / "mine.py").write_text(OWN)
    own = ("--set", "model.cell=mine.py:Cell", "--set", "resources.gpus_per_trial=auto")
    refused = lab.hosts[0].run(*command, *own, cwd=tmp_path)
    assert refused.returncode == 2, refused.stdout
    lacks = [f"{host.address} ({host.name})" in refused.stdout for host in lab.hosts]
    assert (lacks, "only_here" in refused.stdout) == ([False, True], True), refused.stdout
    assert not (tmp_path / "home").exists()

    refused = lab.hosts[0].run(*command, cwd=tmp_path)
    assert refused.returncode == 2, refused.stdout
    for host in lab.hosts:
        assert f"{host.address} ({host.name}): resources.gpus_per_trial: PyTorch can use 0 of 2 GPUs" in refused.stdout
    assert not (tmp_path / "home").exists()


def test_trials_run_on_both_hosts_whose_gpus_can_not_be_used(
    lab: hosts.Lab, command: tuple[str, ...], tmp_path: Path
) -> None:
    for trials in (4, 8, 16, 32):  # on a busy machine one host may have done all before the other one's workers came
        more = ("--set", f"search.n_trials={trials}")
        ran = lab.hosts[0].run(*command, "--set", "resources.gpus_per_trial=auto", *more, cwd=tmp_path)
        assert ran.returncode == 0, ran.stdout
        assert "PyTorch can use no GPU" in ran.stdout
        assert "may not ask for a token" in ran.stdout
        with sqlite3.connect(tmp_path / "home" / "study.db") as study:
            found = study.execute("SELECT value_json FROM trial_user_attributes WHERE key = 'start'").fetchall()
            states = study.execute("SELECT state, COUNT(*) FROM trials GROUP BY state").fetchall()
        assert states == [("COMPLETE", trials), ("FAIL", 1)], "the base is told as FAIL: no sampler sees it"
        starts = [start for (start,) in found]
        if all(any(f"{host.address} ({host.name})" in start for start in starts) for host in lab.hosts):
            break
    else:
        pytest.fail(f"all trials ran on one host: {starts}")
    assert {start.partition(" pid ")[2].split('"')[0].partition(" ")[2] for start in starts} == {"cpu"}, starts

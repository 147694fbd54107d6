"""Sweeps on a cluster that grows and shrinks by Ray's own autoscaler, with Ray's fake provider of nodes.

`make test` has the parts with small fakes: tests/cluster/ray_backend/test_room.py, test_demand.py, test_admission.py.
"""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import growing
import hosts
import pytest

pytestmark = pytest.mark.clusters
PATIENCE_S = 900  # for what is waited for, on a machine that is busy with other things

SPEC = """
name: growing
data:
  path: wave.csv
  target: y
  lookback: 24
  horizon: 6
  split: {validation: 0.2, test: 0.2}
training: {max_epochs: 4, batch_size: 16, learning_rate: 1e-3, patience: null}
search:
  n_trials: 3
  sampler: {type: random, seed: 3}
  first:
  - {training.max_epochs: LONG}
  - {training.max_epochs: 3}
  - {training.max_epochs: 4}
  space:
    training.max_epochs: {type: int, low: 2, high: 5000}
"""


@pytest.fixture
def host() -> Iterator[hosts.Host]:
    if reason := hosts.missing():
        pytest.skip(reason)
    with hosts.lab(1) as lab:
        yield lab.hosts[0]


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """The command of a sweep with one long trial and two short ones, of which one is the base."""

    def act(address: str, *more: str, long: int = 4) -> tuple[str, ...]:
        rows = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12)}" for i in range(1500))
        (tmp_path / "wave.csv").write_text(f"y\n{rows}\n")
        (tmp_path / "spec.yaml").write_text(SPEC.replace("LONG", str(long)))
        return ("sweep", "run", "spec.yaml", "--home", "home", "--address", address, *more)

    return act


def wait_for(what: str, condition: Callable[[], object], driver: "subprocess.Popen[str] | None", out: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert driver is None or driver.poll() is None, f"ended before: {what}\n{out.read_text()}"
        assert time.monotonic() < end, f"never: {what}\n{out.read_text()}"
        time.sleep(0.2)


@pytest.mark.parametrize("version", [1, 2])
def test_it_grows_from_nothing_as_trials_wait_and_shrinks_as_they_run_out(
    host: hosts.Host, sweep: Callable[..., tuple[str, ...]], tmp_path: Path, version: int
) -> None:
    address, out = growing.start(host, {"small": growing.Type(cpus=1, most=3)}, version=version), tmp_path / "out"
    driver = host.start(*sweep(address, long=5000), cwd=tmp_path, output=out)
    seen = set[int]()
    wait_for("it says what it waits for", lambda: "small with 1 CPUs" in out.read_text(), driver, out)
    assert not (tmp_path / "home" / "study.db").exists(), "nothing is written before a node is there"

    def on_three() -> bool:
        seen.update(growing.at_work(host))
        return len(seen) >= 3

    wait_for("trials work on three nodes", on_three, driver, out)
    assert growing.nodes(host) == 3
    wait_for("the others are let go while the long trial runs", lambda: growing.nodes(host) == 1, driver, out)
    host.send(driver, signal.SIGINT)
    assert driver.wait(PATIENCE_S) == 130, out.read_text()
    wait_for("no node is left", lambda: growing.nodes(host) == 0, None, out)

    more = ("--set", "search.n_trials=3", "--set", "search.stop.max_hours=0.0001")
    again = host.run(*sweep(address, *more, long=5000), cwd=tmp_path, timeout_s=PATIENCE_S)
    assert again.returncode == 0, again.stdout
    with sqlite3.connect(tmp_path / "home" / "study.db") as study:
        states = dict(study.execute("SELECT state, COUNT(*) FROM trials GROUP BY state").fetchall())
    assert states.get("COMPLETE") == 2, (states, again.stdout)
    wait_for("no node is left", lambda: growing.nodes(host) == 0, None, out)


def test_what_no_type_can_give_is_refused_at_once(
    host: hosts.Host, sweep: Callable[..., tuple[str, ...]], tmp_path: Path, record_property: Callable[..., None]
) -> None:
    types = {"small": growing.Type(cpus=1, most=3), "large": growing.Type(cpus=1, gpus=1, most=1)}
    address = growing.start(host, types)
    for field in ("cpus_per_trial=2", "cpus_per_trial=5"):
        began = time.monotonic()
        ran = host.run(*sweep(address, "--set", f"resources.{field}"), cwd=tmp_path, timeout_s=PATIENCE_S)
        record_property(f"seconds until {field} was refused", round(time.monotonic() - began, 1))
        assert ran.returncode == 2, ran.stdout
        assert "large with 1 CPUs and 1 GPUs, small with 1 CPUs" in ran.stdout
    assert growing.nodes(host) == 0
    assert not (tmp_path / "home").exists()


def test_the_wait_for_a_node_that_never_comes_can_be_interrupted(
    host: hosts.Host, sweep: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    address, out = growing.start(host, {"stuck": growing.Type(cpus=1, most=1)}), tmp_path / "out"
    for number in (signal.SIGTERM, signal.SIGINT):
        driver = host.start(*sweep(address), cwd=tmp_path, output=out)
        wait_for("it says what it waits for", lambda: "stuck with 1 CPUs" in out.read_text(), driver, out)
        host.send(driver, number)
        assert driver.wait(PATIENCE_S) == 130, out.read_text()
        assert "the wait for a node with room for a trial has ended: interrupted" in out.read_text()
        assert not (tmp_path / "home" / "study.db").exists()


def test_no_trial_runs_on_a_node_that_joins_with_another_pytorch(
    host: hosts.Host, sweep: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    address, out = growing.start(host, {"wrong": growing.Type(cpus=1, most=1)}, cpus=1, idle_s=60), tmp_path / "out"
    driver = host.start(*sweep(address, long=60), cwd=tmp_path, output=out)
    assert driver.wait(PATIENCE_S) == 0, out.read_text()
    assert "the node has joined and no trial runs there: has torch 1.0" in out.read_text()
    with sqlite3.connect(tmp_path / "home" / "study.db") as study:
        found = study.execute("SELECT value_json FROM trial_user_attributes WHERE key = 'start'").fetchall()
    assert len(found) == 3, "each trial has begun, on the head"

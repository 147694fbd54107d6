"""A sweep over three real Ray hosts, each in a network namespace of its own, with logical GPUs."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOSTS = (1, 2, 3)
SUBNET = "10.213.47"
RAY = Path(sys.executable).with_name("ray")
SWEEP = Path(sys.executable).with_name("sweep")
# Without tokens, the same on every host: a token file that lies about would else decide.
ENVIRONMENT = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}

SPEC = """
name: three-hosts
data:
  path: wave.csv
  target: y
  lookback: 24
  horizon: 6
  split: {validation: 0.2, test: 0.2}
training: {max_epochs: 4, batch_size: 8, learning_rate: 1e-3}
search:
  n_trials: 9
  sampler: {type: random, seed: 3}
  space:
    model.hidden_size: {type: int, low: 8, high: 32}
resources: {gpus_per_trial: 1}
"""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def on(host: int, *command: str | Path) -> list[str]:
    return ["ip", "netns", "exec", name(host), *map(str, command)]


def name(host: int) -> str:
    return f"sweep{os.getpid()}h{host}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Three hosts with two CPUs and two logical GPUs each; the head's address."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2, to make network namespaces")
    bridge = f"br{os.getpid() % 100_000}"
    try:
        ip("link", "add", bridge, "type", "bridge")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    # Unix sockets have short names: pytest's folders are too deep for Ray's session.
    scratch = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    try:
        ip("addr", "add", f"{SUBNET}.254/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for host in HOSTS:
            ip("netns", "add", name(host))
            ip("link", "add", f"{bridge}v{host}", "type", "veth", "peer", "name", "e0", "netns", name(host))
            ip("link", "set", f"{bridge}v{host}", "master", bridge, "up")
            for words in (
                ("addr", "add", f"{SUBNET}.{host}/24", "dev", "e0"),
                ("link", "set", "e0", "up"),
                ("link", "set", "lo", "up"),
                ("route", "add", "default", "via", f"{SUBNET}.254"),
            ):
                subprocess.run(on(host, "ip", *words), check=True)
        for host in HOSTS:
            role = (
                ("--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={scratch}")
                if host == 1
                else (f"--address={SUBNET}.1:6379",)
            )
            start = on(host, RAY, "start", *role, f"--node-ip-address={SUBNET}.{host}", "--num-cpus=2", "--num-gpus=2")
            subprocess.run(start, check=True, env=ENVIRONMENT, capture_output=True, timeout=120)
        yield f"{SUBNET}.1:6379"
    finally:
        for host in HOSTS:
            pids = subprocess.run(["ip", "netns", "pids", name(host)], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name(host)], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True, check=False)
        shutil.rmtree(scratch, ignore_errors=True)


def test_trials_run_on_all_hosts_each_with_its_own_gpu(cluster: str, tmp_path: Path) -> None:
    rows = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12)}" for i in range(1500))
    (tmp_path / "wave.csv").write_text(f"y\n{rows}\n")
    (tmp_path / "spec.yaml").write_text(SPEC)
    # A user's folder with files of our rooms' names: workers must not see it.
    for trap in ("lstm.py", "cluster.py"):
        (tmp_path / trap).write_text("raise SystemExit('the user\\'s file was imported')\n")

    command = on(1, SWEEP, "run", "spec.yaml", "--home", "home", "--address", cluster)
    ran = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "may not ask for a token" in ran.stdout
    with sqlite3.connect(tmp_path / "home" / "study.db") as study:
        starts = [row[0] for row in study.execute("SELECT value_json FROM trial_user_attributes WHERE key = 'start'")]
        states = study.execute("SELECT state, COUNT(*) FROM trials GROUP BY state").fetchall()
    assert states == [("COMPLETE", 9)]
    for host in HOSTS:
        assert any(f"{SUBNET}.{host} " in start for start in starts), starts
    # Two trials at once on a host never share a GPU: each process keeps the one that it was given.
    places = {tuple(start.partition(" pid ")[2].split('"')[0].split(" gpu ")) for start in starts}
    assert len({pid for pid, _ in places}) == len(places), places
    assert {gpu for _, gpu in places} == {"0", "1"}

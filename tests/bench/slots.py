"""How busy a cluster's slots are kept: 50 trials at once on several hosts, which sleep where others train.

    python tests/bench/slots.py [--hosts 5] [--slots 10] [--trials 400] [--epochs 5] [--epoch-s 2]

Needs root: each host is one for Ray, in namespaces of this machine, with logical CPUs. All but the training is the
product's own: `sweep run` on the cluster's address, study and MLflow on SQLite. A trial's length is drawn, so that
trials end one by one. Start is when every slot has slept once; the end is when the last trial begins to sleep, for
then nothing is left to fill a slot with. The share is the time slept between the two over slots times that time.
"""

import argparse
import itertools
import os
import random
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

from cluster.protocol import Started
from cluster.ray_backend.actor import ActorHandle
from lstm.records.epoch import Epoch
from lstm.records.goodput import Spent

SPEC = """\
name: slots
data: {{path: waves.csv, target: y, lookback: 8, horizon: 2, split: {{validation: 0.2, test: 0.2}}}}
training: {{max_epochs: {epochs}}}
search: {{n_trials: {trials}, space: {{training.learning_rate: {{type: float, low: 1e-4, high: 1e-1, log: true}}}}}}
"""
SLEPT, EPOCH = "SLOTS_SLEPT", "SLOTS_EPOCH_S"  # in the environment: a folder, a mean length in seconds


def main() -> None:
    """Makes the hosts, drives the sweep from the first, and prints how busy the slots were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"hosts": 5, "slots": 10, "trials": 400, "epochs": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--epoch-s", type=float, default=2.0)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))
    import hosts

    if why := hosts.missing():
        raise SystemExit(why)
    with tempfile.TemporaryDirectory(prefix="slots-") as name, hosts.lab(options.hosts) as lab:
        folder = Path(name)
        (folder / "slept").mkdir()
        (folder / "waves.csv").write_text("y\n" + "\n".join(str(n % 12) for n in range(500)) + "\n")
        (folder / "slots.yaml").write_text(SPEC.format(epochs=options.epochs, trials=options.trials))
        for host in lab.hosts:
            host.environment |= {SLEPT: str(folder / "slept"), EPOCH: str(options.epoch_s)}
        first, *others = lab.hosts
        address = hosts.cluster(first, *others, cpus=options.slots)
        driver = first.start(sys.executable, Path(__file__), address, cwd=folder, output=folder / "log")
        driver.wait()
        print((folder / "log").read_text())
        _tell(folder / "slept", options.hosts * options.slots)


def _tell(folder: Path, slots: int) -> None:
    """Prints the share of slots that slept; a file holds a worker's sleeps: trial, begin, end, in seconds."""
    workers = [[tuple(map(float, line.split())) for line in path.read_text().splitlines()] for path in folder.iterdir()]
    if len(workers) != slots:
        raise SystemExit(f"{len(workers)} workers slept, and there are {slots} slots")
    begun = max(min(begin for _, begin, _ in sleeps) for sleeps in workers)
    trials = {trial for sleeps in workers for trial, _, _ in sleeps}
    ended = max(min(b for sleeps in workers for t, b, _ in sleeps if t == trial) for trial in trials)
    slept = sum(max(0.0, min(end, ended) - max(begin, begun)) for sleeps in workers for _, begin, end in sleeps)
    gaps = [
        (later[0] == sooner[0], later[1] - sooner[2])
        for sleeps in workers
        for sooner, later in itertools.pairwise(sleeps)
        if begun <= sooner[2] and later[1] <= ended
    ]
    print(f"{len(trials)} trials on {slots} slots, {ended - begun:.0f} s: {slept / slots / (ended - begun):.1%} busy")
    for same, what in ((True, "two epochs"), (False, "two trials")):
        some = [gap for alike, gap in gaps if alike == same]
        print(
            f"  between {what} of a slot: mean {sum(some) / len(some) * 1e3:.0f} ms, at most {max(some) * 1e3:.0f} ms"
        )


class Sleeper(tune.Trainable):  # type: ignore[misc] # Ray ships no types
    """Answers as the product's actor does, and sleeps where that trains."""

    def setup(self, config: dict[str, Any], series: Any = None) -> None:
        """Starts the first trial."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial."""
        self._order, self._epoch = new_config, -1
        self._random = random.Random(new_config["number"])
        self._most = new_config["trial"]["training"]["max_epochs"]
        return True

    def step(self) -> dict[str, Any]:
        """The start, then an epoch at a time."""
        self._epoch += 1
        if self._epoch == 0:
            where = f"{ray.util.get_node_ip_address()} ({socket.gethostname()}) pid {os.getpid()}"
            actor = [ActorHandle(ray.get_runtime_context().current_actor)]
            started = Started(where, time.time_ns() // 1_000_000, os.getpid(), (), actor)
            return {"started": started, "epochs": (), "done": False, "spent": Spent()}
        long_s = float(os.environ[EPOCH]) * self._random.uniform(0.7, 1.3)
        begin = time.time()
        time.sleep(long_s)
        with Path(os.environ[SLEPT], f"{socket.gethostname()}-{os.getpid()}").open("a") as file:
            file.write(f"{self._order['number']} {begin} {time.time()}\n")
        value = self._order["trial"]["training"]["learning_rate"] + 1 / self._epoch
        last = self._epoch == self._most
        metrics = {"val/loss": value, "train/loss": value, "epoch_s": long_s, "lr": 0.1, "grad_norm": 1.0}
        epoch = Epoch(self._epoch, metrics, value, self._epoch, "max_epochs" if last else None)
        return {"epochs": (epoch,), "done": last, "spent": Spent()}


def _drive(address: str) -> None:
    """`sweep run`, with actors that sleep; the worker gets their class by value, for it lies in the main module."""
    import cluster.ray_backend.tune
    from experiments.cli import main as sweep

    cluster.ray_backend.tune.TrialActor = Sleeper  # type: ignore[misc]
    sys.argv = ["sweep", "--home", "home", "run", "slots.yaml", "--address", address]
    sweep()


if __name__ == "__main__":
    if len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        _drive(sys.argv[1])
    else:
        main()

"""How long `sweep run` takes to its first epoch, what a worker holds in memory, what a file of a gigabyte takes.

    python tests/bench/start.py [--rounds 5] [--csv-gb 1] [--only start memory csv]

start: from the command to the first epoch whose checkpoint is on the disk, a local Ray and a fresh home each time, the
median of the rounds. Its parts are seen from without, by what appears on the disk: Ray's session (until then: Python's
imports, the spec, the data), Ray's log of the driver (ray.init), the log of the first worker of ours (study and Tune),
the first checkpoint (the worker's imports and its first epoch).

memory: private memory of a worker that trains, beside that of an actor which only imports torch, ray and ray.tune.

csv: a file of a time and three columns is written, then read as `sweep run` reads it, in a process of its own: the
time, and the memory at its peak beyond what the imports take, as a multiple of the float32 array. Then `sweep run`
trains on it until its first epoch of 50 steps is on the disk: the time, and what all its processes, Ray's included,
hold at most beyond what they hold where the file has a 1,000th of the rows (what is shared counts once).
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

SPEC = """\
name: start
data: {path: waves.csv, target: y, lookback: 48, horizon: 12, split: {validation: 0.2, test: 0.2}}
model: {hidden_size: 16}
training: {max_epochs: 3}
search: {n_trials: 2, space: {training.learning_rate: {type: float, low: 1e-4, high: 1e-1, log: true}}}
"""
LONG = """\
name: start
data: {path: long.csv, time: time, target: a, past_covariates: [b, c], lookback: 48,
  horizon: 12, split: {validation: 2000, test: 2000}}
model: {hidden_size: 16}
training: {max_epochs: 1, steps_per_epoch: 50}
search: {n_trials: 1, space: {training.learning_rate: {type: float, low: 1e-4, high: 1e-1, log: true}}}
"""
PARTS = ("imports, spec, data", "ray.init", "study, Tune", "worker, first epoch")
LONGEST_S = 300.0
ROW = 50  # bytes


def main() -> None:
    """Measures what is asked for, and prints a line for each."""
    options = _options()
    if "start" in options.only:
        rounds = [_start() for _ in range(options.rounds)]
        wholes = sorted(sum(parts) for parts in rounds)
        print(f"command to first epoch: {statistics.median(wholes):.1f} s ({wholes[0]:.1f} to {wholes[-1]:.1f})")
        for name, taken_s in zip(PARTS, zip(*rounds, strict=True), strict=True):
            print(f"  {name}: {statistics.median(taken_s):.1f} s", flush=True)
    if "memory" in options.only:
        bare, ours = _bare_mb(), _worker_mb()
        print(
            f"a worker's private memory: {ours:.0f} MB, bare {bare:.0f} MB, above it {ours - bare:.0f} MB", flush=True
        )
    if "csv" in options.only:
        _csv(options.csv_gb)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--csv-gb", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=["start", "memory", "csv"], default=["start", "memory", "csv"])
    return parser.parse_args()


def _start() -> tuple[float, ...]:
    """The seconds of each part."""
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as name:  # Ray's sockets need a short path
        folder = Path(name)
        begun = time.perf_counter()
        with _running(folder) as process:
            marks = [_when(process, lambda wanted=wanted: any(folder.glob(wanted))) for wanted in _signs()]
            process.wait(LONGEST_S)
    return tuple(np.diff([begun, *marks]).tolist())


def _signs() -> tuple[str, ...]:
    logs = "ray/session_2*/logs"
    return (logs, f"{logs}/python-core-driver-*", f"{logs}/worker-*-01000000-*.out", "home/start/*/trial-*/*.pt")


def _running(folder: Path, spec: str = SPEC) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    rows = np.sin(np.arange(3000) / 9) + np.random.default_rng(0).normal(0, 0.1, 3000)
    (folder / "waves.csv").write_text("y\n" + "\n".join(f"{y:.5f}" for y in rows) + "\n")
    (folder / "start.yaml").write_text(spec)
    return _sweep(folder, folder / "home")


@contextmanager
def _sweep(folder: Path, home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A sweep that does not outlive what is asked of it."""
    command = [str(Path(sys.executable).with_name("sweep")), "--home", str(home), "run", "start.yaml"]
    env = {**os.environ, "RAY_TMPDIR": str(folder)}
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def _when(process: "subprocess.Popen[bytes]", happened: Callable[[], bool]) -> float:
    end = time.perf_counter() + LONGEST_S
    while not happened():
        if process.poll() is not None or time.perf_counter() > end:
            raise SystemExit(f"the sweep ended, or took too long, with code {process.poll()}")
        time.sleep(0.01)
    return time.perf_counter()


def private_mb(pid: int) -> float:
    """What a process holds for itself alone, in MB."""
    fields = re.findall(r"Private_\w+:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())
    return sum(map(int, fields)) / 1e3


def _worker_mb() -> float:
    """The largest worker's, a hundred epochs and more into its training."""
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as name:
        folder = Path(name)
        with _running(folder, SPEC.replace("max_epochs: 3", "max_epochs: 10000")) as process:
            _when(process, lambda: any(folder.glob("home/start/*/trial-*/*-epoch-000[1-9]*.pt")))
            workers = [pid for pid in _descendants(process.pid) if _command(pid).startswith("ray::ResourceTrainable")]
            found = max(map(private_mb, workers))
    return found


def _descendants(pid: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    found, count = {pid}, 0
    while count != len(found):
        count = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _bare_mb() -> float:
    import ray

    ray.init(address="local", include_dashboard=False, logging_level="ERROR", log_to_driver=False)

    @ray.remote
    class Bare:
        def memory(self) -> float:
            import torch
            from ray import tune  # noqa: F401

            torch.nn.Linear(8, 8)(torch.zeros(1, 8)).sum().backward()
            fields = re.findall(r"Private_\w+:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text())
            return sum(map(int, fields)) / 1e3

    found: float = ray.get(Bare.remote().memory.remote())
    ray.shutdown()
    return found


def _csv(gigabytes: float) -> None:
    rows = round(gigabytes * 1e9 / ROW)
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as name:
        path = Path(name, "long.csv")
        _write(path, rows)
        if not os.fork():
            _load(path, rows)
            os._exit(0)
        os.wait()
        long_s, long_mb = _first_epoch(path.parent)
        path.unlink()
        _write(path, max(rows // 1000, 20_000))
        short_s, short_mb = _first_epoch(path.parent)
        above, array = long_mb - short_mb, rows * 3 * 4 / 1e6
        print(
            f"sweep run on it to its first epoch: {long_s:.1f} s, on a 1,000th {short_s:.1f} s; all its processes hold "
            f"{above:,.0f} MB more, {above / array:.1f} times the array"
        )


def _first_epoch(folder: Path) -> tuple[float, float]:
    """Seconds until it is on the disk; the most that all processes hold meanwhile, in MB."""
    (folder / "start.yaml").write_text(LONG)
    with tempfile.TemporaryDirectory(prefix="h-", dir=folder) as name:
        begun, most = time.perf_counter(), 0.0
        with _sweep(folder, Path(name)) as process:
            while not any(Path(name).glob("start/*/trial-*/*.pt")):
                if process.poll() is not None:
                    raise SystemExit(f"the sweep ended with code {process.poll()}")
                most = max(most, sum(map(_held_mb, _descendants(process.pid))))
                time.sleep(0.1)  # to look takes time of those looked at
            taken_s = time.perf_counter() - begun
            process.wait(LONGEST_S)
    return taken_s, most


def _held_mb(pid: int) -> float:
    """What a process holds, of what others hold too its share, in MB."""
    try:
        return int(re.findall(r"\nPss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())[0]) / 1e3
    except (OSError, IndexError):  # it has ended
        return 0.0


def _write(path: Path, rows: int) -> None:
    """Rows of some `ROW` bytes: a second each."""
    generator, block = np.random.default_rng(0), 1_000_000
    first = np.datetime64("2020-01-01T00:00:00")
    schema = pa.schema([("time", pa.timestamp("s")), *((name, pa.float64()) for name in "abc")])
    with pyarrow.csv.CSVWriter(path, schema) as file:
        for start in range(0, rows, block):
            count = min(block, rows - start)
            columns = [first + np.arange(start, start + count), *generator.normal(0, 10, (3, count)).round(6)]
            file.write_table(pa.table(columns, schema=schema))


def _load(path: Path, rows: int) -> None:
    from lstm.config.forecast import ForecastData
    from lstm.data import forecast as forecast_data

    section = {"time": "time", "target": "a", "past_covariates": ["b", "c"], "lookback": 48}
    config = ForecastData.model_validate(section | {"horizon": 12, "split": {"validation": 0.1, "test": 0.1}})
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    series = forecast_data.load(config, path)
    taken_s, array = time.perf_counter() - begun, series.values.nbytes
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(
        f"a CSV of {path.stat().st_size / 1e9:.2f} GB, {rows:,} rows: {taken_s:.1f} s, at its peak {peak / 1e6:,.0f} "
        f"MB, {peak / array:.1f} times the float32 array's {array / 1e6:,.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()

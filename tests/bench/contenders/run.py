"""Runs the contenders on the same work, one after another in turns, and says how long each took.

    python tests/bench/contenders/run.py [--work short|minute] [--rounds N] [--only NAME ...] [--gpus-per-trial SHARE]

`limit` is bare PyTorch, `stock` is Ray's documented recipe, `autolstm` is NeuralForecast's AutoLSTM (in an environment
of its own), `ours` is `sweep run` with all that is on by default. A round runs each once; the next round starts with
another. Each is a command of its own, in a terminal of its own and a fresh folder. What it did is read from what it
kept and checked to be the work: the benchmark ends where it is not. `--gpus-per-trial` is for `stock` and `ours` alone:
the others take no GPU.
"""

import argparse
import fcntl
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bars
import hourly
import outcome
import verdict
import workload
from outcome import Trained

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is slowed by a report that can't be sent
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TERM": "xterm-256color",
    "COLUMNS": "120",
    "LINES": "40",
}
MARK = "BENCH_RUN"  # an environment variable by which a contender's processes are known
REST_S = 60.0  # what they may take to be gone when it has ended
FOLDER = Path(__file__).parent
AUTOLSTM = "autolstm"
ON_A_GPU = ("stock", "ours")
SIDES = {"short": ["limit", "stock", AUTOLSTM, "ours"], "minute": ["limit", "ours"]}


@dataclass(frozen=True, slots=True)
class Contender:
    """Who takes part."""

    command: Callable[["Bench", Path], list[str]]  # from a fresh folder
    read: Callable[[Path], list[Trained]]
    alike: bool = True  # whether network and draws are the limit's
    mlflow: bool = False  # whether it keeps its curves there


@dataclass(slots=True)
class Bench:
    """One benchmark: its work, and where it happens."""

    kind: str
    scratch: Path
    autolstm: Path
    lock: Path | None
    gpus_per_trial: float
    work: outcome.Work = field(init=False)
    model: list[Trained] = field(init=False, default_factory=list)  # the limit's latest trials, or the first's

    def __post_init__(self) -> None:
        hourly.write(self.csv)
        self.work = workload.make(self.spec, self.csv, self.gpus_per_trial)
        self.document.write_text(json.dumps(self.work), encoding="utf-8")

    @property
    def csv(self) -> Path:
        return self.scratch / "hourly.csv"

    @property
    def document(self) -> Path:
        return self.scratch / "work.json"

    @property
    def spec(self) -> Path:
        return workload.SPECS[self.kind]


def _script(name: str) -> Callable[[Bench, Path], list[str]]:
    return lambda bench, folder: [sys.executable, str(FOLDER / name), str(bench.document), str(folder)]


def _autolstm(bench: Bench, folder: Path) -> list[str]:
    return [str(bench.autolstm), str(FOLDER / "autolstm.py"), str(bench.document), str(folder)]


def _ours(bench: Bench, folder: Path) -> list[str]:
    gpus = f"resources.gpus_per_trial={bench.gpus_per_trial:g}"
    return [str(Path(sys.executable).with_name("sweep")), "--home", str(folder), "run", str(bench.spec), "--set", gpus]


CONTENDERS = {
    "limit": Contender(_script("limit.py"), outcome.limit),
    "stock": Contender(_script("stock.py"), outcome.stock, mlflow=True),
    AUTOLSTM: Contender(_autolstm, outcome.autolstm, alike=False),
    "ours": Contender(_ours, outcome.ours, mlflow=True),
}


def main() -> None:
    """Runs all rounds, prints the table, keeps the result and draws it."""
    options = _options()
    names = options.only or SIDES[options.work]
    left_out = {}
    if AUTOLSTM in names and (why := _lacking(options.autolstm)):
        left_out[AUTOLSTM] = why
        names = [name for name in names if name != AUTOLSTM]
        print(f"{AUTOLSTM} is left out: {why}", flush=True)
    rounds: list[verdict.Round] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(options.work, Path(scratch), options.autolstm.absolute(), options.lock, options.gpus_per_trial)
        for number in range(options.rounds):
            # The limit stays in front: its trials are what the others' are held against.
            others = [name for name in names if name != "limit"]
            turn = number % max(len(others), 1)
            rounds.append({})
            for name in ["limit"] * ("limit" in names) + others[turn:] + others[:turn]:
                rounds[-1][name] = _run(name, bench)
                print(f"round {number + 1}  {name:9}{verdict.line(rounds[-1][name])}", flush=True)
        found = verdict.document(options.work, bench.work, rounds, left_out, _versions(bench, names))
    verdict.show(found, verdict.earlier(options.results, options.work))
    path = verdict.keep(found, options.results)
    picture = options.results / f"{options.work}.svg"
    picture.write_text(bars.draw(found), encoding="utf-8")
    print(f"kept in {path}, drawn in {picture}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=list(workload.SPECS), default="short")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS))
    parser.add_argument("--results", type=Path, default=FOLDER / "results")
    parser.add_argument("--gpus-per-trial", type=float, default=0.0, help="share of a GPU, with --only stock ours")
    parser.add_argument("--lock", type=Path, help="a file to hold locked in each turn, where others measure here, too")
    parser.add_argument("--autolstm", type=Path, default=Path(".venv-bench/bin/python"), help="Python that has it")
    options = parser.parse_args()
    if options.gpus_per_trial and set(options.only or CONTENDERS) - set(ON_A_GPU):
        parser.error(f"--gpus-per-trial needs --only {' '.join(ON_A_GPU)}: the others take no GPU")
    return options


def _run(name: str, bench: Bench) -> verdict.Times:
    """Runs a contender in a fresh folder, checks what it did; its times in seconds."""
    contender, folder = CONTENDERS[name], bench.scratch / uuid.uuid4().hex
    folder.mkdir()
    command = contender.command(bench, folder)
    with _alone(bench.lock):
        before, began = _others(folder.name), time.time()
        code, shown = _in_terminal(command, bench, folder.name)
        ended, after = time.time(), _others(folder.name)
        _wait_for_rest(folder.name)
    if code:
        raise SystemExit(f"{shown[-3000:]}\n{name} ended with exit code {code}: {' '.join(command)}")
    trials = contender.read(folder)
    if name == "limit" or (contender.alike and not bench.model):
        bench.model = trials
    wrong = list(outcome.faults(bench.work, trials, bench.model or trials, alike=contender.alike))
    points = len(bench.work["trials"]) * bench.work["max_epochs"]
    if contender.mlflow and (there := outcome.mlflow_points(folder)) != points:
        wrong.append(f"MLflow holds {there} points of its curves, not {points}")
    if wrong:
        raise SystemExit(f"{name} did not do the work:\n  " + "\n  ".join(wrong))
    first, last = min(trial.started for trial in trials), max(trial.ended for trial in trials)
    return {
        "whole_s": ended - began,
        "before_s": first - began,
        "trials_s": last - first,
        "after_s": ended - last,
        verdict.OTHERS: sum(spent - before.get(process, 0.0) for process, spent in after.items()),
    }


@contextmanager
def _alone(lock: Path | None) -> Iterator[None]:
    with (lock or Path(os.devnull)).open("rb") as file:
        if lock:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _in_terminal(command: list[str], bench: Bench, mark: str) -> tuple[int, str]:
    """Runs a command as in a terminal, which it draws its table on; its exit code and what it showed."""
    environment = {**os.environ, **ENVIRONMENT, MARK: mark, "BENCH_CSV": str(bench.csv)}
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def look() -> None:
        try:
            while piece := os.read(ours, 65536):
                shown.append(piece)
        except OSError:  # nobody holds the other side any more
            pass

    reader = threading.Thread(target=look, daemon=True)
    reader.start()
    process = subprocess.Popen(command, cwd=bench.scratch, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    return process.wait(), b"".join(shown).decode(errors="replace")


def _wait_for_rest(mark: str) -> None:
    """Waits until no process is left that a contender started, so that it does not slow the next one."""
    deadline, sought = time.monotonic() + REST_S, f"{MARK}={mark}".encode()
    while any(sought in _environment_of(process) for process in Path("/proc").glob("[0-9]*")):
        if time.monotonic() > deadline:
            raise SystemExit(f"processes of the last contender are there after {REST_S:g} s ({MARK}={mark})")
        time.sleep(0.05)


def _others(mark: str) -> dict[str, float]:
    """Seconds of CPU that each living process has spent that is neither this one nor the contender's."""
    spent, sought = {}, f"{MARK}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()) or sought in _environment_of(process):
            continue
        try:
            fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        # With its start, for numbers of processes are used again. Without its children: init adopts a contender's.
        spent[f"{process.name} {fields[19]}"] = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return spent


def _environment_of(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return b""


def _lacking(python: Path) -> str | None:
    """Why NeuralForecast can't take part, None if it can."""
    if not python.exists():
        return f"{python} is not there; `make bench` makes it"
    failed = python.parent.parent / "failed"  # what `make bench` kept of an installation that failed
    if failed.exists():
        said = failed.read_text(encoding="utf-8").splitlines()
        why = next((each for each in said if each.startswith("ERROR")), "no reason was given")
        return f"it could not be installed: {why}"
    tried = subprocess.run([python, "-c", "import neuralforecast"], capture_output=True, text=True, check=False)
    return (tried.stderr.strip().splitlines() or ["it can't be imported"])[-1] if tried.returncode else None


def _versions(bench: Bench, names: list[str]) -> dict[str, dict[str, str]]:
    versions = {"here": verdict.versions(sys.executable)}
    return versions | ({AUTOLSTM: verdict.versions(str(bench.autolstm))} if AUTOLSTM in names else {})


if __name__ == "__main__":
    main()

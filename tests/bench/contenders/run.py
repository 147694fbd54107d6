"""Runs the contenders on the same work, one after another in turns, and says how long each took.

    python tests/bench/contenders/run.py [--work short|minute] [--rounds N] [--only NAME ...]

`limit` is bare PyTorch, `stock` is Ray's documented recipe, `neuralforecast` is NeuralForecast's AutoLSTM (in its own
environment), `ours` is `sweep run` with all that is on by default. A round runs each once, the next one starts with
another. Each is a command of its own in a terminal of its own; what it did is read from what it kept, and checked to be
the work. Three times count: whole is the command from shell to shell; trials is from the first trial's start to the
last one's end; the rest is what comes before and after. Results are kept beside the earlier ones.
"""

import argparse
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import data
import outcome
import work as works

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is slowed by a report that can't be sent
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TERM": "xterm-256color",
    "COLUMNS": "120",
    "LINES": "40",
}
MARK = "BENCH_RUN"  # an environment variable by which a contender's processes are known
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Contender:
    """Who takes part."""

    name: str
    what: str
    command: Callable[[str, Path, Path], list[str]]  # from the kind of work, its JSON and a fresh folder
    read: Callable[[Path], list[outcome.Trained]]


def _script(name: str, python: str = sys.executable) -> Callable[[str, Path, Path], list[str]]:
    return lambda kind, work, folder: [python, str(FOLDER / name), str(work), str(folder)]


def _sweep(kind: str, work: Path, folder: Path) -> list[str]:
    return [str(Path(sys.executable).with_name("sweep")), "--home", str(folder), "run", str(works.SPECS[kind])]


CONTENDERS = {
    c.name: c
    for c in (
        Contender("limit", "bare PyTorch processes", _script("limit.py"), outcome.limit),
        Contender("stock", "Ray's documented recipe", _script("stock.py"), outcome.stock),
        Contender("ours", "sweep run, everything on", _sweep, outcome.ours),
    )
}


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        csv = folder / "data.csv"
        data.write(csv)
        work = works.make(works.SPECS[options.work], csv)
        (folder / "work.json").write_text(json.dumps(work), encoding="utf-8")
        for number in range(options.rounds):
            turn = number % len(options.only)
            for name in options.only[turn:] + options.only[:turn]:
                print(number, name, json.dumps(_run(CONTENDERS[name], options.work, folder)), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=list(works.SPECS), default="short")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    return parser.parse_args()


def _run(contender: Contender, kind: str, scratch: Path) -> dict[str, float]:
    """Runs a contender in a fresh folder; its times in seconds."""
    folder = scratch / uuid.uuid4().hex
    folder.mkdir()
    command = contender.command(kind, scratch / "work.json", folder)
    began = time.time()
    code, screen = _in_terminal(command, scratch, folder.name)
    ended = time.time()
    if code:
        raise SystemExit(f"{contender.name} ended with exit code {code}:\n{screen[-3000:]}")
    left = _wait_for_rest(folder.name)
    Path("/tmp/bench-last-" + contender.name + ".txt").write_text(screen)
    trials = contender.read(folder)
    first, last = min(t.started for t in trials), max(t.ended for t in trials)
    return {
        "n": len(trials),
        "whole_s": ended - began,
        "before_s": first - began,
        "trials_s": last - first,
        "after_s": ended - last,
        "left_s": left,
        "sum_s": sum(t.ended - t.started for t in trials),
    }


def _in_terminal(command: list[str], folder: Path, mark: str) -> tuple[int, str]:
    """Runs a command as in a terminal; its exit code and what it showed."""
    environment = {**os.environ, **ENVIRONMENT, MARK: mark, "BENCH_CSV": str(folder / "data.csv")}
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def look() -> None:
        try:
            while piece := os.read(ours, 65536):
                shown.append(piece)
        except OSError:  # the terminal is closed on the other side
            pass

    reader = threading.Thread(target=look, daemon=True)
    reader.start()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    code = process.wait()
    return code, b"".join(shown).decode(errors="replace")


def _wait_for_rest(mark: str) -> float:
    """Waits until no process is left that a contender started; how long that took."""
    began, looked_for = time.monotonic(), f"{MARK}={mark}".encode()
    while any(looked_for in _environment(process) for process in Path("/proc").glob("[0-9]*")):
        time.sleep(0.05)
        if time.monotonic() - began > 60:
            raise SystemExit("processes of a contender stay")
    return time.monotonic() - began


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return b""


if __name__ == "__main__":
    main()

"""What a GPU shows: one command, one JSON, one page.

    python tests/bench/gpu/run.py [--out build/gpu] [--full] [--only PART ...] [--patience 1]

`make gpu` takes less than ten minutes on one GPU, `make gpu-full` at most an hour. Each part runs in a process of its
own, has its own time limit, and writes a row as soon as it has it. OUT/PART.json and the page follow within seconds, so
that a run that is cut off, or killed, still gives a page. OUT/gpu.md is the page and OUT/gpu.json has all parts. Where
PyTorch can use no GPU the parts that need one are skipped by name, and the rest runs on the CPU.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the page."""

    title: str
    limit_s: int
    gpus: int = 0  # that it needs
    is_full: bool = False  # whether only `--full` has it


PARTS = {
    "machine": Part("The machine", 40),
    "tasks": Part("Every task, beside the CPU", 150),
    "resume": Part("Going on from a checkpoint", 130),
    "shares": Part("Memory held to the share of `gpus_per_trial`", 60, gpus=1),
    "packing": Part("Trials on one card", 100, gpus=1),
    "memory": Part("A trial that runs out of memory, and its neighbours", 110, gpus=1),
    "precision": Part("bfloat16 beside float32", 300, gpus=1, is_full=True),
    "sizes": Part("Beside bare PyTorch, by batch and hidden size", 600, gpus=1, is_full=True),
    "compiled": Part("`torch.compile` beside plain", 1080, is_full=True),
    "contest": Part("Beside the stock recipe", 600, is_full=True),
    "deterministic": Part("Going on from a checkpoint, with deterministic algorithms", 200, gpus=1, is_full=True),
    "cards": Part("Which trial saw which card", 200, gpus=2, is_full=True),
}
LOOK_S = 2.0  # how old a page may be while a part runs


class Ended(Exception):
    """The command is to end: a signal came."""


def main() -> int:
    """Runs the parts and writes the page; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/gpu"))
    parser.add_argument("--full", action="store_true", help="also the parts that take longer")
    parser.add_argument("--only", nargs="+", choices=[*PARTS], help="these parts alone, --full or not")
    parser.add_argument("--patience", type=float, default=1.0, help="times its limit each part may take")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in (*PARTS, "gpu"):
        for kind in ("json", "rows", "log"):
            (options.out / f"{name}.{kind}").unlink(missing_ok=True)  # another machine's, perhaps
    chosen = [*options.only] if options.only else [name for name, part in PARTS.items() if part.is_full <= options.full]
    chosen = [name for name in PARTS if name in chosen or name == "machine"]
    try:
        with _heeding():
            _run_all(chosen, options.out, options.patience)
    except Ended as reason:
        print(f"ended by {reason}")
    print(f"\n{options.out / 'gpu.md'} is the page, {options.out / 'gpu.json'} has the figures. Please send both.")
    return int(any(each["state"] in ("failed", "ended") for each in _parts(options.out).values()))


def _run_all(chosen: list[str], out: Path, patience: float) -> None:
    gpus = 0
    for name in chosen:
        found = run(name, out, gpus, patience)
        gpus = found.get("gpus", gpus) if name == "machine" else gpus
        print(f"{name:13} {found['state']:8} {found['seconds']:6.1f} s  {found.get('why', '')}", flush=True)


@contextmanager
def _heeding() -> Iterator[None]:
    """Raises `Ended` where a signal asks for the end: the part that runs is ended with all that it has started."""

    def end(number: int, _: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(signal.Signals(number).name)

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def run(name: str, out: Path, gpus: int, patience: float = 1.0) -> Row:
    """Runs a part, writes its JSON and the page, also while it runs, and returns what was found."""
    part, began, place = PARTS[name], time.monotonic(), out / f"{name}.rows"

    def keep(found: Row) -> Row:
        # A part writes a line for each row as soon as it has it: what there was before its end counts.
        lines = place.read_text(encoding="utf-8").splitlines(keepends=True) if place.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        if rows and "skipped" in rows[0]:
            found, rows = {"state": "skipped", "why": rows[0]["skipped"]}, []
        found |= rows[0] if name == "machine" and rows else {"rows": rows}
        found["seconds"] = round(time.monotonic() - began, 1)
        _written(out / f"{name}.json", json.dumps(found, indent=1))
        write_page(out)
        return found

    if gpus < part.gpus:
        return keep({"state": "skipped", "why": f"the part {name} needs GPUs: {part.gpus}, and PyTorch can use {gpus}"})
    words = [sys.executable, FOLDER / "parts.py", name, place]
    try:
        found = _ended(words, part.limit_s * patience, out / f"{name}.log", lambda: keep({"state": "running"}))
    except Ended as reason:
        keep({"state": "ended", "why": f"by {reason}, while it ran"})
        raise
    found = keep(found)
    place.unlink(missing_ok=True)
    return found


def _ended(words: list[Any], limit_s: float, log: Path, look: Callable[[], object]) -> Row:
    """Runs a command to its end, or to its limit; `look` is called now and then while it runs."""
    end = time.monotonic() + limit_s
    with log.open("w", encoding="utf-8") as file:
        part = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            while (left := end - time.monotonic()) > 0 and part.poll() is None:
                look()
                try:
                    part.wait(min(LOOK_S, left))
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if is_cut_off := part.poll() is None:
                os.killpg(part.pid, signal.SIGKILL)  # with all that it has started
                part.wait()
    if is_cut_off:
        return {"state": "cut off", "why": f"after its limit of {limit_s:g} s"}
    if part.returncode:
        last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""])[-1]
        return {"state": "failed", "why": f"exit code {part.returncode}: {last[:300]} (see {log.name})"}
    return {"state": "done"}


def _written(path: Path, text: str) -> None:
    """Writes a file whole or not at all: the command may be killed at any time."""
    made = path.with_suffix(f"{path.suffix}.part")
    made.write_text(text, encoding="utf-8")
    made.replace(path)


def _parts(out: Path) -> dict[str, Row]:
    files = {name: out / f"{name}.json" for name in PARTS}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}


def write_page(out: Path) -> None:
    """Writes the page and the one JSON from the parts that there are."""
    parts = _parts(out)
    _written(out / "gpu.json", json.dumps(parts, indent=1))
    lines = ["# What a GPU showed", ""]
    for name, found in parts.items():
        lines += [f"## {PARTS[name].title}", ""]
        if found["state"] != "done":
            why = found.get("why", "the command was killed meanwhile, unless it still runs")
            lines += [f"{found['state'].capitalize()}: {why}.", ""]
        rows = [{k: v for k, v in found.items() if k not in ("state", "why", "seconds")}]
        rows = rows if name == "machine" and "torch" in found else found.get("rows", [])
        if rows:
            columns = list(dict.fromkeys(key for row in rows for key in row))
            lines += [f"| {' | '.join(columns)} |", "| " + " | ".join("---" for _ in columns) + " |"]
            lines += [f"| {' | '.join(_cell(row.get(key)) for key in columns)} |" for row in rows]
            lines.append("")
        lines += [f"{found['seconds']:g} s.", ""]
    _written(out / "gpu.md", "\n".join(lines))


def _cell(value: object) -> str:
    shown: Mapping[type, Callable[[Any], str]] = {
        float: lambda x: f"{x:.4g}",
        bool: lambda x: "yes" if x else "no",
        type(None): lambda _: "",
    }
    return shown.get(type(value), str)(value).replace("|", "/").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())

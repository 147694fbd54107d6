"""What a GPU shows: one command, one JSON, one page.

    python tests/bench/gpu/run.py [--out build/gpu] [--full] [--only PART ...] [--patience 1]

`make gpu` takes less than ten minutes on one GPU, `make gpu-full` about half an hour. Each part runs in a process of
its own, has its own time limit, and writes OUT/PART.json when it ends, so that a run that is cut off still gives a
page. OUT/gpu.md is the page and OUT/gpu.json has all parts. Where PyTorch can use no GPU the parts that need one are
skipped by name, and the rest runs on the CPU.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
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
    "machine": Part("The machine", 60),
    "tasks": Part("Every task, beside the CPU", 150),
    "resume": Part("Going on from a checkpoint", 110),
    "shares": Part("Memory held to the share of `gpus_per_trial`", 60, gpus=1),
    "packing": Part("Trials on one card", 90, gpus=1),
    "memory": Part("A trial that runs out of memory, and its neighbours", 110, gpus=1),
    "precision": Part("bfloat16 beside float32", 300, gpus=1, is_full=True),
    "sizes": Part("Beside bare PyTorch, by batch and hidden size", 600, gpus=1, is_full=True),
    "cards": Part("Which trial saw which card", 200, gpus=2, is_full=True),
}
LEFT_OUT = (
    "torch.compile: this version has no field for it, so there is nothing to measure.",
    "Trials per GPU-hour beside the stock recipe: the recipe's script (tests/bench/contenders/stock.py) takes no GPU.",
)


def main() -> int:
    """Runs the parts and writes the page; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/gpu"))
    parser.add_argument("--full", action="store_true", help="also the parts that take longer")
    parser.add_argument("--only", nargs="+", choices=[*PARTS], help="these parts alone")
    parser.add_argument("--patience", type=float, default=1.0, help="times its limit each part may take")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("*.json"):
        old.unlink()  # another machine's, perhaps
    chosen = [name for name, part in PARTS.items() if name in (options.only or PARTS) and part.is_full <= options.full]
    if "machine" not in chosen:
        chosen.insert(0, "machine")
    gpus = 0
    for name in chosen:
        found = run(name, options.out, gpus, options.patience)
        gpus = found.get("gpus", gpus) if name == "machine" else gpus
        print(f"{name:10} {found['state']:8} {found['seconds']:6.1f} s  {found.get('why', '')}", flush=True)
        write_page(options.out)
    print(f"\n{options.out / 'gpu.md'} is the page, {options.out / 'gpu.json'} has the figures. Please send both.")
    return int(any(each["state"] == "failed" for each in _parts(options.out).values()))


def run(name: str, out: Path, gpus: int, patience: float = 1.0) -> Row:
    """Runs a part, writes its JSON and returns it."""
    part, began = PARTS[name], time.monotonic()
    if gpus < part.gpus:
        why = f"the part {name} needs GPUs: {part.gpus}, and PyTorch can use {gpus}"
        found: Row = {"state": "skipped", "why": why}
    else:
        place = out / f"{name}.rows"
        place.unlink(missing_ok=True)
        words = [sys.executable, FOLDER / "parts.py", name, place]
        found = _ended(words, part.limit_s * patience, out / f"{name}.log")
        # A part writes a line for each row as soon as it has it: what there was before its end counts.
        lines = place.read_text(encoding="utf-8").splitlines() if place.exists() else []
        rows = [json.loads(line) for line in lines]
        found |= rows[0] if name == "machine" and rows else {"rows": rows}
        place.unlink(missing_ok=True)
    found["seconds"] = round(time.monotonic() - began, 1)
    (out / f"{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def _ended(words: list[Any], limit_s: float, log: Path) -> Row:
    """Runs a command to its end, or to its limit."""
    with log.open("w", encoding="utf-8") as file:
        part = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            part.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(part.pid, signal.SIGKILL)  # with all that it has started
            part.wait()
            return {"state": "cut off", "why": f"after its limit of {limit_s:g} s"}
    if part.returncode:
        last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""])[-1]
        return {"state": "failed", "why": f"exit code {part.returncode}: {last[:300]} (see {log.name})"}
    return {"state": "done"}


def _parts(out: Path) -> dict[str, Row]:
    files = {name: out / f"{name}.json" for name in PARTS}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}


def write_page(out: Path) -> None:
    """Writes the page and the one JSON from the parts that there are."""
    parts = _parts(out)
    (out / "gpu.json").write_text(json.dumps(parts, indent=1), encoding="utf-8")
    lines = ["# What a GPU showed", ""]
    for name, found in parts.items():
        lines += [f"## {PARTS[name].title}", ""]
        if found["state"] != "done":
            lines += [f"{found['state'].capitalize()}: {found.get('why', '')}.", ""]
        rows = [{k: v for k, v in found.items() if k not in ("state", "why", "seconds")}]
        rows = rows if name == "machine" and "torch" in found else found.get("rows", [])
        if rows:
            columns = list(dict.fromkeys(key for row in rows for key in row))
            lines += [f"| {' | '.join(columns)} |", "| " + " | ".join("---" for _ in columns) + " |"]
            lines += [f"| {' | '.join(_cell(row.get(key)) for key in columns)} |" for row in rows]
            lines.append("")
        lines += [f"{found['seconds']:g} s.", ""]
    lines += ["## Not measured", "", *(f"- {each}" for each in LEFT_OUT), ""]
    (out / "gpu.md").write_text("\n".join(lines), encoding="utf-8")


def _cell(value: object) -> str:
    shown: Mapping[type, Callable[[Any], str]] = {
        float: lambda x: f"{x:.4g}",
        bool: lambda x: "yes" if x else "no",
        type(None): lambda _: "",
    }
    return shown.get(type(value), str)(value).replace("|", "/").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())

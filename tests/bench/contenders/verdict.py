"""What the rounds say: medians, spread and ratios, as a table and as JSON beside the earlier results."""

import itertools
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from outcome import Work
from rich.console import Console
from rich.table import Column, Table

Times = dict[str, float]  # seconds: whole_s from shell to shell, before_s, trials_s (first start to last end), after_s
Round = dict[str, Times]  # by contender
Document = dict[str, Any]

WORDS = {
    "limit": "bare PyTorch, a process per core",
    "stock": "Ray Tune's documented recipe",
    "autolstm": "NeuralForecast's AutoLSTM",
    "ours": "sweep run, everything on",
}
OTHERS = "others_s"  # CPU seconds of processes that have nothing to do with the benchmark: the machine was not its own
QUIET = 0.02  # of all cores' time: what a machine does by itself
# (slower, quicker, of which time, goal by kind of work)
RATIOS = (
    ("stock", "ours", "whole_s", {"short": 4.0}),
    ("autolstm", "ours", "whole_s", {}),
    ("limit", "ours", "whole_s", {}),
    ("limit", "ours", "trials_s", {"short": 0.92, "minute": 0.97}),
)
SPANS = {"whole_s": "whole command", "trials_s": "first start to last end"}
PACKAGES = ("torch", "ray", "optuna", "mlflow", "neuralforecast", "pytorch-lightning")


def document(
    kind: str, work: Work, rounds: Sequence[Round], left_out: dict[str, str], versions: dict[str, dict[str, str]]
) -> Document:
    """All that is kept of a benchmark."""
    names = list(rounds[0])
    return {
        "work": kind,
        "at": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": {"cpu": _cpu(), "cores": work["cores"], "memory_gib": _memory_gib(), "system": platform.platform()},
        "versions": versions,
        "what": {
            "trials": len(work["trials"]),
            **{name: work[name] for name in ("max_epochs", "steps_per_epoch", "batch_size", "lookback", "horizon")},
            "gpus_per_trial": work["gpus_per_trial"],
        },
        "left_out": left_out,
        "rounds": list(rounds),
        "times": {name: {span: spread([r[name][span] for r in rounds]) for span in rounds[0][name]} for name in names},
        "disturbed": [
            f"round {number}, {name}: {times[OTHERS] / times['whole_s']:.2f} of {work['cores']} cores"
            for number, each in enumerate(rounds, 1)
            for name, times in each.items()
            if times[OTHERS] > QUIET * work["cores"] * times["whole_s"]
        ],
        "ratios": [
            {
                "of": f"{slower} / {quicker}",
                "span": span,
                **spread([each[slower][span] / each[quicker][span] for each in rounds]),
                "goal": goals.get(kind),
            }
            for slower, quicker, span, goals in RATIOS
            if slower in names and quicker in names
        ],
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median and both ends."""
    found = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


def line(times: Times) -> str:
    """A contender's times in a round."""
    parts = "  ".join(f"{name} {times[f'{name}_s']:6.1f}" for name in ("before", "trials", "after"))
    return f"{times['whole_s']:7.1f} s   ({parts})"


def show(found: Document, before: Sequence[Document]) -> None:
    """Prints times, ratios, and the ratios of earlier results."""
    console, count = Console(), len(found["rounds"])
    what = found["what"]
    console.print(
        f"\n{what['trials']} trials of {what['max_epochs']} epochs, {found['machine']['cores']} cores, {count} rounds: "
        "seconds, median (lowest to highest)"
    )
    times = Table("", "whole command", "before trials", "trials", "after", box=None)
    for name, spans in found["times"].items():
        times.add_row(name, *(_shown(each, 1) for span, each in spans.items() if span != OTHERS))
    console.print(times)
    if found["disturbed"]:
        console.print("other work took part of the machine; run again when it is quiet:", style="yellow")
        console.print("\n".join(found["disturbed"]), style="yellow")
    for name, why in found["left_out"].items():
        console.print(f"left out: {name} ({why})", style="yellow")
    ratios = Table("ratio", "of", "median of rounds", "goal", box=None)
    for ratio in found["ratios"]:
        goal = "" if ratio["goal"] is None else f"{ratio['goal']:g}"
        ratios.add_row(ratio["of"], SPANS[ratio["span"]], _shown(ratio, 2), goal)
    console.print(ratios)
    if before:
        names = (f"{ratio['of']}, {SPANS[ratio['span']]}" for ratio in found["ratios"])
        past = Table(Column("earlier", no_wrap=True), "commit", *names, box=None)
        for each in before:
            medians = {(r["of"], r["span"]): f"{r['median']:.2f}" for r in each["ratios"]}
            known = (medians.get((r["of"], r["span"]), "") for r in found["ratios"])
            past.add_row(each["at"], each["commit"] or "", *known)
        console.print(past)


def _shown(values: dict[str, float], digits: int) -> str:
    return f"{values['median']:.{digits}f} ({values['low']:.{digits}f}-{values['high']:.{digits}f})"


def earlier(folder: Path, kind: str, count: int = 5) -> list[Document]:
    """The latest results of the same work, oldest first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob(f"{kind}-*.json")]
    return sorted(found, key=lambda each: each["at"])[-count:]


def keep(found: Document, folder: Path) -> Path:
    """Writes a result beside the earlier ones, none of which it replaces."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{found['work']}-{found['at'].replace(':', '')}"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    path = next(path for name in names if not (path := folder / f"{name}.json").exists())
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path


def versions(python: str) -> dict[str, str]:
    """Versions of Python and of what a contender stands on, as that Python has them."""
    code = (
        "import json, platform, importlib.metadata as m\n"
        "found = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        f"known = {{name: found[name] for name in {PACKAGES!r} if name in found}}\n"
        "print(json.dumps({'python': platform.python_version(), **known}))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or not a clone
        return None
    return done.stdout.strip()


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((each.partition(":")[2].strip() for each in lines if each.startswith("model name")), platform.machine())


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)

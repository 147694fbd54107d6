"""Parts about speed: precision, bare PyTorch, torch.compile, and the stock recipe."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import compiled as compiling
import measured
import torch
from measured import Row, Skipped
from torch import nn

from lstm import device
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.own_code import execute, read
from lstm.tasks import registry
from lstm.training.loop import METHODS

SIZES = ((64, 512, 4096), (32, 128, 512))  # batches and hidden sizes
SIZED = 60  # steps of an epoch there
# What is compiled: the section `model` of a forecast. On the CPU it is smaller, and its look-back shorter, since each
# step of a loop in Python is compiled by itself.
COMPILED: Mapping[str, Row] = {
    "nn.LSTM": {},
    "our cell with peepholes": {"variant": "vanilla"},
    "a user's cell, a loop in Python": {"cell": "looped.py:Looped"},
}
LOOKBACK, HIDDEN, BATCH, STEPS = (48, 128, 256, 100) if measured.USED == "cuda" else (6, 32, 64, 60)
# The second mode records CUDA graphs.
MODES = ("default", "reduce-overhead") if measured.USED == "cuda" else ("default",)
COMPILED_S = 170.0  # what a case may take, with its compiling
# The work of the contest (tests/bench/contenders), each with a trial's share of a GPU.
CONTEST = (("short", 0.25), ("short", 1.0), ("minute", 0.25)) if measured.USED == "cuda" else (("short", 0.0),)


def precision() -> Iterator[Row]:
    """The seconds and the loss of both precisions, and in which one PyTorch's own cells are computed."""
    measured.warm()
    for name, config, data in measured.cases():
        if "/" in name:
            continue
        for each in ("float32", "bfloat16"):
            changed = config.model_copy(update={"training": config.training.model_copy(update={"precision": each})})
            row: Row = {"task": name, "precision": each}
            try:
                row["cells in"] = _computed_in(changed, data)
                epochs, seconds = measured.trained(changed, data, measured.USED)
                yield row | {"seconds": seconds, "val/loss": epochs[-1].metrics["val/loss"]}
            except Exception as error:
                yield row | {"val/loss": measured.told(error)}


def _computed_in(config: TrialConfig, data: Dataset) -> str:
    """The precision of what PyTorch's own cells return in a training step; "" if the network has none."""
    run, found = METHODS[config.training.method](config, data, measured.USED), set[str]()

    def look(_: nn.Module, __: Any, outputs: Any) -> None:
        states = outputs[0]
        found.add(str((states if isinstance(states, torch.Tensor) else states.data).dtype).removeprefix("torch."))

    for each in run.network.modules():
        if isinstance(each, nn.RNNBase):
            each.register_forward_hook(look)
    run.network.train()
    run.step(next(iter(run.batches(1))))
    return ", ".join(sorted(found))


def sizes() -> Iterator[Row]:
    """Epochs a second of our trainer and of bare PyTorch: the same steps, and the same windows judged."""
    measured.warm()
    for batch, hidden in itertools.product(*SIZES):
        with tempfile.TemporaryDirectory() as folder:
            training = {"batch_size": batch, "max_epochs": 3, "steps_per_epoch": SIZED}
            config, data = measured.waves(Path(folder), 12_000, {"hidden_size": hidden}, training)
            epochs, _ = measured.trained(config, data, measured.USED)
            judged = registry.of(config).feed(data, config, measured.USED).judged("validation")
            ours, bare = 1 / epochs[-1].metrics["epoch_s"], _bare(batch, hidden, SIZED, judged)
        yield {"batch": batch, "hidden": hidden, "ours, epochs a second": ours, "bare": bare, "ratio": ours / bare}


def _bare(batch: int, hidden: int, steps: int, judged: int) -> float:
    """Epochs a second of the textbook's loop on the device, on inputs that lie there."""
    lstm, head = nn.LSTM(1, hidden, batch_first=True).to(measured.USED), nn.Linear(hidden, 12).to(measured.USED)
    both = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(both, fused=True)
    x, y = torch.randn(batch, 48, 1, device=measured.USED), torch.randn(batch, 12, device=measured.USED)
    others = torch.randn(judged, 48, 1, device=measured.USED).split(512)
    for turn in range(2):
        began = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.mse_loss(head(lstm(x)[0][:, -1]), y))
            nn.utils.clip_grad_norm_(both, 1.0)
            optimizer.step()
        with torch.no_grad():
            for each in others:
                head(lstm(each)[0][:, -1]).cpu()  # waits for the device
        if turn:
            return 1 / (time.perf_counter() - began)
    raise AssertionError


def compiled() -> Iterator[Row]:
    """A training step of ours, plain and compiled: each case in a process of its own, since compiling may not end."""
    compilers = ("g++", "clang++") if measured.USED == "cpu" else ("gcc", "cc", "clang")
    if not any(
        map(shutil.which, (os.environ.get("CXX" if measured.USED == "cpu" else "CC", compilers[0]), *compilers))
    ):
        raise Skipped(f"torch.compile needs a compiler, and there is none of {', '.join(compilers)}")
    for name, mode in itertools.product(COMPILED, MODES):
        with tempfile.TemporaryDirectory() as empty:  # what was compiled before would be taken from its cache
            caches = {"TORCHINDUCTOR_CACHE_DIR": empty, "TRITON_CACHE_DIR": empty}
            words = [sys.executable, measured.SCRIPT, "one_compiled", name, mode]
            case = subprocess.Popen(
                words,
                cwd=measured.ROOT,
                env=os.environ | caches,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            why = ""
            try:
                said, errors = case.communicate(timeout=COMPILED_S)
                why = measured.last(errors) if case.returncode else ""
            except subprocess.TimeoutExpired:
                case.kill()
                said, _ = case.communicate()
                why = f"not compiled after {COMPILED_S:g} s"
        plain, *done = [json.loads(line) for line in said.splitlines() if line.startswith("{")] or [{}]
        row: Row = {"cell": name, "mode": mode, "plain, steps a second": plain.get("steps a second")}
        if not done:
            yield row | {"compiled": why or "no figures"}
            continue
        yield row | {
            "compiled": done[0]["steps a second"],
            "ratio": done[0]["steps a second"] / plain["steps a second"],
            "seconds of compiling": done[0]["first_s"] - plain["first_s"],
            "losses apart": compiling.apart(plain["losses"], done[0]["losses"]),
            "last loss": done[0]["losses"][-1],
        }


def one_compiled(name: str, mode: str) -> None:
    """A case of `compiled`: prints the figures of the plain step, then those of the compiled one."""
    device.claim(1, None)
    code = read(Path(__file__).with_name("looped.py"), "looped.py")
    execute(code)
    measured.warm()
    with tempfile.TemporaryDirectory() as folder:
        known = {code.file: code.digest} if "cell" in COMPILED[name] else {}
        model, training = {"hidden_size": HIDDEN, **COMPILED[name]}, {"batch_size": BATCH, "max_epochs": 1}
        config, data = measured.waves(Path(folder), 20 * BATCH, model, training, LOOKBACK, known)
        for each in (None, mode):
            print(json.dumps(compiling.stepped(config, data, measured.USED, STEPS, each)), flush=True)


def contest() -> Iterator[Row]:
    """Trials an hour of a GPU, or of a core, beside the stock recipe: the same sweep, one after the other."""
    runner = measured.ROOT / "tests/bench/contenders/run.py"
    cards, unit = (device.gpu_count(), "GPU") if measured.USED == "cuda" else (device.cpu_count(), "core")
    for kind, share in CONTEST:
        with tempfile.TemporaryDirectory() as folder:
            words = ["--work", kind, "--rounds", "1", "--only", "stock", "ours", "--gpus-per-trial", str(share)]
            words = [sys.executable, str(runner), *words, "--results", folder]
            done = subprocess.run(words, cwd=measured.ROOT, capture_output=True, text=True, check=False)
            print(done.stdout, done.stderr, flush=True)
            kept = [*Path(folder).glob("*.json")]
            if not kept:
                yield {
                    "work": kind,
                    "gpus_per_trial": share,
                    "trials": f"failed: {measured.last(done.stdout + done.stderr)}",
                }
                continue
            found = json.loads(kept[0].read_text(encoding="utf-8"))
        yield _hourly(found, unit, cards, share)


def _hourly(found: Row, unit: str, cards: int, share: float) -> Row:
    """A row of the contest, from what the contenders' benchmark has kept."""
    count, what = found["what"]["trials"], found["what"]
    row: Row = {"work": found["work"], "gpus_per_trial": share, "trials": f"{count} of {what['max_epochs']} epochs"}
    for span, words in (("whole_s", "whole command"), ("trials_s", "trials alone")):
        rates = {name: count * 3600 / (found["times"][name][span]["median"] * cards) for name in ("stock", "ours")}
        row |= {f"{name}, trials an hour of a {unit}, {words}": rate for name, rate in rates.items()}
        row[f"ratio, {words}"] = rates["ours"] / rates["stock"]
    return row | {"disturbed": "; ".join(found["disturbed"])}

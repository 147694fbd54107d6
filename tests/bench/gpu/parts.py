"""The parts of `run.py`, each in a process of its own: python parts.py PART ROWS.

A part yields rows; each is written to the file ROWS, a line of JSON, as soon as it is there.
"""

import itertools
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import compiled as compiling
import lifeline
import torch
from torch import nn

from experiments import lookup, planning
from experiments.home import Home
from lstm import checkpoint, device
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.own_code import execute, read
from lstm.records.epoch import Epoch
from lstm.tasks import registry
from lstm.training.loop import METHODS, train

ROOT = Path(__file__).parents[3]
Row = dict[str, Any]
USED = "cuda" if device.gpu_count() else "cpu"
# For each task a shipped spec, cut down. `classify/peepholes` is a cell of ours, which cuDNN does not have, and
# `forecast/dropout` draws inside of cuDNN.
TASKS: Mapping[str, tuple[str, Sequence[str]]] = {
    "forecast": ("co2", ()),
    "forecast/dropout": ("co2", ("model.num_layers=2", "model.dropout=0.3")),
    "classify": ("digits", ()),
    "classify/peepholes": ("odyssey", ("training.steps_per_epoch=10",)),
    "language_model": ("text", ("training.steps_per_epoch=40",)),
    "memory": ("copy", ("data.sizes={train: 1000, validation: 200, test: 200}",)),
    "memory/evolution": ("evolution", ("training.method=evolution", "training.steps_per_epoch=3")),
    "translate": ("dates", ("data.sizes={train: 800, validation: 100, test: 100}",)),
    "video": (
        "moving_digits",
        ("data.digits.sizes={train: 32, validation: 10, test: 10}", "training.steps_per_epoch=2"),
    ),
}
EPOCHS = 3
BLOCK = 64 * 2**20  # bytes
WAVES = (
    "name: packed\ndata: {path: waves.csv, target: y, lookback: 48, horizon: 12, split: {validation: 0.1, test: 0.1}}\n"
)
PACKED_S = 8.0  # a measurement of packed trials
READY_S = 60.0  # what the packed trials of a wave may take to be ready
SIZES = ((64, 512, 4096), (32, 128, 512))  # batches and hidden sizes
SIZED = 60  # steps of an epoch there
# What is compiled: the section `model` of a forecast. On the CPU it is smaller, and its look-back shorter, since each
# step of a loop in Python is compiled by itself.
COMPILED: Mapping[str, Row] = {
    "nn.LSTM": {},
    "our cell with peepholes": {"variant": "vanilla"},
    "a user's cell, a loop in Python": {"cell": "looped.py:Looped"},
}
LOOKBACK, HIDDEN, BATCH, STEPS = (48, 128, 256, 100) if USED == "cuda" else (6, 32, 64, 60)
MODES = ("default", "reduce-overhead") if USED == "cuda" else ("default",)  # the second one records CUDA graphs
COMPILED_S = 170.0  # what a case may take, with its compiling
# The work of the contest (tests/bench/contenders), each with a trial's share of a GPU.
CONTEST = (("short", 0.25), ("short", 1.0), ("minute", 0.25)) if USED == "cuda" else (("short", 0.0),)


class Skipped(Exception):
    """A part can't run here; its text says why."""


def loaded(name: str, overrides: Sequence[str], folder: Path) -> tuple[TrialConfig, Dataset]:
    """A shipped spec's own settings, and its data."""
    epochs = f"training.max_epochs={EPOCHS}"
    found = lookup.spec(str(ROOT / "experiments" / f"{name}.yaml"), Home.at(str(folder)), [epochs, *overrides])
    plan = planning.make(found, Home.at(str(folder)))
    return plan.order.base, plan.series


def cases() -> Iterator[tuple[str, TrialConfig, Dataset]]:
    """Each task with its settings and data."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (spec, overrides) in TASKS.items():
            yield name, *loaded(spec, overrides, Path(folder))


def trained(config: TrialConfig, data: Dataset, on: str, state: Any = None) -> tuple[list[Epoch], float]:
    """The epochs of a training on a device, and its seconds."""
    began = time.perf_counter()
    epochs = list(train(config, data, state, device=on))
    return epochs, time.perf_counter() - began


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:150]}"


def machine() -> Iterator[Row]:
    """What this is measured on."""
    gpus = device.gpu_count()
    properties = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count() if gpus else 0)]
    yield {
        "gpus": gpus,
        "cards": ", ".join(f"{p.name} with {p.total_memory / 2**30:.0f} GiB" for p in properties)
        or device.why_no_gpu(),
        "torch": torch.__version__,
        "CUDA": torch.version.cuda or "",
        "cuDNN": str(torch.backends.cudnn.version() or ""),
        "Python": platform.python_version(),
        "system": platform.platform(),
        "cores": device.cpu_count(),
        "TF32 in cuDNN": bool(torch.backends.cudnn.allow_tf32),  # then float32 on the GPU is not what it is on the CPU
    }


def _warm() -> None:
    """Lets the device load its libraries, so that the first measurement does not."""
    cell = nn.LSTM(1, 8).to(USED)
    torch.autograd.backward(cell(torch.ones(4, 1, 1, device=USED))[0].sum())


def tasks() -> Iterator[Row]:
    """The loss of each task after some epochs on the device, beside the CPU's."""
    _warm()
    for name, config, data in cases():
        row: Row = {"task": name}
        for on in dict.fromkeys(("cpu", USED)):
            try:
                epochs, seconds = trained(config, data, on)
                row |= {f"val/loss, {on}": epochs[-1].metrics["val/loss"], f"seconds, {on}": round(seconds, 2)}
            except Exception as error:  # a task that does not run on a GPU is a finding
                row[f"val/loss, {on}"] = _told(error)
        cpu, used = row["val/loss, cpu"], row[f"val/loss, {USED}"]
        if USED != "cpu" and isinstance(cpu, float) and isinstance(used, float):
            row["apart"] = abs(used - cpu) / max(abs(cpu), 1e-12)
        yield row


def resume() -> Iterator[Row]:
    """Whether a training that goes on from a checkpoint has the weights of one that never stopped, to the bit."""
    for name, config, data in cases():
        yield {"task": name, "device": USED} | _repeated(config, data)


def deterministic() -> Iterator[Row]:
    """The same, with all that PyTorch and cuBLAS have to be deterministic; what is not so by its own word."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    torch.use_deterministic_algorithms(True, warn_only=True)
    for name, config, data in cases():
        began = time.perf_counter()
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            row = _repeated(config, data)
        told = sorted({str(each.message).partition(" ")[0] for each in found if "determinis" in str(each.message)})
        yield {"task": name, "device": USED, **row, "seconds": time.perf_counter() - began, "not so": ", ".join(told)}


def _repeated(config: TrialConfig, data: Dataset) -> Row:
    """Whether weights are the same when a training is repeated, and when it goes on from a checkpoint."""
    try:
        whole, _ = trained(config, data, USED)
        again, _ = trained(config, data, USED)
        begun = next(iter(train(config, data, device=USED)))
        rest, _ = trained(config, data, USED, _through_a_file(config, data, begun))
    except Exception as error:
        return {"the same when resumed": _told(error)}
    return {
        "the same when repeated": _apart(whole, again) == 0,
        "the same when resumed": _apart(whole, rest) == 0,
        "largest difference of a weight": _apart(whole, rest),
    }


def _through_a_file(config: TrialConfig, data: Dataset, epoch: Epoch) -> Any:
    """The state after an epoch, written and read as a worker does it."""
    from lstm.records.goodput import NOTHING

    assert epoch.state is not None
    with tempfile.TemporaryDirectory() as folder:
        content = checkpoint.Checkpoint(
            config, registry.facts_row(config, data, 1), epoch.state, NOTHING, study="0", number=0
        )
        checkpoint.write(folder, 1, content)
        found = checkpoint.load(folder, print)
        assert found is not None, "the checkpoint could not be read"
        return found.state


def _apart(one: list[Epoch], other: list[Epoch]) -> float:
    """The largest difference between weights; 0 is the same to the bit, but for the sign of a zero."""
    assert one[-1].state is not None
    assert other[-1].state is not None
    pairs = ((weight, other[-1].state.model[name]) for name, weight in one[-1].state.model.items())
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


def shares() -> Iterator[Row]:
    """How much memory a process can take with a share of a card."""
    for share in (0.5, 0.25, 0.1):
        words = [sys.executable, __file__, "one_share", str(share)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"a share of {share:g}: {(done.stderr.strip().splitlines() or [''])[-1][:300]}")
        taken, there, beside = map(int, done.stdout.split()[-3:])
        yield {
            "gpus_per_trial": share,
            "GiB taken": taken / 2**30,
            "of the card": taken / there,
            "held": taken <= share * there,
            "GiB beside it": beside / 2**30,  # CUDA's own: no share bounds it, and each process on the card has it
        }


def one_share(share: str) -> None:
    """Takes memory until there is no more: prints the bytes taken, those of the card, and what CUDA has beside."""
    torch.cuda.init()
    used = device.claim(1, float(share))
    _warm()
    held = []
    try:
        while True:
            held.append(torch.empty(BLOCK, dtype=torch.uint8, device=used))
    except torch.OutOfMemoryError:
        taken = torch.cuda.max_memory_reserved()
        free, there = torch.cuda.mem_get_info()
        print(taken, there, there - free - torch.cuda.memory_reserved())


def packing() -> Iterator[Row]:
    """Epochs a second of so many trials on one card, each in a process of its own."""
    alone = 0.0
    for count in (1, 4, 16):
        with tempfile.TemporaryDirectory() as name:
            rates = _together(Path(name), count)
        total = sum(rates)
        alone = alone or total
        yield {
            "trials at once": count,
            "of which ran": len(rates),
            "epochs a second": total,
            "of one alone": total / alone if alone else None,
        }


def _together(folder: Path, count: int) -> list[float]:
    """Starts so many trials, lets them train at the same time when all are ready or gone; what each has reached."""
    words = [sys.executable, __file__, "one_packed", str(folder), str(1 / count)]
    running = [subprocess.Popen([*words, str(n)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for n in range(count)]
    end = time.monotonic() + READY_S
    while time.monotonic() < end and not all(
        each.poll() is not None or (folder / f"{n}.ready").exists() for n, each in enumerate(running)
    ):
        time.sleep(0.05)
    (folder / "go").touch()
    said = [each.communicate()[0] for each in running]
    return [float(each) for each in said if each.strip()]


def one_packed(folder: str, share: str, number: str) -> None:
    """One of the packed trials: prints its epochs a second."""
    own, at = Path(folder, number), Path(folder)
    own.mkdir()
    config, data = _waves(own, 4000, {"hidden_size": 64}, {"max_epochs": 1_000_000, "steps_per_epoch": 20})
    epochs = train(config, data, device=device.claim(1, float(share)))
    next(epochs)
    (at / f"{number}.ready").touch()
    while not (at / "go").exists():
        time.sleep(0.01)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < PACKED_S:
        next(epochs)
        count += 1
    print(count / (time.perf_counter() - began))


def _waves(
    folder: Path, rows: int, model: Row, training: Row, lookback: int = 48, code: Mapping[str, str] | None = None
) -> tuple[TrialConfig, Dataset]:
    """A forecast of generated waves."""
    from lstm.data.forecast import load

    values = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12):.3f}" for i in range(rows))
    (folder / "waves.csv").write_text(f"y\n{values}\n")
    split = {"validation": 0.1, "test": 0.1}
    section = {"target": "y", "lookback": lookback, "horizon": 12, "split": split}
    given = {"batch_size": 64, "learning_rate": 1e-3} | training
    config = TrialConfig.model_validate({"data": section, "model": model, "training": given, "code": code or {}})
    return config, load(config.data, folder / "waves.csv")


def memory() -> Iterator[Row]:
    """A sweep on one card: one of its trials asks for more than its share, the others for little."""
    large = "{training.batch_size: 30000, model.hidden_size: 4096}"
    small = [f"{{training.batch_size: 64, model.hidden_size: {size}}}" for size in (16, 24, 32)]
    text = (
        WAVES
        + f"""training: {{max_epochs: 3, learning_rate: 1e-3, batch_size: 64}}
resources: {{gpus_per_trial: 0.1}}
search:
  n_trials: 4
  sampler: {{type: random, seed: 1}}
  pruner: {{type: none}}
  first: [{", ".join([small[0], large, *small[1:]])}]
  space:
    training.batch_size: {{type: categorical, choices: [64, 30000]}}
    model.hidden_size: {{type: int, low: 8, high: 4096}}
"""
    )
    yield from _swept(text, rows=60_000)


def cards() -> Iterator[Row]:
    """Which card each trial of a sweep had."""
    space = "{model.hidden_size: {type: int, low: 8, high: 64}}"
    text = WAVES + "training: {max_epochs: 5, learning_rate: 1e-3}\nresources: {gpus_per_trial: 1}\n"
    yield from _swept(
        text + f"search: {{n_trials: 8, sampler: {{type: random, seed: 1}}, space: {space}}}\n", rows=8_000
    )


def _swept(text: str, rows: int) -> Iterator[Row]:
    """Runs a sweep as a user does; a row for each trial."""
    from cluster.study import stored

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _waves(folder, rows, {"hidden_size": 8}, {})
        (folder / "spec.yaml").write_text(text)
        words = [Path(sys.executable).with_name("sweep"), "run", "spec.yaml", "--home", "home"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        print(done.stdout, done.stderr, flush=True)
        for trial in stored.read(f"sqlite:///{folder}/home/study.db", "packed").trials:
            settings = ", ".join(f"{key}={value}" for key, value in trial.settings.items()) or "the spec's own"
            yield {
                "trial": trial.number,
                "settings": settings,
                "state": trial.state,
                "reason": trial.reason,
                "on": trial.worker,
            }


def precision() -> Iterator[Row]:
    """The seconds and the loss of both precisions, and in which one PyTorch's own cells are computed."""
    _warm()
    for name, config, data in cases():
        if "/" in name:
            continue
        for each in ("float32", "bfloat16"):
            changed = config.model_copy(update={"training": config.training.model_copy(update={"precision": each})})
            row: Row = {"task": name, "precision": each}
            try:
                row["cells in"] = _computed_in(changed, data)
                epochs, seconds = trained(changed, data, USED)
                yield row | {"seconds": seconds, "val/loss": epochs[-1].metrics["val/loss"]}
            except Exception as error:
                yield row | {"val/loss": _told(error)}


def _computed_in(config: TrialConfig, data: Dataset) -> str:
    """The precision of what PyTorch's own cells return in a training step; "" if the network has none."""
    run, found = METHODS[config.training.method](config, data, USED), set[str]()

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
    _warm()
    for batch, hidden in itertools.product(*SIZES):
        with tempfile.TemporaryDirectory() as folder:
            training = {"batch_size": batch, "max_epochs": 3, "steps_per_epoch": SIZED}
            config, data = _waves(Path(folder), 12_000, {"hidden_size": hidden}, training)
            epochs, _ = trained(config, data, USED)
            judged = registry.of(config).feed(data, config, USED).judged("validation")
            ours, bare = 1 / epochs[-1].metrics["epoch_s"], _bare(batch, hidden, SIZED, judged)
        yield {"batch": batch, "hidden": hidden, "ours, epochs a second": ours, "bare": bare, "ratio": ours / bare}


def _bare(batch: int, hidden: int, steps: int, judged: int) -> float:
    """Epochs a second of the textbook's loop on the device, on inputs that lie there."""
    lstm, head = nn.LSTM(1, hidden, batch_first=True).to(USED), nn.Linear(hidden, 12).to(USED)
    both = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(both, fused=True)
    x, y = torch.randn(batch, 48, 1, device=USED), torch.randn(batch, 12, device=USED)
    others = torch.randn(judged, 48, 1, device=USED).split(512)
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
    compilers = ("g++", "clang++") if USED == "cpu" else ("gcc", "cc", "clang")
    if not any(map(shutil.which, (os.environ.get("CXX" if USED == "cpu" else "CC", compilers[0]), *compilers))):
        raise Skipped(f"torch.compile needs a compiler, and there is none of {', '.join(compilers)}")
    for name, mode in itertools.product(COMPILED, MODES):
        with tempfile.TemporaryDirectory() as empty:  # what was compiled before would be taken from its cache
            caches = {"TORCHINDUCTOR_CACHE_DIR": empty, "TRITON_CACHE_DIR": empty}
            words = [sys.executable, __file__, "one_compiled", name, mode]
            case = subprocess.Popen(
                words, cwd=ROOT, env=os.environ | caches, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            why = ""
            try:
                said, errors = case.communicate(timeout=COMPILED_S)
                why = _last(errors) if case.returncode else ""
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
    _warm()
    with tempfile.TemporaryDirectory() as folder:
        known = {code.file: code.digest} if "cell" in COMPILED[name] else {}
        model, training = {"hidden_size": HIDDEN, **COMPILED[name]}, {"batch_size": BATCH, "max_epochs": 1}
        config, data = _waves(Path(folder), 20 * BATCH, model, training, LOOKBACK, known)
        for each in (None, mode):
            print(json.dumps(compiling.stepped(config, data, USED, STEPS, each)), flush=True)


def contest() -> Iterator[Row]:
    """Trials an hour of a GPU, or of a core, beside the stock recipe: the same sweep, one after the other."""
    runner = ROOT / "tests/bench/contenders/run.py"
    cards, unit = (device.gpu_count(), "GPU") if USED == "cuda" else (device.cpu_count(), "core")
    for kind, share in CONTEST:
        with tempfile.TemporaryDirectory() as folder:
            words = ["--work", kind, "--rounds", "1", "--only", "stock", "ours", "--gpus-per-trial", str(share)]
            words = [sys.executable, str(runner), *words, "--results", folder]
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
            print(done.stdout, done.stderr, flush=True)
            kept = [*Path(folder).glob("*.json")]
            if not kept:
                yield {"work": kind, "gpus_per_trial": share, "trials": f"failed: {_last(done.stdout + done.stderr)}"}
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


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:300]


def _finite(row: Row) -> Row:
    """A row as JSON can have it: it has no NaN."""
    return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


PARTS: Sequence[Callable[[], Iterator[Row]]] = (
    *(machine, tasks, resume, shares, packing, memory),
    *(precision, sizes, compiled, contest, deterministic, cards),
)
CHILDREN: Mapping[str, Callable[..., None]] = {
    each.__name__: each for each in (one_share, one_packed, one_compiled)
}  # what a part starts as processes of their own


def main() -> None:
    """Runs a part and writes its rows, or what a part has started."""
    name = sys.argv[1]
    if name in CHILDREN:
        CHILDREN[name](*sys.argv[2:])
        return
    lifeline.hold()
    part = next(each for each in PARTS if each.__name__ == name)
    with Path(sys.argv[2]).open("a", encoding="utf-8") as file:
        try:
            for row in part():
                print(json.dumps(_finite(row)), file=file, flush=True)
        except Skipped as reason:
            print(json.dumps({"skipped": str(reason)}), file=file, flush=True)


if __name__ == "__main__":
    main()

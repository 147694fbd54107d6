"""The parts of `run.py`, each in a process of its own: python parts.py PART ROWS.

A part yields rows; each is written to the file ROWS, a line of JSON, as soon as it is there.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments import lookup, planning
from experiments.home import Home
from lstm import checkpoint, device
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch
from lstm.tasks import registry
from lstm.training.loop import train

ROOT = Path(__file__).parents[3]
Row = dict[str, Any]
USED = "cuda" if device.gpu_count() else "cpu"
# For each task a shipped spec, cut down. `classify/peepholes` is a cell of ours, which cuDNN does not have.
TASKS: Mapping[str, tuple[str, Sequence[str]]] = {
    "forecast": ("co2", ()),
    "classify": ("digits", ()),
    "classify/peepholes": ("odyssey", ("training.steps_per_epoch=10",)),
    "language_model": ("text", ("training.steps_per_epoch=40",)),
    "memory": ("copy", ("data.sizes={train: 1000, validation: 200, test: 200}",)),
    "memory/evolution": ("evolution", ("training.method=evolution", "training.steps_per_epoch=3")),
    "translate": ("dates", ("data.sizes={train: 800, validation: 100, test: 100}",)),
    "video": (
        "moving_digits",
        ("data.digits.sizes={train: 60, validation: 20, test: 20}", "training.steps_per_epoch=4"),
    ),
}
EPOCHS = 3
BLOCK = 64 * 2**20  # bytes
WAVES = (
    "name: packed\ndata: {path: waves.csv, target: y, lookback: 48, horizon: 12, split: {validation: 0.1, test: 0.1}}\n"
)
PACKED_S = 8.0  # a measurement of packed trials


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
    properties = [torch.cuda.get_device_properties(n) for n in range(gpus)]
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
    }


def tasks() -> Iterator[Row]:
    """The loss of each task after some epochs on the device, beside the CPU's."""
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
        row: Row = {"task": name, "device": USED}
        try:
            whole, _ = trained(config, data, USED)
            again, _ = trained(config, data, USED)
            begun = next(iter(train(config, data, device=USED)))
            rest, _ = trained(config, data, USED, _through_a_file(config, data, begun))
        except Exception as error:
            yield row | {"the same when resumed": _told(error)}
            continue
        row |= {"the same when repeated": _apart(whole, again) == 0, "the same when resumed": _apart(whole, rest) == 0}
        yield row | {"largest difference of a weight": _apart(whole, rest)}


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
    code = (
        "import sys, torch; from lstm.device import claim; claim(1, float(sys.argv[1])); held = []\n"
        f"try:\n    while True: held.append(torch.empty({BLOCK}, dtype=torch.uint8, device='cuda'))\n"
        "except torch.OutOfMemoryError: print(torch.cuda.max_memory_reserved(), torch.cuda.mem_get_info()[1])"
    )
    for share in (0.5, 0.25, 0.1):
        words = [sys.executable, "-c", code, str(share)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        taken, there = map(int, done.stdout.split())
        yield {
            "gpus_per_trial": share,
            "GiB taken": taken / 2**30,
            "of the card": taken / there,
            "held": taken <= share * there,
        }


def packing() -> Iterator[Row]:
    """Epochs a second of so many trials on one card, each in a process of its own."""
    alone = 0.0
    for count in (1, 4, 16):
        with tempfile.TemporaryDirectory() as folder:
            begin = str(time.time() + 15 + count)  # until all have started
            words = [sys.executable, __file__, "one_packed", folder, str(1 / count), begin]
            running = [
                subprocess.Popen([*words, str(n)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for n in range(count)
            ]
            said = [each.communicate()[0] for each in running]
        rates = [float(each) for each in said if each.strip()]
        total = sum(rates)
        alone = alone or total
        yield {
            "trials at once": count,
            "of which ran": len(rates),
            "epochs a second": total,
            "of one alone": total / alone if alone else None,
        }


def one_packed(folder: str, share: str, begin: str, number: str) -> None:
    """One of the packed trials: prints its epochs a second."""
    own = Path(folder, number)
    own.mkdir()
    config, data = _waves(own, 4000, {"hidden_size": 64}, {"max_epochs": 10_000, "steps_per_epoch": 20})
    epochs = train(config, data, device=device.claim(1, float(share)))
    next(epochs)
    time.sleep(max(0.0, float(begin) - time.time()))
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < PACKED_S:
        next(epochs)
        count += 1
    print(count / (time.perf_counter() - began))


def _waves(folder: Path, rows: int, model: Row, training: Row) -> tuple[TrialConfig, Dataset]:
    """A forecast of generated waves."""
    from lstm.data.forecast import load

    values = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12):.3f}" for i in range(rows))
    (folder / "waves.csv").write_text(f"y\n{values}\n")
    split = {"validation": 0.1, "test": 0.1}
    section = {"target": "y", "lookback": 48, "horizon": 12, "split": split}
    given = {"batch_size": 64, "learning_rate": 1e-3} | training
    config = TrialConfig.model_validate({"data": section, "model": model, "training": given})
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
    """The seconds and the loss of both precisions."""
    for name, config, data in cases():
        if "/" in name:
            continue
        for each in ("float32", "bfloat16"):
            changed = config.model_copy(update={"training": config.training.model_copy(update={"precision": each})})
            try:
                epochs, seconds = trained(changed, data, USED)
                yield {"task": name, "precision": each, "seconds": seconds, "val/loss": epochs[-1].metrics["val/loss"]}
            except Exception as error:
                yield {"task": name, "precision": each, "val/loss": _told(error)}


def sizes() -> Iterator[Row]:
    """Steps a second of our trainer and of bare PyTorch."""
    for batch in (64, 512, 4096):
        for hidden in (32, 128, 512):
            with tempfile.TemporaryDirectory() as folder:
                steps = 30
                training = {"batch_size": batch, "max_epochs": 3, "steps_per_epoch": steps}
                config, data = _waves(Path(folder), 12_000, {"hidden_size": hidden}, training)
                epochs, _ = trained(config, data, USED)
                ours = steps / epochs[-1].metrics["epoch_s"]
                bare = _bare(batch, hidden, steps)
            yield {"batch": batch, "hidden": hidden, "ours, steps a second": ours, "bare": bare, "ratio": ours / bare}


def _bare(batch: int, hidden: int, steps: int) -> float:
    """Steps a second of the textbook's loop on the device, on inputs that lie there."""
    from torch import nn

    lstm, head = nn.LSTM(1, hidden, batch_first=True).to(USED), nn.Linear(hidden, 12).to(USED)
    both = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(both)
    x, y = torch.randn(batch, 48, 1, device=USED), torch.randn(batch, 12, device=USED)
    for turn in range(2):
        began = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.mse_loss(head(lstm(x)[0][:, -1]), y).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(both, 1.0)
            optimizer.step()
        if USED == "cuda":
            torch.cuda.synchronize()
        if turn:
            return steps / (time.perf_counter() - began)
    raise AssertionError


def main() -> None:
    """Runs a part and writes its rows, or is one of the packed trials."""
    name, place = sys.argv[1], Path(sys.argv[2])
    if name == "one_packed":
        one_packed(*sys.argv[2:6])
        return
    parts: Sequence[Callable[[], Iterator[Row]]]
    parts = (machine, tasks, resume, shares, packing, memory, precision, sizes, cards)
    part = next(each for each in parts if each.__name__ == name)
    with place.open("a", encoding="utf-8") as file:
        for row in part():
            print(json.dumps(row), file=file, flush=True)


if __name__ == "__main__":
    main()

"""Parts about trials that share a card: memory, packing, and a sweep whose trials do so."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import measured
import torch
from measured import Row

from lstm import device
from lstm.training.loop import train

BLOCK = 64 * 2**20  # bytes
PACKED_S = 8.0  # a measurement of packed trials
READY_S = 60.0  # what the packed trials of a wave may take to be ready


def shares() -> Iterator[Row]:
    """How much memory a process can take with a share of a card."""
    for share in (0.5, 0.25, 0.1):
        words = [sys.executable, measured.SCRIPT, "one_share", str(share)]
        done = subprocess.run(words, cwd=measured.ROOT, capture_output=True, text=True, check=False)
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
    measured.warm()
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
    words = [sys.executable, measured.SCRIPT, "one_packed", str(folder), str(1 / count)]
    running = [
        subprocess.Popen([*words, str(n)], cwd=measured.ROOT, stdout=subprocess.PIPE, text=True) for n in range(count)
    ]
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
    config, data = measured.waves(own, 4000, {"hidden_size": 64}, {"max_epochs": 1_000_000, "steps_per_epoch": 20})
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


def memory() -> Iterator[Row]:
    """A sweep on one card: one of its trials asks for more than its share, the others for little."""
    large = "{training.batch_size: 30000, model.hidden_size: 4096}"
    small = [f"{{training.batch_size: 64, model.hidden_size: {size}}}" for size in (16, 24, 32)]
    text = (
        measured.WAVES
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
    text = measured.WAVES + "training: {max_epochs: 5, learning_rate: 1e-3}\nresources: {gpus_per_trial: 1}\n"
    yield from _swept(
        text + f"search: {{n_trials: 8, sampler: {{type: random, seed: 1}}, space: {space}}}\n", rows=8_000
    )


def _swept(text: str, rows: int) -> Iterator[Row]:
    """Runs a sweep as a user does; a row for each trial."""
    from cluster.study import stored

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured.waves(folder, rows, {"hidden_size": 8}, {})
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

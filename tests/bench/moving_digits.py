"""Does a convolution pay on moving digits? Both cells of `experiments/moving_digits.yaml`, trained on all sequences.

    python tests/bench/moving_digits.py --out FILE [--home runs] [--epochs 20] [--set PATH=VALUE …]

First the spec's search, on a small share of the sequences: it gives each cell its learning rate (`--rates` does instead
of a search). Then each cell is trained with it for as many passes over all training sequences, one after the other on
one thread. FILE has the settings, the parameters, the CPU seconds of each training and of the search, the errors on the
test part of both networks and of all rivals, by step ahead, too, and how much less squared error the ConvLSTM has than
each other, with the interval of 95 % over test sequences. Interrupted, the same command goes on where it was: each
epoch is kept beside FILE.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from experiments import run
from experiments.shipped import FOLDER
from experiments.spec import loader
from lstm import checkpoint
from lstm.checkpoint import Checkpoint
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.judging.items import Judgement
from lstm.rivals.rival import LeftOut
from lstm.tasks import registry as tasks
from lstm.training.loop import train
from lstm.verdict.interval import compare

SPEC = FOLDER / "moving_digits.yaml"
CELLS = ("convlstm", "lstm")
METRIC = "mse"


def main(given: Sequence[str] | None = None) -> int:
    """Runs what is missing, and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--home", default="runs")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rates", nargs=2, type=float, metavar=("CONVLSTM", "LSTM"))
    parser.add_argument("--set", nargs="+", default=[], metavar="PATH=VALUE")
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rates, search = (options.rates, None) if options.rates else searched(options.home, options.set)
    spec = loader.load(SPEC, [*options.set, "training.steps_per_epoch=null", f"training.max_epochs={options.epochs}"])
    base = spec.experiment.base
    data = tasks.load(base, spec.location)
    made = {cell: trained(cell, rate, base, data, options.out) for cell, rate in zip(CELLS, rates, strict=True)}
    judged = {cell: tasks.judge_items(kept, data, "test", cell) for cell, (kept, _) in made.items()}
    rivals = rivals_on(base, data)
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "torch": version("torch"),
        "overrides": options.set,
        "search": search,
        "networks": {cell: told(kept, cpu_s, judged[cell], data) for cell, (kept, cpu_s) in made.items()},
        "rivals": {name: dict(each.metrics) for name, each in rivals.items()},
        "convlstm_better_than": against(judged["convlstm"], {"lstm": judged["lstm"], **rivals}, base, data),
    }
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    shown(document)
    return 0


def searched(home: str, overrides: Sequence[str]) -> tuple[list[float], dict[str, Any]]:
    """The learning rate of each cell's best trial, the base included; and what the search has cost."""
    started = time.process_time()
    sweep = run(SPEC, home=home, set=dict(each.split("=", 1) for each in overrides), in_process=True)
    frame = sweep.to_frame().sort_values("value")
    rates = [float(frame[frame["model.cell"] == cell]["training.learning_rate"].iloc[0]) for cell in CELLS]
    return rates, {
        "trials": len(frame),
        "cpu_s": time.process_time() - started,
        "rates": dict(zip(CELLS, rates, strict=True)),
    }


def trained(cell: str, rate: float, base: TrialConfig, data: Dataset, out: Path) -> tuple[Checkpoint, float]:
    """A cell trained to its end, and the CPU seconds of all its epochs; goes on after an interruption."""
    config = base.model_copy(
        update={
            "model": base.model.model_copy(update={"cell": cell}),
            "training": base.training.model_copy(update={"learning_rate": rate}),
        }
    )
    place = out.with_suffix(f".{cell}")
    place.mkdir(exist_ok=True)
    spent = place / "cpu_s.json"
    kept = checkpoint.load(str(place))
    if kept is not None and kept.config != config:
        raise SystemExit(f"{place}: is of other settings; remove it, or give another --out")
    seconds = float(json.loads(spent.read_text())) if kept is not None else 0.0
    started = time.process_time()
    for epoch in train(config, data, kept.state if kept else None):
        seconds, started = seconds + time.process_time() - started, time.process_time()
        kept = Checkpoint(config, tasks.facts_row(config, data, 1), epoch.state)
        spent.write_text(json.dumps(seconds))
        checkpoint.write(str(place), 1, kept)
        print(f"{cell}: epoch {epoch.number}, val/mse {epoch.metrics['val/mse']:.5f}, {seconds:.0f} CPU s", flush=True)
    assert kept is not None
    return kept, seconds


def rivals_on(config: TrialConfig, data: Dataset) -> dict[str, Judgement]:
    """The rivals on the test part, by name."""
    found = {}
    for rival in tasks.of(config).rivals():
        try:
            found[rival.name] = rival.judge(rival.fit(data, config), data, config, "test")
        except LeftOut:
            continue
    return found


def told(kept: Checkpoint, cpu_s: float, judged: Judgement, data: Dataset) -> dict[str, Any]:
    """What is kept of a network."""
    history = [epoch.metrics["val/mse"] for epoch in kept.state.history]
    settings = kept.config.model_dump(mode="json")
    return {
        "model": settings["model"],
        "training": settings["training"],
        "parameters": tasks.parameter_count(kept.config, data),
        "cpu_s": round(cpu_s, 1),
        "val/mse": history,
        "best_epoch": kept.state.best_epoch,
        "test": dict(judged.metrics),
    }


def against(
    network: Judgement, others: Mapping[str, Judgement], config: TrialConfig, data: Dataset
) -> dict[str, dict[str, Any]]:
    """How much less squared error the network has than each other on the test part, in per cent with its interval."""
    blocks = tasks.of(config).blocks(data, config)
    return {
        name: asdict(compare(network.items, other.items, METRIC, "minimize", blocks)) for name, other in others.items()
    }


def shown(document: Mapping[str, Any]) -> None:
    """Prints the errors and the differences."""
    figures = {name: each["test"] for name, each in document["networks"].items()} | document["rivals"]
    for name, metrics in figures.items():
        better = document["convlstm_better_than"].get(name)
        interval = (
            f"  the ConvLSTM has {better['value']:.1f} % less [{better['low']:.1f}, {better['high']:.1f}]"
            if better and better["low"] is not None
            else ""
        )
        print(f"{name:12} mse {metrics['mse']:.5f}  mae {metrics['mae']:.5f}  ssim {metrics['ssim']:.4f}{interval}")


if __name__ == "__main__":
    raise SystemExit(main())

"""How long our training step takes beside the textbook's, which any user of PyTorch writes.

    python tests/bench/step.py [--etth1 ETTh1.csv] [--hidden 16 32 64 128] [--layers 1 2] [--rounds 15] [--seeds 5]

The textbook has nn.LSTM and nn.Linear, a DataLoader that shuffles a TensorDataset of all windows, MSELoss, Adam, a
clipped gradient and loss.item() at each step; `lean` is the same with batches gathered from the series by their
indices in place of the DataLoader. Ours is the trainer's own pass, float32 and bfloat16, with the gradient's norm and
the loss that it reports. All have the same windows, sizes and learning rate, one thread, and take turns of --steps
steps in one process. Denormals are flushed in ours alone, as PyTorch leaves them by default. Look-back 48 is over
generated data of --inputs columns, look-back 336 over all columns of ETTh1, whose path --etth1 gives.

A line has our median time of a step, what it is of each other's in the same turn (median, and the quartiles), and for
bfloat16 what it is of our float32.

With --seeds, what bfloat16 costs: the best val/loss of as many trainings (hidden size 64, two layers, 480 steps, each
in both precisions from the same weights and in the same order), and how the one differs from the other.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lstm.config.forecast import ForecastData
from lstm.config.trial import TrialConfig
from lstm.data import forecast as forecast_data
from lstm.data.forecast import Series
from lstm.training.loop import train
from lstm.training.run import Run

BATCH, HORIZON, RATE, CLIP = 64, 24, 1e-3, 1.0
Steps = Callable[[int], float]  # takes so many steps; their mean loss


class Network(nn.Module):
    """The textbook's network: the last state of an LSTM, and a linear head."""

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, HORIZON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Forecasts `(batch, horizon)` from `(batch, lookback, column)`."""
        states, _ = self.lstm(x)
        forecast: torch.Tensor = self.head(states[:, -1])
        return forecast


def main() -> None:
    """Measures and prints a line for each size."""
    options = _options()
    torch.set_num_threads(1)
    print(
        "lookback hidden layers  ours ms  of the textbook's      of lean               bfloat16 of float32", flush=True
    )
    for lookback, series in _data(options):
        for layers, hidden in itertools.product(options.layers, options.hidden):
            taken_s = _measure(series, lookback, hidden, layers, options)
            ratios = "   ".join(_ratio(taken_s, *pair) for pair in (("ours", "textbook"), ("ours", "lean")))
            halved = _ratio(taken_s, "bfloat16", "ours")
            ours_ms = statistics.median(taken_s["ours"]) / options.steps * 1e3
            print(f"{lookback:8} {hidden:6} {layers:6} {ours_ms:8.2f}  {ratios}   {halved}", flush=True)
        if options.seeds:
            _losses(series, lookback, options.seeds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--etth1", type=Path)
    parser.add_argument("--inputs", type=int, default=4)
    parser.add_argument("--hidden", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--lookbacks", type=int, nargs="+", default=[48, 336])
    return parser.parse_args()


def _data(options: argparse.Namespace) -> Iterator[tuple[int, Series]]:
    if 48 in options.lookbacks:
        with tempfile.TemporaryDirectory() as folder:
            time_steps, columns = np.arange(6000)[:, None], np.arange(1, options.inputs + 1)
            values = np.sin(time_steps / (5 * columns)) + np.random.default_rng(0).normal(
                0, 0.3, (6000, options.inputs)
            )
            head = ",".join(f"c{c}" for c in columns)
            np.savetxt(Path(folder, "waves.csv"), values, delimiter=",", header=head, comments="", fmt="%.5f")
            yield 48, forecast_data.load(_section(48, [f"c{c}" for c in columns]), Path(folder, "waves.csv"))
    if 336 in options.lookbacks and options.etth1:
        columns_of = options.etth1.read_text().splitlines()[0].split(",")[:0:-1]  # the target, OT, comes last
        yield 336, forecast_data.load(_section(336, columns_of), options.etth1)


def _section(lookback: int, columns: list[str]) -> ForecastData:
    split = {"validation": 0.2, "test": 0.2}
    target, *others = columns
    given = {"target": target, "past_covariates": others, "lookback": lookback, "horizon": HORIZON}
    return ForecastData.model_validate(given | {"split": split})


def _measure(
    series: Series, lookback: int, hidden: int, layers: int, options: argparse.Namespace
) -> dict[str, list[float]]:
    """The seconds of each turn."""
    section = _section(lookback, [f"c{n}" for n in range(series.inputs)])
    contenders: dict[str, tuple[Steps, bool]] = {  # and whether denormals are flushed
        "textbook": (_textbook(series, section, hidden, layers, lean=False), False),
        "lean": (_textbook(series, section, hidden, layers, lean=True), False),
        "ours": (_ours(series, section, hidden, layers, "float32", options.steps), True),
        "bfloat16": (_ours(series, section, hidden, layers, "bfloat16", options.steps), True),
    }
    taken_s: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(options.rounds + 1):  # the first turn builds what the others use
        order = list(contenders)[turn % 4 :] + list(contenders)[: turn % 4]
        for name in order:
            steps, flush = contenders[name]
            torch.set_flush_denormal(flush)
            started = time.perf_counter()
            steps(options.steps)
            taken_s[name].append(time.perf_counter() - started)
    return {name: each[1:] for name, each in taken_s.items()}


def _textbook(series: Series, section: ForecastData, hidden: int, layers: int, *, lean: bool) -> Steps:
    torch.manual_seed(1)
    values = torch.from_numpy(series.values)
    origins = torch.from_numpy(series.train_origins(section))
    windows = values.unfold(0, section.lookback + HORIZON, 1).transpose(1, 2)[origins - section.lookback]
    x, y = windows[:, : section.lookback].contiguous(), windows[:, section.lookback :, 0].contiguous()
    network = Network(series.inputs, hidden, layers)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    batches = _gathered(values, origins, section.lookback) if lean else _loaded(x, y)

    def steps(count: int) -> float:
        network.train()
        total = 0.0
        for past, target in itertools.islice(batches, count):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(network(past), target)
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            total += loss.item()
        return total / count

    return steps


def _loaded(x: torch.Tensor, y: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    while True:
        yield from loader


def _gathered(
    values: torch.Tensor, origins: torch.Tensor, lookback: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    back, ahead = torch.arange(-lookback, 0), torch.arange(HORIZON)
    while True:
        for chosen in origins[torch.randperm(len(origins))].split(BATCH):
            yield values[chosen[:, None] + back], values[chosen[:, None] + ahead, 0]


def _ours(series: Series, section: ForecastData, hidden: int, layers: int, precision: str, steps: int) -> Steps:
    run, numbers = Run(_config(section, hidden, layers, precision, steps), series, "cpu"), itertools.count(1)
    return lambda _: run._pass(next(numbers))["train/loss"]


def _config(section: ForecastData, hidden: int, layers: int, precision: str, steps: int, **more: Any) -> TrialConfig:
    fixed = {"batch_size": BATCH, "learning_rate": RATE, "gradient_clip": CLIP}
    training = fixed | {"steps_per_epoch": steps, "precision": precision} | more
    model = {"hidden_size": hidden, "num_layers": layers}
    return TrialConfig.model_validate({"data": section.model_dump(), "model": model, "training": training})


def _losses(series: Series, lookback: int, seeds: int) -> None:
    section, best = _section(lookback, [f"c{n}" for n in range(series.inputs)]), dict[str, list[float]]()
    for precision in ("float32", "bfloat16"):
        configs = (_config(section, 64, 2, precision, 60, max_epochs=8, seed=seed) for seed in range(seeds))
        best[precision] = [min(epoch.value for epoch in train(config, series)) for config in configs]
        print(f"  best val/loss in {precision}: " + " ".join(f"{loss:.4f}" for loss in best[precision]), flush=True)
    differences = [a / b - 1 for a, b in zip(best["bfloat16"], best["float32"], strict=True)]
    spread = statistics.stdev(best["float32"]) / statistics.mean(best["float32"])
    print(
        f"  bfloat16 is {statistics.mean(differences):+.2%} ({min(differences):+.2%} to {max(differences):+.2%}); "
        f"seeds differ by {spread:.2%} (deviation)",
        flush=True,
    )


def _ratio(taken_s: dict[str, list[float]], one: str, other: str) -> str:
    ratios = [a / b for a, b in zip(taken_s[one], taken_s[other], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()

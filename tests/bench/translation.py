"""Trains experiments/multi30k.yaml in full, and measures a training step beside a plain PyTorch loop.

    python tests/bench/translation.py --data FOLDER --home FOLDER [--seeds 1 2] [--epochs N] [--set PATH=VALUE ...]
    python tests/bench/translation.py --data FOLDER --ablations --epochs 4 --home FOLDER
    python tests/bench/translation.py --data FOLDER --step [--rounds 24]

The first two train in this process, one thread, an epoch at a time. Each epoch's checkpoint is in --home, and its row
in tests/bench/translation.json. The same command goes on after a kill. A training that has ended is judged on the test
part by beam search. `cpu_s` is the processor time of the process that trains: loading, training and judging.

--ablations trains the spec and one change at a time, all for as many epochs. `beam` is no training: the spec's own
network is judged on the test part with other widths of the beam.

--step takes the same batches by our trainer and by a plain loop of the same network (nn.LSTM with packed sequences,
nn.functional.cross_entropy after a linear map at the places that count, Adam, a clipped gradient), in turns, and prints
the processor time of an epoch.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from experiments.spec import loader
from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.config.trial import TrialConfig
from lstm.data.translate import Translations
from lstm.tasks import registry as tasks
from lstm.tasks.networks.translate import batched
from lstm.training.loop import train
from lstm.training.run import Run

SPEC = Path(__file__).parents[2] / "experiments" / "multi30k.yaml"
RESULT = Path(__file__).with_suffix(".json")
BEAMS = (1, 2, 5, 10)
ABLATIONS = {
    "the spec": (),
    "no attention": ("model.attention=none",),
    "dot": ("model.attention=dot",),
    "additive": ("model.attention=additive",),
    "words": ("data.units=words",),
    "input feeding": ("model.input_feeding=true",),
    "embeddings not tied": ("model.tied_embeddings=false",),
}
Loaded = tuple[TrialConfig, Translations]


def main() -> None:
    """Trains or measures what the options say."""
    options = _options()
    torch.set_num_threads(1)
    if options.step:
        step(options.data, options.rounds)
    elif options.ablations:
        for name, changes in ABLATIONS.items():
            settings = (*options.set, *changes, f"training.max_epochs={options.epochs or 4}")
            full(f"{name}, {options.epochs or 4} epochs", options.data, options.home, settings, beams=not changes)
    else:
        epochs = [f"training.max_epochs={options.epochs}"] if options.epochs else []
        for seed in options.seeds:
            settings = (*options.set, *epochs, f"training.seed={seed}")
            full(", ".join(settings), options.data, options.home, settings)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of Multi30k")
    parser.add_argument("--home", type=Path, help="folder for checkpoints")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--step", action="store_true")
    parser.add_argument("--rounds", type=int, default=24)
    options = parser.parse_args()
    if not options.step and options.home is None:
        parser.error("--home says where checkpoints are kept")
    return options


def loaded(folder: str, settings: Sequence[str] = ()) -> Loaded:
    """Returns the spec's configuration with some settings, and its data."""
    spec = loader.load(SPEC, list(settings), {"MULTI30K": str(Path(folder).absolute())})
    config = spec.experiment.base
    return config, tasks.load(config, spec.location)  # type: ignore[return-value] # the task's data


def full(name: str, folder: str, home: Path, settings: Sequence[str], *, beams: bool = False) -> None:
    """Trains to the end, or goes on, and judges the best epoch on the test part."""
    started, row = time.process_time(), result().get(name) or {"epochs": [], "test": None}
    if row["test"]:
        print(f"{name}: done, {row['test']}", flush=True)
        return
    home.mkdir(parents=True, exist_ok=True)
    config, data = loaded(folder, settings)
    file = home / f"{name.replace('/', '_')}.ckpt"
    found = loads(file.read_bytes()) if file.exists() else None
    # A kill may come between the checkpoint and its row: the checkpoint's history says which epochs there are.
    row["epochs"] = row["epochs"][: len(found.state.history) if found else 0]
    before = row["epochs"][-1]["cpu_s"] if row["epochs"] else 0.0
    for epoch in train(config, data, found.state if found else None):
        found = Checkpoint(config, tasks.facts_row(config, data, 1), epoch.state)
        _write(file, dumps(found))
        values = {key: round(value, 4) for key, value in epoch.metrics.items() if key.startswith(("train/", "val/"))}
        cpu_s = round(before + time.process_time() - started, 1)
        row["epochs"].append({"epoch": epoch.number, "cpu_s": cpu_s, **values})
        keep(name, row)
        print(name, row["epochs"][-1], flush=True)
    assert found is not None
    for beam in BEAMS if beams else (config.data.beam_size,):  # type: ignore[attr-defined] # the task's section
        section = config.data.model_copy(update={"beam_size": beam})
        judged = found.config.model_copy(update={"data": section})
        metrics = tasks.of(judged).feed(data, judged, "cpu").evaluate(tasks.best_network(found), "test")
        row["test"] = {**(row["test"] or {}), f"beam {beam}": {key: round(value, 4) for key, value in metrics.items()}}
    row |= {"best_epoch": found.state.best_epoch, "cpu_s": round(before + time.process_time() - started, 1)}
    keep(name, row)
    print(name, row["test"], f"{row['cpu_s']} s of CPU", flush=True)


def _write(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)


def result() -> dict[str, Any]:
    """Returns what the result file has so far."""
    return json.loads(RESULT.read_text()) if RESULT.exists() else {}


def keep(name: str, row: Mapping[str, Any]) -> None:
    """Puts the row of a training into the result file."""
    _write(RESULT, (json.dumps({**result(), name: row}, indent=1) + "\n").encode())


class Plain(nn.Module):
    """The network of the spec, as a user of PyTorch writes it."""

    def __init__(self, units: int, size: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(units, size, padding_idx=0)
        self.encoder = nn.LSTM(size, size // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(size, size, batch_first=True)
        self.hidden, self.cell = nn.Linear(size, size), nn.Linear(size, size)
        self.attention, self.combine = nn.Linear(size, size, bias=False), nn.Linear(2 * size, size, bias=False)
        self.bias, self.dropout = nn.Parameter(torch.zeros(units)), nn.Dropout(dropout)

    def forward(self, sources: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Returns the decoder's outputs `(batch, step, size)`."""
        packed = pack_padded_sequence(
            self.dropout(self.embedding(sources)), lengths, batch_first=True, enforce_sorted=False
        )
        packed, ends = self.encoder(packed)
        states, _ = pad_packed_sequence(packed, batch_first=True)
        begin = [
            layer(torch.cat([*end], dim=1))[None] for layer, end in zip((self.hidden, self.cell), ends, strict=True)
        ]
        queries, _ = self.decoder(self.dropout(self.embedding(targets)), tuple(begin))
        scores = queries @ self.attention(states).transpose(1, 2)
        outside = torch.arange(sources.shape[1]) >= lengths[:, None]
        read = scores.masked_fill(outside[:, None], -torch.inf).softmax(dim=-1) @ states
        found: Tensor = self.dropout(torch.tanh(self.combine(torch.cat([queries, read], dim=-1))))
        return found


def step(folder: str, rounds: int) -> None:
    """Measures our step and the plain loop's on the same batches, in turns."""
    config, data = loaded(folder)
    run = Run(config, data, "cpu")  # it also flushes denormals, for both
    run.network.train()
    model, training = config.model.model_dump(), config.training.model_dump()
    plain = Plain(len(data.facts.target), model["hidden_size"], model["embedding_dropout"])
    optimizer = torch.optim.Adam(plain.parameters(), training["learning_rate"])

    def plain_step(rows: Any) -> None:
        made = batched(data, "train", rows)
        optimizer.zero_grad(set_to_none=True)
        outputs = plain(made.sources, made.lengths, made.before)[made.inside]
        logits = nn.functional.linear(outputs, plain.embedding.weight, plain.bias)
        smoothing = training["label_smoothing"]
        nn.functional.cross_entropy(logits, made.after[made.inside], label_smoothing=smoothing).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), training["gradient_clip"])
        optimizer.step()

    batches = [rows for _, rows in zip(range(rounds + 1), run.batches(1), strict=False)]
    spent = {"plain": 0.0, "ours": 0.0}
    for place, rows in enumerate(batches):
        turns = [("plain", plain_step), ("ours", run.step)]
        for name, take in turns if place % 2 else turns[::-1]:
            started = time.process_time()
            take(rows)
            if place:  # the first one allocates what the others use
                spent[name] += time.process_time() - started
    sizes = [sum(each.numel() for each in network.parameters()) for network in (plain, run.network)]
    print(f"parameters: plain {sizes[0]:,}, ours {sizes[1]:,}")
    for name, seconds in spent.items():
        print(f"{name}: {seconds / rounds * run.per_pass:.1f} s of CPU an epoch")
    print(f"ours takes {spent['ours'] / spent['plain']:.2f} of the plain loop's time")


if __name__ == "__main__":
    main()

"""A toy on a table: what a tank's level will be some hours after a window of inflow and outflow."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from lstm.config.section import Data
from lstm.data.dataset import Facts
from lstm.diagnostics.subject import Subject
from lstm.judging.items import Items, Judgement
from lstm.nn.networks import SequenceNetwork
from lstm.records.objective import Metric
from lstm.rivals.rival import Fitted
from lstm.tasks.base import Task


class TankData(Data):
    path: str = Field(description="CSV file with the columns inflow, outflow and level.")
    window: int = Field(8, ge=2, description="Rows that the network sees.")
    ahead: int = Field(3, ge=1, description="Rows from its end to the level that is asked for.")


@dataclass(frozen=True)
class TankFacts(Facts):
    scale: float


@dataclass(frozen=True)
class Windows:
    inputs: np.ndarray  # (window, step, 3) float32
    levels: np.ndarray  # (window, 1) float32
    parts: dict[str, np.ndarray]
    fingerprint: str
    scale: float

    @property
    def nbytes(self):
        return self.inputs.nbytes


def read(path):
    return pd.read_csv(path)[["inflow", "outflow", "level"]].to_numpy(np.float32)


class Feed:
    def __init__(self, data, config, device):
        self._data, self._size, self._device = data, config.training.batch_size, device
        self.items, self.step_numbers, self.judged_steps = len(data.parts["train"]), 6, 64 * config.data.window

    def order(self, generator):
        order = generator.permutation(self._data.parts["train"])
        return lambda place: order[place * self._size : (place + 1) * self._size]

    def errors(self, network, rows):
        inputs, levels = (torch.from_numpy(a[rows]).to(self._device) for a in (self._data.inputs, self._data.levels))
        return (network(inputs).float() - levels)[:, 0]

    def loss(self, network, batch):
        return self.errors(network, batch).square().mean(), len(batch)

    def judged(self, part):
        return len(self._data.parts[part])

    @torch.no_grad()
    def evaluate(self, network, part, some=None):
        network.eval()
        errors = self.errors(network, self._data.parts[part][:some]).double()
        return {"loss": float(errors.square().mean()), "centimetres": float(errors.abs().mean()) * self._data.scale}


class Mean:
    name, about, needs = "mean level", "The mean level of the training part.", ()

    def fit(self, data, config):
        return Fitted(self.name, self.name, {"level": float(data.levels[data.parts["train"]].mean())}, {})

    def judge(self, fitted, data, config, part):
        return judged(self.name, part, data, fitted.settings["level"] - data.levels[data.parts[part], 0])


def judged(name, part, data, errors):
    errors = np.asarray(errors, dtype=np.float64)
    found = {"loss": errors**2, "centimetres": np.abs(errors) * data.scale}
    items = Items(part, name, data.parts[part].astype(np.int64), np.ones(len(errors)), found)
    return Judgement(items, {metric: float(values.mean()) for metric, values in found.items()})


class Tank(Task):
    section, facts_kind, counted, predicted = TankData, TankFacts, "windows", "levels"
    metrics = (Metric("loss"), Metric("centimetres", unit="cm", about="mean absolute error"))

    def load(self, config, folder, reach):
        section, values = config.data, read(folder / config.data.path)
        scale, count = float(values[: len(values) // 2].std()), len(values) - section.window - section.ahead
        inputs = np.stack([values[n : n + section.window] for n in range(count)]) / scale
        levels = values[section.window + section.ahead - 1 :][:count, 2:] / scale
        rows = np.split(np.arange(count), [int(0.6 * count), int(0.8 * count)])
        parts = dict(zip(("train", "validation", "test"), rows, strict=True))
        return Windows(inputs, levels, parts, hashlib.sha256(values.tobytes()).hexdigest(), scale)

    def facts(self, data):
        return TankFacts(data.fingerprint, data.scale)

    def describe(self, data, config):
        about = {"text": f"{config.data.path}: a tank, {len(data.levels)} windows", "notes": []}
        return {"data": about, "windows": {part: len(rows) for part, rows in data.parts.items()}}

    def network(self, config, facts):
        return SequenceNetwork(config.model, inputs=3, outputs=1, longest=config.data.window, every=False)

    def span(self, config, facts):
        return config.data.window

    def feed(self, data, config, device):
        return Feed(data, config, device)

    @torch.no_grad()
    def judge(self, network, data, config, part, name):
        return judged(name, part, data, Feed(data, config, "cpu").errors(network.eval(), data.parts[part]))

    def rivals(self):
        return (Mean(),)

    def subject(self, network, data, config):
        inputs, levels = (torch.from_numpy(a[data.parts["validation"][:16]]) for a in (data.inputs, data.levels))
        loss = lambda x: (network(x) - levels).square().mean().item()  # noqa: E731
        return Subject(network, loss, inputs, ("inflow", "outflow", "level"), ("level",))

    @torch.no_grad()
    def predict(self, network, config, facts, path, folder, **options):
        last = read(folder / (path or config.data.path))[-config.data.window :] / facts.scale
        return {"level": [float(network(torch.from_numpy(last)[None])[0, 0]) * facts.scale]}

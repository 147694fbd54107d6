"""A toy on a table: what a tank's level will be some hours after a window of inflow and outflow."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from lstm.config.section import Data, File
from lstm.data.dataset import Facts
from lstm.diagnostics.subject import Subject
from lstm.judging.items import Items, Judgement
from lstm.nn.networks import SequenceNetwork
from lstm.records.objective import Metric
from lstm.rivals.rival import Fitted
from lstm.tasks.base import Task

COLUMNS = ("inflow", "outflow", "level")


class TankData(Data):
    window: int = 8
    ahead: int = 3
    unit: float = 10.0  # centimetres that the network takes as 1


def read(path, section):
    return pd.read_csv(path)[list(COLUMNS)].to_numpy(np.float32) / np.float32(section.unit)


class Feed:
    def __init__(self, data, config, device):
        self._data, self._size, self._device = data, config.training.batch_size, device
        self.items, self.step_numbers, self.judged_steps = len(data.parts["train"]), 6, 64 * config.data.window

    def order(self, generator):
        order, size = generator.permutation(self._data.parts["train"]), self._size
        return lambda place: order[place * size :][:size]

    def errors(self, network, rows):
        inputs, levels = (torch.from_numpy(a[rows]).to(self._device) for a in (self._data.inputs, self._data.levels))
        return (network(inputs).float() - levels)[:, 0]

    def loss(self, network, rows):
        return self.errors(network, rows).square().mean(), len(rows)

    def judged(self, part):
        return len(self._data.parts[part])

    @torch.no_grad()
    def evaluate(self, network, part, some=None):
        rows = self._data.parts[part][:some]
        return judged("", part, self._data, self.errors(network.eval(), rows), rows).metrics


class Mean:
    name, about, needs = "mean level", "The mean level of the training part.", ()

    def fit(self, data, config):
        return Fitted(self.name, self.name, {"level": float(data.levels[data.parts["train"]].mean())}, {})

    def judge(self, fitted, data, config, part):
        return judged(self.name, part, data, fitted.settings["level"] - data.levels[data.parts[part], 0])


def judged(name, part, data, errors, rows=None):
    errors = np.asarray(errors, dtype=np.float64)
    found = {"loss": errors**2, "centimetres": np.abs(errors) * data.unit}
    items = Items(part, name, data.parts[part] if rows is None else rows, np.ones(len(errors)), found)
    return Judgement(items, {metric: float(values.mean()) for metric, values in found.items()})


class Tank(Task):
    section, location = TankData, File  # a CSV file with the columns inflow, outflow and level
    facts_kind, counted, predicted = Facts, "windows", "levels"
    metrics = (Metric("loss"), Metric("centimetres", unit="cm", about="mean absolute error"))

    def load(self, config, location, reach):
        section, values = config.data, read(location.path, config.data)
        inputs = np.lib.stride_tricks.sliding_window_view(values, section.window, axis=0).transpose(0, 2, 1)
        levels = values[section.window + section.ahead - 1 :, 2:]
        rows = np.split(np.arange(len(levels)), [int(0.6 * len(levels)), int(0.8 * len(levels))])
        parts = dict(zip(("train", "validation", "test"), rows, strict=True))
        told = {"fingerprint": hashlib.sha256(values.tobytes()).hexdigest(), "nbytes": values.nbytes}
        return SimpleNamespace(inputs=inputs.copy(), levels=levels, parts=parts, unit=section.unit, **told)

    def facts(self, data):
        return Facts(data.fingerprint)

    def describe(self, data, config):
        about = {"text": "a tank", "notes": []}
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
        return Subject(network, lambda x: float((network(x) - levels).square().mean()), inputs, COLUMNS, ("level",))

    @torch.no_grad()
    def predict(self, network, config, facts, path, folder, **options):
        last = read(folder / path, config.data)[-config.data.window :]
        return {"level": [float(network(torch.from_numpy(last)[None])) * config.data.unit]}

"""A toy of two vocabularies: digits are spelt in letters, two for each, that depend on the digit before it, too."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lstm.config import misfits
from lstm.config.section import Data
from lstm.data.dataset import Facts
from lstm.diagnostics.subject import Subject
from lstm.judging.items import Items, Judgement
from lstm.nn.networks import SequenceNetwork
from lstm.records.objective import Metric
from lstm.tasks.base import Task

DIGITS, LETTERS = 5, "xyz"


class SpellData(Data):
    digits: int = 6
    words: int = 200  # of each part

    def misfits(self, model, training):
        yield from misfits.no_target_among_inputs(model)
        yield from misfits.answers_every_step(model)


@dataclass(frozen=True)
class Words:
    digits: dict[str, np.ndarray]  # by part (word, digit) int64
    letters: dict[str, np.ndarray]  # by part (word, 2 * digit) int64
    fingerprint: str

    @property
    def nbytes(self):
        return sum(each.nbytes for each in (*self.digits.values(), *self.letters.values()))


def spelt(digits):
    before = np.concatenate([np.zeros_like(digits[:, :1]), digits[:, :-1]], axis=1)
    return np.stack([digits % 3, (digits + before) % 3], axis=2).reshape(len(digits), -1)


def logits(network, digits):
    found = network(nn.functional.one_hot(torch.as_tensor(digits), DIGITS).float())
    return found.reshape(len(found), -1, len(LETTERS))


class Feed:
    step_numbers, judged_steps = 20, 1_000

    def __init__(self, data, config):
        self._data, self._size, self.items = data, config.training.batch_size, config.data.words

    def order(self, generator):
        order = generator.permutation(self.items)
        return lambda place: order[place * self._size : (place + 1) * self._size]

    def loss(self, network, rows):
        wanted = torch.from_numpy(self._data.letters["train"][rows])
        found = logits(network, self._data.digits["train"][rows])
        return nn.functional.cross_entropy(found.transpose(1, 2), wanted), len(rows)

    def judged(self, part):
        return self.items

    def evaluate(self, network, part, some=None):
        return judged(network, self._data, part, "", some).metrics


@torch.no_grad()
def judged(network, data, part, name, some=None):
    found, wanted = logits(network.eval(), data.digits[part][:some]), torch.from_numpy(data.letters[part][:some])
    losses = nn.functional.cross_entropy(found.transpose(1, 2), wanted, reduction="none").mean(dim=1)
    right = (found.argmax(dim=2) == wanted).double().mean(dim=1)
    errors = {"loss": losses.double().numpy(), "spelt_right": right.numpy()}
    count = len(wanted)
    items = Items(part, name, np.arange(count), np.full(count, float(wanted.shape[1])), errors)
    return Judgement(items, {metric: float(values.mean()) for metric, values in errors.items()})


class Spell(Task):
    section, facts_kind = SpellData, Facts
    metrics = (Metric("loss", unit="nats"), Metric("spelt_right", "maximize", about="share of right letters"))

    def load(self, config, location, reach):
        generator, size = np.random.default_rng(7), (config.data.words, config.data.digits)
        digits = {part: generator.integers(0, DIGITS, size) for part in ("train", "validation", "test")}
        return Words(digits, {part: spelt(each) for part, each in digits.items()}, f"spell {size}")

    def facts(self, data):
        return Facts(data.fingerprint)

    def describe(self, data, config):
        sizes = dict.fromkeys(("train", "validation", "test"), config.data.words)
        return {"data": {"text": f"words of {config.data.digits} digits", "notes": []}, "windows": sizes}

    def network(self, config, facts):
        return SequenceNetwork(config.model, inputs=DIGITS, outputs=6, longest=config.data.digits, every=True)

    def span(self, config, facts):
        return config.data.digits

    def feed(self, data, config, device):
        return Feed(data, config)

    def judge(self, network, data, config, part, name):
        return judged(network, data, part, name)

    def subject(self, network, data, config):
        inputs = nn.functional.one_hot(torch.from_numpy(data.digits["validation"][:16]), DIGITS).float()
        loss = lambda x: network(x).square().mean().item()  # noqa: E731
        return Subject(lambda x: network(x)[:, -1], loss, inputs, tuple("01234"), tuple("abcdef"))

    @torch.no_grad()
    def predict(self, network, config, facts, path, folder, **options):
        digits = [[int(c) for c in word] for word in (folder / path).read_text().split()] if path else [[0, 1, 2, 3]]
        return {"word": ["".join(LETTERS[n] for n in logits(network, [word])[0].argmax(dim=1)) for word in digits]}

"""Networks of the task `memory`, which solve problems that need memory."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm.config.memory import MemoryData
from lstm.config.trial import TrialConfig
from lstm.data.memory import Pair, ProblemFacts, Problems, draw, generate
from lstm.data.tables import reader
from lstm.diagnostics.subject import Subject
from lstm.judging.items import Judgement
from lstm.judging.memory import answers as answer_items
from lstm.judging.memory import named
from lstm.nn.gates import trace
from lstm.nn.networks import SequenceNetwork, evaluation_batch, noisy, steps_at_once
from lstm.records.epoch import Judged
from lstm.records.errors import refused
from lstm.records.figures import Forecast

SHOWN = 200  # points of a picture
PROBED = 32  # sequences


def build(config: TrialConfig, facts: ProblemFacts) -> SequenceNetwork:
    """Build the network, which answers once at the end for the adding problem and at every step for the others."""
    section = config.data_as(MemoryData)
    return SequenceNetwork(
        config.model,
        inputs=facts.inputs,
        outputs=len(facts.targets),
        longest=section.steps,
        every=section.problem != "adding",
        warmup=config.training.warmup_steps,
        code=config.code,
    )


class Feed:
    """The batches, loss and metrics for the trainer."""

    def __init__(self, data: Problems, config: TrialConfig, device: str) -> None:
        self._data, self._section, self._device = data, config.data_as(MemoryData), device
        self._size, self._warmup = config.training.batch_size, config.training.warmup_steps
        self._noise = config.training.input_noise
        self.items = self._section.sizes.train
        # Memory contains symbols as numbers and one-hot, and answers with their probabilities and gradients.
        answers = 0 if self._section.problem == "adding" else 4 * len(data.targets)
        self.step_numbers = (5 if self._section.problem == "copy" else 2) * data.inputs + answers
        judged = max(self.judged("validation"), self.judged("test"))
        self.judged_steps = steps_at_once(self._section.steps, config.model, judged)

    def order(self, generator: np.random.Generator) -> Callable[[int], Pair]:
        """Return a function that gives the batch at a place in a pass: new sequences, or Mackey-Glass's shuffled."""
        if "train" in self._data.parts:
            inputs, targets = self._data.parts["train"]
            order = generator.permutation(len(inputs))

            def chosen(place: int) -> Pair:
                rows = order[place * self._size : (place + 1) * self._size]
                return inputs[rows], targets[rows]

            return chosen
        seeds = generator.integers(2**63, size=-(-self.items // self._size))

        def drawn(place: int) -> Pair:
            count = min(self._size, self.items - place * self._size)
            return draw(np.random.default_rng([self._section.seed, int(seeds[place])]), count, self._section)

        return drawn

    def loss(self, network: nn.Module, batch: Pair) -> tuple[Tensor, int]:
        """Return the mean squared error, or for symbols the cross-entropy in nats, and the number of sequences."""
        outputs, targets = self.answers(network, batch, self._noise)
        return losses(outputs, targets).mean(), len(batch[0])

    @torch.no_grad()
    def measure(self, network: nn.Module, batch: Pair) -> tuple[dict[str, float], int]:
        """Return the metrics of `evaluate` over a batch, and the number of sequences."""
        outputs, wanted = self.answers(network, batch)
        loss, right = float(losses(outputs, wanted).double().mean()), self._right(outputs, wanted)
        return named(loss, right, batch[1][:, self._warmup :], self._section), len(batch[0])

    def _right(self, outputs: Tensor, wanted: Tensor) -> float:
        """Return the share of the symbols to repeat that are right; 0 unless the problem is copy."""
        if self._section.problem != "copy":
            return 0.0
        keep = self._section.keep
        return float((outputs[:, -keep:].argmax(dim=-1) == wanted[:, -keep:]).double().mean())

    def judged(self, part: Judged) -> int:
        """Return the number of sequences that a part is judged on."""
        return len(self._data.parts[part][0])

    @torch.no_grad()
    def evaluate(self, network: nn.Module, part: Judged, some: int | None = None) -> dict[str, float]:
        """Return the loss, and for Copy the share of correct symbols, for Mackey-Glass the error per deviation."""
        network.eval()
        assert isinstance(network, SequenceNetwork)
        inputs, targets = (array[:some] for array in self._data.parts[part])
        size = evaluation_batch(self._section.steps, network.model)
        loss = right = 0.0
        for start in range(0, len(inputs), size):
            outputs, wanted = self.answers(network, (inputs[start : start + size], targets[start : start + size]))
            loss += float(losses(outputs, wanted).double().mean()) * len(outputs) / len(inputs)
            right += self._right(outputs, wanted) * len(outputs) / len(inputs)
        return named(loss, right, targets[:, self._warmup :], self._section)

    def answers(self, network: nn.Module, batch: Pair, noise: float = 0.0) -> tuple[Tensor, Tensor]:
        """Return a network's answers to sequences, and the truth, at the steps that count (not in the warm-up)."""
        inputs, targets = (torch.from_numpy(array).to(self._device) for array in batch)
        if self._section.problem == "copy":
            inputs = nn.functional.one_hot(inputs, self._data.inputs).float()
        outputs = network(noisy(inputs, noise)).float()
        return outputs, targets if self._section.problem == "adding" else targets[:, self._warmup :]


def losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error, or for symbols the cross-entropy in nats, of each answer."""
    if targets.is_floating_point():
        return nn.functional.mse_loss(outputs, targets, reduction="none")
    return nn.functional.cross_entropy(outputs.transpose(1, 2), targets, reduction="none")


@torch.no_grad()
def judge(network: nn.Module, data: Problems, config: TrialConfig, part: Judged, name: str) -> Judgement:
    """Judge a network on a part sequence by sequence, under a name."""
    assert isinstance(network, SequenceNetwork)
    section, warmup = config.data_as(MemoryData), config.training.warmup_steps
    feed, size = Feed(data, config, "cpu"), evaluation_batch(section.steps, network.model)
    inputs, targets = data.parts[part]
    found, right = [], []
    for start in range(0, len(inputs), size):
        outputs, wanted = feed.answers(network, (inputs[start : start + size], targets[start : start + size]))
        found.append(losses(outputs, wanted).double().flatten(1).mean(dim=1).numpy())
        if section.problem == "copy":
            hits = outputs[:, -section.keep :].argmax(dim=-1) == wanted[:, -section.keep :]
            right.append(hits.double().mean(dim=1).numpy())
    errors = {"loss": np.concatenate(found)} | ({"accuracy": np.concatenate(right)} if right else {})
    return answer_items(name, part, data, section, warmup, errors)


@torch.no_grad()
def examples(network: nn.Module, data: Problems, config: TrialConfig) -> list[Forecast]:
    """Return the answers to a test sequence, or for the adding problem to many, ordered by their sums."""
    section, warmup = config.data_as(MemoryData), config.training.warmup_steps
    inputs, targets = (array[:SHOWN] if section.problem == "adding" else array[:1] for array in data.parts["test"])
    answers = _shown(network, inputs, data.inputs, section)
    truth = targets.reshape(-1).astype(float) if section.problem == "adding" else targets[0, warmup:].astype(float)
    order = np.argsort(truth) if section.problem == "adding" else np.arange(max(len(truth) - SHOWN, 0), len(truth))
    constant = {"adding": 1.0, "mackey_glass": 0.0, "copy": np.nan}[section.problem]
    mean, deviation = data.scale.mean[0], data.scale.deviation[0]
    times = range(len(truth)) if section.problem == "adding" else order + warmup
    return [
        Forecast(
            target={"adding": "sum", "mackey_glass": "value", "copy": "symbol"}[section.problem],
            times=tuple(map(str, times)),
            truth=tuple((truth.reshape(-1)[order] * deviation + mean).tolist()),
            forecast=tuple((answers.reshape(-1)[order] * deviation + mean).tolist()),
            baseline=tuple([constant * deviation + mean] * len(order)),
            baseline_name="constant",
        )
    ]


def _shown(network: nn.Module, inputs: np.ndarray, width: int, section: MemoryData) -> np.ndarray:
    given = torch.from_numpy(inputs)
    outputs = network(nn.functional.one_hot(given, width).float() if section.problem == "copy" else given)
    found: np.ndarray = (outputs.argmax(dim=-1) if section.problem == "copy" else outputs).numpy()
    return found.astype(float)


def subject(network: nn.Module, data: Problems, config: TrialConfig) -> Subject:
    """Return the network for probes: validation sequences (symbols are one-hot), with the answer at the last step."""
    assert isinstance(network, SequenceNetwork)
    section, warmup = config.data_as(MemoryData), config.training.warmup_steps
    given, wanted = (torch.from_numpy(array[:PROBED]) for array in data.parts["validation"])
    inputs = nn.functional.one_hot(given, data.inputs).float() if section.problem == "copy" else given
    network = copy.copy(network)  # shares the weights
    network.warmup = 0  # a warm-up would change gradients and the steps with answers

    def loss(disturbed: Tensor) -> float:
        answers = network(disturbed)
        every = (answers, wanted) if section.problem == "adding" else (answers[:, warmup:], wanted[:, warmup:])
        return losses(*every).mean().item()

    return Subject(
        respond=lambda x: network(x) if section.problem == "adding" else network(x)[:, -1],
        loss=loss,
        windows=inputs,
        columns={"adding": ("value", "mark"), "mackey_glass": ("value",)}.get(section.problem, (*data.targets, "sign")),
        outputs=data.targets,
        trace=lambda x: trace(network.cell, x),
    )


@torch.no_grad()
def predict(
    network: nn.Module, config: TrialConfig, facts: ProblemFacts, path: str | None, folder: Path
) -> dict[str, list[Any]]:
    """Predict the answers to a sequence in a file, or to a test sequence if `path` is None.

    The file has the columns `value` and `mark` (adding), `symbol` (copy) or `value` (Mackey-Glass).

    Raises:
        BadInput: the file is wrong, or the sequence is shorter than the warm-up.
    """
    section, warmup = config.data_as(MemoryData), config.training.warmup_steps
    mean, deviation = facts.scale.mean[0], facts.scale.deviation[0]
    if path is None:
        inputs = generate(section).parts["test"][0][:1]
    else:
        inputs = _given(path, folder, section)
        inputs = ((inputs - mean) / deviation).astype(np.float32) if section.problem == "mackey_glass" else inputs
    if inputs.shape[1] <= warmup:
        place = "" if path is None else folder / path
        raise refused("sequence-shorter-than-warmup", at=place, steps=inputs.shape[1], warmup=warmup)
    answers = _shown(network, inputs, facts.inputs, section).reshape(-1)
    if section.problem == "adding":
        return {"sum": answers.tolist()}
    steps = list(range(warmup, inputs.shape[1]))
    if section.problem == "copy":
        return {"step": steps, "symbol": answers.astype(int).tolist()}
    return {"step": [step + section.steps_ahead for step in steps], "value": (answers * deviation + mean).tolist()}


def _given(path: str, folder: Path, section: MemoryData) -> np.ndarray:
    names = {"adding": ("value", "mark"), "copy": ("symbol",), "mackey_glass": ("value",)}[section.problem]
    values = reader.numbers(folder / path, reader.read(folder / path, names, numbers=names), names)
    with np.errstate(over="ignore"):
        finite = np.isfinite(values.astype(np.float32)) | np.isnan(values)
    if not finite.all():
        raise refused("sequence-too-large-for-float32", at=folder / path)
    if np.isnan(values).any():
        raise refused("sequence-with-gaps", at=folder / path)
    if section.problem != "copy":
        return values[None].astype(np.float32)
    if not (np.isin(values, np.arange(section.alphabet + 2))).all():
        raise refused("symbol-outside-alphabet", at=folder / path, most=section.alphabet + 1)
    return values[None, :, 0].astype(np.int64)

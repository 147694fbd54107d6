"""Networks of the task `classify`, which predict the class of a whole sequence of any length."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm.config.classify import PROBABILITY, ClassifyData
from lstm.config.trial import TrialConfig
from lstm.data import classify as classify_data
from lstm.data.classify import Batch, SequenceFacts, Sequences, batch_of
from lstm.diagnostics.subject import Subject
from lstm.judging.classify import classes, confusion, metrics
from lstm.judging.items import Judgement
from lstm.nn.gates import trace
from lstm.nn.networks import SequenceNetwork, evaluation_batch, noisy, steps_at_once
from lstm.records.epoch import Judged
from lstm.records.figures import HeatMap

PROBED = 32  # sequences
POOL = 16  # batches among which sequences are grouped by length


def build(config: TrialConfig, facts: SequenceFacts) -> SequenceNetwork:
    """Build the network, which answers once per sequence with a score for each class."""
    return SequenceNetwork(
        config.model,
        inputs=facts.inputs,
        outputs=len(facts.targets),
        longest=facts.longest,
        every=False,
        code=config.code,
    )


class Feed:
    """The batches, loss and metrics for the trainer. A batch is padded to its longest sequence."""

    def __init__(self, data: Sequences, config: TrialConfig, device: str) -> None:
        self._data, self._device, self._size = data, device, config.training.batch_size
        self._noise = config.training.input_noise
        self.items, self.step_numbers = len(data.parts["train"]), 2 * data.inputs
        judged = max(self.judged("validation"), self.judged("test"))
        self.judged_steps = steps_at_once(data.longest, config.model, judged)

    def order(self, generator: np.random.Generator) -> Callable[[int], Batch]:
        """Return a function that gives the batch at a place in a pass.

        Sequences are shuffled, then sorted by length within groups of some batches, so that padding is short.
        """
        order, size = generator.permutation(self._data.parts["train"]), self._size
        lengths = self._data.lengths
        pools = (order[start : start + POOL * size] for start in range(0, len(order), POOL * size))
        grouped = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        places = generator.permutation(-(-len(grouped) // size))
        return lambda place: batch_of(self._data, grouped[places[place] * size :][:size])

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """Return the mean cross-entropy in nats, and the number of sequences."""
        wanted = torch.from_numpy(batch[2]).to(self._device)
        return nn.functional.cross_entropy(answers(network, batch, self._device, self._noise), wanted), len(wanted)

    @torch.no_grad()
    def measure(self, network: nn.Module, batch: Batch) -> tuple[dict[str, float], int]:
        """Return the metrics of `evaluate` over a batch, and the number of sequences."""
        likely = nn.functional.log_softmax(answers(network, batch, self._device).double(), dim=-1).cpu().numpy()
        return metrics(likely, batch[2]), len(batch[2])

    def judged(self, part: Judged) -> int:
        """Return the number of sequences that a part is judged on."""
        return len(self._data.parts[part])

    def evaluate(self, network: nn.Module, part: Judged, some: int | None = None) -> dict[str, float]:
        """Return the cross-entropy in nats, the share of correct answers, and F1 averaged over the classes."""
        chosen = self._data.parts[part][:some]
        likely = log_probabilities(network, self._data, chosen, self._device)
        return metrics(likely, self._data.labels[chosen])


def answers(network: nn.Module, batch: Batch, device: str, noise: float = 0.0) -> Tensor:
    """Return a network's scores (logits) for each class: (sequence, class) float32."""
    values, lengths, _ = batch
    # Without lengths, torch.nn's own implementation is used. Its backward pass is faster.
    differ = torch.from_numpy(lengths) if lengths.min() < lengths.max() else None
    outputs: Tensor = network(noisy(torch.from_numpy(values).to(device), noise), differ).float()
    return outputs


@torch.no_grad()
def log_probabilities(network: nn.Module, data: Sequences, chosen: np.ndarray, device: str) -> np.ndarray:
    """Return the log-probability of each class for some sequences: (sequence, class) float64."""
    network.eval()
    assert isinstance(network, SequenceNetwork)
    lengths = data.lengths[chosen]
    size = evaluation_batch(int(lengths.max()), network.model)
    order = np.argsort(lengths, kind="stable")  # so that padding is short
    found = np.empty((len(chosen), len(data.targets)))
    for start in range(0, len(order), size):
        places = order[start : start + size]
        outputs = answers(network, batch_of(data, chosen[places]), device)
        found[places] = nn.functional.log_softmax(outputs.double(), dim=-1).cpu().numpy()
    return found


def judge(network: nn.Module, data: Sequences, part: Judged, name: str) -> Judgement:
    """Judge a network on a part sequence by sequence, under a name."""
    return classes(name, part, data, log_probabilities(network, data, data.parts[part], "cpu"))


def examples(network: nn.Module, data: Sequences, _: TrialConfig) -> list[HeatMap]:
    """Return a picture of how often each class of the test part was predicted as each other class."""
    chosen = data.parts["test"]
    counts = confusion(log_probabilities(network, data, chosen, "cpu"), data.labels[chosen])
    shares = counts / counts.sum(axis=1, keepdims=True)  # every class is in every part
    return [
        HeatMap(
            title="Predicted and true classes",
            note=f"For each true class, the share of its test sequences with each predicted class ({len(chosen):,} "
            "sequences in all). Values off the diagonal are errors.",
            x_label="predicted",
            y_label="truth",
            x=data.targets,
            y=data.targets,
            values=tuple(map(tuple, shares.tolist())),
            low=0.0,
            high=1.0,
        )
    ]


def subject(network: nn.Module, data: Sequences, config: TrialConfig) -> Subject:
    """Return the network for probes: validation sequences of the commonest length, with the classes' scores."""
    assert isinstance(network, SequenceNetwork)
    chosen = data.parts["validation"]
    lengths, counts = np.unique(data.lengths[chosen], return_counts=True)
    alike = chosen[data.lengths[chosen] == lengths[counts.argmax()]][:PROBED]
    values, _, labels = batch_of(data, alike)
    wanted = torch.from_numpy(labels)
    return Subject(
        respond=network,
        loss=lambda inputs: nn.functional.cross_entropy(network(inputs), wanted).item(),
        windows=torch.from_numpy(values),
        columns=tuple(config.data_as(ClassifyData).columns),
        outputs=data.targets,
        trace=lambda inputs: trace(network.cell, inputs),
    )


def predict(
    networks: Sequence[nn.Module], config: TrialConfig, facts: SequenceFacts, path: str | None, folder: Path
) -> dict[str, list[Any]]:
    """Predict the class of each sequence in a file in long format, with its probability. Labels are not required.

    The probability of a class is the mean of the networks' probabilities.

    Raises:
        BadInput: the file is wrong.
    """
    section = config.data_as(ClassifyData)
    assert path is not None
    source = classify_data.read(section, folder / path, labelled=False)
    count = len(source.ids)
    values = classify_data.scaled(folder / path, source.values, facts.scale, section)
    unknown = np.zeros(count, dtype=np.int64)
    data = Sequences(values, source.starts, unknown, {}, facts.targets, facts.scale, facts.fingerprint, source.notes)
    likely = np.stack([log_probabilities(network, data, np.arange(count), "cpu") for network in networks])
    likely = np.logaddexp.reduce(likely, axis=0) - np.log(len(networks)) if len(networks) > 1 else likely[0]
    return {
        section.id: list(source.ids),
        section.label: [facts.targets[place] for place in likely.argmax(axis=1)],
        PROBABILITY: np.exp(likely.max(axis=1)).tolist(),
    }

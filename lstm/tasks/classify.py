"""The task `classify`: which class a whole sequence belongs to, whatever its length."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm.checkpoint import Checkpoint
from lstm.config.classify import PROBABILITY, ClassifyData
from lstm.config.trial import TrialConfig
from lstm.data import classify as classify_data
from lstm.data.classify import Sequences
from lstm.data.dataset import Shape
from lstm.diagnostics.subject import Subject
from lstm.nn.gates import trace
from lstm.nn.networks import SequenceNetwork, evaluation_batch, noisy, steps_at_once
from lstm.records.epoch import Judged
from lstm.records.figures import HeatMap

PROBED = 32  # sequences
POOL = 16  # batches among which sequences are grouped by length
MOST_FLATTENED = 50_000_000  # numbers that the baseline is fitted on: 400 MB
ITERATIONS = 1_000  # of the baseline's fit, at most
Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # steps (sequence, time, column), lengths, classes


def build(config: TrialConfig, shape: Shape) -> SequenceNetwork:
    """The network: it answers once, with a number for each class."""
    return SequenceNetwork(
        config.model, inputs=shape.inputs, outputs=len(shape.targets), longest=span(config, shape), every=False
    )


def span(_: TrialConfig, shape: Shape) -> int:
    """Steps of the longest sequence, over which the network is unrolled."""
    # A checkpoint's facts don't tell it, nor need they: it says where weights start, and those are loaded.
    return shape.longest if isinstance(shape, Sequences) else 1


def describe(data: Sequences, config: TrialConfig) -> dict[str, Any]:
    """What the data are, and how many sequences each part has."""
    section, lengths = config.data_as(ClassifyData), data.lengths
    shortest, longest = int(lengths.min()), data.longest
    steps = f"{longest:,} steps" if shortest == longest else f"{shortest:,} to {longest:,} steps"
    classes = f"{len(data.targets):,} classes in column {section.label}"
    idle = ["too large for the baseline, which is left out: logistic regression on the flattened input"]
    about = {
        "text": f"{section.path}: {len(lengths):,} sequences of {steps}, {classes}",
        "path": section.path,
        "rows": len(data.values),
        "sequences": len(lengths),
        "shortest": shortest,
        "longest": longest,
        "inputs": data.inputs,
        "targets": list(data.targets),
        "notes": [*data.notes, *([] if fits(data) else idle)],
        "fingerprint": data.fingerprint,
    }
    return {"data": about, "windows": {part: len(chosen) for part, chosen in data.parts.items()}}


class Feed:
    """What the trainer takes: batches padded to their longest sequence, their loss, the judgement."""

    def __init__(self, data: Sequences, config: TrialConfig, device: str) -> None:
        self._data, self._device, self._size = data, device, config.training.batch_size
        self._noise = config.training.input_noise
        self.items, self.step_numbers = len(data.parts["train"]), 2 * data.inputs
        judged = max(self.judged("validation"), self.judged("test"))
        self.judged_steps = steps_at_once(data.longest, config.model, judged)

    def order(self, generator: np.random.Generator) -> Callable[[int], Batch]:
        """The batches of a pass: by lot, then within some batches by length, so that little is padded."""
        order, size = generator.permutation(self._data.parts["train"]), self._size
        lengths = self._data.lengths
        pools = (order[start : start + POOL * size] for start in range(0, len(order), POOL * size))
        grouped = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        places = generator.permutation(-(-len(grouped) // size))
        return lambda place: batch_of(self._data, grouped[places[place] * size :][:size])

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        """The mean cross-entropy in nats, and over how many sequences."""
        wanted = torch.from_numpy(batch[2]).to(self._device)
        return nn.functional.cross_entropy(answers(network, batch, self._device, self._noise), wanted), len(wanted)

    def judged(self, part: Judged) -> int:
        """Sequences that a part is judged on."""
        return len(self._data.parts[part])

    def evaluate(self, network: nn.Module, part: Judged, some: int | None = None) -> dict[str, float]:
        """The cross-entropy in nats, the share of right answers, F1 averaged over the classes."""
        chosen = self._data.parts[part][:some]
        likely = log_probabilities(network, self._data, chosen, self._device)
        return metrics(likely, self._data.labels[chosen])


def batch_of(data: Sequences, chosen: np.ndarray) -> Batch:
    """Some sequences, by number, side by side: 0 beyond a sequence's length."""
    lengths = data.lengths[chosen]
    steps = np.arange(lengths.max())
    inside = steps < lengths[:, None]
    values = np.zeros((*inside.shape, data.inputs), dtype=np.float32)
    values[inside] = data.values[(data.starts[chosen][:, None] + steps)[inside]]
    return values, lengths, data.labels[chosen]


def answers(network: nn.Module, batch: Batch, device: str, noise: float = 0.0) -> Tensor:
    """What a network says of each class, before it is made a probability: (sequence, class) float32."""
    values, lengths, _ = batch
    # Without lengths torch.nn's own way does, which is quicker backwards.
    differ = torch.from_numpy(lengths) if lengths.min() < lengths.max() else None
    outputs: Tensor = network(noisy(torch.from_numpy(values).to(device), noise), differ).float()
    return outputs


@torch.no_grad()
def log_probabilities(network: nn.Module, data: Sequences, chosen: np.ndarray, device: str) -> np.ndarray:
    """The logarithm of each class's probability for some sequences: (sequence, class) float64."""
    network.eval()
    assert isinstance(network, SequenceNetwork)
    lengths = data.lengths[chosen]
    size = evaluation_batch(int(lengths.max()), network.model)
    order = np.argsort(lengths, kind="stable")  # so that little is padded
    found = np.empty((len(chosen), len(data.targets)))
    for start in range(0, len(order), size):
        places = order[start : start + size]
        outputs = answers(network, batch_of(data, chosen[places]), device)
        found[places] = nn.functional.log_softmax(outputs.double(), dim=-1).cpu().numpy()
    return found


def metrics(likely: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What is reported of log probabilities `(sequence, class)` beside the true classes `(sequence,)`.

    F1 is the mean over the classes that occur or are answered, of 2 right / (occurring + answered).
    """
    counts = confusion(likely, labels)
    right, sums = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
    return {
        "loss": float(-likely[np.arange(len(labels)), labels].mean()),
        "accuracy": float(right.sum() / counts.sum()),
        "f1": float((2 * right[sums > 0] / sums[sums > 0]).mean()),
    }


def confusion(likely: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many sequences of each class (rows) were answered with each class (columns)."""
    counts = np.zeros((likely.shape[1], likely.shape[1]), dtype=np.int64)
    np.add.at(counts, (labels, likely.argmax(axis=1)), 1)
    return counts


def baseline(data: Sequences, _: TrialConfig, part: Judged) -> dict[str, float]:
    """The metrics of logistic regression on all steps side by side, fitted on the training part.

    None where the sequences, each as long as the longest, would be too large for it.
    """
    if not fits(data):
        return {}
    train, judged = data.parts["train"], data.parts[part]
    fitted = logistic(flattened(data, train), data.labels[train])
    likely = np.maximum(fitted.predict_proba(flattened(data, judged)), np.finfo(np.float64).eps)
    return metrics(np.log(likely), data.labels[judged])


def logistic(inputs: np.ndarray, labels: np.ndarray, penalty: float = 1.0) -> Any:
    """scikit-learn's logistic regression, fitted."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=1 / penalty, max_iter=ITERATIONS).fit(inputs, labels)


def fits(data: Sequences) -> bool:
    """Whether the sequences, each as long as the longest, are small enough for the baseline."""
    return len(data.labels) * data.longest * data.inputs <= MOST_FLATTENED


def flattened(data: Sequences, chosen: np.ndarray) -> np.ndarray:
    """Sequences as long as the longest of all, their steps side by side: (sequence, longest * column)."""
    values = batch_of(data, chosen)[0]
    room = np.zeros((len(chosen), data.longest, data.inputs))
    room[:, : values.shape[1]] = values
    return room.reshape(len(chosen), -1)


def examples(network: nn.Module, data: Sequences, _: TrialConfig) -> list[HeatMap]:
    """What the classes of the test part were taken for."""
    chosen = data.parts["test"]
    counts = confusion(log_probabilities(network, data, chosen, "cpu"), data.labels[chosen])
    shares = counts / counts.sum(axis=1, keepdims=True)  # every class is in every part
    return [
        HeatMap(
            title="What each class is taken for",
            note=f"The share of each class's test sequences ({len(chosen):,} in all) that got each answer; what is off "
            "the diagonal is mistaken.",
            x_label="answered",
            y_label="truth",
            x=data.targets,
            y=data.targets,
            values=tuple(map(tuple, shares.tolist())),
            low=0.0,
            high=1.0,
        )
    ]


def subject(network: nn.Module, data: Sequences, config: TrialConfig) -> Subject:
    """The network for probes: validation sequences of the length that most of them have; what it says of each class."""
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


def predict(network: nn.Module, checkpoint: Checkpoint, path: str | None, folder: Path) -> dict[str, list[Any]]:
    """The class of each sequence in a file of the same long form, and its probability; it needs no labels.

    Raises:
        BadInput: the file is wrong.
    """
    section, facts = checkpoint.config.data_as(ClassifyData), checkpoint.facts
    section = section.model_copy(update={"path": path or section.path})
    source = classify_data.read(section, folder, labelled=False)
    count = len(source.ids)
    values = classify_data.scaled(folder / section.path, source.values, facts.scale, section)
    unknown = np.zeros(count, dtype=np.int64)
    data = Sequences(values, source.starts, unknown, {}, facts.targets, facts.scale, facts.fingerprint, source.notes)
    likely = log_probabilities(network, data, np.arange(count), "cpu")
    return {
        section.id: list(source.ids),
        section.label: [facts.targets[place] for place in likely.argmax(axis=1)],
        PROBABILITY: np.exp(likely.max(axis=1)).tolist(),
    }

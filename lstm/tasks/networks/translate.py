"""Networks of the task `translate`: batches, their loss, translations, and how both are judged."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lstm.config.translate import TranslateData, TranslateModel, TranslateTraining
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Part
from lstm.data.pairs import files
from lstm.data.pairs.numbered import Numbered, shuffled
from lstm.data.pairs.vocabulary import BEGIN, END, PADDING, UNKNOWN
from lstm.data.translate import TranslateFacts, Translations, generated
from lstm.diagnostics.subject import Subject
from lstm.judging import translate as judging
from lstm.judging.items import Judgement
from lstm.nn.gates import trace
from lstm.nn.translate.encoder_decoder import TranslateNetwork
from lstm.nn.translate.scores import cross_entropy
from lstm.nn.translate.search import Marks, Translated, search
from lstm.records.epoch import Judged
from lstm.records.figures import TranslatedLines

PROBED = 32  # sentences
SHOWN = 20  # sentences of generated pairs that are translated if no file is given
SCORES = 2**25  # scores of units at once while judging: 256 MB in float64
ROWS, UNITS = 1_024, 16_384  # most sentences, and units of both sides, at once while judging
MARKS = Marks(BEGIN, END, (PADDING, UNKNOWN, BEGIN))
SPARE = 5  # units that a translation may have beyond what the training part says


def build(config: TrialConfig, facts: TranslateFacts) -> TranslateNetwork:
    """Build the network that a configuration describes. torch's generator draws the weights."""
    assert isinstance(config.model, TranslateModel)
    shared = config.data_as(TranslateData).shared_vocabulary
    return TranslateNetwork(config.model, len(facts.source), len(facts.target), shared=shared)


@dataclass(frozen=True)
class Batch:
    """Pairs as arrays: the sources with their end, the targets after their begin and before their end."""

    sources: Tensor  # (pair, step) int64
    lengths: Tensor  # (pair,) int64
    before: Tensor  # (pair, step) int64: what the decoder reads
    after: Tensor  # (pair, step) int64: what it is to write
    inside: Tensor  # (pair, step) bool: False where a target is filled up


def batched(data: Translations, part: Part, rows: np.ndarray, device: str = "cpu") -> Batch:
    """Return some pairs of a part as arrays."""
    pairs = data.numbered.parts[part]
    sources, lengths = pairs.sources.batch(rows, after=END)
    before, steps = pairs.targets.batch(rows, before=BEGIN)
    after, _ = pairs.targets.batch(rows, after=END)
    inside = np.arange(after.shape[1]) < steps[:, None]
    return Batch(*(torch.from_numpy(each).to(device) for each in (sources, lengths, before, after, inside)))


class Feed:
    """The batches by length, loss and metrics for the trainer."""

    def __init__(self, data: Translations, config: TrialConfig, device: str) -> None:
        assert isinstance(config.training, TranslateTraining)
        assert isinstance(config.model, TranslateModel)
        self._data, self._section, self._device = data, config.data_as(TranslateData), device
        self._size, self._smoothing = config.training.batch_size, config.training.label_smoothing
        self._trained = data.numbered.parts["train"]
        self.items = len(self._trained.sources)
        model, units = config.model, len(data.facts.target)
        size = model.embedding_size or model.hidden_size
        # Embeddings, their dropout, outputs, and scores of both sides; a source step has no scores, a target step has.
        self.step_numbers = 4 * size + 6 * model.hidden_size + units // 2
        self.judged_steps = UNITS

    def order(self, generator: np.random.Generator) -> Callable[[int], np.ndarray]:
        """Return a function that gives the rows of the batch at a place in a pass; a batch is of about one length."""
        trained = self._trained
        batches = shuffled(trained.sources.lengths, trained.targets.lengths, self._size, generator)
        return lambda place: batches[place]

    def loss(self, network: nn.Module, batch: np.ndarray) -> tuple[Tensor, int]:
        """Return the mean cross-entropy of a unit in nats, smoothed, and the number of units with the ends."""
        assert isinstance(network, TranslateNetwork)
        made = batched(self._data, "train", batch, self._device)
        outputs = network(made.sources, made.lengths, made.before)
        wanted = made.after[made.inside]
        with torch.autocast(outputs.device.type, enabled=False):
            loss = cross_entropy(outputs[made.inside].float(), *network.scoring, wanted, self._smoothing)
        return loss, len(wanted)

    def measure(self, network: nn.Module, batch: np.ndarray) -> tuple[dict[str, float], int]:
        """Return the metrics of `evaluate` over a batch, which is translated greedily, and the number of pairs."""
        assert isinstance(network, TranslateNetwork)
        data, wanted = self._data, [self._data.parts["train"].targets[row] for row in batch.tolist()]
        nats = losses(network, data, "train", batch, self._device)
        found = translate([network], data, self._section, "train", batch, device=self._device)
        texts = [data.facts.target.decode(each.units) for each in found]
        spelt = nats + self._trained.spelling[batch]
        likely = {
            "loss": nats.sum() / (self._trained.targets.lengths[batch] + 1).sum(),
            "character_nats": spelt.sum() / sum(len(each) + 1 for each in wanted),
        }
        made = judging.metrics(texts, wanted, lowercase=self._section.lowercase)
        return {name: float(value) for name, value in (likely | made).items()}, len(batch)

    def judged(self, part: Judged) -> int:
        """Return the number of pairs that a part is judged on."""
        return len(self._data.parts[part])

    def evaluate(self, network: nn.Module, part: Judged, some: int | None = None) -> dict[str, float]:
        """Return the metrics over a part, or over its first sentences.

        The validation part is translated greedily, on some of its sentences if it is large, the test part by beam
        search.
        """
        return dict(judge(network, self._data, self._section, part, "", some=some, device=self._device).metrics)


def judge(
    network: nn.Module,
    data: Translations,
    section: TranslateData,
    part: Judged,
    name: str,
    *,
    some: int | None = None,
    device: str = "cpu",
) -> Judgement:
    """Judge a network on a part sentence by sentence, under a name."""
    assert isinstance(network, TranslateNetwork)
    network.eval()
    every = len(data.parts[part])
    rows, count = judging.answered(part, every, section), every if some is None else some
    if some is not None:  # as many translations for a sentence as in the whole part
        rows = np.arange(math.ceil(some * len(rows) / every))
    nats = losses(network, data, part, np.arange(count), device)
    found = translate([network], data, section, part, rows, device=device)
    pairs = data.numbered.parts[part]
    texts = [data.facts.target.decode(each.units) for each in found]
    return judging.sentences(
        name,
        part,
        data.parts[part].targets[:count],
        judging.Answers(rows, texts),
        judging.Likelihoods(nats, pairs.targets.lengths[:count] + 1, pairs.spelling[:count]),
        lowercase=section.lowercase,
    )


@torch.no_grad()
def losses(
    network: TranslateNetwork, data: Translations, part: Part, rows: np.ndarray, device: str = "cpu"
) -> np.ndarray:
    """Return -ln p(target | source) of sentences of a part, the end included: (sentence,) float64, in nats.

    Label smoothing has no place here.
    """
    pairs, found = data.numbered.parts[part], np.zeros(len(rows))
    sources, targets = pairs.sources.lengths[rows], pairs.targets.lengths[rows]
    for places in _pieces(np.lexsort((targets, sources)), sources + targets):
        made = batched(data, part, rows[places], device)
        outputs = network(made.sources, made.lengths, made.before)[made.inside]
        where, wanted = made.inside.nonzero()[:, 0].cpu().numpy(), made.after[made.inside]
        size = max(SCORES // len(data.facts.target), 1)
        for start in range(0, len(wanted), size):
            some = slice(start, start + size)
            logits = network.scores(outputs[some]).float()
            each = nn.functional.cross_entropy(logits, wanted[some], reduction="none").double()
            np.add.at(found, places[where[some]], each.cpu().numpy())
    return found


def _pieces(order: np.ndarray, lengths: np.ndarray, most: int = ROWS) -> Iterator[np.ndarray]:
    """Yield rows in an order, as many at once as have at most `UNITS` units; at least one, at most `most`."""
    start = 0
    while start < len(order):
        widest = np.maximum.accumulate(lengths[order[start : start + most]] + 2)
        fitting = int(np.count_nonzero(widest * np.arange(1, len(widest) + 1) <= UNITS))
        yield order[start : start + max(fitting, 1)]
        start += max(fitting, 1)


def translate(
    networks: Sequence[TranslateNetwork],
    data: Translations,
    section: TranslateData,
    part: Part,
    rows: np.ndarray,
    *,
    attention: bool = False,
    device: str = "cpu",
) -> list[Translated]:
    """Translate some sentences of a part as the part is judged: validation greedily, test by beam search."""
    beam = section.beam_size if part == "test" else 1
    sources, exponent = data.numbered.parts[part].sources, section.length_penalty if part == "test" else 0.0
    return translated(networks, sources, data.facts, rows, beam, exponent, attention=attention, device=device)


def translated(
    networks: Sequence[TranslateNetwork],
    sources: Numbered,
    facts: TranslateFacts,
    rows: np.ndarray,
    beam: int,
    exponent: float,
    *,
    attention: bool = False,
    device: str = "cpu",
) -> list[Translated]:
    """Translate some sentences; those of about one length together. The result is in the order of `rows`."""
    found: dict[int, Translated] = {}
    lengths = sources.lengths
    limits = limit(lengths, facts)
    order = rows[np.argsort(lengths[rows], kind="stable")]
    most = max(min(ROWS, SCORES // (beam * len(facts.target))), 1)
    for some in _pieces(order, beam * lengths, most):
        numbers, sizes = sources.batch(some, after=END)
        given = torch.from_numpy(numbers).to(device), torch.from_numpy(sizes).to(device), limits[some].tolist()
        made = search(networks, *given, MARKS, beam=beam, exponent=exponent, attention=attention)
        found |= zip(some.tolist(), made, strict=True)
    return [found[row] for row in rows.tolist()]


def limit(lengths: np.ndarray, facts: TranslateFacts) -> np.ndarray:
    """Return the most units of the translations of sources with so many units, by what the training part has."""
    by_source = np.ceil(facts.ratio * (lengths + 1)).astype(np.int64)
    return np.minimum(by_source, 2 * facts.longest_target) + SPARE


def subject(network: nn.Module, data: Translations, config: TrialConfig) -> Subject:
    """Return the network for probes: embedded sources of the validation part, with the scores of the first unit.

    The sentences are of one length: the one that most sentences have. The delay is that from the source's last unit.
    """
    assert isinstance(network, TranslateNetwork)
    lengths = data.numbered.parts["validation"].sources.lengths
    often = int(np.bincount(lengths).argmax())
    rows = np.flatnonzero(lengths == often)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, PROBED).round().astype(np.int64))]
    made = batched(data, "validation", rows)
    embedded = network.embedded(made.sources, 0).detach()
    targets = network.embedded(made.before, -1).detach()

    def outputs(inputs: Tensor, read: Tensor) -> Tensor:
        memory, begin = network.encode(inputs, torch.full((len(inputs),), inputs.shape[1]))
        return network.decode(read, begin, memory)[0]

    def loss(inputs: Tensor) -> float:
        logits = network.scores(outputs(inputs, targets)[made.inside])
        return nn.functional.cross_entropy(logits, made.after[made.inside]).item()

    return Subject(
        respond=lambda inputs: network.scores(outputs(inputs, targets[:1, :1].expand(len(inputs), -1, -1))[:, -1]),
        loss=loss,
        windows=embedded,
        columns=tuple(f"embedding {number}" for number in range(embedded.shape[2])),
        outputs=data.facts.target.symbols,
        trace=lambda inputs: trace(network.cell, inputs),
        unit=embedded.std(dim=(0, 1)).clamp(min=1e-6),
    )


def predict(
    networks: Sequence[nn.Module], config: TrialConfig, facts: TranslateFacts, path: Path | None
) -> TranslatedLines:
    """Translate a file line by line, by one network or by the mean of the probabilities of several.

    An empty line stays empty. A unit that the network does not know is read as unknown. Without a file, the first
    sentences of the test part of generated pairs are translated.

    Raises:
        BadInput: the file can't be read, or a line is longer than the section allows.
    """
    section = config.data_as(TranslateData)
    lines = files.sources(path, section) if path else generated(section).parts["test"].sources[:SHOWN]
    sources = Numbered.of(lines, facts.source)
    rows = np.array([row for row, line in enumerate(lines) if line.strip()], np.int64)
    made = [network.eval() for network in networks if isinstance(network, TranslateNetwork)]
    found = translated(made, sources, facts, rows, section.beam_size, section.length_penalty)
    by_row = dict(zip(rows.tolist(), found, strict=True))
    every = [by_row.get(row) for row in range(len(lines))]
    return TranslatedLines(
        tuple(lines),
        tuple(facts.target.decode(each.units) if each else "" for each in every),
        tuple(each.log_probability if each else None for each in every),
        tuple(each.score if each else None for each in every),
    )

"""Networks of the task `language_model`, which predict the next character or word from all before it.

Training reads the text in parallel streams, chunk by chunk. The hidden state is carried from chunk to chunk, the
gradient is not: back-propagation through time, truncated at the chunk's start (Williams & Peng, 1990; as in Zaremba,
Sutskever & Vinyals, 2014). The judged text and its context do not depend on the chunks.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lstm.config.language_model import TextData
from lstm.config.model import ModelConfig
from lstm.config.trial import TrialConfig
from lstm.data import language_model as language_data
from lstm.data.language_model import Text, TextFacts
from lstm.diagnostics.subject import Subject
from lstm.judging.items import Judgement
from lstm.judging.language_model import named
from lstm.judging.language_model import symbols as symbol_items
from lstm.nn import cells
from lstm.nn.gates import trace
from lstm.nn.networks import warm_up
from lstm.nn.own_cell import State, detached
from lstm.records.epoch import Judged
from lstm.records.errors import refused
from lstm.records.figures import Passage

PROBED = 32  # chunks
STREAMS = 16  # parallel streams in which a part is judged: many times faster than one stream
CONTEXT = 256  # symbols that each stream reads before its first judged symbol
PIECE = 2**22  # numbers of a layer at once while judging
PROMPT = 5_000  # most symbols that are read before a continuation
SHOWN = 400  # symbols of an example
IGNORED = -100  # the target of a step that is not judged, as torch's `ignore_index`


class LanguageNetwork(nn.Module):
    """A network that predicts the next symbol: an embedding, recurrent layers, and a linear head.

    The embedding is as wide as the layers. It equals weights on one-hot inputs.
    """

    def __init__(self, model: ModelConfig, symbols: int, lookback: int, code: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, model.hidden_size)
        self.cell = cells.build(model, model.hidden_size, lookback, code)
        self.head = nn.Linear(model.hidden_size, symbols)

    def forward(self, symbols: Tensor, state: State | None = None, warmup: int = 0) -> tuple[Tensor, State]:
        """Return the logits of the next symbols `(batch, time, symbol)` after symbols `(batch, time)`, and the state.

        The first `warmup` steps only build the state and have no logits.
        """
        inputs = self.embedding(symbols)
        if warmup:
            inputs, state = warm_up(self.cell, inputs, warmup)
        states, state = cells.run(self.cell, inputs, state)
        return self.head(states), state


def build(config: TrialConfig, facts: TextFacts) -> LanguageNetwork:
    """Build the network that a configuration describes. torch's generator draws the weights."""
    return LanguageNetwork(config.model, len(facts.targets), config.data_as(TextData).lookback, config.code)


class Chunk(NamedTuple):
    """The next steps of all streams."""

    inputs: np.ndarray  # (stream, step) int64
    targets: np.ndarray  # (stream, step) int64: the symbol after each input
    follows: bool  # whether this chunk directly follows the previous one, so that the state is carried


class Feed:
    """The chunks of parallel streams, loss and metrics for the trainer."""

    def __init__(self, data: Text, config: TrialConfig, device: str) -> None:
        self._data, self._device = data, device
        self._streams, self._steps = config.training.batch_size, config.data_as(TextData).lookback
        self._warmup = min(config.training.warmup_steps, self._steps - 1)  # a search may draw shorter chunks
        self._words = config.data_as(TextData).unit == "words"
        self._chunks = language_data.chunks(data, self._streams, self._steps)
        self._state: State | None = None
        self.items = self._chunks * self._streams
        hidden, symbols = config.model.hidden_size, data.inputs
        self.step_numbers = 2 * hidden + 4 * symbols  # embeddings; logits with their probabilities and gradients
        judged = max(self.judged("validation"), self.judged("test"))
        self.judged_steps = min(STREAMS * _piece(STREAMS, symbols, hidden), judged)

    def order(self, generator: np.random.Generator) -> Callable[[int], Chunk]:
        """Return a function that gives the chunk at a place in a pass. The start of the pass in the text is drawn.

        Only a chunk that is requested directly after the previous one continues its state. The trainer calls this
        method at the start of each epoch and of each pass. There the state is zero, whatever was trained before, so
        that a resumed training is equal to the bit.
        """
        length = self._chunks * self._steps  # of a stream
        begin = int(generator.integers(self._data.bounds("train")[1] - self._streams * length))
        starts = begin + length * np.arange(self._streams)[:, None]
        before = None

        def chunk(place: int) -> Chunk:
            nonlocal before
            follows, before = before is not None and place == before + 1, place
            symbols = self._data.ids[starts + place * self._steps + np.arange(self._steps + 1)].astype(np.int64)
            return Chunk(symbols[:, :-1], symbols[:, 1:], follows)

        return chunk

    def loss(self, network: nn.Module, batch: Chunk) -> tuple[Tensor, int]:
        """Return the mean cross-entropy in nats, and the number of symbols. The state is kept for the next chunk.

        If no state is carried, the steps of the warm-up build one without a loss.
        """
        inputs, targets = (torch.from_numpy(array).to(self._device) for array in batch[:2])
        warmup = 0 if batch.follows else self._warmup
        logits, state = network(inputs, self._state if batch.follows else None, warmup)
        self._state = detached(state)
        wanted = targets[:, warmup:]
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), wanted.flatten()), wanted.numel()

    @torch.no_grad()
    def measure(self, network: nn.Module, batch: Chunk) -> tuple[dict[str, float], int]:
        """Return the metrics of `evaluate` over a chunk, and the number of symbols.

        No state is carried to the chunk, because each network of a population would carry another one. The steps of the
        warm-up build a state.
        """
        inputs, targets = (torch.from_numpy(array).to(self._device) for array in batch[:2])
        logits, _ = network(inputs, None, self._warmup)
        wanted = targets[:, self._warmup :]
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), wanted.flatten())
        return named(float(loss), words=self._words), wanted.numel()

    def judged(self, part: Judged) -> int:
        """Return the number of symbols that a part is judged on, which is all of its symbols."""
        start, stop = self._data.bounds(part)
        return stop - start

    def evaluate(self, network: nn.Module, part: Judged, some: int | None = None) -> dict[str, float]:
        """Return the cross-entropy over a part in nats per symbol, and the metrics that follow from it.

        For any look-back and batch, a part is read in 16 streams with carried state. Each stream first reads the 256
        symbols before its own. With `some` symbols, which serve only to estimate the time, no symbols are read
        before. On 55,770 characters of Shakespeare, 16 streams gave 1.46835 nats, and one stream from a state of zero
        gave 1.46839.
        """
        assert isinstance(network, LanguageNetwork)
        network.eval()
        start, stop = self._data.bounds(part)
        if some is None:
            loss = cross_entropy(network, self._data.ids, start, stop)
        else:
            loss = cross_entropy(network, self._data.ids, start, min(start + some, stop), context=0)
        return named(loss, words=self._words)


def subject(network: nn.Module, data: Text, config: TrialConfig) -> Subject:
    """Return the network for probes: embedded chunks of the validation part, with the logits of the next symbol."""
    assert isinstance(network, LanguageNetwork)
    start, stop = data.bounds("validation")
    steps = min(config.data_as(TextData).lookback, stop - start - 1)
    chosen = np.linspace(start, stop - steps - 1, PROBED).round().astype(int)[:, None] + np.arange(steps + 1)
    symbols = torch.from_numpy(data.ids[chosen].astype(np.int64))
    embedded = network.embedding(symbols[:, :-1]).detach()

    def logits(inputs: Tensor) -> Tensor:
        answers: Tensor = network.head(cells.run(network.cell, inputs)[0])
        return answers

    return Subject(
        respond=lambda inputs: network.head(cells.run(network.cell, inputs)[0][:, -1]),
        loss=lambda inputs: nn.functional.cross_entropy(logits(inputs).flatten(0, 1), symbols[:, 1:].flatten()).item(),
        windows=embedded,
        columns=tuple(f"embedding {number}" for number in range(embedded.shape[2])),
        outputs=data.targets,
        trace=lambda inputs: trace(network.cell, inputs),
        unit=embedded.std(dim=(0, 1)).clamp(min=1e-6),
    )


def _piece(streams: int, symbols: int, hidden: int) -> int:
    """Return the number of steps of each stream that are judged at once."""
    return max(PIECE // (streams * max(symbols, 4 * hidden)), 1)


@torch.no_grad()
def cross_entropy(
    network: LanguageNetwork, ids: np.ndarray, start: int, stop: int, *, streams: int = STREAMS, context: int = CONTEXT
) -> float:
    """Return the mean of -ln p(symbol | symbols before it) over the symbols from `start` to `stop`, in nats.

    The text is read in equal streams with carried state. Each stream starts `context` symbols before its own first one.
    """
    total = torch.zeros((), dtype=torch.float64, device=next(network.parameters()).device)
    for logits, wanted, _ in _read(network, ids, start, stop, streams, context):
        total += nn.functional.cross_entropy(logits, wanted, reduction="sum").double()
    return float(total) / (stop - start)


@torch.no_grad()
def losses(network: LanguageNetwork, ids: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return -ln p(symbol | symbols before it) of each symbol from `start` to `stop`: (symbol,) float64, in nats.

    The text is read in the same streams as when a part is judged.
    """
    found = np.empty(stop - start)
    for logits, wanted, places in _read(network, ids, start, stop, STREAMS, CONTEXT):
        each = nn.functional.cross_entropy(logits, wanted, reduction="none").double().cpu().numpy()
        judged = (wanted != IGNORED).cpu().numpy()
        found[places[judged] - start] = each[judged]
    return found


def judge(network: nn.Module, data: Text, section: TextData, part: Judged, name: str) -> Judgement:
    """Judge a network on a part symbol by symbol, or in stretches if the part is long, under a name."""
    assert isinstance(network, LanguageNetwork)
    start, stop = data.bounds(part)
    return symbol_items(name, part, start, losses(network, data.ids, start, stop), section)


def _read(
    network: LanguageNetwork, ids: np.ndarray, start: int, stop: int, streams: int, context: int
) -> Iterator[tuple[Tensor, Tensor, np.ndarray]]:
    """Yield pieces: logits `(place, symbol)`, targets `(place,)` (IGNORED if not judged), and places in the text."""
    device = next(network.parameters()).device
    length = -(-(stop - start) // streams)
    own = start + length * np.arange(streams)[:, None]
    size = _piece(streams, network.head.out_features, network.head.in_features)
    state: State | None = None
    for first in range(-context, length, size):
        places = own + np.arange(first, min(first + size, length))
        counts = (places >= own) & (places < stop)
        inputs, targets = (ids[np.clip(at, 0, len(ids) - 1)].astype(np.int64) for at in (places - 1, places))
        logits, state = network(torch.from_numpy(inputs).to(device), state)
        wanted = torch.from_numpy(np.where(counts, targets, IGNORED)).to(device)
        yield logits.flatten(0, 1).float(), wanted.flatten(), places.flatten()


def examples(network: nn.Module, data: Text, config: TrialConfig) -> list[Passage]:
    """Return the network's continuation of the first symbols of the test part."""
    start = data.bounds("test")[0]
    prompt = data.ids[start : start + SHOWN].tolist()
    drawn = sample([network], prompt, steps=SHOWN, temperature=0.8, seed=config.training.seed)
    note = "The start of the test part, and the best trial's continuation, sampled at temperature 0.8."
    return [
        Passage(
            "A text, continued", note, language_data.decode(prompt, data.targets), _joined(prompt, drawn, data.targets)
        )
    ]


def predict(
    networks: Sequence[nn.Module],
    facts: TextFacts,
    path: str | None,
    folder: Path,
    *,
    steps: int = 500,
    temperature: float = 0.8,
    seed: int = 1,
) -> Passage:
    """Continue a file's text. The networks read at most the last 5,000 symbols of the text.

    Raises:
        BadInput: the file or the temperature is wrong.
    """
    assert path is not None
    if math.isnan(temperature):  # click's ranges let NaN through
        raise refused("temperature-outside-range", at="--temperature", temperature="nan")
    symbols = facts.targets
    prompt = language_data.encode(_end(folder / path), symbols)[-PROMPT:]
    if not prompt:
        raise refused("prompt-empty", at=folder / path)
    drawn = sample(networks, prompt, steps=steps, temperature=temperature, seed=seed)
    note = f"{steps} symbols at temperature {temperature:g}, seed {seed}"
    return Passage("A text, continued", note, language_data.decode(prompt, symbols), _joined(prompt, drawn, symbols))


def _end(path: Path) -> str:
    """Return the end of a file's text. Two blocks always contain more symbols than are read."""
    last = ["", ""]
    for block in language_data.blocks(path):
        last = [last[1], block]
    return "".join(last)


def _joined(prompt: Sequence[int], drawn: Sequence[int], symbols: Sequence[str]) -> str:
    """Return the text after the prompt, with a space before a word and none before a punctuation mark."""
    return language_data.decode([*prompt[-1:], *drawn], symbols)[len(language_data.decode(prompt[-1:], symbols)) :]


@torch.no_grad()
def sample(
    networks: Sequence[nn.Module], prompt: Sequence[int], *, steps: int, temperature: float, seed: int
) -> list[int]:
    """Draw symbols after a prompt from softmax(logits / temperature). Temperature 0 takes the likeliest symbol.

    The logits of several networks are the logarithm of their mean probabilities.
    """
    generator = torch.Generator().manual_seed(seed)
    symbol, states = torch.tensor([prompt[-1:]]), list[State | None]()
    for network in networks:
        assert isinstance(network, LanguageNetwork)
        network.eval()
        read = len(prompt) > 1
        states.append(cells.run(network.cell, network.embedding(torch.tensor([prompt[:-1]])))[1] if read else None)
    return list(_drawn(networks, symbol, states, steps, temperature, generator))


def _drawn(
    networks: Sequence[nn.Module],
    symbol: Tensor,
    states: Sequence[State | None],
    steps: int,
    temperature: float,
    generator: torch.Generator,
) -> Iterator[int]:
    for _ in range(steps):
        answers = [network(symbol, state) for network, state in zip(networks, states, strict=True)]
        states, logits = [state for _, state in answers], [each[0, -1].double() for each, _ in answers]
        scores = logits[0]
        if len(logits) > 1:
            scores = torch.stack([each.log_softmax(dim=0) for each in logits]).logsumexp(dim=0) - math.log(len(logits))
        if temperature:
            # The largest score is subtracted first, because quotients overflow at temperatures near 0.
            chances = torch.softmax((scores - scores.max()) / temperature, dim=0)
            symbol = torch.multinomial(chances, 1, generator=generator)[None]
        else:
            symbol = scores.argmax()[None, None]
        yield int(symbol)

"""The network of the task `translate`: an encoder, a decoder, attention between them, and scores of the units."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lstm.config.translate import TranslateModel
from lstm.nn import cells
from lstm.nn.own_cell import State
from lstm.nn.translate.attention import Attention, Memory

SPREAD = 0.1  # of the initial embeddings, as in OpenNMT and in Luong et al. (2015)


class Decoding(NamedTuple):
    """Where the decoder stands after a step."""

    state: State
    fed: Tensor  # (batch, size): the last output, which the next step reads with input feeding

    def at(self, rows: Tensor) -> "Decoding":
        """Return it for some of the sentences, in the order of `rows`; a row may occur several times."""
        state = self.state[:, rows] if isinstance(self.state, Tensor) else tuple(part[:, rows] for part in self.state)
        return Decoding(state, self.fed[rows])


class TranslateNetwork(nn.Module):
    """An encoder-decoder with attention (Luong et al., 2015, section 3).

    The encoder reads the source; a bidirectional one has half of `hidden_size` in each direction, rounded up. The
    decoder has `hidden_size` units. Its state begins as the encoder's last one, mapped by a linear layer for each of
    hidden state and cell. A step's output is tanh(W [state, what attention has read]), and the scores of the units are
    a linear map of the output.
    """

    def __init__(self, model: TranslateModel, sources: int, targets: int, *, shared: bool) -> None:
        super().__init__()
        self.model, hidden = model, model.hidden_size
        size = model.embedding_size or hidden
        numbers = [sources] if shared else [sources, targets]
        self.embeddings = nn.ModuleList(nn.Embedding(count, size) for count in numbers)
        each = -(-hidden // 2) if model.bidirectional else hidden
        width = (1 + model.bidirectional) * each
        self.cell = cells.build(model.model_copy(update={"hidden_size": each}), size, 1)
        self.output_size = size if model.tied_embeddings else hidden
        fed = self.output_size if model.input_feeding else 0
        self.decoder = cells.build(model.model_copy(update={"bidirectional": False}), size + fed, 1)
        self.bridges = nn.ModuleList(nn.Linear(width, hidden) for _ in range(2 if model.cell == "lstm" else 1))
        self.attention = None if model.attention == "none" else Attention(model.attention, hidden, width)
        self.combine = nn.Linear(hidden + (width if self.attention else 0), self.output_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(targets))
        self.weight = None if model.tied_embeddings else nn.Parameter(torch.empty(targets, self.output_size))
        for drawn in (*self.embeddings.parameters(), *([] if self.weight is None else [self.weight])):
            nn.init.uniform_(drawn, -SPREAD, SPREAD)

    @property
    def scoring(self) -> tuple[Tensor, Tensor]:
        """The weight `(unit, size)` and the bias `(unit,)` of the units' scores."""
        return next(self.embeddings[-1].parameters()) if self.weight is None else self.weight, self.bias

    def embedded(self, units: Tensor, side: int) -> Tensor:
        """Return the embeddings of units of the source (side 0) or the target (side -1), with dropout in training."""
        found: Tensor = nn.functional.dropout(self.embeddings[side](units), self.model.embedding_dropout, self.training)
        return found

    def encode(self, sources: Tensor, lengths: Tensor) -> tuple[Memory, Decoding]:
        """Read sources `(batch, step, size)`, embedded, and return the memory and where the decoder begins.

        Steps beyond a sentence's length, `(batch,)`, change nothing.
        """
        same = bool((lengths == sources.shape[1]).all())
        # Without filling, torch.nn takes its faster way, and the values are the same.
        states, end = cells.run(self.cell, sources, None, None if same else lengths)
        mask = None if same else torch.arange(sources.shape[1], device=sources.device) < lengths.unsqueeze(1)
        memory = self.attention.memory(states, mask) if self.attention else Memory(states, states, mask)
        parts = (end,) if isinstance(end, Tensor) else end
        found = [self._bridged(bridge, part) for bridge, part in zip(self.bridges, parts, strict=False)]
        begin: State = tuple(found) if self.model.cell == "lstm" else found[0]
        return memory, Decoding(begin, sources.new_zeros(len(sources), self.output_size))

    def _bridged(self, bridge: nn.Module, part: Tensor) -> Tensor:
        """Return a part of the encoder's state `(layer * direction, batch, each)` as `(layer, batch, hidden)`."""
        layers, directions = self.model.num_layers, 1 + self.model.bidirectional
        by_layer = part.view(layers, directions, *part.shape[1:]).transpose(1, 2).flatten(2)
        found: Tensor = bridge(by_layer)
        return found.contiguous()

    def decode(self, targets: Tensor, begin: Decoding, memory: Memory) -> tuple[Tensor, Decoding, Tensor | None]:
        """Return the outputs `(batch, step, size)` after targets `(batch, step, size)`, embedded.

        Also where the decoder stands then, and the weights of attention, `(batch, step, source step)`.
        """
        if not self.model.input_feeding:
            states, end = cells.run(self.decoder, targets, begin.state)
            outputs, weights = self._read(states, memory)
            return outputs, Decoding(end, outputs[:, -1]), weights
        found, seen = list[Tensor](), list[Tensor]()
        for step in targets.unbind(1):
            states, state = cells.run(self.decoder, torch.cat([step, begin.fed], dim=1).unsqueeze(1), begin.state)
            output, weights = self._read(states, memory)
            begin = Decoding(state, output[:, 0])
            found.append(output)
            seen.extend([] if weights is None else [weights])
        return torch.cat(found, dim=1), begin, torch.cat(seen, dim=1) if seen else None

    def _read(self, states: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Return the outputs of the decoder's states, with dropout in training, and the weights of attention."""
        weights = None
        if self.attention is not None:
            context, weights = self.attention(states, memory)
            states = torch.cat([states, context], dim=-1)
        return nn.functional.dropout(
            torch.tanh(self.combine(states)), self.model.embedding_dropout, self.training
        ), weights

    def scores(self, outputs: Tensor) -> Tensor:
        """Return the logits of the units for outputs."""
        return nn.functional.linear(outputs, *self.scoring)

    def forward(self, sources: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the outputs `(batch, step, size)` for sources and targets as numbers, both `(batch, step)`."""
        memory, begin = self.encode(self.embedded(sources, 0), lengths)
        outputs: Tensor = self.decode(self.embedded(targets, -1), begin, memory)[0]
        return outputs

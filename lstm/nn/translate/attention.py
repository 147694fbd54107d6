"""Attention: what of the encoder's states a step of the decoder reads."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """The encoder's states of a batch of sentences, and what attention computes of them once."""

    states: Tensor  # (batch, source step, width)
    keys: Tensor  # (batch, source step, size): what a query is compared with
    mask: Tensor | None  # (batch, source step), True at the steps of the sentence; None if no sentence is filled up

    def at(self, rows: Tensor) -> "Memory":
        """Return the memory of some of the sentences, in the order of `rows`; a row may occur several times."""
        return Memory(self.states[rows], self.keys[rows], None if self.mask is None else self.mask[rows])


class Attention(nn.Module):
    """Global attention over the encoder's states.

    The score of a state s for a query q is q·s (dot), q·Ws (general; both Luong et al., 2015, equation 8) or
    v·tanh(Uq + Ws) (additive; Bahdanau et al., 2015, appendix A.1.2). The weights are the softmax of the scores.

    With dot, a state that is wider than the query is compared by its first values only.
    """

    def __init__(self, kind: Literal["dot", "general", "additive"], query: int, width: int) -> None:
        super().__init__()
        self.kind, self.query_size = kind, query
        if kind != "dot":
            self.of_state = nn.Linear(width, query, bias=False)
        if kind == "additive":
            self.of_query = nn.Linear(query, query)
            self.score = nn.Linear(query, 1, bias=False)

    def memory(self, states: Tensor, mask: Tensor | None) -> Memory:
        """Return what `forward` reads, for states `(batch, source step, width)`."""
        keys = states[..., : self.query_size] if self.kind == "dot" else self.of_state(states)
        return Memory(states, keys, mask)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return what was read `(batch, step, width)` and the weights `(batch, step, source step)`.

        Args:
            queries: The decoder's states, `(batch, step, size)`.
            memory: That of the encoder's states.
        """
        if self.kind == "additive":
            both = self.of_query(queries).unsqueeze(2) + memory.keys.unsqueeze(1)
            scores = self.score(torch.tanh(both)).squeeze(-1)
        else:
            scores = queries @ memory.keys.transpose(1, 2)
        if memory.mask is not None:
            scores = scores.masked_fill(~memory.mask.unsqueeze(1), -torch.inf)
        weights = scores.softmax(dim=-1)
        return weights @ memory.states, weights

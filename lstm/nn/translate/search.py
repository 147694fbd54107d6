"""Beam search: the likeliest translations of sentences, by one network or by several together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lstm.nn.translate.attention import Memory
from lstm.nn.translate.encoder_decoder import Decoding, TranslateNetwork


@dataclass(frozen=True)
class Marks:
    """Numbers of units that the search must know."""

    begin: int
    end: int
    never: tuple[int, ...]  # those that no translation has


@dataclass(frozen=True)
class Translated:
    """A translation: its units without the end, and how likely it is."""

    units: tuple[int, ...]
    log_probability: float  # in nats, with the end
    score: float  # the logarithm divided by the length penalty, by which translations are compared
    attention: tuple[tuple[float, ...], ...] = ()  # for each unit and the end, the weight of each unit of the source


def penalty(length: int, exponent: float) -> float:
    """Return ((5 + length) / 6) ** exponent (Wu et al., 2016, equation 14)."""
    return float(((5 + length) / 6) ** exponent)


@torch.no_grad()
def search(
    networks: Sequence[TranslateNetwork],
    sources: Tensor,
    lengths: Tensor,
    limits: Sequence[int],
    marks: Marks,
    *,
    beam: int = 1,
    exponent: float = 0.0,
    attention: bool = False,
) -> list[Translated]:
    """Return the best translation that the search finds for each sentence. With a beam of 1 the search is greedy.

    At each step the `beam` likeliest beginnings go on. Of the likeliest `beam` continuations, those that end are
    translations. A sentence is done when it has `beam` of them, or when none that goes on can have a better score.

    Args:
        networks: In evaluation mode. Several answer by the mean of their probabilities.
        sources: Numbers of units with the end, `(sentence, step)`, filled up with any.
        lengths: Units of each sentence with the end, `(sentence,)`.
        limits: Most units of each sentence's translation. If none has ended by then, the likeliest is cut there.
        marks: The numbers of begin and end, and of units that no translation has.
        beam: How many beginnings are kept.
        exponent: That of the length penalty.
        attention: Whether the weights of attention are kept, those of the first network.
    """
    return _Search(networks, sources, lengths, limits, marks, beam, exponent, keeps=attention).run()


class _Search:
    """The sentences that are not done, each with `beam` beginnings."""

    def __init__(
        self,
        networks: Sequence[TranslateNetwork],
        sources: Tensor,
        lengths: Tensor,
        limits: Sequence[int],
        marks: Marks,
        beam: int,
        exponent: float,
        *,
        keeps: bool,
    ) -> None:
        self._networks, self._limits, self._marks = networks, limits, marks
        self._beam, self._exponent, self._keeps = beam, exponent, keeps
        self._lengths = lengths.tolist()
        self._ended: list[list[Translated]] = [[] for _ in self._lengths]
        self._left = list(range(len(self._lengths)))  # the sentences that are not done
        rows = torch.arange(len(self._left), device=sources.device).repeat_interleave(beam)
        self._stands: list[tuple[Memory, Decoding]] = []
        for network in networks:
            memory, begin = network.encode(network.embedded(sources, 0), lengths)
            self._stands.append((memory.at(rows), begin.at(rows)))
        self._units = torch.full((len(rows), 1), marks.begin, device=sources.device)
        self._sums = torch.full((len(self._left), beam), -math.inf, dtype=torch.float64, device=sources.device)
        self._sums[:, 0] = 0.0  # all beginnings are the same at first, so only one counts
        self._seen: list[Tensor] = []  # weights of attention so far, each (row, source step)

    def run(self) -> list[Translated]:
        """Go on until every sentence is done."""
        while self._left:
            chances = self._step()
            count, units = len(self._left), chances.shape[-1]
            every = (self._sums.unsqueeze(-1) + chances.view(count, self._beam, units)).flatten(1)
            sums, places = every.topk(min(2 * self._beam, every.shape[1]), dim=1)
            self._choose(sums, places // units, places % units)
        return [max(each, key=lambda one: one.score) for each in self._ended]

    def _step(self) -> Tensor:
        """Return ln p of the next unit for each row, `(row, unit)` float64."""
        found, seen = [], None
        for place, network in enumerate(self._networks):
            memory, stands = self._stands[place]
            outputs, after, weights = network.decode(network.embedded(self._units[:, -1:], -1), stands, memory)
            self._stands[place] = (memory, after)
            found.append(network.scores(outputs[:, 0]).double().log_softmax(dim=-1))
            seen = weights if seen is None else seen
        if seen is not None and self._keeps:
            self._seen.append(seen[:, 0])
        chances = found[0] if len(found) == 1 else torch.stack(found).logsumexp(dim=0) - math.log(len(found))
        chances[:, list(self._marks.never)] = -math.inf
        return chances

    def _choose(self, sums: Tensor, origins: Tensor, units: Tensor) -> None:
        """Keep the translations that have ended, and the beginnings that go on, `(sentence, candidate)` each."""
        is_end = units == self._marks.end
        # The first candidates that do not end go on; a stable sort keeps their order.
        going = is_end.int().argsort(dim=1, stable=True)[:, : self._beam]
        length, left, kept = self._units.shape[1], list[int](), list[int]()  # of the translations, with their end
        tops, ends = sums[:, : self._beam].tolist(), is_end[:, : self._beam].tolist()
        next_best = sums.gather(1, going)[:, 0].tolist()
        for place, sentence in enumerate(self._left):
            for candidate, (total, ended) in enumerate(zip(tops[place], ends[place], strict=True)):
                if ended and total > -math.inf:
                    self._end(place, sentence, int(origins[place, candidate]), total)
            if not self._is_done(sentence, length, next_best[place]):
                left.append(sentence)
                kept.append(place)
            elif not self._ended[sentence]:  # it has come to its limit
                first = int(going[place, 0])
                self._cut(place, sentence, int(origins[place, first]), int(units[place, first]), next_best[place])
        self._go_on(left, torch.tensor(kept, dtype=torch.long, device=sums.device), sums, origins, units, going)

    def _is_done(self, sentence: int, length: int, best: float) -> bool:
        """Return whether no beginning needs to go on; `best` is ln p of the likeliest one, of `length` units."""
        ended, limit = self._ended[sentence], self._limits[sentence]
        if len(ended) >= self._beam or length >= limit or best == -math.inf:
            return True
        # A beginning only becomes less likely, and the largest penalty is that of the longest translation.
        most = best / penalty(limit + 1, self._exponent)
        return bool(ended) and most <= max(each.score for each in ended)

    def _end(self, place: int, sentence: int, origin: int, total: float) -> None:
        row = place * self._beam + origin
        units = tuple(self._units[row, 1:].tolist())
        score = total / penalty(len(units) + 1, self._exponent)
        self._ended[sentence].append(Translated(units, total, score, self._attention(row, sentence)))

    def _cut(self, place: int, sentence: int, origin: int, unit: int, total: float) -> None:
        row = place * self._beam + origin
        units = (*self._units[row, 1:].tolist(), *([unit] if total > -math.inf else []))
        score = total / penalty(len(units), self._exponent)
        self._ended[sentence].append(Translated(units, total, score, self._attention(row, sentence)))

    def _attention(self, row: int, sentence: int) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(each[row, : self._lengths[sentence]].tolist()) for each in self._seen)

    def _go_on(
        self, left: list[int], kept: Tensor, sums: Tensor, origins: Tensor, units: Tensor, going: Tensor
    ) -> None:
        """Keep the rows of the beginnings that go on, each with its next unit."""
        self._left = left
        if not left:
            return
        chosen = going[kept]
        self._sums = sums[kept].gather(1, chosen)
        rows = (kept.unsqueeze(1) * self._beam + origins[kept].gather(1, chosen)).flatten()
        following = units[kept].gather(1, chosen).flatten()
        self._units = torch.cat([self._units[rows], following.unsqueeze(1)], dim=1)
        self._stands = [(memory.at(rows), stands.at(rows)) for memory, stands in self._stands]
        self._seen = [each[rows] for each in self._seen]

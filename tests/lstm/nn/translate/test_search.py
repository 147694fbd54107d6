import numpy as np
import pytest
import torch
from translation import Reference

from lstm.config.translate import TranslateModel
from lstm.nn.translate.encoder_decoder import TranslateNetwork
from lstm.nn.translate.search import Marks, penalty, search

MARKS = Marks(2, 3, (0, 1, 2))
SOURCES = [[4, 5, 6, 7, 3], [8, 3], [9, 4, 3], [3], [10, 11, 4, 3]]


def network(seed=1, **settings):
    torch.manual_seed(seed)
    made = TranslateNetwork(TranslateModel(hidden_size=6, **settings), 12, 12, shared=False).double().eval()
    for weight in made.parameters():  # larger ones, so that the sentences have translations of their own
        torch.nn.init.uniform_(weight, -1.5, 1.5)
    return made


def batch(rows):
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows]), torch.tensor([len(row) for row in rows])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("beam", "exponent"), [(1, 0.0), (2, 0.0), (3, 1.0), (5, 0.6)])
def test_it_is_the_search_sentence_by_sentence(seed, beam, exponent):
    settings = [{"input_feeding": True}, {"cell": "gru", "attention": "additive"}, {"num_layers": 2}][seed % 3]
    made, limits = network(seed, **settings), [4, 7, 3, 5, 9]
    found = search([made], *batch(SOURCES), limits, MARKS, beam=beam, exponent=exponent, attention=True)
    reference = Reference(made)
    for each, source, limit in zip(found, SOURCES, limits, strict=True):
        units, total, score, seen = reference.beam(source, limit, MARKS, beam, exponent)
        assert each.units == units
        assert (each.log_probability, each.score) == (pytest.approx(total), pytest.approx(score))
        np.testing.assert_allclose(each.attention, seen, rtol=1e-6, atol=1e-12)


def test_a_beam_of_one_takes_the_likeliest_unit_at_each_step():
    made = network(4)
    found = search([made], *batch(SOURCES[:1]), [6], MARKS)[0]
    memory, stands = made.encode(made.embedded(batch(SOURCES[:1])[0], 0), torch.tensor([5]))
    unit, units = MARKS.begin, []
    while len(units) < 6 and unit != MARKS.end:
        outputs, stands, _ = made.decode(made.embedded(torch.tensor([[unit]]), -1), stands, memory)
        scores = made.scores(outputs)[0, 0]
        scores[list(MARKS.never)] = -torch.inf
        unit = int(scores.argmax())
        units.append(unit)
    assert [*found.units, MARKS.end][: len(units)] == units


def test_a_wider_beam_finds_no_worse_translation():
    made = network(2)
    scores = [[each.score for each in search([made], *batch(SOURCES), [6] * 5, MARKS, beam=beam)] for beam in (1, 30)]
    assert all(wide >= narrow - 1e-12 for narrow, wide in zip(*scores, strict=True))


def test_two_networks_answer_by_the_mean_of_their_probabilities():
    one, two = network(1), network(2)
    same = search([one, one], *batch(SOURCES), [5] * 5, MARKS, beam=2)
    alone = search([one], *batch(SOURCES), [5] * 5, MARKS, beam=2)
    assert [each.units for each in same] == [each.units for each in alone]
    both = search([one, two], *batch(SOURCES[:1]), [1], MARKS)[0]
    (first, second) = (Reference(each).begin(SOURCES[0]) for each in (one, two))
    chances = [
        np.exp(Reference(made).step(MARKS.begin, states, fed, memory)[0])
        for made, (memory, states, fed) in ((one, first), (two, second))
    ]
    mean = np.log((chances[0] + chances[1]) / 2)[3:]
    assert both.log_probability == pytest.approx(mean.max())


def test_a_network_that_has_diverged_is_searched_to_the_limit():
    made = network()
    torch.nn.init.constant_(made.bias, torch.nan)
    for beam in (1, 3):
        assert len(search([made], *batch(SOURCES), [4] * 5, MARKS, beam=beam)) == 5


def test_the_penalty_is_that_of_the_paper():
    assert penalty(1, 0.7) == 1
    assert penalty(7, 1.0) == 2
    assert penalty(7, 0.0) == 1

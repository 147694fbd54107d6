import itertools

import numpy as np
import pytest
import torch
from translation import Reference

from lstm.config.translate import TranslateModel
from lstm.nn.translate.encoder_decoder import TranslateNetwork

SOURCES = [[4, 5, 6, 7, 3], [8, 3], [9, 4, 3]]
TARGETS = [[2, 4, 5, 3], [2, 6, 3], [2, 7, 8, 9, 4, 3]]


def network(shared=False, **settings):
    torch.manual_seed(1)
    model = TranslateModel(**{"hidden_size": 6, "embedding_size": 5} | settings)
    return TranslateNetwork(model, 10, 10, shared=shared).double().eval()


def filled(rows, with_what=0):
    longest = max(map(len, rows))
    lengths = torch.tensor([len(row) for row in rows])
    return torch.tensor([[*row, *[with_what] * (longest - len(row))] for row in rows]), lengths


def log_probabilities(made, sources, targets, with_what=0):
    """Those of each unit of the targets, for all sentences in one batch that is filled up."""
    outputs = made(*filled(sources, with_what), filled([each[:-1] for each in targets], with_what)[0])
    chances = made.scores(outputs).log_softmax(dim=-1)
    return [chances[n, torch.arange(len(each) - 1), each[1:]] for n, each in enumerate(targets)]


MODELS = [
    {"cell": cell, "attention": attention, "input_feeding": feeding}
    for cell, attention, feeding in itertools.product(["lstm", "gru"], ["dot", "general", "additive"], [False, True])
]
MODELS += [
    {"attention": "none"},
    {"attention": "dot", "hidden_size": 5},  # in each direction it is rounded up
    {"num_layers": 2, "bidirectional": False},
    {"num_layers": 2, "tied_embeddings": True, "input_feeding": True},
    {"tied_embeddings": True, "shared": True},
]


@pytest.mark.parametrize("settings", MODELS, ids=str)
def test_it_is_the_equations_step_by_step(settings):
    made = network(**settings)
    reference = Reference(made)
    for found, source, target in zip(log_probabilities(made, SOURCES, TARGETS), SOURCES, TARGETS, strict=True):
        np.testing.assert_allclose(found.detach(), reference.log_probabilities(source, target), rtol=1e-9)


@pytest.mark.parametrize("settings", [*MODELS, {"cell": "rnn"}, {"variant": "vanilla"}], ids=str)
def test_a_batch_has_the_values_and_gradients_of_its_sentences_one_by_one(settings):
    together, alone = network(**settings), network(**settings)
    every = torch.cat(log_probabilities(together, SOURCES, TARGETS, with_what=9))
    every.sum().backward()
    single = [log_probabilities(alone, [s], [t])[0] for s, t in zip(SOURCES, TARGETS, strict=True)]
    torch.cat(single).sum().backward()
    torch.testing.assert_close(every, torch.cat(single))
    for (name, one), other in zip(together.named_parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=lambda text, name=name: f"{name}: {text}")


def test_dropout_acts_in_training_only():
    made = network(embedding_dropout=0.5)
    one, two = (torch.cat(log_probabilities(made, SOURCES, TARGETS)) for _ in range(2))
    torch.testing.assert_close(one, two)
    made.train()
    assert (torch.cat(log_probabilities(made, SOURCES, TARGETS)) != one).any()


def test_tied_weights_are_learnt_once():
    separate, tied, both = network(), network(tied_embeddings=True), network(tied_embeddings=True, shared=True)
    assert separate.scoring[0] is separate.weight
    assert tied.scoring[0] is tied.embeddings[1].weight
    assert both.scoring[0] is both.embeddings[0].weight
    assert both.scoring[0].grad is None
    torch.cat(log_probabilities(both, SOURCES, TARGETS)).sum().backward()
    assert both.scoring[0].grad.abs().sum(dim=1).min() > 0  # also of units that no sentence has: they were scored

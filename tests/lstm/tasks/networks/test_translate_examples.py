"""What the report shows of a translating network, without training one."""

import numpy as np
import pytest
import torch
from sacrebleu.metrics.bleu import BLEU

from lstm.config.translate import PairFiles, TranslateData
from lstm.config.trial import TrialConfig
from lstm.data.pairs.pairs import Pairs
from lstm.data.translate import load
from lstm.records.figures import Beside, Curve, HeatMap
from lstm.tasks.networks import translate_examples
from lstm.tasks.networks.translate import build, judge

DATA = {"generate": "dates", "sizes": {"train": 60, "validation": 10, "test": 60}, "units": "characters"}


@pytest.fixture(scope="module", params=["general", "none"])
def shown(request):
    config = TrialConfig.model_validate(
        {"task": "translate", "data": DATA, "model": {"hidden_size": 8, "attention": request.param}}
    )
    data = load(config.data_as(TranslateData), PairFiles())
    torch.manual_seed(0)
    network = build(config, data.facts).eval()
    return request.param, network, data, config, translate_examples.examples(network, data, config)


def test_translations_stand_beside_sources_and_references(shown):
    _, network, data, config, found = shown
    (texts,) = [each for each in found if isinstance(each, Beside)]
    test = data.parts["test"]
    rows = np.unique(np.linspace(0, 59, 12).round().astype(int)).tolist()
    assert [row[:2] for row in texts.rows] == [(test.sources[row], test.targets[row]) for row in rows]
    assert all(len(row) == len(texts.heads) for row in texts.rows)
    assert "BLEU nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp" in texts.note
    assert "chrF nrefs:1|case:mixed|eff:yes|nc:6|nw:0" in texts.note
    # They are those that are judged.
    judged = judge(network, data, config.data_as(TranslateData), "test", "a").items
    equal = [row[3] == "equal" for row in texts.rows]
    assert equal == [bool(judged.sums["exact_match"][row, 0]) for row in rows]


def test_attention_has_a_row_for_each_unit_and_sums_to_one(shown):
    kind, _, _, _, found = shown
    maps = [each for each in found if isinstance(each, HeatMap)]
    assert len(maps) == (3 if kind == "general" else 0)
    for each in maps:
        source = each.title.removeprefix("Attention: ")
        assert len(each.x) == len(source) + 1
        assert len(each.values) == len(each.y)
        assert np.array(each.values).sum(axis=1) == pytest.approx(1, abs=0.005 * len(each.x))


def test_bleu_by_length_is_sacrebleus_of_each_group_and_has_its_signature():
    draw, sizes = np.random.default_rng(0), np.tile([4, 9, 9], 40)
    targets = [" ".join(draw.choice(["a", "b", "c", "d"], size)) for size in sizes]
    answers = [each.replace("a", "b", 1) for each in targets]
    curve = translate_examples.by_length(Pairs(targets, targets), answers, TranslateData(lowercase=True))
    assert isinstance(curve, Curve)
    assert "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp" in curve.note
    assert curve.x == (4, 9)
    for place, size in enumerate(curve.x):
        chosen = np.flatnonzero(sizes == size).tolist()
        wanted = BLEU().corpus_score([answers[n] for n in chosen], [[targets[n] for n in chosen]]).score
        assert curve.series["BLEU"][place] == pytest.approx(wanted)
    few = Pairs(targets[:30], targets[:30])
    assert translate_examples.by_length(few, answers[:30], TranslateData()) is None

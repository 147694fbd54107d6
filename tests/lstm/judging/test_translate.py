import json
import math
import subprocess
import sys

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lstm.config.translate import TranslateData
from lstm.judging import corpus
from lstm.judging.translate import Answers, Likelihoods, answered, metrics, sentences, signatures, statistics

REFERENCES = [
    "A man in an orange hat, starring at something.",
    "The girl (in a karate uniform) isn't breaking 2,5 sticks!",
    "Straße und Übermut \u2013 «ja»",
    "one",
    "I",
    "the the the cat",
    "你好 世界 。",
]
ANSWERS = [
    "a Man in an orange hat staring at something .",
    "The girl in a karate uniform is breaking a stick with a kick!",
    "STRASSE und übermut - ja, ja, ja und ja",
    "one",
    "",
    "the cat the the the",
    "你好 , 世界 。",
]


def told_by_the_command(tmp_path, answers, references, *flags):
    """What sacrebleu's own command prints, in JSON: by metric its score and its signature."""
    hypotheses, wanted = tmp_path / "answers", tmp_path / "references"
    hypotheses.write_text("".join(f"{line}\n" for line in answers))
    wanted.write_text("".join(f"{line}\n" for line in references))
    command = [sys.executable, "-m", "sacrebleu", str(wanted), "-i", str(hypotheses), "-m", "bleu", "chrf", *flags]
    told = subprocess.run([*command, "-w", "9", "-f", "json"], check=True, capture_output=True, text=True).stdout
    return {each["name"].lower().removesuffix("2"): each for each in json.loads(told)}


@pytest.mark.parametrize("lowercase", [True, pytest.param(False, marks=pytest.mark.faults)])
def test_bleu_chrf_and_their_signatures_are_those_of_sacrebleus_command(tmp_path, lowercase):
    flags = ["-lc", "--chrf-lowercase"] if lowercase else []
    told = told_by_the_command(tmp_path, ANSWERS, REFERENCES, *flags)
    found = metrics(ANSWERS, REFERENCES, lowercase=lowercase)
    assert {name: found[name] for name in told} == {name: pytest.approx(each["score"]) for name, each in told.items()}
    assert signatures(lowercase=lowercase) == {name: each["signature"] for name, each in told.items()}


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("chosen", [[0, 1], [2, 3, 4], [3], [4], [5, 6]], ids=["two", "few", "one", "none", "others"])
def test_bleu_and_chrf_of_few_sentences_are_sacrebleus(chosen, lowercase):
    answers, references = [ANSWERS[n] for n in chosen], [REFERENCES[n] for n in chosen]
    found = metrics(answers, references, lowercase=lowercase)
    for name, metric in (("bleu", BLEU(lowercase=lowercase)), ("chrf", CHRF(lowercase=lowercase))):
        assert found[name] == pytest.approx(metric.corpus_score(answers, [references]).score, abs=1e-9)


def test_sums_of_many_selections_are_computed_at_once():
    found = statistics(ANSWERS, REFERENCES, lowercase=False)
    chosen = [[0, 1, 2], [6, 6, 4], [4, 4, 4]]
    for metric, sums in found.items():
        at_once = corpus.rule(metric)(np.stack([sums[each].sum(axis=0) for each in chosen]))
        for number, each in enumerate(chosen):
            one = metrics([ANSWERS[n] for n in each], [REFERENCES[n] for n in each])
            assert at_once[number] == pytest.approx(one[metric]), metric


def test_a_part_is_judged_by_all_its_sentences_and_by_those_that_are_translated():
    nats, units = np.array([4.0, 2.0, 6.0]), np.array([3, 2, 5])
    references = ["Ab c", "d", "EFGH"]
    answers = Answers(np.array([0, 2]), ["Ab c", "efgh"])
    found = sentences("trial 3", "validation", references, answers, Likelihoods(nats, units, np.array([0.0, 1.0, 0.0])))
    assert found.metrics["loss"] == pytest.approx(12 / 10)
    assert found.metrics["character_nats"] == pytest.approx(13 / (5 + 2 + 5))  # spelling what the units lack counts
    assert found.metrics["exact_match"] == pytest.approx(1 / 2)  # of two, not of three
    assert found.metrics == {name: found.items.mean(name) for name in found.metrics}
    both = metrics(["Ab c", "efgh"], ["Ab c", "EFGH"])
    assert {name: found.metrics[name] for name in both} == pytest.approx(both)
    assert sentences("a", "test", references, answers, lowercase=True).metrics["exact_match"] == 1


def test_a_rival_without_probabilities_has_no_loss():
    found = sentences("copy", "test", ["a b", "c"], Answers(np.arange(2), ["a b", "d"]))
    assert set(found.metrics) == {"bleu", "chrf", "exact_match"}


def test_no_figure_without_a_judged_item():
    assert math.isnan(float(corpus.ratio(np.zeros(2))))
    assert corpus.bleu(np.zeros(10)) == corpus.chrf(np.zeros(18)) == 0


def test_the_sentences_that_are_translated_are_evenly_spread_and_the_same():
    section = TranslateData(translated=5)
    assert answered("validation", 21, section).tolist() == [0, 5, 10, 15, 20]
    assert answered("validation", 5, section).tolist() == [0, 1, 2, 3, 4]
    assert answered("test", 21, section).tolist() == list(range(21))

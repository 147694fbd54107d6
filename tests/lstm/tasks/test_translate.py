import math
import pickle
from collections import OrderedDict
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.config.translate import PairFiles, TranslateData, TranslateModel, TranslateTraining
from lstm.config.trial import TrialConfig, faults
from lstm.data import translate as translate_data
from lstm.data.dataset import Before
from lstm.data.pairs.vocabulary import UNKNOWN
from lstm.diagnostics.reliability import reliability
from lstm.diagnostics.response import delay
from lstm.records.errors import BadInput
from lstm.tasks import registry as tasks
from lstm.tasks.networks import translate
from lstm.training.estimates import memory_bytes, seconds_per_epoch
from lstm.training.loop import train
from lstm.training.run import Run

SIZES = {"train": 90, "validation": 20, "test": 20}


def trial(training=None, model=None, **data):
    return TrialConfig(
        task="translate",
        data=TranslateData(**{"generate": "dates", "sizes": SIZES, "units": "characters", "beam_size": 2} | data),
        model=TranslateModel(**{"hidden_size": 8, "embedding_dropout": 0.2} | (model or {})),
        training=TranslateTraining(**{"max_epochs": 3, "batch_size": 16, "learning_rate": 0.01} | (training or {})),
    )


def loaded(config):
    return tasks.load(config, PairFiles())


@pytest.fixture(scope="module")
def dates():
    return loaded(trial())


@pytest.fixture(scope="module")
def trained(dates):
    config = trial({"max_epochs": 2})
    *_, last = train(config, dates)
    return Checkpoint(config, tasks.facts_row(config, dates, 1), last.state)


def same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "model",
    [{}, {"input_feeding": True, "cell": "gru", "num_layers": 2, "dropout": 0.3}, {"attention": "none"}],
    ids=str,
)
def test_a_resumed_training_is_the_same_to_the_bit(dates, model):
    config = trial({"label_smoothing": 0.1, "schedule": "cosine"}, model)
    whole = [*train(config, dates)]
    first = next(train(config, dates))
    row = tasks.facts_row(config, dates, 1)
    kept = loads(dumps(Checkpoint(config, row, first.state)))
    assert kept.config == config
    rest = [*train(config, dates, kept.state)]
    assert [each.metrics["val/loss"] for each in rest] == [each.metrics["val/loss"] for each in whole[1:]]
    same(rest[-1].state.model, whole[-1].state.model)


def test_bfloat16_trains_too(dates):
    for model in ({}, {"cell": "gru", "input_feeding": True, "attention": "additive"}):
        config = trial({"precision": "bfloat16", "max_epochs": 1}, model)
        assert math.isfinite(next(train(config, dates)).metrics["val/loss"])


def test_data_that_travel_to_a_worker_keep_their_units(dates, monkeypatch):
    sent = pickle.loads(pickle.dumps(dates))
    monkeypatch.setattr(translate_data, "_READ", OrderedDict())
    assert tasks.as_read(trial(), sent).units is sent.units
    assert not translate_data._READ


def test_it_learns(dates):
    config = trial({"max_epochs": 8, "learning_rate": 0.03}, {"hidden_size": 24, "embedding_dropout": 0.0})
    losses = [each.metrics["val/loss"] for each in train(config, dates)]
    assert losses[-1] < 0.8 * losses[0]


def test_smoothing_is_in_the_training_loss_alone(dates):
    plain, smooth = (Run(trial({"label_smoothing": s}, {"embedding_dropout": 0.0}), dates, "cpu") for s in (0.0, 0.3))
    same(plain.network.state_dict(), smooth.network.state_dict())
    assert plain.feed.evaluate(plain.network, "validation") == smooth.feed.evaluate(smooth.network, "validation")
    rows = np.arange(16)
    assert plain.feed.loss(plain.network, rows)[0] != smooth.feed.loss(smooth.network, rows)[0]
    logits = torch.zeros(2, len(dates.facts.target))  # a loss of uniform answers is the same, smoothed or not
    assert torch.nn.functional.cross_entropy(logits, torch.tensor([1, 2]), label_smoothing=0.3).item() == pytest.approx(
        math.log(len(dates.facts.target))
    )


def test_the_loss_is_the_mean_over_units_sentence_by_sentence(dates, trained):
    network = tasks.best_network(trained)
    found = translate.losses(network, dates, "validation", np.arange(20))
    for row in (0, 7, 19):
        made = translate.batched(dates, "validation", np.array([row]))
        logits = network.scores(network(made.sources, made.lengths, made.before))[0]
        assert found[row] == pytest.approx(
            torch.nn.functional.cross_entropy(logits, made.after[0], reduction="sum").item(), rel=1e-5
        )
    metrics = tasks.of(trained.config).feed(dates, trained.config, "cpu").evaluate(network, "validation")
    lengths = dates.numbered.parts["validation"].targets.lengths + 1
    assert metrics["loss"] == pytest.approx(found.sum() / lengths.sum())
    characters = sum(len(each) + 1 for each in dates.parts["validation"].targets)
    assert metrics["character_nats"] == pytest.approx(found.sum() / characters)


def test_the_feed_and_the_judge_have_the_same_metrics(dates, trained):
    task, network = tasks.of(trained.config), tasks.best_network(trained)
    feed = task.feed(dates, trained.config, "cpu")
    for part in ("validation", "test"):
        assert feed.evaluate(network, part) == task.judge(network, dates, trained.config, part, "x").metrics


def test_validation_is_greedy_on_a_fixed_share_and_test_by_beam_search(dates, trained, monkeypatch):
    asked = []
    searched = translate.search
    monkeypatch.setattr(translate, "search", lambda *a, **k: asked.append((len(a[1]), k["beam"])) or searched(*a, **k))
    config = trial(translated=7)
    feed = tasks.of(config).feed(dates, config, "cpu")
    for part in ("validation", "test"):
        feed.evaluate(tasks.best_network(trained), part)
    assert asked == [(7, 1), (20, 2)]


def test_a_searched_vocabulary_belongs_to_its_trial(dates):
    one, other = trial(units="bpe", vocabulary_size=40), trial(units="words")
    read = [tasks.as_read(each, dates) for each in (one, other, one)]
    assert read[0].facts == read[2].facts
    assert [len(each.facts.target.symbols) for each in read[:2]] == [40, len(read[1].facts.target)]
    assert tasks.parameter_count(one, dates) != tasks.parameter_count(other, dates)
    for config in (one, other):
        assert math.isfinite(next(train(config, dates)).metrics["val/character_nats"])
        assert memory_bytes(config, dates) > 0
    assert seconds_per_epoch(one, dates, steps=1) > 0


def test_what_a_vocabulary_does_not_know_is_spelt_in_character_nats_alone():
    config = trial(units="words", vocabulary_size=8)
    data = loaded(config)
    network = Run(config, data, "cpu").network
    found = tasks.of(config).feed(data, config, "cpu").evaluate(network, "validation")
    nats, pairs = translate.losses(network, data, "validation", np.arange(20)), data.numbered.parts["validation"]
    characters = sum(len(each) + 1 for each in data.parts["validation"].targets)
    assert pairs.spelling.min() > 0
    assert found["loss"] == pytest.approx(nats.sum() / (pairs.targets.lengths + 1).sum())
    assert found["character_nats"] == pytest.approx((nats + pairs.spelling).sum() / characters)


def test_many_sentences_are_judged_in_pieces(dates, trained, monkeypatch):
    network, task = tasks.best_network(trained), tasks.of(trained.config)
    whole = task.judge(network, dates, trained.config, "test", "x")
    monkeypatch.setattr(translate, "UNITS", 70)
    monkeypatch.setattr(translate, "SCORES", 6 * len(dates.facts.target))
    pieces = task.judge(network, dates, trained.config, "test", "x")
    assert pieces.metrics == pytest.approx(whole.metrics)
    assert [len(each) for each in translate._pieces(np.arange(5), np.array([3, 3, 40, 90, 1]), 4)] == [2, 1, 1, 1]


class TestPredict:
    def lines(self, trained, folder, text):
        (folder / "a.txt").write_text(text, encoding="utf-8")
        return tasks.predict(trained, "a.txt", folder)

    def test_a_file_is_translated_line_by_line(self, trained, tmp_path, dates):
        made = self.lines(trained, tmp_path, "7 March 1999\n\n漢字\n  \n7 March 1999")
        assert made.sources == ("7 March 1999", "", "漢字", "", "7 March 1999")
        assert made.texts[1] == made.texts[3] == ""
        assert (made.log_probabilities[1], made.scores[1]) == (None, None)
        assert made.texts[0] == made.texts[4]
        assert made.log_probabilities[0] < 0
        assert UNKNOWN in dates.facts.source.encode("漢字")
        assert set("".join(made.texts)) <= set(dates.facts.target.symbols)
        alone = self.lines(trained, tmp_path, "7 March 1999\n")
        assert (alone.texts[0], alone.scores[0]) == (made.texts[0], pytest.approx(made.scores[0]))

    def test_the_test_part_is_translated_as_it_was_judged(self, trained, tmp_path, dates):
        made = self.lines(trained, tmp_path, "\n".join(dates.parts["test"].sources))
        judged = tasks.judge_items(trained, dates, "test", "x").metrics
        exact = np.mean([a == b for a, b in zip(made.texts, dates.parts["test"].targets, strict=True)])
        assert judged["exact_match"] == exact

    def test_without_a_file_generated_pairs_are_translated(self, trained, tmp_path, dates):
        made = tasks.predict(trained, None, tmp_path)
        assert [*made.sources] == [*dates.parts["test"].sources[:20]]

    def test_several_networks_translate_together(self, trained, tmp_path):
        (tmp_path / "a.txt").write_text("7 March 1999")
        one, two = (tasks.predict(trained, "a.txt", tmp_path, *([trained] * more)) for more in (0, 1))
        assert one.texts == two.texts
        assert one.scores == pytest.approx(two.scores)

    @pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
    def test_a_table_has_the_sources_in_a_column(self, trained, tmp_path, ending):
        frame = pd.DataFrame({"number": [1, 2], "source": ["7 March 1999", "8 May 2000"]})
        write = {"csv": frame.to_csv, "tsv": partial(frame.to_csv, sep="\t"), "parquet": frame.to_parquet}[ending]
        write(tmp_path / f"a.{ending}", index=False)
        made = tasks.predict(trained, f"a.{ending}", tmp_path)
        assert made.sources == ("7 March 1999", "8 May 2000")
        assert made.texts == self.lines(trained, tmp_path, "7 March 1999\n8 May 2000\n").texts

    def test_a_line_that_is_too_long_is_refused(self, trained, tmp_path):
        with pytest.raises(BadInput, match=r"a.txt:2: has 1,001 characters"):
            self.lines(trained, tmp_path, f"a\n{'b' * 1_001}\n")

    @pytest.mark.parametrize("content", [b"\xff\xfea\n", b"", b"a\0b"])
    def test_what_is_no_text_is_refused(self, trained, tmp_path, content):
        (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(BadInput):
            tasks.predict(trained, "a.txt", tmp_path)


def test_probes_measure_the_source_side(dates, trained):
    found = tasks.subject(trained, dates)
    lengths = dates.numbered.parts["validation"].sources.lengths
    assert found.windows.shape[1] == np.bincount(lengths).argmax() + 1  # with the end
    numbers = {**delay(found).numbers, **reliability(found).numbers}
    assert numbers.keys() >= {"delay/half_life", "reliability/noise"}
    assert found.respond(found.windows[:, :2]).shape == (len(found.windows), len(dates.facts.target))
    assert found.loss(found.windows) > 0
    assert all(math.isfinite(value) for value in numbers.values())
    assert found.trace(found.windows)["hidden"].shape[:2] == (2, len(found.windows))


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ({"input_feeding": True, "attention": "none"}, "input-feeding-without-attention"),
        ({"forget_bias": "chrono"}, "chrono-of-sentences"),
        ({"variant": "full_gate_recurrence"}, "own-cell-without-bridge"),
        ({"cell": "own.py:Cell"}, "own-cell-without-bridge"),
        ({"residual": "last"}, "field-of-forecast"),
    ],
)
def test_what_does_nothing_or_does_not_fit_is_a_fault(model, code):
    config = trial()
    assert [each.code for each in faults(config.data, TranslateModel(**model), config.training)] == [code]


class TestRefit:
    PAIRS = tuple((f"wort {n}", f"word {n}") for n in range(60))

    def write(self, folder, pairs):
        for name, side in (("a.de", 0), ("a.en", 1)):
            (folder / name).write_text("".join(f"{pair[side]}\n" for pair in pairs))
        return PairFiles(path=str(folder / "a.de"), target_path=str(folder / "a.en"))

    @pytest.fixture
    def config(self):
        return trial(generate=None, sizes=None, split={"validation": 0.2, "test": 0.2})

    def begun(self, config, location):
        data = tasks.load(config, location)
        return Before(data.fingerprint, data.reading)

    def test_all_pairs_are_trained_on_also_newer_ones(self, config, tmp_path):
        before = self.begun(config, self.write(tmp_path, self.PAIRS))
        location = self.write(tmp_path, [*self.PAIRS, ("neu é", "new é")])
        whole = tasks.load_all(config, location, 0, before)
        assert (whole.count, whole.new, whole.unit) == (61, 1, "pairs")
        assert sorted(whole.data.parts["train"].targets) == sorted([pair[1] for pair in self.PAIRS] + ["new é"])
        assert "é" in whole.data.facts.target.symbols
        assert Run(config, whole.data, "cpu", final=1).next_epoch().stop == "max_epochs"

    def test_other_old_pairs_are_refused(self, config, tmp_path):
        before = self.begun(config, self.write(tmp_path, self.PAIRS))
        for pairs in ([("anders", "other"), *self.PAIRS[1:]], self.PAIRS[:-1]):
            with pytest.raises(BadInput, match="not the first of the file any more"):
                tasks.load_all(config, self.write(tmp_path, pairs), 0, before)

    def test_generated_pairs_have_no_refit(self, dates):
        with pytest.raises(BadInput, match="generated"):
            tasks.load_all(trial(), PairFiles(), 0, Before(dates.fingerprint, dates.reading))


def test_evolution_measures_a_batch_as_the_trainer_judges_a_part(dates):
    config = trial({"label_smoothing": 0.3})
    feed, network = (tasks.of(config).feed(dates, config, "cpu"), tasks.of(config).network(config, dates.facts).eval())
    batch = feed.order(np.random.default_rng(1))(0)
    metrics, count = feed.measure(network, batch)
    plain = trial()
    with torch.no_grad():
        loss, _ = tasks.of(plain).feed(dates, plain, "cpu").loss(network, batch)
    assert count == len(batch)
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert metrics.keys() == feed.evaluate(network, "validation").keys()


def test_evolution_learns_to_translate(dates):
    options = {"method": "evolution", "reward": "chrf", "population": 2, "max_epochs": 1}
    [epoch] = train(trial(options, {"embedding_dropout": 0.0}), dates)
    assert 0 <= epoch.metrics["train/reward"] <= epoch.metrics["train/reward_best"] <= 100


@pytest.mark.parametrize(
    ("training", "model", "path"),
    [
        ({"label_smoothing": 0.1}, {}, "training.label_smoothing"),
        ({}, {"embedding_dropout": 0.1}, "model.embedding_dropout"),
    ],
)
def test_what_does_nothing_in_evolution_is_a_fault(training, model, path):
    made = trial({"method": "evolution"} | training, {"embedding_dropout": 0.0} | model)
    [found] = faults(made.data, made.model, made.training)
    assert (found.path, found.code) == (path, "field-of-another-method")

import math
import random
from collections import Counter
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
import torch

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.config.language_model import TextData
from lstm.config.model import ModelConfig
from lstm.config.section import File, Location
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig, faults
from lstm.data import language_model as language_data
from lstm.messages.message import note
from lstm.nn import cells
from lstm.records.errors import BadInput
from lstm.rivals import language_model as rivals
from lstm.tasks import registry as tasks
from lstm.tasks.networks import language_model
from lstm.training.estimates import memory_bytes, seconds_per_epoch
from lstm.training.loop import train
from lstm.training.run import Run


def metrics_of(config):
    return [f"val/{each.name}" for each in tasks.of(config).metrics_of(config.data)]


SHARES = {"validation": 0.2, "test": 0.2}


def section(**settings):
    return TextData(**{"lookback": 5, "split": SHARES} | settings)


def file_in(folder, name="a.txt"):
    return File(path=str(folder / name))


def trial(training=None, model=None, **settings):
    return TrialConfig(
        task="language_model",
        data=section(**settings),
        model=ModelConfig(**{"hidden_size": 6} | (model or {})),
        training=TrainingConfig(**{"max_epochs": 2, "batch_size": 4, "learning_rate": 0.01} | (training or {})),
    )


def rhyme(length, seed=3):
    """A text that has a rule: which letters may follow tells the one before the last."""
    draws, made = random.Random(seed), "ab"
    while len(made) < length:
        made += draws.choice("ac" if made[-2] in "ab" else "b ")
    return made


@pytest.fixture
def written(tmp_path):
    def write(content=None, name="a.txt"):
        content = rhyme(600) if content is None else content
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


@pytest.fixture
def loaded(written):
    def load(config, content=None):
        return tasks.load(config, file_in(written(content)))

    return load


def network_for(config, data, seed=1):
    torch.manual_seed(seed)
    return language_model.build(config, data)


# --- The text ---------------------------------------------------------------------------------------------


def test_the_vocabulary_is_the_training_parts_the_most_frequent_first(loaded):
    data = loaded(trial(), "bbbaaac" * 30 + "x" * 140)
    assert data.targets == ("\ufffd", "a", "b", "c")
    assert data.bounds("train") == (0, 210)
    assert data.bounds("validation") == (210, 280)
    assert data.bounds("test") == (280, 350)
    assert data.ids.dtype == np.uint8
    assert data.ids[:7].tolist() == [2, 2, 2, 1, 1, 1, 3]
    assert set(data.ids[210:].tolist()) == {0}, "what the training part lacks is unknown"
    assert language_data.decode(data.ids[:8].tolist(), data.targets) == "bbbaaacb"
    assert language_data.encode("cab?", data.targets) == [3, 1, 2, 0]


def test_a_smaller_vocabulary_keeps_the_most_frequent(loaded):
    data = loaded(trial(vocabulary=2), "bbbbaaac" * 40)
    assert data.targets == ("\ufffd", "b", "a")
    assert data.ids[:8].tolist() == [1, 1, 1, 1, 2, 2, 2, 0]
    plan = tasks.of(trial()).describe(data, trial(vocabulary=2))
    assert plan["data"]["notes"] == [note("symbols-not-in-vocabulary", "data.vocabulary", count=40, unit="characters")]
    assert plan["windows"] == {"train": 192, "validation": 64, "test": 64}


def test_words_marks_and_line_ends_are_symbols(loaded, monkeypatch):
    line = "Well, I don't know (yet): a well-known <unk>!\n"
    data = loaded(trial(unit="words"), line * 30)
    assert data.targets[0] == "<unk>"
    one = language_data.encode(line, data.targets)
    assert [data.targets[n] for n in one] == [
        *("Well", ",", "I", "don't", "know", "(", "yet", ")", ":", "a", "well-known", "<unk>", "!", "\n")
    ]
    assert language_data.decode(one, data.targets) == line
    assert data.ids.tolist() == one * 30
    monkeypatch.setattr(language_data, "BLOCK", 11)  # cuts words in two, were it not for the care that is taken
    assert loaded(trial(unit="words"), line * 30).ids.tolist() == one * 30


def test_windows_line_ends_and_a_byte_order_mark_are_left_out(loaded):
    plain = loaded(trial(), "ab\ncd\n" * 40)
    other = loaded(trial(), b"\xef\xbb\xbf" + b"ab\r\ncd\r\n" * 40)
    assert plain.targets == other.targets
    assert plain.fingerprint == other.fingerprint != loaded(trial(), "ab\ncd\n" * 39 + "ba\ncd\n").fingerprint


@pytest.mark.parametrize("block", [1, 7, 2**20])
def test_blocks_change_nothing(block, loaded, monkeypatch):
    monkeypatch.setattr(language_data, "BLOCK", block)
    content = "añb→c😀\n" * 50
    data = loaded(trial(), content)
    assert language_data.decode(data.ids[:60].tolist(), data.targets) == content[:60]


CHUNKS = {"symbols": 24, "streams": 4}


@pytest.mark.parametrize(
    ("content", "settings", "line", "code", "values"),
    [
        (b"", {}, "", "empty-text", {}),
        (b"", {"unit": "words"}, "", "empty-text", {}),
        (b" \n\n", {"unit": "words"}, "", "text-too-short", {"count": 2, "unit": "words"}),
        (b"ab\ncd\xffe\n" * 50, {}, ":2", "byte-not-utf8", {"byte": 6}),
        (b"ab\xc3", {}, ":1", "byte-not-utf8", {"byte": 3}),
        (b"ab\nc\0d" * 50, {}, ":2", "nul-bytes-in-text", {}),
        (b"a" * 500, {}, "", "only-one-symbol", {"symbol": "a"}),
        (b"ab" * 20, {}, None, "no-chunk-to-train-on", {**CHUNKS, "steps": 5, "needed": 25}),
        (b"ab" * 20, {"lookback": 30}, None, "no-chunk-to-train-on", {**CHUNKS, "steps": 30, "needed": 150}),
        (b"ab", {}, "", "text-too-short", {"count": 2, "unit": "characters"}),
    ],
)
def test_a_wrong_file_is_refused_with_one_fault(content, settings, line, code, values, loaded, tmp_path):
    with pytest.raises(BadInput) as error:
        loaded(trial(**settings), content)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == (code, values)
    assert wrong.place == ("" if line is None else f"{tmp_path / 'a.txt'}{line}")


def test_a_missing_file_is_told_with_the_nearest_name(written):
    folder = written()
    with pytest.raises(BadInput) as error:
        tasks.load(trial(), file_in(folder, "b.txt"))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("no-such-file", str(folder / "b.txt"))
    assert wrong.values == {"near": "a.txt"}
    with pytest.raises(BadInput) as error:
        tasks.load(trial(), file_in(folder, "."))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("not-a-file", {"wanted": "a text file"})


def test_what_is_too_large_is_refused_before_it_is_read(loaded, monkeypatch, tmp_path):
    def wrong(**settings):
        with pytest.raises(BadInput) as error:
            loaded(trial(**settings))
        [found] = error.value.faults
        return found.code, found.path, found.values

    monkeypatch.setattr(language_data, "MOST_BYTES", 300)
    assert wrong() == ("text-too-large", "", {"size": 600, "limit": 300})
    monkeypatch.setattr(language_data, "MOST_BYTES", 10_000)
    monkeypatch.setattr(language_data, "MOST_SYMBOLS", 3)
    values = {"count": 4, "unit": "characters", "limit": 3, "file": str(tmp_path / "a.txt")}
    assert wrong() == ("too-many-symbols", "data.vocabulary", values)
    monkeypatch.setattr(language_data, "MOST_WORDS", 3)
    assert wrong(unit="words") == ("too-many-words", "", {"limit": 3})


def test_the_longest_chunk_of_a_search_must_fit(written):
    with pytest.raises(BadInput) as error:
        tasks.load(trial(), file_in(written()), reach=90)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path) == ("no-chunk-to-train-on", "data.lookback")
    assert (wrong.values["steps"], wrong.values["needed"]) == (90, 450)


# --- Training ---------------------------------------------------------------------------------------------


def test_chunks_follow_each_other_in_each_stream(loaded):
    config = trial()
    data = loaded(config)
    feed = language_model.Feed(data, config, "cpu")
    count = (360 - 5) // (4 * 5)
    assert feed.items == count * 4
    begins = set()
    for seed in range(30):
        chunk = feed.order(np.random.default_rng(seed))
        chunks = [chunk(place) for place in range(count)]
        streams = np.concatenate([c.inputs for c in chunks], axis=1)
        begin = next(b for b in range(360) if (data.ids[b : b + streams.size] == streams.reshape(-1)).all())
        begins.add(begin)
        nexts = np.concatenate([c.targets for c in chunks], axis=1)
        assert nexts.reshape(-1).tolist() == data.ids[begin + 1 : begin + 1 + streams.size].tolist()
        assert begin + streams.size < 360, "nothing of the validation part is seen"
        assert [c.follows for c in chunks] == [False] + [True] * (count - 1)
    assert len(begins) > 5, "chunks begin elsewhere in each pass"
    assert not feed.order(np.random.default_rng(1))(7).follows, "an order that begins within a pass carries no state"


def test_a_chunks_loss_goes_on_from_the_chunk_before_without_a_gradient(loaded):
    config = trial(model={"num_layers": 2})
    data = loaded(config)
    network, feed = network_for(config, data), language_model.Feed(data, config, "cpu")
    chunk = feed.order(np.random.default_rng(5))
    first, second = chunk(0), chunk(1)
    one, count = feed.loss(network, first)
    two, _ = feed.loss(network, second)
    assert count == 20
    both = torch.from_numpy(np.concatenate([first.inputs, second.inputs], axis=1))
    targets = torch.from_numpy(np.concatenate([first.targets, second.targets], axis=1))
    logits, _ = network(both)
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    torch.testing.assert_close(one, each[:, :5].mean())
    torch.testing.assert_close(two, each[:, 5:].mean())
    grown = torch.autograd.grad(two, network.embedding.weight, retain_graph=True)[0]
    seen = set(second.inputs.flat)
    assert all((grown[n].abs().sum() > 0) == (n in seen) for n in range(data.inputs))
    whole = torch.autograd.grad(each[:, 5:].mean(), network.cell.weight_hh_l0)[0]
    cut = torch.autograd.grad(two, network.cell.weight_hh_l0)[0]
    assert not torch.allclose(whole, cut), "the gradient ends at the chunk's start"


RECURRENT = [{}, {"cell": "gru"}, {"cell": "rnn"}, {"variant": "full_gate_recurrence"}]
# Each network, each precision and each length of an epoch in every run of the tests, all together with `-m faults`.
SOME = [(0, "float32", None), (1, "bfloat16", 7), (2, "float32", 7), (3, "bfloat16", None)]
RESUMED = [(n, precision, steps) for n in range(4) for precision in ("float32", "bfloat16") for steps in (None, 7)]


@pytest.mark.parametrize(
    ("model", "precision", "steps"),
    [pytest.param(RECURRENT[c[0]], *c[1:], marks=[] if c in SOME else pytest.mark.faults) for c in RESUMED],
)
def test_resumed_it_goes_on_to_the_bit(model, precision, steps, loaded):
    more = {"num_layers": 2, "dropout": 0.3}
    config = trial({"max_epochs": 3, "steps_per_epoch": steps, "precision": precision}, more | model)
    data = loaded(config)
    whole = list(train(config, data))
    assert len({e.value for e in whole}) == 3
    for stood in whole[:-1]:
        kept = loads(dumps(Checkpoint(config, asdict(data.facts), stood.state)))
        assert kept.config == config
        assert kept.facts == asdict(data.facts)
        resumed = list(train(config, data, kept.state))
        assert [e.value for e in resumed] == [e.value for e in whole[stood.number :]]
        assert all(torch.equal(a, resumed[-1].state.model[n]) for n, a in whole[-1].state.model.items())


def test_state_is_carried_within_an_epoch_and_starts_at_zero_with_it_and_with_each_pass(loaded):
    config = trial({"steps_per_epoch": 12})
    run = Run(config, loaded(config), "cpu")
    assert run.per_pass == 17
    follows = [[batch.follows for batch in run.batches(number)] for number in (1, 2)]
    assert follows[0] == [False] + [True] * 11
    assert follows[1] == [False] + [True] * 4 + [False] + [True] * 6


def test_the_warm_up_is_where_no_state_is_carried(loaded):
    config = trial({"warmup_steps": 3})
    data = loaded(config)
    network, feed = network_for(config, data), language_model.Feed(data, config, "cpu")
    chunk = feed.order(np.random.default_rng(5))
    first, second = chunk(0), chunk(1)
    warmed, count = feed.loss(network, first)
    assert count == 4 * (5 - 3)
    assert feed.loss(network, second)[1] == 4 * 5
    logits, _ = network(torch.from_numpy(first.inputs))
    wanted = torch.nn.functional.cross_entropy(
        logits[:, 3:].flatten(0, 1), torch.from_numpy(first.targets[:, 3:]).flatten()
    )
    torch.testing.assert_close(warmed, wanted)
    assert [f.path for f in faults(section(), None, TrainingConfig(warmup_steps=5))] == ["training.warmup_steps"]


# --- The judgement ----------------------------------------------------------------------------------------


def by_hand(network, ids, start, stop, context):
    """The mean loss by one symbol at a time, in one stream."""
    state, losses = None, []
    with torch.no_grad():
        for place in range(start - context, stop):
            x = network.embedding(torch.tensor([[int(ids[place - 1])]]))
            states, state = cells.run(network.cell, x, state)
            scores = network.head(states)[0, 0].double().numpy()
            if place >= start:
                losses.append(math.log(sum(math.exp(s) for s in scores)) - scores[int(ids[place])])
    return sum(losses) / len(losses)


def test_metrics_agree_with_a_plain_loop_over_symbols(loaded, monkeypatch):
    config = trial()
    data = loaded(config)
    network = network_for(config, data)
    start, stop = data.bounds("test")
    in_one = by_hand(network, data.ids, start, stop, 20)
    length = -(-(stop - start) // 16)
    pieces = [(a, min(a + length, stop)) for a in range(start, stop, length)]
    wanted = sum((b - a) * by_hand(network, data.ids, a, b, 256) for a, b in pieces) / (stop - start)
    for piece in (1, 500, 2**22):
        monkeypatch.setattr(language_model, "PIECE", piece)
        one = language_model.cross_entropy(network, data.ids, start, stop, streams=1, context=20)
        assert one == pytest.approx(in_one, rel=1e-6), piece
        found = language_model.Feed(data, config, "cpu").evaluate(network, "test")
        assert found["loss"] == pytest.approx(wanted, rel=1e-6), piece
        assert found["bits_per_character"] == pytest.approx(wanted / math.log(2), rel=1e-6), piece
        assert found["perplexity"] == pytest.approx(math.exp(wanted), rel=1e-6), piece
        assert found["loss"] == pytest.approx(one, rel=1e-3), "as in one stream"
        assert [f"val/{name}" for name in found] == metrics_of(config)
    assert {each.direction for each in tasks.of(config).metrics_of(config.data)} == {"minimize"}


def test_judged_is_the_same_whatever_lookback_batch_and_warm_up(loaded):
    one, other = trial(), trial({"batch_size": 2, "warmup_steps": 3}, lookback=9)
    data = loaded(one)
    network = network_for(one, data)
    found = [language_model.Feed(data, config, "cpu").evaluate(network, "validation") for config in (one, other)]
    assert found[0] == found[1]


def test_words_have_no_bits_per_character(loaded):
    config = trial({"max_epochs": 1}, unit="words")
    data = loaded(config, "the cat sat on the mat . the dog sat on the log .\n" * 40)
    (epoch,) = train(config, data)
    assert metrics_of(config) == ["val/loss", "val/perplexity"]
    assert set(metrics_of(config)) <= set(epoch.metrics)
    assert "val/bits_per_character" not in epoch.metrics


def test_the_baseline_is_witten_and_bells_bigram(loaded):
    config = trial()
    content = "z" + rhyme(360) + "az" + rhyme(237, seed=8)  # z: at the very start, and unlike what follows it later
    data = loaded(config, content)
    first, second = data.borders
    vocabulary = [*sorted(set(content[:first])), "unknown"]
    letters = [c if c in vocabulary else "unknown" for c in content]
    singles = Counter(letters[:first])
    pairs = Counter(pairwise(letters[:first]))
    unigram = {c: (singles[c] + 1) / (first + len(vocabulary)) for c in vocabulary}

    def likely(before, after):
        seen = sum(n for (a, _), n in pairs.items() if a == before)
        different = sum(1 for a, _ in pairs if a == before)
        return (pairs[before, after] + different * unigram[after]) / (seen + different) if seen else unigram[after]

    for before in vocabulary:
        assert sum(likely(before, after) for after in vocabulary) == pytest.approx(1)
    loss = -sum(math.log(likely(letters[n - 1], letters[n])) for n in range(second, len(letters))) / (600 - second)
    found = tasks.of(config).baseline_metrics(data, config, "test")
    assert found["loss"] == pytest.approx(loss)
    assert found["perplexity"] == pytest.approx(math.exp(loss))
    assert found["unigram/loss"] == pytest.approx(-sum(math.log(unigram[c]) for c in letters[second:]) / (600 - second))


def test_counting_in_pieces_changes_nothing():
    ids = np.random.default_rng(1).integers(0, 5, 1000).astype(np.uint8)
    pairs, counts = rivals._pairs(ids, 5)
    wanted = Counter(pairwise(ids.tolist()))
    assert dict(zip(pairs.tolist(), counts.tolist(), strict=True)) == {a * 5 + b: n for (a, b), n in wanted.items()}


# --- What is learned and written --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A text that only more than one letter of memory can tell, learned."""
    folder = tmp_path_factory.mktemp("learned")
    (folder / "a.txt").write_text(rhyme(6000))
    training = {"max_epochs": 6, "learning_rate": 0.02, "batch_size": 8}
    config = trial(training, {"hidden_size": 16}, lookback=20)
    data = tasks.load(config, file_in(folder))
    [*_, last] = train(config, data)
    return Checkpoint(config, asdict(data.facts), last.state), data, folder


def test_it_is_below_the_bigram(learned):
    kept, data, _ = learned
    found = tasks.judge(kept, data)
    assert found["test/loss"] < 0.8 * found["baseline/loss"] < found["baseline/unigram/loss"]


def test_sixteen_streams_judge_as_one_does(learned):
    kept, data, _ = learned
    network = tasks.best_network(kept)
    start, stop = data.bounds("test")
    one = language_model.cross_entropy(network, data.ids, start, stop, streams=1, context=start)
    assert language_model.cross_entropy(network, data.ids, start, stop) == pytest.approx(one, rel=1e-4)


def test_a_text_is_continued_from_its_seed(learned):
    kept, data, folder = learned
    first, same, other = (tasks.predict(kept, "a.txt", folder, seed=seed) for seed in (1, 1, 2))
    assert first == same
    assert first.text != other.text
    assert len(first.text) == 500
    assert first.prompt == rhyme(6000)[-5000:]
    assert first.note == "500 symbols at temperature 0.8, seed 1"
    short = tasks.predict(kept, "a.txt", folder, steps=9)
    assert first.text.startswith(short.text)
    (shown,) = tasks.examples(kept, data)
    assert shown.prompt == rhyme(6000)[4800:5200]
    assert len(shown.text) == 400


def test_without_temperature_the_likeliest_follows(learned):
    kept, data, folder = learned
    network = tasks.best_network(kept)
    found = tasks.predict(kept, "a.txt", folder, steps=30, temperature=0.0)
    ids, state = language_data.encode(found.prompt, data.targets), None
    wanted = ""
    with torch.no_grad():
        logits, state = network(torch.tensor([ids]), state)
        for _ in range(30):
            number = int(logits[0, -1].argmax())
            wanted += data.targets[number]
            logits, state = network(torch.tensor([[number]]), state)
    assert found.text == wanted
    assert tasks.predict(kept, "a.txt", folder, steps=30, temperature=1e-300).text == wanted


def test_draws_are_as_likely_as_the_network_says(learned):
    kept, data, _ = learned
    network = tasks.best_network(kept)
    prompt = language_data.encode("abcab", data.targets)
    with torch.no_grad():
        chances = torch.softmax(network(torch.tensor([prompt]))[0][0, -1].double() / 0.5, 0)
    drawn = Counter(
        language_model.sample([network], prompt, steps=1, temperature=0.5, seed=seed)[0] for seed in range(1000)
    )
    for number, chance in enumerate(chances.tolist()):
        assert drawn[number] / 1000 == pytest.approx(chance, abs=0.06)


def test_words_go_on_with_a_space_where_one_belongs(written):
    folder = written("the cat sat, the dog sat.\n" * 60)
    config = trial({"max_epochs": 8, "learning_rate": 0.05}, {"hidden_size": 16}, unit="words")
    data = tasks.load(config, file_in(folder))
    [*_, last] = train(config, data)
    kept = Checkpoint(config, asdict(data.facts), last.state)
    (folder / "p.txt").write_text("the cat sat, the")
    assert tasks.predict(kept, "p.txt", folder, steps=5, temperature=0.0).text == " dog sat.\nthe"


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"a\xff", "p.txt:1: is not UTF-8"), (b"\0", "NUL bytes")],
)
def test_a_wrong_prompt_is_named(content, told, learned):
    kept, _, folder = learned
    (folder / "p.txt").write_bytes(content)
    with pytest.raises(BadInput, match=told):
        tasks.predict(kept, "p.txt", folder)


def test_an_empty_prompt_and_a_temperature_that_is_no_number_are_refused(learned):
    kept, _, folder = learned
    (folder / "p.txt").write_bytes(b"")
    for options, code, place in (
        ({}, "prompt-empty", str(folder / "p.txt")),
        ({"temperature": float("nan")}, "temperature-outside-range", "--temperature"),
    ):
        with pytest.raises(BadInput) as error:
            tasks.predict(kept, "p.txt", folder, **options)
        assert [(wrong.code, wrong.place) for wrong in error.value.faults] == [(code, place)]


# --- The section ------------------------------------------------------------------------------------------


def test_rules_across_fields():
    assert [f.path for f in section(split={"validation": 0.5, "test": 0.5}).faults()] == ["data.split"]
    assert [f.path for f in faults(section(), ModelConfig(bidirectional=True), None)] == ["model.bidirectional"]
    forecasts = ModelConfig(residual="last", normalization="window")
    assert [f.path for f in faults(section(), forecasts, None)] == ["model.residual", "model.normalization"]
    assert not list(faults(section(), ModelConfig(), TrainingConfig(warmup_steps=4)))
    assert section().reach == 0


def test_cost_is_estimated(loaded):
    small, large = trial(), trial(lookback=20, model={"hidden_size": 64})
    data = loaded(small)
    assert 0 < memory_bytes(small, data) < memory_bytes(large, data)
    assert seconds_per_epoch(small, data) > 0


def test_how_a_text_is_drawn_is_refused_elsewhere(tmp_path):
    sizes = {"train": 8, "validation": 4, "test": 4}
    settings = {"problem": "adding", "length": 4, "sizes": sizes}
    config = TrialConfig.model_validate({"task": "memory", "data": settings, "training": {"max_epochs": 1}})
    data = tasks.load(config, Location())
    (epoch,) = train(config, data)
    with pytest.raises(BadInput) as error:
        tasks.predict(Checkpoint(config, asdict(data.facts), epoch.state), None, tmp_path, steps=5)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.values) == ("flag-of-another-task", "--steps", {"task": "memory"})

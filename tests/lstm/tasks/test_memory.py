import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.config.memory import MemoryData
from lstm.config.model import ModelConfig
from lstm.config.section import Location
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig, faults
from lstm.data import memory as memory_data
from lstm.records.errors import BadInput
from lstm.tasks import registry as tasks
from lstm.tasks.networks import memory
from lstm.training.estimates import memory_bytes, seconds_per_epoch
from lstm.training.loop import train


def metrics_of(config):
    return [f"val/{each.name}" for each in tasks.of(config).metrics_of(config.data)]


PROBLEMS = ("adding", "copy", "mackey_glass")


def section(problem="adding", **settings):
    base = {"problem": problem, "length": 12, "sizes": {"train": 40, "validation": 9, "test": 11}}
    base |= {"memorize": 3} if problem == "copy" else {}
    base |= {"horizon": 2} if problem == "mackey_glass" else {}
    return MemoryData(**base | settings)


def trial(problem="adding", training=None, model=None, **settings):
    return TrialConfig(
        task="memory",
        data=section(problem, **settings),
        model=ModelConfig(**{"hidden_size": 4} | (model or {})),
        training=TrainingConfig(**{"max_epochs": 2, "batch_size": 16, "learning_rate": 0.01} | (training or {})),
    )


def trained(config, folder):
    data = tasks.load(config, Location())
    [*_, last] = train(config, data)
    return Checkpoint(config, asdict(data.facts), last.state), data


# --- The problems -----------------------------------------------------------------------------------------


def test_adding_asks_for_the_sum_of_the_two_marked_numbers():
    inputs, sums = memory_data.adding(np.random.default_rng(1), 500, section())
    assert inputs.shape == (500, 12, 2)
    for sequence, wanted in zip(inputs, sums, strict=True):
        marked = [number for number, mark in sequence if mark == 1]
        assert len(marked) == 2
        assert {mark for _, mark in sequence} == {0, 1}
        assert wanted == pytest.approx([sum(marked)])
    places = inputs[..., 1].mean(axis=0)
    assert places == pytest.approx(np.full(12, 2 / 12), abs=0.07), "any step may be marked"


def test_copying_asks_for_the_symbols_after_the_wait():
    asked = section("copy", symbols=5)
    inputs, answers = memory_data.copying(np.random.default_rng(1), 200, asked)
    assert inputs.shape == answers.shape == (200, 12 + 2 * 3)
    for given, wanted in zip(inputs.tolist(), answers.tolist(), strict=True):
        symbols = given[:3]
        assert set(symbols) <= set(range(1, 6))
        assert given[3:] == [0] * 11 + [6] + [0] * 3
        assert wanted == [0] * 15 + symbols
    assert set(inputs[:, :3].flat) == set(range(1, 6))


def test_mackey_glass_follows_its_equation():
    tau, length = 4, 20
    found = memory_data.mackey_glass(np.random.default_rng(3), 2, length, tau)
    history = 1.2 + 0.2 * (np.random.default_rng(3).random((tau * memory_data.SUBSTEPS, 2)) - 0.5)
    for column in range(2):
        x = [*history[:, column], 1.2]
        for _ in range((memory_data.BURN_IN + length) * memory_data.SUBSTEPS):
            late = x[-1 - tau * memory_data.SUBSTEPS]
            x.append(x[-1] + (0.2 * late / (1 + late**10) - 0.1 * x[-1]) / memory_data.SUBSTEPS)
        sampled = x[tau * memory_data.SUBSTEPS + 1 :][
            memory_data.BURN_IN * memory_data.SUBSTEPS :: memory_data.SUBSTEPS
        ]
        assert found[column] == pytest.approx([math.tanh(value - 1) for value in sampled], abs=1e-9)


def test_mackey_glass_is_to_be_forecast_at_every_step(tmp_path):
    data = tasks.load(trial("mackey_glass", length=30, horizon=7), Location())
    inputs, targets = data.parts["validation"]
    assert inputs.shape == targets.shape == (9, 30, 1)
    assert (inputs[:, 7:] == targets[:, :-7]).all()
    train_inputs, train_targets = data.parts["train"]
    whole = np.concatenate([train_inputs, train_targets[:, -7:]], axis=1)
    assert whole.mean() == pytest.approx(0, abs=1e-5)
    assert whole.std() == pytest.approx(1, abs=1e-5), "standardised on the training part"


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_seed_makes_the_sequences(problem, tmp_path):
    one, same, other = (tasks.load(trial(problem, seed=seed), Location()) for seed in (1, 1, 2))
    for part in ("validation", "test"):
        assert all((a == b).all() for a, b in zip(one.parts[part], same.parts[part], strict=True))
        assert any((a != b).any() for a, b in zip(one.parts[part], other.parts[part], strict=True))
    assert one.parts["validation"][0][:9].tolist() != one.parts["test"][0][:9].tolist()
    assert one.fingerprint == same.fingerprint != other.fingerprint


# --- Training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", ["adding", "copy"])
def test_every_pass_draws_sequences_of_its_own(problem, tmp_path):
    config = trial(problem)
    feed = memory.Feed(tasks.load(config, Location()), config, "cpu")
    passes = [feed.order(np.random.default_rng(number)) for number in (1, 1, 2)]
    first, again, other = ([batch(place) for place in range(3)] for batch in passes)
    assert [len(inputs) for inputs, _ in first] == [16, 16, 8]
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert (first[0][0] != other[0][0]).any()
    assert (first[0][0] != first[1][0]).any()


def test_a_pass_over_mackey_glass_takes_each_series_once(tmp_path):
    config = trial("mackey_glass")
    data = tasks.load(config, Location())
    batch = memory.Feed(data, config, "cpu").order(np.random.default_rng(1))
    seen = np.concatenate([batch(place)[0] for place in range(3)])
    assert sorted(map(tuple, seen[..., 0].tolist())) == sorted(map(tuple, data.parts["train"][0][..., 0].tolist()))
    assert (seen != data.parts["train"][0]).any()


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("warmup", [0, 5])
def test_metrics_agree_with_a_plain_loop(problem, warmup, tmp_path, monkeypatch):
    monkeypatch.setattr("lstm.nn.networks.EVALUATION_BATCH", 4)  # so that the last batch is smaller
    config = trial(problem, {"warmup_steps": warmup})
    data = tasks.load(config, Location())
    torch.manual_seed(1)
    network = memory.build(config, data)
    found = memory.Feed(data, config, "cpu").evaluate(network, "test")
    inputs, targets = data.parts["test"]
    losses, hits, squares = [], [], []
    for given, wanted in zip(inputs, targets, strict=True):
        x = torch.eye(data.inputs)[given] if problem == "copy" else torch.from_numpy(given)
        states, _ = network.cell(x[None])
        outputs = network.head(states)[0].detach().double().numpy()
        if problem == "adding":
            losses.append((outputs[-1, 0] - wanted[0]) ** 2)
            continue
        for step in range(warmup, len(given)):
            if problem == "copy":
                likely = np.exp(outputs[step]) / np.exp(outputs[step]).sum()
                losses.append(-math.log(likely[wanted[step]]))
                if step >= len(given) - 3:
                    hits.append(outputs[step].argmax() == wanted[step])
            else:
                losses.append((outputs[step, 0] - wanted[step, 0]) ** 2)
                squares.append(wanted[step, 0])
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    if problem == "copy":
        assert found["accuracy"] == pytest.approx(np.mean(hits))
    if problem == "mackey_glass":
        assert found["nrmse"] == pytest.approx(math.sqrt(np.mean(losses)) / np.std(squares), rel=1e-5)
    assert [f"val/{name}" for name in found] == metrics_of(config)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_no_gradient_goes_through_the_warm_up(problem, tmp_path):
    config = trial(problem, {"warmup_steps": 11})
    data = tasks.load(config, Location())
    torch.manual_seed(1)
    network = memory.build(config, data)
    inputs = torch.rand(3, data.parts["test"][0].shape[1], data.inputs, requires_grad=True)
    network(inputs).square().sum().backward()
    assert (inputs.grad[:, :11] == 0).all()
    assert (inputs.grad[:, 11:].abs().sum(dim=(0, 2)) > 0).all()
    plain = memory.build(trial(problem), data)
    plain.load_state_dict(network.state_dict())
    wanted = plain(inputs) if problem == "adding" else plain(inputs)[:, 11:]
    torch.testing.assert_close(network(inputs), wanted)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_resumed_it_goes_on_to_the_bit(problem, tmp_path):
    config = trial(problem, {"max_epochs": 3, "steps_per_epoch": 2})
    data = tasks.load(config, Location())
    whole = list(train(config, data))
    kept = loads(dumps(Checkpoint(config, asdict(data.facts), whole[0].state)))
    assert kept.config == config
    assert kept.facts == asdict(data.facts)
    resumed = list(train(config, data, kept.state))
    assert [e.value for e in resumed] == [e.value for e in whole[1:]]
    assert all(torch.equal(a, resumed[-1].state.model[n]) for n, a in whole[-1].state.model.items())


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_adding_is_learned(cell, tmp_path):
    training = {"max_epochs": 25, "learning_rate": 0.02, "target_loss": 0.01}
    config = trial(
        "adding",
        training,
        {"hidden_size": 16, "cell": cell},
        length=6,
        sizes={"train": 1000, "validation": 200, "test": 200},
    )
    kept, data = trained(config, tmp_path)
    found = tasks.judge(kept, data)
    assert found["test/loss"] < found["baseline/loss"] / 10


def test_cost_is_estimated(tmp_path):
    small, large = trial("copy"), trial("copy", length=200)
    data = [tasks.load(config, Location()) for config in (small, large)]
    assert 0 < memory_bytes(small, data[0]) < memory_bytes(large, data[1])
    assert seconds_per_epoch(small, data[0]) > 0


# --- What it is held against ------------------------------------------------------------------------------


def test_the_constant_is_the_best_answer_without_memory(tmp_path):
    sizes = {"train": 1, "validation": 1, "test": 40_000}
    adding = trial("adding", sizes=sizes)
    assert tasks.of(adding).baseline_metrics(tasks.load(adding, Location()), adding, "test")["loss"] == pytest.approx(
        1 / 6, rel=0.02
    )
    copy = trial("copy", {"warmup_steps": 4}, symbols=5)
    found = tasks.of(copy).baseline_metrics(tasks.load(copy, Location()), copy, "test")
    assert found == pytest.approx({"loss": 3 * math.log(5) / (18 - 4), "accuracy": 0.2})
    chaos = trial("mackey_glass", length=400)
    found = tasks.of(chaos).baseline_metrics(tasks.load(chaos, Location()), chaos, "validation")
    assert found["nrmse"] == pytest.approx(1, abs=0.01)
    assert found["loss"] == pytest.approx(1, abs=0.3)


# --- Answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", PROBLEMS)
def test_examples_show_answers_beside_the_truth(problem, tmp_path):
    kept, data = trained(trial(problem, {"warmup_steps": 2}), tmp_path)
    (shown,) = tasks.examples(kept, data)
    assert len(shown.times) == len(shown.truth) == len(shown.forecast) == len(shown.baseline)
    assert shown.baseline_name == "constant"
    truth = data.parts["test"][1]
    if problem == "adding":
        assert list(shown.truth) == sorted(truth[:, 0].tolist())
        (answer,) = tasks.predict(kept, None, tmp_path)["sum"]
        place = shown.truth.index(truth[0, 0].item())
        assert shown.forecast[place] == pytest.approx(answer)
    else:
        found = tasks.predict(kept, None, tmp_path)
        assert list(shown.forecast) == pytest.approx(found["symbol" if problem == "copy" else "value"])
        assert shown.times[0] == "2"


def test_a_file_is_answered(tmp_path):
    kept, data = trained(trial("mackey_glass"), tmp_path)
    series = memory_data.mackey_glass(np.random.default_rng(9), 1, 30, 17)[0]
    (tmp_path / "series.csv").write_text("value\n" + "\n".join(map(str, series)) + "\n")
    found = tasks.predict(kept, "series.csv", tmp_path)
    assert found["step"] == list(range(2, 32))
    mean, deviation = data.scale.mean[0], data.scale.deviation[0]
    scaled = torch.tensor((series - mean) / deviation, dtype=torch.float32)
    with torch.no_grad():
        wanted = tasks.best_network(kept)(scaled[None, :, None])[0, :, 0].numpy() * deviation + mean
    assert found["value"] == pytest.approx(wanted.tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("problem", "text", "told"),
    [
        ("adding", "value\n1\n", "has no column 'mark'"),
        ("mackey_glass", "value\nx\n", "is not a number"),
    ],
)
def test_a_wrong_file_is_named(problem, text, told, tmp_path):
    kept, _ = trained(trial(problem, {"warmup_steps": 2, "max_epochs": 1}), tmp_path)
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadInput, match=told):
        tasks.predict(kept, "a.csv", tmp_path)


@pytest.mark.parametrize(
    ("problem", "text", "code", "values"),
    [
        ("adding", "value,mark\n1,0\n,1\n", "sequence-with-gaps", {}),
        ("copy", "symbol\n1\n99\n", "symbol-outside-alphabet", {"most": 9}),
        ("adding", "value,mark\n1e40,0\n1,1\n", "sequence-too-large-for-float32", {}),
        ("mackey_glass", "value\n1\n2\n", "sequence-shorter-than-warmup", {"steps": 2, "warmup": 2}),
    ],
)
def test_a_sequence_that_can_not_be_answered_is_named(problem, text, code, values, tmp_path):
    kept, _ = trained(trial(problem, {"warmup_steps": 2, "max_epochs": 1}), tmp_path)
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadInput) as error:
        tasks.predict(kept, "a.csv", tmp_path)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.values) == (code, str(tmp_path / "a.csv"), values)


# --- The section ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"problem": "adding", "symbols": 4}, "data.symbols"),
        ({"problem": "adding", "horizon": 4}, "data.horizon"),
        ({"problem": "copy", "tau": 4}, "data.tau"),
        ({"problem": "mackey_glass", "memorize": 4}, "data.memorize"),
    ],
)
def test_an_option_of_another_problem_would_do_nothing(settings, path):
    [fault] = section(**settings).faults()
    assert (fault.path, fault.code) == (path, "field-of-another-problem")
    assert fault.values["problem"] == settings["problem"]


def test_where_an_answer_is_asked_for_at_every_step_no_network_reads_backwards():
    both = ModelConfig(bidirectional=True)
    assert [f.path for f in faults(section("copy"), both, None)] == ["model.bidirectional"]
    assert not list(faults(section("adding"), both, TrainingConfig()))
    assert [f.path for f in faults(section("adding"), both, TrainingConfig(warmup_steps=2))] == [
        "training.warmup_steps"
    ]


def test_what_memory_can_not_hold_is_refused():
    many = {"train": 10**8, "validation": 10**7, "test": 10}
    (fault,) = section(length=100, sizes=many).faults()
    assert (fault.path, fault.code) == ("data.sizes", "too-many-steps")
    assert fault.values == {"steps": 1_000_001_000, "most": 20_000_000}
    few = {"train": 10**8, "validation": 10, "test": 10}
    assert not list(section(length=100, sizes=few).faults()), "those to train on are drawn batch by batch"
    assert [f.path for f in section("mackey_glass", sizes=few).faults()] == ["data.sizes"]


def test_many_symbols_count_as_memory(tmp_path):
    few, many = (trial("copy", symbols=symbols) for symbols in (4, 400))
    sizes = [memory_bytes(config, tasks.load(config, Location())) for config in (few, many)]
    steps, batch = 12 + 2 * 3, 16
    held = 4 * batch * steps * 400 * (1 + 2 + 4)  # one-hot in both kinds, logits, their probabilities and gradients
    assert sizes[1] - sizes[0] > 0.9 * held


def test_symbols_have_no_noise_between_them():
    assert [f.path for f in faults(section("copy"), None, TrainingConfig(input_noise=0.1))] == ["training.input_noise"]
    assert not list(faults(section("adding"), None, TrainingConfig(input_noise=0.1)))


def test_a_warm_up_leaves_steps_to_learn_from():
    wrong = list(faults(section(length=12), ModelConfig(), TrainingConfig(warmup_steps=12)))
    assert [fault.path for fault in wrong] == ["training.warmup_steps"]
    assert not list(faults(section("copy", length=12), ModelConfig(), TrainingConfig(warmup_steps=17)))


def test_a_section_belongs_to_its_task():
    with pytest.raises(ValueError, match="the task forecast needs ForecastData"):
        TrialConfig(**{name: getattr(trial(), name) for name in TrialConfig.model_fields} | {"task": "forecast"})
    with pytest.raises(ValueError, match="lookback"):
        TrialConfig.model_validate(trial().model_dump() | {"task": "forecast"})

import csv
import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss
from told import all_told

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.config.classify import ClassifyData
from lstm.config.model import ModelConfig
from lstm.config.section import File
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig, faults
from lstm.data import classify as classify_data
from lstm.data.classify import batch_of
from lstm.messages.message import note
from lstm.records.errors import BadInput
from lstm.rivals import classify as rivals
from lstm.tasks import registry as tasks
from lstm.tasks.networks import classify
from lstm.training.estimates import memory_bytes, seconds_per_epoch
from lstm.training.loop import train


def metrics_of(config):
    return [f"val/{each.name}" for each in tasks.of(config).metrics_of(config.data)]


CLASSES = ("down", "flat", "up")


def section(**settings):
    base = {"id": "who", "columns": ["a", "b"], "label": "kind"}
    return ClassifyData(**base | {"split": {"validation": 0.2, "test": 0.2}} | settings)


def trial(training=None, model=None, **settings):
    return TrialConfig(
        task="classify",
        data=section(**settings),
        model=ModelConfig(**{"hidden_size": 4} | (model or {})),
        training=TrainingConfig(**{"max_epochs": 2, "batch_size": 16, "learning_rate": 0.01} | (training or {})),
    )


def rows_of(count=90, longest=9, seed=1):
    """Walks of 2 to `longest` steps that go down, stay or go up, with noise beside: id, step, a, b, label."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        kind = number % 3
        walk = (generator.normal(size=generator.integers(2, longest + 1)) * 0.3 + kind - 1).cumsum()
        noise = generator.normal(100, 50, len(walk))
        rows += [[f"s{number}", step, x, z, CLASSES[kind]] for step, (x, z) in enumerate(zip(walk, noise, strict=True))]
    return rows


def write(folder, rows, header=("who", "step", "a", "b", "kind"), name="a.csv"):
    with (folder / name).open("w", newline="") as lines:
        csv.writer(lines).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, rows_of())
    return tmp_path


def file_in(folder, name="a.csv"):
    return File(path=str(folder / name))


def trained(config, folder):
    data = tasks.load(config, file_in(folder))
    [*_, last] = train(config, data)
    return Checkpoint(config, asdict(data.facts), last.state), data


def steps_of(data, number):
    return data.values[data.starts[number] : data.starts[number + 1]]


# --- The file ---------------------------------------------------------------------------------------------


def test_a_file_becomes_sequences(folder):
    data = tasks.load(trial(scaling="none"), file_in(folder))
    rows = rows_of()
    assert data.targets == CLASSES
    assert data.longest == max(np.bincount([int(row[0][1:]) for row in rows]))
    for number in (0, 1, 50, 89):
        wanted = [row[2:4] for row in rows if row[0] == f"s{number}"]
        np.testing.assert_allclose(steps_of(data, number), wanted, rtol=1e-6)
        assert data.targets[data.labels[number]] == CLASSES[number % 3]


def test_parts_hold_each_class_by_its_share_and_are_the_same_again(folder):
    one, same, other = (
        tasks.load(trial(split={"validation": 0.2, "test": 0.3, "seed": seed}), file_in(folder)) for seed in (1, 1, 2)
    )
    everything = np.concatenate([one.parts[part] for part in ("train", "validation", "test")])
    assert sorted(everything) == list(range(90))
    for part, count in (("train", 15), ("validation", 6), ("test", 9)):
        assert np.bincount(one.labels[one.parts[part]]).tolist() == [count] * 3
        assert (one.parts[part] == same.parts[part]).all()
    assert (one.parts["test"] != other.parts["test"]).any()


def test_scaling_looks_at_the_training_part_alone(folder):
    data = tasks.load(trial(), file_in(folder))
    inside = np.concatenate([steps_of(data, number) for number in data.parts["train"]])
    assert inside.mean(axis=0) == pytest.approx([0, 0], abs=1e-5)
    assert inside.std(axis=0) == pytest.approx([1, 1], abs=1e-5)


def test_a_constant_column_becomes_zero(tmp_path):
    write(tmp_path, [[*row[:3], 7, row[4]] for row in rows_of()])
    assert (tasks.load(trial(), file_in(tmp_path)).values[:, 1] == 0).all()


def test_rows_in_any_order_are_put_into_the_order_of_time(folder):
    rows = rows_of()
    write(folder, [rows[i] for i in np.random.default_rng(3).permutation(len(rows))], name="b.csv")
    source = classify_data.read(section(time="step"), folder / "b.csv")
    wanted = classify_data.read(section(time="step"), folder / "a.csv")
    for number, name in enumerate(source.ids):
        place = wanted.ids.index(name)
        found = source.values[source.starts[number] : source.starts[number + 1]]
        assert (found == wanted.values[wanted.starts[place] : wanted.starts[place + 1]]).all()
        assert source.labels[number] == wanted.labels[place]


def test_rows_of_sequences_may_be_mixed_and_ids_are_texts(tmp_path):
    write(tmp_path, [["07", 1, 0, "x"], ["7", 5, 0, "y"], ["07", 2, 0, "x"]], ("who", "a", "b", "kind"))
    source = classify_data.read(section(), tmp_path / "a.csv")
    assert source.ids == ("07", "7")
    assert source.values[:, 0].tolist() == [1, 2, 5]
    assert source.labels == ("x", "y")


def test_whole_numbers_are_classes_in_their_order(tmp_path):
    write(tmp_path, [[*row[:4], {"down": 10, "flat": 9, "up": -1}[row[4]]] for row in rows_of()])
    assert tasks.load(trial(), file_in(tmp_path)).targets == ("-1", "9", "10")


def test_a_parquet_file_gives_the_same(folder):
    pd.read_csv(folder / "a.csv").to_parquet(folder / "a.parquet")
    one, other = tasks.load(trial(), file_in(folder)), tasks.load(trial(), file_in(folder, "a.parquet"))
    assert one.targets == other.targets
    assert (one.labels == other.labels).all()
    np.testing.assert_array_equal(one.values, other.values)


def test_missing_values_are_filled_as_asked(tmp_path):
    rows = [["s", 1, 5, "x"], ["s", "", 6, "x"], ["t", 3, "", "y"], ["t", 4, 8, "y"]]
    write(tmp_path, rows, ("who", "a", "b", "kind"))
    zero = classify_data.read(section(missing="zero"), tmp_path / "a.csv")
    assert zero.values.tolist() == [[1, 5], [0, 6], [3, 0], [4, 8]]
    assert zero.notes == (note("values-missing-noted", "data.missing", count=2, missing="zero"),)
    with pytest.raises(BadInput) as error:
        classify_data.read(section(missing="forward_fill"), tmp_path / "a.csv")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("no-value-to-repeat", f"{tmp_path / 'a.csv'}:4")
    assert wrong.values == {"column": "b"}
    write(tmp_path, [*rows[:2], ["t", 3, 7, "y"], ["t", "", 8, "y"]], ("who", "a", "b", "kind"))
    assert classify_data.read(section(missing="forward_fill"), tmp_path / "a.csv").values[:, 0].tolist() == [1, 1, 3, 3]


GOOD = "".join(f"{kind}{n},0,1,2,{kind}\n{kind}{n},1,1,2,{kind}\n" for kind in "xy" for n in range(5))


@pytest.mark.parametrize(
    ("text", "line", "code", "values", "settings"),
    [
        ("s,0,1,2,x\ns,1,1,2,y\n", ":3", "labels-differ", {"sequence": "s", "label": "y", "other": "x"}, {}),
        ("s,0,1,2,x\nt,1,1,2,x\n", "", "only-one-class", {"column": "kind", "count": 2, "label": "x"}, {}),
        (GOOD + "z,0,1,2,z\n", "", "class-too-small", {"column": "kind", "label": "z", "count": 1, "least": 3}, {}),
        (
            GOOD + "z,0,1,2,z\nq,0,1,2,q\n",
            "",
            "classes-too-small",
            {"column": "kind", "label": "q", "count": 1, "least": 3, "others": 1, "classes": 4},
            {},
        ),
        (GOOD + ",0,1,2,x\n", ":22", "id-or-label-missing", {"column": "who", "role": "id"}, {}),
        (GOOD + "z,0,1,2,\n", ":22", "id-or-label-missing", {"column": "kind", "role": "label"}, {}),
        (GOOD + "z,0,,2,x\n", ":22", "value-missing", {"column": "a"}, {}),
        (GOOD + "z,0,q,2,x\n", ":22", "not-a-number", {"column": "a", "value": "q"}, {}),
        (
            GOOD + "x0,1,1,2,x\n",
            ":22",
            "time-twice-in-sequence",
            {"column": "step", "time": "1", "sequence": "x0"},
            {"time": "step"},
        ),
        (GOOD + "x0,,1,2,x\n", ":22", "time-missing", {"column": "step"}, {"time": "step"}),
        (GOOD, "", "column-not-in-file", {"column": "stp", "near": "step"}, {"time": "stp"}),
        (GOOD + "z,0,1e299,2,x\n", "", "values-too-large", {"column": "a"}, {"scaling": "none"}),
    ],
)
def test_a_wrong_file_is_named(text, line, code, values, settings, tmp_path):
    (tmp_path / "a.csv").write_text("who,step,a,b,kind\n" + text)
    with pytest.raises(BadInput) as error:
        tasks.load(trial(**settings), file_in(tmp_path))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == (code, f"{tmp_path / 'a.csv'}{line}")
    assert wrong.values.items() >= values.items()


def test_ids_and_labels_that_are_not_there_are_told_at_once(tmp_path):
    (tmp_path / "a.csv").write_text("who,step,a,b,sorts\n" + GOOD)
    with pytest.raises(BadInput) as error:
        tasks.load(trial(label="sort", id="sor"), file_in(tmp_path))
    assert [each.code for each in error.value.faults] == ["column-not-in-file"] * 2
    assert [each.values["near"] for each in error.value.faults] == ["sorts", "sorts"]


def test_a_split_that_leaves_nothing_of_a_class_to_train_on_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("who,step,a,b,kind\n" + GOOD)
    with pytest.raises(BadInput) as error:
        tasks.load(trial(split={"validation": 0.6, "test": 0.35}), file_in(tmp_path))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path) == ("class-without-training", "data.split")
    assert wrong.values == {"label": "x", "count": 5, "file": str(tmp_path / "a.csv")}


def test_fractions_are_no_classes_in_parquet(folder):
    pd.read_csv(folder / "a.csv").to_parquet(folder / "a.parquet")
    with pytest.raises(BadInput) as error:
        tasks.load(trial(columns=["a"], label="b"), file_in(folder, "a.parquet"))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("id-or-label-with-fractions", {"column": "b", "role": "label"})


# --- Training ---------------------------------------------------------------------------------------------


def test_a_pass_takes_each_sequence_once_and_groups_like_lengths(folder):
    write(folder, rows_of(count=600, longest=40))
    config = trial({"batch_size": 16})
    data = tasks.load(config, file_in(folder))
    feed = classify.Feed(data, config, "cpu")
    passes = [feed.order(np.random.default_rng(number)) for number in (1, 1, 2)]
    count = -(-feed.items // 16)
    first, again, other = ([batch(place) for place in range(count)] for batch in passes)
    assert all((a[0] == b[0]).all() for a, b in zip(first, again, strict=True))
    assert any(a[0].shape != b[0].shape or (a[0] != b[0]).any() for a, b in zip(first, other, strict=True))
    seen = sorted(
        row[:length].tobytes() for values, lengths, _ in first for row, length in zip(values, lengths, strict=True)
    )
    assert seen == sorted(steps_of(data, number).tobytes() for number in data.parts["train"])
    padded = sum(values.shape[0] * values.shape[1] for values, _, _ in first)
    assert padded < 1.2 * sum(lengths.sum() for _, lengths, _ in first)
    assert all((values[np.arange(values.shape[1]) >= lengths[:, None]] == 0).all() for values, lengths, _ in first)


@pytest.mark.parametrize("model", [{}, {"bidirectional": True}, {"variant": "vanilla"}, {"cell": "gru"}])
def test_metrics_agree_with_a_plain_loop(model, folder, monkeypatch):
    monkeypatch.setattr("lstm.nn.networks.EVALUATION_BATCH", 4)
    config = trial(model=model)
    data = tasks.load(config, file_in(folder))
    torch.manual_seed(1)
    network = classify.build(config, data)
    found = classify.Feed(data, config, "cpu").evaluate(network, "test")
    truth = data.labels[data.parts["test"]]
    likely = []
    for number in data.parts["test"]:
        steps = torch.from_numpy(steps_of(data, number).copy())[None]
        likely.append(torch.softmax(network(steps)[0].detach().double(), dim=0).numpy())
    answered = np.argmax(likely, axis=1)
    assert found["loss"] == pytest.approx(-np.mean([math.log(p[t]) for p, t in zip(likely, truth, strict=True)]))
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, answered))
    assert found["f1"] == pytest.approx(f1_score(truth, answered, average="macro", zero_division=0))
    assert [f"val/{name}" for name in found] == metrics_of(config)


def test_the_loss_of_a_batch_is_that_of_its_sequences_alone(folder):
    config = trial()
    data = tasks.load(config, file_in(folder))
    feed, network = classify.Feed(data, config, "cpu"), classify.build(config, data)
    loss, count = feed.loss(network, batch_of(data, np.arange(7)))
    alone = [feed.loss(network, batch_of(data, np.array([number])))[0].item() for number in range(7)]
    assert count == 7
    assert loss.item() == pytest.approx(np.mean(alone), rel=1e-5)


def test_f1_by_hand():
    answered, truth = np.array([0, 0, 1, 1, 1, 3]), np.array([0, 1, 1, 1, 0, 0])
    likely = np.log(np.eye(4)[answered] * 0.9 + 0.025)
    found = classify.metrics(likely, truth)
    # Class 0: 1 right of 3 occurring, 2 answered; 1: 2 of 3 and 3; 3 is answered alone; 2 does neither and is left out.
    assert found["f1"] == pytest.approx((2 / 5 + 4 / 6 + 0) / 3)
    assert found["f1"] == pytest.approx(f1_score(truth, answered, average="macro"))
    assert found["accuracy"] == pytest.approx(0.5)
    assert classify.confusion(likely, truth).tolist() == confusion_matrix(truth, answered, labels=range(4)).tolist()


@pytest.mark.parametrize("model", [{}, {"bidirectional": True, "forget_bias": "chrono"}])
def test_resumed_it_goes_on_to_the_bit(model, folder):
    config = trial({"max_epochs": 3, "steps_per_epoch": 3}, model)
    data = tasks.load(config, file_in(folder))
    whole = list(train(config, data))
    kept = loads(dumps(Checkpoint(config, asdict(data.facts), whole[0].state)))
    assert kept.config == config
    assert kept.facts == asdict(data.facts)
    resumed = list(train(config, data, kept.state))
    assert [e.value for e in resumed] == [e.value for e in whole[1:]]
    assert all(torch.equal(a, resumed[-1].state.model[n]) for n, a in whole[-1].state.model.items())


def test_it_is_learned_and_beside_the_baseline(folder):
    kept, data = trained(trial({"max_epochs": 15, "learning_rate": 0.03}, {"hidden_size": 8}), folder)
    found = tasks.judge(kept, data)
    assert found["test/accuracy"] > 0.85
    assert found["test/loss"] < 0.5
    assert set(found) == {f"{who}/{name}" for who in ("test", "baseline") for name in ("loss", "accuracy", "f1")}


def test_cost_is_estimated(folder):
    write(folder, rows_of(longest=90), name="long.csv")
    small = large = trial()
    data = [tasks.load(small, file_in(folder, name)) for name in ("a.csv", "long.csv")]
    assert 0 < memory_bytes(small, data[0]) < memory_bytes(large, data[1])
    assert seconds_per_epoch(small, data[0]) > 0
    assert tasks.of(large).span(large, data[1].facts) == data[1].longest
    assert tasks.unshared_parameter_count(small, data[0]) > tasks.parameter_count(small, data[0])


# --- What it is held against ------------------------------------------------------------------------------


def test_the_baseline_is_scikit_learns_on_padded_steps(folder):
    config = trial()
    data = tasks.load(config, file_in(folder))
    flat = np.zeros((len(data.labels), data.longest * 2))
    for number in range(len(flat)):
        steps = steps_of(data, number).ravel()
        flat[number, : len(steps)] = steps
    inside, judged = data.parts["train"], data.parts["test"]
    fitted = LogisticRegression(max_iter=1000).fit(flat[inside], data.labels[inside])
    found, truth, answered = (
        tasks.of(config).baseline_metrics(data, config, "test"),
        data.labels[judged],
        fitted.predict(flat[judged]),
    )
    assert found["loss"] == pytest.approx(log_loss(truth, fitted.predict_proba(flat[judged])), rel=1e-6)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, answered))
    assert found["f1"] == pytest.approx(f1_score(truth, answered, average="macro"))


def test_what_is_too_large_for_the_baseline_has_none_and_says_so(folder, monkeypatch):
    monkeypatch.setattr(rivals, "MOST_FLATTENED", 10)
    kept, data = trained(trial({"max_epochs": 1}), folder)
    assert all(name.startswith("test/") for name in tasks.judge(kept, data))
    assert tasks.of(kept.config).describe(data, kept.config)["data"]["notes"][-1].code == "too-large-for-baseline"


# --- Answers ----------------------------------------------------------------------------------------------


def test_the_picture_shows_what_each_class_is_taken_for(folder):
    kept, data = trained(trial(), folder)
    (shown,) = tasks.examples(kept, data)
    assert shown.x == shown.y == CLASSES
    found = tasks.predict(kept, "a.csv", folder)
    place = {name: found["kind"][number] for number, name in enumerate(found["who"])}
    truth = [data.targets[data.labels[n]] for n in data.parts["test"]]
    answered = [place[f"s{n}"] for n in data.parts["test"]]
    wanted = confusion_matrix(truth, answered, labels=list(CLASSES), normalize="true")
    np.testing.assert_allclose(shown.values, wanted)


def test_a_file_without_labels_is_answered(folder):
    kept, data = trained(trial(), folder)
    write(folder, [row[:4] for row in rows_of(7)], ("who", "step", "a", "b"), "new.csv")
    found = tasks.predict(kept, "new.csv", folder)
    assert list(found) == ["who", "kind", "probability"]
    assert found["who"] == [f"s{number}" for number in range(7)]
    network = tasks.best_network(kept)
    for number in range(7):
        steps = np.array([row[2:4] for row in rows_of(7) if row[0] == f"s{number}"])
        scaled = (steps - np.array(data.scale.mean)) / np.array(data.scale.deviation)
        with torch.no_grad():
            likely = torch.softmax(network(torch.tensor(scaled, dtype=torch.float32)[None])[0], dim=0)
        assert found["kind"][number] == CLASSES[int(likely.argmax())]
        assert found["probability"][number] == pytest.approx(likely.max().item(), rel=1e-5)


def test_a_wrong_file_to_answer_is_named(folder):
    kept, _ = trained(trial({"max_epochs": 1}), folder)
    write(folder, [["s", 1, 2]], ("who", "a", "d"), "new.csv")
    with pytest.raises(BadInput) as error:
        tasks.predict(kept, "new.csv", folder)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("column-not-in-file", str(folder / "new.csv"))
    assert wrong.values["column"] == "b"
    write(folder, [["s", 1e200, 2]], ("who", "a", "b"), "new.csv")
    with pytest.raises(BadInput) as error:
        tasks.predict(kept, "new.csv", folder)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("values-too-large", str(folder / "new.csv"))
    assert wrong.values == {"column": "a"}


# --- The section ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "path", "code", "named"),
    [
        ({"label": "who"}, "data.label", "column-of-two-roles", {"column": "who", "other": "data.id"}),
        ({"columns": ["a", "a"]}, "data.columns", "column-twice-in-a-role", {"column": "a"}),
        ({"time": "a"}, "data.columns", "column-of-two-roles", {"column": "a", "other": "data.time"}),
        ({"label": "probability"}, "data.label", "column-name-taken", {"column": "probability"}),
        ({"split": {"validation": 0.5, "test": 0.5}}, "data.split", "nothing-to-train", {"total": 1.0}),
    ],
)
def test_what_can_not_be_is_told(settings, path, code, named):
    assert all_told(section(**settings).faults()) == [(path, code, named)]


@pytest.mark.parametrize(
    ("model", "training", "path"),
    [
        ({}, {"warmup_steps": 1}, "training.warmup_steps"),
        ({"residual": "last"}, {}, "model.residual"),
        ({"residual": "linear"}, {}, "model.residual"),
        ({"normalization": "window"}, {}, "model.normalization"),
    ],
)
def test_options_that_can_not_work_here_are_refused(model, training, path):
    found = list(faults(section(), ModelConfig(**model), TrainingConfig(**training)))
    assert [fault.path for fault in found] == [path]


def test_reading_backwards_is_allowed():
    assert not list(faults(section(), ModelConfig(bidirectional=True), TrainingConfig()))

"""The task `video`: specs that are refused, training and its exact resume, rivals, estimates, what is predicted."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from told import all_told

from lstm.checkpoint import Checkpoint, dumps, loads
from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig, faults
from lstm.config.video import (
    METRICS,
    FramesFile,
    MovingDigits,
    SequenceShares,
    VideoData,
    VideoModel,
    VideoSizes,
    VideoTraining,
    step_name,
)
from lstm.diagnostics.probe import probe
from lstm.records.errors import BadInput
from lstm.records.figures import Curve, Strip
from lstm.rivals import video as rivals
from lstm.tasks import registry as tasks
from lstm.training.estimates import memory_bytes, seconds_per_epoch
from lstm.training.loop import train

SIZES = VideoSizes(train=24, validation=8, test=6)


def section(**changes):
    digits = MovingDigits(number=1, canvas=8, size=4, speed=1.0, sizes=SIZES, seed=1)
    return VideoData(**{"digits": digits, "lookback": 4, "horizon": 3} | changes)


def trial(model=None, training=None, **changes):
    return TrialConfig(
        task="video",
        data=section(**changes),
        model=VideoModel(**{"cell": "convlstm", "channels": 3, "kernel_size": 3} | (model or {})),
        training=VideoTraining(**{"max_epochs": 3, "batch_size": 8, "learning_rate": 0.01} | (training or {})),
        metric="val/mse",
    )


FLAT = {"cell": "lstm", "channels": None, "kernel_size": None, "hidden_size": 6}


def loaded(config, path=None):
    return tasks.load(config, FramesFile(path=path and str(path)))


@pytest.fixture(scope="module")
def data():
    return loaded(trial())


# --- The spec

BROKEN = [  # changes of the sections, and the faults: field and code
    ({"digits": None}, {}, {}, [("data", "frames-from-nowhere"), ("data.split", "field-missing")]),
    ({"path": "a.npy"}, {}, {}, [("data.path", "frames-of-two-sources")]),
    ({"array": "x"}, {}, {}, [("data.array", "field-of-a-file")]),
    ({"range": [0.0, 1.0]}, {}, {}, [("data.range", "field-of-a-file")]),
    (
        {"split": SequenceShares(validation=0.6, test=0.4)},
        {},
        {},
        [("data.split", "field-of-a-file"), ("data.split", "nothing-to-train")],
    ),
    ({"digits": None, "path": "a.npy"}, {}, {}, [("data.split", "field-missing")]),
    (
        {"digits": None, "path": "a.npy", "split": SequenceShares(validation=0.2, test=0.2), "range": [1.0, 0.0]},
        {},
        {},
        [("data.range", "range-upside-down")],
    ),
    (
        {"digits": MovingDigits(canvas=8, size=9, sizes=SIZES)},
        {},
        {},
        [("data.digits.size", "digit-larger-than-canvas")],
    ),
    (
        {"digits": MovingDigits(canvas=512, sizes=VideoSizes(train=9_999, validation=1, test=1))},
        {},
        {},
        [("data.digits.sizes", "too-many-pixels")],
    ),
    ({}, {"patch": 3}, {}, [("model.patch", "patch-does-not-fit")]),
    ({}, {"kernel_size": 4}, {}, [("model.kernel_size", "kernel-without-middle")]),
    ({}, {"hidden_size": 32}, {}, [("model.hidden_size", "field-of-another-cell")]),
    ({}, {**FLAT, "channels": 8}, {}, [("model.channels", "field-of-another-cell")]),
    ({}, {**FLAT, "kernel_size": 3}, {}, [("model.kernel_size", "field-of-another-cell")]),
    ({}, {**FLAT, "patch": 2}, {}, [("model.patch", "field-of-another-cell")]),
    ({}, {**FLAT, "peepholes": True}, {}, [("model.peepholes", "field-of-another-cell")]),
    ({}, {"bidirectional": True}, {}, [("model.bidirectional", "bidirectional-of-frames")]),
    ({}, {"variant": "vanilla"}, {}, [("model.variant", "variant-of-another-cell")]),
    ({}, {"residual": "last"}, {}, [("model.residual", "field-of-forecast")]),
    ({}, {"normalization": "window"}, {}, [("model.normalization", "field-of-forecast")]),
    ({}, {"dropout": 0.1}, {}, [("model.dropout", "dropout-without-layers")]),
    ({}, {"output": "linear"}, {"loss": "cross_entropy"}, [("training.loss", "cross-entropy-of-linear")]),
    ({}, {}, {"warmup_steps": 1}, [("training.warmup_steps", "warmup-of-frames")]),
    (
        {"lookback": 1, "horizon": 1},
        {"forget_bias": "chrono"},
        {},
        [("model.forget_bias", "chrono-of-short-sequences")],
    ),
]


@pytest.mark.parametrize(("data", "model", "training", "wanted"), BROKEN)
def test_combinations_that_are_wrong_or_do_nothing(data, model, training, wanted):
    from lstm.config.tasks import in_spec

    whole = in_spec(VideoData, FramesFile)
    given = whole(**{"path": None, **dict(section())} | data)
    found = faults(given, trial(model).model, trial(training=training).training)
    assert [(where, code) for where, code, _ in all_told(found)] == wanted


def test_what_only_frames_need_is_no_field_of_another_task():
    assert not {"channels", "kernel_size", "patch", "peepholes", "output"} & ModelConfig.model_fields.keys()
    assert "loss" not in TrainingConfig.model_fields
    with pytest.raises(ValueError, match="convlstm"):
        ModelConfig(cell="convlstm")


def test_a_configuration_is_read_as_it_was_written():
    assert TrialConfig.model_validate(trial().model_dump()) == trial()


# --- Training


SLOWER = ("linear", "gru", "variant")
KINDS = {
    "convlstm": ({}, {}),
    "all of it": (
        {"num_layers": 2, "patch": 2, "peepholes": True, "dropout": 0.2, "forget_bias": 1.0},
        {"loss": "cross_entropy", "input_noise": 0.1},
    ),
    "linear": ({"output": "linear"}, {}),
    "lstm": (FLAT, {}),
    "gru": ({**FLAT, "cell": "gru", "num_layers": 2}, {"loss": "cross_entropy"}),
    "variant": ({**FLAT, "variant": "vanilla"}, {}),
}


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.faults) if k in SLOWER else k for k in KINDS])
def test_training_resumes_to_the_bit_and_is_judged_as_it_was(data, kind):
    config = trial(*KINDS[kind])
    whole = [*train(config, data)]
    assert len(whole) == 3
    kept = loads(dumps(Checkpoint(config, tasks.facts_row(config, data, 1), whole[0].state)))
    rest = [*train(kept.config, data, kept.state)]
    assert [epoch.value for epoch in rest] == [epoch.value for epoch in whole[1:]]
    for name, weights in whole[-1].state.model.items():
        assert torch.equal(rest[-1].state.model[name], weights)
    last = loads(dumps(Checkpoint(config, tasks.facts_row(config, data, 1), whole[-1].state)))
    best = whole[last.state.best_epoch - 1]
    names = {each.name for each in tasks.of(config).metrics_of(config.data)}
    assert {name.removeprefix("val/") for name in best.metrics if name.startswith("val/")} == names
    assert names == {"loss", *METRICS, *(step_name(m, s) for m in METRICS for s in (1, 2, 3))}
    again = tasks.judge_items(last, data, "validation", "trial 0")
    for name, value in again.metrics.items():
        assert value == pytest.approx(best.metrics[f"val/{name}"], rel=1e-5)
        assert again.items.mean(name) == pytest.approx(value)


def test_it_learns_what_moves():
    config = trial(
        {"channels": 8},
        {"max_epochs": 12, "learning_rate": 0.03, "loss": "cross_entropy"},
        digits=MovingDigits(
            number=1, canvas=8, size=4, speed=1.0, sizes=SIZES.model_copy(update={"train": 128}), seed=1
        ),
    )
    data = loaded(config)
    best = min(epoch.value for epoch in train(config, data))
    judged = {}
    for rule in (rivals.LastFrame(), rivals.BlackFrame(), rivals.MeanFrame()):
        judged[rule.name] = rule.judge(rule.fit(data, config), data, config, "validation").metrics["mse"]
    assert best < 0.85 * min(judged.values())


def test_estimates_and_parameters_are_those_of_the_network(data):
    for config in (trial(), trial({"patch": 2}), trial(FLAT)):
        assert seconds_per_epoch(config, data, steps=1) > 0
        network = tasks.of(config).network(config, data.facts)
        count = sum(p.numel() for p in network.parameters())
        assert tasks.parameter_count(config, data) == count
        halves = [sum(p.numel() for p in half.parameters()) for half in (network.cell, network.forecaster)]
        assert tasks.unshared_parameter_count(config, data) == count + 3 * halves[0] + 2 * halves[1]
    small, large = (memory_bytes(trial({"channels": channels}), data) for channels in (3, 30))
    assert 5 < large / small < 15
    assert memory_bytes(trial({"patch": 2}), data) < small


def test_all_metrics_but_the_loss_mean_the_same_whatever_it_is():
    names = {each.name for each in tasks.TASKS["video"].metrics_of(trial().data)}
    assert VideoData.changes_unit == ("training.loss",)
    assert {name for name in names if not VideoData.is_same_for_all(name)} == {"loss"}


def test_patches_that_do_not_fit_a_file_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (20, 7, 6, 9), dtype=np.uint8))
    config = trial({"patch": 2}, digits=None, split=SequenceShares(validation=0.2, test=0.2))
    data = loaded(config, tmp_path / "a.npy")
    (wrong,) = tasks.of(config).unfit(config, data)
    assert (wrong.code, wrong.values) == ("patch-does-not-fit", {"patch": 2, "height": 6, "width": 9})
    assert not [*tasks.of(config).unfit(trial({"patch": 3}), data)]


# --- Predictions, pictures, probes


def checkpoint(config, data):
    [*_, last] = train(config.model_copy(update={"training": VideoTraining(max_epochs=1, batch_size=8)}), data)
    return Checkpoint(config, tasks.facts_row(config, data, 1), last.state)


def test_frames_are_predicted_from_a_file_or_the_test_part(tmp_path, data):
    config = trial()
    kept = checkpoint(config, data)
    made = tasks.predict(kept, None, tmp_path)
    assert made.values.shape == (6, 3, 8, 8)
    assert list(made.strip.rows)[:3] == ["past 1", "truth 1", "forecast 1"]
    network = tasks.best_network(kept)
    past, _ = data.items(data.parts["test"])
    with torch.no_grad():
        wanted = network(torch.from_numpy(past)).numpy()[:, :, 0] * 255
    assert made.values == pytest.approx(wanted, abs=1e-3)
    frames = data.values[data.parts["test"], :4]
    np.save(tmp_path / "new.npy", frames[..., 0])
    assert tasks.predict(kept, "new.npy", tmp_path).values == pytest.approx(wanted, abs=1e-3)
    np.save(tmp_path / "new.npy", np.concatenate([frames[:, :1], frames], axis=1))  # the last ones are read
    found = tasks.predict(kept, "new.npy", tmp_path)
    assert found.values == pytest.approx(wanted[..., None], abs=1e-3)
    assert list(found.strip.rows)[:2] == ["past 1", "forecast 1"]
    both = tasks.predict(kept, "new.npy", tmp_path, kept)
    assert both.values == pytest.approx(found.values, abs=1e-3)
    with pytest.raises(BadInput):
        tasks.predict(kept, "new.npy", tmp_path, steps=3)


def test_examples_are_strips_beside_the_best_rival_and_errors_by_step(data):
    config = trial()
    *strips, mse, mae, ssim = tasks.examples(checkpoint(config, data), data)
    title, _, metrics = rivals.best(data, config)
    assert [type(each) for each in strips] == [Strip] * 3
    assert all([*each.rows] == ["past", "truth", "forecast", title] for each in strips)
    assert [len(frames) for frames in strips[0].rows.values()] == [4, 3, 3, 3]
    assert strips[0].rows["truth"][2] == data.values[data.parts["test"][0], 6].tobytes()
    assert all(isinstance(each, Curve) and each.x == (1, 2, 3) for each in (mse, mae, ssim))
    assert mse.series[title] == tuple(metrics[step_name("mse", step)] for step in (1, 2, 3))


@pytest.mark.parametrize("kind", [pytest.param("convlstm", marks=pytest.mark.faults), "lstm"])
def test_a_network_is_probed(data, kind):
    found = probe(tasks.subject(checkpoint(trial(KINDS[kind][0]), data), data))
    assert 0 <= found.numbers["delay/peak"] <= 3
    assert any("forget" in name for name in found.numbers) == (kind == "lstm")


# --- Rivals


def still(frames, **changes):
    values = np.asarray(frames, dtype=np.float32)[..., None]
    every = np.arange(len(values))
    made = video_frames(values, {"train": every, "validation": every, "test": every})
    return dataclasses.replace(made, **changes)


def video_frames(values, parts):
    from lstm.data.video import Frames

    return Frames(values, parts, 4, 3, 0.0, 1.0, "made")


def test_constant_rivals_are_the_frames_that_they_say():
    data, config = still(np.random.default_rng(1).random((5, 7, 8, 9))), trial()
    past, ahead = data.items(np.arange(5))
    for rule, wanted in (
        (rivals.LastFrame(), past[:, -1:]),
        (rivals.BlackFrame(), 0 * ahead),
        (rivals.MeanFrame(), ahead.mean(axis=(0, 1))),
    ):
        fitted = rule.fit(data, config)
        assert rule.frames(fitted, past, 3) == pytest.approx(np.broadcast_to(wanted, ahead.shape), abs=1e-6)
        judged = rule.judge(fitted, data, config, "test")
        assert judged.metrics["mse"] == pytest.approx(np.square(wanted - ahead).mean(), rel=1e-5)
        assert judged.metrics["loss"] == pytest.approx(judged.metrics["mse"])
    entropy = rule.judge(fitted, data, trial(training={"loss": "cross_entropy"}), "test").metrics["loss"]
    wanted = np.broadcast_to(ahead.mean(axis=(0, 1)), ahead.shape)
    assert entropy == pytest.approx(-(ahead * np.log(wanted) + (1 - ahead) * np.log(1 - wanted)).mean(), rel=1e-5)


def test_a_motion_of_the_whole_frame_goes_on():
    generator, frames = np.random.default_rng(2), np.zeros((6, 7, 20, 24))
    for item, (down, right) in enumerate([(1, 0), (0, 1), (-1, 1), (1, -1), (-1, -1), (0, 0)]):
        picture = generator.random((6, 6))
        for step in range(7):
            row, column = 7 + down * step, 9 + right * step
            frames[item, step, row : row + 6, column : column + 6] = picture
    data, config = still(frames), trial()
    rule = rivals.Shift()
    fitted = rule.fit(data, config)
    past, ahead = data.items(np.arange(6))
    assert rule.frames(fitted, past, 3) == pytest.approx(ahead)
    assert rule.judge(fitted, data, config, "validation").metrics["mse"] == pytest.approx(0, abs=1e-12)
    assert rivals.best(data, config)[0] == fitted.title
    alone = dataclasses.replace(data, lookback=1, horizon=3)
    with pytest.raises(rivals.LeftOut):
        rule.fit(alone, config)


def test_what_moves_out_is_gone_and_what_comes_in_is_black():
    frame = np.arange(1, 13).reshape(1, 3, 4)
    for down, right in itertools.product(range(-4, 5), repeat=2):
        found = rivals.moved(frame, down, right)
        for row, column in itertools.product(range(3), range(4)):
            y, x = row - down, column - right
            assert found[0, row, column] == (frame[0, y, x] if 0 <= y < 3 and 0 <= x < 4 else 0)


def test_ridge_is_the_least_squares_map_of_each_pixel():
    generator = np.random.default_rng(3)
    past = generator.random((30, 4, 5, 6)) * 0.4
    weights = np.array([[0.1, 0.2, 0.3], [0, 0.1, 0.2], [0.4, 0.3, 0.1], [0.3, 0.1, 0]])
    ahead = np.einsum("ntyx,th->nhyx", past, weights) + 0.05
    data, config = still(np.concatenate([past, ahead], axis=1)), trial()
    rule = rivals.Ridge()
    fitted = rule.fit(data, config)
    assert fitted.settings["penalty"] == min(rivals.PENALTIES)
    given, wanted = data.items(np.arange(30))
    assert rule.frames(fitted, given, 3) == pytest.approx(wanted, abs=2e-3)

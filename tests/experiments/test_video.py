"""Frames from a file to a verdict, a prediction and a report; and what is refused with exit code 2, nothing written."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from experiments import load
from experiments.cli import main
from experiments.operations.drafting import new
from experiments.spec import loader
from lstm.records.errors import BadInput

SPEC = """\
name: frames
task: video
data: {path: frames.npz, lookback: 3, horizon: 2, range: [0, 255], split: {validation: 0.2, test: 0.2}}
model: {cell: convlstm, channels: 3, kernel_size: 3, patch: 2, hidden_size: 5}
training: {max_epochs: 2, batch_size: 8, learning_rate: 0.01, loss: cross_entropy}
search:
  metric: val/mse
  n_trials: 2
  sampler: {type: random, seed: 1}
  first:
    - {model.cell: convlstm, training.learning_rate: 0.01}
    - {model.cell: lstm, training.learning_rate: 0.01}
  space:
    model.cell: {type: categorical, choices: [convlstm, lstm]}
    training.learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
resources: {gpus_per_trial: 0}
"""


def frames(count=40, time=6, seed=1):
    """A bright square of 3 x 3 that goes to the right, over 8 x 8 pixels."""
    generator, made = np.random.default_rng(seed), np.zeros((count, time, 8, 8), dtype=np.uint8)
    for sequence, (row, column) in enumerate(generator.integers(0, 5, (count, 2))):
        for step in range(time):
            made[sequence, step, row : row + 3, (column + step + np.arange(3)) % 8] = 200
    return made


@pytest.fixture(scope="module")
def swept(tmp_path_factory, near):
    """A folder with frames, their spec and the sweep of it."""
    folder = tmp_path_factory.mktemp("frames")
    np.savez(folder / "frames.npz", frames())
    (folder / "a.yaml").write_text(SPEC)
    ran = near("run", "a.yaml", "--home", "h", cwd=folder, drawn=True)
    assert ran.code == 0, ran.err
    folder.joinpath("told.txt").write_text(ran.out)
    return folder


def test_a_sweep_of_frames_has_its_verdict_and_strips_in_the_report(swept, near):
    told = (swept / "told.txt").read_text()
    for rival in ("last frame", "black frame", "mean frame", "shift", "ridge"):
        assert rival in told
    assert "mse/step_1" not in told  # beside mse
    report = (swept / "h" / "frames" / "report.html").read_text()
    pictures = re.findall(r'<img class="strip" alt="([^"]*)" src="data:image/png;base64,([^"]*)">', report)
    assert len(pictures) == 3
    alt, source = pictures[0]
    assert "past, truth, forecast, " in alt
    sheet = Image.open(io.BytesIO(base64.b64decode(source)))
    assert sheet.width > 3 * 64
    assert sheet.height == 4 * (64 + 3)
    assert "by step ahead" in report
    verified = near("verify", "frames", "--home", "h", cwd=swept)
    assert verified.code == 0, verified.out


def test_frames_are_written_with_a_strip_beside_them(swept, near, tmp_path):
    np.save(tmp_path / "new.npy", frames(3, 4, seed=2))
    command = ("predict", "frames", "--home", swept / "h")
    for words, code in (
        ((), "--output: is needed"),
        (("--output", "f.csv"), "use f.npy"),
        (("--output", "none/f.npy"), "none"),
        (("--input", "new.npy", "--output", "new.npy"), "new.npy"),
        (("--output", "f.npy", "--steps", "3"), "--steps"),
        (("--output", "f.npy", "--model", "ridge"), "--model"),
    ):
        answer = near(*command, *words, cwd=tmp_path)
        assert answer.code == 2, words
        assert code in answer.err
        assert {path.name for path in tmp_path.iterdir()} == {"new.npy"}
    done = near(*command, "--input", "new.npy", "--output", "f.npy", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out)["shape"] == [3, 2, 8, 8]
    found = np.load(tmp_path / "f.npy")
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 255
    with Image.open(tmp_path / "f.png") as sheet:
        assert sheet.height == 6 * (64 + 3)
    assert near(*command, "--input", "new.npy", "--output", "f.npy", cwd=tmp_path).code == 2  # it is there
    assert np.array_equal(load("frames", home=swept / "h").predict(frames(3, 4, seed=2)), found)
    whole = near(*command, "--output", "all.npy", cwd=tmp_path)
    assert "all.npy: 40 sequences by trial" in whole.out


@pytest.mark.faults
def test_frames_are_rebuilt_in_mlflow(swept, near):
    assert near("rebuild", "frames", "--home", "h", cwd=swept).code == 0
    assert near("verify", "frames", "--home", "h", cwd=swept).code == 0


def test_a_drafted_spec_runs_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, made in (
        ("bytes", frames(60, 12)),
        ("floats", frames(60, 12) / 255),
        ("signed", frames(60, 12) / 255 - 0.5),
    ):
        np.savez_compressed(f"{kind}.npz", made)
        written = new(f"{kind}.npz")
        assert written.task == "video"
        assert written.windows == {"train": 42, "validation": 9, "test": 9}
        assert loader.load(written.path).experiment.data.lookback == 6
    assert new("bytes.npz", horizon=2, force=True).facts["horizon"] == 2
    np.save("few.npy", frames(5))
    for words in (["new", "few.npy"], ["new", "bytes.npz", "--target", "x", "--force"]):
        assert CliRunner().invoke(main, words).exit_code == 2


WRONG = {  # what is changed, and what the message must say
    "no frames": (("path: frames.npz, ", ""), "data: has neither a path nor digits"),
    "no file": (("frames.npz", "frame.npz"), "frames.npz"),
    "too long": (("lookback: 3", "lookback: 5"), "5 + 2 = 7 frames"),
    "no look-back": (("lookback: 3, ", ""), "data.lookback"),
    "no horizon": (("horizon: 2", "horizon: 0"), "data.horizon"),
    "out of range": (("range: [0, 255]", "range: [0, 100]"), "has the value 200"),
    "range upside down": (("range: [0, 255]", "range: [255, 0]"), "data.range"),
    "half a range": (("range: [0, 255]", "range: [0]"), "data.range"),
    "no split": ((", split: {validation: 0.2, test: 0.2}", ""), "data.split"),
    "nothing left": (("test: 0.2", "test: 0.8"), "data.split"),
    "empty part": (("test: 0.2", "test: 0.001"), "has 40"),
    "unknown array": (("lookback", "array: x, lookback"), "arr_0"),
    "both sources": (("lookback", "digits: {sizes: {train: 9, validation: 9, test: 9}}, lookback"), "data.path"),
    "unknown field": (("lookback", "frames: 3, lookback"), "data.frames"),
    "even kernel": (("kernel_size: 3", "kernel_size: 4"), "an even number"),
    "patch": (("patch: 2", "patch: 3"), "8 x 8"),
    "patch in the space": (
        (
            "    training.learning_rate: {",
            "    model.patch: {type: int, low: 2, high: 3}\n" + "    training.learning_rate: {",
        ),
        "8 x 8",
    ),
    "two directions": (("patch: 2", "bidirectional: true"), "model.bidirectional"),
    "warm-up": (("batch_size: 8", "batch_size: 8, warmup_steps: 1"), "training.warmup_steps"),
    "linear": (("patch: 2", "output: linear"), "training.loss"),
    "unknown metric": (
        ("val/mse", "val/psnr"),
        "search.metric: is 'val/psnr', did you mean val/mse? Use one of val/loss, val/mse, val/mae, val/ssim, or of a "
        "part, as in val/mse/step_1",
    ),
    "unknown step": (("val/mse", "val/mse/step_3"), "did you mean val/mse/step_2? Use one of"),
    "capitals": (("val/mse", "val/SSIM"), "did you mean val/ssim?"),
    "the worst": (("val/mse", "val/ssim"), "maximize"),
    "another unit": (
        (
            "learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}",
            "loss: {type: categorical, choices: [mse, cross_entropy]}",
        ),
        "val/loss",
    ),
    "data are not searched": (("training.learning_rate: {", "data.lookback: {"), "data.lookback"),
}


def changed(name):
    (old, new), told = WRONG[name]
    text = SPEC
    if name == "another unit":
        text = re.sub(r"  first:\n.*\n.*\n", "", text).replace("val/mse", "val/loss")
    if name == "data are not searched":
        text = (
            re.sub(r"  first:\n.*\n.*\n", "", text)
            .replace("low: 1e-3, high: 1e-1, log: true", "low: 1, high: 3")
            .replace("float", "int")
        )
    assert old in text
    return text.replace(old, new), told


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_spec_is_refused_and_nothing_is_written(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    np.savez("frames.npz", frames())
    text, told = changed(wrong)
    Path("a.yaml").write_text(text)
    answer = CliRunner().invoke(main, ["run", "a.yaml", "--home", "h", "--in-process"])
    assert answer.exit_code == 2
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.yaml", "frames.npz"}


def test_the_loss_is_searched_by_a_metric_that_all_trials_share(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, _ = changed("another unit")
    Path("a.yaml").write_text(
        text.replace("val/loss", "val/ssim").replace("  n_trials", "  direction: maximize\n  n_trials")
    )
    assert loader.load("a.yaml").experiment.search.metric == "val/ssim"


def test_a_field_of_one_cell_may_stay_in_a_search_over_cells_and_gives_way_to_an_override(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(SPEC)
    assert loader.load("a.yaml").notes == ()
    Path("a.yaml").write_text(
        SPEC.replace("choices: [convlstm, lstm]", "choices: [gru, lstm]").replace("cell: convlstm", "cell: lstm")
    )
    answer = CliRunner().invoke(main, ["plan", "a.yaml"])
    assert answer.exit_code == 2
    assert "model.channels: would do nothing: the cell is lstm" in answer.stderr


def test_generated_digits_need_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digits = "digits: {canvas: 8, size: 4, sizes: {train: 8, validation: 4, test: 4}}, lookback: 3, horizon: 2"
    Path("a.yaml").write_text(re.sub("data: {.*}", f"data: {{{digits}}}", SPEC))
    spec = loader.load("a.yaml")
    assert spec.written_location == {}
    assert spec.shown_location == ""
    assert loader.comparable(spec)["data.path"] is None  # frames of a file instead would be another sweep
    assert loader.load("a.yaml").location.path is None


def test_a_wrong_section_data_does_not_make_the_searched_fields_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = "    model.kernel_size: {type: categorical, choices: [3, 5], when: {model.cell: convlstm}}\n"
    Path("a.yaml").write_text(SPEC.replace("[0, 255]", "[0, .nan]").replace("resources:", f"{space}resources:"))
    with pytest.raises(BadInput) as error:
        loader.load("a.yaml")
    assert {each.path.partition(".")[0] for each in error.value.faults} == {"data"}

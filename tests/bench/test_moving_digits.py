"""The study of both cells on tiny frames: its file, and that it goes on where it was."""

import json

import moving_digits
import pytest

TINY = ["data.digits.canvas=8", "data.digits.size=4", "data.digits.sizes.train=16", "data.digits.sizes.validation=8"]
TINY += ["data.digits.sizes.test=12", "data.lookback=2", "data.horizon=2", "model.channels=2", "model.hidden_size=4"]


def study(out, epochs):
    words = ["--out", str(out), "--epochs", str(epochs), "--rates", "0.01", "0.02", "--set", *TINY]
    assert moving_digits.main(words) == 0
    return json.loads(out.read_text())


def test_both_cells_are_trained_and_compared_and_a_kept_training_goes_on(tmp_path, monkeypatch, capsys):
    found = study(tmp_path / "a.json", 2)
    assert [found["networks"][cell]["training"]["learning_rate"] for cell in ("convlstm", "lstm")] == [0.01, 0.02]
    assert {"lstm", "black frame", "mean frame", "shift"} < found["convlstm_better_than"].keys()
    against = found["convlstm_better_than"]["black frame"]
    assert against["low"] < against["value"] < against["high"]
    assert "mse/step_2" in found["rivals"]["ridge"]
    capsys.readouterr()
    again = study(tmp_path / "a.json", 2)
    assert "epoch" not in capsys.readouterr().out  # nothing is trained again
    for each in (found, again):
        each.pop("date")
    assert again == found
    with pytest.raises(SystemExit):
        study(tmp_path / "a.json", 3)  # a cosine over 3 epochs is another training

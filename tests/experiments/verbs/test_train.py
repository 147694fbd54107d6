import json

from lstm import checkpoint


def test_epochs_are_told_kept_and_not_repeated(folder, sweep):
    answer = sweep("train", "tiny.yaml")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert [line.split()[:3] for line in lines[:2]] == [["epoch", "1", "train/loss"], ["epoch", "2", "train/loss"]]
    assert lines[1].endswith(" s  (max_epochs)")
    assert lines[2].startswith("Best: val/loss ")
    assert lines[4].strip() == str(folder / "runs" / "tiny" / "train")
    assert len(checkpoint.load(str(folder / "runs" / "tiny" / "train")).state.history) == 2

    again = sweep("train", "tiny.yaml").out.splitlines()
    assert again[0] == "tiny: trained for 2 epochs before (max_epochs); nothing was left to do"
    assert again[1:] == lines[2:]


def test_it_goes_on_where_it_stopped(folder, sweep, monkeypatch):
    from lstm import training

    whole = training.train
    monkeypatch.setattr(training, "train", lambda *a, **k: iter([next(whole(*a, **k))]))
    sweep("train", "tiny.yaml")
    monkeypatch.setattr(training, "train", whole)
    lines = sweep("train", "tiny.yaml").out.splitlines()
    assert lines[0] == "tiny: trained for 1 epochs before: goes on"
    assert lines[1].startswith("epoch 2  ")


def test_the_document(folder, sweep):
    answer = sweep("train", "tiny.yaml", "--json")
    document = json.loads(answer.out)
    assert [row["epoch"] for row in document["history"]] == [1, 2]
    assert {"train/loss", "val/loss", "lr", "grad_norm", "epoch_s"} <= document["history"][0].keys()
    assert document["best"]["value"] == min(row["val/loss"] for row in document["history"])
    assert "test/mae_original" in document["best"]["metrics"]


def test_another_configuration_starts_anew(folder, sweep):
    sweep("train", "tiny.yaml")
    assert sweep("train", "tiny.yaml", "--set", "training.seed=2").out.startswith("epoch 1  ")

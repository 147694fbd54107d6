import json

import pytest

from experiments.operations import training
from lstm import checkpoint
from lstm.messages.message import note


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
    assert again[0] == str(note("training-was-complete", at="tiny", epochs=2, stop="max_epochs"))
    assert again[1:] == lines[2:]


def test_it_goes_on_where_it_stopped(folder, sweep, monkeypatch):
    from lstm.training import loop

    whole = loop.train
    monkeypatch.setattr(loop, "train", lambda *a, **k: iter([next(whole(*a, **k))]))
    sweep("train", "tiny.yaml")
    monkeypatch.setattr(loop, "train", whole)
    lines = sweep("train", "tiny.yaml").out.splitlines()
    assert lines[0] == str(note("training-goes-on", at="tiny", epochs=1))
    assert lines[1].startswith("epoch 2  ")


def test_the_document(folder, sweep):
    answer = sweep("train", "tiny.yaml", "--json")
    document = json.loads(answer.out)
    assert [row["epoch"] for row in document["history"]] == [1, 2]
    assert {"train/loss", "val/loss", "lr", "grad_norm", "epoch_s"} <= document["history"][0].keys()
    assert document["best"]["value"] == min(row["val/loss"] for row in document["history"])
    assert "test/mae_original" in document["best"]["metrics"]


def test_what_gives_way_to_an_override_is_noted(folder, sweep):
    (folder / "tiny.yaml").write_text(
        (folder / "tiny.yaml").read_text().replace("max_epochs: 2", "max_epochs: 9, patience: 4")
    )
    answer = sweep("train", "tiny.yaml", "--set", "training.max_epochs=1", "--json")
    assert answer.code == 0
    [note] = json.loads(answer.out)["warnings"]
    assert (note["code"], note["path"], note["values"]["written"]) == ("field-left-out", "training.patience", "4")
    assert answer.err == f"note: {note['place']}: {note['path']}: {note['message']}\n"


def test_it_goes_on_where_its_data_were_moved(folder, sweep):
    sweep("train", "tiny.yaml")
    (folder / "tiny.csv").rename(folder / "moved.csv")
    again = sweep("train", "tiny.yaml", "--set", "data.path=moved.csv").out
    assert "nothing was left to do" in again.splitlines()[0]


def test_another_configuration_starts_anew(folder, sweep):
    sweep("train", "tiny.yaml")
    assert sweep("train", "tiny.yaml", "--set", "training.seed=2").out.startswith("epoch 1  ")


def test_what_the_memory_can_not_hold_is_refused_before_anything_is_written(folder, sweep, monkeypatch):
    monkeypatch.setattr(training, "_limits", lambda: iter([10**9, 10**6]))
    assert sweep("train", "tiny.yaml").code == 0
    # There are no more windows than there are rows, whatever a batch may hold.
    assert sweep("train", "tiny.yaml", "--set", "training.batch_size=1000000").code == 0
    monkeypatch.setattr(training, "_limits", lambda: iter([10**9, 10**3]))
    for verb in ("train", "plan"):
        answer = sweep(verb, "tiny.yaml", "--home", "other")
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("tiny.yaml:9: model: ")
        assert answer.err.count(" 0.0 GB") == 2, "what a trial needs, and what the machine has left"
    assert not (folder / "other").exists()


def test_memory_that_ends_while_it_trains_is_told_in_a_line(folder, sweep, monkeypatch):
    from lstm.training import loop

    def fails(error):
        def train(*arguments, **settings):
            yield next(whole(*arguments, **settings))
            raise error

        return train

    whole = loop.train
    monkeypatch.setattr(loop, "train", fails(RuntimeError("DefaultCPUAllocator: can't allocate memory")))
    answer = sweep("train", "tiny.yaml")
    assert answer.code == 1
    assert answer.err.startswith("tiny: ")
    assert [part for part in ("epoch 2", "model.hidden_size", "training.batch_size") if part not in answer.err] == []
    assert answer.err.count("\n") == 1
    monkeypatch.setattr(loop, "train", fails(RuntimeError("something else")))
    with pytest.raises(RuntimeError, match="something else"):
        sweep("train", "tiny.yaml", "--home", "other")


def test_a_gpu_that_is_asked_for_and_is_not_used_is_told(folder, sweep, monkeypatch):
    from lstm import device

    monkeypatch.setattr(device, "gpu_count", lambda: 0)
    monkeypatch.setattr(device, "claim", lambda *_: "cpu")
    answer = sweep("train", "tiny.yaml", "--set", "resources.gpus_per_trial=1")
    assert (answer.code, answer.err.count("\n")) == (0, 1)
    assert [part for part in ("CPU", device.why_no_gpu()) if part not in answer.err] == []
    assert sweep("train", "tiny.yaml", "--home", "other").err == ""

import json
import os
import subprocess
from pathlib import Path

import pytest
import ray
import torch
from matrix import diagonal

from cluster.ray_backend import nodes
from experiments import planning as plans
from experiments.home import Home
from experiments.spec import loader as specs
from lstm import device
from lstm.records.errors import BadInput


@pytest.fixture
def make(folder, tiny):
    """The plan of the tiny spec, changed by overrides."""

    def make(*overrides, home="runs", text=tiny.spec, **environment):
        (folder / "tiny.yaml").write_text(text)
        return plans.make(specs.load("tiny.yaml", overrides, os.environ | environment), Home.at(home))

    return make


def test_the_home(folder):
    home = Home.at("runs")
    assert home.folder == folder / "runs"
    assert home.study_url == f"sqlite:///{folder}/runs/study.db"
    assert home.tracking_uri == f"sqlite:///{folder}/runs/mlflow.db"
    assert home.artifacts == f"{folder}/runs/artifacts"
    assert home.sweep("a") == folder / "runs" / "a"
    assert Home.at("a/../runs").folder == folder / "runs"
    assert Home.at("~/x").folder == Path.home() / "x"
    assert Home.at("~nobody-of-this-name/x").folder == folder / "~nobody-of-this-name" / "x"


def test_a_plan_is_the_order_that_is_carried_out(make, folder):
    plan = make()
    order = plan.order
    assert order.name == "tiny"
    assert order.study_url == plan.home.study_url
    assert order.checkpoints == str(folder / "runs" / "tiny" / order.study_id)
    assert order.folder == str(folder)
    assert order.search.n_trials == 4
    assert len(plan.series.values) == 300
    assert plan.artifacts == plan.home.artifacts
    assert not (folder / "runs").exists()


def test_what_may_change_leaves_the_hash_and_the_rest_does_not(make):
    first = make().order.spec_hash
    free = ["search.n_trials=9", "search.stop={max_hours: 1}", "resources.max_concurrent=1", "tracking.checkpoints=all"]
    assert make(*free, "storage.checkpoints=elsewhere").order.spec_hash == first
    for fixed in ("training.seed=2", "search.sampler.seed=4", "data.lookback=13", "model.cell=gru"):
        assert make(fixed).order.spec_hash != first


def test_addresses_of_ones_own(make, folder):
    plan = make("storage.checkpoints=there", "storage.study=sqlite:///a.db", "tracking.uri=http://me:hunter2@host")
    assert plan.order.checkpoints == str(folder / "there" / "tiny" / plan.order.study_id)
    assert plan.order.study_url == f"sqlite:///{folder}/a.db"
    assert plan.artifacts is None
    order = make("storage.checkpoints=s3://bucket/x").order
    assert order.checkpoints == f"s3://bucket/x/tiny/{order.study_id}"


def test_the_environments_values_stay_out_of_orders_and_messages(make, tiny, folder):
    text = tiny.spec.replace("path: tiny.csv", "path: ${WHERE}")
    (folder / "private.csv").write_text(tiny.data)
    made = make(text=text, WHERE="private.csv")
    assert "private" not in json.dumps(plans.describe(made)) + made.order.base.model_dump_json()
    assert plans.describe(made)["data"]["path"] == "${WHERE}"
    (folder / "private.csv").write_text(tiny.data.replace("load", "lead"))
    with pytest.raises(BadInput) as error:
        make(text=text, WHERE="private.csv")
    told = str(error.value)
    [wrong] = error.value.faults
    assert (wrong.path, wrong.within) == ("data.target", "${WHERE}")
    assert [part for part in ("'load'", "did you mean lead?") if part not in told] == []


def test_what_the_spec_asks_of_the_data_is_told_with_its_line(make):
    split = "data.split={validation: 200, test: 200}"
    for override, place, *named in (
        (split, f"--set {split}: data.split: ", "200", "300"),
        ("data.lookback=250", "tiny.yaml:2: data: ", "train", "180", "300"),
    ):
        with pytest.raises(BadInput) as error:
            make(override)
        told = str(error.value)
        assert told.startswith(place)
        assert [part for part in named if part not in told] == []


def test_the_commit_of_the_specs_folder(make, folder):
    assert make().order.git_commit is None
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"]):
        subprocess.run(git + words, check=True)
    assert len(make().order.git_commit) == 40


def test_a_plan_described(make, folder):
    document = plans.describe(make("resources.max_concurrent=1", "search.first=[{model.hidden_size: 3}]"))
    assert document["sweep"] == "tiny"
    assert (document["trials"], document["max_epochs"]) == (4, 2)
    assert document["space"]["model.hidden_size"] == {"type": "int", "low": 2, "high": 8, "log": False}
    assert document["first"] == [{"model.hidden_size": 3}]
    assert document["windows"] == {"train": 160, "validation": 54, "test": 54}
    assert document["parameters"] == [61, 415]
    assert document["parameters_unshared"] == [40 * 14 + 21, 352 * 14 + 63]
    assert (document["data"]["first"], document["data"]["last"]) == ("2020-01-01", "2020-10-26")
    assert document["device"] in ("cpu", "cuda")
    assert document["slots"] == 1
    low, high = document["memory_mb"]
    assert 0 < low < high
    for epoch_s, sweep_s in zip(document["epoch_s"], document["sweep_s"], strict=True):
        assert sweep_s == pytest.approx(epoch_s * 2 * 5, abs=0.006)
    assert document["kept"]["study"] == f"sqlite:///{folder}/runs/study.db"
    assert document["warnings"] == []
    assert not (folder / "runs").exists()


@diagonal(
    asked=["auto", 0, 0.1, 0.25, 0.3, 0.34, 0.4, 0.5, 0.6, 1], gpus=[0, 1, 2, 5], of_cores=[(32, 1), (7, 2), (1, 2)]
)
def test_a_plan_promises_the_slots_that_a_run_has(make, monkeypatch, asked, gpus, of_cores):
    cores, cpus = of_cores
    node = {"Alive": True, "Resources": {"CPU": float(cores), "GPU": float(gpus)}}
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    monkeypatch.setattr(device, "gpu_count", lambda: gpus)
    monkeypatch.setattr(device, "cpu_count", lambda: cores)
    plan = make(f"resources.gpus_per_trial={asked}", f"resources.cpus_per_trial={cpus}")
    try:
        _, _, slots = nodes.find_room(ray, plan.order.resources)
    except BadInput:
        slots = 0
    assert plans._slots(plan) == slots
    told = plans._too_large(plan, slots)
    assert bool(told) == (slots == 0)


def test_a_trial_that_fits_no_machine_like_this_is_measured_nevertheless(make, monkeypatch):
    monkeypatch.setattr(device, "gpu_count", lambda: 0)
    document = plans.describe(make("resources.gpus_per_trial=1"))
    assert (document["slots"], document["device"]) == (0, "cpu")
    (warning,) = document["warnings"]
    assert (warning.code, warning.path) == ("machine-too-small", "resources")
    assert (warning.values["gpus"], warning.values["gpus_here"], warning.values["why"]) == (1, 0, device.why_no_gpu())


def test_a_trial_that_does_not_fit_the_gpu_is_refused_with_the_way_out(make, monkeypatch):
    def measured(config, data, *, device):
        raise error

    monkeypatch.setattr("lstm.training.estimates.seconds_per_epoch", measured)
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    monkeypatch.setattr(device, "claim", lambda *_: "cuda")
    with pytest.raises(BadInput) as refusal:
        plans.describe(make())
    assert [each.code for each in refusal.value.faults] == ["gpu-too-small"]
    assert "CUDA_VISIBLE_DEVICES=" in str(refusal.value)
    error = RuntimeError("another fault")
    with pytest.raises(RuntimeError, match="another fault"):
        plans.describe(make())


def test_one_training_run(make, tiny):
    text = tiny.spec[: tiny.spec.index("search:")]
    document = plans.describe(make(text=text))
    assert (document["trials"], document["sampler"], document["space"], document["stop"]) == (1, None, {}, {})
    assert document["parameters"][0] == document["parameters"][1]


def test_a_file_where_the_sweeps_folder_should_be(make, folder):
    (folder / "runs").mkdir()
    (folder / "runs" / "tiny").write_text("")
    with pytest.raises(BadInput) as error:
        make()
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("sweep-folder-is-file", str(folder / "runs" / "tiny"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_nobody_may_write_to(make, folder):
    (folder / "locked").mkdir(mode=0o500)
    with pytest.raises(BadInput) as error:
        make(home="locked/runs")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("home-not-writable", f"--home {folder / 'locked' / 'runs'}")
    assert wrong.values == {"folder": str(folder / "locked")}


def test_a_folder_of_somebody_who_is_not_there_is_taken_as_it_is_written(make, folder):
    order = make("storage.checkpoints=~nobody-of-this-name/x").order
    assert order.sweep_folder == f"{folder}/~nobody-of-this-name/x/tiny"


@pytest.mark.parametrize("field", ["storage.study", "tracking.uri"])
def test_the_folder_of_a_file_is_read_as_the_database_reads_it(make, folder, field):
    (folder / "a b").mkdir()
    make(f"{field}=sqlite:///a b/x.db")
    override = f"{field}=sqlite:///c d/x.db?timeout=9"
    with pytest.raises(BadInput) as error:
        make(override)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path, wrong.place) == ("folder-missing", field, f"--set {override}")
    assert wrong.values == {"folder": str(folder / "c d"), "address": None}

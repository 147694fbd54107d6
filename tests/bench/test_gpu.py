"""`make gpu` runs whole where there is no GPU, in this process: the parts that need one are skipped by name."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "gpu"


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"gpu_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """Runs the command with options in this process, on the smallest of its tasks; what is in its folder."""
    runner, parts = loaded("run"), loaded("parts")
    monkeypatch.setattr(parts, "USED", "cpu")
    monkeypatch.setattr(parts.device, "gpu_count", lambda: 0)
    monkeypatch.setattr(parts, "TASKS", {"memory/evolution": parts.TASKS["memory/evolution"]})

    def ended(words, limit_s, log):
        monkeypatch.setattr(sys, "argv", [str(word) for word in words[1:]])
        if runner.PARTS[words[2]].limit_s == 0:
            return {"state": "cut off", "why": "after its limit of 0 s"}
        parts.main()
        return {"state": "done"}

    monkeypatch.setattr(runner, "_ended", ended)

    def act(*options):
        monkeypatch.setattr(sys, "argv", ["run.py", "--out", str(tmp_path), *options])
        code = runner.main()
        return code, json.loads((tmp_path / "gpu.json").read_text()), (tmp_path / "gpu.md").read_text()

    act.runner, act.parts = runner, parts
    return act


def test_without_a_gpu_the_rest_runs_and_the_page_names_what_is_skipped(gpu, tmp_path):
    code, found, page = gpu("--full")
    assert code == 0
    skipped = {name for name, each in found.items() if each["state"] == "skipped"}
    assert skipped == {"shares", "packing", "memory", "precision", "sizes", "cards"}
    for name in skipped:
        assert f"the part {name} needs GPUs" in page
    [task] = found["tasks"]["rows"]
    assert task["task"] == "memory/evolution"
    assert task["val/loss, cpu"] > 0
    [resumed] = found["resume"]["rows"]
    assert resumed["the same when resumed"] is True, "on the CPU to the bit"
    assert {path.name for path in tmp_path.glob("*.json")} == {f"{name}.json" for name in (*gpu.runner.PARTS, "gpu")}
    assert "| memory/evolution | " in page


def test_what_a_part_had_before_it_was_cut_off_is_on_the_page(gpu, tmp_path, monkeypatch):
    def cut_off(words, *_):
        Path(words[3]).write_text('{"task": "forecast", "val/loss, cpu": 0.25}\n')
        return {"state": "cut off", "why": "after its limit of 1 s"}

    monkeypatch.setattr(gpu.runner, "_ended", cut_off)
    _, found, page = gpu("--only", "tasks")
    assert found["tasks"]["state"] == "cut off"
    assert "Cut off: after its limit of 1 s." in page
    assert "| forecast | 0.25 |" in page


def test_each_part_is_there_and_all_end_in_time(gpu):
    for name in gpu.runner.PARTS:
        assert callable(getattr(gpu.parts, name))
    short = sum(part.limit_s for part in gpu.runner.PARTS.values() if not part.is_full)
    assert short < 600, "one command, under ten minutes"


def test_every_shipped_task_is_tried(gpu):
    from lstm.tasks.registry import TASKS

    assert {name.partition("/")[0] for name in loaded("parts").TASKS} == set(TASKS)

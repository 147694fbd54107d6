"""What a sweep's end leaves to the next run."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import blank
import pytest
import torch

import experiments
from cluster.config import ResourcesConfig
from lstm.tasks import registry
from lstm.verdict import store


@pytest.fixture
def quick(folder, monkeypatch):
    """The working folder: a sweep of two trials that train in a moment, not run yet."""
    blank.pages(monkeypatch)
    spec = re.sub(r"batch_size: \d+", "batch_size: 32", (folder / "tiny.yaml").read_text())
    (folder / "tiny.yaml").write_text(spec.replace("n_trials: 4", "n_trials: 2"))
    return folder


def test_what_a_full_disk_kept_from_being_judged_is_judged_by_the_next_run(quick, sweep, monkeypatch):
    judged = quick / "runs" / "tiny" / "judged.npz"
    for what in ("write_fitted", "write"):
        met = []

        def full(*_, met=met):
            met.append(True)
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(store, what, full)
            assert experiments.run("tiny.yaml", set={"search.n_trials": 1}, in_process=True).complete, what
        assert (met[:1], judged.exists()) == ([True], False), what
    assert experiments.run("tiny", in_process=True).verdict
    assert judged.is_file()
    assert sweep("verify", "tiny").code == 0
    again = sweep("run", "tiny", "--json")
    assert json.loads(again.out)["message"] == "This sweep is complete; nothing was left to do."


def test_a_processor_that_rounds_otherwise_gives_no_second_point(quick, sweep, monkeypatch):
    first = experiments.run("tiny.yaml", in_process=True).best
    judge = registry.judge
    monkeypatch.setattr(registry, "judge", lambda *of: {n: v * (1 + 1e-13) for n, v in judge(*of).items()})
    later = experiments.run("tiny.yaml", set={"search.n_trials": 3}, in_process=True).best
    assert (later.trial, later.metrics) == (first.trial, first.metrics)
    assert sweep("verify", "tiny").code == 0, sweep("verify", "tiny").out


def test_what_the_end_of_a_sweep_needs_is_imported_before_and_nothing_else(tmp_path):
    for name in ("torch", "sklearn"):  # which take seconds
        (tmp_path / f"{name}.py").touch()
    code = """
import sys
from types import SimpleNamespace
from cluster.study import stored
from experiments.conclusion import prepare
whole, asked = stored.prepare_importances, []
stored.prepare_importances = lambda: (whole(), asked.append("importances"))
for fields, trials in ((0, 11), (1, 11), (2, 10), (2, 11)):
    for name in ("torch", "sklearn"):
        sys.modules.pop(name, None)
    search = SimpleNamespace(space=dict.fromkeys(range(fields))) if fields else None
    prepare(SimpleNamespace(order=SimpleNamespace(search=search, n_trials=trials)))
    print(fields, trials, *(name for name in ("torch", "sklearn") if name in sys.modules), *asked)
"""
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.splitlines() == ["0 11 torch", "1 11 torch", "2 10 torch", "2 11 torch importances"]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory.\nmore"), RuntimeError("another fault")])
def test_a_trial_that_this_process_has_no_memory_for_does_not_end_the_sweep(monkeypatch, error):
    """Its checkpoint is lost and it would be trained again, or it is to be trained before the test part."""
    from experiments import conclusion
    from experiments.recovery import lost_checkpoint
    from lstm import device, ownership
    from lstm.training import before_test

    def fails(*_):
        raise error

    told = []
    plan = SimpleNamespace(order=SimpleNamespace(resources=ResourcesConfig(), system_metrics=False), series=None)
    result = SimpleNamespace(epochs=2)
    windows = SimpleNamespace(count=3, result=lambda *_: result)
    swept = SimpleNamespace(windows=windows, direction="minimize")
    trial, found = (
        SimpleNamespace(number=4, checkpoint="", attempt=1),
        SimpleNamespace(state=SimpleNamespace(history=())),
    )
    given = plan, swept, trial, None, told.append
    monkeypatch.setattr(ownership, "load_trial", lambda *_: None)
    monkeypatch.setattr(lost_checkpoint, "mend", fails)
    monkeypatch.setattr(device, "claim", lambda *_: "cpu")

    def judged(act, *more):
        if device.is_out_of_memory(error):
            assert act(*given, *more) == (None, False)
            assert (told[-1].code, told[-1].place) == ("no-memory-to-train-it", "trial 4")
            assert told[-1].values["why"] == "CUDA out of memory."
        else:
            with pytest.raises(RuntimeError, match="another fault"):
                act(*given, *more)

    judged(conclusion._best)
    monkeypatch.setattr(conclusion, "_best", lambda *_: (found, False))
    for name, value in {"has_diverged": False, "is_ready": False}.items():
        monkeypatch.setattr(before_test, name, lambda _, value=value: value)
    monkeypatch.setattr(before_test, "finish", fails)
    judged(conclusion._judgeable, lambda: None)

"""`make gpu` runs whole where there is no GPU, in this process: the parts that need one are skipped by name."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

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
    monkeypatch.syspath_prepend(FOLDER)
    runner, parts = loaded("run"), loaded("parts")
    import exactness
    import measured
    import sharing
    import speeds

    every = dict(measured.TASKS)
    monkeypatch.setattr(measured, "USED", "cpu")
    monkeypatch.setattr(parts.device, "gpu_count", lambda: 0)
    monkeypatch.setattr(measured, "TASKS", {"memory/evolution": measured.TASKS["memory/evolution"]})

    def put(name, act):
        """In place of a part."""
        monkeypatch.setattr(act, "__name__", name)
        monkeypatch.setattr(parts, "PARTS", (*(each for each in parts.PARTS if each.__name__ != name), act))

    put("contest", lambda: iter([{"work": "short"}]))  # minutes
    put("compiled", lambda: iter([{"cell": "nn.LSTM"}]))

    def ended(words, limit_s, log, look):
        monkeypatch.setattr(sys, "argv", [str(word) for word in words[1:]])
        parts.main()
        return {"state": "done"}

    monkeypatch.setattr(runner, "_ended", ended)

    def act(*options):
        monkeypatch.setattr(sys, "argv", ["run.py", "--out", str(tmp_path), *options])
        code = runner.main()
        return code, json.loads((tmp_path / "gpu.json").read_text()), (tmp_path / "gpu.md").read_text()

    act.runner, act.parts, act.every, act.put = runner, parts, every, put
    act.exactness, act.sharing, act.speeds, act.measured = exactness, sharing, speeds, measured
    return act


def test_without_a_gpu_the_rest_runs_and_the_page_names_what_is_skipped(gpu, tmp_path):
    code, found, page = gpu("--full")
    assert code == 0
    skipped = {name for name, each in found.items() if each["state"] == "skipped"}
    assert skipped == {"shares", "packing", "memory", "precision", "sizes", "deterministic", "cards"}
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
        whole, half = '{"task": "forecast", "val/loss, cpu": 0.25}', '{"task": "classify", "val'
        Path(words[3]).write_text(f"{whole}\n{half}")
        return {"state": "cut off", "why": "after its limit of 1 s"}

    monkeypatch.setattr(gpu.runner, "_ended", cut_off)
    _, found, page = gpu("--only", "tasks")
    assert found["tasks"]["state"] == "cut off"
    assert "Cut off: after its limit of 1 s." in page
    assert "| forecast | 0.25 |" in page


def test_each_part_is_there_and_all_end_in_time(gpu):
    assert {each.__name__ for each in gpu.parts.PARTS} == set(gpu.runner.PARTS)
    short = sum(part.limit_s for part in gpu.runner.PARTS.values() if not part.is_full)
    assert short < 600, "one command, under ten minutes"


def test_only_names_parts_of_the_full_run_too_and_leaves_other_files_alone(gpu, tmp_path):
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "sizes.json").write_text('{"state": "done", "seconds": 1, "rows": [{"old": 1}]}')
    _, found, _ = gpu("--only", "precision")
    assert list(found) == ["machine", "precision"]
    assert (tmp_path / "mine.json").exists()


def test_a_part_that_can_not_run_here_is_skipped_with_its_reason(gpu, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(gpu.measured.Skipped, match=r"none of g\+\+"):
        next(gpu.speeds.compiled())


def test_a_part_says_why_it_is_skipped(gpu):
    def skipped():
        raise gpu.measured.Skipped("there is no compiler")
        yield

    gpu.put("compiled", skipped)
    code, found, page = gpu("--only", "compiled")
    assert (code, found["compiled"]["state"]) == (0, "skipped")
    assert "Skipped: there is no compiler." in page


# --- Parts that need a GPU, on the CPU, so that they work the first time.


def test_precision_tells_in_what_the_cells_are_computed(gpu, monkeypatch):
    from lstm.nn import cells

    monkeypatch.setattr(
        gpu.measured, "TASKS", {"memory": ("copy", ("data.sizes={train: 40, validation: 8, test: 8}",))}
    )
    monkeypatch.setattr(cells, "_precision", lambda *_: torch.bfloat16 if torch.is_autocast_enabled("cpu") else None)
    if not cells.cpu_has_bfloat16_lstm():
        pytest.skip("oneDNN has no LSTM in bfloat16 on this CPU")
    plain, half = gpu.speeds.precision()
    assert (plain["cells in"], half["cells in"]) == ("float32", "bfloat16")
    assert plain["val/loss"] == pytest.approx(half["val/loss"], rel=0.05)


def test_sizes_train_and_judge_as_much_as_bare_pytorch(gpu, monkeypatch):
    monkeypatch.setattr(gpu.speeds, "SIZES", ((16,), (4,)))
    monkeypatch.setattr(gpu.speeds, "SIZED", 3)
    [row] = gpu.speeds.sizes()
    assert (row["batch"], row["hidden"]) == (16, 4)
    assert row["ratio"] == row["ours, epochs a second"] / row["bare"] > 0


def test_deterministic_says_what_is_not(gpu, monkeypatch):
    def repeated(config, data):
        torch.utils.deterministic.fill_uninitialized_memory = True
        gpu.exactness.warnings.warn("put_cuda_ does not have a deterministic implementation, but …", stacklevel=1)
        return {"the same when repeated": True}

    asked = []
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda on, *, warn_only: asked.append((on, warn_only)))
    monkeypatch.setattr(gpu.exactness, "_repeated", repeated)
    [row] = gpu.exactness.deterministic()
    assert (asked, row["not so"], row["the same when repeated"]) == ([(True, True)], "put_cuda_", True)


def test_packed_trials_begin_together_and_one_that_fails_holds_nobody_up(gpu, monkeypatch, tmp_path):
    """Each of the trials is a script that says it is ready, waits for the others, and tells what it has seen."""
    script = tmp_path / "trial.py"
    script.write_text("""
import sys, time
from pathlib import Path
name, folder, share, number = sys.argv[1:]
assert name == "one_packed"
if number == "2":
    sys.exit("out of memory")
time.sleep(0.2 * int(number))
assert not Path(folder, "go").exists()
Path(folder, f"{number}.ready").touch()
while not Path(folder, "go").exists():
    time.sleep(0.01)
assert Path(folder, "0.ready").exists() and Path(folder, "1.ready").exists()
print(share)
""")
    monkeypatch.setattr(gpu.measured, "SCRIPT", str(script))
    (tmp_path / "wave").mkdir()
    assert gpu.sharing._together(tmp_path / "wave", 3) == [1 / 3, 1 / 3]


def test_a_packed_trial_tells_its_epochs_a_second(gpu, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu.sharing, "PACKED_S", 8.0)  # of a clock that counts how often it is asked
    monkeypatch.setattr(gpu.sharing.device, "claim", lambda cpus, share: ["cpu"][cpus - 1] if share == 0.25 else None)
    (tmp_path / "go").touch()
    monkeypatch.setattr(gpu.sharing.time, "perf_counter", iter(range(10**6)).__next__)
    gpu.sharing.one_packed(str(tmp_path), "0.25", "0")
    assert float(capsys.readouterr().out) > 0
    assert (tmp_path / "0.ready").exists()


def test_a_share_is_what_can_be_taken_and_what_cuda_has_beside(gpu, monkeypatch, capsys):
    block, card, beside = gpu.sharing.BLOCK, 2**30, 200 * 2**20
    taken = []

    def empty(size, *, dtype, device):
        assert (size, dtype, device) == (block, torch.uint8, "cuda")
        if (len(taken) + 1) * block > 0.25 * card:
            raise torch.OutOfMemoryError("CUDA out of memory")
        taken.append(size)

    monkeypatch.setattr(gpu.sharing.device, "claim", lambda cpus, share: "cuda" if (cpus, share) == (1, 0.25) else None)
    monkeypatch.setattr(gpu.measured, "warm", lambda: None)
    monkeypatch.setattr(torch, "empty", empty)
    for name, value in {"max_memory_reserved": sum, "memory_reserved": sum}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value(taken))
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (card - sum(taken) - beside, card))
    gpu.sharing.one_share("0.25")
    assert capsys.readouterr().out.split() == [str(4 * block), str(card), str(beside)]


def test_the_sweeps_of_the_parts_are_what_plan_takes(gpu, monkeypatch, tmp_path):
    """Those of `memory` and `cards`, up to the training."""
    from experiments import planning
    from experiments.home import Home
    from experiments.spec import loader

    texts = []
    monkeypatch.setattr(gpu.sharing, "_swept", lambda text, rows: iter([texts.append((text, rows))]))
    list(gpu.sharing.memory()), list(gpu.sharing.cards())
    orders = []
    for number, (text, rows) in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        gpu.measured.waves(folder, rows, {"hidden_size": 8}, {})
        (folder / "spec.yaml").write_text(text)
        home = Home.at(str(folder / "home"))
        orders.append(planning.make(loader.load(str(folder / "spec.yaml"), [], dict(os.environ)), home).order)
    large = orders[0].search.first_settings[1]
    assert (large["model.hidden_size"], large["training.batch_size"]) == (4096, 30000)
    assert [order.resources.gpus_per_trial for order in orders] == [0.1, 1.0]


def test_the_contest_counts_trials_an_hour_of_a_gpu(gpu):
    times = {
        name: {span: {"median": s} for span in ("whole_s", "trials_s")} for name, s in (("stock", 60), ("ours", 20))
    }
    found = {"what": {"trials": 24, "max_epochs": 5}, "work": "short", "times": times, "disturbed": []}
    row = gpu.speeds._hourly(found, "GPU", 2, 0.25)
    assert row["stock, trials an hour of a GPU, whole command"] == 24 * 60 / 2
    assert (row["ratio, trials alone"], row["ratio, whole command"]) == (3.0, 3.0)


def test_a_step_is_compiled_and_its_losses_are_the_plain_ones(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, mode: modes.append(mode))  # minutes of a compiler
    modes, compiling = [], gpu.speeds.compiling
    config, data = gpu.measured.waves(tmp_path, 400, {"hidden_size": 4}, {"batch_size": 32}, 6)
    plain, done = (compiling.stepped(config, data, "cpu", 12, mode) for mode in (None, "default"))
    assert modes == ["default"]
    assert len(plain["losses"]) == 1 + compiling.WARM + 12
    assert compiling.apart(plain["losses"], done["losses"]) == 0
    assert compiling.apart([1.0, 2.0], [1.0, 2.2]) == pytest.approx(0.1)
    assert compiling.apart([1.0], [float("nan")]) == float("inf")


# --- A command that is ended or killed in the middle of a part.

STUB = """
import subprocess, sys, time
from pathlib import Path
import lifeline
lifeline.hold(0.05)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
row = '{"gpus": 0, "torch": "none"}' if sys.argv[1] == "machine" else '{"task": "forecast", "loss": %d}' % child.pid
Path(sys.argv[2]).write_text(row + "\\n")
time.sleep(0 if sys.argv[1] == "machine" else 600)
child.kill()
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (signal.SIGKILL, -signal.SIGKILL, "Running: the command was killed meanwhile, unless it still runs."),
        (signal.SIGTERM, 1, "Ended: by SIGTERM, while it ran."),
        (signal.SIGINT, 1, "Ended: by SIGINT, while it ran."),
    ],
)
def test_a_command_that_is_ended_in_the_middle_leaves_a_page_and_no_process(tmp_path, number, code, told):
    for name in ("run.py", "lifeline.py"):
        shutil.copy(FOLDER / name, tmp_path)
    text = (tmp_path / "run.py").read_text()
    (tmp_path / "run.py").write_text(text.replace("LOOK_S = 2.0", "LOOK_S = 0.05"))
    (tmp_path / "parts.py").write_text(STUB)
    out = tmp_path / "out"
    run = subprocess.Popen([sys.executable, tmp_path / "run.py", "--out", out, "--only", "tasks"])
    page = out / "gpu.md"
    while not (page.exists() and "| forecast |" in page.read_text()):
        assert run.poll() is None
        time.sleep(0.02)
    child = json.loads((out / "tasks.json").read_text())["rows"][0]["loss"]
    assert alive(child)
    run.send_signal(number)
    assert run.wait(60) == code
    while alive(child):
        time.sleep(0.02)
    assert told in page.read_text()
    assert "| forecast | " in page.read_text()
    found = json.loads((out / "gpu.json").read_text())
    assert (found["machine"]["state"], found["tasks"]["rows"][0]["task"]) == ("done", "forecast")


def test_every_shipped_task_is_tried(gpu):
    from lstm.tasks.registry import TASKS

    assert {name.partition("/")[0] for name in gpu.every} == set(TASKS)

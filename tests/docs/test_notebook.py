"""The notebook runs as it is, and Ctrl-C in one ends a sweep and not the kernel."""

import contextlib
import functools
import io
import json
import os
import queue
import sys
import time
from pathlib import Path

import pytest
import twin

import experiments

nbformat = pytest.importorskip("nbformat", reason="the extra `dev` has it")
nbclient = pytest.importorskip("nbclient", reason="the extra `dev` has it")
manager = pytest.importorskip("jupyter_client.manager", reason="the extra `dev` has it")
pytest.importorskip("ipykernel", reason="the extra `dev` has it")

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
PATIENCE_S = 280


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The kernel's folder, and nothing of ours in it; no kernel of the machine's takes the place of this Python's."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.delenv("SWEEP_HOME", raising=False)
    (tmp_path / "stands").mkdir()
    return tmp_path / "stands"


def test_the_notebook_runs_without_a_kernel(folder, tmp_path):
    """Its cells in IPython, in a child, and its sweep without Ray."""
    answers, log = tmp_path / "answers.json", tmp_path / "log"
    assert twin.forked(lambda: cells_run(folder, answers), log, drawn=True) == 0, log.read_text()
    look(log.read_text(), json.loads(answers.read_text()), folder)


def cells_run(folder, answers):
    """Run the cells; what each says of its last value is written down."""
    from IPython.core.interactiveshell import InteractiveShell

    os.chdir(folder)
    experiments.run = functools.partial(experiments.run, in_process=True)  # of the child alone
    shell = InteractiveShell.instance()
    shown = []
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            with contextlib.redirect_stdout(io.StringIO()):  # where IPython shows the value, too
                answer = shell.run_cell(cell.source)
            answer.raise_error()
            shown += [shell.display_formatter.format(answer.result)[0]] if answer.result is not None else []
    answers.write_text(json.dumps(shown))


@pytest.mark.faults  # a kernel and Ray: ten times the CPU of the cells alone
def test_the_notebook_runs(folder):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=PATIENCE_S, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    shown = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    streams = [out for outputs in shown.values() for out in outputs if out.output_type == "stream"]
    assert {out.name for out in streams} == {"stderr"}, "what is logged, where the notebook says"
    kinds = {out.output_type for outputs in shown.values() for out in outputs}
    assert kinds == {"stream", "execute_result"}, "nobody else shows anything"
    results = [out.data for outputs in shown.values() for out in outputs if out.output_type == "execute_result"]
    look("".join(out.text for out in streams), results, folder)


def look(said, results, folder):
    """What the notebook's cells must have said and shown, and left in the folder."""
    assert "sunspots-notebook: 2 trials\n" in said
    assert "sunspots-notebook: All trials have ended." in said
    assert all(word not in said for word in ("Warning", "Ray", "ray", "Optuna")), said
    texts = [data["text/plain"] for data in results]
    assert "hiden_size" in texts[1]
    assert texts[2].startswith("Best(trial=")
    assert [sum("<table" in data.get("text/html", "") for data in results)] == [3]
    assert "2009" in texts[-1]
    assert sorted(path.name for path in folder.iterdir()) == ["runs"]


def test_the_notebook_is_kept_without_what_it_has_printed():
    assert all(not cell.get("outputs") for cell in nbformat.read(NOTEBOOK, as_version=4).cells)


class Kernel:
    """A kernel of Jupyter's, asked cell by cell."""

    def __init__(self, folder):
        self._manager = manager.KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(folder))
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE_S)
        self.said = ""

    def ask(self, code, until=None):
        """Runs a cell; interrupts it once what it prints holds `until`. Its result in text, or its error's name."""
        asked, result, self.said = self._client.execute(code), None, ""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                assert self._manager.is_alive(), "the kernel is dead"
                continue
            if message["parent_header"].get("msg_id") != asked:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                self.said += content["text"]
                if until and until in self.said:
                    until = None
                    self._manager.interrupt_kernel()
            elif message["msg_type"] == "error":
                result = content["ename"]
            elif message["msg_type"] == "execute_result":
                result = content["data"]["text/plain"]
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return result
        raise AssertionError(f"no end in {PATIENCE_S} s: {self.said}")

    def close(self):
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(folder):
    kernel = Kernel(folder)
    yield kernel
    kernel.close()


BEGIN = """
import logging, os, signal, sys
logging.basicConfig(format="%(message)s", stream=sys.stdout)
logging.getLogger("experiments").setLevel(logging.INFO)
from importlib.resources import files
from experiments import load, run
spec = {
    "name": "cut",
    "data": {"path": files("experiments") / "data" / "sunspots.csv", "time": "year", "target": "sunspots",
             "lookback": 12, "horizon": 2, "split": {"validation": 0.2, "test": 0.2}},
    "model": {"hidden_size": 4},
    "training": {"max_epochs": 2, "batch_size": 32},
    "search": {"n_trials": 3, "sampler": {"type": "random", "seed": 1},
               "space": {"training.learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True}}},
}
handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)}
me = os.getpid()
"""


# In each run of the tests tests/experiments/test_api.py holds what Ctrl-C does in a process, and
# tests/cluster/test_driver.py what it does over Ray.
@pytest.mark.faults
@pytest.mark.parametrize("near", [True, False], ids=["without Ray", "with Ray"])
def test_ctrl_c_ends_the_sweep_and_the_kernel_lives(kernel, near):
    assert kernel.ask(BEGIN) is None, kernel.said
    assert kernel.ask(f"run(spec, in_process={near})", until="trial 0 starts on") == "KeyboardInterrupt", kernel.said
    assert kernel.ask("os.getpid() == me, load('cut').complete") == "(True, False)"
    assert kernel.ask("all(signal.getsignal(n) == h for n, h in handlers.items())") == "True"
    found = kernel.ask(f"sweep = run(spec, in_process={near}); (sweep.complete, sweep.states, os.getpid() == me)")
    assert found == "(True, {'COMPLETE': 3}, True)", kernel.said
    if not near:
        assert kernel.ask("import ray; ray.is_initialized()") == "False"
    assert str(os.getpid()) != kernel.ask("me")
    assert Path(sys.prefix).as_posix() in kernel.ask("sys.prefix")

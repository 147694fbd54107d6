"""A right spec, and what becomes of it, or of any file, when something in it is changed."""

import datetime as dt
import fcntl
import json
import math
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import blank
import forking
import inside
import migrations
import moving
import pytest
import statements
import twin
import yaml
from click.testing import CliRunner
from filelock import FileLock
from told import all_told

from experiments.cli import main
from experiments.spec import loader as spec_file
from experiments.spec import yaml_document as yaml_file
from lstm.records.errors import BadInput

RIGHT = """\
# yaml-language-server: $schema=spec.schema.json
name: mauna-loa-co2
task: forecast
data:
  path: data/co2.csv
  time: week
  target: ppm
  lookback: 104
  horizon: 26
  split: {validation: 0.15, test: 0.15}
model: {cell: lstm, hidden_size: 64, num_layers: 1, dropout: 0.0}
training: {max_epochs: 30, batch_size: 64, learning_rate: 1e-3, seed: 1}
search:
  metric: val/loss
  direction: minimize
  n_trials: 32
  stop: {max_hours: 2, max_failures: 5}
  sampler: {type: tpe, seed: 7}
  pruner: {type: successive_halving, min_resource: 3, reduction_factor: 3}
  space:
    model.hidden_size: {type: int, low: 16, high: 128, log: true}
    model.num_layers: {type: int, low: 1, high: 3}
    training.learning_rate: {type: float, low: 1e-4, high: 1e-1, log: true}
resources: {cpus_per_trial: 1, gpus_per_trial: auto, max_concurrent: auto}
storage: {study: "${STUDY_URL:-sqlite:///runs/study.db}", checkpoints: s3://bucket/sweeps, keep: best}
tracking: {uri: "${MLFLOW_TRACKING_URI:-http://localhost:5000}", checkpoints: best}
"""


@pytest.fixture(scope="session", autouse=True)
def _migrations():
    """Read once, not for each database."""
    migrations.read_once()
    statements.shared()


@pytest.fixture(scope="session")
def right():
    """A right spec's `text`, and the parts of it that tests replace whole."""
    space, search, resources = (RIGHT.index(start) for start in ("    model.hidden_size: {", "search:", "resources:"))
    return SimpleNamespace(text=RIGHT, space=RIGHT[space:resources], search=RIGHT[search:resources])


@pytest.fixture(scope="session")
def core():
    """Reads YAML as editors do."""
    return lambda text: yaml.safe_load(text.replace("1e-", "1.0e-"))


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file in the working folder, which is empty; returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="a.yaml"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


@pytest.fixture
def spec(write):
    """Loads the right spec with texts in it replaced: old, new, old, new..."""

    def spec(*replaced, overrides=(), **environment):
        text = RIGHT
        for old, new in zip(replaced[::2], replaced[1::2], strict=True):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return spec_file.load(write(text), overrides, environment)

    return spec


@pytest.fixture
def refused(spec):
    """The faults for which a spec, changed as by `spec`, is refused: of each what `told` tells of it."""

    def refused(*replaced, **more):
        with pytest.raises(BadInput) as error:
            spec(*replaced, **more)
        return all_told(error.value.faults)

    return refused


@pytest.fixture
def unread():
    """The same of a file that is refused before anyone asks whether it is a spec."""

    def unread(path, *overrides, **environment):
        with pytest.raises(BadInput) as error:
            yaml_file.read(path, overrides, environment)
        return all_told(error.value.faults)

    return unread


TINY = """\
name: tiny
data:
  path: tiny.csv
  time: day
  target: load
  lookback: 14
  horizon: 7
  split: {validation: 0.2, test: 0.2}
model: {hidden_size: 5}
training: {max_epochs: 2, batch_size: 16, learning_rate: 1e-2}
search:
  n_trials: 4
  sampler: {type: random, seed: 3}
  space:
    model.hidden_size: {type: int, low: 2, high: 8}
    training.learning_rate: {type: float, low: 1e-3, high: 1e-1, log: true}
"""
SCRIPT = Path(sys.executable).with_name("sweep")


def rows(count=300, value=lambda day: 50 + 10 * math.sin(day / 7 * 2 * math.pi) + day % 5 / 10):
    """A CSV of days and their load."""
    start = dt.date(2020, 1, 1)
    return "day,load\n" + "".join(f"{start + dt.timedelta(day)},{value(day):.3f}\n" for day in range(count))


@pytest.fixture(scope="session")
def tiny():
    """A right spec's text that trains in a moment, and the text of its data; `rows` makes other data."""
    return SimpleNamespace(spec=TINY, data=rows(), rows=rows)


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny):
    """The working folder: the tiny spec and its data, no home yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_HOME", raising=False)
    (tmp_path / "tiny.yaml").write_text(tiny.spec)
    (tmp_path / "tiny.csv").write_text(tiny.data)
    return tmp_path


@pytest.fixture
def sweep():
    """The command line in this process: `sweep("plan", "a.yaml")` answers its `code`, `out` and `err`."""

    def sweep(*arguments, **environment):
        done = CliRunner(env=environment).invoke(main, list(map(str, arguments)), prog_name="sweep")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return SimpleNamespace(code=done.exit_code, out=done.stdout, err=done.stderr)

    return sweep


@pytest.fixture
def blank_pages(monkeypatch):
    """For tests of which reports and pages are not the point."""
    blank.pages(monkeypatch)


@pytest.fixture(scope="session")
def command():
    """The command line as a process of its own; the same answer as from `sweep`."""

    def command(*arguments, cwd, timeout_s=120, **environment):
        done = subprocess.run(
            [SCRIPT, *map(str, arguments)],
            cwd=cwd,
            env=clean_environment() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)

    return command


@pytest.fixture(scope="session")
def near(tmp_path_factory):
    """The command line in a forked child, its sweeps without Ray: for tests of which neither is the point.

    Where it is not `drawn`, reports and pages of probes are blank. Verbs that look need no child.
    """
    own = tmp_path_factory.mktemp("near")  # not in the command's folder, in which another worker's command may run, too

    def near(*arguments, cwd, drawn=False, **environment):
        if arguments[0] in inside.LOOKS and not environment:
            with mock.patch.dict(os.environ, clean_environment(), clear=True), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as in the child
                return inside.call(arguments, cwd)
        out, err = (own / name for name in ("out", "err"))
        here = ["--in-process"] if arguments[0] in ("run", "retry", "extend", "confirm") else []

        def act():
            for number, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.chdir(cwd)
            os.environ.clear()
            os.environ.update(clean_environment() | environment)
            warnings.simplefilter("ignore")  # pytest's errors are for this process; a driver has a log for warnings
            main([*map(str, arguments), *here], prog_name="sweep")

        code = twin.forked(act, own / "log", drawn=drawn)
        answer = SimpleNamespace(code=code, out=out.read_text(), err=err.read_text())
        for path in (out, err, own / "log"):
            path.unlink()
        return answer

    return near


def clean_environment():
    """This process's environment without what steers the command or its screen."""
    steering = ("SWEEP_HOME", "COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if key not in steering} | {"TERM": "xterm-256color"}


HOSTILE = ("lstm", "cluster", "experiments", "dashboards", "yaml", "torch", "mlflow", "optuna", "ray", "click", "rich")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A sweep that ended in two runs, in a folder full of modules that no one may import; look, don't touch.

    It is made once for all workers of pytest, which look at it at the same time, and without Ray: `over_ray` is.

    `first` is the answer of the run that stopped at 3 trials; `second` what the run to 4 trials showed on a
    terminal, and its code. `home` is where it is kept.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, told = base / "finished-of-all-workers", base / "finished.json"
    with FileLock(base / "finished.lock"):
        if not told.exists():
            folder.mkdir()
            told.write_text(json.dumps([vars(answer) for answer in _finish(folder)]))
    first, second = (SimpleNamespace(**answer) for answer in json.loads(told.read_text()))
    alone = FileLock(base / "finished-is-run.lock")  # held by who runs it: one driver a sweep
    return SimpleNamespace(folder=folder, home=folder / "runs", first=first, second=second, alone=alone)


def _finish(folder):
    put_tiny(folder)
    first = forking.call(["run", "tiny.yaml", "--set", "search.n_trials=3"], folder, clean_environment())
    return first, forking.on_terminal(["run", "tiny.yaml"], folder, clean_environment())


def put_tiny(folder):
    """The tiny spec, its data, and modules that no one may import: each leaves a file where somebody does."""
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "tiny.csv").write_text(rows())
    for name in HOSTILE:
        (folder / f"{name}.py").write_text(f"open({str(folder)!r} + '/imported-{name}', 'w')\nraise SystemExit(9)\n")


@pytest.fixture(scope="module")
def over_ray(tmp_path_factory):
    """The finished sweep's spec in a folder of the same modules, run over Ray on a terminal: its code and screen."""
    folder = tmp_path_factory.mktemp("over-ray")
    put_tiny(folder)
    answer = on_terminal(["run", "tiny.yaml"], folder)
    return SimpleNamespace(folder=folder, home=folder / "runs", code=answer.code, shown=answer.shown)


@pytest.fixture(scope="session")
def terminal():
    """The command line on a terminal of so many columns: `terminal(["best", "tiny"], folder, 40)`."""
    return on_terminal


@pytest.fixture(scope="session")
def near_terminal():
    """The same in a forked child, its sweeps without Ray: for tests of which neither is the point."""

    def near_terminal(words, folder, columns=80, **environment):
        return forking.on_terminal(words, folder, clean_environment() | environment, columns)

    return near_terminal


def on_terminal(arguments, folder, columns=80, timeout_s=120, **environment):
    """Runs the command on a terminal of its own; answers its code and all that it was sent."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        cwd=folder,
        env=clean_environment() | environment,
        stdin=there,
        stdout=there,
        stderr=there,
    )
    os.close(there)
    shown, end = b"", time.monotonic() + timeout_s
    while time.monotonic() < end:
        if select.select([here], [], [], 0.2)[0]:
            try:
                shown += os.read(here, 65536)
            except OSError:  # the other side is closed
                break
    os.close(here)
    if time.monotonic() >= end:
        process.kill()
    return SimpleNamespace(code=process.wait(), shown=shown.decode())


@pytest.fixture
def copied(finished, folder):
    """A home of one's own with the finished sweep's study and checkpoints, as if it had been run there."""
    home = folder / "runs"
    (home / "tiny").mkdir(parents=True)
    for name in ("study.db", "mlflow.db", "home.json"):
        shutil.copy(finished.home / name, home)
    for path in (finished.home / "tiny").iterdir():
        if path.is_dir():
            shutil.copytree(path, home / "tiny" / path.name)
        elif path.name in ("spec.yaml", "origin.json", "addresses.json"):
            shutil.copy(path, home / "tiny")
    moving.readdress(home, finished.home)
    return SimpleNamespace(folder=folder, home=home, url=f"sqlite:///{home / 'study.db'}")


@pytest.fixture
def home(finished, tmp_path):
    """The finished sweep's home, copied, as if it had been run there: all of it may be damaged."""
    home = tmp_path / "runs"
    shutil.copytree(finished.home, home)
    moving.readdress(home, finished.home)
    return home

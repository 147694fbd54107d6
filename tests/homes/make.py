"""Makes homes that later versions must still read: `python tests/homes/make.py VERSION SWEEP [NAME…]`.

SWEEP is the `sweep` command of the version, VERSION what the archives are named after. Each home is made in a folder
below `/srv/lstm-sweeps-old`, whose path its databases hold, and packed as `tests/homes/VERSION-NAME.tar.xz`, without
its report and the pages of probes, which are large. A home is small: small data, few trials, few epochs.
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PLACE = Path("/srv/lstm-sweeps-old")
HERE = Path(__file__).parent
DATA = HERE.parents[1] / "experiments" / "data"

FORECAST = """\
name: {name}
data: {{path: {data}, time: year, target: sunspots, lookback: 22, horizon: 4, split: {{validation: 50, test: 50}}}}
model: {{hidden_size: 4}}
training: {{max_epochs: {epochs}, batch_size: {batch}, learning_rate: 1e-2}}
search:
  n_trials: 4
  sampler: {{type: tpe, seed: 3, n_startup_trials: 2}}
  {more}
  space:
    model.hidden_size: {{type: int, low: 2, high: 8}}
    training.learning_rate: {{type: float, low: 1e-3, high: 1e-1, log: true}}
"""
FIRST = "first: [{model.hidden_size: 4, training.learning_rate: 0.01}]"
CLASSIFY = """\
name: classify
task: classify
data:
  path: digits.csv
  id: id
  time: row
  columns: [p0, p1, p2, p3, p4, p5, p6, p7]
  label: label
  split: {validation: 0.2, test: 0.25, seed: 1}
model: {hidden_size: 8}
training: {max_epochs: 3, batch_size: 16, learning_rate: 1e-2}
search:
  metric: val/accuracy
  direction: maximize
  n_trials: 3
  sampler: {type: random, seed: 7}
  space:
    model.cell: {type: categorical, choices: [lstm, gru]}
    training.learning_rate: {type: float, low: 2e-3, high: 2e-2, log: true}
"""
SECOND = "second_objective: {metric: probe/reliability/noise, direction: minimize}"
PRUNER = "pruner: {type: successive_halving, min_resource: 2, reduction_factor: 2}"


def forecast(folder: Path, sweep: str) -> None:
    """A forecast, searched with a pruner, complete; its best trial probed."""
    _spec(folder / "forecast.yaml", "forecast", more=f"{PRUNER}\n  {FIRST}")
    _run(folder, sweep, "run", "forecast.yaml")
    _run(folder, sweep, "probe", "forecast")


def classify(folder: Path, sweep: str) -> None:
    """Classes of whole sequences, complete."""
    rows = (DATA / "digits.csv").read_text().splitlines(keepends=True)
    (folder / "digits.csv").write_text("".join(rows[: 1 + 8 * 150]))
    (folder / "classify.yaml").write_text(CLASSIFY)
    _run(folder, sweep, "run", "classify.yaml")


def front(folder: Path, sweep: str) -> None:
    """Two objectives, each trial probed, complete."""
    _spec(folder / "front.yaml", "front", more=SECOND, probe="probe: {every_trial: true}\n")
    _run(folder, sweep, "run", "front.yaml")


def killed(folder: Path, sweep: str) -> None:
    """Killed in mid-sweep: trials that have ended, and one or two that run."""
    _spec(folder / "killed.yaml", "killed", epochs=40, batch=1, more=FIRST)
    arguments = [sweep, "run", "killed.yaml"]
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True)
    # Some of the trials have ended, and one of those that run has come half way.
    _await(lambda: _epochs(folder) >= 100, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def relative(folder: Path, sweep: str) -> None:
    """Study and checkpoints given as relative paths, the command called from above the spec's folder; complete."""
    (folder / "specs").mkdir()
    text = "storage: {study: 'sqlite:///relative.db', checkpoints: kept}\n"
    _spec(folder / "specs" / "relative.yaml", "relative", more=FIRST, probe=text)
    _run(folder, sweep, "run", "specs/relative.yaml")


HOMES = {make.__name__: make for make in (forecast, classify, front, killed, relative)}


def _spec(path: Path, name: str, *, epochs: int = 6, batch: int = 16, more: str, probe: str = "") -> None:
    shutil.copy(DATA / "sunspots.csv", path.parent)
    text = FORECAST.format(name=name, data="sunspots.csv", epochs=epochs, batch=batch, more=more)
    path.write_text(text + probe)


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _epochs(folder: Path) -> int:
    """The sum of the last epochs of all trials."""
    files = sorted(folder.glob("runs/killed/**/attempt-*.pt"))
    return sum(int(list(of_trial)[-1].stem[-6:]) for _, of_trial in itertools.groupby(files, key=lambda f: f.parent))


def _await(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    while not condition():
        if process.poll() is not None:
            sys.exit(f"the sweep ended with {process.returncode} before it was killed; give it more epochs")
        time.sleep(0.01)


def make(version: str, sweep: str, name: str) -> Path:
    """Makes one home and packs it; the archive."""
    folder = PLACE / f"{version}-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    HOMES[name](folder, sweep)
    archive = HERE / f"{version}-{name}.tar.xz"
    left_out = ("report.html", "probe.html", "probe-*.html")
    patterns = [f"--exclude={each}" for each in left_out]
    environment = os.environ | {"XZ_OPT": "-9e"}
    subprocess.run(
        ["tar", "-cJf", archive, "--owner=0", "--group=0", *patterns, "-C", PLACE, folder.name],
        check=True,
        env=environment,
    )
    return archive


if __name__ == "__main__":
    version, sweep, *names = sys.argv[1:]
    for each in names or HOMES:
        archive = make(version, str(Path(sweep).absolute()), each)
        print(f"{archive}: {archive.stat().st_size:,} bytes")

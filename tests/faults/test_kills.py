"""A driver killed at every point between two durable steps goes on: nothing lost, nothing twice, the same weights."""

import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import twin
from audit import audit

from dashboards.tracking import runs
from lstm import checkpoint
from lstm.config.trial import TrialConfig
from lstm.data.forecast import load
from lstm.training.loop import train

SPEC = """\
name: tiny
data:
  path: tiny.csv
  time: day
  target: load
  lookback: 14
  horizon: 7
  split: {{validation: 0.2, test: 0.2}}
model: {{hidden_size: 4}}
training: {{max_epochs: {epochs}, batch_size: {batch}, learning_rate: 1e-2}}
search:
  n_trials: {trials}
  sampler: {{type: random, seed: 3}}
  pruner: {{type: median, n_startup_trials: 1}}
  space:
    model.hidden_size: {{type: int, low: 2, high: 8}}
    training.learning_rate: {{type: float, low: 1e-3, high: 1e-1, log: true}}
storage: {{keep: best}}
"""
TRIALS = 3


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """MLflow's database with its tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    runs.connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def place(quick_path, empty, tiny_data):
    """Folders to run in, each with the spec, its data and a home of its own."""

    def make(name, trials=TRIALS, epochs=2, batch=32):
        folder = quick_path / str(name)
        (folder / "runs").mkdir(parents=True)
        (folder / "tiny.yaml").write_text(SPEC.format(trials=trials, epochs=epochs, batch=batch))
        (folder / "tiny.csv").write_text(tiny_data)
        shutil.copy(empty, folder / "runs")
        return folder

    return make


def check_whole(folder, alone, trials=TRIALS):
    """The sweep is what an undisturbed one is; both judges agree."""
    said = (folder / "driver.log").read_text()
    home = folder / "runs"
    assert audit(home, "tiny") == [], said
    assert twin.verify(folder, "runs", "tiny") == 0, (folder / "driver.log").read_text()
    places = sorted((home / "tiny").glob("*/trial-*"))
    assert [p.name for p in places] == [f"trial-{number:04d}" for number in range(trials + 1)], "the base, too"
    kept = [checkpoint.load(str(p)) for p in places]
    assert len({k.config.model_dump_json() for k in kept}) == trials + 1, "a suggestion came twice"
    weights = [k for k in kept if k.state.best_weights]
    assert weights, "the best trial's are kept"
    for found in weights:
        mine = alone(found.config, folder)
        assert [(e.number, e.value) for e in found.state.history] == [(e.number, e.value) for e in mine]
        for name, tensor in mine[-1].state.model.items():
            assert (found.state.model[name] == tensor).all(), name
    # MLflow's own, and what a later driver will remove: cluster/ray_backend/nodes._forget.
    known = (".artifact.uploading", ".probe-", "..probe-")
    ours = [p for p in home.rglob(".*") if p.is_file() and not p.name.startswith(known)]
    assert ours == [], "half-written files are left"
    marked = {p.parent for p in home.rglob("study.json")}
    assert marked == {p.parent for p in places}, "a folder has the mark of a study that nobody has"


@pytest.fixture(scope="module")
def alone():
    """The epochs of a configuration trained alone, once for all tests."""
    known = {}

    def act(config: TrialConfig, folder: Path):
        key = config.model_dump_json()
        if key not in known:
            known[key] = list(train(config, load(config.data, folder / "tiny.csv")))
        return known[key]

    return act


def killed_at(k, place, alone, trials=TRIALS):
    folder = place(k, trials)
    code = twin.run(folder, "tiny.yaml", "runs", at=k.__eq__)
    if code == 0:
        return False  # there is no such step
    assert code == -9, (folder / "driver.log").read_text()
    assert twin.run(folder, "tiny.yaml", "runs") == 0, (folder / "driver.log").read_text()
    check_whole(folder, alone, trials)
    shutil.rmtree(folder)
    return True


def test_a_driver_killed_at_some_points_between_two_durable_steps(place, alone):
    """As the study is made, in the midst of trials, and as the sweep ends; each point in turn under `make faults`."""
    assert all(killed_at(k, place, alone, trials=2) for k in (5, 46, 87)), "the study's, checkpoints' and MLflow's"


@pytest.mark.faults
def test_a_driver_killed_at_every_point_between_two_durable_steps(place, alone):
    points = 0
    while killed_at(points + 1, place, alone):
        points += 1
    print(f"killed at {points} points")
    assert points > 60


@pytest.mark.faults
def test_a_driver_killed_again_and_again_on_its_way(place, alone):
    """Each driver dies a little later than the one before, as where a machine is ever less unwell."""
    folder = place("again")
    drivers = 0
    while (code := twin.run(folder, "tiny.yaml", "runs", at=(40 + 9 * drivers).__eq__)) != 0:
        assert code == -9, (folder / "driver.log").read_text()
        drivers += 1
        assert drivers < 30, "it does not get forward"
    assert drivers > 5
    check_whole(folder, alone)


def goes_on_when_full(at, folder, alone, trials=TRIALS):
    """Every chosen write fails, as on a full disk; the driver goes on by itself, or the same command does."""
    code = twin.run(folder, "tiny.yaml", "runs", at=at, fault=twin.full)
    assert code in (0, 1, 2), (folder / "driver.log").read_text()
    said = (folder / "driver.log").read_text() + "".join(p.read_text() for p in folder.glob("runs/tiny/sweep.log"))
    assert "Traceback" not in said, said
    assert twin.run(folder, "tiny.yaml", "runs") == 0, (folder / "driver.log").read_text()
    check_whole(folder, alone, trials)
    shutil.rmtree(folder)
    return code


@pytest.mark.parametrize("nth", [7, pytest.param(11, marks=pytest.mark.faults)])
def test_a_disk_that_is_full_at_every_nth_write(nth, place, alone):
    goes_on_when_full(lambda count: count % nth == 0, place(nth, trials=2), alone, trials=2)


@pytest.mark.faults
def test_a_disk_that_is_full_at_the_nth_write(place, alone):
    folder = place("whole")
    assert twin.run(folder, "tiny.yaml", "runs", steps=folder / "steps") == 0
    steps = int((folder / "steps").read_text())
    codes = [goes_on_when_full(k.__eq__, place(k), alone) for k in range(1, steps)]
    print(f"{steps} writes, exit codes {dict(Counter(codes))}")
    assert codes.count(0) > len(codes) / 2, "most are waited for"


@pytest.mark.faults
def test_a_driver_killed_at_20_random_moments(place, alone):
    """On real Ray, from its first second on: as it starts, in the middle of trials, at their ends."""
    draw, sweep, kills, sweeps = random.Random(20), Path(sys.executable).with_name("sweep"), 0, 0
    while kills < 20:
        sweeps += 1
        folder = place(sweeps, trials=16, epochs=4, batch=1)
        log = folder / "driver.log"
        for _ in range(60):
            with log.open("a") as said:
                driver = subprocess.Popen([sweep, "run", "tiny.yaml"], cwd=folder, stdout=said, stderr=said)
                try:
                    code = driver.wait(draw.uniform(1, 20) if kills < 20 else None)
                    break
                except subprocess.TimeoutExpired:
                    driver.kill()
                    driver.wait()
                    kills += 1
        assert code == 0, log.read_text()
        check_whole(folder, alone, trials=16)
        shutil.rmtree(folder)
    print(f"{kills} kills over {sweeps} sweeps of 16 trials")

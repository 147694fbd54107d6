"""Sweeps of each kind of network, whose driver and workers are killed at moments drawn from a seed, over real Ray.

After each sweep `sweep verify` and the second opinion in `audit.py` find nothing, and each trial has the weights of the
same configuration trained alone, to the bit.
"""

import random
import signal
import time

import pytest
import trainings
import twin
from audit import audit
from driven import EPOCHS_KNOWN, WORKERS, Driven

from cluster.study import stored
from experiments.spec import loader
from lstm import ownership

pytestmark = pytest.mark.faults

TRIALS = 5
SEARCH = """\
search:
  metric: val/loss
  n_trials: 5
  sampler: {type: tpe, seed: SEED, n_startup_trials: 3}
  pruner: {type: successive_halving, min_resource: 3, reduction_factor: 3}
  space:
"""
DATES = f"""\
name: killed
task: translate
data: {{generate: dates, sizes: {{train: 600, validation: 60, test: 60}}, units: characters, translated: 30}}
training: {{max_epochs: 4, batch_size: 16, schedule: cosine}}
{SEARCH}
    model.attention: {{type: categorical, choices: [dot, general, additive, none]}}
    model.hidden_size: {{type: int, low: 8, high: 24, step: 8}}
    model.num_layers: {{type: int, low: 1, high: 2}}
    training.learning_rate: {{type: float, low: 1e-3, high: 1e-2, log: true}}
resources: {{max_concurrent: 2}}
"""
VIDEO = f"""\
name: killed
task: video
data:
  digits: {{canvas: 16, size: 8, sizes: {{train: 200, validation: 20, test: 20}}, seed: 1}}
  lookback: 5
  horizon: 5
model: {{cell: convlstm, channels: 4, kernel_size: 3, patch: 2, hidden_size: 24}}
training: {{max_epochs: 4, batch_size: 8, schedule: cosine}}
{SEARCH.replace("val/loss", "val/mse")}
    model.cell: {{type: categorical, choices: [convlstm, lstm]}}
    training.learning_rate: {{type: float, low: 1e-3, high: 1e-2, log: true}}
resources: {{max_concurrent: 2}}
"""
EVOLUTION = f"""\
name: killed
task: memory
data: {{problem: copy, length: 3, memorize: 1, symbols: 3, sizes: {{train: 1000, validation: 200, test: 200}}}}
model: {{hidden_size: 6}}
training: {{method: evolution, max_epochs: 4, batch_size: 100, learning_rate: 0.1}}
{SEARCH}
    training.population: {{type: int, low: 8, high: 24}}
    training.population_noise: {{type: float, low: 0.03, high: 0.3, log: true}}
    training.learning_rate: {{type: float, low: 1e-2, high: 0.2, log: true}}
resources: {{max_concurrent: 2}}
"""
KINDS = {"dates": DATES, "video": VIDEO, "evolution": EVOLUTION}
SEEDS = {"dates": 5, "video": 2, "evolution": 2}


@pytest.fixture
def driven(quick_path):
    """A sweep in a folder of its own; what is left of it at the end is ended."""
    made = Driven(quick_path, "killed.yaml")
    yield made
    made.end()


def run_killed(driven: Driven, seed: int) -> list[str]:
    """Runs a sweep to its end, kills two drivers and two workers on the way, and answers in which order."""
    draw = random.Random(seed)
    victims, known, driver = ["driver", "driver", "worker", "worker"], 0, driven.start()
    draw.shuffle(victims)
    for victim in victims:
        known += draw.randint(1, 3)
        driven.wait_for(driver, EPOCHS_KNOWN, known)
        time.sleep(draw.uniform(0, 0.3))  # anywhere in an epoch, in a checkpoint's writing, between two trials
        if victim == "driver":
            driver.kill()
            driver.communicate()
            driver = driven.start()
            continue
        while not (workers := driven.left(*WORKERS)):  # one may have been lost just now
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.02)
        driven.send([draw.choice(workers)], signal.SIGKILL)
    said = driver.communicate()[0]
    assert driver.returncode == 0, said
    return victims


@pytest.mark.parametrize(("kind", "seed"), [(kind, seed) for kind, count in SEEDS.items() for seed in range(count)])
def test_a_sweep_whose_driver_and_workers_are_killed_at_random_ends_clean(driven, kind, seed):
    spec = driven.folder / "killed.yaml"
    spec.write_text(KINDS[kind].replace("SEED", str(seed)))
    order = run_killed(driven, seed)
    swept = stored.read(f"sqlite:///{driven.database}", "killed")
    print(f"{kind}, seed {seed}: {order}; attempts {[trial.attempt for trial in swept.trials]}")
    assert len(swept.trials) == TRIALS + 1, "the base, too"
    assert [trial.state for trial in swept.trials if trial.state not in ("COMPLETE", "PRUNED")] == []
    assert max(trial.attempt for trial in swept.trials) > 1, "a trial was hit"
    place = loader.load(spec).location
    for trial in swept.trials:
        kept = ownership.load_trial(swept, trial)
        assert kept is not None
        assert trainings.is_alone(kept, place), trial.number
    assert audit(driven.folder / "home", "killed") == []
    assert twin.verify(driven.folder, "home", "killed") == 0, (driven.folder / "driver.log").read_text()

"""A right spec, and what becomes of it, or of any file, when something in it is changed."""

from types import SimpleNamespace

import pytest
import yaml

from experiments import load as yaml_file
from experiments import spec as spec_file
from lstm.records import BadInput

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
    """The messages with which a spec, changed as by `spec`, is refused."""

    def refused(*replaced, **more):
        with pytest.raises(BadInput) as error:
            spec(*replaced, **more)
        return list(error.value.messages)

    return refused


@pytest.fixture
def unread():
    """The messages with which a file is refused before anyone asks whether it is a spec."""

    def unread(path, *overrides, **environment):
        with pytest.raises(BadInput) as error:
            yaml_file.read(path, overrides, environment)
        return list(error.value.messages)

    return unread

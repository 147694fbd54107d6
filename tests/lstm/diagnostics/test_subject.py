"""Every task's network can be probed: what a probe asks is what the task itself computes."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from lstm.checkpoint import Checkpoint
from lstm.config.section import File, Location
from lstm.config.trial import TrialConfig
from lstm.diagnostics.probe import probe
from lstm.tasks import registry as tasks
from lstm.training.loop import train

SPLIT = {"validation": 0.2, "test": 0.2}
SIZES = {"train": 40, "validation": 20, "test": 10}
DATA = {
    "forecast": {"target": "y", "lookback": 12, "horizon": 3, "split": SPLIT},
    "classify": {"id": "who", "columns": ["x"], "label": "kind", "split": SPLIT},
    "language_model": {"lookback": 12, "split": SPLIT},
    "adding": {"problem": "adding", "length": 12, "sizes": SIZES},
    "copy": {"problem": "copy", "length": 6, "memorize": 3, "sizes": SIZES},
    "mackey_glass": {"problem": "mackey_glass", "length": 12, "horizon": 2, "sizes": SIZES},
}
FILES = {"forecast": "a.csv", "classify": "b.csv", "language_model": "c.txt"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    values = np.sin(np.arange(200) / 3)
    (folder / "a.csv").write_text("y\n" + "".join(f"{value:.4f}\n" for value in values))
    rows = [f"{who},{math.sin(step * (1 + who % 2)):.4f},{'ab'[who % 2]}\n" for who in range(40) for step in range(12)]
    (folder / "b.csv").write_text("who,x,kind\n" + "".join(rows))
    (folder / "c.txt").write_text("so it goes, and so it went; " * 60)
    return folder


@pytest.fixture(params=DATA)
def case(request, folder):
    """A trained checkpoint of a task, and its data."""
    name = request.param
    config = TrialConfig.model_validate(
        {
            "task": name if name in tasks.TASKS else "memory",
            "data": DATA[name],
            "model": {"hidden_size": 8},
            "training": {"max_epochs": 3, "batch_size": 8, "learning_rate": 0.01},
        }
    )
    data = tasks.load(config, File(path=str(folder / FILES[name])) if name in FILES else Location())
    [*_, last] = train(config, data)
    return Checkpoint(config, asdict(data.facts), last.state), data


def test_a_subject_answers_as_its_task_does(case):
    kept, data = case
    subject = tasks.subject(kept, data)
    count, steps, columns = subject.windows.shape
    assert len(subject.columns) == columns
    answers = subject.respond(subject.windows)
    assert answers.shape == (count, len(subject.outputs))
    assert torch.isfinite(answers).all()
    assert subject.respond(subject.windows[:2, :3]).shape == (2, len(subject.outputs)), "of any length"
    loss = subject.loss(subject.windows)
    whole = tasks.of(kept.config).feed(data, kept.config, "cpu").evaluate(tasks.best_network(kept), "validation")
    assert loss == pytest.approx(whole["loss"], rel=0.35), "on some of the windows that the epoch was judged on"
    assert subject.loss(subject.windows + 3 * torch.randn_like(subject.windows) * subject.units) > 0
    gates = subject.trace(subject.windows)
    assert gates["forget_gate"].shape == (1, count, steps, 8)


def test_all_of_it_is_measured(case):
    found = probe(tasks.subject(*case))
    assert {name.split("/")[0] for name in found.numbers} == {
        "delay",
        "feedback",
        "activation",
        "scalability",
        "reliability",
    }
    assert all(map(math.isfinite, found.numbers.values()))
    assert found.pictures

"""What the shipped specs read is the same to the bit as before tables were read in more ways (2026-11-30)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.spec import loader
from lstm.tasks import registry

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
RECORDED = json.loads(Path(__file__).with_name("windows.json").read_text())  # made by the code of 6686b8e


def digests(spec: str) -> dict[str, str]:
    """Return the SHA-256 of the times, the values and the scale of a spec's data."""
    experiment = loader.load(EXPERIMENTS / spec).experiment
    data = registry.load(experiment.widest, experiment.location.within(EXPERIMENTS), experiment.reach)
    parts = {"values": data.values, "scale": np.array([data.scale.mean, data.scale.deviation])}
    if experiment.task == "forecast":
        parts |= {"times": data.times[:], "bounds": np.array(sorted(data.bounds.values()))}
    else:
        parts |= {"starts": data.starts, "labels": data.labels}
    return {name: hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest() for name, part in parts.items()}


@pytest.mark.parametrize("spec", sorted(RECORDED))
def test_the_shipped_specs_read_the_same_as_ever(spec: str) -> None:
    assert digests(spec) == RECORDED[spec]

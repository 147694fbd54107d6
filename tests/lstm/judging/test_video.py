import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

from lstm.config.video import step_name
from lstm.judging.video import by_item, cross_entropy, judged, ssim

HERE = Path(__file__).parent


def reference():
    spec = spec_from_file_location("ssim_reference", HERE / "ssim_reference.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ssim_is_scikit_images():
    made, wanted = reference(), json.loads((HERE / "ssim.json").read_text())
    assert wanted["scikit-image"]
    for case, value in zip(made.CASES, wanted["ssim"], strict=True):
        forecast, truth = made.frames(*case)
        assert ssim(forecast, truth) == pytest.approx(value, abs=1e-12)
        assert ssim(forecast[None, None], truth[None, None]).shape == (1, 1)
        assert ssim(truth, truth) == pytest.approx(1)


def test_items_have_each_metric_as_a_mean_and_by_step():
    generator = np.random.default_rng(1)
    forecast, truth = generator.random((2, 5, 3, 2, 9, 8)).astype(np.float32)
    losses = cross_entropy(forecast, truth)
    wanted = torch.nn.functional.binary_cross_entropy(torch.tensor(forecast), torch.tensor(truth), reduction="none")
    assert losses == pytest.approx(wanted.flatten(1).mean(dim=1).numpy(), rel=1e-5)
    found = by_item([(forecast[:2], truth[:2], losses[:2]), (forecast[2:], truth[2:], losses[2:])])
    assert found["loss"] == pytest.approx(losses)
    for metric, each in (("mse", np.square(forecast - truth)), ("mae", np.abs(forecast - truth))):
        by_step = each.reshape(5, 3, -1).mean(axis=2)
        assert found[metric] == pytest.approx(by_step.mean(axis=1), rel=1e-5)
        for step in range(3):
            assert found[step_name(metric, step + 1)] == pytest.approx(by_step[:, step], rel=1e-5)
    assert found["ssim"] == pytest.approx(np.mean([found[step_name("ssim", step)] for step in (1, 2, 3)], axis=0))
    whole = judged("one", "test", np.array([2, 3, 5, 7, 11]), [(forecast, truth, losses)])
    assert whole.items.mean("ssim") == pytest.approx(whole.metrics["ssim"])
    assert whole.items.places.tolist() == [2, 3, 5, 7, 11]


def test_a_certain_and_wrong_forecast_has_a_finite_cross_entropy():
    assert np.isfinite(cross_entropy(np.zeros((1, 1, 1, 2, 2)), np.ones((1, 1, 1, 2, 2)))).all()

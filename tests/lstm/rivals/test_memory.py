import numpy as np
import pytest
from sklearn.linear_model import Ridge as Independent

from lstm.data.memory import draw
from lstm.verdict import fitting


def test_adding_is_a_ridge_on_all_inputs_side_by_side(cases):
    data, config = cases["adding"]
    found = fitting.run("ridge", data, config)
    section = config.data
    inputs, targets = draw(np.random.default_rng([section.seed, 0]), section.sizes.train, section)
    independent = Independent(alpha=found.fitted.settings["penalty"], solver="svd").fit(inputs.reshape(60, -1), targets)
    given, wanted = data.parts["test"]
    errors = np.square(independent.predict(given.reshape(len(given), -1)).reshape(-1, 1) - wanted).mean()
    assert found.judgements["test"].metrics["loss"] == pytest.approx(errors, abs=1e-6)


def test_mackey_glass_is_a_ridge_on_the_values_up_to_each_step(cases):
    data, config = cases["mackey_glass"]
    found = fitting.run("ridge", data, config)
    lookback, warmup = found.fitted.settings["lookback"], config.training.warmup_steps

    def pairs(part):
        inputs, targets = data.parts[part]
        rows = [
            [np.concatenate([np.zeros(lookback), each[: step + 1, 0]])[-lookback:] for step in range(warmup, len(each))]
            for each in inputs.astype(float)
        ]
        return np.concatenate(rows), targets[:, warmup:].reshape(-1)

    independent = Independent(alpha=found.fitted.settings["penalty"], solver="svd").fit(*pairs("train"))
    inputs, wanted = pairs("test")
    errors = np.square(independent.predict(inputs) - wanted)
    assert found.judgements["test"].metrics["loss"] == pytest.approx(errors.mean(), rel=1e-4)
    assert found.judgements["test"].metrics["nrmse"] == pytest.approx(np.sqrt(errors.mean() / wanted.var()), rel=1e-4)


def test_a_linear_map_copies_what_it_is_given_side_by_side(cases):
    found = fitting.run("ridge", *cases["copy"]).judgements["test"]
    assert found.metrics["accuracy"] == 1.0
    assert found.metrics["loss"] < 1e-3

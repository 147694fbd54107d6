import json

import pytest
from pydantic import ValidationError
from told import all_told

from lstm.config import trial as config
from lstm.config.forecast import ForecastData, Split
from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig
from lstm.messages.catalog import CATALOG

TOTAL = {"total": pytest.approx(1.1)}


def faults_of(data=None, model=None, training=None):
    return all_told(config.faults(data, model, training))


def test_a_sound_configuration_has_no_faults(trial_config):
    trial = trial_config({"time": "t", "calendar": ["hour_of_day"], "step": "1h", "past_covariates": ["a"]})
    assert faults_of(trial.data, trial.model, trial.training) == []
    assert faults_of() == []


@pytest.mark.parametrize(
    ("settings", "path", "code", "named"),
    [
        ({"target": ["y", "y"]}, "data.target", "column-twice-in-a-role", {"column": "y"}),
        ({"time": "y"}, "data.target", "column-of-two-roles", {"column": "y", "other": "data.time"}),
        (
            {"past_covariates": ["y"]},
            "data.past_covariates",
            "column-of-two-roles",
            {"column": "y", "other": "data.target"},
        ),
        (
            {"past_covariates": ["a"], "future_covariates": ["a"]},
            "data.future_covariates",
            "column-of-two-roles",
            {"column": "a", "other": "data.past_covariates"},
        ),
        ({"past_covariates": ["a", "a"]}, "data.past_covariates", "column-twice-in-a-role", {"column": "a"}),
        ({"calendar": ["hour_of_day"]}, "data.calendar", "no-time-column", {}),
        ({"step": "1h"}, "data.step", "no-time-column", {}),
        (
            {"time": "t", "calendar": ["hour_of_day"] * 2},
            "data.calendar",
            "calendar-feature-twice",
            {"feature": "hour_of_day"},
        ),
        ({"split": {"validation": 0.2, "test": 5}}, "data.split", "split-of-several-kinds", {}),
        ({"split": {"validation": 5, "test": "2020-01-01"}}, "data.split", "split-of-several-kinds", {}),
        ({"split": {"train": 0.7, "validation": 0.2, "test": 10}}, "data.split", "split-of-several-kinds", {}),
        ({"split": {"train": 0.7, "validation": 0.2, "test": 0.2}}, "data.split", "shares-above-one", TOTAL),
        ({"split": {"validation": 0.5, "test": 0.5}}, "data.split", "nothing-to-train", {"total": 1.0}),
    ],
)
def test_each_rule_of_the_data_names_its_field_and_what_is_wrong(data_config, settings, path, code, named):
    assert faults_of(data_config(**settings)) == [(path, code, named)]


@pytest.mark.parametrize(
    "split",
    [
        {"train": 0.7, "validation": 0.2, "test": 0.1},
        {"validation": 2880, "test": 2880},
        {"validation": "1996-01-01", "test": "1997-01-01", "train": "1995-01-01"},
    ],
)
def test_splits_of_one_kind_are_sound(data_config, split):
    assert faults_of(data_config(split=split)) == []


BOTH, PLATEAU = ["exponential", "plateau"], ["plateau"]


@pytest.mark.parametrize(
    ("settings", "path", "code", "named"),
    [
        ({"momentum": 0.9}, "training.momentum", "no-momentum", {"optimizer": "adam"}),
        (
            {"schedule_gamma": 0.5},
            "training.schedule_gamma",
            "field-of-another-schedule",
            {"schedule": "constant", "schedules": BOTH},
        ),
        (
            {"schedule_gamma": 0.5, "schedule": "cosine"},
            "training.schedule_gamma",
            "field-of-another-schedule",
            {"schedule": "cosine", "schedules": BOTH},
        ),
        (
            {"schedule_patience": 2},
            "training.schedule_patience",
            "field-of-another-schedule",
            {"schedule": "constant", "schedules": PLATEAU},
        ),
        (
            {"schedule_patience": 2, "schedule": "exponential"},
            "training.schedule_patience",
            "field-of-another-schedule",
            {"schedule": "exponential", "schedules": PLATEAU},
        ),
        *(
            ({name: value}, f"training.{name}", "field-of-another-method", {"method": "gradient", "other": "evolution"})
            for name, value in {
                "reward": "loss",
                "population": 5,
                "population_noise": 0.1,
                "fitness_share": 0.5,
            }.items()
        ),
        (
            {"method": "evolution", "input_noise": 0.1},
            "training.input_noise",
            "field-of-another-method",
            {"method": "evolution", "other": "gradient"},
        ),
        ({"patience": 30}, "training.patience", "patience-too-long", {"patience": 30, "max_epochs": 30}),
        (
            {"schedule_patience": 30, "schedule": "plateau"},
            "training.schedule_patience",
            "patience-too-long",
            {"patience": 30, "more": 3, "max_epochs": 30},
        ),
        (
            {"schedule_patience": 28, "schedule": "plateau"},
            "training.schedule_patience",
            "patience-too-long",
            {"patience": 28, "more": 3, "max_epochs": 30},
        ),
    ],
)
def test_an_option_of_the_training_that_would_do_nothing_is_a_fault(settings, path, code, named):
    assert faults_of(training=TrainingConfig(**settings)) == [(path, code, named)]


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.9, "optimizer": "sgd"},
        {"schedule_gamma": 0.5, "schedule": "exponential"},
        {"schedule_gamma": 0.5, "schedule": "plateau", "schedule_patience": 0},
        {"patience": 29},
        {"schedule_patience": 27, "schedule": "plateau"},
    ],
)
def test_the_same_options_where_they_act_are_sound(settings):
    assert faults_of(training=TrainingConfig(**settings)) == []


def test_dropout_needs_two_layers():
    assert faults_of(model=ModelConfig(dropout=0.1)) == [("model.dropout", "dropout-without-layers", {})]
    assert "num_layers: 2 or more" in CATALOG["dropout-without-layers"].mend
    assert faults_of(model=ModelConfig(dropout=0.1, num_layers=2)) == []


@pytest.mark.parametrize(
    ("model", "path", "code", "named"),
    [
        ({"cell": "gru", "variant": "vanilla"}, "model.variant", "variant-of-another-cell", {"cell": "gru"}),
        ({"cell": "rnn", "variant": "vanilla"}, "model.variant", "variant-of-another-cell", {"cell": "rnn"}),
        ({"cell": "gru", "forget_bias": 1}, "model.forget_bias", "no-forget-gate", {"field": "cell", "value": "gru"}),
        (
            {"cell": "rnn", "forget_bias": "chrono"},
            "model.forget_bias",
            "no-forget-gate",
            {"field": "cell", "value": "rnn"},
        ),
        (
            {"variant": "no_forget_gate", "forget_bias": 0.0},
            "model.forget_bias",
            "no-forget-gate",
            {"field": "variant", "value": "no_forget_gate"},
        ),
        ({"forget_bias": "chrono"}, "model.forget_bias", "chrono-of-short-sequences", {"steps": 2}),
    ],
)
def test_what_a_cell_lacks_can_not_be_set(data_config, model, path, code, named):
    assert faults_of(data_config(lookback=2), ModelConfig(**model)) == [(path, code, named)]


def test_variants_and_forget_biases_where_they_act_are_sound(data_config):
    for model in ({"variant": "vanilla"}, {"forget_bias": -1}, {"variant": "coupled_gates", "forget_bias": "chrono"}):
        assert faults_of(data_config(lookback=3), ModelConfig(bidirectional=True, **model)) == []
        assert faults_of(None, ModelConfig(**model)) == []


@pytest.mark.parametrize("settings", [{"forget_bias": "chrono2"}, {"forget_bias": True}, {"variant": "NP"}])
def test_a_model_that_is_none(settings):
    with pytest.raises(ValidationError):
        ModelConfig(**settings)


def test_faults_of_all_sections_come_at_once(data_config):
    found = faults_of(data_config(step="1h"), ModelConfig(dropout=0.1), TrainingConfig(momentum=0.5))
    assert [path for path, _, _ in found] == ["data.step", "model.dropout", "training.momentum"]


@pytest.mark.parametrize(
    "settings",
    [
        {"lookback": 0},
        {"lookback": 2.0},
        {"horizon": "3"},
        {"lookbak": 3},
        {"target": []},
        {"target": ""},
        {"calendar": ["hour"]},
        {"split": {"validation": 1.0, "test": 0.1}},
        {"split": {"validation": True, "test": 0.1}},
        {"split": {"validation": 0.1}},
    ],
)
def test_sections_are_strict_and_know_no_other_keys(data_config, settings):
    with pytest.raises(ValidationError):
        data_config(**settings)


def test_sections_are_frozen(data_config):
    with pytest.raises(ValidationError):
        data_config().lookback = 3


@pytest.mark.parametrize("loss_on", ["all", "measured"])
def test_a_configuration_is_written_as_the_version_that_began_it_did(trial_config, loss_on):
    found = trial_config(loss_on=loss_on)
    for tree in (found.model_dump(), json.loads(found.model_dump_json())):
        assert tree.get("loss_on", "all") == loss_on
        assert ("loss_on" in tree) is (loss_on != "all"), "an earlier version's lacks it"
        assert TrialConfig.model_validate(tree) == found


def test_every_field_says_what_it_is():
    for section in (ForecastData, Split, ModelConfig, TrainingConfig):
        for name, field in section.model_fields.items():
            assert (field.description or "").endswith("."), f"{section.__name__}.{name}"


def test_columns_stand_in_the_order_of_the_network(data_config):
    data = data_config(target=["b", "a"], past_covariates=["p"], future_covariates=["f"])
    assert data.targets == ["b", "a"]
    assert data.columns == ["b", "a", "p", "f"]


def test_where_the_data_lie_is_no_part_of_it(trial_config):
    now = trial_config().model_dump()
    assert "path" not in now["data"]
    earlier = {**now, "data": {**now["data"], "path": "elsewhere/a.csv"}}  # as earlier versions kept it
    assert TrialConfig.model_validate(earlier) == TrialConfig.model_validate(now) == trial_config()
    with pytest.raises(ValidationError, match="pth"):
        TrialConfig.model_validate({**now, "data": {**now["data"], "pth": "a.csv"}})


def test_without_a_backtest_a_trial_is_written_as_before_there_was_one(trial_config):
    """What is written is a trial's identity in checkpoints, study and MLflow."""
    assert "backtest" not in trial_config().model_dump()["data"]
    made = trial_config({"backtest": {"windows": 3}})
    assert made.model_dump()["data"]["backtest"] == {"windows": 3, "length": None, "refit": True}
    assert TrialConfig.model_validate(made.model_dump()) == made


def test_a_configuration_without_evolution_is_written_as_before_there_was_any():
    before = set(TrainingConfig().model_dump())
    assert not before & {"method", "reward", "population", "population_noise", "fitness_share"}
    made = TrainingConfig(method="evolution", population=8)
    assert set(made.model_dump()) - before == {"method", "population"}
    assert TrainingConfig.model_validate(made.model_dump()) == made

import itertools
import random
import typing

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from pydantic import TypeAdapter, ValidationError

from cluster import config
from cluster.config import ResourcesConfig, SearchConfig, StorageConfig
from cluster.study.samplers_and_pruners import _sampler, pruner_of

SPACE = {"model.hidden_size": {"type": "int", "low": 2, "high": 8}}


def kinds(union):
    return [kind.model_fields["type"].annotation.__args__[0] for kind in typing.get_args(typing.get_args(union)[0])]


def test_what_is_offered():
    assert kinds(config.AnySampler) == ["tpe", "gp", "random", "grid"]
    assert kinds(config.AnyPruner) == ["median", "successive_halving", "hyperband", "patient", "none"]


def test_defaults():
    search = SearchConfig(n_trials=4, space=SPACE)
    assert (search.metric, search.direction, search.sampler.type, search.pruner.type) == (
        "val/loss",
        "minimize",
        "tpe",
        "none",
    )
    assert ResourcesConfig().gpus_per_trial == "auto"
    assert StorageConfig().keep == "all"


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_trials": 0},
        {"n_trials": 4.0},
        {"n_trials": True},
        {"space": {}},
        {"space": {"model.hidden_size": {"type": "integer", "low": 2, "high": 8}}},
        {"space": {"model.hidden_size": {"type": "int", "low": 2.5, "high": 8}}},
        {"space": {"training.learning_rate": {"type": "float", "low": float("nan"), "high": 1.0}}},
        {"space": {"training.learning_rate": {"type": "float", "low": 0.1, "high": float("inf")}}},
        {"space": {"model.cell": {"type": "categorical", "choices": ["lstm"]}}},
        {"space": {"model.dropout": {"type": "categorical", "choices": [0.1, float("nan")]}}},
        {"space": {"model.hidden_size": SPACE["model.hidden_size"] | {"when": {}}}},
        {"sampler": {"type": "cmaes"}},
        {"sampler": {"type": "random", "seed": -1}},
        {"pruner": {"type": "median", "warmup": 3}},
        {"first": [{}]},
        {"stop": {"max_hours": 0.0}},
        {"direction": "down"},
    ],
)
def test_refused(wrong):
    with pytest.raises(ValidationError):
        SearchConfig.model_validate({"n_trials": 4, "space": SPACE} | wrong)


def test_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        SearchConfig(n_trials=4, space=SPACE).n_trials = 5


# What each field's sentence says, held against what Optuna does.


def asked(pruner, curves, direction="minimize"):
    """The epoch after which Optuna ends each trial of these curves, one after another; None where it does not."""
    longest = max(map(len, curves))
    study = optuna.create_study(
        study_name="x",
        direction=direction,
        pruner=pruner_of(TypeAdapter(config.AnyPruner).validate_python(pruner), longest),
    )
    return [_run(study, curve) for curve in curves]


def _run(study, curve):
    trial = study.ask()
    for epoch, value in enumerate(curve, 1):
        trial.report(value, epoch)
        if epoch < len(curve) and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return epoch
    study.tell(trial, curve[-1])
    return None


RISING = [[100.0 * trial + epoch for epoch in range(1, 13)] for trial in range(12)]  # each trial worse than all before


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize(("patience", "min_delta"), [(0, 0.0), (1, 0.0), (2, 0.5), (3, 2.0)])
def test_patient_ends_a_trial_whose_last_epochs_are_worse_by_more_than_min_delta(direction, patience, min_delta):
    draw, sign = random.Random(7), 1 if direction == "minimize" else -1
    ended = 0
    for _ in range(40):
        curve = [sign * draw.choice((1.0, 1.5, 2.0, 3.0, 5.0)) for _ in range(12)]
        [told] = asked({"type": "patient", "patience": patience, "min_delta": min_delta}, [curve], direction)
        own = [sign * value for value in curve]
        rule = (
            epoch
            for epoch in range(patience + 2, len(own))
            if min(own[epoch - patience - 1 : epoch]) > min(own[: epoch - patience - 1]) + min_delta
        )
        assert told == next(rule, None)
        ended += told is not None
    assert ended > 0


def test_a_larger_min_delta_ends_a_trial_later():
    ends = [asked({"type": "patient", "patience": 1, "min_delta": delta}, RISING[:1])[0] for delta in (0.0, 2.0, 5.0)]
    assert ends == [3, 5, 8]
    assert asked({"type": "patient", "patience": 1}, [[1.0] * 12]) == [None]  # as good as before is not worse


@pytest.mark.parametrize(
    ("pruner", "first"),
    [
        ({"type": "median", "n_startup_trials": 0}, 1),
        ({"type": "median", "n_startup_trials": 0, "n_warmup_steps": 4, "interval_steps": 3}, 4),
        ({"type": "successive_halving", "min_resource": 3}, 3),
        ({"type": "successive_halving", "min_resource": 2, "reduction_factor": 3, "min_early_stopping_rate": 1}, 6),
        ({"type": "hyperband", "min_resource": 2, "reduction_factor": 3}, 2),
        ({"type": "patient", "patience": 3}, 5),
    ],
)
def test_the_epoch_of_the_first_decision(pruner, first):
    assert min(epoch for epoch in asked(pruner, RISING) if epoch) == first


def test_the_median_is_that_of_completed_trials_and_is_asked_for_at_intervals():
    good, bad = [[1.0] * 12] * 3, [9.0] * 12
    median = {"type": "median", "n_startup_trials": 3, "n_warmup_steps": 4, "interval_steps": 3}
    assert asked(median, [*good[:2], bad]) == [None, None, None]
    assert asked(median, [*good, bad]) == [None, None, None, 4]
    late = [0.5] * 4 + [9.0] * 8  # its best value so far counts
    assert asked(median, [*good, late]) == [None] * 4
    assert asked(median | {"n_startup_trials": 0}, [bad, bad]) == [None, None]  # no better, no worse
    assert asked(median, [good[0], good[0], [1.0] * 5 + [0.1] * 7, [1.0] * 4 + [2.0] * 8, bad])[-1] == 4
    assert asked(median, [*[[5.0] * 4 + [1.0] * 8] * 3, [3.0] * 12])[-1] == 7


def test_a_rung_keeps_one_in_so_many_and_the_next_is_so_many_times_as_far():
    halving = {"type": "successive_halving", "min_resource": 2, "reduction_factor": 3}
    constant = [[float(value)] * 30 for value in (8, 8.5, 8.6, 7, 7.5, 6, 5, 5.5)]
    # At epoch 2 the eighth is one of the best two of 8, at epoch 6 not the best one of 5.
    assert asked(halving, constant) == [None, 2, 2, None, 2, None, None, 6]


def test_hyperband_has_as_many_brackets_as_its_sentence_says():
    for epochs, least, factor in itertools.product((9, 30, 100), (1, 3), (2, 3)):
        study = optuna.create_study(
            pruner=pruner_of(
                config.HyperbandPruner(type="hyperband", min_resource=least, reduction_factor=factor), epochs
            )
        )
        _run(study, [1.0] * epochs)
        rungs = [least * factor**n for n in range(20) if least * factor**n <= epochs]
        assert len(study.pruner._pruners) == len(rungs)


@pytest.mark.parametrize("kind", ["tpe", "gp"])
def test_the_model_is_used_once_so_many_trials_have_ended(kind):
    search = SearchConfig.model_validate(
        {"n_trials": 9, "space": SPACE, "sampler": {"type": kind, "n_startup_trials": 3}}
    )
    distribution = {"model.hidden_size": optuna.distributions.IntDistribution(2, 8)}
    study = optuna.create_study(sampler=_sampler(search, 1, 0))
    used = []
    for number, state in enumerate([TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE, TrialState.COMPLETE]):
        value = float(number) if state == TrialState.COMPLETE else None
        params = {"params": {"model.hidden_size": 2 + number}, "distributions": distribution}
        study.add_trial(create_trial(state=state, value=value, intermediate_values={1: float(number)}, **params))
        trial = study.ask()
        used.append(bool(trial.relative_params))
        study.tell(trial, state=TrialState.FAIL)
    assert used == {"tpe": [False, False, True, True], "gp": [False, False, False, True]}[kind]

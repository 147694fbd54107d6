import pytest

from lstm.config.forecast import ForecastData

# (what stands there, what is put there, the fault: its line and field, its code, and what it names)
WRONG = [
    ("mauna-loa-co2", "Default", ("2: name", "name-reserved", {"name": "Default"})),
    ("mauna-loa-co2", "study.db-wal", ("2: name", "name-reserved", {"name": "study.db-wal"})),
    ("mauna-loa-co2", "a..b", ("2: name", "name-with-dots", {"name": "a..b"})),
    (
        "model.num_layers:",
        "model.num_layer:",
        ("22: search.space.model.num_layer", "unknown-field-to-search", {"near": "model.num_layers"}),
    ),
    (
        "gpus_per_trial: auto",
        "gpus_per_trial: 1.5",
        (
            "24: resources.gpus_per_trial",
            "wrong-type",
            {
                "came": "1.5",
                "wanted": "auto or a number (at least 0 and at most 1). GPUs for each trial. A fraction puts several "
                "trials on one GPU, each limited to that share of its memory. auto: one if the cluster has GPUs or "
                "its autoscaler may start some, else none",
            },
        ),
    ),
    (
        "metric: val/loss",
        "metric: val/los",
        (
            "14: search.metric",
            "unknown-metric",
            {
                "metric": "val/los",
                "near": "val/loss",
                "allowed": ["val/loss", "val/mae", "val/mase", "val/mae_original", "val/rmse_original"],
            },
        ),
    ),
    (
        "direction: minimize",
        "direction: maximize",
        (
            "15: search.direction",
            "direction-to-the-worst",
            {"metric": "val/loss", "better": "lower", "right": "minimize"},
        ),
    ),
    (
        "min_resource: 3",
        "min_resource: 30",
        ("19: search.pruner.min_resource", "pruner-never-acts", {"first": 30, "epochs": 30}),
    ),
    (
        "min_resource: 3",
        "min_early_stopping_rate: 9",
        ("19: search.pruner.min_early_stopping_rate", "pruner-never-acts", {"first": 19683, "epochs": 30}),
    ),
    (
        "{type: successive_halving, min_resource: 3, reduction_factor: 3}",
        "{type: patient, patience: 40}",
        ("19: search.pruner.patience", "pruner-never-acts", {"first": 42, "epochs": 30}),
    ),
    (
        "{type: successive_halving, min_resource: 3, reduction_factor: 3}",
        "{type: patient, patience: 28}",  # it first decides at epoch 30
        ("19: search.pruner.patience", "pruner-never-acts", {"first": 30, "epochs": 30}),
    ),
    (
        "{type: successive_halving, min_resource: 3, reduction_factor: 3}",
        "{type: hyperband, min_resource: 40}",
        ("19: search.pruner.min_resource", "pruner-never-acts", {"first": 40, "epochs": 30}),
    ),
    (
        "{type: successive_halving, min_resource: 3, reduction_factor: 3}",
        "{type: median, n_warmup_steps: 40}",
        ("19: search.pruner.n_warmup_steps", "pruner-never-acts", {"first": 40, "epochs": 30}),
    ),
    (
        "{type: successive_halving, min_resource: 3, reduction_factor: 3}",
        "{type: median, n_startup_trials: 32}",
        (
            "19: search.pruner.n_startup_trials",
            "startup-never-ends",
            {"startup": 32, "trials": 32, "who": "pruner", "other": "none"},
        ),
    ),
    (
        "{type: tpe, seed: 7}",
        "{type: tpe, n_startup_trials: 50}",
        (
            "18: search.sampler.n_startup_trials",
            "startup-never-ends",
            {"startup": 50, "trials": 32, "who": "sampler", "other": "random"},
        ),
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_spec_is_refused_with_one_message(refused, old, new, told):
    assert refused(old, new) == [told]


def test_an_empty_search_is_refused(refused, right):
    assert refused(right.search, "search:\n") == [("13: search", "search-empty", {})]


PRUNER = "{type: successive_halving, min_resource: 3, reduction_factor: 3}"
TWO = "n_trials: 32\n  second_objective: {{metric: {}, direction: minimize}}"


def test_evolution_improves_a_metric_of_the_task(spec, refused):
    def by(reward):
        return "training: {", f"training: {{method: evolution, reward: {reward}, "

    assert spec(*by("mae")).experiment.base.training.rewarded == "mae"
    [(where, code, named)] = refused(*by("val/mae"))
    assert (where.partition(": ")[2], code) == ("training.reward", "unknown-metric")
    assert (named["metric"], named["near"]) == ("val/mae", "mae")


def test_a_search_draws_no_reward_that_the_task_lacks(spec, refused):
    def among(*rewards):
        when = "when: {training.method: evolution}"
        return (
            "  space:\n",
            "  space:\n    training.method: {type: categorical, choices: [gradient, evolution]}\n"
            f"    training.reward: {{type: categorical, choices: [{', '.join(rewards)}], {when}}}\n",
        )

    space = spec(*among("mae", "loss", "null")).experiment.search.space
    assert space["training.reward"].choices == ["mae", "loss", None]
    [(where, code, named)] = refused(*among("loss", "maee"))
    assert (where.partition(": ")[2], code) == ("search.space.training.reward.choices.1", "unknown-metric")
    assert (named["metric"], named["near"]) == ("maee", "mae")


def test_a_second_objective_needs_probes_and_no_pruner(spec, refused):
    fits = ("n_trials: 32", TWO.format("probe/reliability/noise"))
    more = ("resources:", "probe: {every_trial: true}\nresources:", PRUNER, "{type: none}", "keep: best", "keep: all")
    assert spec(*fits, *more).experiment.search.second_objective.metric == "probe/reliability/noise"
    of_a_column = ("n_trials: 32", TWO.format("probe/feedback/gain/ppm"))
    assert spec(*of_a_column, *more).experiment.search.second_objective.metric == "probe/feedback/gain/ppm"
    assert refused(*fits) == [
        ("17: search.second_objective.metric", "metric-not-probed", {"metric": "probe/reliability/noise"}),
        ("20: search.pruner.type", "pruner-of-two-objectives", {"pruner": "successive_halving"}),
        ("26: storage.keep", "keep-best-of-a-front", {}),
    ]
    [(where, code, named)] = refused("n_trials: 32", TWO.format("probe/delay/half_lif"), *more)
    assert (where, code) == ("17: search.second_objective.metric", "unknown-metric")
    assert (named["metric"], named["near"]) == ("probe/delay/half_lif", "probe/delay/half_life")
    assert named["near"] in named["allowed"]
    assert all(name.startswith("probe/") for name in named["allowed"])


def test_a_search_without_data_is_still_checked(refused):
    told = refused(
        "horizon: 26", "horizon: x", "metric: val/loss", "direction: maximize", "  direction: minimize\n", ""
    )
    assert len(told) == 2


def test_options_that_do_nothing_without_a_search(refused, right):
    assert refused(right.search, "", "max_concurrent: auto", "max_concurrent: 4") == [
        ("13: resources.max_concurrent", "no-search", {}),
        ("14: storage.keep", "no-search", {}),
    ]


THREE = {"trials": 4, "size": 3}


@pytest.mark.parametrize(
    ("space", "n_trials", "told"),
    [
        ("{type: int, low: 1, high: 3}", 3, None),
        ("{type: int, low: 1, high: 3}", 4, ("16: search.n_trials", "more-trials-than-grid", THREE)),
        ("{type: int, low: 1, high: 5, step: 2}", 4, ("16: search.n_trials", "more-trials-than-grid", THREE)),
        ("{type: categorical, choices: [1, 2]}", 2, None),
        (
            "{type: int, low: 1, high: 3, log: true}",
            2,
            ("21: search.space.model.num_layers", "grid-of-a-range", {"instead_of": "log"}),
        ),
    ],
)
def test_a_grid_needs_a_list_of_values(spec, refused, right, space, n_trials, told):
    change = (right.space, f"    model.num_layers: {space}\n", "n_trials: 32", f"n_trials: {n_trials}")
    grid = ("  space:\n", "  space:\n", "{type: tpe, seed: 7}", "{type: grid}")
    if told is None:
        spec(*change, *grid)
    else:
        assert refused(*change, *grid) == [told]


def test_a_grid_too_large_is_counted_not_listed(refused, right):
    told = refused(
        *(right.space, "    training.seed: {type: int, low: 0, high: 2147483647}\n"),
        *("{type: tpe, seed: 7}", "{type: grid}"),
    )
    assert told[-1] == ("20: search.space", "grid-too-large", {"size": 2_147_483_648, "most": 1_000_000})


@pytest.mark.parametrize("sampler", ["gp", "grid"])
def test_conditions_need_a_sampler_that_knows_them(spec, refused, right, sampler):
    space = """\
    model.num_layers: {type: int, low: 1, high: 3}
    model.dropout: {type: float, low: 0.1, high: 0.5, step: 0.1, when: {model.num_layers: [2, 3]}}
"""
    spec(right.space, space)
    told = refused(right.space, space, "type: tpe, seed: 7", f"type: {sampler}", "n_trials: 32", "n_trials: 9")
    named = {"sampler": sampler, "field": "model.dropout"}
    assert told == [("18: search.sampler.type", "sampler-with-conditions", named)]


def test_a_startup_that_was_not_written_is_no_fault(spec):
    spec("n_trials: 32", "n_trials: 2")


def test_what_changes_a_metrics_unit_is_searched_by_a_metric_that_all_trials_share(refused, spec, right, monkeypatch):
    monkeypatch.setattr(ForecastData, "changes_unit", ("training.optimizer",))
    monkeypatch.setattr(ForecastData, "same_for_all", ("mae", "mase"))
    change = (right.space, "    training.optimizer: {type: categorical, choices: [adam, sgd]}\n")
    target = ("learning_rate: 1e-3", "learning_rate: 1e-3, target_loss: 0.1")
    named = {"metric": "val/loss", "metrics": ["val/mae", "val/mase"]}
    assert refused(*change, *target) == [
        ("12: training.target_loss", "target-of-several-units", {"fields": ["training.optimizer"]}),
        ("21: search.space.training.optimizer", "unit-searched", named),
    ]
    spec(*change, "metric: val/loss", "metric: val/mae")

import pytest

WRONG = [
    # (what stands there, what is put there, the message after the file's name)
    ("mauna-loa-co2", "Default", "2: name: is Default, which is reserved; take another"),
    ("mauna-loa-co2", "study.db-wal", "2: name: is study.db-wal, which is reserved; take another"),
    ("mauna-loa-co2", "a..b", "2: name: is a..b, may not hold '..' or end with '.'"),
    (
        "model.num_layers:",
        "model.num_layer:",
        "22: search.space.model.num_layer: names no field of the base configuration, did you mean model.num_layers?",
    ),
    ("gpus_per_trial: auto", "gpus_per_trial: 1.5", None),
    (
        "metric: val/loss",
        "metric: val/los",
        '14: search.metric: is "val/los", must be one of val/loss, val/mae, val/mase, val/mae_original or '
        "val/rmse_original, did you mean val/loss?",
    ),
    (
        "direction: minimize",
        "direction: maximize",
        "15: search.direction: would search for the worst: val/loss is an error, better when lower; use minimize",
    ),
    (
        "min_resource: 3",
        "min_resource: 30",
        "19: search.pruner.min_resource: can never act: it first decides at epoch 30 and trials end at epoch 30; "
        "make it smaller, or use pruner: {type: none}",
    ),
    ("min_resource: 3", "min_early_stopping_rate: 9", None),
    ("{type: successive_halving, min_resource: 3, reduction_factor: 3}", "{type: patient, patience: 40}", None),
    (
        "{type: successive_halving, min_resource: 3, reduction_factor: 3}",
        "{type: patient, patience: 28}",  # it first decides at epoch 30
        None,
    ),
    ("{type: successive_halving, min_resource: 3, reduction_factor: 3}", "{type: hyperband, min_resource: 40}", None),
    ("{type: successive_halving, min_resource: 3, reduction_factor: 3}", "{type: median, n_warmup_steps: 40}", None),
    (
        "{type: successive_halving, min_resource: 3, reduction_factor: 3}",
        "{type: median, n_startup_trials: 32}",
        "19: search.pruner.n_startup_trials: is 32 of n_trials: 32, so the pruner would never act; make it smaller, or "
        "use pruner: {type: none}",
    ),
    (
        "{type: tpe, seed: 7}",
        "{type: tpe, n_startup_trials: 50}",
        "18: search.sampler.n_startup_trials: is 50 of n_trials: 32, so the sampler would never act; make it smaller, "
        "or use sampler: {type: random}",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_spec_is_refused_with_one_message(refused, old, new, message):
    told = refused(old, new)
    assert len(told) == 1, told
    assert told[0] == f"a.yaml:{message}" if message else told[0].startswith("a.yaml:")


def test_an_empty_search_is_refused(refused, right):
    assert refused(right.search, "search:\n") == [
        "a.yaml:13: search: is empty; leave it out for one training run without a search"
    ]


PRUNER = "{type: successive_halving, min_resource: 3, reduction_factor: 3}"
TWO = "n_trials: 32\n  second_objective: {{metric: {}, direction: minimize}}"


def test_a_second_objective_needs_probes_and_no_pruner(spec, refused):
    fits = ("n_trials: 32", TWO.format("probe/reliability/noise"))
    more = ("resources:", "probe: {every_trial: true}\nresources:", PRUNER, "{type: none}", "keep: best", "keep: all")
    assert spec(*fits, *more).experiment.search.second_objective.metric == "probe/reliability/noise"
    of_a_column = ("n_trials: 32", TWO.format("probe/feedback/gain/ppm"))
    assert spec(*of_a_column, *more).experiment.search.second_objective.metric == "probe/feedback/gain/ppm"
    assert refused(*fits) == [
        "a.yaml:17: search.second_objective.metric: is probe/reliability/noise, which no trial has unless each is "
        "probed; set probe.every_trial: true",
        "a.yaml:20: search.pruner.type: is successive_halving, which can't compare trials by two objectives; leave it "
        "out, or leave out search.second_objective",
        "a.yaml:26: storage.keep: can't be best with search.second_objective: no trial of the Pareto front is the "
        "best; use all",
    ]
    (told,) = refused("n_trials: 32", TWO.format("probe/delay/half_lif"), *more)
    assert told.startswith(
        'a.yaml:17: search.second_objective.metric: is "probe/delay/half_lif", must be a number of a'
    )
    assert told.endswith("did you mean probe/delay/half_life?")


def test_a_search_without_data_is_still_checked(refused):
    told = refused(
        "horizon: 26", "horizon: x", "metric: val/loss", "direction: maximize", "  direction: minimize\n", ""
    )
    assert len(told) == 2


def test_options_that_do_nothing_without_a_search(refused, right):
    idle = "would do nothing: there is no search, so there is one trial; leave it out, or add search"
    assert refused(right.search, "", "max_concurrent: auto", "max_concurrent: 4") == [
        f"a.yaml:13: resources.max_concurrent: {idle}",
        f"a.yaml:14: storage.keep: {idle}",
    ]


@pytest.mark.parametrize(
    ("space", "n_trials", "message"),
    [
        ("{type: int, low: 1, high: 3}", 3, None),
        ("{type: int, low: 1, high: 3}", 4, "16: search.n_trials: is 4, but the grid has 3 combinations; use 3"),
        (
            "{type: int, low: 1, high: 5, step: 2}",
            4,
            "16: search.n_trials: is 4, but the grid has 3 combinations; use 3",
        ),
        ("{type: categorical, choices: [1, 2]}", 2, None),
        (
            "{type: int, low: 1, high: 3, log: true}",
            2,
            "20: search.space.model.num_layers: has no list of values for the grid; give it a step instead of log, or "
            "choices",
        ),
    ],
)
def test_a_grid_needs_a_list_of_values(spec, refused, right, space, n_trials, message):
    change = (right.space, f"    model.num_layers: {space}\n", "n_trials: 32", f"n_trials: {n_trials}")
    grid = ("  space:\n", "  space:\n", "{type: tpe, seed: 7}", "{type: grid}")
    if message is None:
        spec(*change, *grid)
    else:
        assert refused(*change, *grid) == [f"a.yaml:{message.replace('20:', '21:')}"]


def test_a_grid_too_large_is_counted_not_listed(refused, right):
    told = refused(
        *(right.space, "    training.seed: {type: int, low: 0, high: 2147483647}\n"),
        *("{type: tpe, seed: 7}", "{type: grid}"),
    )
    assert "2,147,483,648 combinations" in told[0]


@pytest.mark.parametrize("sampler", ["gp", "grid"])
def test_conditions_need_a_sampler_that_knows_them(spec, refused, right, sampler):
    space = """\
    model.num_layers: {type: int, low: 1, high: 3}
    model.dropout: {type: float, low: 0.1, high: 0.5, step: 0.1, when: {model.num_layers: [2, 3]}}
"""
    spec(right.space, space)
    told = refused(right.space, space, "type: tpe, seed: 7", f"type: {sampler}", "n_trials: 32", "n_trials: 9")
    assert told == [
        f"a.yaml:18: search.sampler.type: is {sampler}, which can't search where a parameter has a condition "
        "(model.dropout has `when`); use tpe or random"
    ]


def test_a_startup_that_was_not_written_is_no_fault(spec):
    spec("n_trials: 32", "n_trials: 2")

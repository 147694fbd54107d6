import copy
import json
import random
import subprocess
import sys

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.spec import (
    SCHEMA,
    Spec,
    changes,
    comparable,
    load,
    schema,
    spec_hash,
    warnings,
)
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
BORDER = (
    "must be a number (above 0 and below 1), a whole number (at least 1) or text (at least 4 characters long). "
    "Size as a share of the rows or a number of rows, or the part's first time"
)
SPACE = RIGHT[RIGHT.index("    model.hidden_size: {") : RIGHT.index("resources:")]
SEARCH = RIGHT[RIGHT.index("search:") : RIGHT.index("resources:")]


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def made(*replaced, overrides=(), **environment) -> Spec:
        text = RIGHT
        for old, new in zip(replaced[::2], replaced[1::2], strict=True):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / "a.yaml").write_text(text)
        return load("a.yaml", overrides, environment)

    return made


def refused(spec, *replaced, **more) -> list[str]:
    with pytest.raises(BadInput) as error:
        spec(*replaced, **more)
    return list(error.value.messages)


def test_a_right_spec_loads(spec):
    made = spec()
    assert made.experiment.name == "mauna-loa-co2"
    assert made.experiment.base.training.learning_rate == 1e-3
    assert made.experiment.base.metric == "val/loss"
    assert made.experiment.reach == 104
    assert made.experiment.storage.study == "sqlite:///runs/study.db"
    assert str(made.folder) == "."
    assert warnings(made) == []


def test_without_search_it_is_one_training_run(spec):
    made = spec(SEARCH, "", ", keep: best", "")
    assert made.experiment.search is None
    assert made.experiment.base.direction == "minimize"
    assert not [path for path in comparable(made) if path.startswith("search")]


def test_the_reach_is_the_largest_lookback_of_any_trial(spec):
    wide = SPACE + "    data.lookback: {type: int, low: 10, high: 300}\n"
    chosen = SPACE + "    data.lookback: {type: categorical, choices: [10, 208]}\n"
    short = SPACE + "    data.lookback: {type: int, low: 10, high: 20}\n"
    assert [spec(SPACE, space).experiment.reach for space in (wide, chosen, short)] == [300, 208, 104]


WRONG = [
    # (what stands there, what is put there, the message after the file's name)
    ("hidden_size: 64", "hiden_size: 64", "11: model.hiden_size: unknown key, did you mean hidden_size?"),
    ("hidden_size: 64", "units: 64", "11: model.units: unknown key, did you mean hidden_size?"),
    ("num_layers: 1", "layers: 1", "11: model.layers: unknown key, did you mean num_layers?"),
    ("learning_rate: 1e-3", "lr: 1e-3", "12: training.lr: unknown key, did you mean learning_rate?"),
    ("max_epochs: 30", "epochs: 30", "12: training.epochs: unknown key, did you mean max_epochs?"),
    ("  lookback: 104", "  window: 104", "8: data.window: unknown key, did you mean lookback?"),
    ("  lookback: 104", "  input_size: 104", "8: data.input_size: unknown key, did you mean lookback?"),
    ("n_trials: 32", "num_samples: 32", "16: search.num_samples: unknown key, did you mean n_trials?"),
    ("cell: lstm", "batch_size: 3", "11: model.batch_size: unknown key here, batch_size belongs to training"),
    ("cell: lstm", "lr: 3", "11: model.lr: unknown key here, learning_rate belongs to training"),
    ("task: forecast", "lr: 3", "3: lr: unknown key here, learning_rate belongs to training"),
    ("task: forecast", "serch: {}", "3: serch: unknown key, did you mean search?"),
    (
        "cell: lstm",
        "zzz: 3",
        "11: model.zzz: unknown key; allowed are cell, hidden_size, num_layers, dropout, residual and normalization",
    ),
    (
        "{type: tpe, seed: 7}",
        "{type: random, n_startup_trials: 5}",
        "18: search.sampler.n_startup_trials: would do nothing with type: random; it belongs to gp and tpe",
    ),
    ("  horizon: 26\n", "", "4: data.horizon: is missing: Steps that it forecasts."),
    (
        "name: mauna-loa-co2\n",
        "",
        "2: name: is missing: The sweep's name: a letter or digit, then letters, digits, '.', '_' and '-'.",
    ),
    ("dropout: 0.0", 'dropout: "0.0"', '11: model.dropout: is "0.0", must be a number; remove the quotes'),
    ("hidden_size: 64", "hidden_size: big", '11: model.hidden_size: is "big", must be a whole number'),
    (
        "hidden_size: 64",
        "hidden_size: 64.0",
        "11: model.hidden_size: is 64.0, must be a whole number; leave the decimal point out",
    ),
    ("hidden_size: 64", "hidden_size: true", "11: model.hidden_size: is true, must be a whole number"),
    (
        "hidden_size: 64",
        "hidden_size: ",
        "11: model.hidden_size: is empty, must be a whole number; leave the key out for its default",
    ),
    ("hidden_size: 64", "hidden_size: 0", "11: model.hidden_size: is 0, must be at least 1 and at most 8192"),
    ("hidden_size: 64", "hidden_size: [64]", "11: model.hidden_size: is a list, must be a whole number"),
    ("dropout: 0.0", "dropout: 1", "11: model.dropout: is 1, must be at least 0 and below 1"),
    ("dropout: 0.0", "dropout: .nan", "11: model.dropout: is nan, must be at least 0 and below 1"),
    ("rate: 1e-3", "rate: .inf", "12: training.learning_rate: is inf, must be above 0 and at most 10"),
    ("cell: lstm", "cell: lsmt", '11: model.cell: is "lsmt", must be lstm or gru, did you mean lstm?'),
    ("task: forecast", "task: classify", '3: task: is "classify", must be forecast'),
    ("time: week", "time: 5", "6: data.time: is 5, must be text; put it in quotes"),
    ("name: mauna-loa-co2", "name: 2026", "2: name: is 2026, must be text; put it in quotes"),
    ("path: data/co2.csv", 'path: ""', '5: data.path: is "", must be at least 1 character long'),
    (
        "name: mauna-loa-co2",
        "name: a/b",
        '2: name: is "a/b", which does not fit. '
        "The sweep's name: a letter or digit, then letters, digits, '.', '_' and '-'.",
    ),
    ("mauna-loa-co2", "x" * 101, f'2: name: is "{"x" * 57}...", must be at most 100 characters long'),
    ("mauna-loa-co2", "Default", "2: name: is Default, which is reserved; take another"),
    ("mauna-loa-co2", "study.db-wal", "2: name: is study.db-wal, which is reserved; take another"),
    ("mauna-loa-co2", "a..b", "2: name: is a..b, may not hold '..' or end with '.'"),
    ("validation: 0.15", "validation: 0", f"10: data.split.validation: is 0, {BORDER}"),
    ("validation: 0.15", "validation: [1]", f"10: data.split.validation: is a list, {BORDER}"),
    ("  target: ppm", "  target: [ppm, 3]", "7: data.target.1: is 3, must be text; put it in quotes"),
    (
        "  target: ppm",
        "  target: []",
        "7: data.target: is an empty list, must be text (at least 1 character long) or a list (at least 1 long). "
        "Column to forecast, or a list of columns",
    ),
    (
        "type: tpe",
        "type: tpee",
        '18: search.sampler.type: is "tpee", must be gp, grid, random or tpe, did you mean tpe?',
    ),
    ("{type: tpe, seed: 7}", "{seed: 7}", "18: search.sampler.type: is missing; must be gp, grid, random or tpe"),
    (
        "{type: tpe, seed: 7}",
        "tpe",
        '18: search.sampler: is "tpe", must be a mapping with type: gp, grid, random or tpe; write {type: tpe}',
    ),
    ("type: tpe, seed: 7", "type: [tpe]", None),
    ("{type: int, low: 1, high: 3}", "{low: 1, high: 3}", None),
    ("{type: int, low: 1, high: 3}", "[1, 3]", None),
    (
        "{type: int, low: 1, high: 3}",
        "{type: int, min: 1, high: 3}",
        "22: search.space.model.num_layers.min: unknown key, did you mean low?",
    ),
    (
        "{type: int, low: 1, high: 3}",
        "{type: int, low: 1, high: 3, choices: [1, 2]}",
        "22: search.space.model.num_layers.choices: would do nothing with type: int; it belongs to categorical",
    ),
    (
        "model.num_layers:",
        "model.num_layer:",
        "22: search.space.model.num_layer: names no field of the base configuration, did you mean model.num_layers?",
    ),
    (SPACE, "    {}\n", "20: search.space: is an empty mapping, must be with at least 1 entry"),
    (SEARCH, "search:\n", "13: search: is empty; leave it out for one training run without a search"),
    ("resources: {cpus_per_trial: 1,", "resources: {cpus_per_trial: -1,", None),
    ("gpus_per_trial: auto", "gpus_per_trial: 1.5", None),
    ("max_concurrent: auto", "max_concurrent: all", None),
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
def test_a_wrong_spec_is_refused_with_one_message(spec, old, new, message):
    told = refused(spec, old, new)
    assert len(told) == 1, told
    assert told[0] == f"a.yaml:{message}" if message else told[0].startswith("a.yaml:")


def test_all_faults_come_at_once_in_the_order_of_the_file(spec):
    told = refused(
        spec,
        *("lookback: 104", "lookback: 0"),
        *("hidden_size: 64", "hiden_size: 64"),
        *("batch_size: 64", "batch_size: 64, momentum: 0.9"),
        *("metric: val/loss", "metric: loss"),
        *("low: 16", "low: 160"),
        *("keep: best", "keep: bst"),
        overrides=["resources.gpus_per_trial=2.5"],
    )
    assert [message.split(": ")[:2] for message in told] == [
        ["a.yaml:8", "data.lookback"],
        ["a.yaml:11", "model.hiden_size"],
        ["a.yaml:12", "training.momentum"],
        ["a.yaml:21", "search.space.model.hidden_size.high"],
        ["a.yaml:25", "storage.keep"],
        ["--set resources.gpus_per_trial=2.5", "resources.gpus_per_trial"],
    ]


def test_a_search_without_data_is_still_checked(spec):
    told = refused(
        spec, "horizon: 26", "horizon: x", "metric: val/loss", "direction: maximize", "  direction: minimize\n", ""
    )
    assert len(told) == 2


def test_options_that_do_nothing_without_a_search(spec):
    idle = "would do nothing: there is no search, so there is one trial; leave it out, or add search"
    assert refused(spec, SEARCH, "", "max_concurrent: auto", "max_concurrent: 4") == [
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
def test_a_grid_needs_a_list_of_values(spec, space, n_trials, message):
    change = (SPACE, f"    model.num_layers: {space}\n", "n_trials: 32", f"n_trials: {n_trials}")
    grid = ("  space:\n", "  space:\n", "{type: tpe, seed: 7}", "{type: grid}")
    if message is None:
        spec(*change, *grid)
    else:
        assert refused(spec, *change, *grid) == [f"a.yaml:{message.replace('20:', '21:')}"]


def test_a_grid_too_large_is_counted_not_listed(spec):
    told = refused(
        spec,
        *(SPACE, "    training.seed: {type: int, low: 0, high: 2147483647}\n"),
        *("{type: tpe, seed: 7}", "{type: grid}"),
    )
    assert "2,147,483,648 combinations" in told[0]


@pytest.mark.parametrize("sampler", ["gp", "grid"])
def test_conditions_need_a_sampler_that_knows_them(spec, sampler):
    space = """\
    model.num_layers: {type: int, low: 1, high: 3}
    model.dropout: {type: float, low: 0.1, high: 0.5, step: 0.1, when: {model.num_layers: [2, 3]}}
"""
    spec(SPACE, space)
    told = refused(spec, SPACE, space, "type: tpe, seed: 7", f"type: {sampler}", "n_trials: 32", "n_trials: 9")
    assert told == [
        f"a.yaml:18: search.sampler.type: is {sampler}, which can't search where a parameter has a condition "
        "(model.dropout has `when`); use tpe or random"
    ]


def test_gp_with_a_pruner_is_warned_of(spec):
    told = warnings(spec("type: tpe", "type: gp"))
    assert len(told) == 1
    assert told[0].startswith("a.yaml:19: search.pruner: the gp sampler learns from completed trials only")


def test_a_startup_that_was_not_written_is_no_fault(spec):
    spec("n_trials: 32", "n_trials: 2")


SECRET = "hunter2-" * 12  # longer than what messages cut


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hidden_size: 64", "hidden_size: '${SECRET}'"),
        ("cell: lstm", "cell: '${SECRET}'"),
        ("name: mauna-loa-co2", "name: a b ${SECRET}"),
        ("validation: 0.15", "validation: '${SECRET}', train: [x]"),
        ("metric: val/loss", "metric: ${SECRET}"),
        ("  time: week\n  target: ppm", "  time: ${SECRET}\n  target: ${SECRET}"),
        ("{type: tpe, seed: 7}", "{type: '${SECRET}'}"),
        ("{type: int, low: 1, high: 3}", "{type: categorical, choices: [1, '${SECRET}']}"),
        ("keep: best", "keep: '${SECRET}'"),
        ("checkpoints: s3://bucket/sweeps", "checkpoints: ['${SECRET}']"),
    ],
)
def test_a_secret_is_never_shown(spec, old, new):
    told = "\n".join(refused(spec, old, new, SECRET=SECRET))
    assert "hunter2" not in told
    assert told.startswith("a.yaml:")


def test_a_secret_is_not_recorded(spec):
    made = spec("sqlite:///runs/study.db", "x", STUDY_URL=f"postgresql://u:{SECRET}@h")
    assert made.experiment.storage.study == f"postgresql://u:{SECRET}@h"
    assert made.written["storage"]["study"] == "${STUDY_URL:-x}"
    assert "hunter2" not in repr(made)
    assert spec_hash(comparable(made)) == spec_hash(comparable(spec()))


def test_what_is_free_may_change(spec):
    right = comparable(spec())
    same = spec(
        *("mauna-loa-co2", "other", "data/co2.csv", "moved.csv", "n_trials: 32", "n_trials: 64"),
        *("max_hours: 2", "max_hours: 3", "cpus_per_trial: 1", "cpus_per_trial: 2", "keep: best", "keep: all"),
        *("checkpoints: best}", "checkpoints: all}"),
    )
    assert changes(right, comparable(same)) == []
    assert spec_hash(comparable(same)) == spec_hash(right)


def test_a_default_written_down_changes_nothing(spec):
    bare = spec("model: {cell: lstm, hidden_size: 64, num_layers: 1, dropout: 0.0}\n", "", "task: forecast\n", "")
    assert spec_hash(comparable(bare)) == spec_hash(comparable(spec()))
    whole = spec("dropout: 0.0", "dropout: 0")
    assert spec_hash(comparable(whole)) == spec_hash(comparable(spec()))


def test_what_changed_is_told(spec):
    old = comparable(spec())
    new = comparable(
        spec(
            "batch_size: 64",
            "batch_size: 32",
            "type: tpe",
            "type: random",
            "high: 3}",
            "high: 4}",
            "  time: week\n",
            "",
        )
    )
    assert changes(old, new) == [
        'data.time: was "week", is null',
        "search.sampler.n_startup_trials: was 10, is absent",
        'search.sampler.type: was "tpe", is "random"',
        "search.space.model.num_layers.high: was 3, is 4",
        "training.batch_size: was 64, is 32",
    ]
    assert spec_hash(old) != spec_hash(new)


def test_the_hash_is_frozen(spec):
    assert spec_hash({"a.b": 1, "c": [None, "é"]}) == spec_hash({"c": [None, "é"], "a.b": 1})
    assert spec_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_the_schema_is_checked_in():
    told = "run python -m experiments.spec"
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema(), told


def core(text):
    """Read YAML as editors do."""
    return yaml.safe_load(text.replace("1e-", "1.0e-"))


def test_the_schema_takes_a_right_spec():
    jsonschema.Draft202012Validator.check_schema(schema())
    check = jsonschema.Draft202012Validator(schema())
    right = core(RIGHT)
    check.validate(right)
    check.validate(right | {"model": {"dropout": 0}, "training": {"learning_rate": 1}})
    check.validate(right | {"data": right["data"] | {"split": {"validation": 100, "test": "1996-01-01"}}})
    check.validate({k: v for k, v in right.items() if k not in ("search", "storage", "task")})


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for old, new, message in WRONG[:31] if "nan" not in new and new != "dropout: 1.0"]
)
def test_the_schema_refuses_a_wrong_spec(old, new):
    wrong = core(RIGHT.replace(old, new))
    if new in ("hidden_size: 64.0",):  # a whole number in JSON Schema
        return
    assert not jsonschema.Draft202012Validator(schema()).is_valid(wrong)


def test_importing_the_spec_is_light():
    code = (
        "import sys, experiments.spec; "
        "print([m for m in ('torch', 'pandas', 'numpy', 'optuna', 'ray', 'mlflow', 'rich') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


ODD = [None, True, 0, -1, 1.5, 10**29, 1e300, "", "x", "${X}", "tpe", "1996-01-01", [], {}, [1], [[]], {"type": "int"}]


def mutated(tree, dice):
    """Change, drop, move or add something anywhere."""
    here = tree
    while isinstance(here, dict) and here:
        key = dice.choice(list(here))
        if isinstance(here[key], dict) and here[key] and dice.random() < 0.75:
            here = here[key]
            continue
        change = dice.randrange(4)
        if change == 0:
            here[key] = copy.deepcopy(dice.choice(ODD))
        elif change == 1:
            del here[key]
        elif change == 2:
            here[dice.choice(["type", "when", "model.cell", "foo", "lr", key + "s"])] = here.pop(key)
        else:
            new = dice.choice(["type", "when", "low", "step", "model.cell", "foo", "seed", "first", "int"])
            here[new] = copy.deepcopy(dice.choice([*ODD, {"foo": 1}, [{"foo": 1}], {"model.num_layers": 2}]))
        return


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 4))
def test_a_mutated_spec_loads_or_is_bad_input(tmp_path_factory, seed, count):
    dice, tree = random.Random(seed), core(RIGHT)
    for _ in range(count):
        mutated(tree, dice)
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_text(json.dumps(tree))
    try:
        told = json.dumps(comparable(load(path, (), {"X": SECRET})))
    except BadInput as error:
        told = str(error)
    assert told
    assert "hunter2" not in told

import jsonschema
import pytest

from experiments.spec.schema import schema

BORDER = (
    "must be a number (above 0 and below 1), a whole number (at least 1) or text (at least 4 characters long). "
    "Size as a share of the rows or a number of rows, or the part's first time"
)

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
        "11: model.zzz: unknown key; allowed are cell, variant, hidden_size, num_layers, bidirectional, forget_bias, "
        "dropout, residual and normalization",
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
    (
        "cell: lstm",
        "cell: lsmt",
        '11: model.cell: is "lsmt", must be rnn, gru, lstm or FILE.py:Class, did you mean lstm?',
    ),
    (
        "task: forecast",
        "task: translate",
        '3: task: is "translate", must be forecast, memory, classify, language_model or FILE.py:Class',
    ),
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
    ("resources: {cpus_per_trial: 1,", "resources: {cpus_per_trial: -1,", None),
    ("max_concurrent: auto", "max_concurrent: all", None),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_spec_is_refused_with_one_message(refused, old, new, message):
    told = refused(old, new)
    assert len(told) == 1, told
    assert told[0] == f"a.yaml:{message}" if message else told[0].startswith("a.yaml:")


def test_an_empty_mapping_is_refused(refused, right):
    assert refused(right.space, "    {}\n") == [
        "a.yaml:20: search.space: is an empty mapping, must be with at least 1 entry"
    ]


@pytest.mark.parametrize(("old", "new"), [wrong[:2] for wrong in WRONG])
def test_the_schema_refuses_it_too(right, core, old, new):
    if new not in ("hidden_size: 64.0", "dropout: .nan"):  # a whole number and a number in JSON Schema
        assert not jsonschema.Draft202012Validator(schema()).is_valid(core(right.text.replace(old, new)))

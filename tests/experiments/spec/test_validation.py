import jsonschema
import pytest

from experiments.spec.schema import schema

NAME = "The sweep's name: a letter or digit, then letters, digits, '.', '_' and '-'."
BORDER = (
    "a number (above 0 and below 1), a whole number (at least 1) or text (at least 4 characters long). "
    "Validation part: its size as a share of the rows (0.15) or as a number of rows (2880), or the time at which it "
    "begins (1996-01-01). Each epoch is judged on it"
)
DIMENSIONS, SAMPLERS = ["categorical", "float", "int"], ["gp", "grid", "random", "tpe"]

# (what stands there, what is put there, the fault: its line and field, its code, and what it names)
WRONG = [
    ("hidden_size: 64", "hiden_size: 64", ("11: model.hiden_size", "unknown-field", {"near": "hidden_size"})),
    ("hidden_size: 64", "units: 64", ("11: model.units", "unknown-field", {"near": "hidden_size"})),
    ("num_layers: 1", "layers: 1", ("11: model.layers", "unknown-field", {"near": "num_layers"})),
    ("learning_rate: 1e-3", "lr: 1e-3", ("12: training.lr", "unknown-field", {"near": "learning_rate"})),
    ("max_epochs: 30", "epochs: 30", ("12: training.epochs", "unknown-field", {"near": "max_epochs"})),
    ("  lookback: 104", "  window: 104", ("8: data.window", "unknown-field", {"near": "lookback"})),
    ("  lookback: 104", "  input_size: 104", ("8: data.input_size", "unknown-field", {"near": "lookback"})),
    ("n_trials: 32", "num_samples: 32", ("16: search.num_samples", "unknown-field", {"near": "n_trials"})),
    (
        "cell: lstm",
        "batch_size: 3",
        ("11: model.batch_size", "field-of-another-section", {"name": "batch_size", "sections": ["training"]}),
    ),
    (
        "cell: lstm",
        "lr: 3",
        ("11: model.lr", "field-of-another-section", {"name": "learning_rate", "sections": ["training"]}),
    ),
    (
        "task: forecast",
        "lr: 3",
        ("3: lr", "field-of-another-section", {"name": "learning_rate", "sections": ["training"]}),
    ),
    ("task: forecast", "serch: {}", ("3: serch", "unknown-field", {"near": "search"})),
    (
        "cell: lstm",
        "zzz: 3",
        (
            "11: model.zzz",
            "unknown-field",
            {
                "allowed": [
                    "cell",
                    "variant",
                    "hidden_size",
                    "num_layers",
                    "bidirectional",
                    "forget_bias",
                    "dropout",
                    "residual",
                    "normalization",
                ]
            },
        ),
    ),
    (
        "{type: tpe, seed: 7}",
        "{type: random, n_startup_trials: 5}",
        ("18: search.sampler.n_startup_trials", "field-of-another-type", {"type": "random", "types": ["gp", "tpe"]}),
    ),
    ("  horizon: 26\n", "", ("4: data.horizon", "field-missing", {"about": "Steps that the network forecasts."})),
    ("name: mauna-loa-co2\n", "", ("2: name", "field-missing", {"about": NAME})),
    (
        "dropout: 0.0",
        'dropout: "0.0"',
        ("11: model.dropout", "wrong-type", {"came": '"0.0"', "wanted": "a number", "hint": "remove the quotes"}),
    ),
    (
        "hidden_size: 64",
        "hidden_size: big",
        ("11: model.hidden_size", "wrong-type", {"came": '"big"', "wanted": "a whole number"}),
    ),
    (
        "hidden_size: 64",
        "hidden_size: 64.0",
        (
            "11: model.hidden_size",
            "wrong-type",
            {"came": "64.0", "wanted": "a whole number", "hint": "leave the decimal point out"},
        ),
    ),
    (
        "hidden_size: 64",
        "hidden_size: true",
        ("11: model.hidden_size", "wrong-type", {"came": "true", "wanted": "a whole number"}),
    ),
    (
        "hidden_size: 64",
        "hidden_size: ",
        (
            "11: model.hidden_size",
            "wrong-type",
            {"came": "empty", "wanted": "a whole number", "hint": "leave the key out for its default"},
        ),
    ),
    (
        "hidden_size: 64",
        "hidden_size: 0",
        ("11: model.hidden_size", "out-of-bounds", {"came": "0", "bounds": "at least 1 and at most 8192"}),
    ),
    (
        "hidden_size: 64",
        "hidden_size: [64]",
        ("11: model.hidden_size", "wrong-type", {"came": "a list", "wanted": "a whole number"}),
    ),
    (
        "dropout: 0.0",
        "dropout: 1",
        ("11: model.dropout", "out-of-bounds", {"came": "1", "bounds": "at least 0 and below 1"}),
    ),
    (
        "dropout: 0.0",
        "dropout: .nan",
        ("11: model.dropout", "out-of-bounds", {"came": "nan", "bounds": "at least 0 and below 1"}),
    ),
    (
        "rate: 1e-3",
        "rate: .inf",
        ("12: training.learning_rate", "out-of-bounds", {"came": "inf", "bounds": "above 0 and at most 10"}),
    ),
    (
        "cell: lstm",
        "cell: lsmt",
        (
            "11: model.cell",
            "wrong-type",
            {"came": '"lsmt"', "wanted": "rnn, gru, lstm or FILE.py:Class", "near": "lstm"},
        ),
    ),
    (
        "task: forecast",
        "task: caption",
        (
            "3: task",
            "wrong-type",
            {
                "came": '"caption"',
                "wanted": "forecast, memory, classify, language_model, translate, video or FILE.py:Class",
            },
        ),
    ),
    (
        "time: week",
        "time: week\n  step: 5",
        ("7: data.step", "wrong-type", {"came": "5", "wanted": "text", "hint": "put it in quotes"}),
    ),
    (
        "name: mauna-loa-co2",
        "name: 2026",
        ("2: name", "wrong-type", {"came": "2026", "wanted": "text", "hint": "put it in quotes"}),
    ),
    (
        "path: data/co2.csv",
        'path: ""',
        ("5: data.path", "out-of-bounds", {"came": '""', "bounds": "at least 1 character long"}),
    ),
    ("name: mauna-loa-co2", "name: a/b", ("2: name", "wrong-form", {"came": '"a/b"', "about": NAME})),
    (
        "mauna-loa-co2",
        "x" * 101,
        ("2: name", "out-of-bounds", {"came": f'"{"x" * 57}..."', "bounds": "at most 100 characters long"}),
    ),
    ("validation: 0.15", "validation: 0", ("10: data.split.validation", "wrong-type", {"came": "0", "wanted": BORDER})),
    (
        "validation: 0.15",
        "validation: [1]",
        ("10: data.split.validation", "wrong-type", {"came": "a list", "wanted": BORDER}),
    ),
    (
        "  target: ppm",
        "  target: [ppm, 3]",
        ("7: data.target.1", "wrong-type", {"came": "3", "wanted": "text", "hint": "put it in quotes"}),
    ),
    (
        "  target: ppm",
        "  target: []",
        (
            "7: data.target",
            "wrong-type",
            {
                "came": "an empty list",
                "wanted": "text (at least 1 character long) or a list (at least 1 long). "
                "Column to forecast, or a list of columns. Each target is an input as well",
            },
        ),
    ),
    (
        "type: tpe",
        "type: tpee",
        ("18: search.sampler.type", "not-one-of", {"came": '"tpee"', "allowed": SAMPLERS, "near": "tpe"}),
    ),
    ("{type: tpe, seed: 7}", "{seed: 7}", ("18: search.sampler.type", "field-missing", {"allowed": SAMPLERS})),
    (
        "{type: tpe, seed: 7}",
        "tpe",
        (
            "18: search.sampler",
            "wrong-type",
            {"came": '"tpe"', "wanted": "a mapping with type: gp, grid, random or tpe", "hint": "write {type: tpe}"},
        ),
    ),
    (
        "type: tpe, seed: 7",
        "type: [tpe]",
        ("18: search.sampler.type", "not-one-of", {"came": "a list", "allowed": SAMPLERS, "near": "tpe"}),
    ),
    (
        "{type: int, low: 1, high: 3}",
        "{low: 1, high: 3}",
        ("22: search.space.model.num_layers.type", "field-missing", {"allowed": DIMENSIONS}),
    ),
    (
        "{type: int, low: 1, high: 3}",
        "[1, 3]",
        (
            "22: search.space.model.num_layers",
            "wrong-type",
            {"came": "a list", "wanted": "a mapping with type: categorical, float or int"},
        ),
    ),
    (
        "{type: int, low: 1, high: 3}",
        "{type: int, min: 1, high: 3}",
        ("22: search.space.model.num_layers.min", "unknown-field", {"near": "low"}),
    ),
    (
        "{type: int, low: 1, high: 3}",
        "{type: int, low: 1, high: 3, choices: [1, 2]}",
        (
            "22: search.space.model.num_layers.choices",
            "field-of-another-type",
            {"type": "int", "types": ["categorical"]},
        ),
    ),
    (
        "resources: {cpus_per_trial: 1,",
        "resources: {cpus_per_trial: -1,",
        ("24: resources.cpus_per_trial", "out-of-bounds", {"came": "-1", "bounds": "at least 1 and at most 1024"}),
    ),
    (
        "max_concurrent: auto",
        "max_concurrent: all",
        (
            "24: resources.max_concurrent",
            "wrong-type",
            {
                "came": '"all"',
                "wanted": "auto or a whole number (at least 1 and at most 100000). Trials that run at once. auto: as "
                "many as the cluster has room for, or will have when its autoscaler has started all nodes that it may. "
                "Lower it to leave room for other work",
            },
        ),
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_spec_is_refused_with_one_message(refused, old, new, told):
    assert refused(old, new) == [told]


def test_an_empty_mapping_is_refused(refused, right):
    few = {"came": "an empty mapping", "bounds": "at least 1 entry long"}
    assert refused(right.space, "    {}\n") == [("20: search.space", "out-of-bounds", few)]


@pytest.mark.parametrize(("old", "new"), [wrong[:2] for wrong in WRONG])
def test_the_schema_refuses_it_too(right, core, old, new):
    if new not in ("hidden_size: 64.0", "dropout: .nan"):  # a whole number and a number in JSON Schema
        assert not jsonschema.Draft202012Validator(schema()).is_valid(core(right.text.replace(old, new)))

import copy
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import examples

from experiments.spec.experiment import Experiment
from experiments.spec.loader import comparable, load, spec_hash, warnings
from lstm.messages.message import note
from lstm.records.errors import BadInput


def test_a_right_spec_loads(spec):
    made = spec()
    assert made.experiment.name == "mauna-loa-co2"
    assert made.experiment.base.training.learning_rate == 1e-3
    assert made.experiment.base.metric == "val/loss"
    assert made.experiment.reach == 104
    assert made.experiment.storage.study == "sqlite:///runs/study.db"
    assert str(made.folder) == "."
    assert warnings(made) == []


def test_without_search_it_is_one_training_run(spec, right):
    made = spec(right.search, "", ", keep: best", "")
    assert made.experiment.search is None
    assert made.experiment.base.direction == "minimize"
    assert not [path for path in comparable(made) if path.startswith("search")]


def test_all_faults_come_at_once_in_the_order_of_the_file(refused):
    told = refused(
        *("lookback: 104", "lookback: 0"),
        *("hidden_size: 64", "hiden_size: 64"),
        *("batch_size: 64", "batch_size: 64, momentum: 0.9"),
        *("metric: val/loss", "metric: loss"),
        *("low: 16", "low: 160"),
        *("keep: best", "keep: bst"),
        overrides=["resources.gpus_per_trial=2.5"],
    )
    assert [(where, code) for where, code, _ in told] == [
        ("8: data.lookback", "out-of-bounds"),
        ("11: model.hiden_size", "unknown-field"),
        ("12: training.momentum", "no-momentum"),
        ("21: search.space.model.hidden_size.high", "high-below-low"),
        ("25: storage.keep", "wrong-type"),
        ("--set resources.gpus_per_trial=2.5: resources.gpus_per_trial", "wrong-type"),
    ]


def test_a_seed_that_is_searched_is_warned_of(spec):
    searched = "  space:\n", "  space:\n    training.seed: {type: int, low: 1, high: 1000}\n"
    [told] = warnings(spec(*searched))
    assert told == note("seed-searched", "search.space.training.seed", at="a.yaml:21")
    assert warnings(spec()) == []


def test_gp_with_a_pruner_is_warned_of(spec):
    [told] = warnings(spec("type: tpe", "type: gp"))
    assert told == note("gp-learns-nothing-from-pruned", "search.pruner", at="a.yaml:19", pruner="successive_halving")


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
    with pytest.raises(BadInput) as error:
        spec(old, new, SECRET=SECRET)
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr([fault.row() for fault in error.value.faults])
    assert all(fault.place.startswith("a.yaml:") for fault in error.value.faults)


def test_a_secret_is_not_recorded(spec):
    made = spec("sqlite:///runs/study.db", "x", STUDY_URL=f"postgresql://u:{SECRET}@h")
    assert made.experiment.storage.study == f"postgresql://u:{SECRET}@h"
    assert made.written["storage"]["study"] == "${STUDY_URL:-x}"
    assert "hunter2" not in repr(made)
    assert spec_hash(comparable(made)) == spec_hash(comparable(spec()))


def test_what_is_free_may_change(spec):
    before = comparable(spec())
    same = spec(
        *("mauna-loa-co2", "other", "data/co2.csv", "moved.csv", "n_trials: 32", "n_trials: 64"),
        *("max_hours: 2", "max_hours: 3", "cpus_per_trial: 1", "cpus_per_trial: 2", "keep: best", "keep: all"),
        *("checkpoints: best}", "checkpoints: all}"),
    )
    assert comparable(same) == before
    assert spec_hash(comparable(same)) == spec_hash(before)


def test_a_default_written_down_changes_nothing(spec):
    bare = spec("model: {cell: lstm, hidden_size: 64, num_layers: 1, dropout: 0.0}\n", "", "task: forecast\n", "")
    assert spec_hash(comparable(bare)) == spec_hash(comparable(spec()))
    whole = spec("dropout: 0.0", "dropout: 0")
    assert spec_hash(comparable(whole)) == spec_hash(comparable(spec()))


def test_a_sweep_made_before_there_was_a_field_is_the_same_sweep_still(spec):
    """What version 0.1.0 compared and hashed, to the letter: fields added since are left out at their defaults."""
    model = {path: value for path, value in comparable(spec()).items() if path.startswith("model.")}
    assert model == {
        "model.cell": "lstm",
        "model.dropout": 0,
        "model.hidden_size": 64,
        "model.normalization": "none",
        "model.num_layers": 1,
        "model.residual": "none",
    }
    co2 = load(Path(__file__).parents[1] / "older" / "co2.yaml")  # as that version shipped it
    assert spec_hash(comparable(co2)) == "d89f30e381c19beda7340fcb80265bae890c6a46291756998ea116b5e954825c"


def test_a_younger_field_off_its_default_is_another_sweep(spec):
    named = "num_layers: 1", "num_layers: 1, variant: vanilla, forget_bias: 0, bidirectional: true"
    new, old = comparable(spec(*named)), comparable(spec())
    assert {path: new[path] for path in new.keys() - old.keys()} == {
        "model.variant": "vanilla",
        "model.forget_bias": 0,
        "model.bidirectional": True,
    }
    assert {path: value for path, value in new.items() if path in old} == old


def test_a_field_says_itself_that_it_is_younger_and_what_was_done_before(spec):
    """Only ever added to: a mark or a default that changes makes other sweeps of those that were begun before."""
    first = {
        "model.variant": None,
        "model.bidirectional": False,
        "model.forget_bias": None,
        "search.second_objective": None,
        "training.warmup_steps": 0,
        "training.input_noise": 0,
    }
    made = spec().experiment
    assert first.items() <= dict(made.younger()).items()
    assert dict(made.base.younger()).items() >= {"code": {}, "loss_on": "all"}.items()
    assert not {"code", "loss_on"} & made.base.model_copy(update={"loss_on": "all"}).model_dump().keys()
    assert made.base.model_copy(update={"loss_on": "measured"}).model_dump()["loss_on"] == "measured"


def test_the_hash_changes_with_what_must_stay(spec):
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
    differ = {path: (old.get(path, "absent"), new.get(path, "absent")) for path in {*old, *new}}
    assert {path: values for path, values in differ.items() if values[0] != values[1]} == {
        "data.time": ("week", None),
        "search.sampler.n_startup_trials": (10, "absent"),
        "search.sampler.type": ("tpe", "random"),
        "search.space.model.num_layers.high": (3, 4),
        "training.batch_size": (64, 32),
    }
    assert spec_hash(old) != spec_hash(new)


def test_the_hash_is_frozen():
    assert spec_hash({"a.b": 1, "c": [None, "é"]}) == spec_hash({"c": [None, "é"], "a.b": 1})
    assert spec_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_importing_the_spec_is_light():
    code = (
        "import sys, experiments.spec.loader; "
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


@examples(50, 600)
def test_a_mutated_spec_loads_or_is_bad_input(right, core, tmp_path, count):
    @settings(max_examples=count)
    @given(seed=st.integers(0, 2**32), times=st.integers(1, 4))
    def check(seed, times):
        dice, tree = random.Random(seed), core(right.text)
        for _ in range(times):
            mutated(tree, dice)
        path = tmp_path / "mutated.yaml"
        path.write_text(json.dumps(tree))
        try:
            told = json.dumps(comparable(load(path, (), {"X": SECRET})))
        except BadInput as error:
            told = f"{error}\n{[fault.row() for fault in error.faults]}"
        assert told
        assert "hunter2" not in told

    check()


def test_a_right_spec_is_validated_once(spec, monkeypatch):
    validated, validate = [], Experiment.model_validate.__func__

    def counting(kind, tree):
        validated.append(kind.__name__)
        return validate(kind, tree)

    monkeypatch.setattr(Experiment, "model_validate", classmethod(counting))
    assert spec().experiment.name == "mauna-loa-co2"
    assert validated == ["Experiment_forecast"]

from pathlib import Path

import pytest

import experiments
from experiments.spec.loader import comparable, load
from lstm.records.errors import BadInput

PRUNER = "{type: successive_halving, min_resource: 3, reduction_factor: 3}"
SAMPLER = "{type: tpe, seed: 7}"
TRAINING = "training: {max_epochs: 30, batch_size: 64, learning_rate: 1e-3, seed: 1}"
SPACE = "    model.num_layers: {type: int, low: 1, high: 3}\n"


def trained(text):
    return TRAINING, TRAINING.replace("seed: 1}", f"seed: 1, {text}}}")


# What is changed in the file; the overrides; the path that is noted; what its note names; what the field becomes.
GIVES_WAY = {
    "patience": (trained("patience: 6"), ["training.max_epochs=3"], "training.patience", "6", None),
    "plateau": (
        trained("schedule: plateau, schedule_patience: 9"),
        ["training.max_epochs=3"],
        "training.schedule_patience",
        "9",
        None,
    ),
    "gamma": (
        trained("schedule: exponential, schedule_gamma: 0.5"),
        ["training.schedule=cosine"],
        "training.schedule_gamma",
        "0.5",
        None,
    ),
    "momentum": (
        trained("optimizer: sgd, momentum: 0.9"),
        ["training.optimizer=adam"],
        "training.momentum",
        "0.9",
        0.0,
    ),
    "halving": ((), ["training.max_epochs=3"], "search.pruner", "min_resource", {"type": "none"}),
    "median": (
        (PRUNER, "{type: median, n_warmup_steps: 8}"),
        ["training.max_epochs=8"],
        "search.pruner",
        "epoch 8",
        {"type": "none"},
    ),
    "hyperband": (
        (PRUNER, "{type: hyperband, min_resource: 3}"),
        ["training.max_epochs=2"],
        "search.pruner",
        "epoch 3",
        {"type": "none"},
    ),
    "patient": (
        (PRUNER, "{type: patient, patience: 8}"),
        ["training.max_epochs=5"],
        "search.pruner",
        "10",
        {"type": "none"},
    ),
    "dropout": (
        ("num_layers: 1, dropout: 0.0", "num_layers: 2, dropout: 0.5", SPACE, ""),
        ["model.num_layers=1"],
        "model.dropout",
        "0.5",
        0.0,
    ),
    "variant": (("dropout: 0.0", "variant: vanilla"), ["model.cell=gru"], "model.variant", "vanilla", None),
    "warm-up": (trained("warmup_steps: 50"), ["data.lookback=20"], "training.warmup_steps", "50", 0),
    "keep": ((), ["tracking.checkpoints=all"], "storage.keep", "best", "all"),
}


@pytest.mark.parametrize(("replaced", "overrides", "path", "named", "becomes"), GIVES_WAY.values(), ids=GIVES_WAY)
def test_what_the_file_says_gives_way_to_an_override(spec, replaced, overrides, path, named, becomes):
    made = spec(*replaced, overrides=overrides)
    [note] = [note for note in made.notes if note.path == path]
    assert note.place.startswith("a.yaml:")
    assert named in note.values["written"] + note.values["why"]
    found = made.experiment.model_dump()
    for key in path.split("."):
        found = found[key]
    assert found == becomes
    spec(*replaced)  # which is right by itself


def test_a_column_that_an_override_gives_another_role_loses_its_own(spec):
    made = spec("target: ppm", "target: ppm\n  past_covariates: [wind, sun]", overrides=["data.target=wind"])
    assert made.experiment.data.past_covariates == ["sun"]
    [note] = made.notes
    assert (note.code, note.path) == ("field-left-out", "data.past_covariates.0")
    assert note.values["written"] == "wind"


@pytest.mark.parametrize("kind", ["none", "median"])
def test_another_variants_fields_are_left_out(spec, kind):
    made = spec(overrides=[f"search.pruner.type={kind}"])
    assert made.experiment.search.pruner.type == kind
    assert {note.path for note in made.notes} == {
        "search.pruner.min_resource",
        "search.pruner.reduction_factor",
    }


def test_what_gave_way_is_not_compared(spec):
    fitted = comparable(spec(*trained("patience: 6"), overrides=["training.max_epochs=3"]))
    assert fitted["training.patience"] is None
    assert fitted["search.pruner.type"] == "none"
    assert "search.pruner.min_resource" not in fitted


FEW = {
    "sampler": ((SAMPLER, "{type: tpe, seed: 7, n_startup_trials: 8}"), "search.sampler.n_startup_trials", "8"),
    "pruner": ((PRUNER, "{type: median, n_startup_trials: 6}"), "search.pruner.n_startup_trials", "6"),
    "first": (
        ("  space:\n", "  first: [{model.num_layers: 1}, {model.num_layers: 2}, {model.num_layers: 3}]\n  space:\n"),
        "search.first",
        "3",
    ),
}


@pytest.mark.parametrize(("replaced", "path", "named"), FEW.values(), ids=FEW)
def test_what_more_trials_need_stays_so_that_they_may_come_later(spec, replaced, path, named):
    few, many = (spec(*replaced, overrides=[f"search.n_trials={count}"]) for count in (2, 20))
    [note] = few.notes
    assert (note.code, note.path) == ("idle-field-beside-override", path)
    assert named in note.values["why"]
    assert "2" in note.values["why"]
    assert comparable(few) == comparable(many) == comparable(spec(*replaced))
    assert many.notes == ()


def test_a_dimension_that_would_do_nothing_is_left_out_with_all_that_names_it(spec):
    dimensions = """\
    training.patience: {type: int, low: 4, high: 20}
    model.dropout: {type: float, low: 0.0, high: 0.5, when: {training.patience: 4}}
"""
    first = (
        "  first:\n    - {training.patience: 5}\n    - {training.patience: 6, training.learning_rate: 1e-3}\n  space:\n"
    )
    replaced = (SPACE, SPACE + dimensions, "  space:\n", first, "num_layers: 1, dropout", "num_layers: 2, dropout")
    made = spec(*replaced, overrides=["training.max_epochs=3"])
    assert sorted(made.experiment.search.space) == ["model.hidden_size", "model.num_layers", "training.learning_rate"]
    assert made.experiment.search.first == [{"training.learning_rate": 1e-3}]
    noted = [note.path for note in made.notes]
    assert {"search.space.training.patience", "search.space.model.dropout", "search.first.0", "search.pruner"} <= {
        *noted
    }


def test_an_override_of_a_dimension_leaves_out_what_was_to_be_tried_first(spec):
    first = "  first: [{model.num_layers: 3, training.learning_rate: 1e-3}, {model.num_layers: 2}]\n  space:\n"
    made = spec("  space:\n", first, overrides=["search.space.model.num_layers.high=2"])
    assert made.experiment.search.first == [{"training.learning_rate": 1e-3}, {"model.num_layers": 2}]
    assert [note.path for note in made.notes] == ["search.first.0.model.num_layers"]


def test_fewer_points_of_a_grid_make_fewer_trials(spec, right):
    space = """\
    model.num_layers: {type: int, low: 1, high: 8}
    model.hidden_size: {type: categorical, choices: [8, 16, 32, 64]}
"""
    replaced = (right.space, space, SAMPLER, "{type: grid}")
    made = spec(*replaced, overrides=["search.space.model.hidden_size.choices=[8, 16]"])
    assert made.experiment.search.n_trials == 16
    [note] = made.notes
    assert (note.path, note.values["written"], note.values["now"]) == ("search.n_trials", "32", "16")
    with pytest.raises(BadInput, match=r"search\.n_trials"):
        spec(*replaced, overrides=["search.n_trials=33"])


def test_the_metric_of_an_override_brings_its_direction():
    made = load(Path(experiments.__file__).with_name("digits.yaml"), ["search.metric=val/loss"])
    assert made.experiment.search.direction == "minimize"
    [note] = made.notes
    assert (note.path, note.values["written"], note.values["now"]) == ("search.direction", "maximize", "minimize")


def test_limits_of_a_search_that_is_not_there_do_nothing(spec, right):
    made = spec(right.search, "", ", keep: best", "", overrides=["search.n_trials=2", "search.stop.max_hours=1"])
    assert made.experiment.search is None
    [note] = made.notes
    assert (note.code, note.path) == ("field-left-out", "search")
    assert "search.n_trials=2" in note.place
    with pytest.raises(BadInput, match=r"search\.space"):  # asks for more than a limit
        spec(right.search, "", ", keep: best", "", overrides=["search.n_trials=2", "search.metric=val/mae"])
    with pytest.raises(BadInput, match=r"search\.space"):
        spec(overrides=["search={n_trials: 2}"])


STAYS_REFUSED = {
    "both are overridden": ([], ["training.patience=6", "training.max_epochs=3"], ["training.patience"]),
    "a part of both": ([], ["search.pruner.min_resource=3", "training.max_epochs=3"], ["search.pruner.min_resource"]),
    "the value itself": ([], ["training.max_epochs=0"], ["training.max_epochs"]),
    "the override is what would do nothing": ([], ["training.momentum=0.9"], ["training.momentum"]),
    "a name that nobody knows": ([], ["search.pruner.min_resorce=3"], ["search.pruner.min_resorce"]),
    "what the file alone is refused for": (
        ["training: {max_epochs: 30,", "training: {max_epochs: 30, momentum: 0.9,"],
        ["training.max_epochs=3"],
        ["training.momentum"],
    ),
    "what is missing": ([], ["search.pruner.type=patient"], ["search.pruner.patience"]),
    "no list of values for the grid": (
        [],
        ["search.sampler.type=grid"],
        ["search.space.model.hidden_size", "search.space.training.learning_rate"],
    ),
    "all at once, without what gives way": (
        ["seed: 1}", "seed: 1, patience: 5}"],
        ["training.max_epochs=3", "training.momentum=0.9", "model.hidden_size=0", "search.n_trials=0"],
        ["model.hidden_size", "search.n_trials", "training.momentum"],
    ),
}


@pytest.mark.parametrize(("replaced", "overrides", "paths"), STAYS_REFUSED.values(), ids=STAYS_REFUSED)
def test_what_is_wrong_in_an_override_itself_is_refused(refused, replaced, overrides, paths):
    told = refused(*replaced, overrides=overrides)
    assert sorted(where.split(": ")[1] for where, _, _ in told) == sorted(paths)


def test_a_variable_that_an_override_makes_needless_is_not_asked_for(spec):
    made = spec("path: data/co2.csv", 'path: "${NOWHERE}"', overrides=["data.path=x.csv", "training.max_epochs=3"])
    assert made.experiment.search.pruner.type == "none"


def test_values_of_the_environment_are_not_in_the_notes(spec):
    block = TRAINING.replace("training: {", "training:\n  ").replace(", ", "\n  ").replace("}", "\n  patience: ${WAIT}")
    made = spec(TRAINING, block, overrides=["training.max_epochs=3"], WAIT="29")
    [note] = [note for note in made.notes if note.path == "training.patience"]
    assert note.values["written"] == "${WAIT}"
    assert "29" not in str(note)

import json
import string

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from told import all_told

from cluster.config import SearchConfig
from cluster.space import rules, suggest
from lstm.config.forecast import ForecastData
from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig

DATA = ForecastData(target="y", lookback=8, horizon=3, split={"validation": 0.2, "test": 0.2})
INT = {"type": "int", "low": 2, "high": 8}
CELL = {"type": "categorical", "choices": ["lstm", "gru"]}
LAYERS = {"type": "int", "low": 1, "high": 2}
RATE = {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}


def base(model=None, training=None):
    return {"data": DATA, "model": ModelConfig(**model or {}), "training": TrainingConfig(**training or {})}


def search_of(dimensions, **more):
    return SearchConfig.model_validate({"n_trials": 8, "space": dimensions} | more)


def faults(dimensions, *, model=None, training=None, **more):
    return all_told(rules.faults(search_of(dimensions, **more), base(model, training)))


def test_a_right_space_has_no_faults():
    dimensions = {
        "data.lookback": {"type": "int", "low": 4, "high": 16, "step": 4},
        "model.cell": {"type": "categorical", "choices": ["lstm", "gru"]},
        "training.learning_rate": RATE,
        "training.optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "training.momentum": {
            "type": "float",
            "low": 0.0,
            "high": 0.95,
            "step": 0.05,
            "when": {"training.optimizer": "sgd"},
        },
    }
    first = [
        {"training.learning_rate": 0.01},
        {"training.optimizer": "sgd", "training.momentum": 0.9},
        {"training.momentum": 0.3},
    ]
    assert faults(dimensions, first=first) == []


@pytest.mark.parametrize(
    ("dimensions", "told"),
    [
        (
            {"model.hiden_size": INT},
            ("search.space.model.hiden_size", "unknown-field-to-search", {"near": "model.hidden_size"}),
        ),
        ({"data.horizon": INT}, ("search.space.data.horizon", "not-searchable", {"fields": ["data.lookback"]})),
        ({"resources.x": INT}, ("search.space.resources.x", "unknown-field-to-search", {})),
        (
            {"model.hidden_size": {"type": "int", "low": 8, "high": 8}},
            ("search.space.model.hidden_size.high", "high-below-low", {"high": 8, "low": 8}),
        ),
        (
            {"model.hidden_size": {"type": "int", "low": 1234568, "high": 1234567}},
            ("search.space.model.hidden_size.high", "high-below-low", {"high": 1234567, "low": 1234568}),
        ),
        (
            {"training.learning_rate": RATE | {"low": 0.0}},
            ("search.space.training.learning_rate.low", "log-from-zero", {"low": 0.0}),
        ),
        (
            {"training.learning_rate": RATE | {"step": 0.01}},
            ("search.space.training.learning_rate.step", "log-with-step", {}),
        ),
        (
            {"model.hidden_size": INT | {"step": 7}},
            ("search.space.model.hidden_size.step", "step-too-large", {"step": 7, "span": 6}),
        ),
        (
            {"training.learning_rate": {"type": "float", "low": 0.1, "high": 0.9, "step": 1e-12}},
            ("search.space.training.learning_rate.step", "step-too-small", {"step": 1e-12}),
        ),
        (
            {"model.hidden_size": INT | {"step": 4}},
            ("search.space.model.hidden_size.high", "high-off-the-steps", {"high": 8, "step": 4, "low": 2, "top": 6}),
        ),
        (
            {"training.seed": {"type": "int", "low": 0, "high": 10**400}},
            ("search.space.training.seed.high", "bound-too-large", {}),
        ),
        (
            {"model.cell": {"type": "categorical", "choices": ["gru", "gru"]}},
            ("search.space.model.cell.choices", "choice-twice", {"value": "gru"}),
        ),
        (
            {"model.cell": {"type": "categorical", "choices": ["gru", "qrnn"]}},
            (
                "search.space.model.cell.choices.1",
                "end-not-valid",
                {"value": "qrnn", "field": "model.cell", "why": "it must be 'rnn', 'gru' or 'lstm'"},
            ),
        ),
        (
            {"model.hidden_size": {"type": "int", "low": 0, "high": 8}},
            (
                "search.space.model.hidden_size.low",
                "end-not-valid",
                {"value": 0, "field": "model.hidden_size", "why": "it must be greater than or equal to 1"},
            ),
        ),
        (
            {"model.num_layers": {"type": "categorical", "choices": [1, 10**30]}},
            (
                "search.space.model.num_layers.choices.1",
                "end-not-valid",
                {"value": 10**30, "field": "model.num_layers", "why": "it must be less than or equal to 16"},
            ),
        ),
        (
            {"model.dropout": {"type": "float", "low": 0.0, "high": 0.5}},
            (
                "search.space.model.dropout.high",
                "end-breaks-a-rule",
                {
                    "value": 0.5,
                    "field": "model.dropout",
                    "why": "would do nothing: dropout acts between layers, and num_layers is 1",
                    "how": "set model.num_layers: 2 or more, or dropout: 0",
                },
            ),
        ),
        (
            {"training.patience": {"type": "int", "low": 3, "high": 30}},
            (
                "search.space.training.patience.high",
                "end-breaks-a-rule",
                {
                    "value": 30,
                    "field": "training.patience",
                    "why": "would do nothing: 30 epochs without a better value don't fit into max_epochs: 30",
                    "how": "make it smaller",
                },
            ),
        ),
        (
            {"model.hidden_size": INT | {"when": {"model.hidden_size": 3}}},
            ("search.space.model.hidden_size.when.model.hidden_size", "condition-of-itself", {}),
        ),
        (
            {"model.hidden_size": INT | {"when": {"model.cel": "gru"}}, "model.cell": CELL},
            ("search.space.model.hidden_size.when.model.cel", "condition-not-searched", {"near": "model.cell"}),
        ),
        (
            {"model.hidden_size": INT, "model.num_layers": LAYERS | {"when": {"model.hidden_size": 9}}},
            (
                "search.space.model.num_layers.when.model.hidden_size",
                "condition-never-holds",
                {"value": 9, "low": 2, "high": 8},
            ),
        ),
        (
            {"model.hidden_size": INT, "model.num_layers": LAYERS | {"when": {"model.hidden_size": [2, True]}}},
            (
                "search.space.model.num_layers.when.model.hidden_size",
                "condition-never-holds",
                {"value": True, "low": 2, "high": 8},
            ),
        ),
    ],
)
def test_each_rule_and_what_its_fault_names(dimensions, told):
    assert faults(dimensions) == [told]


def test_conditions_in_a_circle():
    dimensions = {
        "model.hidden_size": INT | {"when": {"model.num_layers": 1}},
        "model.num_layers": {"type": "int", "low": 1, "high": 2, "when": {"model.hidden_size": 3}},
    }
    assert faults(dimensions) == [(f"search.space.{path}.when", "conditions-in-a-circle", {}) for path in dimensions]


def test_an_end_is_checked_where_its_condition_holds():
    dropout = {"type": "float", "low": 0.0, "high": 0.5}
    layers = {"type": "int", "low": 1, "high": 3}
    assert faults({"model.num_layers": layers, "model.dropout": dropout | {"when": {"model.num_layers": [2, 3]}}}) == []
    [told] = faults({"model.num_layers": layers, "model.dropout": dropout | {"when": {"model.num_layers": 1}}})
    assert told[:2] == ("search.space.model.dropout.high", "end-breaks-a-rule")
    assert (told[2]["value"], told[2]["field"]) == (0.5, "model.dropout")


def test_a_wrong_value_is_told_where_it_stands_alone():
    layers = {"type": "categorical", "choices": [0, 2]}
    dropout = {"type": "float", "low": 0.0, "high": 0.5, "when": {"model.num_layers": 0}}
    [told] = faults({"model.num_layers": layers, "model.dropout": dropout})
    assert told[:2] == ("search.space.model.num_layers.choices.0", "end-not-valid")
    assert (told[2]["value"], told[2]["field"]) == (0, "model.num_layers")


def test_what_the_base_has_wrong_already_is_not_told_again():
    assert faults({"model.hidden_size": INT}, model={"dropout": 0.5}) == []


def test_sections_that_are_not_valid_are_left_out():
    search = search_of({"model.hidden_size": INT, "training.seed": INT})
    assert list(rules.faults(search, {"data": DATA})) == []


@pytest.mark.parametrize(
    ("settings_", "told"),
    [
        ({"model.cell": "gru"}, ("search.first.0.model.cell", "first-not-searched", {})),
        (
            {"model.hidden_size": 9},
            ("search.first.0.model.hidden_size", "first-outside-the-space", {"value": 9, "low": 2, "high": 8}),
        ),
        (
            {"model.hidden_size": True},
            ("search.first.0.model.hidden_size", "first-outside-the-space", {"value": True, "low": 2, "high": 8}),
        ),
        (
            {"model.hidden_size": 3.0},
            ("search.first.0.model.hidden_size", "first-outside-the-space", {"value": 3.0, "low": 2, "high": 8}),
        ),
        (
            {"model.hidden_size": "3"},
            ("search.first.0.model.hidden_size", "first-outside-the-space", {"value": "3", "low": 2, "high": 8}),
        ),
        (
            {"training.momentum": 0.33},
            (
                "search.first.0.training.momentum",
                "first-outside-the-space",
                {"value": 0.33, "low": 0.0, "high": 0.9, "step": 0.1},
            ),
        ),
        (
            {"training.optimizer": "adamw"},
            (
                "search.first.0.training.optimizer",
                "first-outside-the-space",
                {"value": "adamw", "choices": ["adam", "sgd"]},
            ),
        ),
        (
            {"training.optimizer": "adam", "training.momentum": 0.3},
            ("search.first.0.training.momentum", "first-condition-fails", {}),
        ),
    ],
)
def test_points_to_try_first_lie_in_the_space(settings_, told):
    dimensions = {
        "model.hidden_size": INT,
        "training.optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "training.momentum": {
            "type": "float",
            "low": 0.0,
            "high": 0.9,
            "step": 0.1,
            "when": {"training.optimizer": "sgd"},
        },
    }
    assert faults(dimensions, first=[settings_]) == [told]


def test_more_points_to_try_first_than_trials():
    told = faults({"model.hidden_size": INT}, n_trials=1, first=[{"model.hidden_size": n} for n in (2, 3)])
    assert told == [("search.first", "more-first-than-trials", {"first": 2, "trials": 1})]


def test_the_grid_needs_no_points_to_try_first():
    told = faults({"model.hidden_size": INT}, sampler={"type": "grid"}, first=[{"model.hidden_size": 2}])
    assert told == [("search.first", "first-and-grid", {})]


def test_the_grid_has_the_values_as_written():
    values = suggest.grid(
        search_of(
            {
                "training.learning_rate": {"type": "float", "low": 0.1, "high": 0.5, "step": 0.1},
                "training.target_loss": {"type": "float", "low": 1e-14, "high": 3e-14, "step": 1e-14},
                "model.hidden_size": INT | {"step": 3},
                "model.cell": {"type": "categorical", "choices": ["lstm", "gru"]},
            }
        ).space
    )
    assert values == {
        "training.learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5],
        "training.target_loss": [1e-14, 2e-14, 3e-14],
        "model.hidden_size": [2, 5, 8],
        "model.cell": ["lstm", "gru"],
    }


def test_ends_are_the_cheapest_and_the_dearest():
    searched = search_of({"model.hidden_size": INT, "data.lookback": {"type": "int", "low": 4, "high": 16}}).space
    low, high = suggest.ends(TrialConfig(data=DATA), searched)
    assert (low.model.hidden_size, low.data.lookback) == (2, 4)
    assert (high.model.hidden_size, high.data.lookback) == (8, 16)


@pytest.mark.parametrize(
    ("layers", "more"),
    [
        ({"type": "int", "low": 1, "high": 3}, {}),
        ({"type": "categorical", "choices": [3, 1, 2]}, {}),
        (
            {"type": "int", "low": 2, "high": 3, "when": {"model.cell": "lstm"}},
            {"model.cell": {"type": "categorical", "choices": ["lstm", "gru"]}},
        ),
        (
            {"type": "int", "low": 2, "high": 3, "when": {"training.optimizer": ["sgd", "adam"]}},
            {"training.optimizer": {"type": "categorical", "choices": ["adam", "sgd", "adamw"]}},
        ),
    ],
)
def test_the_dearest_is_the_deepest(layers, more):
    searched = search_of({**more, "model.num_layers": layers}).space
    _, high = suggest.ends(TrialConfig(data=DATA), searched)
    assert high.model.num_layers == 3
    low, high = suggest.ends(TrialConfig(data=DATA, model={"num_layers": 1}), searched)
    assert low.model.num_layers <= high.model.num_layers


LAYERS = {"type": "int", "low": 1, "high": 3}
DROPOUT = {"type": "float", "low": 0.1, "high": 0.5}


@pytest.mark.parametrize(
    ("layers", "when", "told"),
    [
        (LAYERS, {}, True),
        (LAYERS, {"model.num_layers": [1, 2]}, True),
        (LAYERS, {"model.num_layers": [2, 3]}, False),
        (LAYERS, {"model.num_layers": 2}, False),
        (LAYERS | {"low": 2}, {}, False),
        ({"type": "categorical", "choices": [3, 1]}, {}, True),
    ],
)
def test_dropout_is_searched_only_where_there_are_several_layers(layers, when, told):
    dropout = DROPOUT | ({"when": when} if when else {})
    search = search_of({"model.num_layers": layers, "model.dropout": dropout})
    sections = {"model": ModelConfig(num_layers=2)}
    found = {fault.path for fault in rules.faults(search, sections)}
    assert any(path.startswith("search.space.model.dropout") for path in found) == told


def test_conditions_come_before_what_depends_on_them():
    dimensions = {
        "training.momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"training.optimizer": "sgd"}},
        "training.optimizer": {
            "type": "categorical",
            "choices": ["adam", "sgd"],
            "when": {"model.cell": ["lstm", "gru"]},
        },
        "model.cell": {"type": "categorical", "choices": ["lstm", "gru"]},
    }
    assert suggest.order(search_of(dimensions).space) == ["model.cell", "training.optimizer", "training.momentum"]


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValidationError):
        suggest.resolve(TrialConfig(data=DATA), {"model.hidden_size": 0})


# --- Any search section over a valid base: faults, or a space whose every suggestion is a valid trial.

SEARCHABLE = rules.searchable(DATA)
PATHS = [f"{section}.{name}" for section, names in SEARCHABLE.items() for name in names]
# A test that trained in this process has switched the smallest floats off.
FLOATS = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
SCALARS = st.one_of(
    st.sampled_from([True, False, None, 0, 1, 2, 3, 0.0, 0.5, "lstm", "gru", "sgd", "adam", "plateau", "none", "last"]),
    st.integers(),
    st.integers(min_value=-(10**400), max_value=10**400),
    FLOATS,
    st.text(string.ascii_letters, max_size=3),
)
NUMBERS = {
    "int": st.one_of(st.integers(-2, 40), st.integers(min_value=-(10**400), max_value=10**400)),
    "float": st.one_of(
        st.sampled_from([0.0, 1e-4, 0.1, 0.3, 0.5, 0.9, 1.0]),
        FLOATS,
    ),
}
# Half of what is drawn at random is hardly ever right; these ranges mostly are.
RIGHT = {
    "data.lookback": {"type": "int", "low": 1, "high": 20},
    "model.cell": {"type": "categorical", "choices": ["lstm", "gru"]},
    "model.num_layers": {"type": "int", "low": 1, "high": 3},
    "model.dropout": {"type": "float", "low": 0.0, "high": 0.8, "step": 0.1},
    "training.optimizer": {"type": "categorical", "choices": ["adam", "adamw", "sgd"]},
    "training.momentum": {"type": "float", "low": 0.0, "high": 0.9},
    "training.learning_rate": RATE,
    "training.patience": {"type": "int", "low": 1, "high": 29},
    "training.max_epochs": {"type": "int", "low": 4, "high": 64, "log": True},
    "training.schedule": {"type": "categorical", "choices": ["constant", "plateau"]},
}


@st.composite
def wild(draw):
    dimensions = {}
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=4, unique=True)):
        if (kind := draw(st.sampled_from(["int", "float", "categorical"]))) == "categorical":
            dimensions[path] = {"type": kind, "choices": draw(st.lists(SCALARS, min_size=2, max_size=4))}
        else:
            low, high = sorted([draw(NUMBERS[kind]), draw(NUMBERS[kind])])
            step = draw(st.none() | NUMBERS[kind])
            dimensions[path] = {"type": kind, "low": low, "high": high, "log": draw(st.booleans()), "step": step}
    for dimension in dimensions.values():
        if draw(st.integers(0, 3)) == 0:
            other = draw(st.sampled_from([*dimensions, "model.no"]))
            dimension["when"] = {other: draw(SCALARS | st.lists(SCALARS, max_size=2))}
    setting = st.dictionaries(st.sampled_from(PATHS), SCALARS, min_size=1, max_size=2)
    return {"n_trials": 3, "space": dimensions, "first": draw(st.lists(setting, max_size=1))}


@st.composite
def mild(draw):
    """Right dimensions, one of them perhaps with another end, step or condition."""
    paths = draw(st.lists(st.sampled_from(list(RIGHT)), min_size=1, max_size=5, unique=True))
    dimensions = {path: dict(RIGHT[path]) for path in paths}
    changed = dimensions[draw(st.sampled_from(paths))]
    if changed["type"] != "categorical":
        field = draw(st.sampled_from(["low", "high", "step", "none"]))
        if field != "none":
            changed[field] = draw(NUMBERS[changed["type"]])
    for path in draw(st.lists(st.sampled_from(paths), max_size=2, unique=True)):
        other = draw(st.sampled_from(paths))
        wanted = dimensions[other].get("choices") or [dimensions[other]["low"], dimensions[other]["high"]]
        dimensions[path]["when"] = {other: draw(st.sampled_from([wanted[0], wanted[1:], wanted[:2]]))}
    first = [{path: RIGHT[path].get("low", "sgd")} for path in draw(st.lists(st.sampled_from(paths), max_size=1))]
    return {"n_trials": 3, "space": dimensions, "first": first}


def trials_of(section, parts):
    """Three suggestions, all checked; none where the section is refused."""
    try:
        search = SearchConfig.model_validate(section)
    except ValidationError:
        return 0
    if list(rules.faults(search, parts)):
        return 0
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for setting in search.first:
        study.enqueue_trial(setting)
    whole = TrialConfig(**parts)
    for _ in range(3):
        drawn = suggest.suggest(study.ask(), search.space)
        trial = suggest.resolve(whole, drawn).model_dump()
        assert suggest.Resolver(whole)(drawn) == trial
        assert all(trial[path.split(".")[0]][path.split(".")[1]] == value for path, value in drawn.items())
        assert all(suggest.active(search.space[path], drawn) == (path in drawn) for path in search.space)
    suggest.ends(whole, search.space)
    return 3


FUZZ = settings(suppress_health_check=list(HealthCheck))
COUNTS = pytest.mark.parametrize("count", [100, pytest.param(600, marks=pytest.mark.faults)])


def test_an_end_that_a_field_of_several_kinds_does_not_take_is_refused():
    """As forget_bias, which is a number or a word: what is wrong is told once for each kind."""
    wide = {"type": "float", "low": 0.0, "high": 101.0}
    search = SearchConfig.model_validate({"n_trials": 3, "space": {"model.forget_bias": wide}})
    assert [fault.path for fault in rules.faults(search, base())] == ["search.space.model.forget_bias.high"]
    wrong = {"type": "categorical", "choices": [1.0, "chrono", "chronos"]}
    search = SearchConfig.model_validate({"n_trials": 3, "space": {"model.forget_bias": wrong}})
    assert [fault.path for fault in rules.faults(search, base())] == ["search.space.model.forget_bias.choices.2"]


@COUNTS
def test_a_wild_section_gives_faults_or_valid_trials(count):
    @settings(FUZZ, max_examples=count)
    @given(wild())
    def check(section):
        trials_of(section, base())

    check()


@COUNTS
def test_a_mild_section_gives_faults_or_valid_trials(count):
    drawn = []

    @settings(FUZZ, max_examples=count)
    @given(mild(), st.sampled_from([1, 2]))
    def check(section, num_layers):
        drawn.append(trials_of(section, base(model={"num_layers": num_layers})))

    check()
    assert 0.1 < sum(drawn) / 3 / len(drawn) < 0.9, "the drawn sections must be right and wrong ones"


def test_a_resolver_makes_what_resolve_makes():
    base = TrialConfig(data=DATA)
    resolver = suggest.Resolver(base)
    every = [
        {"training.weight_decay": 1, "model.hidden_size": 8},  # a whole number in a real field
        {"training.weight_decay": 0.5, "model.cell": "gru"},
        {"training.weight_decay": 1, "training.gradient_clip": None},
        {"training.population": 8, "training.method": "evolution", "training.weight_decay": 1},
        {"training.method": "gradient"},
        {},
    ]
    for drawn in every:
        made, shall = resolver(drawn), suggest.resolve(base, drawn).model_dump()
        assert made == shall
        assert json.dumps(made) == json.dumps(shall)

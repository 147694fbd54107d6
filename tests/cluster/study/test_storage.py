import math
import random

import optuna
import pytest
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from cluster.study import database, storage
from cluster.study.storage import SoleStorage

SPACE = {
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "size": IntDistribution(1, 64, log=True),
    "cell": CategoricalDistribution(("gru", None, 3, True)),
}
ENDS = (TrialState.PRUNED, TrialState.FAIL)
VALUES = (0.1, 1e300, math.inf, -math.inf, math.nan)


@pytest.fixture
def study(url, name):
    optuna.create_study(storage=storage.connect(url), study_name=name)
    return optuna.load_study(study_name=name, storage=SoleStorage(storage.connect(url)))


def facts(trials):
    """All of some trials, so that not-a-number equals itself; a database gives no order within a trial."""
    return [
        {key: repr(sorted(value.items()) if isinstance(value, dict) else value) for key, value in vars(trial).items()}
        for trial in trials
    ]


def stored(study, url):
    return optuna.load_study(study_name=study.study_name, storage=storage.connect(url)).get_trials()


@pytest.mark.filterwarnings("ignore:The reported value is ignored")  # Optuna's, of a step that comes twice: it is meant
def test_it_knows_what_the_database_holds(study, url):
    draw, live = random.Random(1), []
    for number in range(30):
        act = draw.choice(["ask", "ask", "report", "report", "fact", "tell", "queue"])
        if act == "queue":
            study.enqueue_trial({"size": 2}, user_attrs={"first": number})
        elif act == "ask":
            live.append(study.ask())
            for name in draw.sample(list(SPACE), 2):
                live[-1]._suggest(name, SPACE[name])
        elif live:
            trial = draw.choice(live)
            if act == "report":
                trial.report(draw.choice(VALUES), draw.randrange(5))
            elif act == "fact":
                trial.set_user_attr(draw.choice("ab"), {"x": (1, 2.5, None), "y": [math.inf]})
                study._storage.set_trial_system_attr(trial._trial_id, "rung", (1, 2))
            else:
                live.remove(trial)
                study.tell(trial, **draw.choice([{"values": 1.5}, *({"state": state} for state in ENDS)]))
        assert facts(study.get_trials()) == facts(stored(study, url)), (number, act)
    assert {trial.state for trial in study.trials} >= {TrialState.RUNNING, TrialState.COMPLETE, *ENDS}


def test_an_epoch_costs_no_more_the_more_trials_run(study):
    seen = []
    sqlalchemy.event.listen(study._storage._backend.engine, "before_cursor_execute", lambda *a: seen.append(a[2]))

    def statements():
        seen.clear()
        live[0].report(0.5, len(live))
        study.get_trials(deepcopy=False)
        return len(seen)

    live = [study.ask()]
    alone = statements()
    live += [study.ask() for _ in range(9)]
    assert statements() == alone > 0
    assert not any("trial_params" in text for text in seen)


def test_what_was_lost_with_an_answer_is_read(study, url, monkeypatch):
    first, second = study.ask(), study.ask()
    backend = study._storage._backend
    write = backend.set_trial_intermediate_value

    def unanswered(*arguments):
        write(*arguments)
        raise StorageInternalError

    monkeypatch.setattr(backend, "set_trial_intermediate_value", unanswered)
    with pytest.raises(StorageInternalError):
        first.report(0.25, 1)
    monkeypatch.undo()
    assert study.trials[0].intermediate_values == {1: 0.25}
    second.report(0.5, 1)
    study.tell(second, 0.5)
    assert facts(study.get_trials()) == facts(stored(study, url))


def test_a_trial_that_was_given_out_stays_as_it_was(study):
    trial = study.ask()
    (before,) = study.get_trials(deepcopy=False)
    trial.report(0.5, 1)
    trial.set_user_attr("a", 1)
    assert (before.intermediate_values, before.user_attrs) == ({}, {})
    (now,) = study.get_trials(deepcopy=False)
    assert (now.intermediate_values, now.user_attrs) == ({1: 0.5}, {"a": 1})


@pytest.mark.parametrize("folder", ["{b}", "{SCHEMA_VERSION}", "#[1] 50% ü;'@:&=", "a{"])
def test_a_path_is_taken_as_it_is_written(tmp_path, folder):
    (tmp_path / folder).mkdir()
    storage.connect(f"sqlite:///{tmp_path}/{folder}/study.db")
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert [path.name for path in (tmp_path / folder).iterdir()] == ["study.db"]
    assert not database.is_missing(f"sqlite:///{tmp_path}/{folder}/study.db")


def test_a_database_that_was_known_and_is_new_gets_its_tables(quick_path):
    """A process that has opened a database doesn't look for each table again, unless one is missing."""
    path = quick_path / "study.db"
    url = f"sqlite:///{path}"
    for _ in range(2):
        optuna.create_study(storage=storage.connect(url), study_name="a")
        assert optuna.load_study(storage=storage.connect(url), study_name="a").trials == []
        path.unlink()

from types import SimpleNamespace

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from cluster.config import SearchConfig, SuccessiveHalvingPruner
from cluster.decisions import Decisions, End
from cluster.study.samplers_and_pruners import NumberedSampler, has_rung
from cluster.study.storage import id_of
from cluster.study.study import Study
from lstm.records.epoch import Epoch
from lstm.records.state import Derived
from lstm.records.windows import Windows

SPACE = {
    "model.hidden_size": {"type": "int", "low": 1, "high": 64},
    "training.optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
    "training.learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
}
DRAWN = {
    "model.hidden_size": optuna.distributions.IntDistribution(1, 64),
    "training.optimizer": optuna.distributions.CategoricalDistribution(["adam", "sgd"]),
    "training.learning_rate": optuna.distributions.FloatDistribution(0.001, 0.1, log=True),
    "model.layers": optuna.distributions.IntDistribution(2, 2),
}


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_what_all_trials_were_searched_in_is_what_the_sampler_itself_would_find(sampler):
    """A sampler is made anew for each trial; what it would look through all trials for is kept, by Optuna's class."""
    search = SearchConfig.model_validate({"n_trials": 1, "space": SPACE, "sampler": {"type": sampler, "seed": 1}})
    storage = optuna.storages.InMemoryStorage()
    ours = NumberedSampler(search, storage, "s")
    study = optuna.create_study(storage=storage, study_name="s", sampler=ours)
    ends = [TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE]
    for number in range(9):
        names = list(DRAWN)[: 4 if number < 6 else 3]
        trial = study.ask({name: DRAWN[name] for name in names})
        if number % 4 < 3:
            study.tell(trial, **({"values": 1.0} if number % 3 == 2 else {"state": ends[number % 3]}))
        frozen = study.get_trials()[number]
        assert ours.infer_relative_search_space(study, frozen) == own(sampler).infer_relative_search_space(
            study, frozen
        )


def own(sampler: str) -> BaseSampler:
    made = {
        "tpe": lambda: optuna.samplers.TPESampler(seed=1, multivariate=True),
        "gp": lambda: optuna.samplers.GPSampler(seed=1),
        "random": lambda: optuna.samplers.RandomSampler(seed=1),
    }
    return made[sampler]()


def test_a_trials_id_is_asked_of_the_storage():
    storage = optuna.storages.InMemoryStorage()
    for name in ("first", "second"):
        study = optuna.create_study(storage=storage, study_name=name)
        ids = [id_of(storage, name, study.ask().number) for _ in range(2)]
        assert [storage.get_trial(each).number for each in ids] == [0, 1]
    with pytest.raises(KeyError):
        id_of(storage, "second", 2)


# --- After a later window of a backtest


LONGEST = 10  # epochs in a window: later windows are steps 11, 12, 13
HALVING = {"type": "successive_halving", "min_resource": 2, "reduction_factor": 3}  # rungs at 2, 6, 18, 54 epochs


@pytest.fixture
def judged(trial_config, tmp_path):
    """A study with a backtest, and `trial`, which reports a trial's windows; it answers where it was pruned."""

    def make(pruner, **data):
        config = trial_config({"backtest": {"windows": 4}}, training={"max_epochs": LONGEST, **data})
        space = {"training.learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}}
        search = SearchConfig.model_validate(
            {"n_trials": 99, "space": space, "sampler": {"type": "random"}, "pruner": pruner}
        )
        made = Study(f"sqlite:///{tmp_path}/{pruner['type']}.db", "a", search, config)

        def trial(*windows):
            number = made.ask()
            for window, value in enumerate(windows, 1):
                if made.report(number, [Epoch(1, {}, value, 0, "patience", window=window)]):
                    made.end(number, End("PRUNED", None, (1,) * window))
                    return window
            mean = sum(windows) / len(windows) if len(windows) == 4 else None
            made.end(number, End("COMPLETE" if mean is not None else "PRUNED", mean, (1,) * len(windows)))
            return 0

        return SimpleNamespace(study=made, trial=trial)

    return make


@pytest.mark.parametrize(
    ("pruner", "longest", "windows"),
    [
        ({"min_resource": 2, "reduction_factor": 3}, 10, [2]),  # 18 is in 11 to 20, 54 after 40
        ({"min_resource": 3, "reduction_factor": 3}, 20, [2]),  # 27
        ({"min_resource": 1, "reduction_factor": 2}, 10, [2, 4]),  # 16, 32
        ({"min_resource": 5, "reduction_factor": 2}, 10, [2, 4]),  # 20 ends the second window, 40 the fourth
        ({"min_resource": 2, "reduction_factor": 3, "min_early_stopping_rate": 2}, 10, [2]),
        ({"min_resource": 4, "reduction_factor": 4}, 100, [3]),  # 256
    ],
)
def test_a_rung_lies_in_the_window_that_has_its_epoch(pruner, longest, windows):
    chosen = SuccessiveHalvingPruner(type="successive_halving", **pruner)
    made = Windows(4, longest=longest)
    assert [window for window in (2, 3, 4) if has_rung(chosen, made, window)] == windows


def test_successive_halving_compares_a_window_with_the_same_window(judged):
    """The first windows are easy: a pruner that took a mean of two for an epoch would end every trial."""
    trial = judged(HALVING).trial
    assert [trial(1.0, 5.0, 5.0, 5.0) for _ in range(3)] == [0, 0, 0]  # equals go on
    assert trial(1.0, 9.0, 9.0, 9.0) == 2  # not among the best third by the mean of two windows
    assert trial(1.0, 4.0, 99.0, 99.0) == 0  # no rung after the second window
    assert trial(1.0, 3.0, 3.0, 3.0) == 0


def test_the_median_of_a_window_is_that_of_completed_trials_at_that_window(judged):
    trial = judged({"type": "median", "n_startup_trials": 3}).trial
    for value in (4.0, 5.0, 6.0):
        assert trial(1.0, value, value, value) == 0
    assert trial(1.0, 5.5, 5.5, 5.5) == 2
    assert trial(1.0, 5.0, 5.0, 9.0) == 4  # the median itself goes on; the mean of all four is worse
    assert trial(1.0, 4.5, 4.5, 4.5) == 0


@pytest.mark.parametrize(
    "pruner", [{"type": "none"}, {"type": "patient", "patience": 1}, {"type": "hyperband", "min_resource": 2}]
)
def test_other_pruners_decide_in_the_first_window_only(judged, pruner):
    trial = judged(pruner).trial
    assert [trial(1.0, value, value, value) for value in (1.0, 2.0, 9.0, 99.0)] == [0, 0, 0, 0]


def test_the_base_is_pruned_after_no_window(judged):
    made = judged(HALVING).study
    made.remember(keeps_base=True, comparable={})
    made.enqueue_first()
    base = made.ask()
    for _ in range(4):
        other = made.ask()
        for window in (1, 2):
            made.report(other, [Epoch(1, {}, 1.0, 0, "patience", window=window)])
    asked = [made.report(base, [Epoch(1, {}, 99.0, 0, "patience", window=window)]) for window in (1, 2, 3, 4)]
    assert asked == [False] * 4


def test_the_base_is_on_no_rung(judged):
    """A base that is better than all others ends none of them."""
    case = judged(HALVING)
    case.study.remember(keeps_base=True, comparable={})
    case.study.enqueue_first()
    base = case.study.ask()
    for window in (1, 2, 3, 4):
        case.study.report(base, [Epoch(1, {}, 0.1, 0, "patience", window=window)])
    assert case.trial(1.0, 5.0, 5.0, 5.0) == 0


def test_a_trial_beside_the_search_is_on_no_rung(judged):
    """Confirm judges on windows that the search may not see: what it finds there ends no trial of the search."""
    case = judged(HALVING)
    assert case.trial(1.0, 5.0, 5.0, 5.0) == 0
    for purpose in ("confirm", "extend"):
        case.study.derive(0, Decisions(Derived(0, purpose, {"training.seed": 7})))
        number = case.study.ask()
        for window in (1, 2, 3, 4):
            case.study.report(number, [Epoch(1, {}, 0.1, 0, "patience", window=window)])
        case.study.end(number, End("COMPLETE", 0.1, (1, 1, 1, 1)))
    assert case.trial(1.0, 4.0, 4.0, 4.0) == 0


def test_a_step_is_the_same_whether_epochs_come_at_once_or_one_by_one(judged):
    """A driver that takes over gets the whole history; one that went on from an older checkpoint trains some again."""
    made = judged({"type": "none"}).study
    history = [Epoch(number, {}, 5.0 - number, 0, "patience" if number == 3 else None) for number in (1, 2, 3)]
    history += [Epoch(number, {}, 7.0 + number, 0, "patience" if number == 2 else None, window=2) for number in (1, 2)]
    singly, at_once, again = made.ask(), made.ask(), made.ask()
    for epoch in history:
        made.report(singly, [epoch])
    made.report(at_once, history)
    made.report(again, history[:4])
    made.report(again, history[1:3])
    made.report(again, history[3:])
    steps = [made.trial(number).steps for number in (singly, at_once, again)]
    assert steps[0] == ((1, 4.0), (2, 3.0), (3, 2.0), (LONGEST + 1, 5.0))
    assert steps[1] == steps[0]
    assert steps[2] == steps[0]

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from cluster.config import SearchConfig
from cluster.study.samplers_and_pruners import NumberedSampler
from cluster.study.storage import id_of

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

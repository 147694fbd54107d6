import optuna
import pytest
from optuna.trial import TrialState

from cluster.config import SearchConfig
from cluster.space import suggest
from cluster.study import drafts
from cluster.study.storage import SoleStorage, connect, id_of

SPACE = {
    "model.hidden_size": {"type": "int", "low": 1, "high": 64},
    "training.optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
    "training.momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"training.optimizer": "sgd"}},
}


@pytest.fixture
def storage(quick_path):
    return SoleStorage(connect(f"sqlite:///{quick_path}/study.db"))


@pytest.fixture
def studies(storage):
    """The study as often as it is asked for, each with a sampler of its own that is as new."""

    def make():
        sampler = optuna.samplers.TPESampler(
            seed=1, n_startup_trials=2, multivariate=True, group=True, constant_liar=True
        )
        return optuna.create_study(storage=storage, study_name="s", sampler=sampler, load_if_exists=True)

    return make


def test_a_draft_is_what_would_have_been_suggested_and_nothing_of_it_is_stored(studies, storage):
    searched = SearchConfig.model_validate({"n_trials": 1, "space": SPACE}).space
    for number in range(8):
        before = studies().get_trials()
        drawn = drafts.draw(studies(), storage, drafts.unborn(number), searched, 0)
        assert studies().get_trials() == before
        trial = studies().ask()
        assert suggest.suggest(trial, searched) == drawn.settings
        stored = studies().get_trials()[number]
        assert (stored.number, stored.params, stored.system_attrs) == (number, drawn.settings, drawn.attributes)
        if number % 2:
            studies().tell(trial, float(number))


def test_a_draft_of_a_trial_that_is_there_takes_its_place(studies, storage):
    studies().ask()
    trial = studies().get_trials()[0]
    trial_id = id_of(storage, "s", trial.number)
    mine = drafts.Draft(storage, trial, trial_id)
    mine.set_trial_system_attr(trial_id, "a", 1)
    assert [t.system_attrs for t in mine.get_all_trials(1)] == [{"a": 1}]
    assert mine.get_all_trials(1, states=(TrialState.COMPLETE,)) == []
    assert mine.get_trial_system_attrs(trial_id) == {"a": 1}
    assert studies().get_trials()[0].system_attrs == {}

import pytest

from lstm.config.forecast import ForecastData
from lstm.records.task import TaskRecord
from lstm.tasks.registry import TASKS


@pytest.fixture
def names():
    def of(**more):
        made = {"target": "y", "lookback": 2, "horizon": 1, "split": {"validation": 0.2, "test": 0.2}}
        return {each.name: each for each in TASKS["forecast"].metrics_of(ForecastData.model_validate(made | more))}

    return of


def test_metrics_are_named_by_target_where_there_are_several(names):
    assert list(names())[3:] == ["mae_original", "rmse_original"]
    assert "rmse_original/b" in names(target=["a", "b"])


def test_the_error_of_a_column_that_is_named_as_a_metric_is_an_error_still(names):
    metrics = names(target=["accuracy", "f1"])
    assert {each.direction for each in metrics.values()} == {"minimize"}


@pytest.mark.parametrize("case", ["forecast", "classify", "characters", "copy"])
def test_what_a_study_keeps_of_a_task_comes_back(cases, case):
    _, config = cases[case]
    record = TASKS[config.task].record(config.data)
    assert TaskRecord.of_row(record.row()) == record
    assert record.metrics[0].name == "loss"
    assert record.metric("loss").direction == "minimize"
    if case in ("classify", "copy"):
        assert record.metric("accuracy").direction == "maximize"

import pytest

from lstm import own_code as code
from lstm.config.forecast import ForecastData
from lstm.config.section import File
from lstm.records.errors import BadInput
from lstm.records.objective import TaskRecord
from lstm.tasks import registry as tasks
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


OWN = """
from lstm.tasks.base import Task
from lstm.tasks.memory import Memory

class Mean:
    pass

class Half(Task):
    def load(self, config, location, reach):
        pass

class Bare(Memory):
    section = dict
"""


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Mean", "task-of-another-class"), ("Half", "task-lacks"), ("Bare", "task-section-of-another-class")],
)
def test_a_users_class_that_is_no_task_is_refused(tmp_path, name, wanted):
    (tmp_path / "own.py").write_text(OWN)
    read = code.read(tmp_path / "own.py", "own.py")
    code.execute(read)
    with pytest.raises(BadInput) as error:
        tasks.own(f"own.py:{name}", {"own.py": read.digest})
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.path) == (wanted, f"own.py:{name}", "task")
    if wanted == "task-lacks":
        assert {"facts", "network", "predict"} < set(wrong.values["names"])
        assert "load" not in wrong.values["names"]


def test_a_task_of_whose_rivals_none_forecasts_says_so():
    with pytest.raises(BadInput) as error:
        TASKS["language_model"].check_predicts("n-grams")
    assert [(wrong.code, wrong.values) for wrong in error.value.faults] == [("rivals-judged-only", {"name": "n-grams"})]


def test_a_series_without_a_measured_target_to_learn_is_refused(trial_config, tmp_path):
    values = [str(row % 3) if row < 4 or row >= 70 else "" for row in range(130)]
    (tmp_path / "a.csv").write_text("p,y\n" + "".join(f"{row},{value}\n" for row, value in enumerate(values)))
    data = {"lookback": 4, "horizon": 3, "missing": "forward_fill", "split": {"validation": 30, "test": 30}}
    config = trial_config(data, loss_on="measured")
    with pytest.raises(BadInput) as error:
        tasks.load(config, File(path=str(tmp_path / "a.csv")))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path, wrong.values) == ("no-target-measured", "data", {"lookback": 4})


@pytest.fixture
def parts(trial_config, series_of, walk):
    def made(split, seed=0, place="/data/sales.csv", **more):
        config = trial_config(data={"split": split, **more})
        return tasks.data_parts(config, series_of(config.data, walk(200, seed=seed)), place)

    return made


def test_each_part_has_its_rows_and_columns(parts):
    found = parts({"validation": 0.2, "test": 0.3})
    assert [(part.context, part.count, part.unit) for part in found] == [
        ("training", 100, "rows"),
        ("validation", 40, "rows"),
        ("test", 60, "rows"),
    ]
    assert {(part.name, part.place, tuple(part.columns.items())) for part in found} == {
        ("sales.csv", "/data/sales.csv", (("y", "double"),))
    }
    assert parts({"validation": 0.2, "test": 0.3}, place="")[0].name == "forecast"


def test_parts_of_one_size_at_other_places_have_other_digests(parts):
    one, same, other = (
        parts({"validation": 40, "test": test}, **more) for test, more in ((60, {}), (60, {"horizon": 2}), (50, {}))
    )
    assert [part.digest for part in one] == [part.digest for part in same]
    assert one[1].count == other[1].count
    assert not {part.digest for part in one} & {part.digest for part in other}

"""A user's own file: which verbs need it, and what becomes of them once the file is another."""

import json
from pathlib import Path

import pytest

from experiments import SpecError, load, plan

pytestmark = pytest.mark.usefixtures("blank_pages")

CELL = Path(__file__).with_name("cells").joinpath("mean.py").read_text()
SPACE = "    model.cell: {type: categorical, choices: [gru, mean.py:Mean]}\n"


@pytest.fixture(scope="module")
def swept(tmp_path_factory, near, tiny):
    """A folder with a sweep of a grid: trial 1 is a GRU, trial 2 has a cell of the user's own."""
    folder = tmp_path_factory.mktemp("cells")
    (folder / "mean.py").write_text(CELL)
    (folder / "tiny.csv").write_text(tiny.data)
    head, _, _ = tiny.spec.partition("  n_trials: 4")
    (folder / "tiny.yaml").write_text(f"{head}  n_trials: 2\n  sampler: {{type: grid}}\n  space:\n{SPACE}")
    ran = near("run", "tiny.yaml", "--json", cwd=folder)
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def changed(swept, monkeypatch):
    """The same folder, which is the working folder, with another file of code; it is put back."""
    monkeypatch.chdir(swept)
    (swept / "mean.py").write_text(CELL + "# other\n")
    yield swept
    (swept / "mean.py").write_text(CELL)


def numbers(sweep):
    """The trials by their cell: of the GRU, and of the user's own."""
    trials = json.loads(sweep("compare", "tiny", "--json").out)["trials"]
    by_cell = {trial["parameters"].get("model.cell"): trial["trial"] for trial in trials}
    return by_cell["gru"], by_cell["mean.py:Mean"]


def test_who_does_not_need_the_changed_file_predicts_and_who_needs_it_is_refused(changed, sweep):
    gru, own = numbers(sweep)
    assert sweep("predict", "tiny", "--trial", gru).code == 0
    assert sweep("predict", "tiny", "--model", "ridge").code == 0
    refused = sweep("predict", "tiny", "--trial", own)
    assert (refused.code, refused.out) == (2, "")
    assert "mean.py" in refused.err
    (changed / "former.py").write_text(CELL)
    assert sweep("predict", "tiny", "--trial", own, "--code", "former.py").code == 0
    with pytest.raises(SpecError) as error:
        load("tiny").predict(trial=own)
    assert [fault.code for fault in error.value.faults] == ["code-of-another-training"]
    assert len(load("tiny").predict(trial=own, code=Path("former.py"))) == 7


def test_a_plan_says_that_run_would_refuse_the_changed_file_or_setting(changed, sweep):
    def told(*arguments):
        answer = sweep("plan", *arguments, "--json")
        assert answer.code == 0, answer.err
        return [note["message"] for note in json.loads(answer.out)["warnings"] if note["code"] == "begun-otherwise"]

    [note] = told("tiny.yaml")
    assert "mean.py: the code has changed" in note
    (changed / "mean.py").write_text(CELL)
    assert told("tiny.yaml") == []
    [note] = told("tiny.yaml", "--set", "training.max_epochs=3")
    assert "training.max_epochs: was 2, is 3" in note
    refused = sweep("run", "tiny.yaml", "--in-process", "--set", "training.max_epochs=3")
    assert (refused.code, refused.out) == (2, "")


def test_an_import_from_the_files_folder_is_refused_where_python_would_find_it(folder, monkeypatch, sweep):
    (folder / "mean.py").write_text("from beside.it import anything\nimport torch\n" + CELL)
    (folder / "beside").mkdir()
    (folder / "beside" / "it.py").write_text("anything = 1\n")
    monkeypatch.syspath_prepend(str(folder))  # as a notebook's kernel and `python script.py` have it
    with pytest.raises(SpecError) as error:
        plan("tiny.yaml", set={"model.cell": "mean.py:Mean"})
    assert [(fault.code, fault.within) for fault in error.value.faults] == [("code-imports-neighbour", "mean.py:1")]


def test_the_base_has_the_searched_fields_of_the_spec(swept, monkeypatch):
    monkeypatch.chdir(swept)
    frame = load("tiny").to_frame()
    assert frame.loc[frame["is_base"], "model.cell"].tolist() == ["lstm"]
    assert sorted(frame.loc[~frame["is_base"], "model.cell"]) == ["gru", "mean.py:Mean"]

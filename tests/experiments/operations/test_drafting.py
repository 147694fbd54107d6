"""Which task a file is drafted for, and that the draft is a spec that `plan` and `train` take as it is."""

import gzip
import json
import random
from pathlib import Path

import pytest

from lstm.tasks.registry import TASKS

DATA = Path(__file__).parents[3] / "experiments" / "data"
OWN = '''"""A task of one's own: a forecast that takes two files as one data set."""

from lstm.tasks.base import Task
from lstm.tasks.drafts.draft import Line, Recognition
from lstm.tasks.forecast import Forecast


class Pair(Forecast):
    def recognise(self, files):
        names = [file.path.name for file in files]
        return Recognition(names == ["a.csv", "b.csv"], "needs a.csv and b.csv")


class Silent(Forecast):
    recognise = Task.recognise


class Idle(Forecast):
    draft = Task.draft


class Broken(Forecast):
    def draft(self, files):
        return files[7]
'''


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_HOME", raising=False)
    return tmp_path


@pytest.fixture
def table(here):
    """Writes a CSV: a header and rows."""

    def table(name, header, rows):
        (here / name).write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
        return name

    return table


def runs(count=40, steps=12, step=str):
    """Rows of labelled sequences: run, step, x, y, kind."""
    dice = random.Random(0)
    return [
        (run, step(at), f"{dice.gauss(run % 2, 1):.3f}", f"{dice.random():.3f}", ("ok", "bad")[run % 2])
        for run in range(count)
        for at in range(steps)
    ]


def days(count=200):
    dice = random.Random(1)
    return [(f"2024-{1 + n // 28 % 12:02}-{1 + n % 28:02}", f"{dice.random():.3f}") for n in range(min(count, 336))]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


DRAFTED = {
    "forecast": (DATA / "sunspots.csv", "val/loss"),
    "classify": (DATA / "digits.csv", "val/accuracy"),
    "language_model": (DATA / "shakespeare.txt", "val/loss"),
}


@pytest.mark.parametrize("task", DRAFTED)
def test_a_file_is_drafted_for_the_task_that_recognises_it_and_the_draft_is_planned_as_it_is(task, sweep):
    path, metric = DRAFTED[task]
    done = sweep("new", path, "--output", "a.yaml", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["task"], document["spec"], document["data"]["path"]) == (task, "a.yaml", str(path))
    assert document["task_why"]
    planned = sweep("plan", "a.yaml", "--json")
    assert planned.code == 0, planned.err
    plan = json.loads(planned.out)
    assert plan["windows"] == document["windows"]
    assert plan["warnings"] == document["warnings"] == []
    text = Path("a.yaml").read_text()
    assert f"metric: {metric}" in text
    for searched in ("model.hidden_size: {", "model.num_layers: {", "training.learning_rate: {"):
        assert f"    {searched}" in text
    chosen = [line for line in text.split("search:")[0].splitlines() if line.startswith("  ") and ": " in line]
    bare = [line for line in chosen if " # " not in line and line.split(":")[0].strip() not in ("seed", "cell")]
    assert [line for line in bare if "optimizer" not in line] == []


@pytest.mark.parametrize("task", ["classify", "language_model"])
def test_a_draft_trains_as_it_is(task, table, sweep):
    if task == "classify":
        name = table("a.csv", "run,step,x,y,kind", runs())
    else:
        name = "a.txt"
        Path(name).write_text((DATA / "shakespeare.txt").read_text()[:2_000])
    assert sweep("new", name).code == 0
    few = ["training.max_epochs=1", "model.hidden_size=4", "training.patience=null"][
        : 3 if task == "language_model" else 2
    ]
    done = sweep("train", "a.yaml", *(word for each in few for word in ("--set", each)))
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("task", "name"), [("forecast", "sunspots.csv"), ("classify", "digits.csv"), ("language_model", "shakespeare.txt")]
)
def test_the_task_that_is_found_may_be_named_and_every_other_is_refused_with_its_reason(task, name, sweep, here):
    for other in TASKS:
        done = sweep("new", DATA / name, "--output", "a.yaml", "--task", other, "--force")
        assert done.code == (0 if other == task else 2), other
        if other != task:
            assert [part for part in (name, other) if part not in done.err] == []
    assert files(here) == ["a.yaml"]


def test_where_two_tasks_recognise_a_table_both_are_named_and_task_decides(table, sweep, here):
    days_of = [(*row[:1], f"2024-01-01 00:{row[0]:02}:{int(row[1]):02}", *row[2:]) for row in runs()]
    name = table("a.csv", "run,when,x,y,kind", days_of)
    refused = sweep("new", name)
    assert (refused.code, refused.out) == (2, "")
    told = ("a.csv", "--task", "forecast", "classify", "'when'", "'run'", "'kind'")
    assert [part for part in told if part not in refused.err] == []
    assert "language_model" not in refused.err
    assert files(here) == ["a.csv"]
    for task in ("forecast", "classify"):
        done = sweep("new", name, "--task", task, "--force", "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["task"] == task


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"a": 1}'),
        ("a.bin", b"\0\1\2" * 99),
        ("a.gz", gzip.compress(b"\0\1\2" * 99, mtime=0)),
        ("a.csv", b"name,place\n" + b"anna,rome\n" * 99),
    ],
)
def test_where_no_task_recognises_a_file_each_says_what_it_needs(name, content, sweep, here):
    Path(name).write_bytes(content)
    done = sweep("new", name)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert [task for task in (*TASKS, name) if task not in done.err] == []
    assert files(here) == [name]


def test_two_files_are_one_data_set_that_none_of_our_tasks_knows_yet(table, sweep, here):
    names = [table(name, "day,v", days()) for name in ("a.csv", "b.csv")]
    done = sweep("new", *names)
    assert done.code == 2
    assert [part for part in (*names, *TASKS) if part not in done.err] == []
    assert files(here) == names
    assert "nothing.csv" in sweep("new", names[0], "nothing.csv").err


@pytest.mark.parametrize(("task", "told"), [("forcast", "did you mean forecast"), ("tasks.py", "FILE.py:Class")])
def test_a_task_that_is_none_is_refused_with_the_nearest(table, sweep, task, told):
    done = sweep("new", table("a.csv", "day,v", days()), "--task", task)
    assert done.code == 2
    assert [part for part in (task, told, *TASKS) if part not in done.err] == []


def test_a_task_of_ones_own_recognises_and_drafts(table, sweep, here):
    (here / "mine.py").write_text(OWN)
    (here / "specs").mkdir()
    names = [table(name, "day,v", days()) for name in ("a.csv", "b.csv")]
    done = sweep("new", *names, "--task", "mine.py:Pair", "--output", "specs/a.yaml", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["task"], document["data"]["target"]) == ("../mine.py:Pair", "v")
    assert "a.csv and b.csv" in (here / "specs" / "a.yaml").read_text()
    planned = sweep("plan", "specs/a.yaml", "--json")
    assert planned.code == 0, planned.err
    refused = sweep("new", "a.csv", "--task", "mine.py:Pair")
    assert (refused.code, "needs a.csv and b.csv" in refused.err) == (2, True)
    silent = sweep("new", *names, "--task", "mine.py:Silent")
    assert (silent.code, "mine.py:Silent" in silent.err) == (2, True)
    none = sweep("new", *names, "--task", "mine.py:None")
    assert (none.code, "mine.py" in none.err, "class None" in none.err) == (2, True, True)
    assert files(here) == ["a.csv", "b.csv", "mine.py", "specs"]


@pytest.mark.parametrize(
    ("name", "told"), [("Idle", ["Idle recognises files"]), ("Broken", ["mine.py:24: ", "IndexError"])]
)
def test_what_a_task_of_ones_own_raises_is_told(table, sweep, here, name, told):
    (here / "mine.py").write_text(OWN)
    done = sweep("new", table("a.csv", "day,v", days()), "--task", f"mine.py:{name}")
    assert (done.code, done.out, "Traceback" in done.err) == (2, "", False)
    assert [part for part in ("mine.py", *told) if part not in done.err] == []
    assert files(here) == ["a.csv", "mine.py"]


def test_a_name_in_the_data_that_no_spec_may_have_is_told_as_the_datas(table, sweep, here):
    done = sweep("new", table("a.csv", "probability,step,x,y,kind", runs()))
    assert done.code == 2
    assert [part for part in ("data.id", "probability", "a.csv") if part not in done.err] == []
    assert "/tmp" not in done.err.replace(str(here), "")
    assert files(here) == ["a.csv"]


def test_the_screen_says_which_task_it_is_and_why(table, sweep):
    shown = sweep("new", table("a.csv", "run,step,x,y,kind", runs())).out
    told = ("classify", "40 sequences", "'run'", "'kind'", "x, y", "sweep plan a.yaml", "train 24")
    assert [part for part in told if part not in shown] == []


# --- What is asked for ----------------------------------------------------------------------------------------


def test_target_and_horizon_are_those_asked_for(table, sweep, here):
    name = table("a.csv", "day,load,x", [(*row, n % 7) for n, row in enumerate(days())])
    done = sweep("new", name, "--target", "x", "--horizon", "5", "--json")
    assert done.code == 0, done.err
    text = Path("a.yaml").read_text()
    assert [line for line in ("  target: x ", "  horizon: 5 ") if line not in text] == []
    assert json.loads(done.out)["data"]["target"] == "x"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--target", "lod"), ("lod", "load")),
        (("--target", "day"), ("day",)),
        (("--horizon", "5", "--task", "classify"), ("classify",)),
        (("--horizon", "0"), ("--horizon",)),
    ],
)
def test_what_can_not_be_had_is_refused(table, sweep, here, flags, told):
    name = table("a.csv", "day,load", days())
    done = sweep("new", name, *flags)
    assert (done.code, done.out) == (2, "")
    assert [part for part in told if part not in done.err] == []
    assert files(here) == [name]


def test_a_text_file_is_what_its_content_says_or_task(sweep, here):
    words = "".join(f"line {n}, of numbers {n * 7} and {n * 3}\n" for n in range(300))
    Path("a.txt").write_text("\n".join(f"{n},{n * n % 17}" for n in range(400)) + "\n")
    Path("b.txt").write_text(words * 2)
    as_text = sweep("new", "a.txt", "--task", "language_model", "--json")
    assert as_text.code == 0, as_text.err
    assert "by --task" in json.loads(as_text.out)["task_why"]
    found = sweep("new", "b.txt", "--json")
    assert json.loads(found.out)["task"] == "language_model"

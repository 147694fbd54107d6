import json
import shutil

import optuna
import pytest


@pytest.fixture
def two(copied):
    """A second sweep beside the first: the same trials under another name."""
    optuna.copy_study(from_study_name="tiny", from_storage=copied.url, to_storage=copied.url, to_study_name="other")
    shutil.copytree(copied.home / "tiny", copied.home / "other")
    return copied


def test_one_sweep(copied, sweep):
    answer = sweep("compare", "tiny")
    assert (answer.code, answer.err) == (0, "")
    heads = [line.split() for line in answer.out.splitlines() if line.strip()]
    assert heads[0] == ["sweep", "trials", "best", "trial", "median", "middle", "half", "epochs", "time"]
    assert max(len(line.rstrip()) for line in answer.out.splitlines()) <= 80
    assert heads[1][:3] == ["tiny", "4", "complete"]
    assert heads[2] == ["trial", "state", "val/loss", "epoch", "time", "hidden_size", "learning_rate"]
    values = [float(row[3 if row[0] == "base" else 2]) for row in heads[3:]]
    assert len(values) == 5, "the base's, too"
    assert values == sorted(values)


def test_two_sweeps_by_name_and_spec(two, sweep):
    document = json.loads(sweep("compare", "tiny.yaml", "other", "tiny", "--json").out)
    assert {row["sweep"] for row in document["sweeps"]} == {"tiny", "other"}
    assert len({json.dumps({**row, "sweep": ""}) for row in document["sweeps"]}) == 1
    told = sweep("compare", "tiny", "other", "--trials", "3").out
    assert told.splitlines()[-1] == "… and 7 more (--trials 0 shows all)"
    assert "more" not in sweep("compare", "tiny", "other", "--trials", "0").out


def test_wrong_words(copied, sweep):
    assert sweep("compare").err == "Missing argument 'NAME|SPEC...'. (try: sweep compare --help)\n"
    assert "did you mean tiny?" in sweep("compare", "tiny", "tinny").err
    for number in ("-3", "x"):
        answer = sweep("compare", "tiny", "--trials", number)
        assert (answer.code, answer.out) == (2, "")
        assert "Invalid value for '--trials'" in answer.err

"""Failed trials are run again in their own place; no configuration is tried twice. Both judges look at each end."""

import json
import re
import shutil
from pathlib import Path

import pytest
from audit import audit

FAILS = 1


@pytest.fixture
def failed(stage, one_failed):
    """A sweep that has ended, of which a trial failed: its folder, and the command line without Ray."""
    return stage(one_failed)[:2]


@pytest.fixture
def retried(stage, one_failed):
    """The same sweep after the trial was run again; also the trials as they were before."""

    def run_again(folder, sweep):
        before = trials_of(sweep)
        answer = sweep("retry", "tiny", "--failed", "--json")
        assert answer.code == 0, answer.err
        return before

    return stage(run_again, after=one_failed)


@pytest.fixture
def one_failed(tiny):
    """Runs the sweep of which a trial fails."""

    def one_failed(folder, sweep):
        (folder / "tiny.yaml").write_text(quick(tiny.spec))
        answer = sweep("run", "tiny.yaml", fails=(FAILS,))
        assert answer.code == 0, answer.err

    return one_failed


def quick(spec):
    return re.sub(r"batch_size: \d+", "batch_size: 32", spec).replace("n_trials: 4", "n_trials: 2")


def judge(sweep, folder):
    answer = sweep("verify", "tiny")
    assert answer.code == 0, answer.out
    assert audit(folder / "runs", "tiny") == []


def trials_of(sweep):
    return {row["trial"]: row for row in json.loads(sweep("compare", "tiny", "--json", "--trials", "0").out)["trials"]}


def test_what_has_not_failed_is_not_retried(failed):
    folder, sweep = failed
    assert trials_of(sweep)[FAILS]["state"] == "FAIL"
    judge(sweep, folder)
    for wrong, named in {
        ("7",): ["tiny: ", "trial 7", "1: 1"],
        ("2",): ["tiny: ", "trial 2", "COMPLETE", "1: 1"],
        (): ["--failed"],
        ("--failed", "1"): ["--failed"],
    }.items():
        answer = sweep("retry", "tiny", *wrong)
        assert (answer.code, answer.out) == (2, ""), wrong
        assert [part for part in named if part not in answer.err] == []


def test_a_failed_trial_is_run_again_in_its_place(retried):
    folder, sweep, before = retried
    after = trials_of(sweep)
    assert after.keys() == {0, 2, 3}, "the one that failed no longer counts"
    assert after[3]["parameters"] == before[FAILS]["parameters"]
    assert after[3]["state"] == "COMPLETE"
    assert json.loads(sweep("status", "tiny", "--json").out)["done"] == 2
    again = sweep("retry", "tiny", FAILS)
    assert again.code == 2, "it was retried already"
    assert [part for part in (f"trial {FAILS}", "trial 3", "`sweep run tiny`") if part not in again.err] == []
    none = sweep("retry", "tiny", "--failed", "--json")
    assert (none.code, "no trial has failed" in none.err) == (0, True)
    assert "nothing was left to do" in json.loads(none.out)["message"]
    assert sweep("run", "tiny.yaml", "--set", "search.n_trials=3").code == 0
    assert trials_of(sweep).keys() == {0, 2, 3, 4}
    assert sweep("rebuild", "tiny").code == 0
    judge(sweep, folder)


def test_a_lost_study_is_restored_with_what_was_retried(retried):
    folder, sweep, _ = retried
    before = trials_of(sweep)
    (folder / "runs" / "study.db").unlink()
    assert sweep("rebuild", "tiny", "--study").code == 0
    assert trials_of(sweep) == before
    assert sweep("run", "tiny.yaml").code == 0
    judge(sweep, folder)


FEW = """\
  n_trials: 8
  space:
    model.hidden_size: {type: int, low: 3, high: 4}
"""


def test_where_nothing_new_is_left_to_try_the_sweep_is_complete(near_sweep, folder, tiny):
    sweep = near_sweep
    start = tiny.spec.index("  n_trials: 4")
    sampler = "  sampler: {type: random, seed: 3}\n"
    (folder / "tiny.yaml").write_text(quick(tiny.spec[:start]) + sampler + FEW)
    plan = json.loads(sweep("plan", "tiny.yaml", "--json").out)
    assert plan["combinations"] == 2
    assert any(note["path"] == "search.n_trials" and note["values"]["combinations"] == 2 for note in plan["warnings"])
    answer = sweep("run", "tiny.yaml", "--json")
    assert answer.code == 0, answer.err
    assert " 2 combinations" in f" {json.loads(answer.out)['message']}"
    trials = {number: row for number, row in trials_of(sweep).items() if not row["is_base"]}
    assert len(trials) == len({json.dumps(row["parameters"]) for row in trials.values()}) == 2
    status = json.loads(sweep("status", "tiny", "--json").out)
    assert (status["complete"], status["done"]) == (True, 2)
    again = sweep("run", "tiny.yaml", "--json")
    assert (again.code, "nothing was left to do" in json.loads(again.out)["message"]) == (0, True)
    judge(sweep, folder)


def test_a_retry_takes_the_file_from_elsewhere(near_sweep, folder, tiny):
    shutil.copy(Path(__file__).parents[1] / "cells" / "mean.py", folder)
    (folder / "tiny.yaml").write_text(quick(tiny.spec).replace("model: {", "model: {cell: mean.py:Mean, "))
    assert near_sweep("run", "tiny.yaml", fails=(1,)).code == 0
    (folder / "mean.py").rename(folder / "moved.py")
    refused = near_sweep("retry", "tiny", 1)
    assert (refused.code, refused.out, "mean.py" in refused.err) == (2, "", True)
    answer = near_sweep("retry", "tiny", 1, "--code", "moved.py")
    assert answer.code == 0, answer.err

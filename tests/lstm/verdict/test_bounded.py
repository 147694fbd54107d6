import signal
import subprocess
import sys

import numpy as np
import pytest

from lstm.judging.items import PARTS
from lstm.tasks.registry import TASKS
from lstm.verdict import bounded, fitting


def test_a_process_of_its_own_comes_to_the_same(cases):
    data, config = cases["characters"]
    here, there = fitting.run("n-grams", data, config), fitting.run("n-grams", data, config, budget_s=60)
    assert there.fitted.settings == here.fitted.settings
    for part in PARTS:
        mine, theirs = here.judgements[part].items, there.judgements[part].items
        np.testing.assert_array_equal(mine.errors["loss"], theirs.errors["loss"])


def test_a_rival_that_is_over_its_budget_is_left_out_with_the_budget(trial_config, series_of, walk):
    config = trial_config({"lookback": 400, "horizon": 50})
    found = fitting.run("ridge", series_of(config.data, walk(200_000)), config, budget_s=1)
    assert found.fitted is None
    assert "1 s" in found.why


def test_the_system_ends_a_process_that_is_over():
    code = "from lstm.verdict import bounded; bounded.bound(0.5)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGXCPU


def test_data_that_are_too_large_are_not_handed_over(cases, monkeypatch):
    monkeypatch.setattr(bounded, "MOST_BYTES", 10)
    found = fitting.run("n-grams", *cases["characters"], budget_s=60)
    assert found.fitted is None
    assert "too large" in found.why


def test_a_process_that_dies_is_told_with_its_last_words(cases, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    found = fitting.run("n-grams", *cases["characters"], budget_s=60)
    assert found.fitted is None
    assert "RuntimeError" in found.why
    assert "ended with 1" in found.why


@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if any(each.needs for each in task.rivals())])
def test_what_is_not_installed_is_named_with_the_way_to_it(cases, task, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    extra = [each.name for each in TASKS[task].rivals() if each.needs]
    found = list(fitting.run_some(extra, *cases[task], 1e6))
    assert [each.name for each in found] == extra
    for each in found:
        assert each.fitted is None
        assert each.why.endswith(f"pip install {' '.join(TASKS[task].rival(each.name).needs)}")


def test_what_there_is_no_time_for_is_named(cases, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    extra = [each.name for each in TASKS["forecast"].rivals() if each.needs]
    found = list(fitting.run_some(extra, *cases["forecast"], 0.5))
    assert [each.name for each in found] == extra
    assert all(each.fitted is None and "0.5 s" in each.why for each in found)

"""Two objectives: every trial is probed at its end, and what is found is the Pareto front, wherever one looks."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from audit import audit

from lstm import checkpoint

SECOND = """\
  n_trials: 3
  second_objective: {metric: probe/reliability/noise, direction: minimize}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory, near, tiny):
    """A sweep of three trials with two objectives; its folder and the answer."""
    folder = tmp_path_factory.mktemp("front")
    (folder / "tiny.csv").write_text(tiny.data)
    text = tiny.spec.replace("  n_trials: 4\n", SECOND).replace("search:", "probe: {every_trial: true}\nsearch:")
    text = re.sub(r"batch_size: \d+", "batch_size: 32", text)
    (folder / "tiny.yaml").write_text(text)
    return folder, near("run", "tiny.yaml", cwd=folder, drawn=True)


def dominates(one, other):
    """Whether a trial is better than another in one objective and no worse in both."""
    pairs = [(one[name], other[name]) for name in ("value", "second")]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def in_mlflow(home, metric):
    """A metric's value by trial, as MLflow has it."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        found = database.execute(
            "SELECT tags.value, latest_metrics.value FROM latest_metrics JOIN tags USING (run_uuid) "
            "WHERE latest_metrics.key = ? AND tags.key = 'sweep.trial'",
            (metric,),
        )
        return {int(number): value for number, value in found}


def test_the_front_is_what_no_trial_is_better_than(swept, sweep):
    folder, last = swept
    assert last.code == 0
    best = json.loads(sweep("best", "tiny", "--home", folder / "runs", "--json").out)
    assert best["second_objective"] == {"metric": "probe/reliability/noise", "direction": "minimize"}
    trials = json.loads(sweep("compare", "tiny", "--home", folder / "runs", "--json").out)["trials"]
    trials = [trial for trial in trials if not trial["is_base"]]
    assert len(trials) == 3
    noise = in_mlflow(folder / "runs", "probe/reliability/noise")
    both = [{"trial": t["trial"], "value": t["value"], "second": noise[t["trial"]]} for t in trials]
    wanted = {each["trial"] for each in both if not any(dominates(other, each) for other in both)}
    assert {each["trial"] for each in best["front"]} == wanted
    known = {each["trial"]: each for each in both}
    assert all(each["second"] == known[each["trial"]]["second"] for each in best["front"])
    shown = sweep("best", "tiny", "--home", folder / "runs").out
    assert ("Pareto front" in shown) == (len(wanted) > 1)


def test_every_member_of_the_front_stands_beside_the_base_by_both(swept, sweep):
    home = swept[0] / "runs"
    found = json.loads(sweep("best", "tiny", "--home", home, "--json").out)
    rows = {row["trial"]: row for row in found["verdict"]["rows"] if row["role"] in ("network", "front")}
    assert rows.keys() == {trial["trial"] for trial in found["front"]}
    for member in found["front"]:
        row = rows[member["trial"]]
        assert row["validation"] == pytest.approx(member["value"], rel=1e-4)
        assert row["second"] == member["second"]
        value, second = row["beside_base"]
        assert second["value"] == pytest.approx(100 * (1 - member["second"] / found["base"]["second"]))
        if row["why"]:
            assert value["value"] == pytest.approx(100 * (1 - member["value"] / found["base"]["value"]))
    page = (home / "tiny" / "report.html").read_text()
    for text in (sweep("best", "tiny", "--home", home).out, page):
        assert "compared with the base" in text


def test_the_report_shows_the_front_and_the_best_trials_probe(swept):
    folder, _ = swept
    page = Path(folder, "runs", "tiny", "report.html").read_text()
    for word in ("The Pareto front", "What the network is like", "probe/reliability/noise"):
        assert word in page
    assert page.count("Plotly.newPlot") >= 9  # the probe's pictures among them


@pytest.fixture
def without_weights(swept, tmp_path):
    """A trial's number, its weights and page gone until the test has ended."""
    folder = swept[0] / "runs" / "tiny"
    number = 0
    (folder / f"probe-{number:04d}.html").unlink(missing_ok=True)
    (trial,) = folder.glob(f"*/trial-{number:04d}")
    shutil.copytree(trial, tmp_path / "kept")
    checkpoint.strip(str(trial), checkpoint.load(str(trial)))
    yield number
    shutil.rmtree(trial)
    shutil.copytree(tmp_path / "kept", trial)


def test_what_was_probed_is_told_where_its_weights_are_gone(swept, sweep, without_weights):
    home, other = swept[0] / "runs", without_weights
    answer = sweep("probe", "tiny", "--home", home, "--trial", other, "--json")
    assert answer.code == 0
    assert f"--trial {other}: " in answer.err
    assert "(storage.keep, or `sweep clean`)" in answer.err
    assert answer.err.count("\n") == 1
    found = json.loads(answer.out)
    assert found["page"] is None
    assert found["numbers"]["reliability/noise"] > 0


def test_all_records_agree_and_can_be_made_again(swept, sweep):
    folder, _ = swept
    home = folder / "runs"
    assert audit(home, "tiny") == []
    assert sweep("verify", "tiny", "--home", home).code == 0
    assert sweep("rebuild", "tiny", "--home", home).code == 0
    assert sweep("verify", "tiny", "--home", home).code == 0
    assert audit(home, "tiny") == []

"""Wrong specs and uses of backtest, folds, confirm, refit and extend: a code, the way out, exit 2, nothing written.

Each is told under a code of its own, so a code that is counted here is a fault that is told apart from the others.
"""

import json
import shutil
from functools import partial

import inside
import moving
import numpy as np
import pandas as pd
import pytest

from cluster.study import stored
from cluster.study.lease import Lease
from cluster.study.study import Study
from cluster.trials import refits
from experiments import lookup
from experiments.home import Home
from experiments.planning import make
from lstm.records.state import Derived

SPLIT = "split: {validation: 0.2, test: 0.2}"
SERIES = f"""\
name: tiny
data: {{path: tiny.csv, time: day, target: load, lookback: 14, horizon: 7, {SPLIT}}}
search: {{n_trials: 3, space: {{training.learning_rate: {{type: float, low: 1e-3, high: 1e-1, log: true}}}}}}
"""
CLASSES = """\
name: tiny
task: classify
data: {path: kinds.csv, id: id, columns: [x], label: kind, split: {test: 0.2}, backtest: {folds: 3}}
"""
TEXT = """\
name: tiny
task: language_model
data: {path: tiny.txt, lookback: 6, split: {validation: 0.3, test: 0.3}, backtest: {windows: 3, length: 20}}
"""
SUM = """\
name: tiny
task: memory
data: {problem: adding, length: 20, sizes: {train: 20, validation: 20, test: 20}, backtest: {windows: 3}}
"""


def with_backtest(text):
    return SERIES.replace(SPLIT, f"{SPLIT}, backtest: {text}")


def with_search(text):
    return SERIES.replace("n_trials: 3", f"n_trials: 3, {text}")


# By the code that is told: a spec.
SPECS = {
    "windows-do-not-fit": with_backtest("{windows: 4, length: 30}"),
    "windows-too-short": with_backtest("{windows: 20}"),
    "window-shorter-than-horizon": with_backtest("{windows: 2, length: 6}"),
    "out-of-bounds": with_backtest("{windows: 1}"),
    "unknown-field": with_backtest("{folds: 3}"),
    "class-smaller-than-folds": CLASSES.replace("folds: 3", "folds: 9"),
    "validation-beside-folds": CLASSES.replace("test: 0.2", "validation: 0.2, test: 0.2"),
    "field-missing": CLASSES.replace("{folds: 3}", "{}"),
    "backtest-of-generated-data": SUM,
    "no-fresh-windows": with_search("confirm: {windows: fresh}"),
    "confirm-more-than-trials": with_search("confirm: {top: 4}"),
    "not-one-of": with_search("confirm: {windows: new}"),
    "wrong-type": with_backtest("{windows: many}"),
}


def put(folder, tiny, rows=300):
    (folder / "tiny.yaml").write_text(tiny.spec)
    (folder / "tiny.csv").write_text(tiny.rows(rows))


@pytest.mark.parametrize("code", SPECS)
def test_a_wrong_spec(folder, tiny, sweep, code):
    put(folder, tiny)
    (folder / "tiny.yaml").write_text(SPECS[code])
    draw = np.random.default_rng(3)
    (folder / "tiny.txt").write_text("".join(draw.choice(list("ab a\n"), 800)))
    rows = [(n, f"{draw.normal(n % 3, 1):.3f}", n % 3) for n in range(30) for _ in range(3)]
    pd.DataFrame(rows, columns=["id", "x", "kind"]).to_csv(folder / "kinds.csv", index=False)
    check(sweep, folder, code, ("plan", "tiny.yaml"))
    assert not (folder / "runs").exists()


def url(folder):
    return f"sqlite:///{folder / 'runs' / 'study.db'}"


def nothing(folder, tiny):
    pass


def unended(folder, tiny):
    stored.remember(url(folder), "tiny", complete=False, n_trials=9)


def newer_rows(folder, tiny, old=lambda text: text):
    (folder / "tiny.csv").write_text(old(tiny.rows(330)))


def without_data(folder, tiny):
    (folder / "tiny.csv").unlink()


def fitted(folder, tiny):
    """A refit that was begun and killed: trial 5."""
    found = {"epochs": 2, "seeds": 2, "until": None, "data": "", "unit": "rows", "count": 300, "new": 0}
    derived = Derived(1, "refit", fitted=found | {"first": "", "last": ""})
    home = Home.at("runs")
    order = make(lookup.spec("tiny.yaml", home), home).order
    assert refits.begin(Study(url(folder), "tiny", order.search, order.base), derived) == FITTED


FITTED = 5
# By the code that is told: what is done to the finished sweep before, and the words.
USES = {
    "confirm-more-than-there-is": (nothing, "confirm tiny.yaml --top 99"),
    "no-fresh-windows": (nothing, "confirm tiny.yaml --windows fresh"),
    "confirm-before-end": (unended, "confirm tiny.yaml"),
    "refit-before-end": (unended, "refit tiny.yaml"),
    "no-trial-to-refit": (nothing, "refit tiny.yaml --trial 99"),
    "refit-of-derived-trial": (fitted, f"refit tiny.yaml --trial {FITTED}"),
    "refit-being-made": (fitted, "refit tiny.yaml --trial 2"),
    "until-not-a-time": (nothing, "refit tiny.yaml --until soon"),
    "until-outside-data": (nothing, "refit tiny.yaml --until 2030-01-01"),
    "until-too-early": (nothing, "refit tiny.yaml --until 2020-01-09"),
    "old-rows-changed": (partial(newer_rows, old=lambda text: text.replace("-02,", "-02,9")), "refit tiny.yaml"),
    "no-such-file": (without_data, "refit tiny.yaml"),
    "warm-without-new-rows": (nothing, "refit tiny.yaml --warm"),
    "warm-from-one-seed": (newer_rows, "refit tiny.yaml --warm --seeds 3"),
    "no-trial-to-extend": (nothing, "extend tiny.yaml 99 --epochs 9"),
    "epochs-not-beyond": (nothing, "extend tiny.yaml 1 --epochs 1"),
    "extend-before-end": (fitted, f"extend tiny.yaml {FITTED} --epochs 9"),
    "sweep-trained-otherwise": (nothing, "run tiny.yaml --set data.backtest.windows=2"),
    "model-without-trial": (nothing, "predict tiny --trial 1 --model ridge"),
}


@pytest.fixture
def used(finished, folder, tiny):
    """The finished sweep in a folder of one's own, in which this process is."""
    shutil.copytree(finished.home, folder / "runs")
    moving.readdress(folder / "runs", finished.home)
    put(folder, tiny)
    inside.forget()
    return folder


@pytest.mark.parametrize("code", USES)
def test_a_wrong_use(used, tiny, sweep, code):
    before, words = USES[code]
    before(used, tiny)
    check(sweep, used, code, words.split())


def test_a_second_refit_at_the_same_time(used, sweep):
    before = files(used)
    with Lease(url(used), "tiny", lost=lambda _: None, stop=lambda: None):
        answer = sweep("refit", "tiny")
    assert (answer.code, "driver" in answer.err, "Traceback" in answer.err) == (3, True, False)
    assert {path: each for path, each in files(used).items() if path.name != "study.db"} == {
        path: each for path, each in before.items() if path.name != "study.db"
    }


def test_they_are_twenty_or_more():
    assert len(SPECS.keys() | USES.keys()) >= 20


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(sweep, folder, code, words):
    """The words are refused with one error, which says the way out, and nothing is written."""
    before = files(folder)
    answer = sweep(*words, "--json")
    assert answer.code == 2, answer.err
    assert files(folder) == before
    errors = json.loads(answer.out)["errors"]
    assert errors[0]["code"] == code, errors
    assert any(each["mend"] for each in errors)
    assert "Traceback" not in answer.err

"""Sweeps that can't be confirmed, and specs with a wrong `search.confirm`: each is refused, and nothing is written."""

import pytest
from confirmed import QUIET, ROWS, SPEC

from cluster.study import stored


def write(folder, tiny, spec):
    (folder / "tiny.yaml").write_text(spec)
    (folder / "tiny.csv").write_text(tiny.rows(ROWS))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (QUIET.replace("n_trials: 3", "n_trials: 3\n  stop: {max_hours: 1e-7}"), "has not ended: 0 of 3 trials have"),
        pytest.param(
            QUIET[: QUIET.index("search:")],
            "searches nothing, so there are no best settings to confirm",
            marks=pytest.mark.faults,
        ),
    ],
    ids=["unended", "unsearched"],
)
def test_a_sweep_that_can_not_be_confirmed_is_refused(tmp_path, near, tiny, spec, told):
    write(tmp_path, tiny, spec)
    assert near("run", "tiny.yaml", cwd=tmp_path).code == 0
    done = near("confirm", "tiny", cwd=tmp_path)
    assert (done.code, told in done.err) == (2, True), done.err
    swept = stored.read(f"sqlite:///{tmp_path / 'runs' / 'study.db'}", "tiny")
    assert swept.confirming == ()


SPECS = {
    "windows that are not there": ("fresh: true}", "fresh: false}", "confirm: {", "confirm: {windows: fresh, "),
    "more settings than trials": ("top: 2", "top: 4", "", ""),
    "no seed": ("seeds: 2", "seeds: 0", "", ""),
    "fresh windows that do not fit": ("length: 16", "length: 17", "", ""),
    "fresh windows too short": ("windows: 2, length: 16", "windows: 5", "", ""),
    "other windows": ("top: 2", "top: 2, windows: new", "", ""),
    "another field": ("top: 2", "best: 2", "", ""),
}
TOLD = {
    "windows that are not there": "search.confirm.windows: can't be fresh: no windows are set aside; set data.backtest",
    "more settings than trials": "search.confirm.top: is 4, but the search has only n_trials: 3; use 3 or less",
    "no seed": "search.confirm.seeds: is 0; make it at least 1",
    "fresh windows that do not fit": "4 windows of 17 steps (2 of them set aside) are 68 steps",
    "fresh windows too short": "give at most 4 windows, or leave fresh out",
    "other windows": 'search.confirm.windows: is "new"',
    "another field": "search.confirm.best: is no field of this section",
}


@pytest.mark.parametrize("name", SPECS)
def test_a_wrong_spec_is_refused_and_nothing_is_written(folder, tiny, sweep, name):
    one, other, two, another = SPECS[name]
    spec = SPEC.replace(one, other)
    write(folder, tiny, spec.replace(two, another) if two else spec)
    done = sweep("run", "tiny.yaml")
    assert done.code == 2
    assert TOLD[name] in done.err
    assert not (folder / "runs").exists()

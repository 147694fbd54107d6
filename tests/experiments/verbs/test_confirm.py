"""`sweep confirm` on a sweep of which a trial of confirm fails, and one that is stopped and goes on."""

import pytest
from audit import audit

from cluster.study import stored

NUMBERS = ("--top", "1", "--seeds", "2")


@pytest.fixture
def ended(stage, tiny):
    """A sweep that has ended: its folder, and the command line without Ray."""

    def of_ended(folder, sweep):
        (folder / "tiny.yaml").write_text(tiny.spec.replace("n_trials: 4", "n_trials: 2"))
        assert sweep("run", "tiny.yaml").code == 0

    return stage(of_ended)[:2]


def studied(folder):
    return stored.read(f"sqlite:///{folder / 'runs' / 'study.db'}", "tiny")


@pytest.mark.faults
def test_a_trial_of_confirm_that_failed_is_run_again(ended):
    folder, sweep = ended
    first = len(studied(folder).trials)
    assert sweep("confirm", "tiny", *NUMBERS, fails=(first, first + 1)).code == 0
    assert [t.state for t in studied(folder).confirming] == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert studied(folder).confirmation.settings[0].errors == ((None,), (None,))
    assert "nothing was left to do" in sweep("run", "tiny").out, "by itself it does not try again"
    retried = sweep("retry", "tiny", first)
    assert retried.code == 0, retried.err
    assert sweep("confirm", "tiny", *NUMBERS).code == 0
    assert [t.state for t in studied(folder).confirming][4:] == ["COMPLETE", "COMPLETE"]
    found = studied(folder).confirmation
    assert [None not in row for row in found.settings[0].errors] == [True, True]
    assert found.settings[0].trials == (first + 4, first + 5)
    assert "was retried already" in sweep("retry", "tiny", first).err
    assert sweep("verify", "tiny").code == 0
    assert audit(folder / "runs", "tiny") == []


@pytest.mark.faults
def test_more_trials_go_on_and_their_best_are_confirmed_when_they_have_ended(ended):
    folder, sweep = ended
    wanted = ("--set", "search.confirm={top: 1, seeds: 1}")
    assert sweep("run", "tiny", *wanted).code == 0
    before = studied(folder).confirmation
    stopped = sweep("run", "tiny", *wanted, "--set", "search.n_trials=5", "--set", "search.stop.max_hours=1e-7")
    assert stopped.code == 0
    assert studied(folder).confirmation == before
    assert "has not ended" in sweep("confirm", "tiny").err
    # By its name, a sweep goes on as it was last run: with that limit, too.
    assert sweep("run", "tiny", *wanted, "--set", "search.stop.max_hours=null").code == 0
    swept = studied(folder)
    assert swept.completed == 5
    assert swept.best.number in {each.number for each in swept.confirmation.settings}
    assert swept.confirmation.open == 0
    assert audit(folder / "runs", "tiny") == []

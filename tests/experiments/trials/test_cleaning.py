"""What `sweep clean` frees, what it keeps, and that neither a kill nor another driver makes it do harm."""

import hashlib
import json

import pytest
from audit import audit

from cluster.study import lease, stored
from experiments import SpecError, SweepError, load
from experiments.trials import cleaning
from lstm import ownership
from lstm.records.objective import Objective
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.storage import files


def studied(home):
    return stored.read(f"sqlite:///{home / 'study.db'}", "tiny")


def digests(folder):
    """The files below a folder, by their path, but for the logs of SQLite."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def size(home):
    return sum(path.stat().st_size for path in (home / "tiny").glob("*/trial-*/*"))


def with_weights(home):
    """The trials whose checkpoint has weights."""
    swept = studied(home)
    found = {trial.number: ownership.load_trial(swept, trial) for trial in swept.trials}
    return {number for number, each in found.items() if each and each.state.best_weights}


def judge(sweep, home):
    answer = sweep("verify", "tiny", "--home", home)
    assert answer.code == 0, answer.out
    assert audit(home, "tiny") == []


def test_all_but_the_best_and_the_base_are_freed_and_nothing_is_wrong_then(home, folder, sweep, near):
    swept = studied(home)
    best, base = swept.best.number, swept.base.number
    assert with_weights(home) == {trial.number for trial in swept.trials}
    before, was = digests(home), size(home)
    told = json.loads(sweep("clean", "tiny", "--keep", "best", "--dry-run", "--json").out)
    assert digests(home) == before
    assert {each["trial"] for each in told["freed"]} == with_weights(home) - {best, base}
    assert told["kept"] == [{"trial": base, "why": "the base"}, {"trial": best, "why": "the best"}]
    dry = sweep("clean", "tiny", "--keep", "best", "--dry-run")
    assert f"{told['bytes'] / 1e6:.3g} MB" in dry.out
    assert (dry.code, dry.err, digests(home)) == (0, "", before)

    answer = sweep("clean", "tiny", "--keep", "best")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.replace("frees", "would free").startswith(dry.out)
    assert answer.out.splitlines()[-1].startswith("tiny: freed ")
    assert size(home) == was - told["bytes"]
    assert with_weights(home) == {best, base}
    kept = {path: digest for path, digest in before.items() if path.startswith(("artifacts", "mlflow.db"))}
    assert kept.items() <= digests(home).items(), "what MLflow holds stays"
    assert studied(home).facts == swept.facts
    judge(sweep, home)
    again = sweep("clean", "tiny", "--keep", "best")
    assert "nothing is freed" in again.out
    assert sweep("predict", "tiny").code == 0
    freed = told["freed"][0]["trial"]
    refused = sweep("predict", "tiny", "--trial", freed)
    assert (refused.code, refused.out) == (2, "")
    assert "the weights of the trial were removed" in refused.err
    answer = near("run", "tiny", cwd=folder)
    assert "nothing was left to do" in answer.out
    # Curves are in the histories, which stay: MLflow can be written again.
    assert near("rebuild", "tiny", cwd=folder).code == 0
    judge(sweep, home)


@pytest.mark.parametrize("step", ["remove", pytest.param("put", marks=pytest.mark.faults)])
def test_a_killed_clean_is_finished_by_the_next(home, folder, sweep, monkeypatch, step):
    def killed(*arguments):
        if "trial-" in arguments[0]:
            count.append(1)
        if len(count) == 2:
            raise SystemExit(9)
        real(*arguments)

    count, real = [], getattr(files, step)
    monkeypatch.setattr(files, step, killed)
    assert sweep("clean", "tiny", "--keep", "best").code == 9
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    swept = studied(home)
    assert with_weights(home) >= {swept.best.number, swept.base.number}
    assert sweep("clean", "tiny", "--keep", "best").code == 0
    assert with_weights(home) == {swept.best.number, swept.base.number}
    assert {len(list(place.iterdir())) for place in (home / "tiny").glob("*/trial-*")} <= {1, 2}
    judge(sweep, home)


def test_a_sweep_that_is_driven_is_refused(home, folder, sweep):
    before = with_weights(home)
    with lease.Lease(f"sqlite:///{home / 'study.db'}", "tiny", lost=print, stop=print):
        for more in ([], ["--dry-run"]):
            answer = sweep("clean", "tiny", "--keep", "best", *more)
            assert (answer.code, answer.out) == (3, "")
        with pytest.raises(SweepError) as error:
            load("tiny").clean("best")
        assert error.value.code == 3
    assert with_weights(home) == before


def test_from_python(home, folder):
    planned = load("tiny").clean("top:2", dry_run=True)
    assert planned.bytes > 0
    assert load("tiny").clean("top:2") == planned
    assert with_weights(home) == {t.number for t in studied(home).leaders(2)} | {studied(home).base.number}
    assert load("tiny").clean("top:2").freed == {}


@pytest.mark.parametrize("keep", ["all", "worst", "top:0", "top:x", "top:", "top:5\n", ""])
def test_what_names_no_trials_is_refused(home, folder, sweep, keep):
    answer = sweep("clean", "tiny", "--keep", keep)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("--keep: ")
    with pytest.raises(SpecError, match="top:5"):
        load("tiny").clean(keep)


def test_damaged_checkpoints_and_those_of_another_study_stay_as_they_are(home, folder, sweep):
    swept = studied(home)
    spare = [t for t in swept.trials if t.number not in (swept.best.number, swept.base.number)]
    place = next((home / "tiny").glob(f"*/trial-{spare[0].number:04d}"))
    newest = sorted(place.iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    before = digests(place)
    answer = sweep("clean", "tiny", "--keep", "best")
    assert (answer.code, digests(place)) == (0, before)
    assert str(newest) in answer.err
    assert with_weights(home) == {swept.best.number, swept.base.number, spare[0].number}

    mark = place.parent / ownership.MARK
    mark.write_text(mark.read_text().replace(swept.facts["id"], "0" * 32))
    before = digests(home / "tiny")
    answer = sweep("clean", "tiny", "--keep", "best")
    assert (answer.code, answer.out) == (2, "")
    assert digests(home / "tiny") == before


def made(number, value=None, state="COMPLETE", **more):
    checkpoint = f"kept/trial-{number:04d}"
    return Trial(number, state, value, {}, {"n": number}, ((1, value or 0.0),), checkpoint=checkpoint, **more)


def test_what_is_kept_and_why():
    trials = (
        made(0, 0.5, is_base=True, derived=Derived(None, "base")),
        *(made(number, number / 10) for number in (1, 2, 3, 4)),
        made(5, state="RUNNING"),
        made(6, 0.01, derived=Derived(3, "extend", {"training.max_epochs": 9}, 4)),
        made(7, state="WAITING", derived=Derived(4, "extend", {"training.max_epochs": 9}, 4)),
        made(8, None, derived=Derived(1, "refit", fitted={"epochs": 3, "seeds": 1})),
        made(9, state="FAIL"),
        made(10, 0.2, derived=Derived(1, "confirm", {"training.seed": 7})),
    )
    swept = Sweep("a", "val/loss", "minimize", 8, trials)
    assert cleaning.kept_by(swept, 1) == {
        1: "the best",
        0: "the base",
        4: "trial 7 extends it",
        5: "has not ended",
        6: "an extension",
        7: "has not ended",
        8: "a refit",
    }
    assert cleaning.kept_by(swept, 2).keys() == {0, 1, 2, 4, 5, 6, 7, 8}


def test_the_front_is_kept():
    trials = tuple(made(number, number / 10, second=second) for number, second in enumerate((-1, -2, -3, 0), 1))
    swept = Sweep("a", "val/loss", "minimize", 4, trials, second=Objective("probe/x", "minimize"))
    assert cleaning.kept_by(swept, 1) == {1: "the best", 2: "on the Pareto front", 3: "on the Pareto front"}

"""An ended trial goes on where it stopped, as a trial beside the search; both judges look at each end."""

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
import torch
import twin
from audit import audit

from cluster.study import lease, stored
from experiments import SpecError, load
from lstm import checkpoint
from lstm.config.trial import TrialConfig
from lstm.data.forecast import load as load_data
from lstm.records.epoch import Place
from lstm.records.state import Derived
from lstm.training import loop

PRUNED, BEST = 3, 4  # trials of `cosine`: one that ended after its first epoch, one that trained to its last
SEARCH = "  pruner: {type: successive_halving, min_resource: 1, reduction_factor: 2}\n  space:\n"


def quick(spec, training="", search=SEARCH, more=""):
    spec = spec.replace("max_epochs: 2", f"max_epochs: 4{training}")
    return spec.replace("  space:\n", search) + more


@pytest.fixture
def cosine(stage, tiny):
    """A sweep with a cosine, that keeps the best weights only: its folder, and the command line without Ray."""

    def of_cosine(folder, sweep):
        spec = quick(tiny.spec, ", schedule: cosine", more="storage: {keep: best}\n")
        (folder / "tiny.yaml").write_text(spec)
        answer = sweep("run", "tiny.yaml")
        assert answer.code == 0, answer.err

    return stage(of_cosine)[:2]


def judge(sweep, folder):
    answer = sweep("verify", "tiny")
    assert answer.code == 0, answer.out
    assert audit(folder / "runs", "tiny") == []


def compared(sweep):
    rows = json.loads(sweep("compare", "tiny", "--json", "--trials", "0").out)
    return {row["trial"]: row for row in rows["trials"]}, rows["sweeps"][0]


def studied(folder):
    return stored.read(f"sqlite:///{folder / 'runs' / 'study.db'}", "tiny")


def kept(folder, number):
    found = checkpoint.load(str(next((folder / "runs" / "tiny").glob(f"*/trial-{number:04d}"))))
    assert found is not None
    return found


def alone(folder, config, epochs):
    """The last epoch of a configuration that is trained at once."""
    for epoch in loop.train(config, load_data(config.data, folder / "tiny.csv")):
        if epoch.number == epochs:
            return epoch
    raise AssertionError(f"it ended before epoch {epochs}")


def same(found, epoch):
    """Whether a checkpoint is, to the bit, what a training has after an epoch; the times differ."""
    ours, theirs = found.state, epoch.state
    values = [[(e.number, e.value, e.metrics["lr"]) for e in state.history] for state in (ours, theirs)]
    pairs = [(ours.model[name], theirs.model[name]) for name in theirs.model]
    pairs += [(ours.best_weights[name], theirs.best_weights[name]) for name in theirs.best_weights]
    for one, two in zip(ours.optimizer["state"].values(), theirs.optimizer["state"].values(), strict=True):
        pairs += [(one[name], two[name]) for name in two]
    return values[0] == values[1] and all(torch.equal(one, two) for one, two in pairs)


def test_a_pruned_trial_goes_on_beside_the_search(cosine):
    folder, sweep = cosine
    trials, before = compared(sweep)
    assert (trials[PRUNED]["state"], trials[PRUNED]["epochs"]) == ("PRUNED", 1)
    best = json.loads(sweep("best", "tiny", "--json").out)
    answer = sweep("extend", "tiny", PRUNED, "--epochs", "4", "--json")
    assert answer.code == 0, answer.err
    assert "its weights were removed" in answer.err or "its weights were removed" in answer.out
    document = json.loads(answer.out)
    assert document["best"] == best["best"], "it is no trial of the search"
    [row] = document["extensions"]
    number = row["trial"]
    assert (row["extends"], row["from_epoch"], row["to_epoch"], row["state"]) == (PRUNED, 1, 4, "COMPLETE")
    judge(sweep, folder)

    after, now = compared(sweep)
    assert now == before, "neither its value nor its time counts in the sweep's row"
    assert (after[number]["extends"], after[number]["epochs"]) == (PRUNED, 4)
    assert f"{number} extends {PRUNED}" in sweep("compare", "tiny").out
    assert f"trial {number} extends trial {PRUNED} from epoch 1 to 4: complete" in sweep("status", "tiny").out
    assert f"trial {number} extends trial {PRUNED} from epoch 1 to 4: complete" in sweep("best", "tiny").out
    assert json.loads(sweep("status", "tiny", "--json").out)["done"] == 4

    config = TrialConfig.model_validate(studied(folder).trials[PRUNED].config)
    assert same(kept(folder, number), alone(folder, config, 4)), "stopped at 1, extended to 4: as trained to 4"
    assert sweep("predict", "tiny", "--trial", number).code == 0, "its weights are kept"
    tags = tags_of(folder, number)
    assert (tags["sweep.kind"], tags["sweep.parent"]) == ("extend", str(PRUNED))
    assert re.fullmatch("[0-9a-f]{16}", tags["sweep.config"])

    assert sweep("rebuild", "tiny").code == 0
    judge(sweep, folder)
    everything = {n: row for n, row in compared(sweep)[0].items() if n != PRUNED}  # its new training took another time
    (folder / "runs" / "study.db").unlink()
    assert sweep("rebuild", "tiny", "--study").code == 0
    assert studied(folder).trials[number].derived == Derived(PRUNED, "extend", {"training.max_epochs": 4}, 1)
    assert everything.items() <= compared(sweep)[0].items()
    assert sweep("run", "tiny").code == 0
    judge(sweep, folder)
    assert not kept(folder, PRUNED).state.model, "the trial that was trained again is freed again"


def tags_of(folder, number):
    """The tags of a trial's run. MLflow itself would keep the database open, also in this process's children."""
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as database:
        mine = "SELECT run_uuid FROM tags WHERE key = 'sweep.trial' AND value = ?"
        return dict(database.execute(f"SELECT key, value FROM tags WHERE run_uuid IN ({mine})", [str(number)]))


def test_a_lost_study_and_lost_runs_leave_what_the_checkpoints_say(cosine):
    folder, sweep = cosine
    assert sweep("extend", "tiny", BEST, "--epochs", "5", "--learning-rate", "1e-3").code == 0
    assert sweep("extend", "tiny", 5, "--epochs", "6").code == 0
    before = [(t.settings, t.config, t.derived) for t in studied(folder).extensions]
    assert [each[2].after for each in before] == [4, 5]
    assert before[0][0]["training.learning_rate"] == 1e-3
    for name in ("study.db", "mlflow.db"):
        (folder / "runs" / name).unlink()
    assert sweep("rebuild", "tiny", "--study").code == 0
    assert [(t.settings, t.config, t.derived) for t in studied(folder).extensions] == before
    assert studied(folder).facts["form"] == 4, "an earlier version would train them otherwise"


WRONG = {
    "no-trial-to-extend": (("44", "--epochs", "9"), ["trial 44", "0, 1, 2, 3, 4"]),
    "epochs-not-beyond": ((BEST, "--epochs", "4"), [f"trial {BEST} has 4 epochs"]),
    "schedule-has-ended": ((BEST, "--epochs", "5"), ["ends at epoch 4", "--learning-rate"]),
    "before-it-ends": ((PRUNED, "--epochs", "5"), ["ends at epoch 4", "--learning-rate", "--epochs 4 at most"]),
    "no-rate": ((BEST, "--epochs", "5", "--learning-rate", "0"), ["--learning-rate"]),
    "no-epochs": ((BEST,), ["--epochs"]),
    "no-number": (("best", "--epochs", "5"), ["TRIAL"]),
}


def test_what_can_not_be_extended_is_refused_and_nothing_is_written(cosine):
    folder, sweep = cosine
    before = {path: path.read_bytes() for path in (folder / "runs").rglob("*") if path.is_file()}
    for words, named in WRONG.values():
        answer = sweep("extend", "tiny", *words)
        assert (answer.code, answer.out) == (2, ""), words
        assert [part for part in named if part not in answer.err] == [], answer.err
        assert "Traceback" not in answer.err
    assert {path: path.read_bytes() for path in (folder / "runs").rglob("*") if path.is_file()} == before
    study = studied(folder)
    url = f"sqlite:///{folder / 'runs' / 'study.db'}"
    with lease.Lease(url, "tiny", lost=lambda _: None, stop=lambda: None):
        assert sweep("extend", "tiny", PRUNED, "--epochs", "4").code == 3
    assert studied(folder).trials == study.trials


@pytest.fixture
def failing(stage, tiny):
    """A sweep of which a trial failed and one diverged, and that waits for more."""

    def of_failing(folder, sweep):
        text = quick(tiny.spec, ", target_loss: 100", search="  space:\n").replace("n_trials: 4", "n_trials: 3")
        (folder / "tiny.yaml").write_text(text.replace("hidden_size: 5", "hidden_size: 6"))
        assert sweep("run", "tiny.yaml", fails=(2,)).code == 0

    return stage(of_failing)[:2]


@pytest.mark.faults  # that it is refused, `test_what_can_not_be_extended_is_refused...` holds for the other states
def test_a_failed_trial_is_retried_and_not_extended(failing):
    folder, sweep = failing
    answer = sweep("extend", "tiny", "2", "--epochs", "9")
    assert answer.code == 2
    assert "`sweep retry tiny 2`" in answer.err
    failed = sweep("extend", "tiny", "1", "--epochs", "6", fails=(4,))
    assert failed.code == 0, failed.err
    [extension] = studied(folder).extensions
    assert (extension.number, extension.state) == (4, "FAIL")
    again = sweep("retry", "tiny", "4")
    assert again.code == 2
    assert "`sweep extend tiny 1 --epochs 6`" in again.err
    assert "extend trial 1 again" in sweep("extend", "tiny", "4", "--epochs", "9").err
    assert sweep("extend", "tiny", "1", "--epochs", "6").code == 0, "its extension has failed, so another is made"
    assert [t.state for t in studied(folder).extensions] == ["FAIL", "COMPLETE"]
    made = sweep("extend", "tiny", "1", "--epochs", "6")
    assert (made.code, "extend trial 5 to go further" in made.err) == (2, True)
    judge(sweep, folder)


def test_a_rule_that_has_stopped_a_trial_does_not_stop_its_extension(failing):
    folder, sweep = failing
    assert (studied(folder).trials[1].reason, len(studied(folder).trials[1].curve)) == ("target_loss", 1)
    answer = sweep("extend", "tiny", "1", "--epochs", "6")
    assert answer.code == 0, answer.err
    assert "training.target_loss: 100 has stopped it at epoch 1" in answer.err
    assert len(studied(folder).extensions[0].curve) == 6


def killed_at(points, folder):
    """Kill the driver of an extension at some of its durable steps, each in turn; the next driver goes on with it."""
    extend = ("extend", str(PRUNED), "--epochs", "4")
    before = folder.parent / "before"
    shutil.copytree(folder, before)
    assert twin.run(folder, "tiny", "runs", steps=folder / "steps", words=extend) == 0, said(folder)
    steps = int((folder / "steps").read_text())
    wanted = kept(folder, 5)
    for k in points(steps):
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        code = twin.run(folder, "tiny", "runs", at=k.__eq__, words=extend)
        if code == 0 and k > steps - twin.FEWER:
            break
        assert code == -9, said(folder)
        again = ("run",) if studied(folder).extensions else extend  # before it is queued, nobody has heard of it
        assert twin.run(folder, "tiny", "runs", words=again) == 0, said(folder)
        assert twin.verify(folder, "runs", "tiny") == 0, said(folder)
        assert audit(folder / "runs", "tiny") == []
        assert same(kept(folder, 5), wanted), k
    shutil.rmtree(before)


def test_an_extension_that_a_killed_driver_left_goes_on(cosine):
    folder, sweep = cosine
    extend = ("extend", str(PRUNED), "--epochs", "4")
    twin.killed_at(folder, "tiny", "runs", Place(1, 1), extend)  # its parent is trained again: MLflow knows the old one
    assert kept(folder, PRUNED).state.model
    twin.killed_at(folder, "tiny", "runs", Place(1, 3))
    assert twin.run(folder, "tiny", "runs") == 0, said(folder)
    judge(sweep, folder)
    config = TrialConfig.model_validate(studied(folder).trials[PRUNED].config)
    assert same(kept(folder, 5), alone(folder, config, 4))


@pytest.mark.faults
def test_an_extension_whose_driver_is_killed_at_every_point_goes_on(cosine):
    killed_at(lambda steps: range(1, steps + 1), cosine[0])


def said(folder):
    return (folder / "driver.log").read_text()


def test_a_look_at_the_test_part_after_more_trials_is_counted_and_said(cosine):
    folder, sweep = cosine

    def looked():
        return json.loads(sweep("best", "tiny", "--json").out)["test_looks"]

    assert (looked()["count"], looked()["trials"]) == (1, [4])
    assert sweep("extend", "tiny", BEST, "--epochs", "5", "--learning-rate", "1e-3").code == 0
    assert looked()["count"] == 1, "an extension is no trial of the search"
    more = sweep("run", "tiny", "--set", "search.n_trials=5", drawn=True)
    assert "The test part was looked at 2 times (after 4 and 5 trials)" in more.out
    assert sweep("rivals", "tiny").code == 0
    assert looked()["count"] == 2, "the same trials"
    assert "looked at 2 times" in sweep("best", "tiny").out
    assert "looked at 2 times" in (folder / "runs" / "tiny" / "report.html").read_text()
    judge(sweep, folder)
    assert sweep("rebuild", "tiny").code == 0
    judge(sweep, folder)
    (folder / "runs" / "study.db").unlink()
    assert sweep("rebuild", "tiny", "--study").code == 0
    assert (looked()["count"], looked()["trials"]) == (2, [4, 5])


def test_from_python(cosine):
    folder, _ = cosine
    assert twin.forked(lambda: extends_from_python(folder), folder / "driver.log") == 0, said(folder)


def extends_from_python(folder):
    os.chdir(folder)
    swept = load("tiny").extend(BEST, 5, learning_rate=1e-3, in_process=True)
    frame = swept.to_frame()
    assert frame.loc[5, "extends"] == BEST
    assert not frame.loc[5, "counts"]
    assert swept.complete
    assert swept.best.trial == BEST
    with pytest.raises(SpecError) as error:
        swept.extend(BEST, 5, learning_rate=1e-3, in_process=True)
    assert [fault.code for fault in error.value.faults] == ["trial-extended-already"]
    assert re.search("trial 5", str(error.value))

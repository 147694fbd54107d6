"""The winner's setting is trained on all data, beside the search, and predicts; both judges look at each end."""

import errno
import io
import json
import os
import shutil
import sqlite3
from contextlib import closing

import inside
import numpy as np
import pandas as pd
import pytest
import torch
import twin
from audit import audit

from cluster.study import lease, stored
from experiments import SpecError, SweepError, load
from lstm import checkpoint
from lstm.tasks import registry as tasks
from lstm.training import refit

SEARCH = "  space:\n    model.residual: {type: categorical, choices: [none, last, linear]}\n"
BACKTEST = "split: {validation: 0.3, test: 0.2}\n  backtest: {windows: 2}"


@pytest.fixture
def ended(stage, tiny):
    """A sweep that has ended: its folder, and the command line without Ray."""

    def of_ended(folder, sweep):
        write(folder, tiny)
        answer = sweep("run", "tiny.yaml")
        assert answer.code == 0, answer.err

    return stage(of_ended)[:2]


def write(folder, tiny, *replaced):
    spec = tiny.spec
    trained = ("batch_size: 16", "batch_size: 32, schedule: exponential, patience: 3")
    for old, new in (trained, ("max_epochs: 2", "max_epochs: 4"), ("  space:\n", SEARCH), *replaced):
        assert old in spec
        spec = spec.replace(old, new)
    (folder / "tiny.yaml").write_text(spec)


def judge(sweep, folder):
    answer = sweep("verify", "tiny")
    assert answer.code == 0, answer.out
    assert audit(folder / "runs", "tiny") == []


def studied(folder):
    return stored.read(f"sqlite:///{folder / 'runs' / 'study.db'}", "tiny")


def kept(folder, number):
    found = checkpoint.load(str(next((folder / "runs" / "tiny").glob(f"*/trial-{number:04d}"))))
    assert found is not None
    return found


def same(one, two):
    """Whether two checkpoints have the same weights and optimizer, to the bit; the times differ."""
    pairs = [(one.state.model[name], two.state.model[name]) for name in two.state.model]
    pairs += [(one.state.best_weights[name], two.state.best_weights[name]) for name in two.state.best_weights]
    for mine, other in zip(one.state.optimizer["state"].values(), two.state.optimizer["state"].values(), strict=True):
        pairs += [(mine[name], other[name]) for name in other]
    return all(torch.equal(a, b) for a, b in pairs) and one.fingerprint == two.fingerprint


def forecast(sweep, *words):
    answer = sweep("predict", "tiny", *words)
    assert answer.code == 0, answer.err
    return pd.read_csv(io.StringIO(answer.out))["load"].to_numpy(), answer.err


def files(folder):
    return {path: path.read_bytes() for path in (folder / "runs").rglob("*") if path.is_file()}


def run_of(folder, number):
    """The tags and the metrics of a trial's run."""
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as database:
        mine = "SELECT run_uuid FROM tags WHERE key = 'sweep.trial' AND value = ?"
        tags = dict(database.execute(f"SELECT key, value FROM tags WHERE run_uuid IN ({mine})", [str(number)]))
        names = database.execute(f"SELECT DISTINCT key FROM metrics WHERE run_uuid IN ({mine})", [str(number)])
        return tags, {name for (name,) in names}


def test_the_winner_learns_from_all_data_and_predicts(ended, command):
    folder, sweep = ended
    best, compared = (sweep(verb, "tiny", "--json").out for verb in ("best", "compare"))
    winner = studied(folder).best
    answer = command("refit", "tiny", "--seeds", "2", "--json", cwd=folder)  # a child that was forked may not start Ray
    assert answer.code == 0, answer.err
    assert f"the setting of trial {winner.number}, the best, for" in answer.err
    assert "on all 300 rows, from 2020-01-01 to 2020-10-26" in answer.err
    judge(sweep, folder)
    [row] = json.loads(answer.out)["refits"]
    one, two = (each["trial"] for each in row["trials"])
    assert (row["refit_of"], row["epochs"], row["new"], row["predicts"]) == (winner.number, winner.best_epoch, 0, True)
    assert json.loads(sweep("best", "tiny", "--json").out)["best"] == json.loads(best)["best"]
    assert sweep("compare", "tiny", "--json").out == compared

    swept = studied(folder)
    trials = [swept.trials[number] for number in (one, two)]
    assert trials[0].config["training"]["seed"] == winner.config["training"]["seed"]
    assert len({t.config["training"]["seed"] for t in trials}) == 2
    load_column = pd.read_csv(folder / "tiny.csv")["load"].to_numpy()
    for number in (one, two):
        found, (tags, metrics) = kept(folder, number), run_of(folder, number)
        assert len(found.state.history) == winner.best_epoch, "as many epochs as the winner's best has, and all of them"
        assert found.facts["scale"]["mean"] == pytest.approx([load_column.mean()], rel=1e-12)
        assert found.facts["scale"]["deviation"] == pytest.approx([load_column.std()], rel=1e-12)
        assert (tags["sweep.kind"], tags["sweep.parent"]) == ("refit", str(winner.number))
        assert tags["sweep.config"] == run_of(folder, one)[0]["sweep.config"], "equal settings from other seeds"
        assert not [name for name in metrics if name.startswith(("val/", "test/", "best"))], "nothing judges it"

    together, said = forecast(sweep)
    assert f"trials {one}, {two}, the refit of trial {winner.number}" in said
    alone = [forecast(sweep, "--trial", number)[0] for number in (one, two)]
    assert together == pytest.approx(np.mean(alone, axis=0), rel=1e-6)
    assert not np.allclose(alone[0], alone[1])
    other, said = forecast(sweep, "--trial", winner.number)
    assert "refit" not in said
    assert not np.allclose(together, other)
    for verb in ("status", "best"):
        assert f"trials {one}, {two}: refit of trial {winner.number} on all 300 rows" in sweep(verb, "tiny").out

    weights = [kept(folder, number) for number in (one, two)]
    assert sweep("refit", "tiny", "--seeds", "2", "--in-process").code == 0
    assert len(studied(folder).trials) == len(swept.trials), "it is there already"
    assert sweep("rebuild", "tiny").code == 0
    shutil.rmtree(next((folder / "runs" / "tiny").glob(f"*/trial-{one:04d}")))
    (folder / "runs" / "study.db").unlink()
    assert sweep("rebuild", "tiny", "--study").code == 0
    assert [(t.derived, t.config) for t in studied(folder).refits] == [(t.derived, t.config) for t in trials]
    again = sweep("refit", "tiny", "--seeds", "2", "--in-process")
    assert again.code == 0, again.err
    assert all(same(kept(folder, number), each) for number, each in zip((one, two), weights, strict=True))
    more = sweep("run", "tiny", "--set", "search.n_trials=5")
    assert more.code == 0, more.err
    assert [t.number for t in studied(folder).refit] == [one, two]
    judge(sweep, folder)


def test_newer_rows_are_taken_and_changed_ones_are_not(ended, tiny):
    folder, sweep = ended
    assert sweep("refit", "tiny").code == 0
    of_old = studied(folder).refit[0]
    (folder / "tiny.csv").write_text(tiny.rows(330))
    answer = sweep("refit", "tiny")
    assert "on all 330 rows, from 2020-01-01 to 2020-11-25, 30 of them new" in answer.err
    of_new = studied(folder).refit[0]
    assert (of_new.fitted["new"], of_new.fitted["data"] == of_old.fitted["data"]) == (30, False)
    assert "which learnt from all 330 rows to 2020-11-25" in forecast(sweep)[1]

    # Up to the day where the first file ends, what follows leaves no trace.
    (folder / "tiny.csv").write_text(tiny.data + tiny.rows(330).removeprefix(tiny.data).replace(",", ",9"))
    assert sweep("refit", "tiny", "--until", "2020-10-26").code == 0
    assert same(kept(folder, studied(folder).refit[0].number), kept(folder, of_old.number))
    judge(sweep, folder)

    before = files(folder)
    for text, code in (
        (tiny.rows(330).replace("2020-02-01,", "2020-02-01,9"), "old-rows-changed"),
        (tiny.rows(299), "old-rows-changed"),
        (tiny.rows(330) + "2019-12-31,50\n", "old-rows-changed"),
    ):
        (folder / "tiny.csv").write_text(text)
        refused = sweep("refit", "tiny", "--json")
        assert (refused.code, [each["code"] for each in json.loads(refused.out)["errors"]]) == (2, [code])
    (folder / "tiny.csv").unlink()
    assert sweep("refit", "tiny").code == 2
    assert files(folder) == before


WRONG = {
    "no-trial-to-refit": ("--trial", "44"),
    "until-not-a-time": ("--until", "soon"),
    "until-outside-data": ("--until", "2030-01-01"),
    "until-too-early": ("--until", "2020-01-10"),
    "out of range": ("--seeds", "0"),
}


def test_what_can_not_be_fitted_is_refused_and_nothing_is_written(ended):
    folder, sweep = ended
    before = files(folder)
    for code, words in WRONG.items():
        answer = sweep("refit", "tiny", *words, "--json")
        assert answer.code == 2, words
        assert "Traceback" not in answer.err
        if " " not in code:
            assert [each["code"] for each in json.loads(answer.out)["errors"]] == [code], answer.out
    (folder / "tiny.yaml").write_text((folder / "tiny.yaml").read_text().replace("hidden_size: 5", "hidden_size: 6"))
    assert "hidden_size" in sweep("refit", "tiny.yaml").err
    assert files(folder) == before
    url = f"sqlite:///{folder / 'runs' / 'study.db'}"
    with lease.Lease(url, "tiny", lost=lambda _: None, stop=lambda: None):
        assert sweep("refit", "tiny").code == 3
    stored.remember(url, "tiny", complete=False, n_trials=9)
    answer = sweep("refit", "tiny")
    assert (answer.code, "4 of 9 trials have" in answer.err) == (2, True)


def killed_at(points, folder, *options, other=("--seeds", "3"), run=0):
    """Kill a refit at some of its durable steps, each in turn; the same command goes on with it."""
    words = ("refit", *options, *(("--in-process",) if "--seeds" in options else ()))
    before = folder.parent / "before"
    shutil.copytree(folder, before)
    assert twin.run(folder, "tiny", "runs", steps=folder / "steps", words=words) == 0, said(folder)
    steps = int((folder / "steps").read_text())
    numbers = [t.number for t in studied(folder).refit]
    wanted = [kept(folder, number) for number in numbers]
    for k in points(steps):
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        code = twin.run(folder, "tiny", "runs", at=k.__eq__, words=words)
        if code == 0 and k > steps - twin.FEWER:
            break
        assert code == -9, said(folder)
        told = twin.run(folder, "tiny", "runs", words=("run",))
        assert told == run, "the sweep is complete, and leaves the refit alone; it refuses newer rows"
        if running := [t for t in studied(folder).refits if not t.ended]:
            rows = json.loads(inside.call(("status", "tiny", "--json"), folder).out)["running"]
            told = {row["trial"]: (row["epoch"], row["epochs"]) for row in rows}
            assert told == {t.number: (done(folder, t.number), t.fitted["epochs"]) for t in running}
            code = twin.run(folder, "tiny", "runs", words=("refit", *other))
            assert (code, " ".join(options) in said(folder)) == (2, True), "it is begun otherwise"
        assert twin.run(folder, "tiny", "runs", words=words) == 0, said(folder)
        assert twin.verify(folder, "runs", "tiny") == 0, said(folder)
        assert audit(folder / "runs", "tiny") == []
        found = [t.number for t in studied(folder).refit]
        assert all(same(kept(folder, number), each) for number, each in zip(found, wanted, strict=True)), k
        assert len(studied(folder).refits) == len(wanted), k
    shutil.rmtree(before)


def done(folder, number):
    """How many epochs of a trial are in its checkpoints."""
    places = (folder / "runs" / "tiny").glob(f"*/trial-{number:04d}")
    found = next((checkpoint.load(str(place)) for place in places), None)
    return len(found.state.history) if found else 0


def said(folder):
    return (folder / "driver.log").read_text()


def test_a_refit_that_was_killed_goes_on_to_the_same_weights(ended):
    killed_at(lambda steps: [steps // 2], ended[0], "--seeds", "2")


@pytest.mark.faults
def test_a_refit_that_is_killed_at_every_point_goes_on_to_the_same_weights(ended):
    killed_at(lambda steps: range(1, steps + 1), ended[0], "--seeds", "2")


@pytest.mark.faults  # of a trial of the search and of an extension's parent it is asked in `make test`
def test_a_lost_refit_that_is_trained_again_and_killed_is_found_by_the_next_run(ended):
    folder, sweep = ended
    assert sweep("refit", "tiny").code == 0
    [made] = studied(folder).refit
    before = kept(folder, made.number)
    shutil.rmtree(next((folder / "runs" / "tiny").glob(f"*/trial-{made.number:04d}")))
    for artifact in (folder / "runs" / "artifacts").rglob("checkpoint.pt"):  # so that it is trained again
        artifact.unlink()
    twin.killed_at(folder, "tiny", "runs", before.state.place, ("refit",))
    assert same(kept(folder, made.number), before)
    assert twin.run(folder, "tiny", "runs") == 0, said(folder)
    judge(sweep, folder)


def trainings(folder):
    """The files and the folders of the trainings for windows."""
    return (folder / "runs" / "tiny").glob("*/warm-*/**/*")


def newer(folder, tiny, rows=330):
    (folder / "tiny.csv").write_text(tiny.rows(rows))


@pytest.fixture
def longer(monkeypatch):
    """Warm trainings are as long as fresh ones: the base, which has not learnt enough, is then better warm."""
    monkeypatch.setattr(refit, "warm_epochs", lambda epochs, seen, count: epochs)


@pytest.mark.faults  # that a refit goes on which was killed is asked above
@pytest.mark.usefixtures("longer")
def test_a_warm_refit_that_is_killed_at_every_point_goes_on_to_the_same_weights(ended, tiny):
    folder, _ = ended
    newer(folder, tiny, 318)
    killed_at(lambda steps: range(1, steps + 1), folder, "--trial", "0", "--warm", other=("--trial", "0"), run=2)
    assert studied(folder).refit[0].fitted["start"] == "warm"


@pytest.mark.usefixtures("longer")
def test_newer_rows_say_whether_a_warm_refit_is_better(ended, tiny, monkeypatch):
    folder, sweep = ended
    newer(folder, tiny)
    base = studied(folder).base
    answer = sweep("refit", "tiny", "--trial", "0", "--warm", "--json")
    assert answer.code == 0, answer.err
    assert "over 4 windows of the 30 newer rows, 2020-10-27 to 2020-11-25" in answer.err
    assert answer.err.count("warm, ") == 4, "each window says its figures"
    [row] = json.loads(answer.out)["refits"]
    warm, other = row["value_warm"], row["value_fresh"]
    assert (row["start"], row["windows"], warm < other) == ("warm", 4, True), "the base had not learnt enough"
    assert row["low"] < row["better"] < row["high"]
    [made] = studied(folder).refit
    rate = kept(folder, 0).state.history[base.best_epoch - 1].metrics["lr"]
    assert made.config["training"]["learning_rate"] == pytest.approx(rate)
    assert (made.config["training"]["schedule"], base.config["training"]["schedule"]) == ("constant", "exponential")
    assert made.fitted["epochs"] == base.best_epoch
    assert kept(folder, made.number).facts["scale"] == kept(folder, 0).facts["scale"]
    tags, metrics = run_of(folder, made.number)
    assert json.loads(tags["sweep.fitted"])["value_warm"] == warm
    assert not [name for name in metrics if name.startswith(("val/", "test/", "best"))], "nothing judges it"
    assert not [*trainings(folder)], "the trainings for the windows are removed"
    assert json.loads(sweep("status", "tiny", "--json").out)["warming"] == []
    assert row["said"] in sweep("status", "tiny").out
    judge(sweep, folder)

    weights = kept(folder, made.number)
    shutil.rmtree(next((folder / "runs" / "tiny").glob(f"*/trial-{made.number:04d}")))
    shutil.rmtree(folder / "runs" / "artifacts")  # so that it is trained again
    again = sweep("refit", "tiny", "--trial", "0", "--warm")
    assert again.code == 0, again.err
    assert [t.number for t in studied(folder).refits] == [made.number], "it is there already"
    assert same(kept(folder, made.number), weights)
    assert sweep("rebuild", "tiny").code == 0
    judge(sweep, folder)

    monkeypatch.setattr(refit, "warm_epochs", lambda epochs, seen, count: 1)
    shorter = sweep("refit", "tiny", "--trial", "0", "--warm", "--until", "2020-11-22", "--json")
    rows = json.loads(shorter.out)["refits"]
    assert (rows[1]["start"], rows[1]["predicts"], rows[0]["predicts"]) == ("fresh", True, False)
    assert rows[1]["value_fresh"] < rows[1]["value_warm"]
    [fresh] = studied(folder).refit
    assert (fresh.fitted["epochs"], fresh.fitted["new"], fresh.config) == (base.best_epoch, 27, base.config)
    judge(sweep, folder)


def test_what_a_warm_refit_that_is_not_whole_leaves_is_named_and_freed(ended, tiny, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder, sweep = ended
    newer(folder, tiny)
    with monkeypatch.context() as patched:
        patched.setattr(tasks, "judge_held", full)
        refused = sweep("refit", "tiny", "--trial", "0", "--warm", "--until", "2020-11-22")
        assert (refused.code, "No space left on device" in refused.err) == (1, True)
    epochs = studied(folder).facts["warming"]["0"]["epochs"]
    every, done = sum(epochs.values()), epochs["window-01-warm"]
    one = {"refit_of": 0, "until": "2020-11-22", "trainings": 6, "epochs": every, "kept": done}
    assert json.loads(sweep("status", "tiny", "--json").out)["warming"] == [one]
    told = f"{done} of the {every} epochs are kept that judge if it is better than a fresh one"
    told += "; `sweep refit tiny --trial 0 --until 2020-11-22 --warm` goes on, `sweep clean` frees them"
    assert f"a warm refit of trial 0 is not whole: {told}" in sweep("status", "tiny").out
    judge(sweep, folder)

    before, size = files(folder), sum(each.stat().st_size for each in trainings(folder) if each.is_file())
    dry = json.loads(sweep("clean", "tiny", "--keep", "top:9", "--dry-run", "--json").out)
    assert (dry["warm"], dry["freed"], dry["bytes"], size > 0) == ([{"refit_of": 0, "bytes": size}], [], size, True)
    assert files(folder) == before
    freed = sweep("clean", "tiny", "--keep", "top:9")
    assert (freed.code, "of a warm refit of trial 0, which is not whole" in freed.out.splitlines()[-1]) == (0, True)
    assert not [*trainings(folder)]
    assert json.loads(sweep("status", "tiny", "--json").out)["warming"] == []
    assert "nothing is freed" in sweep("clean", "tiny", "--keep", "top:9").out
    judge(sweep, folder)


WRONG_WARM = {
    "warm-from-one-seed": ("--seeds", "2"),
    "warm-without-new-rows": ("--until", "2020-10-27"),
    "warm-weights-gone": ("--trial", "1"),
}


def test_a_warm_refit_that_can_not_be_judged_is_refused_and_nothing_is_written(ended, tiny):
    folder, sweep = ended
    newer(folder, tiny)
    place = next((folder / "runs" / "tiny").glob("*/trial-0001"))
    checkpoint.strip(str(place), kept(folder, 1))
    before = files(folder)

    def refusals(*words):
        answer = sweep("refit", "tiny", "--warm", *words, "--json")
        assert (answer.code, "Traceback" in answer.err) == (2, False)
        return [each["code"] for each in json.loads(answer.out)["errors"]]

    for code, words in WRONG_WARM.items():
        assert refusals(*words) == [code], words
    for rows, code in (
        (tiny.data, "warm-without-new-rows"),
        (tiny.rows(330).replace("-02,", "-02,9"), "old-rows-changed"),
    ):
        (folder / "tiny.csv").write_text(rows)
        assert refusals() == [code]
    assert files(folder) == before


@pytest.mark.faults  # the reading of data and the number of epochs are tested apart from this
def test_after_a_backtest(stage, tiny):
    def of_backtest(folder, sweep):
        write(folder, tiny, ("split: {validation: 0.2, test: 0.2}", BACKTEST))
        assert sweep("run", "tiny.yaml").code == 0

    folder, sweep, _ = stage(of_backtest)
    winner = studied(folder).best
    answer = sweep("refit", "tiny")
    assert answer.code == 0, answer.err
    judge(sweep, folder)
    assert studied(folder).refit[0].fitted["epochs"] == int(np.median(winner.best_epochs) + 0.5)
    assert "not trained on all" not in forecast(sweep)[1]
    assert sweep("rebuild", "tiny").code == 0
    judge(sweep, folder)


@pytest.mark.faults  # a thin layer over what the command does
def test_from_python(ended):
    folder, _ = ended
    assert twin.forked(lambda: refits_from_python(folder), folder / "driver.log") == 0, said(folder)


def refits_from_python(folder):
    os.chdir(folder)
    swept = load("tiny").refit(seeds=2)
    frame = swept.to_frame()
    made = frame[frame["refit_of"] == swept.best.trial]
    assert len(made) == 2
    assert not made["counts"].any()
    assert swept.complete
    together = swept.predict()["load"]
    assert not np.allclose(together, swept.predict(trial=swept.best.trial)["load"])
    assert not np.allclose(together, swept.refit().predict()["load"])
    assert [each["seeds"] for each in swept.refit().refits] == [2, 1]
    with pytest.raises(SpecError) as error:
        swept.refit(warm=True)
    assert [fault.code for fault in error.value.faults] == ["warm-without-new-rows"]
    assert np.allclose(together, swept.refit(seeds=2).predict()["load"]), "an older one predicts when asked for again"
    with pytest.raises(SpecError) as error:
        swept.refit(until="soon")
    assert [fault.code for fault in error.value.faults] == ["until-not-a-time"]
    assert not issubclass(SpecError, SweepError)

"""The best settings of a search are judged again: from other seeds, on windows that it has not seen, beside it."""

import json
import os
import shutil
import signal
from types import SimpleNamespace

import moving
import pytest
import twin
from audit import audit
from confirmed import FRESH, LENGTH, QUIET, ROWS, SPEC, TEST

from cluster.study import stored
from cluster.trials import beside
from experiments import SpecError, load
from experiments.cli import main
from lstm import checkpoint
from lstm.config.trial import TrialConfig
from lstm.data.forecast import load as load_data
from lstm.records.confirmation import seed_of, setting_of
from lstm.tasks import registry as tasks
from lstm.verdict import fitting


def write(folder, tiny, spec=SPEC):
    (folder / "tiny.yaml").write_text(spec)
    (folder / "tiny.csv").write_text(tiny.rows(ROWS))


def sweep_of(folder):
    return stored.read(f"sqlite:///{folder / 'runs' / 'study.db'}", "tiny")


@pytest.fixture(scope="module")
def ended(tmp_path_factory, near, tiny):
    """A folder with a sweep that was confirmed, and what `run` answered; look, don't touch."""
    folder = tmp_path_factory.mktemp("confirm")
    write(folder, tiny)
    return SimpleNamespace(folder=folder, home=folder / "runs", run=near("run", "tiny.yaml", "--json", cwd=folder))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory, near, tiny):
    """The same without `search.confirm`, on a series with other values where the search must not look."""
    folder = tmp_path_factory.mktemp("quiet")
    write(folder, tiny, QUIET)
    first, *rows = (folder / "tiny.csv").read_text().split()
    days = [row.split(",") for row in rows]
    unseen = [f"{day},{float(value) * 7 + 3}" for day, value in days[FRESH:]]
    (folder / "tiny.csv").write_text("\n".join([first, *rows[:FRESH], *unseen, ""]))
    return SimpleNamespace(folder=folder, home=folder / "runs", run=near("run", "tiny.yaml", cwd=folder))


def own(which, tmp_path):
    """A sweep in a folder of one's own, which it takes for the one that it was run in."""
    shutil.copytree(which.folder, tmp_path, dirs_exist_ok=True)
    moving.readdress(tmp_path / "runs", which.home)
    return tmp_path


def searched(folder):
    return [(t.number, t.state, t.value, t.steps, dict(t.settings)) for t in sweep_of(folder).trials if t.counts]


def judged_again(folder):
    found = sweep_of(folder).confirmation
    return [(each.setting, each.number, each.name, each.errors) for each in found.settings]


def test_it_ends_sound_in_every_store(ended, near):
    assert ended.run.code == 0, ended.run.err
    assert audit(ended.home, "tiny") == []
    assert near("verify", "tiny", cwd=ended.folder).code == 0
    sweep = sweep_of(ended.folder)
    assert {t.trained for t in sweep.trials} == {4}, "two epochs in each of two windows"
    assert sweep.goodput.epochs == 4 * len(sweep.trials)


def test_base_best_settings_and_best_rival_are_judged_in_each_window_from_each_seed(ended):
    sweep, found = sweep_of(ended.folder), sweep_of(ended.folder).confirmation
    best = sorted((t for t in sweep.counted), key=lambda t: t.value)[:2]
    assert (found.metric, found.direction, found.windows, found.count) == ("val/loss", "minimize", "fresh", 2)
    assert (found.tried, found.open) == (4, 0)
    *networks, rival = found.settings
    assert [each.number for each in networks] == [0, *(trial.number for trial in best)]
    assert [each.name for each in networks] == ["base", *(f"trial {trial.number}" for trial in best)]
    assert (rival.number, rival.trials, len(rival.errors), len(rival.errors[0])) == (None, (), 1, 2)
    curves = load("tiny", home=ended.home).curves()
    trials = {trial.number: trial for trial in sweep.trials}
    for each in networks:
        assert len(each.trials) == 2
        for place, (number, row) in enumerate(zip(each.trials, each.errors, strict=True)):
            mine = curves[curves["trial"] == number]
            assert row == pytest.approx([mine[mine["window"] == w]["val/loss"].min() for w in (1, 2)], rel=1e-12)
            assert trials[number].config["training"]["seed"] == seed_of(3, each.setting, place)
            assert trials[number].config["judged_on"] == "fresh"
            assert setting_of(trials[number].config) == setting_of(trials[each.number].config) == each.setting


def test_fresh_windows_are_the_last_rows_before_the_test_part_each_trained_on_all_before_it(ended):
    sweep = sweep_of(ended.folder)
    config = TrialConfig.model_validate(sweep.confirming[0].config)
    series = load_data(config.data, ended.folder / "tiny.csv")
    views = tasks.windows_of(config, series)
    assert [view.bounds["validation"] for view in views] == [(FRESH, FRESH + LENGTH), (FRESH + LENGTH, ROWS - TEST)]
    assert [view.bounds["train"] for view in views] == [(0, FRESH), (0, FRESH + LENGTH)]
    seen = tasks.windows_of(config.model_copy(update={"judged_on": "search"}), series)
    assert [view.bounds["validation"][1] for view in seen] == [FRESH - LENGTH, FRESH]
    assert tasks.before_test(config, series).bounds["train"] == (0, ROWS - TEST)
    # The rival's errors, by a loop of its own.
    chosen = fitting.run("last value", series, config).fitted
    values, losses = series.values[:, 0], []
    for start in (FRESH, FRESH + LENGTH):
        errors = [values[o : o + 7] - values[o - 1] for o in range(start, start + LENGTH - 6)]
        losses.append(sum(float((each**2).mean()) for each in errors) / len(errors))
    assert fitting.errors_over(chosen, series, config) == pytest.approx(losses, rel=1e-5)


def test_the_search_sees_nothing_of_what_is_set_aside_nor_of_confirm(ended, quiet):
    assert quiet.run.code == 0, quiet.run.err
    assert searched(quiet.folder) == searched(ended.folder), "to the bit, with other values in the fresh windows"
    assert sweep_of(quiet.folder).confirmation is None


def test_its_trials_are_no_trials_of_the_search(ended, near):
    document, sweep = json.loads(ended.run.out), sweep_of(ended.folder)
    assert document["states"] == {"COMPLETE": 3}
    assert document["test_looks"]["count"] == 1
    assert document["confirmation"]["settings"][0]["name"] == "base"
    beside_it = {trial.number for trial in sweep.confirming}
    compared = json.loads(near("compare", "tiny", "--json", "--trials", "0", cwd=ended.folder).out)
    assert not beside_it & {row["trial"] for row in compared["trials"]}
    assert compared["sweeps"][0]["states"] == {"COMPLETE": 3}
    bests = [ending.best_value for ending in sweep.endings() if ending.number in beside_it]
    assert bests == [sweep.best.value] * len(bests), "the curve of bests"
    frame = load("tiny", home=ended.home).to_frame()
    assert set(frame[~frame["counts"]].index) == {0} | beside_it
    assert set(frame.loc[sorted(beside_it), "confirms"]) == {0, *(t.number for t in sweep.leaders(2))}
    status = near("status", "tiny", cwd=ended.folder).out
    assert "3 of 3 trials have ended" in status
    assert "confirm: 6 of 6 trials have ended" in status


def test_asked_for_afterwards_it_finds_the_same(quiet, ended, tmp_path, near, tiny):
    folder = own(quiet, tmp_path)
    done = near("confirm", "tiny", "--top", "2", "--seeds", "2", cwd=folder)
    assert done.code == 0, done.err
    assert "judged on windows that the search has not seen" in done.err + done.out
    assert [row[:3] for row in judged_again(folder)][:3] == [row[:3] for row in judged_again(ended.folder)][:3]
    assert audit(folder / "runs", "tiny") == []
    assert "nothing was left to do" in near("confirm", "tiny", "--top", "2", "--seeds", "2", cwd=folder).out
    assert "nothing was left to do" in near("run", "tiny", cwd=folder).out, "without search.confirm nothing more"


@pytest.mark.faults  # which trials are missing, tests/lstm/records/test_confirmation.py asks
def test_numbers_may_change_between_runs_and_only_what_is_missing_is_trained(ended, tmp_path, near):
    folder, before = own(ended, tmp_path), judged_again(ended.folder)
    assert near("run", "tiny.yaml", "--set", "search.confirm.seeds=1", cwd=folder).code == 0
    assert judged_again(folder) == before, "what there is has all that is wanted"
    done = near("run", "tiny.yaml", "--set", "search.confirm={top: 1, seeds: 3}", cwd=folder)
    assert done.code == 0, done.err
    after = judged_again(folder)
    assert [(row[1], row[3][:2]) for row in after[:2]] == [(row[1], row[3]) for row in before[:2]]
    assert len(sweep_of(folder).confirming) == 6 + 2
    changed = near("run", "tiny.yaml", "--set", "data.backtest.fresh=false", cwd=folder)
    assert changed.code == 2
    assert "data.backtest.fresh" in changed.err
    assert audit(folder / "runs", "tiny") == []


def killed(folder, act, tiny, ended):
    """Let a driver be killed, and the next one go on; it must end as if nothing had happened."""
    write(folder, tiny)
    assert act() == -signal.SIGKILL
    assert twin.run(folder, "tiny.yaml", "runs") == 0, (folder / "driver.log").read_text()
    assert judged_again(folder) == judged_again(ended.folder)
    assert searched(folder) == searched(ended.folder)
    assert audit(folder / "runs", "tiny") == []
    assert twin.verify(folder, "runs", "tiny") == 0, (folder / "driver.log").read_text()


def test_killed_while_its_trials_are_queued_it_goes_on(ended, tmp_path, tiny):
    def act():
        def queue(study, row, some):
            kept(study, row, some[:3])
            os.kill(os.getpid(), signal.SIGKILL)

        kept, beside.confirm = beside.confirm, queue
        os.chdir(tmp_path)
        main(["run", "tiny.yaml", "--in-process", "--home", "runs"])

    killed(tmp_path, lambda: twin.forked(act, tmp_path / "driver.log"), tiny, ended)


@pytest.mark.faults
@pytest.mark.parametrize("step", range(10, 500, 15))
def test_killed_before_any_durable_step_it_ends_as_if_nothing_had_happened(ended, tmp_path, tiny, step):
    write(tmp_path, tiny)
    twin.run(tmp_path, "tiny.yaml", "runs", at=step.__eq__)
    assert twin.run(tmp_path, "tiny.yaml", "runs") == 0, (tmp_path / "driver.log").read_text()
    assert judged_again(tmp_path) == judged_again(ended.folder)
    assert audit(tmp_path / "runs", "tiny") == []


@pytest.mark.parametrize("lost", [["study.db"], pytest.param(["study.db", "mlflow.db"], marks=pytest.mark.faults)])
def test_a_lost_study_comes_back_with_what_was_confirmed(ended, tmp_path, near, lost):
    folder = own(ended, tmp_path)
    for name in lost:
        (folder / "runs" / name).unlink()
    done = near("rebuild", "tiny", "--study", cwd=folder)
    assert done.code == 0, done.err
    assert sweep_of(folder).confirmation.settings == sweep_of(ended.folder).confirmation.settings, "the rival, too"
    again = near("run", "tiny", cwd=folder)
    assert again.code == 0, again.err
    assert sorted(judged_again(folder)) == sorted(judged_again(ended.folder))
    assert len(sweep_of(folder).confirming) == 6, "nothing is trained twice"
    assert audit(folder / "runs", "tiny") == []


@pytest.mark.faults  # what the spec may change then is tested apart from this
def test_the_windows_that_were_asked_for_stay_so_until_confirm_is_asked_again(ended, tmp_path, near):
    folder = own(ended, tmp_path)
    numbers = ("--top", "1", "--seeds", "1")
    assert near("confirm", "tiny", *numbers, "--windows", "search", cwd=folder).code == 0
    mine = sweep_of(folder).confirmation
    assert (mine.windows, mine.open) == ("search", 0)
    assert len(sweep_of(folder).confirming) == 8, "the base and the best, from one seed each"
    assert near("run", "tiny", cwd=folder).code == 0
    assert sweep_of(folder).confirmation.windows == "search"
    assert near("confirm", "tiny", cwd=folder).code == 0
    assert sweep_of(folder).confirmation.windows == "fresh"
    assert audit(folder / "runs", "tiny") == []
    assert near("verify", "tiny", cwd=folder).code == 0


@pytest.mark.faults
def test_runs_in_mlflow_have_the_setting_and_come_back(ended, tmp_path, near):
    folder = own(ended, tmp_path)
    (folder / "runs" / "mlflow.db").unlink()
    assert near("rebuild", "tiny", cwd=folder).code == 0
    assert audit(folder / "runs", "tiny") == [], "the second judge compares sweep.config with the settings"


@pytest.mark.faults
def test_a_search_that_its_target_has_ended_is_confirmed(tmp_path, near, tiny):
    write(tmp_path, tiny, SPEC.replace("n_trials: 3", "n_trials: 9\n  stop: {target: 100}"))
    done = near("run", "tiny.yaml", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "reached the target" in done.out + done.err
    found = sweep_of(tmp_path).confirmation
    assert (found.open, [each.name for each in found.settings][:2]) == (0, ["base", "trial 1"])
    assert "instead of the best 2" in done.out + done.err
    assert "nothing was left to do" in near("run", "tiny.yaml", cwd=tmp_path).out


@pytest.mark.faults
def test_with_two_objectives_it_takes_the_front(tmp_path, near, tiny):
    two = "  second_objective: {metric: probe/reliability/noise, direction: minimize}\n  space:"
    write(tmp_path, tiny, SPEC.replace("  space:", two) + "probe: {every_trial: true}\n")
    done = near("run", "tiny.yaml", cwd=tmp_path)
    assert done.code == 0, done.err
    sweep = sweep_of(tmp_path)
    taken = {each.number for each in sweep.confirmation.settings} - {None, 0}
    assert taken == {t.number for t in sweep.front[:2]}
    assert {trial.state for trial in sweep.confirming} == {"COMPLETE"}
    assert audit(tmp_path / "runs", "tiny") == []


def test_without_a_backtest_it_judges_on_the_validation_part_and_the_best_keep_their_weights(tmp_path, near, tiny):
    spec = SPEC.replace("  backtest: {windows: 2, length: 16, fresh: true}\n", "")
    write(tmp_path, tiny, spec + "storage: {keep: best}\n")
    done = near("run", "tiny.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    sweep, found = sweep_of(tmp_path), sweep_of(tmp_path).confirmation
    assert (found.windows, found.count) == ("search", 1)
    trials = {trial.number: trial for trial in sweep.trials}
    *networks, rival = found.settings
    for each in networks:
        assert each.errors == tuple((trials[number].value,) for number in each.trials)
    rows = {row["name"]: row for row in json.loads(done.out)["verdict"]["rows"]}
    assert rival.errors[0][0] == pytest.approx(rows[rival.name]["validation"], rel=1e-9)
    assert sweep.facts["form"] == 4, "an earlier version would train them otherwise"
    kept = {t.number for t in sweep.trials if checkpoint.load(t.checkpoint).state.best_weights}
    assert kept == {0, *(t.number for t in sweep.leaders(2))}, "what only confirms keeps none"
    assert audit(tmp_path / "runs", "tiny") == []
    assert near("verify", "tiny", cwd=tmp_path).code == 0


def test_the_plan_says_what_confirm_costs(ended, near):
    plan = json.loads(near("plan", "tiny.yaml", "--json", cwd=ended.folder).out)
    wanted = {"top": 2, "seeds": 2, "windows": "fresh", "trials": 6}
    assert {name: plan["confirm"][name] for name in wanted} == wanted
    assert min(plan["sweep_s"]) > min(plan["confirm"]["seconds"]) > 0
    quiet = json.loads(near("plan", "tiny.yaml", "--json", "--set", "search.confirm=null", cwd=ended.folder).out)
    assert quiet["confirm"] is None
    told = near("plan", "tiny.yaml", cwd=ended.folder).out
    assert "the best 2 settings and the base, from 2 other seeds each" in told
    assert "at most 6 trials" in told


def test_from_python_it_is_refused_as_by_the_verb(ended):
    with pytest.raises(SpecError, match="3 settings have completed"):
        load("tiny", home=ended.home).confirm(top=4)


@pytest.mark.parametrize("wrong", [0, 101, 2.5, "3", True])
@pytest.mark.parametrize("does", ["confirm", "refit"])
def test_from_python_a_number_of_seeds_that_is_none_is_refused(ended, does, wrong):
    sweep = load("tiny", home=ended.home)
    with pytest.raises(SpecError, match=f"--seeds {wrong}: is not a whole number from 1 to 100"):
        getattr(sweep, does)(seeds=wrong)
    assert len(load("tiny", home=ended.home).to_frame()) == len(sweep.to_frame())


WRONG = {
    "more-than-there-is": (("--top", "4"), "--top 4: is more than there is: 3 settings have completed"),
    "no-seed": (("--seeds", "0"), "0 is not in the range"),
    "no-setting": (("--top", "none"), "'none' is not a valid integer"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_can_not_be_confirmed_is_refused_and_nothing_is_written(ended, near, name):
    words, told = WRONG[name]
    before = {path: path.read_bytes() for path in ended.home.rglob("*") if path.is_file()}
    done = near("confirm", "tiny", *words, cwd=ended.folder)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "Traceback" not in done.err
    assert {path: path.read_bytes() for path in ended.home.rglob("*") if path.is_file()} == before

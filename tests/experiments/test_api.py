"""The face for Python: what it returns and raises, and that it leaves another's process as it was."""

import contextlib
import gc
import importlib
import json
import logging
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import optuna  # what it does to its logger when it is imported is its own
import pandas as pd
import pytest
import torch
import twin
import yaml
from told import all_told

import experiments
from experiments import SpecError, SweepError, load, plan, train
from lstm import checkpoint

run = partial(experiments.run, in_process=True)  # none of it is of Ray
LOGGERS = ("", "ray", "optuna", "mlflow")
HEAVY = ("torch", "ray", "optuna", "mlflow", "pandas", "numpy", "pydantic", "click")


WILD = {"training.optimizer": "sgd", "training.learning_rate": 10, "training.gradient_clip": None}
WILD |= {"data.scaling": "none", "training.max_epochs": 50, "model.hidden_size": 64, "name": "wild"}


FAST = {"training.batch_size": 32}


@pytest.fixture(scope="module")
def run_once(tmp_path_factory, tiny):
    """The tiny sweep, run without Ray to 2 trials, in a folder of its own; look, don't touch."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "tiny.yaml").write_text(tiny.spec)
    (folder / "tiny.csv").write_text(tiny.data)
    with contextlib.chdir(folder):
        return folder, run("tiny.yaml", set={"search.n_trials": 2} | FAST)


@pytest.fixture
def ran(run_once, monkeypatch):
    """That sweep, from its working folder."""
    folder, ran = run_once
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SWEEP_HOME", raising=False)
    return ran


def whole():
    """What is the whole process's."""
    return {
        "signals": {each: signal.getsignal(each) for each in signal.valid_signals()},
        "wakeup": signal.set_wakeup_fd(-1),
        "environment": {n: v for n, v in os.environ.items() if not n.startswith("KMP_")},  # scikit-learn's import
        "garbage": (gc.isenabled(), gc.get_threshold()),
        "warnings": list(warnings.filters),
        "streams": (sys.stdout, sys.stderr, *(os.fstat(n).st_ino for n in (1, 2))),
        "loggers": [(x.name, x.level, x.handlers[:], x.propagate) for x in map(logging.getLogger, LOGGERS)],
        "disabled": logging.root.manager.disable,
        "torch": (torch.get_num_threads(), torch.initial_seed(), (torch.full((1,), 1e-40) * 1.0).item()),
        "folder": Path.cwd(),
    }  # fmt: skip


def test_importing_it_imports_nothing_heavy():
    code = f"import sys, experiments; print([n for n in {HEAVY} if n in sys.modules], experiments.__version__);"
    code += f"import experiments.api; print([n for n in {HEAVY[:5]} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["[]", experiments.__version__, "[]"]


ROOMS = ("experiments", "cluster", "dashboards", "lstm")
LIBRARIES = ("numpy", "optuna", "pandas", "plotly", "pyarrow", "pydantic", "ray", "ray.tune", "scipy.stats", "sklearn")
LIBRARIES += ("sqlalchemy", "torch")  # what libraries do is theirs


def as_started():
    """Make a child of pytest what it was before anything of ours was imported, which may have done it already then."""
    os.environ.clear()
    warnings.resetwarnings()
    for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(each, signal.SIG_DFL)
    gc.enable()
    gc.set_threshold(700, 10, 10)
    for name in [each for each in sys.modules if each.partition(".")[0] in ROOMS]:
        del sys.modules[name]


def import_every():
    """Each module of ours anew, in a child that has the libraries."""
    for name in LIBRARIES:
        importlib.import_module(name)
    as_started()
    experimental = optuna.exceptions.ExperimentalWarning
    before, names = process(), []
    for room in ROOMS:
        found = importlib.import_module(room)
        names += [each.name for each in pkgutil.walk_packages(found.__path__, room + ".")]
    for name in names:
        if not name.endswith((".child", ".others", ".kernels")):  # a program; what needs the extra `rivals`
            importlib.import_module(name)
    assert len(names) > 100
    ours = [each for each in warnings.filters if each[2] is experimental or "PedAnova" in str(each)]
    assert not ours, ours
    for one, other in zip(before, process(), strict=True):
        assert one == other, (one, other)
    sys.argv[0] = "/somewhere/ray/_private/workers/default_worker.py"
    importlib.reload(sys.modules["cluster"])
    assert gc.get_threshold()[0] == 100_000


def process():
    handlers = [signal.getsignal(each) for each in sorted(signal.valid_signals())]
    return gc.isenabled(), gc.get_threshold(), handlers, dict(os.environ)


def test_importing_any_of_it_changes_nothing_of_the_process_but_in_a_worker(tmp_path):
    assert twin.forked(import_every, tmp_path / "log") == 0, (tmp_path / "log").read_text()


def test_what_it_has_is_listed_and_what_it_has_not_is_an_attribute_error():
    functions = ("plan", "run", "train", "load", "compare")
    assert {*functions, "__version__"} <= set(dir(experiments))
    assert all(callable(getattr(experiments, name)) for name in functions)
    with pytest.raises(AttributeError, match="walk"):
        _ = experiments.walk


def test_a_plan(folder, tiny, capfd):
    found = plan("tiny.yaml", set=["search.n_trials=3"], home=folder / "kept")
    assert (found.name, found.trials, found.metric, found.kept["home"]) == ("tiny", 3, "val/loss", f"{folder}/kept")
    assert found.parameters[0] < found.parameters[1]
    assert plan(yaml.safe_load(tiny.spec.replace("1e-", "1.0e-")), set={"search.n_trials": 3}).trials == 3
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.csv", "tiny.yaml"], "nothing was written"


def test_a_mapping_says_what_a_file_says(folder, tiny):
    text = yaml.safe_load(tiny.spec.replace("1e-", "1.0e-"))
    text["data"]["path"], text["name"] = folder / "tiny.csv", "1e3"  # a path, and a text that looks like a number
    found = plan(text)
    assert found.name == "1e3"
    assert found.document["space"] == plan("tiny.yaml").document["space"]


@pytest.mark.parametrize("spec", ["a.yaml", {"name": "tiny", "model": {"hiden_size": 3}, "data": {1: 2}}])
@pytest.mark.parametrize("verb", [plan, run, train])
def test_all_that_is_wrong_is_raised_at_once(folder, capfd, verb, spec):
    (folder / "a.yaml").write_text("name: tiny\nmodel: {hiden_size: 3}\nsearch: {n_trails: 3}\n")
    with pytest.raises(SpecError) as error:
        verb(spec)
    found = all_told(error.value.faults)
    if spec == "a.yaml":
        assert len(found) >= 3
        assert ("2: model.hiden_size", "unknown-field", {"near": "hidden_size"}) in found
        assert ("3: search.n_trails", "unknown-field", {"near": "n_trials"}) in found
    else:
        assert found == [("spec: data", "key-no-text", {"key": "1"})]
    assert capfd.readouterr() == ("", "")
    assert not (folder / "runs").exists()


def test_faults_of_a_mapping_and_of_what_is_set_are_told_by_their_path(folder, tiny):
    text = yaml.safe_load(tiny.spec.replace("1e-", "1.0e-"))
    with pytest.raises(SpecError) as error:
        plan(text | {"model": {"hidden_size": 0, "cel": "gru"}}, set={"training.max_epochs": 0})
    found = {where: (code, named) for where, code, named in all_told(error.value.faults)}
    assert found["spec: model.hidden_size"][0] == "out-of-bounds"
    assert found["spec: model.cel"] == ("unknown-field", {"near": "cell"})
    assert found["--set training.max_epochs=0: training.max_epochs"][1]["came"] == "0"
    with pytest.raises(SpecError) as error:
        plan(text | {"model": {"gru"}})
    assert all_told(error.value.faults) == [("spec: model", "value-no-yaml", {"type": "set"})]


def test_a_training_returns_its_curve_and_goes_on(folder, capfd):
    before = whole()
    found = train("tiny.yaml")
    assert whole() == before
    assert capfd.readouterr() == ("", "")
    assert list(found.curves()["epoch"]) == [1, 2]
    assert found.best.value == found.curves()["val/loss"].min()
    assert found.best.metrics["test/loss"] > 0
    assert train("tiny.yaml") == found, "nothing was left to do"


def test_a_training_that_fails_raises_with_its_cause(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "x.pt")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write", full)
        with pytest.raises(SweepError, match="No space left") as error:
            train("tiny.yaml")
    assert (error.value.code, type(error.value.__cause__.__cause__)) == (1, OSError)
    (folder / "tiny.csv").write_text((folder / "tiny.csv").read_text().replace(".", "000000000000000000."))
    with pytest.raises(SweepError, match="wild: diverged in epoch"):
        train("tiny.yaml", set=WILD)


def test_a_sweep_is_run_in_silence_and_leaves_the_process_as_it_was(folder, capfd, caplog):
    before = whole()
    with caplog.at_level(logging.INFO, logger="experiments"):
        found = run("tiny.yaml", set={"search.n_trials": 2} | FAST)
    assert whole() == before
    assert capfd.readouterr() == ("", "")
    said = [record.getMessage() for record in caplog.records if record.name == "experiments"]
    assert said[0] == "tiny: 2 trials"
    assert sum(" COMPLETE " in line for line in said) == 3  # the base is one
    assert all(line in (found.home / "tiny" / "sweep.log").read_text() for line in said[:-1])
    assert (found.complete, found.n_trials, found.states) == (True, 2, {"COMPLETE": 2})
    assert found.best.metrics["test/loss"] > 0
    assert found.verdict
    assert load("tiny") == found == load("tiny.yaml", home="runs")


def test_tables(ran):
    frame = ran.to_frame()
    assert list(frame.index) == [0, 1, 2]
    assert (frame["state"] == "COMPLETE").all()
    assert frame[~frame["is_base"]]["value"].min() == ran.best.value
    assert dict(ran.best.parameters) == dict(frame.loc[ran.best.trial, list(ran.best.parameters)])
    curves = ran.curves()
    assert list(curves["trial"]) == [0, 0, 1, 1, 2, 2]
    assert {"epoch", "train/loss", "val/loss", "epoch_s"} <= set(curves.columns)
    assert curves.groupby("trial")["val/loss"].min().to_dict() == frame["value"].to_dict()


def test_sweeps_of_several_homes_are_compared_on_one_page(ran, sweep, tmp_path, capfd):
    said = json.loads(sweep("compare", "tiny", "--json").out)
    assert experiments.compare("tiny") == experiments.compare(ran, "tiny") == said
    shutil.copytree(ran.home, tmp_path / "elsewhere")
    other = load("tiny", home=tmp_path / "elsewhere")
    capfd.readouterr()
    found = experiments.compare(ran, other, html=tmp_path / "all.html")
    assert [row["sweep"] for row in found["sweeps"]] == [f"tiny ({ran.home})", f"tiny ({other.home})"]
    assert f"tiny ({other.home})" in (tmp_path / "all.html").read_text()
    with pytest.raises(SpecError, match=r"all\.html: exists already") as error:
        experiments.compare(ran, other, html=tmp_path / "all.html")
    assert error.value.faults[0].code == "output-exists"
    with pytest.raises(SpecError, match="there is no trial to compare"):
        experiments.compare(html=tmp_path / "none.html")
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "none.html").exists()


def test_curves_know_the_metric_where_a_checkpoint_is_gone(ran):
    whole = ran.curves()
    checkpoint = Path(ran.best.checkpoint)
    checkpoint.rename(checkpoint.with_name("away"))
    checkpoint.mkdir()
    try:
        curves = ran.curves()
    finally:
        checkpoint.rmdir()
        checkpoint.with_name("away").rename(checkpoint)
    mine = curves[curves["trial"] == ran.best.trial]
    assert list(mine["val/loss"]) == list(whole[whole["trial"] == ran.best.trial]["val/loss"])
    assert mine["train/loss"].isna().all()


def test_a_forecast_of_a_file_of_a_table_and_of_the_sweep_s_own_data(ran, sweep, capfd):
    before = whole()
    ours = ran.predict()
    table = pd.read_csv("tiny.csv")
    assert whole() == before
    assert capfd.readouterr() == ("", "")
    assert list(ours.columns) == ["day", "load"]
    assert str(ours["day"].dtype).startswith("datetime64")
    assert f"{ours['load'][0]}" in sweep("predict", "tiny").out
    times = table.assign(day=pd.to_datetime(table["day"]))
    for data in (
        "tiny.csv",
        Path("tiny.csv"),
        table,
        times,
        times.set_index("day"),
        times.set_index("day").rename_axis(None),
    ):
        pd.testing.assert_frame_equal(ran.predict(data), ours)  # fmt: skip
    other = next(number for number in (0, 1, 2) if number != ran.best.trial)
    assert not ran.predict(trial=other)["load"].equals(ours["load"])
    assert not ran.predict(model="ridge")["load"].equals(ours["load"])


def test_data_that_do_not_fit_are_refused_without_naming_a_file_that_nobody_knows(ran):
    table = pd.read_csv("tiny.csv")
    with pytest.raises(SpecError) as error:
        ran.predict(table.drop(columns="load"))
    assert "load" in str(error.value)
    assert "parquet" not in str(error.value)
    with pytest.raises(SpecError, match="77"):
        ran.predict(trial=77)
    with pytest.raises(SpecError, match="ridge"):
        ran.predict(model="ridge", trial=0)


def test_a_sweep_that_nobody_ran(folder):
    with pytest.raises(SpecError, match="tiny"):
        load("tiny")


def test_a_mapping_is_run_and_gone_on_with_by_its_name(folder, tiny):
    text = yaml.safe_load(tiny.spec.replace("1e-", "1.0e-"))
    text["training"]["batch_size"] = 32
    assert run(text, set={"search.n_trials": 1}).states == {"COMPLETE": 1}
    assert run("tiny", set={"search.n_trials": 2}).states == {"COMPLETE": 2}
    with pytest.raises(SpecError, match=r"training\.max_epochs: was 2, is 3"):
        run(text | {"training": text["training"] | {"max_epochs": 3}})


def test_ctrl_c_raises_once_the_sweep_can_be_gone_on_with(folder, caplog):
    class Impatient(logging.Handler):
        def emit(self, record):
            if "starts on" in record.getMessage() and not asked:
                asked.append(record)
                os.kill(os.getpid(), signal.SIGINT)  # comes to the main thread

    asked, handler, logger = [], Impatient(), logging.getLogger("experiments")
    asked_for = {"search.n_trials": 1} | FAST
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, logger="experiments"):
            before = whole()
            with pytest.raises(KeyboardInterrupt):
                run("tiny.yaml", set=asked_for)
            assert whole() == before
        assert asked
        left = load("tiny")
        assert not left.complete
        found = run("tiny.yaml", set=asked_for)
        assert (found.complete, found.states) == (True, {"COMPLETE": 1})
        assert found._record.facts["id"] == left._record.facts["id"]
    finally:
        logger.removeHandler(handler)


def test_a_sweep_that_another_drives_is_code_3(ran):
    from cluster.study.lease import Lease
    from lstm.records.errors import HeldError

    with (
        Lease(ran._found.study_url, "tiny", lost=print, stop=print),
        pytest.raises(SweepError, match=f"process {os.getpid()} on") as error,
    ):
        run("tiny.yaml", set={"search.n_trials": 3} | FAST)
    assert (error.value.code, type(error.value.__cause__)) == (3, HeldError)


def test_a_sweep_that_fails_is_code_1(folder, monkeypatch):
    from cluster.worker import TrialWorker

    def fail(*_):
        raise ValueError("a wrong shape")

    monkeypatch.setattr(TrialWorker, "_train", fail)
    with pytest.raises(SweepError, match="a wrong shape") as error:
        run("tiny.yaml", set={"search.n_trials": 1})
    assert error.value.code == 1


def test_ray_that_is_in_use_is_left_alone(folder, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("it is another's"))
    with pytest.raises(SpecError, match=r"ray\.shutdown"):
        experiments.run("tiny.yaml")
    assert not (folder / "runs").exists(), "nothing was written"

"""The verbs and their flags are a promise: they are frozen here, and so are the exit codes and the one document."""

import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from cluster.study.lease import Lease
from experiments.cli import main
from experiments.terminal.output import sayable
from lstm import checkpoint

HELP = Path(__file__).parent / "test_cli" / "help.txt"
HEAVY = {"torch", "pandas", "numpy", "pyarrow", "ray", "optuna", "mlflow", "rich", "plotly", "yaml", "pydantic"}
HEAVY |= {
    "sqlalchemy",
    "lstm.data.forecast",
    "cluster.driver",
    "dashboards.tracking.recorder",
    "experiments.spec.loader",
}


def test_verbs_and_flags_are_frozen(sweep):
    pages = {"": sweep("--help").out, **{verb: sweep(verb, "--help").out for verb in main.commands}}
    text = "\n".join(f"$ sweep {verb}".rstrip() + f" --help\n{page}" for verb, page in pages.items())
    if os.environ.get("RENEW"):
        HELP.write_text(text, encoding="utf-8")
    assert text == HELP.read_text(encoding="utf-8"), (
        "The command line has changed, on which scripts depend. If it is meant, say so in CHANGELOG.md and renew the "
        f"frozen pages: RENEW=1 python -m pytest {Path(__file__).name}"
    )


def test_the_pages_fit_and_are_whole():
    for line in HELP.read_text(encoding="utf-8").splitlines():
        assert len(line) <= 80
        assert not line.endswith("...") or line.startswith("Usage:")


def test_help_imports_nothing_heavy():
    code = "import sys; from experiments.cli import main; main(['--help'])"
    script = f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{code}"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: ")
    assert HEAVY & set(done.stderr.split()) == set()


def test_no_words_and_unknown_words(sweep):
    answer = sweep()
    assert (answer.code, answer.out) == (2, "")
    assert "(try:" not in answer.err
    assert sweep("stauts").err == "No such command 'stauts'. Did you mean 'status'? (try: sweep --help)\n"
    assert sweep("--version").out == "sweep, version 0.2.0\n"


def test_home_may_stand_before_the_verb_and_after_it(copied, sweep):
    (copied.folder / "elsewhere").mkdir()
    copied.home.rename(copied.folder / "mine")
    assert sweep("--home", "mine", "status", "tiny").code == 0
    assert sweep("status", "tiny", "--home", "mine").code == 0
    assert sweep("status", "tiny", SWEEP_HOME="mine").code == 0
    assert sweep("status", "tiny").code == 2
    # What is written goes before the environment, and what is nearer goes before what is farther.
    assert sweep("--home", "mine", "status", "tiny", SWEEP_HOME="elsewhere").code == 0
    assert sweep("status", "tiny", "--home", "mine", SWEEP_HOME="elsewhere").code == 0
    assert sweep("--home", "elsewhere", "status", "tiny", "--home", "mine").code == 0
    assert sweep("--home", "elsewhere", "status", "tiny", SWEEP_HOME="mine").code == 2


def test_code_0_done(finished):
    assert finished.first.code == 0
    assert finished.second.code == 0


def test_code_1_failed(folder, sweep):
    diverging = ["training.optimizer=sgd", "training.learning_rate=10", "training.gradient_clip=null"]
    diverging += ["data.scaling=none", "training.max_epochs=50", "model.hidden_size=64"]
    (folder / "tiny.csv").write_text((folder / "tiny.csv").read_text().replace(".", "000000000000000000."))
    answer = sweep("train", "tiny.yaml", *(word for each in diverging for word in ("--set", each)))
    assert answer.code == 1
    assert "diverged" in answer.out


def test_code_2_bad_input(sweep, folder):
    assert sweep("plan", "nothing.yaml").code == 2


@pytest.mark.parametrize("verb", ["best", "plan", "run"])
def test_a_switch_that_names_no_library_is_bad_input(sweep, folder, monkeypatch, verb):
    monkeypatch.setenv("SWEEP_WITHOUT_PATCHES", "ray,sklearn")
    before = sorted(folder.iterdir())
    answer = sweep(verb, "tiny.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert [part for part in ("SWEEP_WITHOUT_PATCHES", "sklearn", "mlflow") if part not in answer.err] == []
    assert sorted(folder.iterdir()) == before


def test_code_3_another_driver(copied, sweep):
    with Lease(copied.url, "tiny", lost=print, stop=lambda: None):
        answer = sweep("run", "tiny.yaml", "--set", "search.n_trials=9")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("tiny: ")
    assert [part for part in (f"process {os.getpid()} on ", "`sweep stop tiny`") if part not in answer.err] == []
    origin = json.loads((copied.home / "tiny" / "origin.json").read_text())
    assert origin["overrides"] == []  # it did not become the sweep's


def test_code_130_interrupted(folder):
    words = ["train", "tiny.yaml", "--set", "training.max_epochs=100000", "--set", "training.learning_rate=1e-5"]
    script = Path(sys.executable).with_name("sweep")
    pipe = subprocess.PIPE
    with subprocess.Popen([script, *words], cwd=folder, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout.readline().startswith("epoch 1  train/loss ")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()  # else it trains on where this test fails
    assert process.returncode == 130
    assert err.strip() == "interrupted"
    assert len(checkpoint.load(str(folder / "runs" / "tiny" / "train")).state.history) >= 1 + len(out.splitlines())


@pytest.fixture(scope="module")
def documents(finished, command, near):
    """What each verb that reads answers with --json, from a folder of hostile modules.

    `predict` is a process of its own. What `run` imports is looked at where it is run over Ray (verbs/test_run.py).
    """
    ways = dict.fromkeys(("plan", "status", "compare", "best", "stop", "run"), near) | {"predict": command}
    with finished.alone:
        return {verb: way(verb, "tiny", "--json", cwd=finished.folder) for verb, way in ways.items()}


def test_one_document_and_nothing_else(documents):
    for verb, answer in documents.items():
        assert (answer.code, answer.err) == (0, ""), verb
        assert isinstance(json.loads(answer.out, parse_constant=pytest.fail), dict), verb
        assert answer.out.endswith("}\n")


def test_what_json_cannot_say_is_null():
    assert sayable({"a": [float("nan"), float("inf"), 1.5, None], 2: (True,)}) == {
        "a": [None, None, 1.5, None],
        "2": [True],
    }


def test_a_reader_that_leaves_is_no_error(finished):
    script = Path(sys.executable).with_name("sweep")
    line = f"{script} compare tiny --json | head -n 1; echo code ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=finished.folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout in ("{\ncode 0\n", "{\ncode 141\n")


def test_a_terminal_without_our_characters(finished, command):
    answer = command("compare", "tiny", "--trials", "1", cwd=finished.folder, PYTHONIOENCODING="ascii")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("\n? and 4 more (--trials 0 shows all)\n")


def test_a_file_in_the_way_is_told_in_a_line(folder, sweep):
    (folder / "runs" / "tiny").mkdir(parents=True)
    (folder / "runs" / "tiny" / "train").write_text("in the way")
    answer = sweep("train", "tiny.yaml")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "tiny/train" in answer.err


def test_a_user_without_a_home_gets_the_name_of_one(folder, sweep, monkeypatch):
    monkeypatch.setenv("HOME", "to be restored")
    monkeypatch.delenv("HOME")

    def no_user(_):
        raise KeyError("uid not found")  # as in a container that was started for a number

    monkeypatch.setattr(pwd, "getpwuid", no_user)
    assert sweep("plan", "tiny.yaml").code == 0
    assert Path.home() == Path("/nonexistent")


def test_modules_in_the_users_folder_change_nothing(finished, documents):
    assert {answer.code for answer in documents.values()} == {0}
    assert [p.name for p in finished.folder.glob("imported-*")] == []


def test_optuna_can_read_the_study_itself(finished):
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{finished.home / 'study.db'}")
    assert [t.state.name for t in study.trials] == ["FAIL"] + ["COMPLETE"] * 4, "the base is told as FAIL: no sampler's"


def test_an_error_is_the_same_record_with_json(sweep, folder):
    answer = sweep("plan", "tiny.yaml", "--set", "model.hiden_size=8", "--json")
    assert answer.code == 2
    [wrong] = json.loads(answer.out)["errors"]
    near = wrong["values"]["near"]
    assert (wrong["code"], wrong["path"], near) == ("unknown-field", "model.hiden_size", "hidden_size")
    assert wrong["place"] == "--set model.hiden_size=8"
    assert answer.err.strip() == f"{wrong['place']}: {wrong['path']}: {wrong['message']} {wrong['mend'].capitalize()}"

"""The command's first step: whose packages it runs on."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

SCRIPT = Path(sys.executable).with_name("sweep")
FOREIGN = "raise SystemExit(9)\n"
NAMES = ["lstm", "cluster", "experiments", "dashboards", "optuna", "yaml", "click", "torch", "mlflow", "ray", "alembic"]


# One of ours and one that only what we stand on imports; all of them at once are below.
ALONE = [pytest.param(name, marks=[] if name in ("lstm", "alembic") else pytest.mark.faults) for name in NAMES]


@pytest.mark.parametrize("name", ALONE)
def test_another_package_of_a_name_that_is_needed_is_named(folder, command, name):
    package = put(folder / "theirs", name)
    for words in (["plan", "tiny.yaml"], ["--help"]):
        answer = command(*words, cwd=folder, PYTHONPATH=str(folder / "theirs"))
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert_named(name, package, answer.err)
    assert not (folder / "runs").exists()


def put(folder, name):
    package = folder / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FOREIGN)
    return package


def assert_named(name, package, line):
    assert line.startswith(f"{name}: ")
    assert str(package) in line
    assert str(Path(importlib.util.find_spec(name).origin).parent) in line


def test_each_of_them_is_named(folder, command):
    packages = {name: put(folder / "theirs", name) for name in NAMES}
    answer = command("plan", "tiny.yaml", cwd=folder, PYTHONPATH=str(folder / "theirs"))
    assert (answer.code, answer.out) == (2, "")
    lines = {line.partition(":")[0]: line for line in answer.err.splitlines()}
    assert lines.keys() == packages.keys()
    for name, package in packages.items():
        assert_named(name, package, lines[name])
    assert not (folder / "runs").exists()


def test_all_of_them_at_once_and_in_any_form(folder, command):
    (folder / "theirs" / "cluster").mkdir(parents=True)  # no __init__.py
    (folder / "theirs" / "lstm.py").write_text(FOREIGN)
    (folder / "theirs" / "rich.py").write_text(FOREIGN)
    answer = command("status", "tiny", cwd=folder, PYTHONPATH=os.pathsep.join(["", "theirs"]))
    assert (answer.code, answer.out) == (2, "")
    assert {line.partition(":")[0] for line in answer.err.splitlines()} == {"cluster", "lstm", "rich"}


def test_one_of_pythons_own_that_is_hidden_is_named(folder, command):
    (folder / "theirs").mkdir()
    (folder / "theirs" / "random.py").write_text("x = 1\n")
    answer = command("plan", "tiny.yaml", cwd=folder, PYTHONPATH=str(folder / "theirs"))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert str(folder / "theirs" / "random.py") in answer.err


def test_what_hides_nothing_that_is_needed_is_nobodys_business(folder, command):
    """Names of nobody, names that no one imports, and packages that were installed into the folder."""
    theirs = folder / "theirs"
    (theirs / "tests").mkdir(parents=True)
    for name in ("tests/__init__.py", "code.py", "tiny.py"):
        (theirs / name).write_text(FOREIGN)
    site = Path(click.__file__).parents[1]
    shutil.copytree(site / "click", theirs / "click")
    installed = next(site.glob("click-*.dist-info"))
    shutil.copytree(installed, theirs / installed.name)
    answer = command("status", "tiny", cwd=folder, PYTHONPATH=str(theirs))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"tiny: {folder / 'runs'} ")


# One that reads and one that writes; no verb has begun when the folder is asked for.
VERBS = [
    *("status", "run"),
    *(
        pytest.param(verb, marks=pytest.mark.faults)
        for verb in ("best", "compare", "plan", "train", "verify", "predict", "probe", "stop", "new", "ui", "rebuild")
    ),
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_working_folder_that_was_deleted_is_told(tmp_path, verb):
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"cd {gone} && rmdir {gone} && exec {SCRIPT} {verb} tiny.yaml"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "working folder" in done.stderr


@pytest.mark.faults
def test_warnings_that_are_to_be_errors_break_nothing(folder, command):
    """In the driver, its workers and MLflow; those of libraries are on no screen."""
    strict = {"PYTHONWARNINGS": "error"}
    answer = command("run", "tiny.yaml", "--set", "search.n_trials=1", cwd=folder, **strict)
    assert (answer.code, answer.err) == (0, "")
    assert "COMPLETE" in answer.out
    read = [["plan", "tiny.yaml"], ["best", "tiny"], ["compare", "tiny"], ["predict", "tiny"], ["verify", "tiny"]]
    read += [["probe", "tiny"], ["new", "tiny.csv", "--output", "new.yaml"], ["rebuild", "tiny"]]
    for words in [*read, ["train", "tiny.yaml"]]:
        answer = command(*words, cwd=folder, **strict)
        assert (words, answer.code, answer.err) == (words, 0, "")


def test_no_library_speaks_on_the_screen(folder):
    noise = (
        "import logging, sys, warnings\n"
        "from experiments.verbs import status\n"
        "import optuna\n"
        "def noisy(**_):\n"
        "    warnings.warn('of a library', stacklevel=1)\n"
        "    optuna.logging.get_logger('optuna').warning('of a library')\n"
        "    logging.getLogger('other').error('of a library')\n"
        "status.main = noisy\n"
        "sys.argv[:] = ['sweep', 'status', 'tiny']\n"
        "from experiments.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", noise], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

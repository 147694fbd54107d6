"""The command line without Ray, for tests that start many sweeps or need trials that fail."""

import os
import shutil
from types import SimpleNamespace
from unittest import mock

import inside
import pytest
import twin

from cluster.worker import TrialWorker
from experiments.cli import main


@pytest.fixture(autouse=True)
def _no_place_in_mind():
    """MLflow remembers by a run's id where its artifacts are, as long as a process lives: many homes have one run."""
    inside.forget()


@pytest.fixture
def near_sweep(folder):
    """The command line without Ray, in a child unless it looks; `fails` names trials whose training raises.

    The file `trained` gets the numbers of the others, each time one of them trains. Where it is not `drawn`, reports
    and pages of probes are blank.
    """
    return _near_sweep(folder)


def _near_sweep(folder):
    def sweep(*arguments, fails=(), drawn=False):
        if arguments[0] in inside.LOOKS:
            return inside.call(arguments, folder)
        train = TrialWorker._train

        def counted(worker, epochs):
            number = worker._order["number"]
            if number in fails:
                raise ValueError("a wrong shape")
            with (folder / "trained").open("a") as file:
                file.write(f"{number}\n")
            return train(worker, epochs)

        def act():
            os.chdir(folder)
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            here = ["--in-process"] if arguments[0] in ("run", "retry", "extend", "confirm") else []
            with mock.patch.object(TrialWorker, "_train", counted):
                main([*map(str, arguments), *here], prog_name="sweep")

        code = twin.forked(act, folder / "log", drawn=drawn)
        return SimpleNamespace(code=code, out=(folder / "out").read_text(), err=(folder / "err").read_text())

    return sweep


@pytest.fixture(scope="module")
def stage(tmp_path_factory, tiny):
    """Sweeps that several tests start from, each in the one folder: `folder, sweep, told = stage(make)`.

    `make(folder, sweep)` is called once, by the first test, and what it has left is copied back for the others.
    `told` is what it returned. It starts from what another has left where one is named: `stage(make, after=other)`.
    """
    root = tmp_path_factory.mktemp("stage")
    folder, told = root / "work", {}
    sweep = _near_sweep(folder)

    def put(make, after=None):
        shutil.rmtree(folder, ignore_errors=True)
        if make.__name__ not in told:
            if after is None:
                folder.mkdir()
                (folder / "tiny.csv").write_text(tiny.data)
            else:
                put(after)
            told[make.__name__] = make(folder, sweep)
            folder.rename(root / make.__name__)
        shutil.copytree(root / make.__name__, folder)
        return folder, sweep, told[make.__name__]

    return put

"""The command line without Ray, for tests that start many sweeps or need trials that fail."""

import os
from types import SimpleNamespace
from unittest import mock

import pytest
import twin

from cluster.worker import TrialWorker
from experiments.cli import main


@pytest.fixture
def near_sweep(folder):
    """The command line without Ray, in a child; `fails` names trials whose training raises.

    The file `trained` gets the numbers of the others, each time one of them trains.
    """

    def sweep(*arguments, fails=()):
        train = TrialWorker._train

        def counted(worker, epochs):
            number = worker._order["number"]
            if number in fails:
                raise ValueError("a wrong shape")
            with (folder / "trained").open("a") as file:
                file.write(f"{number}\n")
            return train(worker, epochs)

        def act():
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            here = ["--in-process"] if arguments[0] in ("run", "retry") else []
            with mock.patch.object(TrialWorker, "_train", counted):
                main([*map(str, arguments), *here], prog_name="sweep")

        code = twin.forked(act, folder / "log")
        return SimpleNamespace(code=code, out=(folder / "out").read_text(), err=(folder / "err").read_text())

    return sweep

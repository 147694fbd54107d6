"""`sweep refit`: train the winner's setting on all data, for `sweep predict`."""

import sys
from typing import TextIO, cast

from experiments import lookup
from experiments.home import Home
from experiments.operations.summary import refits
from experiments.operations.training import check_room_on_cpu
from experiments.terminal.formats import refit_line
from experiments.terminal.log import open_log, redirected
from experiments.terminal.output import emit, print_note
from experiments.trials import fitting, refitting
from lstm.messages.message import Message
from lstm.records.epoch import Epoch


class _Lines:
    """The view of a refit on the terminal: a line for each epoch. With --json it prints notes only."""

    def __init__(self, *, as_json: bool, screen: TextIO | None = None) -> None:
        self._as_json, self._screen = as_json, screen

    def say(self, message: Message) -> None:
        """Print a note: on standard error, or on the screen if libraries have that."""
        print(f"note: {message}", file=self._screen or sys.stderr, flush=True)

    def epoch(self, number: int, epoch: Epoch, of: int) -> None:
        """Print the training loss and the time of an epoch."""
        if not self._as_json:
            loss, took_s = epoch.metrics["train/loss"], epoch.metrics["epoch_s"]
            text = f"trial {number}: epoch {epoch.number} of {of}  train/loss {loss:.5g}  {took_s:.2f} s"
            print(text, file=self._screen, flush=True)


def main(
    *,
    home: str,
    named: str,
    trial: int | None,
    until: str | None,
    seeds: int,
    warm: bool = False,
    address: str | None = None,
    in_process: bool = False,
    code: str | None = None,
    as_json: bool,
) -> None:
    """Train the refit, or go on with it.

    Raises:
        BadInput: the sweep or the trial can't be fitted again, or its data have changed.
        HeldError: another driver holds the sweep.
        Failed: a training diverged or was interrupted, or a store failed.
    """
    from cluster.interrupts import signals

    found = lookup.sweep(named, Home.at(home), print_note)
    ready = refitting.prepare(found, refitting.Asked(trial, until, seeds, warm, address, in_process), code)
    check_room_on_cpu(ready.plan, ready.config)
    print_note(ready.about)
    if ready.executor is None or in_process:
        fitting.fit(ready, _Lines(as_json=as_json), signals=signals)
    else:  # what Ray and its workers print goes to the log
        with open_log(ready.plan, ready.started) as log, redirected(log, to_stderr=as_json) as relay:
            fitting.fit(ready, _Lines(as_json=as_json, screen=cast("TextIO", relay)), signals=signals)
    made = refits(lookup.read(found))
    if as_json:
        emit({"sweep": found.name, "refits": made})
    else:
        print(*(refit_line(row, driven=False) for row in made if row["predicts"]), sep="\n")

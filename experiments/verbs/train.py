"""`sweep train`: train the base configuration alone, in this process, without a cluster or a search."""

import sys
from collections.abc import Sequence

from experiments import lookup
from experiments.home import Home
from experiments.operations import training
from experiments.planning import as_begun, make
from experiments.terminal.output import emit, print_note
from lstm.messages.message import Message
from lstm.records.epoch import Epoch, at


class _Lines:
    """The view of a training on the terminal: a line for each epoch. With --json it prints problems only."""

    def __init__(self, metric: str, *, as_json: bool) -> None:
        """Take the metric that is shown for each epoch."""
        self._metric, self._as_json = metric, as_json

    def note(self, message: Message) -> None:
        """Print a note on standard error."""
        print_note(message)

    def warn(self, message: Message) -> None:
        """Print a warning on standard error."""
        print(message, file=sys.stderr)

    def say(self, message: Message) -> None:
        """Print a line for people; nothing with --json."""
        self._line(str(message))

    def epoch(self, epoch: Epoch) -> None:
        """Print the losses and the time of an epoch."""
        names = [name for name in ("train/loss", self._metric) if name in epoch.metrics]
        shown = "  ".join(f"{name} {epoch.metrics[name]:.5g}" for name in names)
        stop = f"  ({epoch.stop})" if epoch.stop else ""
        self._line(f"{at(epoch)}  {shown}  {epoch.metrics['epoch_s']:.2f} s{stop}")

    def _line(self, text: str) -> None:
        if not self._as_json:
            print(text, flush=True)


def main(*, home: str, named: str, overrides: Sequence[str], code: str | None = None, as_json: bool) -> int:
    """Train, or resume an earlier training of the same configuration.

    Returns the exit code: 1 if the training diverged, or if memory or disk did not suffice.

    Raises:
        KeyboardInterrupt: the training was interrupted.
    """
    from cluster.interrupts import signals

    where = Home.at(home)
    plan = as_begun(make(lookup.spec(named, where, overrides, execute=True, code=code), where))
    try:
        made = training.train(plan, _Lines(plan.order.base.metric, as_json=as_json), signals=signals)
    except training.Failed as error:
        print(str(error), file=sys.stderr)
        return 1
    if as_json:
        emit(made.document())
    elif made.best:
        from experiments.terminal.formats import console
        from experiments.terminal.summary import show_best

        show_best(made.document(), console())
    else:
        last = made.history[-1]
        print(f"{plan.order.name}: {last.stop} in {at(last)}; no epoch had a finite value")
    return 1 if made.diverged else 0

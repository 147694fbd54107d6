"""`sweep train`: the base configuration alone, in this process, no cluster and no search."""

import sys
from collections.abc import Sequence

from experiments import lookup
from experiments.cli import emit, note
from experiments.home import Home
from experiments.operations import training
from experiments.planning import as_begun, make
from lstm.messages.message import Message
from lstm.records.epoch import Epoch


class _Lines:
    """What a person sees of a training: a line an epoch; for a program nothing but what is amiss."""

    def __init__(self, metric: str, *, as_json: bool) -> None:
        """Prepares to show epochs by a metric."""
        self._metric, self._as_json = metric, as_json

    def note(self, message: Message) -> None:
        """Print a note on standard error."""
        note(message)

    def warn(self, message: Message) -> None:
        """Print a warning on standard error."""
        print(message, file=sys.stderr)

    def say(self, message: Message) -> None:
        """Print a line for people."""
        self._line(str(message))

    def epoch(self, epoch: Epoch) -> None:
        """An epoch's losses and time."""
        shown = "  ".join(f"{name} {epoch.metrics[name]:.5g}" for name in ("train/loss", self._metric))
        stop = f"  ({epoch.stop})" if epoch.stop else ""
        self._line(f"epoch {epoch.number}  {shown}  {epoch.metrics['epoch_s']:.2f} s{stop}")

    def _line(self, text: str) -> None:
        if not self._as_json:
            print(text, flush=True)


def main(*, home: str, named: str, overrides: Sequence[str], code: str | None = None, as_json: bool) -> int:
    """Trains, going on where an earlier call of the same configuration stopped; 1 where it diverged or had no room."""
    where = Home.at(home)
    plan = as_begun(make(lookup.spec(named, where, overrides, execute=True, code=code), where))
    try:
        made = training.train(plan, _Lines(plan.order.base.metric, as_json=as_json))
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
        print(f"{plan.order.name}: {last.stop} in epoch {last.number}; no epoch was finite")
    return 1 if made.diverged else 0

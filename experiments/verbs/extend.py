"""`sweep extend`: train an ended trial for more epochs, as a trial of its own, then the rest of the sweep."""

from experiments import lookup
from experiments.home import Home
from experiments.terminal.output import print_note
from experiments.trials import extending
from experiments.verbs import run


def main(
    *,
    home: str,
    named: str,
    trial: int,
    epochs: int,
    learning_rate: float | None,
    address: str | None,
    in_process: bool,
    code: str | None = None,
    as_json: bool,
) -> int:
    """Drive the sweep as `sweep run` does, with the extension first in its queue. Returns the exit code.

    Raises:
        BadInput: the trial can't be extended, or the sweep has reached its target.
    """
    found = lookup.sweep(named, Home.at(home), print_note)
    swept = lookup.read(found)
    derived = extending.extension(swept, trial, epochs, learning_rate)
    for told in extending.about(swept, derived):
        print_note(told)
    return run.main(
        home=home,
        named=named,
        address=address,
        in_process=in_process,
        overrides=(),
        as_json=as_json,
        extensions=(derived,),
        code=code,
    )

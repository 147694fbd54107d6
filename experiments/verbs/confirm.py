"""`sweep confirm`: train the best settings and the base from other seeds, as trials of their own."""

from experiments import lookup
from experiments.home import Home
from experiments.terminal.output import print_note
from experiments.trials import confirming
from experiments.verbs import run
from lstm.records.confirmation import JudgedOn


def main(
    *,
    home: str,
    named: str,
    top: int | None,
    seeds: int | None,
    windows: JudgedOn | None = None,
    address: str | None,
    in_process: bool,
    code: str | None = None,
    as_json: bool,
) -> int:
    """Drive the sweep as `sweep run` does; its search has ended, and confirm follows. Returns the exit code.

    Raises:
        BadInput: the search has not ended, or there is too little to confirm.
    """
    found = lookup.sweep(named, Home.at(home), print_note)
    confirming.check(lookup.read(found), top, seeds, windows)
    return run.main(
        home=home,
        named=named,
        address=address,
        in_process=in_process,
        overrides=(),
        as_json=as_json,
        confirm=(top, seeds, windows),
        code=code,
    )

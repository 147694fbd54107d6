"""`sweep logs`: show what a launched sweep has written so far, or the log in its home."""

from experiments.home import Home
from experiments.launching import following
from experiments.terminal.output import emit, print_note


def main(*, home: str, named: str, as_json: bool) -> None:
    """Print the lines."""
    where = Home.at(home)
    name = following.name_of(named, where, print_note)
    lines = following.lines(name, where)
    if as_json:
        emit({"sweep": name, "lines": list(lines)})
        return
    for each in lines:
        print(each)

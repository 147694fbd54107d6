"""`sweep doctor`: say what this machine, or a cluster, is like for a sweep."""

from collections import Counter
from collections.abc import Sequence

from cluster.doctor.line import Line
from experiments.doctor.examining import examine
from experiments.home import Home
from experiments.terminal.output import emit
from lstm.records.trial import counted


def main(
    *,
    home: str,
    named: str | None,
    address: str | None,
    overrides: Sequence[str],
    code: str | None,
    as_json: bool,
) -> int:
    """Print a line for each thing that was looked at. Returns the exit code: 1 if a sweep would fail."""
    found = examine(named, Home.at(home), address, overrides, code)
    count = Counter(str(line.grade) for line in found)
    if as_json:
        emit({"sound": not count["wrong"], "counts": dict(count), "lines": [line.row() for line in found]})
    else:
        _show(found, count)
    return 1 if count["wrong"] else 0


def _show(found: Sequence[Line], count: Counter[str]) -> None:
    for line in found:
        print(f"{line.grade:8} {line.area:8} {line}")
    warned = f"{counted(count['warning'], 'warning')}" if count["warning"] else "nothing is wrong"
    if count["wrong"]:
        print(f"{count['wrong']} wrong, {counted(count['warning'], 'warning')}: a sweep would fail")
    else:
        print(f"{warned}: a sweep would run")

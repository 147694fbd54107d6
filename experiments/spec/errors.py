"""The refusal of a file: all its faults, each with its place, in the order of the file."""

import math
from collections.abc import Iterable
from dataclasses import replace

from lstm.messages.entry import shown
from lstm.records.errors import BadInput, Fault, fault

Address = tuple[str | int, ...]
Place = int | str  # a line of the file, or the --set that wrote it
Wrong = tuple[Place, Address, Fault]

MAX_MESSAGES = 50  # in one refusal: more are rarely read, and one slip may cause thousands


def refusal(path: str, wrong: Iterable[Wrong]) -> BadInput:
    """Return the error of all faults, in the order of the file, overrides last; at most the first `MAX_MESSAGES`."""
    ordered = sorted(dict.fromkeys(wrong), key=lambda w: w[0] if isinstance(w[0], int) else math.inf)
    told = [
        replace(
            each,
            place=f"{path}:{place}" if isinstance(place, int) else place,
            path=each.path or dotted(at),
            within=each.within or each.place,
        )
        for place, at, each in ordered[:MAX_MESSAGES]
    ]
    more = len(ordered) - len(told)
    return BadInput(*told, *([fault("and-more", at=path, count=more)] if more else []))


def dotted(address: Address) -> str:
    """Return an address joined with dots, for a message."""
    return ".".join(shown(str(key)) for key in address)
